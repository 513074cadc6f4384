"""Factorisation machines against the double sum of their definition, numerical gradients and slow numpy twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

from headstart.data.blocks import EMPTY, Blocks
from headstart.data.vocab import entity_keys
from headstart.kernels.machines import train_pieces
from headstart.models.family import USER_KEY, Orders
from headstart.models.fm import FactorizationMachine
from headstart.models.fm.strata import GROUPS
from headstart.testing.toys import toy_blocks

K = 3


def state_of(data, items, seed=0, squared=False):
    """A state with every number drawn; the last user of `data` is unknown to it."""
    rng = np.random.default_rng(seed)
    key = np.sort(entity_keys(data.users[:-1]))
    draw = lambda *shape: rng.normal(0, 0.5, shape).astype(np.float32)  # noqa: E731
    d, users = data.width, len(key)
    return {
        "w0": draw(1), "weights": draw(d), "shared.factors": draw(d, K), USER_KEY: key,
        "user.weight": draw(users), "user.factors": draw(users, K),
        "shared.item_weight": draw(items), "shared.item_factors": draw(items, K),
        "scale": np.array([1.7 if squared else 1.0], np.float32), "range": np.array([-2.0, 3.0], np.float32),
    }  # fmt: skip


def machine_of(state, data):
    """w0, then rows with one-hot items and users in full (n, D), w (D,) and V (D, K), in float64."""
    rows = data.rows()
    x = data.features.toarray() if isinstance(data.features, csr_array) else data.features
    items, key = len(state["shared.item_weight"]), state[USER_KEY]
    item = data.item[rows] if data.item.size else np.full(len(rows), -1)
    owner = np.repeat(entity_keys(data.users), data.counts)
    blocks = [x[rows], item[:, None] == np.arange(items), owner[:, None] == key]
    w = np.concatenate([state["weights"], state["shared.item_weight"], state["user.weight"]])
    v = np.vstack([state["shared.factors"], state["shared.item_factors"], state["user.factors"]])
    return float(state["w0"][0]), np.hstack(blocks).astype(float), w.astype(float), v.astype(float)


def double_sum(w0, x, w, v):
    """The definition, equation 1 of Rendle (2010): a loop over pairs."""
    y = np.full(len(x), w0)
    for n, row in enumerate(x):
        for i in range(len(row)):
            y[n] += w[i] * row[i]
            for j in range(i + 1, len(row)):
                y[n] += (v[i] @ v[j]) * row[i] * row[j]
    return y


def pairs(w0, x, w, v):
    """The same in one line, for where the double sum is too slow; held against it below."""
    return w0 + x @ w + 0.5 * ((x @ v) ** 2 - x**2 @ v**2).sum(axis=1)


@pytest.fixture(params=["dense", "csr", "no features", "no items", "unknown items"])
def data(request):
    width = 0 if request.param == "no features" else 7
    blocks = toy_blocks(6, width=width, sparse=request.param == "csr", seed=3)
    changed = {"no items": np.empty(0, np.int32), "unknown items": np.where(blocks.item % 2, -1, blocks.item)}
    return replace(blocks, item=changed.get(request.param, blocks.item).astype(np.int32))


@pytest.mark.parametrize("squared", [False, True])
def test_margins_are_the_double_sum(data, squared):
    state = state_of(data, 5, squared=squared)  # codes from 5 on are of items that it does not know
    offset = data.offset[data.rows()]
    whole = machine_of(state, data)
    expected = double_sum(*whole)
    np.testing.assert_allclose(pairs(*whole), expected, rtol=1e-9, atol=1e-9)
    if squared:
        expected = np.clip(expected * state["scale"], -2, 3)
    margins = FactorizationMachine(objective="squared" if squared else "logistic", factors=K).score(state, None, data)
    np.testing.assert_allclose(margins, expected + offset, rtol=1e-4, atol=1e-4)


class Twin:
    """A user's own objective in float64, as the docstring of the family puts it."""

    def __init__(self, family, state, data, user, pull):
        self.family, self.pull = family, pull
        one = data.select(np.array([user]))
        rows = one.rows()
        self.w0, full, w, v = machine_of(state, one)
        self.weight = one.weight[rows].astype(float)
        self.label, self.offset = one.label[rows].astype(float), one.offset[rows].astype(float)
        self.squared = family.objective == "squared"
        if self.squared:
            self.label, self.offset = (self.label - self.offset) / float(state["scale"][0]), 0.0
        d, items = one.width, len(state["shared.item_weight"])
        users = np.flatnonzero(state[USER_KEY] == entity_keys(one.users)[0])
        own = d + items + users[0] if len(users) else None
        self.x, self.w, self.v = full[:, : d + items], w[: d + items], v[: d + items]
        self.own = d + items if family.personal_items else d
        bias, factors = (0.0, np.zeros(K)) if own is None else (w[own], v[own])
        self.touched = np.flatnonzero((self.x[:, : self.own] != 0).any(axis=0))
        table = self.v[self.touched].ravel() if family.personal_factors else np.empty(0)
        self.start = np.concatenate([[bias], self.w[self.touched], factors, table])
        self.l2_of = np.r_[np.full(d, family.feature_l2), np.full(items, family.item_l2)]

    def parts(self, theta):
        a = len(self.touched)
        w, v = self.w.copy(), self.v.copy()
        w[self.touched] = theta[1 : 1 + a]
        if self.family.personal_factors:
            v[self.touched] = theta[1 + a + K :].reshape(a, K)
        return theta[0], w, theta[1 + a : 1 + a + K], v

    def margins(self, theta):
        bias, w, factors, v = self.parts(theta)
        ones = np.ones((len(self.x), 1))
        return self.offset + pairs(self.w0, np.hstack([self.x, ones]), np.append(w, bias), np.vstack([v, factors]))

    def loss(self, theta):
        m, f = self.margins(theta), self.family
        bias, w, factors, v = self.parts(theta)
        there = (self.x != 0)[:, self.touched]
        losses = 0.5 * (m - self.label) ** 2 if self.squared else np.logaddexp(0, m) - self.label * m
        unit = 1.0 if self.squared else 0.5
        l2 = f.weight_l2 * (bias**2 + there @ w[self.touched] ** 2) + f.user_l2 * (factors @ factors)
        if f.personal_factors:
            l2 = l2 + there @ (self.l2_of[self.touched] * (v[self.touched] ** 2).sum(axis=1))
        flat = f.own_l2 * (bias**2 + factors @ factors) + self.pull * ((theta - self.start) ** 2).sum()
        return self.weight @ (losses + 0.5 * unit * l2) + 0.5 * flat

    def gradient(self, theta, h=1e-6):
        steps = np.eye(len(theta)) * h
        return np.array([(self.loss(theta + step) - self.loss(theta - step)) / (2 * h) for step in steps])

    def bound(self):
        """The trace of J'WJ at the start, J by differences: no eigenvalue is above it."""
        h, theta = 1e-5, self.start
        steps = np.eye(len(theta)) * h
        j = np.array([(self.margins(theta + step) - self.margins(theta - step)) / (2 * h) for step in steps])
        values = np.linalg.eigvalsh((j * self.weight) @ j.T)
        return values[-1]

    def theta_of(self, personal, user, column):
        columns, begin = personal["columns"], personal["columns"].indptr[user]
        mine = columns.values[begin : columns.indptr[user + 1]]
        assert sorted(mine) == list(self.touched)
        assert list(mine) == sorted(mine)
        at = slice(begin, begin + len(mine))
        parts = [personal["bias"][user : user + 1], personal["weights"].values[at]]
        parts.append(personal["factors"].values[user * K : (user + 1) * K])
        if self.family.personal_factors:
            parts.append(personal[column].values[begin * K : (begin + len(mine)) * K])
        return np.concatenate(parts).astype(float)


