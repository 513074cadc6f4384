"""Sums of regression trees: what rows score, for one ensemble and for every user's own.

An ensemble of T trees with S splits in all is six flat arrays, in the order of the trees:

- size int16 (T,): splits of each tree; it has one leaf more
- feature int32 (S,), threshold float32 (S,): a row goes left where its value <= threshold
- left, right int16 (S,): the child, as a split's number within the tree, or ``-1 - leaf``
- value float64 (S + T,): leaf outputs, shrinkage included

The first t trees are a prefix of each. Numbering and decisions are LightGBM's, without categorical splits and without
a direction for missing values: NaN counts as 0. Rows are read through `rows`; `out` float64 is aligned with `rows`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from headstart.kernels.dtypes import COLUMN, REAL

in_order = njit(nogil=True, cache=True, error_model="numpy")

# Rows that go through all trees together, while a tree and the rows stay in the cache.
TILE = 64

ZERO = REAL(0.0)


@in_order
def leaf_of(row, feature, threshold, left, right, first):
    """Number within its tree of the leaf that `row` (d,) reaches; the tree's splits begin at `first`."""
    node = 0
    while node >= 0:
        x = row[feature[first + node]]
        if np.isnan(x):
            x = ZERO
        node = left[first + node] if x <= threshold[first + node] else right[first + node]
    return -1 - node


@in_order
def add_trees(features, rows, size, feature, threshold, left, right, value, out):
    """out[i] += the sum of all trees at row ``rows[i]`` of `features`, float32 (n, d)."""
    for low in range(0, rows.size, TILE):
        high, first = min(low + TILE, rows.size), 0
        for t in range(size.size):
            # Every earlier tree has one leaf more than splits.
            leaves = first + t
            if size[t] == 0:
                for i in range(low, high):
                    out[i] += value[leaves]
            else:
                for i in range(low, high):
                    out[i] += value[leaves + leaf_of(features[rows[i]], feature, threshold, left, right, first)]
            first += size[t]


@in_order
def name_places(feature, place):
    """Number the features that occur in `feature`, in `place` (-1 elsewhere); return them renamed, and their count."""
    renamed, count = np.empty_like(feature), 0
    for s in range(feature.size):
        if place[feature[s]] < 0:
            place[feature[s]] = count
            count += 1
        renamed[s] = place[feature[s]]
    return renamed, count


@in_order
def add_trees_sparse(values, columns, pointers, rows, size, feature, threshold, left, right, value, place, out):
    """As `add_trees` for CSR rows; scratch: `place` int32, a -1 for every feature, and so again on return."""
    renamed, count = name_places(feature, place)
    dense, order = np.zeros((TILE, max(count, 1)), REAL), np.arange(TILE)
    for low in range(0, rows.size, TILE):
        high = min(low + TILE, rows.size)
        for i in range(low, high):
            row = dense[i - low]
            for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
                if columns[v] < place.size and place[columns[v]] >= 0:
                    row[place[columns[v]]] = values[v]
        add_trees(dense, order[: high - low], size, renamed, threshold, left, right, value, out[low:high])
        for i in range(low, high):
            for j in range(count):
                dense[i - low, j] = ZERO
    for s in range(feature.size):
        place[feature[s]] = -1


@in_order
def widest(feature):
    """One more than the largest feature that occurs."""
    width = 0
    for s in range(feature.size):
        width = max(width, feature[s] + 1)
    return width


@in_order
def score_rows(features, rows, size, feature, threshold, left, right, value, out):
    """`add_trees`, under the name that both layouts have."""
    add_trees(features, rows, size, feature, threshold, left, right, value, out)


@in_order
def score_rows_sparse(values, columns, pointers, rows, size, feature, threshold, left, right, value, out):
    """`score_rows` for CSR rows."""
    place = np.full(widest(feature), -1, COLUMN)
    add_trees_sparse(values, columns, pointers, rows, size, feature, threshold, left, right, value, place, out)


@in_order
def score_users(
    features, rows, indptr, size, size_ptr, feature, split_ptr, threshold, left, right, value, value_ptr, out
):  # fmt: skip
    """out[i] += the sum of the own trees of the user who has row i.

    User k has the rows ``rows[indptr[k]:indptr[k + 1]]``, and of the columns above the entries from ``size_ptr[k]``,
    ``split_ptr[k]`` and ``value_ptr[k]`` on (each int64 (U + 1,)).
    """
    for k in range(indptr.size - 1):
        low, high, s, e = indptr[k], indptr[k + 1], split_ptr[k], split_ptr[k + 1]
        add_trees(
            features, rows[low:high], size[size_ptr[k] : size_ptr[k + 1]], feature[s:e], threshold[s:e],
            left[s:e], right[s:e], value[value_ptr[k] : value_ptr[k + 1]], out[low:high],
        )  # fmt: skip


@in_order
def score_users_sparse(
    values, columns, pointers, rows, indptr, size, size_ptr, feature, split_ptr, threshold, left, right, value,
    value_ptr, out,
):  # fmt: skip
    """`score_users` for CSR rows."""
    place = np.full(widest(feature), -1, COLUMN)
    for k in range(indptr.size - 1):
        low, high, s, e = indptr[k], indptr[k + 1], split_ptr[k], split_ptr[k + 1]
        add_trees_sparse(
            values, columns, pointers, rows[low:high], size[size_ptr[k] : size_ptr[k + 1]], feature[s:e],
            threshold[s:e], left[s:e], right[s:e], value[value_ptr[k] : value_ptr[k + 1]], place, out[low:high],
        )  # fmt: skip
