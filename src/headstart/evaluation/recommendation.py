"""Lists of recommendations beside the items that users turned to later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.evaluation.metrics import UserMetrics

METRICS = ("precision", "recall", "ndcg", "mrr", "hit")
"""Of lists of n items, each at n."""


@dataclass(frozen=True)
class Relevant:
    """Items that each of U users is to be recommended, distinct.

    Attributes
    ----------
    item : int64, codes; negative: no list can hold it, so it is missed by all
    indptr : int64 (U + 1,), those of user u are ``item[indptr[u]:indptr[u + 1]]``
    """

    item: NDArray[np.int64]
    indptr: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many of each user, int64 (U,)."""
        return np.diff(self.indptr)


def list_metrics(item: NDArray[np.int32], relevant: Relevant, most: int) -> UserMetrics:
    """Metrics of one list a user; NaN for users without a relevant item.

    With the hits h_1, h_2, ... in {0, 1} of a list and R relevant items: precision = sum h_r / n, recall = sum h_r / R,
    nDCG = sum h_r / log2(r + 1) over that of a list that begins with min(R, n) hits (Järvelin & Kekäläinen, 2002),
    MRR = 1 / rank of the first hit, 0 without one, hit = whether there is one.

    Parameters
    ----------
    item : int32 (U, m), m <= n, codes of recommended items, best first; -1 after the last
    most : n, the length of list that was asked for; a shorter list has misses at its end
    """
    if len(item) != len(relevant.counts) or item.shape[1] > most:
        raise DataError(f"lists of shape {item.shape} for {len(relevant.counts)} users and n = {most}; give one a user")
    hits, counts = hits_of(item, relevant), relevant.counts
    ranks = min(most, max(int(counts.max(initial=0)), item.shape[1]))
    discount = 1.0 / np.log2(np.arange(2, ranks + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(counts, most)]
    found = hits.sum(axis=1)
    first = np.where(found > 0, hits.argmax(axis=1) + 1, np.inf) if hits.shape[1] else np.full(len(hits), np.inf)
    judged = counts > 0
    size = np.where(judged, counts, 1)
    values = {
        "precision": found / most,
        "recall": found / size,
        "ndcg": (hits * discount[: hits.shape[1]]).sum(axis=1) / np.where(judged, ideal, 1.0),
        "mrr": 1.0 / first,
        "hit": (found > 0).astype(np.float64),
    }
    return UserMetrics("squared", {name: np.where(judged, v, np.nan) for name, v in values.items()}, {}, counts)


def hits_of(item: NDArray[np.int32], relevant: Relevant) -> NDArray[np.bool_]:
    """Which places of the lists (U, m) hold a relevant item of their user."""
    size = 1 + max(int(item.max(initial=-1)), int(relevant.item.max(initial=-1)))
    owner = np.repeat(np.arange(len(relevant.counts)), relevant.counts)
    there = relevant.item >= 0
    wanted = owner[there] * size + relevant.item[there]
    found: NDArray[np.bool_] = np.isin(np.arange(len(item))[:, None] * size + item, wanted) & (item >= 0)
    return found


def coverage(item: NDArray[np.int32], choice: int) -> float:
    """Share of the `choice` items that could be recommended which are in some list of `item`; NaN of none."""
    return len(np.unique(item[item >= 0])) / choice if choice else float("nan")