SETTINGS = {
    "logistic": {},
    "squared": {"objective": "squared", "own_l2": 0.7},
    "items": {"objective": "squared", "personal_items": True},
    "factors": {"personal_factors": True, "feature_l2": 0.3},
    "everything": {"personal_factors": True, "personal_items": True, "objective": "squared", "weight_l2": 0.2},
}


def fit(family, state, data, steps, pull, rate):
    users = len(data)
    kinds = ((steps, np.int32), (pull, np.float32), (rate, np.float32), (0, np.uint64))
    return family.fit_users(state, data, Orders(*(np.full(users, value, kind) for value, kind in kinds)))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_a_local_step_goes_along_the_numerical_gradient(name, layout):
    data = toy_blocks(6, width=7, sparse=layout == "csr", seed=3)
    family = FactorizationMachine(factors=K, **SETTINGS[name])
    state = state_of(data, 7, squared=family.objective == "squared")
    trained = fit(family, state, data, 1, 0.4, 0.2)
    assert not trained.failed.any()
    for user in (1, 3, 5):  # of one row, of many, unknown to the state
        twin = Twin(family, state, data, user, 0.4)
        moved = twin.theta_of(trained.personal, user, "column_factors") - twin.start
        gradient = twin.gradient(twin.start)
        size = -(moved @ gradient) / (gradient @ gradient)
        np.testing.assert_allclose(moved, -size * gradient, rtol=2e-3, atol=2e-5 * np.abs(moved).max() + 2e-6)
        # The size is rate / bound: no less than the eigenvalue with all L2 allows, eight power steps short of it.
        heavy, own = twin.weight.sum(), family.own_l2 + 0.4
        curvature = (1.0 if twin.squared else 0.25) * twin.bound()
        l2 = max(
            family.weight_l2, family.user_l2, *((family.feature_l2, family.item_l2) if family.personal_factors else ())
        )
        assert 0.2 / (curvature + l2 * heavy + own) <= size * (1 + 2e-3)
        assert size <= 0.2 / (0.75 * curvature + own)


