"""Logistic regression on dense rows: reductions over many rows, local steps of many users, and margins.

Rows are read through `rows`, an array of row numbers, so that a user's events, a training split or everything is one
call without a copy. `label`, `weight` and `offset` are aligned with `rows`, not with the matrix. A parameter vector
theta is (d + 1,): the coefficients, then the intercept; x~ is a row with a 1 appended. Every sum has a fixed order that
depends on the rows given and on nothing else.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from headstart.kernels.dtypes import REAL, SUM

# Without the "numpy" error model every division is a branch, and its loop stays scalar.
in_order = njit(nogil=True, cache=True, error_model="numpy")
# Sums may be reordered, so that they vectorise. No approximate reciprocals ("arcp"), whose bits differ between
# processors, and none of the flags under which checks for NaN are deleted.
reordered = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})

# Rows whose margins are taken together: few enough to stay in the cache until their gradient is summed, and few enough
# for float32 sums, which are then added up in float64.
TILE = 128

# Multiplications with X~'WX~ that estimate its largest eigenvalue for one user.
POWER_STEPS = 8

# Whether `add_products` multiplies or differentiates. Python's own True would be compiled as a case apart.
CURVED, SLOPED = np.True_, np.False_

ZERO, HALF, REACH = REAL(0.0), REAL(0.5), REAL(18.0)
A1, A3, A5 = REAL(2.48287947061529e-01), REAL(8.51377133304701e-03), REAL(6.08574864600143e-05)
A7, A9 = REAL(1.15627324459942e-07), REAL(4.37031012579801e-11)
B0, B2, B4 = REAL(9.93151921023180e-01), REAL(1.16817656904453e-01), REAL(1.70198817374094e-03)
B6, B8, B10 = REAL(6.29106785017040e-06), REAL(5.76102136993427e-09), REAL(6.10247389755681e-13)


@reordered
def sigmoid(x):
    """1 / (1 + exp(-x)) in float32, absolute error below 2.5e-7 (so it may leave [0, 1] by as much).

    The rational minimax approximation of Eigen 3.3 (Eigen/src/Core/functors/UnaryFunctors.h): unlike exp it vectorises.
    """
    x = min(max(x, -REACH), REACH)
    z = x * x
    above = x * (A1 + z * (A3 + z * (A5 + z * (A7 + z * A9))))
    below = B0 + z * (B2 + z * (B4 + z * (B6 + z * (B8 + z * B10))))
    return HALF + above / below


@reordered
def to_residuals(margin, offset, label, weight):
    """Turn x~ . theta into the derivative of the loss, weight * (sigmoid(x~ . theta + offset) - label), in place."""
    for i in range(margin.size):
        margin[i] = weight[i] * (sigmoid(margin[i] + offset[i]) - label[i])


@reordered
def scale(margin, weight):
    """Multiply by the weights, in place."""
    for i in range(margin.size):
        margin[i] *= weight[i]


# Loops like the next two compile ten times faster than assignments to slices.
@in_order
def fill(out, value):
    """out = value."""
    for j in range(out.size):
        out[j] = value


@in_order
def copy(source, out):
    """out = source."""
    for j in range(out.size):
        out[j] = source[j]


@reordered
def dot(row, theta):
    """x . coef of one row; theta may be longer than the row."""
    total = ZERO
    for j in range(row.size):
        total += row[j] * theta[j]
    return total


@reordered
def multiply(features, rows, theta, out):
    """out[i] = x~_i . theta; four rows at a time share what is read of theta."""
    d = features.shape[1]
    full = rows.size // 4 * 4
    for i in range(0, full, 4):
        x0, x1, x2, x3 = features[rows[i]], features[rows[i + 1]], features[rows[i + 2]], features[rows[i + 3]]
        m0, m1, m2, m3 = theta[d], theta[d], theta[d], theta[d]
        for j in range(d):
            m0 += x0[j] * theta[j]
            m1 += x1[j] * theta[j]
            m2 += x2[j] * theta[j]
            m3 += x3[j] * theta[j]
        out[i], out[i + 1], out[i + 2], out[i + 3] = m0, m1, m2, m3
    for i in range(full, rows.size):
        out[i] = theta[d] + dot(features[rows[i]], theta)


@reordered
def combine(features, rows, factor, out):
    """out = sum_i factor[i] * x~_i; four rows at a time share what is read and written of out."""
    d = features.shape[1]
    fill(out, ZERO)
    full = rows.size // 4 * 4
    for i in range(0, full, 4):
        x0, x1, x2, x3 = features[rows[i]], features[rows[i + 1]], features[rows[i + 2]], features[rows[i + 3]]
        f0, f1, f2, f3 = factor[i], factor[i + 1], factor[i + 2], factor[i + 3]
        for j in range(d):
            out[j] += (x0[j] * f0 + x1[j] * f1) + (x2[j] * f2 + x3[j] * f3)
        out[d] += (f0 + f1) + (f2 + f3)
    for i in range(full, rows.size):
        x0, f0 = features[rows[i]], factor[i]
        for j in range(d):
            out[j] += x0[j] * f0
        out[d] += f0


@reordered
def add_products(features, rows, label, weight, offset, theta, curved, margin, part, total):
    """total += gradient of the summed log loss at theta, or X~'WX~ theta if `curved`.

    `curved` reads neither label nor offset. Scratch: float32 `margin` (TILE,), `part` (d + 1,); `total` is float64.
    """
    for low in range(0, rows.size, TILE):
        high = min(low + TILE, rows.size)
        tile, m = rows[low:high], margin[: high - low]
        multiply(features, tile, theta, m)
        if curved:
            scale(m, weight[low:high])
        else:
            to_residuals(m, offset[low:high], label[low:high], weight[low:high])
        combine(features, tile, m, part)
        for j in range(total.size):
            total[j] += part[j]


@reordered
def add_diagonal(features, rows, weight, total):
    """total += diagonal of X~'WX~, float64 (d + 1,)."""
    d = features.shape[1]
    for i in range(rows.size):
        x, w = features[rows[i]], weight[i]
        for j in range(d):
            total[j] += w * x[j] * x[j]
        total[d] += w


