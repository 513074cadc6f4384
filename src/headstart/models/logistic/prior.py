"""How much users differ from the global model, coefficient by coefficient: a prior's variances, by moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse import csr_array
from scipy.special import expit, logsumexp

from headstart.data.blocks import Blocks, aligned
from headstart.kernels.dtypes import REAL, SUM
from headstart.kernels.moments import FLOOR, ROWS, TINY, of_user, some_users
from headstart.models.family import State

Matrix = NDArray[np.float64]

APART = 128
"""Variances at most that are told apart: with more features, those of about equal weight in the log share one."""

READ, IN_ALL = 512, 100_000
"""Rows of a user that are read at most, evenly spaced, and of all users about."""


LEAST = 1e-4
"""Of a feature's squares: the share that lies within users, if it is to vary there."""


SHIFTS = 6 * np.sinh(3 * np.linspace(-1, 1, 41)) / np.sinh(3)
DEVIATIONS = np.geomspace(0.02, 4, 48)
"""Grids of an intercept, denser around 0, and of its standard deviation."""


@dataclass(frozen=True)
class Spread:
    """How users' parameters spread around the global model.

    Attributes
    ----------
    variance : float32 (d + 1,), the intercept's last; 0 for features that do not vary within users, such as their age
    slope : the variance of a coefficient, if all had the same
    curvature : of the log-loss by a margin, p (1 - p), mean over rows
    """

    variance: NDArray[np.float32]
    slope: float
    curvature: float

    def alike(self) -> NDArray[np.float32]:
        """Variances (d + 1,) of which all slopes have one."""
        variance = np.full_like(self.variance, self.slope)
        variance[-1] = self.variance[-1]
        return np.where(self.variance > 0, variance, REAL(0))


def spread(start: State, data: Blocks) -> Spread:
    """Of slopes by the moments of users' gradients at `start`, of intercepts by likelihood; of 1,000 users at most.

    At the global model the gradient of user u's summed loss is about -H_u (its own parameters less the model's) plus
    noise, so that E[g_uj^2] is sum_k H_ujk^2 variance_k plus the noise sum_i x_ij^2 r_i^2. Users are averaged with
    weights 1 / (rows + 20)^2, and variances found by non-negative least squares.
    """
    theta = np.concatenate([start["coef"], start["intercept"]]).astype(SUM)
    users = [_rows_of(data, int(k)) for k in some_users(np.minimum(data.counts, READ), IN_ALL)]
    group = _groups(data, [rows for rows, _ in users])
    count = int(group.max()) + 1
    square, excess, curved = np.zeros((count, count)), np.zeros((len(users), count)), np.zeros(len(users))
    for k, (rows, share) in enumerate(users):
        one, many, curved[k] = _moments(data, rows, theta, group, count)
        square += share * one
        excess[k] = share * many
    varies = np.append(_varying(data, [rows for rows, _ in users]), True)
    kept = np.unique(group[varies])
    found = np.zeros(count)
    intercept = _intercept(data, [rows for rows, _ in users], theta)
    found[kept], slope = _solve(square[np.ix_(kept, kept)], excess[:, kept], intercept)
    return Spread(np.where(varies, found[group], 0).astype(REAL), slope, float(curved.mean()))


def _solve(square: Matrix, excess: Matrix, intercept: float) -> tuple[Matrix, float]:
    """Variances (m,) whose moments `square` (m, m) turns into the sum of `excess` (users, m), the last being given.

    First one of all slopes; then each slope's, held to that as if it were known to within itself.
    """
    left, right = square[:-1, :-1], excess[:, :-1].sum(axis=0) - square[:-1, -1] * intercept
    slope = max(float(right.sum()) / max(float(left.sum()), np.finfo(float).tiny), TINY) if len(left) else TINY
    scale = np.maximum(np.sqrt(((excess - excess.mean(axis=0)) ** 2).sum(axis=0))[:-1], np.finfo(float).tiny)
    held, goal = np.eye(len(left)) / slope, np.append(right / scale, np.ones(len(left)))
    found = nnls(np.vstack([left / scale[:, None], held]), goal)[0] if len(left) else right
    return np.append(np.maximum(found, FLOOR * slope), intercept), slope


