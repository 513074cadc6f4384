"""Bins of features: where everybody's values are cut, and the bin of each value.

Bin b of a feature holds the values up to its upper bound b, the last of which is infinity; NaN counts as 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from headstart.kernels.dtypes import REAL, ROW

in_order = njit(nogil=True, cache=True, error_model="numpy")

MOST = 63
"""Bins of a feature at most."""

SAMPLE = 200_000
"""Rows that bounds are chosen on at most, evenly spaced; as many as LightGBM takes by default."""

STEPS = np.array([32, 16, 8, 4, 2, 1])
ZERO = REAL(0.0)


@in_order
def runs(sorted_values, zeros, distinct, count):
    """Distinct values of a column and how often each occurs, with `zeros` zeros more; return how many."""
    found = 0
    pending = zeros
    for v in range(sorted_values.size + 1):
        last = v == sorted_values.size
        if pending > 0 and (last or sorted_values[v] >= ZERO):
            distinct[found], count[found] = ZERO, pending
            found, pending = found + 1, 0
        if not last:
            if found > 0 and distinct[found - 1] == sorted_values[v]:
                count[found - 1] += 1
            else:
                distinct[found], count[found] = sorted_values[v], 1
                found += 1
    return found


@in_order
def between(low, high):
    """A bound with low <= bound < high, half-way if float32 can."""
    middle = REAL(0.5 * (float(low) + float(high)))
    return middle if middle < high else low


@in_order
def cut_runs(distinct, count, most, upper):
    """Upper bounds of at most `most` bins, but the last; return how many.

    LightGBM's greedy rule (GreedyFindBin): a value that is more than a bin's share has a bin of its own, the others
    share what bins are left evenly.
    """
    if distinct.size <= most:
        for k in range(distinct.size - 1):
            upper[k] = between(distinct[k], distinct[k + 1])
        return max(distinct.size - 1, 0)
    rest, bins = count.sum(), most
    large = rest / most
    for k in range(distinct.size):
        if count[k] >= large:
            rest, bins = rest - count[k], bins - 1
    share = rest / max(bins, 1)
    found, held = 0, 0
    for k in range(distinct.size - 1):
        alone, held = count[k] >= large, held + count[k]
        if not alone:
            rest -= count[k]
        if alone or held >= share or (count[k + 1] >= large and held >= max(1.0, 0.5 * share)):
            upper[found] = between(distinct[k], distinct[k + 1])
            found, held = found + 1, 0
            if found == most - 1:
                break
            if not alone:
                bins -= 1
                share = rest / max(bins, 1)
    return found


@in_order
def cut_columns(values, column_ptr, rows, most, upper_ptr):
    """Upper bounds of every column, whose sorted values begin at ``column_ptr[j]``; the rest of `rows` are zeros."""
    longest = 0
    for j in range(column_ptr.size - 1):
        longest = max(longest, column_ptr[j + 1] - column_ptr[j])
    distinct, count = np.empty(longest + 1, REAL), np.empty(longest + 1, ROW)
    upper, bounds = np.empty((column_ptr.size - 1) * most, REAL), np.empty(most, REAL)
    end = 0
    for j in range(column_ptr.size - 1):
        own = values[column_ptr[j] : column_ptr[j + 1]]
        found = runs(own, rows - own.size, distinct, count)
        cuts = cut_runs(distinct[:found], count[:found], most, bounds)
        for k in range(cuts):
            upper[end + k] = bounds[k]
        upper[end + cuts] = np.inf
        end += cuts + 1
        upper_ptr[j + 1] = end
    return upper[:end].copy()


@in_order
def pad(upper, upper_ptr):
    """Upper bounds as a table (d, 64), filled up with infinity, for a search without branches."""
    table = np.full((upper_ptr.size - 1, 64), np.inf, REAL)
    for j in range(upper_ptr.size - 1):
        for k in range(upper_ptr[j], upper_ptr[j + 1] - 1):
            table[j, k - upper_ptr[j]] = upper[k]
    return table


@in_order
def find(bounds, x):
    """The first of 64 bounds that is not below x."""
    if np.isnan(x):
        x = ZERO
    b = 0
    for step in STEPS:
        b += step * (x > bounds[b + step - 1])
    return b


@in_order
def code_dense(features, rows, upper, upper_ptr):
    """Bins of the rows, uint8 (n, d), of `features` float32 (N, d)."""
    table, codes = pad(upper, upper_ptr), np.empty((rows.size, features.shape[1]), np.uint8)
    for i in range(rows.size):
        for j in range(features.shape[1]):
            codes[i, j] = find(table[j], features[rows[i], j])
    return codes


@in_order
def search(upper, low, high, x):
    """The bin of x, whose feature's bounds are ``upper[low:high]``."""
    if np.isnan(x):
        x = ZERO
    first, left = low, high - low
    while left > 1:
        half = left // 2
        first += half if x > upper[first + half - 1] else 0
        left -= half
    return first - low


