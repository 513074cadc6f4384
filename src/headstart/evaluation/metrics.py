"""Metrics of each user, and of all rows together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, SettingsError
from headstart.evaluation.heldout import HeldOut
from headstart.evaluation.statistics import Mean
from headstart.kernels import pointwise, ranking

Margins: TypeAlias = NDArray[np.floating[Any]]
"""Scores of held-out rows, float32 or float64 (n,): logits for a logistic loss, predicted ratings for a squared one."""

Loss: TypeAlias = Literal["logistic", "squared"]

METRICS: Mapping[Loss, tuple[str, ...]] = {
    "logistic": ("auc", "map", "mrr", "ndcg", "logloss", "brier"),
    "squared": ("rmse", "mae"),
}
"""Names of the metrics of each kind of loss, in the order of tables."""

OVER_ROWS: Mapping[Loss, tuple[str, ...]] = {"logistic": (), "squared": ("rmse", "mae")}
"""Metrics that are compared over all rows too, as ``pooled_rmse`` and ``pooled_mae``: a user weighs as its rows do."""

ROOTS = frozenset({"rmse"})
"""Roots of means: what is summed over rows is their square."""

HIGHER_IS_BETTER = frozenset({"auc", "map", "mrr", "ndcg"})
"""For the others, lower is."""


@dataclass(frozen=True)
class UserMetrics:
    """Metrics of U users.

    Attributes
    ----------
    loss : the kind of loss
    counted : metric to float64 (U,), NaN for users that averages leave out: those without rows, and for a logistic loss
        those of one class (in ranking metrics, those with no list of both classes)
    every : the pointwise metrics (logloss and brier, or rmse and mae) of all users with rows, NaN for the others
    rows : int64 (U,), held-out rows
    """

    loss: Loss
    counted: Mapping[str, NDArray[np.float64]]
    every: Mapping[str, NDArray[np.float64]]
    rows: NDArray[np.int64]

    def means(self) -> dict[str, float]:
        """Mean of each metric over the users that count in it."""
        return {name: float(Mean.of(values).result()) for name, values in self.counted.items()}

    def over_rows(self) -> dict[str, NDArray[np.float64]]:
        """Each metric of `OVER_ROWS` as a mean over each user's rows, (U,): squared errors for ``pooled_rmse``."""
        kept = {name: self.every[name] for name in OVER_ROWS[self.loss] if name in self.every}
        return {f"pooled_{name}": values**2 if name in ROOTS else values for name, values in kept.items()}

    def select(self, users: NDArray[np.bool_]) -> UserMetrics:
        """The metrics of the users where the mask `users` (U,) is true."""
        counted = {name: values[users] for name, values in self.counted.items()}
        every = {name: values[users] for name, values in self.every.items()}
        return UserMetrics(self.loss, counted, every, self.rows[users])


def per_user(held: HeldOut, margins: Margins, k: int | None = None, loss: Loss = "logistic") -> UserMetrics:
    """Metrics of every user.

    With a logistic loss: AUC, average precision ("map"), reciprocal rank ("mrr") and nDCG of each list, averaged over
    the user's lists that hold both classes; mean log-loss and Brier score over all of the user's rows. Tied scores
    count by the mean over their orders. With a squared loss: root of the mean squared error, mean absolute error.

    Parameters
    ----------
    held : the rows
    margins : (n,), scores of these rows
    k : the last rank that average precision (then divided by min(positives, k)), reciprocal rank and nDCG look at;
        None: all
    loss : kind of loss

    Raises
    ------
    DataError
        Where margins are not finite or too few, or labels of a logistic loss are not 0 or 1.
    """
    margins = _checked(held, margins, loss)
    if loss == "squared":
        squared, absolute = _means(held, pointwise.error_sums(margins, held.label, held.indptr))
        errors = {"rmse": np.sqrt(squared), "mae": absolute}
        return UserMetrics(loss, errors, errors, held.counts)
    logloss, brier = _means(held, pointwise.logistic_sums(margins, held.label, held.indptr))
    every = {"logloss": logloss, "brier": brier}
    both = _both_classes(held)
    counted = _ranked(held, margins, k) | {name: np.where(both, values, np.nan) for name, values in every.items()}
    return UserMetrics(loss, counted, every, held.counts)


def pooled(held: HeldOut, margins: Margins, users: UserMetrics) -> dict[str, float]:
    """Metrics over all rows as if of one user: auc, logloss, brier; or rmse, mae.

    `users` is what `per_user` gave for the same rows and margins. AUC is NaN where there is one class only.
    """
    margins = _checked(held, margins, users.loss)
    every = users.every
    if users.loss == "squared":
        mean_square = Mean.of(every["rmse"] ** 2, users.rows).result()
        return {"rmse": float(np.sqrt(mean_square)), "mae": float(Mean.of(every["mae"], users.rows).result())}
    means = {name: float(Mean.of(values, users.rows).result()) for name, values in every.items()}
    positive = held.label > 0.5
    hits, misses = np.sort(margins[positive]), np.sort(margins[~positive])
    auc = float(ranking.concordance(hits, misses)) if len(hits) and len(misses) else float("nan")
    return {"auc": auc} | means


def _checked(held: HeldOut, margins: Margins, loss: Loss) -> Margins:
    """Margins that kernels can read."""
    if loss not in METRICS:
        raise SettingsError(f"unknown loss {loss!r}; known: {', '.join(METRICS)}")
    if margins.shape != held.label.shape:
        raise DataError(f"margins of shape {margins.shape} for {len(held.label)} held-out rows; give one score a row")
    if margins.dtype not in (np.float32, np.float64):
        margins = margins.astype(np.float64)
    if not np.isfinite(margins).all():
        row = int(np.flatnonzero(~np.isfinite(margins))[0])
        raise DataError(
            f"score {margins[row]} at held-out row {row}; serve the global model where a personal one fails"
        )
    if loss == "logistic" and not ((held.label == 0) | (held.label == 1)).all():
        odd = held.label[(held.label != 0) & (held.label != 1)][0]
        raise DataError(
            f"label {odd} among held-out rows; a logistic loss needs labels 0 and 1 (a rule such as rating>=4)"
        )
    return np.ascontiguousarray(margins)


def _means(held: HeldOut, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums per user to means per user, NaN for users without rows."""
    empty: NDArray[np.float64] = np.full_like(sums, np.nan)
    return np.divide(sums, held.counts, out=empty, where=held.counts > 0)


def _both_classes(held: HeldOut) -> NDArray[np.bool_]:
    """Which users have rows of both classes."""
    hits = np.concatenate([[0], np.cumsum(held.label > 0.5)])[held.indptr]
    positives = np.diff(hits)
    both: NDArray[np.bool_] = (positives > 0) & (positives < held.counts)
    return both


def _ranked(held: HeldOut, margins: Margins, k: int | None) -> dict[str, NDArray[np.float64]]:
    """Ranking metrics: of lists, then averaged within users."""
    if k is not None and k < 1:
        raise SettingsError(f"k is {k}; ranking metrics look at the first k rows of a list, so give 1 or more")
    lists = held.lists
    cut = np.iinfo(np.int64).max if k is None else k
    values = ranking.rank_lists(margins, held.label, lists.order, lists.indptr, cut)
    named = dict(zip(("auc", "map", "mrr", "ndcg"), values, strict=True))
    if len(lists.indptr) == len(held.indptr) and np.array_equal(lists.indptr, held.indptr):
        return named
    return {name: np.asarray(Mean.by(lists.user, of_list, len(held)).result()) for name, of_list in named.items()}
