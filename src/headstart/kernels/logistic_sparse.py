"""Logistic regression on CSR rows: the verbs of `headstart.kernels.logistic`, at the cost of the stored values.

A matrix is its three arrays: values float32, columns int32, pointers int64 (n + 1,).
"""

from __future__ import annotations

import numpy as np

from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM
from headstart.kernels.logistic import (
    CURVED,
    POWER_STEPS,
    SLOPED,
    ZERO,
    aim,
    descend,
    fill,
    finite,
    in_order,
    probe,
    sigmoid,
)


@in_order
def add_products(values, columns, pointers, rows, label, weight, offset, theta, curved, total):
    """total += gradient of the summed log loss at theta, or X~'WX~ theta if `curved`; float64 (d + 1,)."""
    d = theta.size - 1
    for i in range(rows.size):
        low, high = pointers[rows[i]], pointers[rows[i] + 1]
        m = theta[d]
        for v in range(low, high):
            m += values[v] * theta[columns[v]]
        factor = weight[i] * m if curved else weight[i] * (sigmoid(m + offset[i]) - label[i])
        for v in range(low, high):
            total[columns[v]] += factor * values[v]
        total[d] += factor


@in_order
def add_diagonal(values, columns, pointers, rows, weight, total):
    """total += diagonal of X~'WX~, float64 (d + 1,), for rows that name no column twice."""
    for i in range(rows.size):
        for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
            total[columns[v]] += weight[i] * values[v] * values[v]
        total[-1] += weight[i]


@in_order
def sum_products(values, columns, pointers, rows, label, weight, offset, theta, curved, chunk, out):
    """out[k] = `add_products` over the rows ``k * chunk`` to ``(k + 1) * chunk``; zeros before, float64 (K, d + 1)."""
    for k in range(out.shape[0]):
        low, high = k * chunk, min((k + 1) * chunk, rows.size)
        x, y, w, base = rows[low:high], label[low:high], weight[low:high], offset[low:high]
        add_products(values, columns, pointers, x, y, w, base, theta, curved, out[k])


@in_order
def sum_diagonals(values, columns, pointers, rows, weight, chunk, out):
    """out[k] = diagonal of X~'WX~ over the rows of chunk k, as `sum_products`."""
    for k in range(out.shape[0]):
        low, high = k * chunk, min((k + 1) * chunk, rows.size)
        add_diagonal(values, columns, pointers, rows[low:high], weight[low:high], out[k])


@in_order
def active_columns(columns, pointers, rows, indptr, width):
    """Return the sorted, distinct columns of every user's rows, int32, and where each user's begin, int64 (U + 1,)."""
    users = indptr.size - 1
    reader = np.full(width, -1, ROW)
    begin = np.zeros(users + 1, ROW)
    for k in range(users):
        begin[k + 1] = begin[k]
        for i in range(indptr[k], indptr[k + 1]):
            for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
                if reader[columns[v]] != k:
                    reader[columns[v]] = k
                    begin[k + 1] += 1
    active = np.empty(begin[users], COLUMN)
    for k in range(users):
        end = begin[k]
        for i in range(indptr[k], indptr[k + 1]):
            for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
                if reader[columns[v]] != users + k:
                    reader[columns[v]] = users + k
                    active[end] = columns[v]
                    end += 1
        active[begin[k] : end].sort()
    return active, begin


@in_order
def gather(values, columns, pointers, rows, place, own_values, own_columns, own_pointers):
    """Copy rows side by side, their columns renumbered by `place`."""
    end = 0
    for i in range(rows.size):
        own_pointers[i] = end
        for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
            own_values[end], own_columns[end] = values[v], place[columns[v]]
            end += 1
    own_pointers[rows.size] = end


@in_order
def largest_user(pointers, rows, indptr):
    """Return the most rows and the most stored values that any user has."""
    most_rows, most_values = 0, 0
    for k in range(indptr.size - 1):
        stored = 0
        for i in range(indptr[k], indptr[k + 1]):
            stored += pointers[rows[i] + 1] - pointers[rows[i]]
        most_rows, most_values = max(most_rows, indptr[k + 1] - indptr[k]), max(most_values, stored)
    return most_rows, most_values


