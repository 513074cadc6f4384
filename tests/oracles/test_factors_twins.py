"""The kernels of matrix factorisation against slow numpy twins, closed forms and numerical gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from headstart.data.blocks import Blocks
from headstart.data.vocab import entity_keys
from headstart.models.family import Orders
from headstart.models.mf import MatrixFactorization
from headstart.models.mf.strata import Strata

FAMILY = MatrixFactorization(factors=5, l2=0.7, row_l2=0.05, bias_l2=0.4, bias_row_l2=0.02, learning_rate=0.03)


def log_of(counts, items=11, seed=0, plain=False):
    """Ratings of users whose rows do not touch each other; some weights are 0, some items are not known."""
    rng = np.random.default_rng(seed)
    stop = np.cumsum(np.asarray(counts) + 1) - 1
    n = int(stop[-1] + 1)
    label = rng.uniform(1, 5, n).astype(np.float32)
    weight = np.empty(0, np.float32) if plain else (rng.uniform(0.1, 3, n) * (rng.random(n) < 0.9)).astype(np.float32)
    offset = np.empty(0, np.float32) if plain else rng.normal(0, 0.5, n).astype(np.float32)
    item = rng.integers(0 if plain else -1, items, n).astype(np.int32)
    users = pa.array([f"u{number}" for number in range(len(counts))])
    return Blocks(np.zeros((n, 0), np.float32), users, stop - counts, stop, label, weight, offset, item)


def columns(data):
    """Owner, item, label less offset and weight of every row, in float64."""
    rows = data.rows()
    weight = data.weight[rows] if data.weight.size else np.ones(len(rows))
    offset = data.offset[rows] if data.offset.size else np.zeros(len(rows))
    owner = np.repeat(np.arange(len(data)), data.counts)
    return owner, data.item[rows], data.label[rows].astype(float) - offset, weight.astype(float)


def walk(family, data, ticks, seed=3):
    prep = family.prepare(data, seed)
    run = family.init(prep)
    states = [family.state(run)]
    for _ in range(ticks):
        run = family.step(run, prep)
        states.append(family.state(run))
    return prep, states


@pytest.mark.parametrize("plain", [True, False])
def test_strata_hold_every_rating_once(plain):
    data = log_of([40, 0, 300, 7, 1, 90, 0], 60, plain=plain)
    s = Strata.of(data)
    owner, item, rating, weight = columns(data)
    kept = (item >= 0) & (weight > 0)
    assert s.mean == pytest.approx(np.average(rating[kept], weights=weight[kept]))
    assert s.scale == pytest.approx(np.average((rating[kept] - s.mean) ** 2, weights=weight[kept]) ** 0.5)
    assert (s.low, s.high) == pytest.approx((rating[kept].min(), rating[kept].max()))
    found = []
    for a in range(len(s.first) - 1):
        for b in range(len(s.first) - 1):
            at = s.begin[a, b]
            for u in range(s.first[a], s.first[a + 1]):
                there = slice(at, at + s.cells[b, u])
                w = s.weight[there] if s.weight.size else np.ones(s.cells[b, u])
                found += zip([s.keys[u]] * s.cells[b, u], s.codes[s.item[there]], s.rating[there], w, strict=True)
                at += s.cells[b, u]
    normal = weight[kept].mean() if s.weight.size else 1
    names = entity_keys(data.users)[owner[kept]]
    wanted = zip(names, item[kept], (rating[kept] - s.mean) / s.scale, weight[kept] / normal, strict=True)
    np.testing.assert_allclose(*(np.array(sorted(map(tuple, t))).astype(float) for t in (found, wanted)), atol=1e-5)
    # Blocks of items share none.
    first = (s.item[s.begin[0, b] :][: s.cells[b, : s.first[1]].sum()] for b in range(8))
    seen = np.concatenate([np.unique(items) for items in first])
    assert len(seen) == len(np.unique(seen))


def twin_epoch(s, state, rate, l2, joint):
    """One epoch in float64, rating by rating, in the order of the strata."""
    q, p, bu, bi = state
    middle = q.mean(axis=0), p.mean(axis=0), bu.mean(), bi.mean()
    for wave in s.waves:
        for a, b in wave:
            at = s.begin[a, b]
            for u in range(s.first[a], s.first[a + 1]):
                for n in range(at, at + s.cells[b, u]):
                    i, w = s.item[n], s.weight[n] if s.weight.size else 1.0
                    e = s.rating[n] - bu[u] - bi[i] - q[u] @ p[i]
                    share = s.user_share[u], s.item_share[i]
                    held = [l2[0] * part + l2[1] for part in share], [l2[2] * part + l2[3] for part in share]
                    slope_q = e * p[i] - held[0][0] * q[u] - joint * (q[u] - middle[0])
                    slope_p = e * q[u] - held[0][1] * p[i] - joint * (p[i] - middle[1])
                    q[u], p[i] = q[u] + rate * w * slope_q, p[i] + rate * w * slope_p
                    bu[u] += rate * w * (e - held[1][0] * bu[u] - joint * (bu[u] - middle[2]))
                    bi[i] += rate * w * (e - held[1][1] * bi[i] - joint * (bi[i] - middle[3]))
                at += s.cells[b, u]


@pytest.mark.parametrize("joint", [0.0, 0.05])
@pytest.mark.parametrize("plain", [True, False])
def test_epochs_follow_their_twin(plain, joint):
    data, family = log_of([40, 0, 90, 7, 1, 60], 30, 1, plain), replace(FAMILY, joint=joint, decay=0.5)
    prep, states = walk(family, data, 4)
    s = prep.strata
    first = states[0]
    q, bu = first["user.factors"] / s.scale, first["user.bias"] / s.scale
    p, bi = first["shared.item_factors"][s.codes], first["shared.item_bias"][s.codes] / s.scale
    assert not q.any()
    assert 0.05 < p.std() < 0.2
    twin = [part.astype(float) for part in (q, p, bu, bi)]
    for tick in range(4):
        twin_epoch(s, twin, 0.03 / (1 + 0.5 * tick), (0.7, 0.05, 0.4, 0.02), joint)
        now = states[tick + 1]
        np.testing.assert_allclose(now["user.factors"], twin[0] * s.scale, atol=2e-5)
        np.testing.assert_allclose(now["user.bias"], twin[2] * s.scale, atol=2e-5)
        np.testing.assert_allclose(now["shared.item_factors"][s.codes], twin[1], atol=2e-5)
        np.testing.assert_allclose(now["shared.item_bias"][s.codes], twin[3] * s.scale, atol=2e-5)
    assert np.abs(twin[0]).max() > 0.01


def objective(family, s, parts, data):
    """The global objective as the docstring of the family has it, of ratings scaled to variance 1."""
    q, p, bu, bi = parts
    owner, item, rating, weight = columns(data)
    kept = (item >= 0) & (weight > 0)
    u = np.searchsorted(s.keys, entity_keys(data.users)[owner[kept]])
    i = np.argsort(s.codes)[np.searchsorted(np.sort(s.codes), item[kept])]
    w = weight[kept]
    error = (rating[kept] - s.mean) / s.scale - bu[u] - bi[i] - (q[u] * p[i]).sum(axis=1)
    total = w @ error**2
    for side, bias, place in ((q, bu, u), (p, bi, i)):
        of = np.bincount(place, w, len(bias))
        total += ((family.l2 + family.row_l2 * of) * (side**2).sum(axis=1)).sum()
        total += ((family.bias_l2 + family.bias_row_l2 * of) * bias**2).sum()
        held = family.joint * of
        total += (held * ((side - side.mean(axis=0)) ** 2).sum(axis=1)).sum() + (held * (bias - bias.mean()) ** 2).sum()
    return total / w.mean()


def test_a_small_epoch_goes_down_the_gradient_of_the_objective():
    """Numerical gradients; the means of the joint terms are held, as they are during an epoch."""
    data, family = log_of([20, 9, 14], 8, 2), replace(FAMILY, factors=2, learning_rate=1e-4, deviation=0.8)
    prep = family.prepare(data, 0)
    run = family.init(prep)
    rng = np.random.default_rng(4)
    run.users[:], run.user_bias[:] = rng.normal(0, 0.8, run.users.shape), rng.normal(0, 0.5, run.user_bias.shape)
    before = [part.astype(float) for part in (run.users, run.items, run.user_bias, run.item_bias)]
    after = family.step(run, prep)
    now = after.users, after.items, after.user_bias, after.item_bias
    moves = [new - old for new, old in zip(now, before, strict=True)]
    for part, move in zip(before, moves, strict=True):
        for at in np.ndindex(part.shape):
            kept, side = part[at], []
            for eps in (1e-4, -1e-4):
                part[at] = kept + eps
                side.append(objective(family, prep.strata, before, data))
            part[at] = kept
            slope = (side[0] - side[1]) / 2e-4
            assert move[at] == pytest.approx(-1e-4 / 2 * slope, rel=0.03, abs=3e-5)


def start_of(users, items, width, seed=5):
    """A state with planted numbers that knows every other of `users`."""
    rng = np.random.default_rng(seed)
    known = np.sort(entity_keys(users.take(pa.array(np.arange(0, len(users), 2)))))
    return {
        "mu": np.array([2.9], np.float32),
        "range": np.array([1, 5], np.float32),
        "user.key": known,
        "user.bias": rng.normal(0, 0.4, len(known)).astype(np.float32),
        "user.factors": rng.normal(0, 0.4, (len(known), width)).astype(np.float32),
        "shared.item_bias": rng.normal(0, 0.4, items).astype(np.float32),
        "shared.item_factors": rng.normal(0, 0.5, (items, width)).astype(np.float32),
    }


def orders_for(users, steps, pull, rate):
    kinds = ((steps, np.int32), (pull, np.float32), (rate, np.float32), (0, np.uint64))
    return Orders(*(np.full(users, value, kind) for value, kind in kinds))


def user_problem(family, start, data, user):
    """The user's rows (with a column of ones at the end), what they should give, weights, L2 and start, in float64."""
    one = data.select(np.array([user]))
    _, item, rating, weight = columns(one)
    kept = weight > 0
    item, rating, weight = item[kept], rating[kept], weight[kept]
    known = (item >= 0) & (item < len(start["shared.item_bias"]))
    code = np.where(known, item, 0)
    x = np.column_stack([np.where(known[:, None], start["shared.item_factors"][code], 0), np.ones(len(item))])
    y = rating - start["mu"][0] - np.where(known, start["shared.item_bias"][code], 0)
    l2 = np.full(x.shape[1], family.l2 + family.row_l2 * weight.sum())
    l2[-1] = family.bias_l2 + family.bias_row_l2 * weight.sum()
    theta, at = np.zeros(x.shape[1]), np.flatnonzero(start["user.key"] == entity_keys(one.users)[0])
    if len(at):
        theta = np.append(start["user.factors"][at[0]], start["user.bias"][at[0]]).astype(float)
    return x.astype(float), y, weight, l2, theta


