"""Ranking metrics of many short lists, ties taken exactly.

A run of m tied scores that starts after rank a and holds p positives, with c positives above it, may stand in any
order. Each metric is its mean over these orders (McSherry & Najork, "Computing information retrieval performance
measures efficiently in the presence of tied scores", ECIR 2008), so nothing depends on the order of rows. With
T = min(m, cut - a) and the prefix sums H(r) = sum 1/i and D(r) = sum 1/log2(i + 1):

    DCG    += p/m (D(a + T) - D(a))
    sum of precision at positives += p/m (b T + (c + 1 - (a + 1) b) (H(a + T) - H(a))),   b = (p - 1) / (m - 1)

The first positive of its run is at place t with probability C(m - t, p - 1) / C(m, p).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]

AUC, AP, RR, NDCG = 0, 1, 2, 3
"""Rows of what `rank_lists` returns."""


@njit(nogil=True, cache=True)
def concordance(positives: Scores, negatives: Scores) -> float:
    """Share of (positive, negative) pairs in the right order, ties half (Mann & Whitney 1947); both sorted."""
    wins, below, upto = 0.0, 0, 0
    for value in positives:
        while below < len(negatives) and negatives[below] < value:
            below += 1
        upto = max(upto, below)
        while upto < len(negatives) and negatives[upto] == value:
            upto += 1
        wins += 0.5 * (below + upto)
    return wins / len(positives) / len(negatives)


@njit(nogil=True, cache=True)
def first_positive(run: int, hits: int, above: int, cut: int) -> float:
    """Mean of 1 / rank of the first of `hits` positives in a tied run that follows `above` rows; 0 after `cut`."""
    chance, total = hits / run, 0.0
    for place in range(1, min(run - hits + 1, cut - above) + 1):
        total += chance / (above + place)
        if place < run:
            chance *= (run - place - hits + 1) / (run - place)
        if chance == 0.0:
            break
    return total


@njit(nogil=True, cache=True)
def top_heavy(
    positives: Scores, negatives: Scores, cut: int, harmonic: NDArray[np.float64], discount: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Average precision, reciprocal rank and nDCG of one list at `cut`; both score arrays ascending, not empty."""
    i, j, above, hits_above = len(positives) - 1, len(negatives) - 1, 0, 0
    precision, reciprocal, gain = 0.0, 0.0, 0.0
    while i >= 0 and above < cut:
        value, hits = positives[i], 0
        while j >= 0 and negatives[j] > value:
            j, above = j - 1, above + 1
        while i >= 0 and positives[i] == value:
            i, hits = i - 1, hits + 1
        run = hits
        while j >= 0 and negatives[j] == value:
            j, run = j - 1, run + 1
        taken = min(run, cut - above)
        if taken > 0:
            share, slope = hits / run, (hits - 1) / max(run - 1, 1)
            inverse_ranks = harmonic[above + taken] - harmonic[above]
            precision += share * (slope * taken + (hits_above + 1 - (above + 1) * slope) * inverse_ranks)
            gain += share * (discount[above + taken] - discount[above])
            if hits_above == 0:
                reciprocal = first_positive(run, hits, above, cut)
        above, hits_above = above + run, hits_above + hits
    ideal = min(len(positives), cut)
    return precision / ideal, reciprocal, gain / discount[ideal]


@njit(nogil=True, cache=True)
def _divide(
    score: Scores, label: NDArray[np.float32], order: NDArray[np.int64], start: int, stop: int, scratch: Scores
) -> int:
    """Copy the scores of one list to `scratch`, positives first; return how many these are."""
    left, right = 0, stop - start
    for i in range(start, stop):
        row = order[i] if len(order) else i
        if label[row] > 0.5:
            scratch[left] = score[row]
            left += 1
        else:
            right -= 1
            scratch[right] = score[row]
    return left


@njit(nogil=True, cache=True)
def _rank_lists(
    score: Scores,
    label: NDArray[np.float32],
    order: NDArray[np.int64],
    indptr: NDArray[np.int64],
    cut: int,
    harmonic: NDArray[np.float64],
    discount: NDArray[np.float64],
    scratch: Scores,
    out: NDArray[np.float64],
) -> None:
    """Fill `out` for the lists that hold both classes."""
    for k in range(len(indptr) - 1):
        size = indptr[k + 1] - indptr[k]
        hits = _divide(score, label, order, indptr[k], indptr[k + 1], scratch)
        if hits == 0 or hits == size:
            continue
        positives, negatives = scratch[:hits], scratch[hits:size]
        positives.sort()
        negatives.sort()
        out[AUC, k] = concordance(positives, negatives)
        out[AP, k], out[RR, k], out[NDCG, k] = top_heavy(positives, negatives, cut, harmonic, discount)


def rank_lists(
    score: Scores, label: NDArray[np.float32], order: NDArray[np.int64], indptr: NDArray[np.int64], cut: int
) -> NDArray[np.float64]:
    """AUC, average precision, reciprocal rank and nDCG of every list; float64 (4, L), NaN for a list of one class.

    Parameters
    ----------
    score : float32 or float64 (n,), without NaN
    label : float32 (n,) in {0, 1}
    order : int64 (n,), list k holds the rows ``order[indptr[k]:indptr[k + 1]]``; empty: the rows as they stand
    indptr : int64 (L + 1,)
    cut : the last rank that average precision (then divided by min(positives, cut)), reciprocal rank and nDCG look at;
        AUC looks at all
    """
    longest = int(np.diff(indptr).max(initial=0))
    ranks = np.arange(1, min(longest, cut) + 1)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / ranks)])
    discount = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(ranks + 1.0))])
    out = np.full((4, len(indptr) - 1), np.nan)
    scratch = np.empty(longest, score.dtype)
    _rank_lists(score, label, order, indptr, cut, harmonic, discount, scratch, out)
    return out