@in_order
def sum_products(features, rows, label, weight, offset, theta, curved, chunk, out):
    """out[k] = `add_products` over the rows ``k * chunk`` to ``(k + 1) * chunk``; zeros before, float64 (K, d + 1)."""
    margin, part = np.empty(TILE, REAL), np.empty(theta.size, REAL)
    for k in range(out.shape[0]):
        low, high = k * chunk, min((k + 1) * chunk, rows.size)
        x, y, w, base = rows[low:high], label[low:high], weight[low:high], offset[low:high]
        add_products(features, x, y, w, base, theta, curved, margin, part, out[k])


@in_order
def sum_diagonals(features, rows, weight, chunk, out):
    """out[k] = diagonal of X~'WX~ over the rows of chunk k, as `sum_products`."""
    for k in range(out.shape[0]):
        low, high = k * chunk, min((k + 1) * chunk, rows.size)
        add_diagonal(features, rows[low:high], weight[low:high], out[k])


@in_order
def probe(j):
    """Entry `j` of a start for power iteration, in (-1, 1): the golden-ratio sequence, like no data there are."""
    return 2.0 * ((j + 1) * 0.6180339887498949 % 1.0) - 1.0


@in_order
def aim(vector, theta):
    """Set theta to vector / |vector| (zeros if that is 0) and return |vector|."""
    square = 0.0
    for j in range(vector.size):
        square += vector[j] * vector[j]
    length = np.sqrt(square)
    for j in range(vector.size):
        theta[j] = vector[j] / length if length > 0.0 else 0.0
    return length