def twin_user(problem, steps, pull, rate):
    x, y, weight, l2, start = problem
    if not len(y):
        return start
    product = x.T @ (weight[:, None] * x)
    vector = 2 * (np.arange(1, x.shape[1] + 1) * 0.6180339887498949 % 1) - 1
    for _ in range(8):
        vector = product @ (vector / np.linalg.norm(vector))
    bound = min(max(np.linalg.norm(vector), product.diagonal().max()), product.trace()) + l2.max() + pull
    theta = start.copy()
    for _ in range(steps):
        slope = product @ theta - x.T @ (weight * y) + l2 * theta + pull * (theta - start)
        theta = theta - rate / bound * slope
    return theta


@pytest.mark.parametrize("width", [1, 6, 32])
@pytest.mark.parametrize("plain", [True, False])
def test_personal_steps_follow_their_twin(plain, width):
    """Users with fewer and with more rows than factors, and with more rows than are summed at a time."""
    data, family = log_of([0, 1, 2, 3, 9, 16, 17, 64, 65, 300], 13, 6, plain), replace(FAMILY, factors=width)
    start = start_of(data.users, 11, width)  # two items are new to the state
    trained = family.fit_users(start, data, orders_for(len(data), 7, 0.6, 0.8))
    assert not trained.failed.any()
    own = trained.personal["factors"].values.reshape(-1, width)
    for user in range(len(data)):
        twin = twin_user(user_problem(family, start, data, user), 7, 0.6, 0.8)
        np.testing.assert_allclose(own[user], twin[:-1], atol=2e-5)
        np.testing.assert_allclose(trained.personal["bias"][user], twin[-1], atol=2e-5)


