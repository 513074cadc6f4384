"""Losses summed over the rows of each user, in double precision: compiled, `float` would leave a float32 as it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)
def logistic_sums(
    margin: NDArray[np.floating[Any]], label: NDArray[np.float32], indptr: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log-loss and squared error of the probability, summed per user; float64 (2, U). Margins are logits."""
    out = np.zeros((2, len(indptr) - 1))
    for u in range(len(indptr) - 1):
        for row in range(indptr[u], indptr[u + 1]):
            wrong = np.float64(-margin[row] if label[row] > 0.5 else margin[row])
            tail = math.exp(-abs(wrong))
            out[0, u] += max(wrong, 0.0) + math.log1p(tail)
            miss = (1.0 if wrong > 0.0 else tail) / (1.0 + tail)
            out[1, u] += miss * miss
    return out


@njit(nogil=True, cache=True)
def error_sums(
    score: NDArray[np.floating[Any]], label: NDArray[np.float32], indptr: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared and absolute error, summed per user; float64 (2, U)."""
    out = np.zeros((2, len(indptr) - 1))
    for u in range(len(indptr) - 1):
        for row in range(indptr[u], indptr[u + 1]):
            error = np.float64(score[row]) - np.float64(label[row])
            out[0, u] += error * error
            out[1, u] += abs(error)
    return out
