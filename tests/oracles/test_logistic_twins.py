"""The logistic kernels against slow numpy twins, scipy and scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.linear_model import LogisticRegression as Peer

from headstart.data.blocks import Blocks
from headstart.kernels.logistic import to_residuals
from headstart.kernels.logistic_sparse import worth_packing
from headstart.models.family import Orders
from headstart.models.logistic import LogisticRegression, expand


def log_of(counts, width, seed, layout="dense", plain=False, share=1.0):
    """A log with planted coefficients; rows of different users do not touch each other."""
    rng = np.random.default_rng(seed)
    stop = np.cumsum(np.asarray(counts) + 1) - 1
    n = int(stop[-1] + 1)
    x = rng.standard_normal((n, width), dtype=np.float32) * (rng.random((n, width)) < share)
    x = np.ascontiguousarray(x, np.float32)
    label = (rng.random(n) < expit(x @ rng.normal(0, 0.7, width) - 0.3)).astype(np.float32)
    weight = np.empty(0, np.float32) if plain else rng.uniform(0, 3, n).astype(np.float32)
    offset = np.empty(0, np.float32) if plain else rng.normal(0, 1, n).astype(np.float32)
    features = x if layout == "dense" else csr_array(x)
    users = pa.array(np.arange(len(counts)))
    return Blocks(features, users, stop - counts, stop, label, weight, offset)


def twin_of(data):
    """The rows in float64: features with a column of ones, labels, weights, offsets."""
    rows = data.rows()
    x = data.features.toarray() if isinstance(data.features, csr_array) else data.features
    x = np.column_stack([x[rows], np.ones(len(rows))]).astype(float)
    weight = data.weight[rows].astype(float) if data.weight.size else np.ones(len(rows))
    offset = data.offset[rows].astype(float) if data.offset.size else np.zeros(len(rows))
    return x, data.label[rows].astype(float), weight, offset


def gradient(theta, x, y, weight, offset, l2):
    slope = x.T @ (weight * (expit(x @ theta + offset) - y))
    slope[:-1] += l2 * theta[:-1]
    return slope


def twin_eigenvalue(x, weight):
    """Eight power steps from the golden-ratio start, kept between the largest diagonal entry and the trace."""
    product = x.T @ (weight[:, None] * x)
    vector = 2 * (np.arange(1, x.shape[1] + 1) * 0.6180339887498949 % 1) - 1
    for _ in range(8):
        vector = product @ (vector / np.linalg.norm(vector))
    return min(max(np.linalg.norm(vector), product.diagonal().max()), product.trace())


def twin_user(theta0, data, l2, steps, pull, rate):
    x, y, weight, offset = twin_of(data)
    theta = theta0.copy()
    if len(y) == 0:
        return theta
    bound = 0.25 * twin_eigenvalue(x, weight) + l2 + pull
    for _ in range(steps):
        theta = theta - rate / bound * (gradient(theta, x, y, weight, offset, l2) + pull * (theta - theta0))
    return theta


def walk(family, data, ticks):
    prep = family.prepare(data, 0)
    run = family.init(prep)
    states = []
    for _ in range(ticks):
        run = family.step(run, prep)
        states.append(np.append(family.state(run)["coef"], family.state(run)["intercept"]))
    return prep, np.array(states)


def test_sigmoid_error_is_as_stated():
    x = np.linspace(-40, 40, 200_001, dtype=np.float32)
    ours, zeros = x.copy(), np.zeros_like(x)
    to_residuals(ours, zeros, zeros, np.ones_like(x))
    assert 0 < np.abs(ours - expit(x.astype(float))).max() < 2.5e-7


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("plain", [True, False])
def test_global_path_follows_its_twin(layout, plain):
    data = log_of([40, 0, 300, 7, 1], 11, 1, layout, plain)
    prep, path = walk(LogisticRegression(l2=2.0, momentum=False), data, 60)
    x, y, weight, offset = twin_of(data)
    theta = np.zeros(12)
    for state in path:
        theta = theta - gradient(theta, x, y, weight, offset, 2.0) / prep.bound
        np.testing.assert_allclose(state, theta, rtol=2e-5, atol=2e-6)


def test_momentum_reaches_the_optimum_of_scikit_learn_sooner():
    data = log_of([200, 700, 90], 9, 2, plain=True)
    peer = Peer(C=1 / 3.0, tol=1e-10, max_iter=2000).fit(data.features[data.rows()], data.label[data.rows()])
    best = np.append(peer.coef_[0], peer.intercept_)
    _, fast = walk(LogisticRegression(l2=3.0, momentum=True), data, 60)
    _, slow = walk(LogisticRegression(l2=3.0, momentum=False), data, 60)
    np.testing.assert_allclose(fast[-1], best, atol=2e-5)
    # Well conditioned data: plain descent is there too; momentum must not be behind half-way.
    assert np.abs(fast[10] - best).max() < np.abs(slow[10] - best).max()


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("plain", [True, False])
def test_personal_models_follow_their_twin(layout, plain):
    counts = [30, 0, 1, 129, 400, 12, 3]
    data = log_of(counts, 13, 3, layout, plain, share=0.3)
    rng = np.random.default_rng(4)
    start = {"coef": rng.normal(0, 0.5, 13).astype(np.float32), "intercept": np.array([0.2], np.float32)}
    users = len(counts)
    orders = Orders(
        np.array([50, 9, 20, 35, 0, 3, 60], np.int32),
        np.array([0, 1, 2, 0.5, 1, 0, 10], np.float32),
        np.array([1, 1, 0.25, 0.25, 1, 0.5, 1], np.float32),
        np.zeros(users, np.uint64),
    )
    trained = LogisticRegression(l2=0.7).fit_users(start, data, orders)
    coef = expand(start, trained.personal)
    assert not trained.failed.any()
    theta0 = np.append(start["coef"], start["intercept"]).astype(float)
    for k in range(users):
        own = data.select(np.array([k]))
        theta = twin_user(theta0, own, 0.7, orders.steps[k], float(orders.pull[k]), float(orders.rate[k]))
        np.testing.assert_allclose(coef[k], theta[:-1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(trained.personal["intercept"][k], theta[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_heavy_tailed_users_of_many_csr_columns_follow_their_twin(kind):
    """Users on both sides of whatever a kernel does differently with many rows; columns as common as 1 / rank."""
    counts = [1, 2, 7, 40, 129, 300, 800]
    data = log_of(counts, 351, 8, plain=True, share=np.minimum(1, 16 / np.arange(1, 352)))
    features = csr_array(data.features)
    features.indices = features.indices.astype(kind)
    packed = [
        bool(worth_packing(-(-n // 8) * 8, -(-np.unique(own.indices).size // 8) * 8, own.nnz))
        for n, low, high in zip(counts, data.start, data.stop, strict=True)
        for own in (features[low:high],)
    ]
    assert set(packed) == {True, False}
    rng = np.random.default_rng(9)
    start = {"coef": rng.normal(0, 0.3, 351).astype(np.float32), "intercept": np.array([-1], np.float32)}
    pull, rate = np.array([0, 16] * 3 + [16], np.float32), np.array([1, 1, 0.5] * 2 + [1], np.float32)
    orders = Orders(np.full(7, 40, np.int32), pull, rate, np.zeros(7, np.uint64))
    trained = LogisticRegression().fit_users(start, replace(data, features=features), orders)
    coef = expand(start, trained.personal)
    theta0 = np.append(start["coef"], start["intercept"]).astype(float)
    for k in range(len(counts)):
        theta = twin_user(theta0, data.select(np.array([k])), 1.0, 40, float(pull[k]), float(rate[k]))
        np.testing.assert_allclose(coef[k], theta[:-1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(trained.personal["intercept"][k], theta[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_margins_and_losses_follow_their_twin(layout):
    data = log_of([30, 0, 5, 250], 13, 5, layout, share=0.4)
    rng = np.random.default_rng(6)
    start = {"coef": rng.normal(0, 1, 13).astype(np.float32), "intercept": np.array([-0.4], np.float32)}
    orders = Orders(
        *(np.full(4, v, t) for v, t in ((20, np.int32), (0.1, np.float32), (1, np.float32), (0, np.uint64)))
    )
    family = LogisticRegression()
    personal = family.fit_users(start, data, orders).personal
    x, y, _, offset = twin_of(data)
    theta = np.column_stack([expand(start, personal), personal["intercept"]]).astype(float)
    mine = (x * np.repeat(theta, data.counts, axis=0)).sum(axis=1) + offset
    everybody = x @ np.append(start["coef"], start["intercept"]) + offset
    margins = family.score(start, personal, data)
    assert margins.dtype == np.float32
    np.testing.assert_allclose(margins, mine, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(family.score(start, None, data), everybody, rtol=1e-5, atol=1e-5)
    p = expit(margins.astype(float))
    np.testing.assert_allclose(
        family.loss(margins, data.label[data.rows()]), -np.log(np.where(y > 0, p, 1 - p)), rtol=1e-9
    )


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_converged_personal_models_equal_scikit_learn(layout):
    data = log_of([150, 60, 90], 6, 7, layout)
    data = Blocks(data.features, data.users, data.start, data.stop, data.label, data.weight)
    start = {"coef": np.zeros(6, np.float32), "intercept": np.zeros(1, np.float32)}
    orders = Orders(
        *(np.full(3, v, t) for v, t in ((3000, np.int32), (0, np.float32), (1, np.float32), (0, np.uint64)))
    )
    trained = LogisticRegression(l2=1.5).fit_users(start, data, orders)
    coef = expand(start, trained.personal)
    for k in range(3):
        x, y, weight, _ = twin_of(data.select(np.array([k])))
        peer = Peer(C=1 / 1.5, tol=1e-10, max_iter=2000).fit(x[:, :-1], y, weight)
        np.testing.assert_allclose(coef[k], peer.coef_[0], atol=3e-5)
        np.testing.assert_allclose(trained.personal["intercept"][k], peer.intercept_[0], atol=3e-5)