def test_many_steps_reach_the_ridge_solution():
    data, family = log_of([5, 30, 200], 20, 7), replace(FAMILY, factors=8)
    start = start_of(data.users, 20, 8)
    personal = family.fit_users(start, data, orders_for(3, 3000, 0.3, 1.0)).personal
    for user in range(3):
        x, y, weight, l2, first = user_problem(family, start, data, user)
        exact = np.linalg.solve(x.T @ (weight[:, None] * x) + np.diag(l2 + 0.3), x.T @ (weight * y) + 0.3 * first)
        found = np.append(personal["factors"].take(np.array([user])).values, personal["bias"][user])
        np.testing.assert_allclose(found, exact, atol=1e-5)


def test_margins_follow_their_twin():
    data, family = log_of([4, 9, 60], 13, 8), replace(FAMILY, factors=6)
    start = start_of(data.users, 11, 6)
    personal = family.fit_users(start, data, orders_for(3, 5, 0.0, 1.0)).personal
    for models in (personal, None):
        margins, at = family.score(start, models, data), 0
        for user in range(3):
            theta = user_problem(family, start, data, user)[-1]
            if models is not None:
                theta = np.append(models["factors"].take(np.array([user])).values, models["bias"][user])
            rows = np.arange(data.start[user], data.stop[user])
            for row in rows:
                item, margin = data.item[row], start["mu"][0] + theta[-1]
                if 0 <= item < 11:
                    margin += start["shared.item_bias"][item] + theta[:-1] @ start["shared.item_factors"][item]
                assert margins[at] == pytest.approx(np.clip(margin, 1, 5) + data.offset[row], abs=1e-5)
                at += 1


