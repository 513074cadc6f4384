"""Laws of personal trees, for any small log."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from headstart.kernels.binning import cut, encode
from headstart.kernels.grow import Growth, grow_users
from headstart.kernels.trees import score_rows

SQUARED = Growth(4, 2, 1e-3, 0.0, 1.0, True)


@st.composite
def logs(draw):
    """Rows of up to four users, with features of any sparsity, weights and base scores."""
    counts = draw(st.lists(st.integers(0, 40), min_size=1, max_size=4))
    width, share = draw(st.integers(1, 12)), draw(st.sampled_from([0.1, 0.5, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = sum(counts)
    x = np.round(rng.standard_normal((n, width)) * rng.choice([1, 4], width)) * (rng.random((n, width)) < share)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    label, weight = (rng.random(n) < 0.5).astype(np.float32), rng.uniform(0, 3, n).astype(np.float32)
    return x.astype(np.float32), indptr, label, weight, rng.normal(0, 1, n)


def grow(log, growth, steps=12, l2=1.0, seeds=None, layout="dense", users=None):
    x, indptr, label, weight, base = log
    matrix = (x,)
    if layout == "csr":
        made = csr_array(x)
        matrix = made.data, made.indices.astype(np.int32), made.indptr.astype(np.int64)
    rows = np.arange(len(x))
    upper, upper_ptr = cut((x,), rows, x.shape[1])
    codes = encode(matrix, rows, upper, upper_ptr)
    users = np.arange(len(indptr) - 1) if users is None else users
    seeds = np.arange(len(indptr) - 1, dtype=np.uint64) if seeds is None else seeds
    own = np.concatenate([np.arange(indptr[k], indptr[k + 1]) for k in users]).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(np.diff(indptr)[users])]).astype(np.int64)
    each = [np.full(len(users), value, kind) for value, kind in ((steps, np.int32), (l2, float), (0.3, np.float32))]
    given_rows = (own, ends, label[own], weight[own], base[own])
    return grow_users(codes, upper, upper_ptr, *given_rows, *each, seeds[users], growth)


def of_user(grown, k):
    forest, trees, splits, _ = grown
    t, s = slice(trees[k], trees[k + 1]), slice(splits[k], splits[k + 1])
    v = slice(trees[k] + splits[k], trees[k + 1] + splits[k + 1])
    return (forest.size[t], *(array[s] for array in forest[1:5]), forest.value[v], forest.gain[s])


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@given(log=logs(), fraction=st.sampled_from([0.5, 1.0]), squared=st.booleans())
@settings(max_examples=60, deadline=None)
def test_nobody_else_matters_and_neither_does_the_layout(log, fraction, squared):
    growth = Growth(4, 2, 1e-3, 0.0, fraction, squared)
    together, sparse = grow(log, growth), grow(log, growth, layout="csr")
    users = np.arange(len(log[1]) - 1)
    backwards = grow(log, growth, users=users[::-1])
    for k in users:
        mine = of_user(together, k)
        assert same(mine, of_user(sparse, k))
        assert same(mine, of_user(backwards, len(users) - 1 - k))
        assert same(mine, of_user(grow(log, growth, users=users[k : k + 1]), 0))


@given(log=logs(), steps=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_fewer_trees_are_a_prefix_and_each_lowers_the_squared_error(log, steps):
    x, indptr, label, weight, base = log
    every, some = grow(log, SQUARED), grow(log, SQUARED, steps=steps)
    for k in range(len(indptr) - 1):
        size, *splits, value, gain = of_user(every, k)
        fewer = of_user(some, k)
        t, s = min(steps, len(size)), int(size[:steps].sum())
        assert same(fewer, (size[:t], *(array[:s] for array in splits), value[: s + t], gain[:s]))
        own, before = np.arange(indptr[k], indptr[k + 1]), np.inf
        for trees in range(len(size) + 1):
            s, score = int(size[:trees].sum()), base[own]
            score_rows(x, own, size[:trees], *(array[:s] for array in splits), value[: s + trees], score)
            loss = weight[own] @ (score - label[own]) ** 2
            assert loss <= before + 1e-9
            before = loss


@given(log=logs(), least=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_leaves_hold_rows_enough(log, least):
    x, indptr, label, _, base = log
    log = (x, indptr, label, np.ones_like(label), base)
    grown = grow(log, Growth(3, least, 1e-3, 0.0, 1.0, True), steps=1)
    for k in range(len(indptr) - 1):
        size, *splits, value, gain = of_user(grown, k)
        assert (gain > 0).all()
        if len(size):
            own = np.arange(indptr[k], indptr[k + 1])
            leaf = np.zeros(len(own))
            score_rows(x, own, size, *splits, np.arange(len(value), dtype=float), leaf)
            assert np.bincount(leaf.astype(int), minlength=len(value)).min() >= least


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_what_cannot_be_learned_grows_nothing(layout):
    x = np.array([[1, 0], [1, 0], [1, 0], [2, 5], [1, 1], [1, 1]], np.float32)
    indptr, label = np.array([0, 3, 4, 4, 6]), np.array([0, 1, 0, 1, 1, 1], np.float32)
    log = (x, indptr, label, np.ones(6, np.float32), np.zeros(6))
    forest, trees, _, failed = grow(log, Growth(4, 1, 1e-3, 0.0, 1.0, False), layout=layout)
    assert trees.tolist() == [0, 0, 0, 0, 0]
    assert not failed.any()
    assert forest.value.size == 0


def test_numbers_that_run_away_are_told():
    x, label = np.arange(8, dtype=np.float32)[:, None], np.array([0, 0, 1, 1] * 2, np.float32)
    base = np.zeros(8)
    base[5] = np.nan
    log = (x, np.array([0, 4, 8]), label, np.ones(8, np.float32), base)
    _, trees, _, failed = grow(log, Growth(4, 1, 1e-3, 0.0, 1.0, False))
    assert failed.tolist() == [False, True]
    assert trees.tolist() == [0, 12, 12]


def test_the_seed_draws_the_features():
    rng = np.random.default_rng(0)
    x, indptr = rng.standard_normal((80, 9)).astype(np.float32), np.array([0, 40, 80])
    log = (x, indptr, (x[:, 0] > 0).astype(np.float32), np.ones(80, np.float32), np.zeros(80))
    growth = Growth(4, 2, 1e-3, 0.0, 0.4, False)
    one, again = grow(log, growth), grow(log, growth)
    other = grow(log, growth, seeds=np.array([0, 99], np.uint64))
    assert same(of_user(one, 0), of_user(again, 0))
    assert same(of_user(one, 0), of_user(other, 0))
    assert not same(of_user(one, 1), of_user(other, 1))