@pytest.mark.parametrize("name", ["logistic", "squared", "items"])
def test_many_local_steps_reach_the_optimum(name):
    """With V still the objective is convex: scipy's optimum is the only one."""
    data = toy_blocks(6, width=4, seed=3)
    family = FactorizationMachine(factors=K, **{"own_l2": 1.0, **SETTINGS[name]})
    state = state_of(data, 7, squared=family.objective == "squared")
    trained = fit(family, state, data, 4000, 2.0, 1.0)
    for user in (1, 3, 5):
        twin = Twin(family, state, data, user, 2.0)
        best = minimize(twin.loss, twin.start, jac=twin.gradient, method="BFGS", options={"gtol": 1e-6}).x
        np.testing.assert_allclose(twin.theta_of(trained.personal, user, ""), best, atol=5e-4)


def test_personal_margins_are_the_double_sum():
    data = toy_blocks(6, width=7, sparse=True, seed=3)
    for settings in SETTINGS.values():
        family = FactorizationMachine(factors=K, **settings)
        state = state_of(data, 7, squared=family.objective == "squared")
        personal = fit(family, state, data, 5, 0.1, 0.5).personal
        every = np.empty(len(data.label))
        every[data.rows()] = family.score(state, personal, data)
        for user in (1, 3, 5):
            twin, rows = Twin(family, state, data, user, 0.0), data.select(np.array([user])).rows()
            m = twin.margins(twin.theta_of(personal, user, "column_factors"))
            m = np.clip(m * state["scale"], -2, 3) + data.offset[rows] if twin.squared else m
            np.testing.assert_allclose(every[rows], m, rtol=1e-4, atol=1e-4)


def in_units(family):
    """With the rate and the L2 that log-loss has."""
    if family.objective == "squared":
        return family
    l2 = {name: getattr(family, name) / 2 for name in ("weight_l2", "user_l2", "item_l2", "feature_l2", "joint")}
    return replace(family, learning_rate=2 * family.learning_rate, **l2)


def epoch_twin(family, strata, p, seen, means):
    """One epoch in float64: row by row for users and items, batch by batch for features."""
    values, columns, pointers, active, begin, bounds, user, item, label, weight, offset = strata.arrays
    w0, w, v, bu, vu, bi, vi = p
    rate, squared = family.learning_rate, family.objective == "squared"
    for first in strata.batches:
        gw0, gw, gv = 0.0, np.zeros_like(w), np.zeros_like(v)
        for piece in range(first, first + GROUPS):
            names = active[begin[piece] : begin[piece + 1]]
            for i in range(bounds[piece], bounds[piece + 1]):
                x = np.zeros(len(w))
                x[names[columns[pointers[i] : pointers[i + 1]]]] = values[pointers[i] : pointers[i + 1]]
                u, t, there = user[i], item[i], bool(item[i] >= 0)
                rows = np.vstack([vu[u], vi[t]]) if there else vu[u][None]
                s = x @ v + rows.sum(axis=0)
                m = w0[0] + x @ w + bu[u] + (bi[t] if there else 0) + offset[i]
                m += 0.5 * (s @ s - (x**2) @ (v**2).sum(axis=1) - (rows**2).sum())
                e = weight[i] * ((m if squared else expit(m)) - label[i])
                gw0 += e
                gw += e * x + weight[i] * family.weight_l2 * (x != 0) * w
                gv += e * (np.outer(x, s) - (x**2)[:, None] * v)
                gv += weight[i] * family.feature_l2 * (x != 0)[:, None] * v
                slope = sum(1 + ((s - row) ** 2).sum() for row in rows)
                size = rate * e / (1 + rate * (1 if squared else 0.25) * weight[i] * slope)
                r = rate * weight[i] / (1 + rate * weight[i])
                sides = [(u, bu, vu, family.user_l2, means[0])] + [(t, bi, vi, family.item_l2, means[1])] * there
                for n, b, f, l2, mean in sides:
                    f[n] += -size * (s - f[n]) - r * l2 * f[n] - r * family.joint * (f[n] - mean[:-1])
                    b[n] += -size - r * family.weight_l2 * b[n] - r * family.joint * (b[n] - mean[-1])
        for value, gradient, squares in zip((w0, w, v), (np.array([gw0]), gw, gv), seen, strict=True):
            squares += gradient**2
            value -= family.feature_rate * gradient / np.sqrt(squares + 1e-20)


