"""How much users differ: variances of their effects, by moments at the global model.

At the global model the gradient of user u's summed loss is about H_u (its effects) plus noise, so that E[g_uj^2] less
sum_i x_ij^2 r_i^2 is sum_k (H_ujk^2 - sum_i h_i^2 x_ij^2 x_ik^2) variance_k. Users are averaged with weights
1 / (rows + 20)^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Matrix = NDArray[np.float64]

USERS = 1000
"""Users that moments are taken of at most."""

LEAST = 50
"""Users that moments are taken of at least, however many rows they have."""

ROWS = 20
"""What is added to a user's rows in the weight of the user."""

ROUNDS, FAR = 4, 100.0
"""Of `Moments.variances`, and how many times the common value a variance may well be in the first."""

WITHIN = 0.02
"""Share of a column's variance that must be within users, for users to have an effect of it."""

FLOOR = 0.05
"""Of the common variance: no effect has less."""

TINY = 1e-6
"""The least common variance, where users differ by no more than noise."""


@dataclass(frozen=True)
class Moments:
    """Sums over users, for m effects.

    Attributes
    ----------
    square : (m, m), of H_u^2, entry by entry, less the squares of single rows
    excess : (m,), of g_u^2 less its noise
    spread : (m,), standard deviation of `excess`
    """

    square: Matrix
    excess: Matrix
    spread: Matrix

    @classmethod
    def of(
        cls,
        columns: NDArray[np.float32],
        indptr: NDArray[np.int64],
        label: NDArray[np.float32],
        weight: NDArray[np.float32],
        margin: Matrix,
        squared: bool,
    ) -> Moments:
        """Moments of the users who have the rows ``indptr[k]:indptr[k + 1]``, the loss being 1/2 e^2 or log-loss.

        Parameters
        ----------
        columns : (n, m), what effects are multiplied by
        label, weight : (n,)
        margin : (n,), of the global model
        """
        w = weight.astype(np.float64)
        said = margin if squared else 1.0 / (1.0 + np.exp(-margin))
        errors, curvatures = w * (label - said), w if squared else w * said * (1.0 - said)
        parts = (slice(low, high) for low, high in pairwise(indptr.tolist()) if low < high)
        weights = [(part, 1.0 / (part.stop - part.start + ROWS) ** 2) for part in parts]
        found = [(share, of_user(columns[p].astype(np.float64), errors[p], curvatures[p])) for p, share in weights]
        terms = [(share * square, share * excess) for share, (square, excess) in found]
        width = columns.shape[1]
        square = np.sum([square for square, _ in terms], axis=0) if terms else np.zeros((width, width))
        excess = np.array([excess for _, excess in terms]).reshape(-1, width)
        around = excess - excess.mean(axis=0) if len(terms) else excess
        return cls(square, excess.sum(axis=0), np.sqrt((around**2).sum(axis=0)))

    def variances(self) -> tuple[Matrix, float]:
        """The variance of each effect (m,), and that which all would have in common.

        Least squares with no variance below 0, each moment by its precision. A variance is held to the common value as
        if that were known to within itself, or to within what the variance was found to be a round before: one that is
        surely larger by far, as an intercept's often is, stays so.
        """
        common = max(float(self.excess.sum() / max(self.square.sum(), np.finfo(float).tiny)), TINY)
        scale = np.maximum(self.spread, np.finfo(float).tiny)
        square, excess = self.square / scale[:, None], self.excess / scale
        found = np.full(len(scale), FAR * common)
        for _ in range(ROUNDS):
            held = 1.0 / np.maximum(found, common)
            found, _ = nnls(np.vstack([square, np.diag(held)]), np.append(excess, held * common))
        return np.maximum(found, FLOOR * common), common


def of_user(columns: Matrix, errors: Matrix, curvatures: Matrix) -> tuple[Matrix, Matrix]:
    """Squares of a user's Hessian, entry by entry, (m, m), and of the gradient (m,), each less what is noise.

    Parameters
    ----------
    columns : (n, m), what effects are multiplied by
    errors, curvatures : (n,), first and second derivative of each row's loss, weight included
    """
    square = columns**2
    # A row's own square is noise, in the gradient and in the Hessian: what is left of E[g^2] are products of two rows.
    twice = (square * (curvatures**2)[:, None]).T @ square
    hessian = columns.T @ (columns * curvatures[:, None])
    return hessian**2 - twice, (columns.T @ errors) ** 2 - square.T @ errors**2


def some_users(counts: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Positions of evenly spaced users with rows: `USERS` of them, or fewer that have about as many `rows`."""
    there = np.flatnonzero(counts > 0)
    most = min(len(there), USERS, max(LEAST, int(len(there) * rows / max(1, counts.sum()))))
    return there[np.unique(np.linspace(0, len(there) - 1, most).astype(np.int64))]


def varying(columns: NDArray[np.float32], indptr: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which columns (n, m) differ between the rows of a user, by `WITHIN` of their variance or more, (m,).

    What a user has in all rows is the user's level, and nothing can tell its effect from that.
    """
    counts = np.diff(indptr)
    there = np.flatnonzero(counts > 0)
    if not len(there):
        return np.zeros(columns.shape[1], np.bool_)
    total = np.add.reduceat(columns, indptr[there], axis=0, dtype=np.float64)
    square = np.square(columns, dtype=np.float64).sum(axis=0)
    between = (total**2 / counts[there][:, None]).sum(axis=0)
    around = square - total.sum(axis=0) ** 2 / counts.sum()
    kept: NDArray[np.bool_] = square - between > WITHIN * np.maximum(around, np.finfo(float).tiny)
    return kept