@in_order
def code_sparse(values, columns, pointers, rows, upper, upper_ptr):
    """Bins of the stored values of CSR rows: codes uint8, columns int32, pointers int64 (n + 1,), zero uint8 (d,)."""
    begin = np.zeros(rows.size + 1, ROW)
    for i in range(rows.size):
        begin[i + 1] = begin[i] + pointers[rows[i] + 1] - pointers[rows[i]]
    codes, names = np.empty(begin[-1], np.uint8), np.empty(begin[-1], columns.dtype)
    zero = np.empty(upper_ptr.size - 1, np.uint8)
    for j in range(zero.size):
        zero[j] = search(upper, upper_ptr[j], upper_ptr[j + 1], ZERO)
    for i in range(rows.size):
        shift = begin[i] - pointers[rows[i]]
        for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
            j = columns[v]
            codes[v + shift] = search(upper, upper_ptr[j], upper_ptr[j + 1], values[v])
            names[v + shift] = j
    return codes, names, begin, zero


def cut(
    matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64], width: int, most: int = MOST
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cut every feature into at most `most` bins, on a sample of at most `SAMPLE` of the `rows`.

    Parameters
    ----------
    matrix : ``(features,)`` float32 (N, d), or ``(values, columns, pointers)`` of CSR rows
    rows : int64 (n,), row numbers
    width : number of features d
    most : 2 to 63

    Returns
    -------
    upper, upper_ptr : float32 and int64 (d + 1,); feature j has the bounds ``upper[upper_ptr[j]:upper_ptr[j + 1]]``
    """
    rows = rows[:: -(-max(len(rows), 1) // SAMPLE)]
    if len(matrix) == 1:
        ordered = np.sort(_numbers(matrix[0][rows]).T, axis=1)
        values, column_ptr = ordered.reshape(-1), np.arange(width + 1, dtype=ROW) * len(rows)
    else:
        begin, lengths = matrix[2][rows], matrix[2][rows + 1] - matrix[2][rows]
        stored = np.arange(lengths.sum()) + np.repeat(begin - np.cumsum(lengths) + lengths, lengths)
        values, columns = _numbers(matrix[0][stored]), matrix[1][stored]
        values = values[np.lexsort((values, columns))]
        column_ptr = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=width))]).astype(ROW)
    upper_ptr = np.zeros(width + 1, ROW)
    upper: NDArray[np.float32] = cut_columns(values, column_ptr, len(rows), most, upper_ptr)
    return upper, upper_ptr


def _numbers(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(np.isnan(values), REAL(0), values)


def encode(
    matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64], upper: NDArray[np.float32], upper_ptr: NDArray[np.int64]
) -> tuple[NDArray[Any], ...]:
    """Bins of `rows` of a matrix, in their order, as `headstart.kernels.grow.grow_users` takes them."""
    if len(matrix) == 1:
        return (code_dense(matrix[0], rows, upper, upper_ptr),)
    kernel: Any = code_sparse
    codes: tuple[NDArray[Any], ...] = kernel(*matrix, rows, upper, upper_ptr)
    return codes