@pytest.mark.parametrize("objective", ["logistic", "squared"])
@pytest.mark.parametrize("layout", ["dense", "csr", "no items"])
def test_an_epoch_follows_its_twin(objective, layout):
    data = toy_blocks(20, width=5, sparse=layout == "csr", seed=5)
    if layout == "no items":
        data = replace(data, item=np.empty(0, np.int32))
    family = FactorizationMachine(objective, factors=K, joint=0.3, spread=0.4, learning_rate=0.1, decay=0.0)
    prep = family.prepare(data, 3)
    run = family.init(prep)
    twin = [array.astype(float) for array in run.sweep.parameters.in_order]
    seen = [np.zeros_like(array) for array in twin[:3]]
    for _ in range(2):
        means = [np.append(twin[n + 1].sum(axis=0), twin[n].sum()) / max(1, len(twin[n])) for n in (3, 5)]
        run = family.step(run, prep)
        epoch_twin(in_units(family), prep.strata, twin, seen, means)
    for mine, theirs in zip(run.sweep.parameters.in_order, twin, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("squared", [False, True])
def test_feature_sums_are_the_numerical_gradient(squared):
    """At a learning rate of 0 nothing but features has a gradient, and theirs is of the summed loss."""
    data = toy_blocks(20, width=5, seed=5)
    family = FactorizationMachine("squared" if squared else "logistic", factors=K, learning_rate=0.0, feature_rate=1.0)
    family = replace(family, weight_l2=0.0, feature_l2=0.0, spread=0.5)
    prep = family.prepare(data, 3)
    s, run = prep.strata, family.init(prep)
    p = run.sweep.parameters.in_order
    none = np.zeros(K + 1, np.float32)
    sums, products = np.empty((GROUPS, 6, 3), np.float32), np.empty((GROUPS, 6, K), np.float32)
    train_pieces(0, GROUPS, 0, *s.arrays, *p, none, none, *np.zeros(5, np.float32), squared, sums, products)
    values, columns, pointers, active, begin, bounds, user, item, label, weight, offset = s.arrays
    stop = bounds[GROUPS]
    x = np.zeros((stop, 5))
    for piece in range(GROUPS):
        for i in range(bounds[piece], bounds[piece + 1]):
            at = slice(pointers[i], pointers[i + 1])
            x[i, active[begin[piece] : begin[piece + 1]][columns[at]]] = values[at]
    hot = [item[:stop, None] == np.arange(s.items), user[:stop, None] == np.arange(len(s.key))]
    full = np.hstack([x, *hot]).astype(float)
    w0, w, v, bu, vu, bi, vi = (array.astype(float) for array in p)

    def loss(v):
        m = offset[:stop] + pairs(w0[0], full, np.concatenate([w, bi, bu]), np.vstack([v, vi, vu]))
        y = label[:stop]
        return weight[:stop] @ (0.5 * (m - y) ** 2 if squared else np.logaddexp(0, m) - y * m)

    gradient = np.zeros_like(v)
    for piece in range(GROUPS):
        names = active[begin[piece] : begin[piece + 1]]
        np.add.at(gradient, names, products[piece, : len(names)] - sums[piece, : len(names), 1:2] * v[names])
    h = 1e-5
    for j in range(5):
        for f in range(K):
            step = np.zeros_like(v)
            step[j, f] = h
            numerical = (loss(v + step) - loss(v - step)) / (2 * h)
            np.testing.assert_allclose(gradient[j, f], numerical, rtol=1e-3, atol=1e-3)


def test_with_users_and_items_alone_it_is_a_biased_factorisation():
    data = replace(toy_blocks(6, width=0, seed=3), offset=EMPTY)
    state = state_of(data, 9)
    margins = FactorizationMachine(factors=K).score(state, None, data)
    rows = data.rows()
    at = np.searchsorted(state[USER_KEY], entity_keys(data.users[:-1]))
    owner = np.repeat(np.arange(6), data.counts)
    known = owner < 5
    u, i = at[np.minimum(owner, 4)], data.item[rows]
    expected = state["w0"] + state["shared.item_weight"][i]
    pair = (state["user.factors"][u] * state["shared.item_factors"][i]).sum(axis=1)
    expected = expected + known * (state["user.weight"][u] + pair)
    np.testing.assert_allclose(margins, expected, rtol=1e-5, atol=1e-5)


def test_users_may_come_in_any_type_of_id():
    numbers = Blocks(np.zeros((2, 0), np.float32), pa.array([3, 40]), np.array([0, 1]), np.array([1, 2]))
    texts = replace(numbers, users=pa.array(["3", "40"]))
    state = state_of(replace(numbers, users=pa.array([3, 40, 7])), 0)
    family = FactorizationMachine(factors=K)
    assert family.score(state, None, numbers).tobytes() == family.score(state, None, texts).tobytes()