def _intercept(data: Blocks, users: list[NDArray[np.int64]], theta: Matrix) -> float:
    """Variance of the users' intercepts around `theta` that makes their labels most likely, slopes being `theta`'s.

    The likelihood of each user's rows on a grid of intercepts is summed up under N(0, variance), for a grid of these.
    Unlike moments it is not misled by features that hardly vary within a user.
    """
    given = np.empty((len(users), len(SHIFTS)))
    for k, rows in enumerate(users):
        columns, x = _features(data, rows)
        weight, label = aligned(data.weight, rows, 1).astype(SUM), data.label[rows].astype(SUM)
        margin = x @ theta[columns] + theta[-1] + aligned(data.offset, rows, 0)
        moved = margin[:, None] + SHIFTS
        given[k] = weight @ (label[:, None] * moved - np.logaddexp(0.0, moved))
    prior = np.log(np.gradient(SHIFTS)) - SHIFTS**2 / (2 * DEVIATIONS[:, None] ** 2)
    prior -= logsumexp(prior, axis=1)[:, None]
    most = given.max(axis=1, keepdims=True)
    likelihood = np.exp(given - most) @ np.exp(prior).T
    values = np.log(np.maximum(likelihood, np.finfo(float).tiny)).sum(axis=0)
    return float(DEVIATIONS[int(np.argmax(values))]) ** 2


def _rows_of(data: Blocks, user: int) -> tuple[NDArray[np.int64], float]:
    """Rows of a user that are read, and the user's weight."""
    start, stop = int(data.start[user]), int(data.stop[user])
    rows = np.unique(np.linspace(start, stop - 1, min(stop - start, READ)).astype(np.int64))
    return rows, 1.0 / (len(rows) + ROWS) ** 2


def _groups(data: Blocks, users: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Which parameters share a variance, int64 (d + 1,): numbers from 0, each used; the intercept is alone."""
    if data.width < APART:
        return np.arange(data.width + 1)
    size = np.zeros(data.width)
    for rows in users:
        columns, x = _features(data, rows)
        size[columns] += (x**2).sum(axis=0)
    place = np.empty(data.width, np.int64)
    place[np.argsort(-size, kind="stable")] = np.arange(data.width)
    return np.append(place * (APART - 1) // data.width, APART - 1)


def _varying(data: Blocks, users: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Which features differ between rows of one user, (d,)."""
    within, whole = np.zeros(data.width), np.zeros(data.width)
    for rows in users:
        columns, x = _features(data, rows)
        square = (x**2).sum(axis=0)
        whole[columns] += square
        within[columns] += square - len(rows) * x.mean(axis=0) ** 2
    varies: NDArray[np.bool_] = within > LEAST * whole
    return varies


def _features(data: Blocks, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Matrix]:
    """The columns that `rows` hold, (a,), and what they hold there, (n, a)."""
    taken = data.features[rows]
    if not isinstance(taken, csr_array):
        return np.arange(data.width), taken.astype(SUM)
    columns, at = np.unique(taken.indices, return_inverse=True)
    dense = csr_array((taken.data, at, taken.indptr), (len(rows), len(columns))).toarray()
    return columns.astype(np.int64), dense.astype(SUM)


def _moments(
    data: Blocks, rows: NDArray[np.int64], theta: Matrix, group: NDArray[np.int64], count: int
) -> tuple[Matrix, Matrix, float]:
    """Squares of a user's Hessian, added up by group, (count, count), and of the gradient less its noise, (count,).

    And the mean curvature of its rows.
    """
    columns, x = _features(data, rows)
    weight, offset = aligned(data.weight, rows, 1), aligned(data.offset, rows, 0)
    chance = expit(x @ theta[columns] + theta[-1] + offset)
    error = weight * (chance - data.label[rows])
    curved = chance * (1 - chance)
    square, excess = of_user(np.column_stack([x, np.ones(len(rows))]), error, weight * curved)
    columns = np.append(columns, len(theta) - 1)
    if count == len(theta) == len(columns):
        return square, excess, float(curved.mean())
    to = np.zeros((len(columns), count))
    to[np.arange(len(columns)), group[columns]] = 1
    return to.T @ square @ to, excess @ to, float(curved.mean())