@in_order
def eigenvalue(features, rows, weight, theta, margin, part, total):
    """Estimate of the largest eigenvalue of X~'WX~, by power iteration.

    The estimate |A v| is never above the true value; it is kept between the largest diagonal entry and the trace, which
    bound that value. Scratch: `theta`, `part` (d + 1,), `margin` (TILE,), `total` float64 (d + 1,).
    """
    fill(total, 0.0)
    add_diagonal(features, rows, weight, total)
    trace, largest = 0.0, 0.0
    for j in range(total.size):
        trace += total[j]
        largest = max(largest, total[j])
        total[j] = probe(j)
    for _ in range(POWER_STEPS):
        aim(total, theta)
        fill(total, 0.0)
        add_products(features, rows, weight, weight, weight, theta, CURVED, margin, part, total)
    return min(max(aim(total, theta), largest), trace)


@reordered
def descend(theta, start, total, size, l2, pull):
    """theta -= size * gradient, the gradient being `total` + l2 coef + pull (theta - start)."""
    d = theta.size - 1
    for j in range(d):
        theta[j] -= size * (REAL(total[j]) + l2 * theta[j] + pull * (theta[j] - start[j]))
    theta[d] -= size * (REAL(total[d]) + pull * (theta[d] - start[d]))


@in_order
def finite(theta):
    """Whether every entry is a number."""
    for j in range(theta.size):
        if not np.isfinite(theta[j]):
            return False
    return True


@in_order
def within(theta, most):
    """Whether every entry is a number of at most that size: margins of larger ones may be none."""
    for j in range(theta.size):
        if not abs(theta[j]) <= most:
            return False
    return True


@in_order
def fit_users(features, rows, indptr, label, weight, offset, start, l2, steps, pull, rate, out, failed):
    """Local gradient steps of every user on the user's own rows, ``indptr[k]`` to ``indptr[k + 1]`` of `rows`.

    Minimises sum_i w_i logloss_i + l2/2 |coef|^2 + pull/2 |theta - start|^2 with step
    ``rate / (eigenvalue / 4 + l2 + pull)``. out: float32 (U, d + 1); failed: bool (U,), whose users keep the start.
    """
    margin, part, total = np.empty(TILE, REAL), np.empty(start.size, REAL), np.empty(start.size, SUM)
    theta = np.empty(start.size, REAL)
    for k in range(out.shape[0]):
        copy(start, out[k])
        low, high = indptr[k], indptr[k + 1]
        if low == high or steps[k] == 0:
            continue
        x, y, w, base = rows[low:high], label[low:high], weight[low:high], offset[low:high]
        bound = 0.25 * eigenvalue(features, x, w, theta, margin, part, total) + l2 + pull[k]
        size = REAL(rate[k] / bound) if bound > 0.0 else ZERO
        copy(start, theta)
        for _ in range(steps[k]):
            fill(total, 0.0)
            add_products(features, x, y, w, base, theta, SLOPED, margin, part, total)
            descend(theta, start, total, size, REAL(l2), pull[k])
        failed[k] = not (np.isfinite(bound) and finite(theta))
        if not failed[k]:
            copy(theta, out[k])


@in_order
def score_users(features, rows, indptr, offset, coef, intercept, share, values, value_ptr, columns, column_ptr, out):
    """out[i] = offset + intercept + x . w of every row, w = share * coef with `values` added at `columns`.

    User k has the rows ``indptr[k]`` to ``indptr[k + 1]``, the values ``value_ptr[k]`` to ``value_ptr[k + 1]`` and as
    many columns from ``column_ptr[k]`` on. `intercept`, `share` are (U,). A row's margin depends on that row alone.
    """
    w = np.empty(coef.size, REAL)
    for k in range(indptr.size - 1):
        for j in range(coef.size):
            w[j] = share[k] * coef[j]
        shift = column_ptr[k] - value_ptr[k]
        for v in range(value_ptr[k], value_ptr[k + 1]):
            w[columns[v + shift]] += values[v]
        for i in range(indptr[k], indptr[k + 1]):
            out[i] = offset[i] + (intercept[k] + dot(features[rows[i]], w))
