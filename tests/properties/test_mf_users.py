"""Laws of matrix factorisation, for any small log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.blocks import Blocks
from headstart.models.family import Orders, take_users
from headstart.models.mf import MatrixFactorization
from headstart.training import train_path

ITEMS, WIDTH = 7, 3


@st.composite
def logs(draw):
    """Users with any number of rows, of items that are known or not, with weights and offsets or without."""
    counts = np.array(draw(st.lists(st.integers(0, 12), min_size=1, max_size=6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    stop, n, plain = np.cumsum(counts), int(counts.sum()), draw(st.booleans())
    label = (draw(st.sampled_from([1.0, 20.0])) * rng.standard_normal(n)).astype(np.float32)
    weight = np.empty(0, np.float32) if plain else (rng.uniform(0, 3, n) * (rng.random(n) < 0.8)).astype(np.float32)
    offset = np.empty(0, np.float32) if plain else rng.normal(0, 1, n).astype(np.float32)
    ids = np.sort(rng.choice(2**63 - 1, len(counts), replace=False))
    item = rng.integers(-1, ITEMS, n).astype(np.int32)
    return Blocks(np.zeros((n, 0), np.float32), pa.array(ids), stop - counts, stop, label, weight, offset, item)


def state_of(data, seed=0):
    family = MatrixFactorization(factors=WIDTH)
    return train_path(family, data, 3, seed=seed).end()


def orders_for(users, steps, pull, rate=1.0):
    kinds = ((steps, np.int32), (pull, np.float32), (rate, np.float32), (0, np.uint64))
    return Orders(*(np.full(users, value, kind) for value, kind in kinds))


def same(one, other):
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


@given(data=logs(), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_order_of_users_makes_no_difference(data, seed):
    """Not a bit: neither to the global model nor to anybody's own."""
    order = np.random.default_rng(seed).permutation(len(data))
    other = data.select(order)
    assert same(state_of(data), state_of(other))
    family, state = MatrixFactorization(factors=WIDTH), state_of(data)
    one = family.fit_users(state, data, orders_for(len(data), 4, 0.5)).personal
    two = family.fit_users(state, other, orders_for(len(data), 4, 0.5)).personal
    assert take_users(one, order)["factors"].values.tobytes() == two["factors"].values.tobytes()
    assert one["bias"][order].tobytes() == two["bias"].tobytes()


def parts_of(family, data, state, personal, user):
    """A user's numbers, and the user's own objective at them, in float64."""
    one = data.select(np.array([user]))
    rows = one.rows()
    theta = np.append(personal["factors"].take(np.array([user])).values, personal["bias"][user]).astype(float)
    weight = (data.weight[rows] if data.weight.size else np.ones(len(rows))).astype(float)
    offset = data.offset[rows] if data.offset.size else 0.0
    item = data.item[rows]
    known = (item >= 0) & (item < len(state["shared.item_bias"]))
    margin = np.full(len(rows), state["mu"][0] + theta[-1])
    there = item[known]
    margin[known] += state["shared.item_bias"][there] + state["shared.item_factors"][there] @ theta[:-1]
    l2 = family.l2 + family.row_l2 * weight.sum(), family.bias_l2 + family.bias_row_l2 * weight.sum()
    error = data.label[rows] - offset - margin
    return theta, weight @ error**2 / 2 + l2[0] / 2 * theta[:-1] @ theta[:-1] + l2[1] / 2 * theta[-1] ** 2


@given(data=logs(), l2=st.sampled_from([0.0, 0.3, 5.0]), pull=st.sampled_from([0.0, 1.0, 50.0]))
@settings(max_examples=40, deadline=None)
def test_every_step_lowers_the_objective(data, l2, pull):
    family, state = MatrixFactorization(factors=WIDTH, l2=l2, row_l2=0.1, bias_l2=l2), state_of(data)
    before, start = np.full(len(data), np.inf), None
    for steps in (0, 1, 2, 5, 20):
        trained = family.fit_users(state, data, orders_for(len(data), steps, pull))
        assert not trained.failed.any()
        now = [parts_of(family, data, state, trained.personal, user) for user in range(len(data))]
        start = start or [theta for theta, _ in now]
        total = np.array([f + pull / 2 * ((x - x0) ** 2).sum() for (x, f), x0 in zip(now, start, strict=True)])
        assert (total <= before + 1e-5 * (1 + np.abs(total))).all()
        before = total


@given(data=logs(), pull=st.floats(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_stronger_pull_stays_nearer_to_the_start(data, pull):
    family, state = MatrixFactorization(factors=WIDTH, l2=0.5, row_l2=0.1, bias_l2=0.5), state_of(data)
    users = range(len(data))

    def numbers(steps, strength):
        personal = family.fit_users(state, data, orders_for(len(data), steps, strength)).personal
        return np.array([parts_of(family, data, state, personal, user)[0] for user in users])

    start = numbers(0, 0)
    weak, strong = (np.linalg.norm(numbers(1500, p) - start, axis=1) for p in (pull, pull + 10))
    assert (strong <= weak * (1 + 1e-3) + 1e-4).all()


@given(data=logs(), scale=st.sampled_from([0.01, 3.0, 1000.0]), shift=st.sampled_from([0.0, -50.0]))
@settings(max_examples=30, deadline=None)
def test_the_scale_of_ratings_makes_no_difference(data, scale, shift):
    """Another unit of ratings gives the same margins in that unit, global and personal."""
    bare = replace(data, offset=data.offset[:0])
    other = replace(bare, label=(bare.label * scale + shift).astype(np.float32))
    family, margins = MatrixFactorization(factors=WIDTH), []
    for given_data in (bare, other):
        state = state_of(given_data)
        personal = family.fit_users(state, given_data, orders_for(len(data), 5, 1.0)).personal
        margins.append(np.concatenate([family.score(state, models, given_data) for models in (None, personal)]))
    size = float(np.abs(bare.label).max(initial=1)) + abs(shift / scale)
    teaches = (data.weight[data.rows()] > 0) if data.weight.size else np.ones(len(data.rows()), bool)
    if not (teaches & (data.item[data.rows()] >= 0)).any():
        return  # no rating, no scale: the mean is 0
    np.testing.assert_allclose((margins[1] - shift) / scale, margins[0], atol=2e-3 * size)
