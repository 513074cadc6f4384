"""The re-fitted item side and users' posteriors, against variational Bayes written down in numpy."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from headstart.data.blocks import Blocks
from headstart.errors import DataError
from headstart.models.family import Orders, take_users
from headstart.models.mf import MatrixFactorization, posterior
from headstart.testing.recommender import RecommenderContract
from headstart.training import train_path

FAMILY = MatrixFactorization(factors=3, rounds=4)


def ratings(users=60, items=25, weighted=True, seed=0):
    """Ratings of planted factors; user 0 has none, and a row has an item that training cannot know."""
    rng = np.random.default_rng(seed)
    counts = np.r_[0, 1, rng.integers(3, 40, users - 2)].astype(np.int64)
    stop, n = np.cumsum(counts), int(counts.sum())
    owner, item = np.repeat(np.arange(users), counts), rng.integers(0, items, n).astype(np.int32)
    taste = (rng.normal(0, 0.7, (users, 2))[owner] * rng.normal(0, 0.7, (items, 2))[item]).sum(axis=1)
    label = 3 + rng.normal(0, 0.5, users)[owner] + rng.normal(0, 0.5, items)[item] + taste + rng.normal(0, 0.4, n)
    item[-1] = -1
    more = {"weight": rng.uniform(0, 2, n).round(1), "offset": rng.normal(0, 0.3, n)} if weighted else {}
    columns = {name: values.astype(np.float32) for name, values in more.items()}
    ids = pa.array([f"user {number:03d}" for number in range(users)])
    return Blocks(
        np.zeros((n, 0), np.float32), ids, stop - counts, stop, label.astype(np.float32), item=item, **columns
    )


def table(data, mean, count):
    """User, item, rating less offset and mean, and weight of the rows that count."""
    rows, owner = data.rows(), np.repeat(np.arange(len(data)), data.counts)
    weight = (data.weight if data.weight.size else np.ones(len(rows)))[rows].astype(float)
    offset = (data.offset if data.offset.size else np.zeros(len(rows)))[rows].astype(float)
    kept = (weight > 0) & (data.item[rows] >= 0) & (data.item[rows] < count)
    y = data.label[rows].astype(float) - offset - mean
    return owner[kept], data.item[rows][kept], y[kept], weight[kept]


def posterior_of(x, extra, y, w, precision, mean, noise):
    """N(theta, V) of one user from rows x, items' variances `extra` (n, d) whose last column is the bias's."""
    ridge = np.append((w[:, None] * extra).sum(axis=0)[:-1], 0.0)
    V = np.linalg.inv(precision + ((x * w[:, None]).T @ x + np.diag(ridge)) / noise)
    return V @ (precision @ mean + x.T @ (w * y) / noise), V


def moments(means, covariances):
    centre = means.mean(axis=0)
    return centre, covariances.mean(axis=0) + (means - centre).T @ (means - centre) / len(means)


def naive(start, data, rounds):
    """Expected ratings of every user for every item, and the noise, after so many rounds."""
    mu, count = float(start["mu"][0]), len(start["shared.item_bias"])
    u, i, y, w = table(data, mu, count)
    users, u = np.unique(u, return_inverse=True)
    scale = np.sqrt(np.average(y**2, weights=w))
    theta = np.column_stack([start["user.factors"], start["user.bias"]]).astype(float)
    item = np.column_stack([start["shared.item_factors"], start["shared.item_bias"]]).astype(float)
    d, ratio = theta.shape[1], theta[:, :-1].std() / scale
    theta[:, :-1] /= ratio
    item[:, :-1] *= ratio
    m, S = theta.mean(axis=0), np.cov(theta.T) + 1e-3 * scale**2 * np.eye(d)
    W, w0 = np.linalg.inv(np.diag([*[10.0] * (d - 1), 4 / scale**2])), np.zeros(d)
    noise, variance = 0.6 * scale**2, np.zeros((count, d))
    for _ in range(rounds or 2):
        P, error, T, V = np.linalg.inv(S), 0.0, np.zeros((len(users), d)), np.zeros((len(users), d, d))
        for k in range(len(users)):
            own = u == k
            x = np.column_stack([item[i[own], :-1], np.ones(own.sum())])
            T[k], V[k] = posterior_of(x, variance[i[own]], y[own] - item[i[own], -1], w[own], P, m, noise)
            q2 = T[k, :-1] ** 2 + np.diag(V[k])[:-1]
            spread = np.einsum("nd,de,ne->n", x, V[k], x) + variance[i[own], :-1] @ q2 + variance[i[own], -1]
            error += w[own] @ ((y[own] - item[i[own], -1] - x @ T[k]) ** 2 + spread)
        noise, (m, S) = error / len(y), moments(T, V)
        if not rounds:
            continue
        Q, C = np.linalg.inv(W), np.zeros((count, d, d))
        for c in range(count):
            those = i == c
            z = np.column_stack([T[u[those], :-1], np.ones(those.sum())])
            extra = V[u[those]].copy()
            pulled, both = extra[:, -1, :].copy(), extra
            pulled[:, -1] = 0
            both[:, -1, :] = both[:, :, -1] = 0
            C[c] = np.linalg.inv(Q + ((z * w[those, None]).T @ z + np.tensordot(w[those], both, 1)) / noise)
            item[c] = C[c] @ (Q @ w0 + (z.T @ (w[those] * (y[those] - T[u[those], -1])) - w[those] @ pulled) / noise)
            variance[c] = np.diag(C[c])
        rated = np.isin(np.arange(count), i)
        w0, W = moments(item[rated], C[rated])
        item[~rated], variance[~rated] = w0, np.diag(W)
    P, everybody = np.linalg.inv(S), np.tile(m, (len(data), 1))
    for k, user in enumerate(users):
        own = u == k
        x = np.column_stack([item[i[own], :-1], np.ones(own.sum())])
        everybody[user] = posterior_of(x, variance[i[own]], y[own] - item[i[own], -1], w[own], P, m, noise)[0]
    return mu + everybody @ np.column_stack([item[:, :-1], np.ones(count)]).T + item[:, -1], noise


def orders(users, steps=1):
    every = np.ones(users, np.float32)
    return Orders(np.full(users, steps, np.int32), 0 * every, every, np.arange(users, dtype=np.uint64))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_it_is_variational_bayes(weighted, rounds):
    data, family = ratings(weighted=weighted), replace(FAMILY, rounds=rounds)
    end = train_path(family, data, 15).end()
    state = family.refit(end, data, 1)
    personal = family.fit_users(state, data, orders(len(data))).personal
    wanted, noise = naive(end, data, rounds)
    assert state["shared.noise"][0] == pytest.approx(noise, rel=1e-4)
    items = np.arange(wanted.shape[1], dtype=np.int32)
    scores = family.score_items(state, personal, data.users, family.catalogue(state, items))
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=2e-4)


def test_threads_and_the_order_of_users_change_nothing(monkeypatch):
    """Bit for bit for threads; up to rounding for users in another order."""
    monkeypatch.setattr(posterior, "ROWS", 64)
    data = ratings()
    end = train_path(FAMILY, data, 10).end()
    one, two = FAMILY.refit(end, data, 1), FAMILY.refit(end, data, 3)
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    turned = data.select(np.arange(len(data))[::-1].copy())
    other = FAMILY.refit(end, turned, 2)
    for name in one:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-3, atol=1e-4)


def test_a_posterior_needs_own_rows_only():
    """Alone, or among others: the same bits. Without rows, or steps, a user is the mean user."""
    data = ratings()
    state = FAMILY.refit(train_path(FAMILY, data, 10).end(), data, 1)
    together = FAMILY.fit_users(state, data, orders(len(data))).personal
    for user in (0, 1, 7):
        alone = FAMILY.fit_users(state, data.select(np.array([user])), orders(1)).personal
        some = take_users(together, np.array([user]))
        assert alone["bias"].tobytes() == some["bias"].tobytes()
        assert alone["factors"].values.tobytes() == some["factors"].values.tobytes()
    view = data.select(np.array([5]))
    idle = FAMILY.fit_users(state, view, orders(1, steps=0)).personal
    np.testing.assert_array_equal(FAMILY.score(state, idle, view), FAMILY.score(state, None, view))


def test_users_far_from_all_others_are_served_as_far_as_numbers_go():
    data = ratings(weighted=False)
    state = FAMILY.refit(train_path(FAMILY, data, 10).end(), data, 1)
    label = data.label.copy()
    label[data.start[5] : data.stop[5]] = np.inf
    trained = FAMILY.fit_users(state, replace(data, label=label), orders(len(data)))
    assert np.flatnonzero(trained.failed).tolist() == [5]


def test_nothing_to_fit_to_is_said():
    data = ratings()
    end = train_path(FAMILY, data, 3).end()
    with pytest.raises(DataError, match="no rating has a weight and a known item"):
        FAMILY.refit(end, replace(data, item=np.full_like(data.item, -1)), 1)


def test_it_predicts_what_was_left_out_better_than_the_path_did():
    data = ratings(users=400, items=60, weighted=False, seed=3)
    held = np.random.default_rng(1).random(len(data.label)) < 0.25
    training = replace(data, weight=np.where(held, 0, 1).astype(np.float32))
    family = MatrixFactorization(factors=6)
    end = train_path(family, training, 40).end()
    state = family.refit(end, training, 2)
    personal = family.fit_users(state, training, orders(len(data))).personal
    before, after = (
        np.sqrt(np.mean((margins - data.label)[held[data.rows()]] ** 2))
        for margins in (family.score(end, None, data), family.score(state, personal, data))
    )
    assert after < before - 0.01


class TestRefitted(RecommenderContract):
    def make(self):
        return FAMILY

    def data(self):
        return ratings()

    def trained(self, data):
        state = FAMILY.refit(train_path(FAMILY, data, self.TICKS).end(), data, 1)
        return state, FAMILY.fit_users(state, data, orders(len(data))).personal
