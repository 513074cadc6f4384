"""Binning, growing and scoring of trees against slow numpy twins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit

from headstart.kernels.binning import cut, encode
from headstart.kernels.grow import Growth, grow_users
from headstart.kernels.trees import score_rows, score_rows_sparse

GROWTH = Growth(4, 3, 1e-3, 0.01, 1.0, False)
L2, RATE = 2.0, 0.2


def twin_split(codes, g, h, tried):
    """Best split of a leaf: gain, feature, bin; what cannot gain is taken out of `tried`."""
    best = (0.0, -1, 0)
    own, rows = g.sum() ** 2 / (h.sum() + L2) + GROWTH.min_gain, len(g)
    for j in sorted(tried):
        bins = 64
        gs, hs = np.bincount(codes[:, j], g, bins), np.bincount(codes[:, j], h, bins)
        count = np.floor(hs * rows / h.sum() + 0.5)[::-1].cumsum()[::-1]
        right_g, right_h = gs[::-1].cumsum()[::-1], hs[::-1].cumsum()[::-1]
        left_g, left_h = g.sum() - right_g, h.sum() - right_h
        gain = left_g**2 / (left_h + L2) + right_g**2 / (right_h + L2) - own
        allowed = (count >= 3) & (rows - count >= 3) & (right_h >= 1e-3) & (left_h >= 1e-3)
        gain = np.where(allowed, gain, -1.0)[1:]
        at = len(gain) - 1 - np.argmax(gain[::-1] > gain.max() - 1e-9)
        if gain[at] <= 0:
            tried = tried - {j}
        elif gain[at] > best[0] + 1e-9:
            best = (gain[at], j, at)
    return best, tried


def twin_tree(codes, score, label, weight):
    """Splits (feature, bin) in the order they are made, with the new scores."""
    p = expit(score)
    g, h = weight * (p - label), weight * p * (1 - p)
    everything = np.arange(len(g))
    leaves = [(everything, *twin_split(codes, g, h, set(range(codes.shape[1]))))]
    made = []
    while len(leaves) < GROWTH.leaves:
        k = max(range(len(leaves)), key=lambda k: leaves[k][1][0])
        rows, (gain, j, b), tried = leaves[k]
        if gain <= 0:
            break
        made.append((j, b))
        halves = rows[codes[rows, j] <= b], rows[codes[rows, j] > b]
        children = [(half, *twin_split(codes[half], g[half], h[half], tried)) for half in halves]
        leaves[k] = children[0]
        leaves.append(children[1])
    for rows, _, _ in leaves if made else ():
        score[rows] -= RATE * g[rows].sum() / (h[rows].sum() + L2)
    return made, score


def drawn(n, width, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, width)).astype(np.float32)
    x[:, ::2] = np.round(x[:, ::2])
    label = (rng.random(n) < expit(2 * np.tanh(x[:, 0] - x[:, 1] * x[:, 2]))).astype(np.float32)
    return x, label, rng.uniform(0.5, 2, n).astype(np.float32), rng.normal(0, 0.3, n)


@pytest.mark.parametrize(("n", "width"), [(180, 5), (40, 70), (9, 3)])
def test_growing_follows_its_twin(n, width):
    x, label, weight, base = drawn(n, width, n)
    rows, ends = np.arange(n), np.array([0, n])
    upper, upper_ptr = cut((x,), rows, width)
    (codes,) = encode((x,), rows, upper, upper_ptr)
    asked = np.array([8], np.int32), np.array([L2]), np.array([RATE], np.float32), np.zeros(1, np.uint64)
    forest, *_ = grow_users((codes,), upper, upper_ptr, rows, ends, label, weight, base, *asked, GROWTH)
    score, expected = base.copy(), []
    for _ in range(8):
        made, score = twin_tree(codes, score, label, weight)
        if not made:
            break
        expected += made
    assert forest.feature.tolist() == [j for j, _ in expected]
    np.testing.assert_array_equal(forest.threshold, [upper[upper_ptr[j] + b] for j, b in expected])
    ours = base.copy()
    score_rows(x, rows, *forest[:6], ours)
    np.testing.assert_allclose(ours, score, atol=1e-6)


def twin_score(row, size, feature, threshold, left, right, value):
    total, first = 0.0, 0
    for t, splits in enumerate(size):
        node = 0 if splits else -1
        while node >= 0:
            x = row[feature[first + node]]
            goes_left = (0 if np.isnan(x) else x) <= threshold[first + node]
            node = (left if goes_left else right)[first + node]
        total += value[first + t - 1 - node]
        first += splits
    return total


def test_scores_follow_their_twin_in_both_layouts():
    rng = np.random.default_rng(1)
    # Three trees, one of them a leaf; the last is a chain to the right.
    size = np.array([1, 0, 3], np.int16)
    feature = np.array([4, 0, 2, 4], np.int32)
    threshold = np.array([0.5, -0.2, 0.1, 0.0], np.float32)
    left, right = np.array([-1, -1, -2, -3], np.int16), np.array([-2, 1, 2, -4], np.int16)
    value = rng.normal(size=7)
    x = np.where(rng.random((500, 6)) < 0.5, 0, rng.standard_normal((500, 6))).astype(np.float32)
    x[3, 4], x[7, 0] = np.nan, np.nan
    rows, out = rng.permutation(500)[:333], np.ones(333)
    forest = size, feature, threshold, left, right, value
    score_rows(x, rows, *forest, out)
    np.testing.assert_allclose(out, [1 + twin_score(x[i], *forest) for i in rows], rtol=1e-12)
    made, sparse = csr_array(x), np.ones(333)
    matrix = made.data, made.indices.astype(np.int32), made.indptr.astype(np.int64)
    score_rows_sparse(*matrix, rows, *forest, sparse)
    np.testing.assert_array_equal(sparse, out)


@pytest.mark.parametrize("most", [2, 16, 63])
def test_bins_hold_what_their_bounds_say(most):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3000, 5)).astype(np.float32)
    x[:, 1] = rng.integers(0, 2, 3000)
    x[:, 2] = np.where(rng.random(3000) < 0.9, 0, x[:, 2])
    x[:, 3], x[5, 4] = 7, np.nan
    rows = np.sort(rng.permutation(3000)[:2000])
    upper, upper_ptr = cut((x,), rows, 5, most)
    (codes,) = encode((x,), rows, upper, upper_ptr)
    made = csr_array(np.nan_to_num(x))
    matrix = made.data, made.indices.astype(np.int32), made.indptr.astype(np.int64)
    for one, other in zip(cut(matrix, rows, 5, most), (upper, upper_ptr), strict=True):
        np.testing.assert_array_equal(one, other)
    stored, columns, pointers, zero = encode(matrix, rows, upper, upper_ptr)
    filled = np.tile(zero, (2000, 1))
    filled[np.repeat(np.arange(2000), np.diff(pointers)), columns] = stored
    np.testing.assert_array_equal(filled, codes)
    for j in range(5):
        bounds = upper[upper_ptr[j] : upper_ptr[j + 1]]
        assert np.isinf(bounds[-1])
        assert (np.diff(bounds[:-1]) > 0).all()
        assert len(bounds) == min(most, len(np.unique(np.nan_to_num(x[rows, j]))))
        np.testing.assert_array_equal(codes[:, j], np.searchsorted(bounds, np.nan_to_num(x[rows, j])))
    # Zeros, 90 % of a column, have a bin of their own, and the others share what is left of them.
    if most > 2:
        sizes = np.bincount(codes[:, 2])
        assert np.sort(sizes)[-2] < 2.5 * (2000 - sizes.max()) / (most - 1)