@in_order
def eigenvalue(values, columns, pointers, rows, weight, active, width, theta, total):
    """Estimate of the largest eigenvalue of X~'WX~, as in the dense module; started at the same vector.

    `columns` are places in `active`, their names in a matrix of `width`. Scratch (a + 1,): `theta`, `total`.
    """
    fill(total, 0.0)
    add_diagonal(values, columns, pointers, rows, weight, total)
    trace, largest = 0.0, 0.0
    for j in range(total.size):
        trace += total[j]
        largest = max(largest, total[j])
        total[j] = probe(active[j] if j < active.size else width)
    for _ in range(POWER_STEPS):
        aim(total, theta)
        fill(total, 0.0)
        add_products(values, columns, pointers, rows, weight, weight, weight, theta, CURVED, total)
    return min(max(aim(total, theta), largest), trace)


@in_order
def fit_users(
    values, columns, pointers, rows, indptr, label, weight, offset, start, l2, steps, pull, rate,
    active, active_ptr, intercept, share, change, failed,
):  # fmt: skip
    """Local gradient steps of every user, as in the dense module, on the columns that the user's own rows hold.

    A coefficient of any other column j has the gradient l2 w_j + pull (w_j - start_j), so it stays a multiple of
    start_j, the same for all of them: share <- share - size (l2 share + pull (share - 1)), from 1. The user's
    coefficients are then ``share * start`` with `change` added at the active columns.

    Parameters
    ----------
    active, active_ptr : from `active_columns`
    intercept, share : float32 (U,), change : float32, as `active`, failed : bool (U,); filled in
    """
    width = start.size - 1
    n, stored = largest_user(pointers, rows, indptr)
    own_values, own_columns, own_pointers = np.empty(stored, REAL), np.empty(stored, COLUMN), np.empty(n + 1, ROW)
    own_rows, place = np.arange(n), np.empty(width, COLUMN)
    parameters, origin, gradient = np.empty(start.size, REAL), np.empty(start.size, REAL), np.empty(start.size, SUM)
    for k in range(intercept.size):
        intercept[k], share[k] = start[width], REAL(1.0)
        names, moved = active[active_ptr[k] : active_ptr[k + 1]], change[active_ptr[k] : active_ptr[k + 1]]
        fill(moved, ZERO)
        low, high = indptr[k], indptr[k + 1]
        if low == high or steps[k] == 0:
            continue
        a = names.size
        theta, begin, total = parameters[: a + 1], origin[: a + 1], gradient[: a + 1]
        for j in range(a):
            place[names[j]], begin[j] = j, start[names[j]]
        begin[a] = start[width]
        gather(values, columns, pointers, rows[low:high], place, own_values, own_columns, own_pointers)
        x, y, w, base = own_rows[: high - low], label[low:high], weight[low:high], offset[low:high]
        bound = (
            0.25 * eigenvalue(own_values, own_columns, own_pointers, x, w, names, width, theta, total) + l2 + pull[k]
        )
        size = REAL(rate[k] / bound) if bound > 0.0 else ZERO
        kept = 1.0
        for j in range(a + 1):
            theta[j] = begin[j]
        for _ in range(steps[k]):
            fill(total, 0.0)
            add_products(own_values, own_columns, own_pointers, x, y, w, base, theta, SLOPED, total)
            descend(theta, begin, total, size, REAL(l2), pull[k])
            kept -= size * (l2 * kept + pull[k] * (kept - 1.0))
        failed[k] = not (np.isfinite(bound) and np.isfinite(kept) and finite(theta))
        if not failed[k]:
            intercept[k], share[k] = theta[a], kept
            for j in range(a):
                moved[j] = theta[j] - share[k] * begin[j]


@in_order
def score_users(
    values, columns, pointers, rows, indptr, offset, coef, intercept, share,
    change, change_ptr, active, active_ptr, out,
):  # fmt: skip
    """out[i] = offset + intercept + x . w of every row, as in the dense module."""
    added = np.zeros(coef.size, REAL)
    for k in range(indptr.size - 1):
        shift = active_ptr[k] - change_ptr[k]
        for v in range(change_ptr[k], change_ptr[k + 1]):
            added[active[v + shift]] += change[v]
        for i in range(indptr[k], indptr[k + 1]):
            m = intercept[k]
            for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
                m += values[v] * (share[k] * coef[columns[v]] + added[columns[v]])
            out[i] = offset[i] + m
        for v in range(change_ptr[k], change_ptr[k + 1]):
            added[active[v + shift]] = ZERO