def test_steps_alone_follow_their_twin():
    """Plain gradient steps on the biases of a user's own items."""
    data, family = log_of([0, 1, 6, 40], 9, 9), replace(FAMILY, alone=True)
    start = start_of(data.users, 9, 5)
    personal = family.fit_users(start, data, orders_for(4, 6, 0.2, 0.7)).personal
    owner, item, rating, weight = columns(data)
    for user in range(4):
        own = (owner == user) & (weight > 0)
        if not own.any():
            continue
        mean = np.average(rating[own], weights=weight[own])
        codes = np.unique(item[own & (item >= 0)])
        total = np.array([weight[own & (item == code)].sum() for code in codes])
        wanted = np.array([(weight * (rating - mean))[own & (item == code)].sum() for code in codes])
        curvature = total + family.bias_l2 + family.bias_row_l2 * total + 0.2
        bias = np.zeros(len(codes))
        for _ in range(6):
            bias -= 0.7 / curvature.max(initial=1e-9) * (curvature * bias - wanted)
        one = np.array([user])
        assert personal["bias"][user] == pytest.approx(mean, abs=1e-5)
        assert personal["own_item"].take(one).values.tolist() == codes.tolist()
        np.testing.assert_allclose(personal["own_item_bias"].take(one).values, bias, atol=1e-5)
        assert not len(personal["factors"].take(one).values)
