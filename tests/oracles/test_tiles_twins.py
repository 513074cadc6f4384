"""The tiles under the logistic kernels, and packed against stored rows, against numpy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numba import njit
from scipy.sparse import csr_array

from headstart.data.blocks import Blocks
from headstart.kernels import logistic, logistic_sparse
from headstart.kernels.lanes import entries, keep, load, store, sums, total, transposed
from headstart.kernels.tiles import add_squares, combine, lay, multiply, padded
from headstart.models.family import Orders
from headstart.models.logistic import LogisticRegression, expand


@njit
def products(features, rows, theta, weight, margin, slope, squares):
    d, n = features.shape[1], padded(rows.size)
    slab = np.empty(n * padded(d), np.float32)
    s, p = entries(slab), padded(d)
    lay(entries(features), d, entries(rows), 0, rows.size, s, 0)
    multiply(s, 0, n, p, entries(theta), entries(margin))
    combine(s, 0, n, p, entries(weight), entries(slope))
    add_squares(s, 0, n, p, entries(weight), 0, entries(squares))
    keep((slab, margin))


@njit
def shuffle(x, summed, turned):
    a, b, c, d = load(x, 0), load(x, 8), load(x, 16), load(x, 24)
    e, f, g, h = load(x, 32), load(x, 40), load(x, 48), load(x, 56)
    store(summed, 0, sums(a, b, c, d, e, f, g, h))
    t = transposed(a, b, c, d, e, f, g, h)
    for at, value in ((0, t[0]), (8, t[1]), (16, t[2]), (24, t[3]), (32, t[4]), (40, t[5]), (48, t[6]), (56, t[7])):
        store(turned, at, value)
    return total(a)


def test_lanes_are_summed_and_turned():
    x = np.random.default_rng(0).integers(-99, 99, 64).astype(np.float32)
    summed, turned = np.empty(8, np.float32), np.empty(64, np.float32)
    assert shuffle(x, summed, turned) == x[:8].sum()
    assert summed.tolist() == x.reshape(8, 8).sum(axis=1).tolist()
    assert turned.reshape(8, 8).tolist() == x.reshape(8, 8).T.tolist()


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("d", [0, 1, 7, 8, 9, 20, 49])
def test_products_of_a_tile_equal_numpy(n, d):
    """Whole numbers, so that no order of sums makes a difference; rows and features that pad add nothing."""
    rng = np.random.default_rng(n * 100 + d)
    x = rng.integers(-9, 9, (n + 5, d)).astype(np.float32)
    rows = rng.permutation(n + 5)[:n]
    wide, long = -(-d // 8) * 8, -(-n // 8) * 8
    theta, weight = np.zeros(wide + 8, np.float32), np.zeros(long, np.float32)
    theta[:d], theta[wide], weight[:n] = rng.integers(-9, 9, d), 3, rng.integers(0, 9, n)
    margin, slope, squares = np.empty(long, np.float32), np.empty(wide + 8, np.float32), np.zeros(wide + 1)
    products(x, rows, theta, weight, margin, slope, squares)
    own, w = x[rows], weight[:n]
    assert margin[:n].tolist() == (own @ theta[:d] + 3).tolist()
    assert slope[: wide + 1].tolist() == [*(w @ own), *[0] * (wide - d), w.sum()]
    assert squares.tolist() == [*(w @ own**2), *[0] * (wide - d), w.sum()]


@pytest.mark.parametrize("d", [3, 8, 13])
def test_sums_over_chunks_equal_numpy(d):
    rng = np.random.default_rng(d)
    x, rows = rng.integers(-9, 9, (700, d)).astype(np.float32), rng.permutation(700)[:500]
    theta, weight = rng.integers(-9, 9, d + 1).astype(np.float32), rng.integers(0, 9, 500).astype(np.float32)
    out, empty = np.zeros((3, d + 1)), np.empty(0, np.float32)
    logistic.sum_products(x, rows, empty, weight, empty, theta, logistic.CURVED, 199, out)
    own = np.column_stack([x[rows], np.ones(500)]).astype(float)
    for k, part in enumerate(np.split(np.arange(500), [199, 398])):
        product = own[part].T @ (weight[part] * (own[part] @ theta))
        np.testing.assert_allclose(out[k], product, rtol=1e-5, atol=1e-2)


def test_packed_rows_train_the_models_of_stored_rows():
    """The same user, with and without a column that makes packing too dear."""
    rng = np.random.default_rng(3)
    n, d = 150, 400
    x = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.2)
    x[:, 40:] = 0
    rare = x.copy()
    # Columns of one tiny value each leave the rest as it was, but make 400 columns of 40.
    rare[np.arange(360) % n, np.arange(40, 400)] = 1e-12
    label = (rng.random(n) < 0.5).astype(np.float32)
    start = {"coef": np.zeros(d, np.float32), "intercept": np.zeros(1, np.float32)}
    orders = Orders(*(np.full(1, v, t) for v, t in ((25, "i4"), (0.1, "f4"), (1, "f4"), (0, "u8"))))
    found = []
    for values in (x, rare):
        matrix = csr_array(values.astype(np.float32))
        p = -(-np.unique(matrix.indices).size // 8) * 8
        found.append(bool(logistic_sparse.worth_packing(152, p, matrix.nnz)))
        data = Blocks(matrix, pa.array([0]), np.array([0]), np.array([n]), label)
        found.append(expand(start, LogisticRegression().fit_users(start, data, orders).personal))
    packed, one, stored, other = found
    assert (packed, stored) == (True, False)
    np.testing.assert_allclose(one[:, :40], other[:, :40], rtol=2e-3, atol=2e-4)
    assert np.abs(one[:, :40]).max() > 0.05


@pytest.mark.parametrize("width", [1, 63, 64, 65, 1000])
@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_active_columns_are_the_distinct_ones(width, kind):
    rng = np.random.default_rng(width)
    counts, stored = np.array([3, 0, 1, 40]), rng.integers(0, min(width, 9) + 1, 50)
    stored[:3] = 0
    pointers = np.concatenate([[0], np.cumsum(stored)])
    columns = np.concatenate([rng.choice(width, n, replace=False) for n in stored]).astype(kind)
    rows, indptr = rng.permutation(np.arange(3, 50))[:44], np.concatenate([[0], np.cumsum(counts)])
    rows[:3] = 0, 1, 2
    active, begin = logistic_sparse.active_columns(columns, pointers, rows, indptr, width)
    for k in range(4):
        own = [columns[pointers[i] : pointers[i + 1]] for i in rows[indptr[k] : indptr[k + 1]]]
        assert active[begin[k] : begin[k + 1]].tolist() == np.unique(np.concatenate([*own, []])).tolist()
    assert active.dtype == np.int32
    assert begin[1] == 0 < begin[4] == active.size
