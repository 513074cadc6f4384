"""Paired differences of two models' losses, user by user, and what they would be if their signs were drawn by lot."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)
def _mix(x: np.uint64) -> np.uint64:
    """Output function of splitmix64 (Steele, Lea & Flood 2014): 64 bits for a counter."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(nogil=True, cache=True)
def paired_moments(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], indptr: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of ``ours - theirs`` over each user's rows and the sum of squared deviations from it; float64 (U,) both.

    Users without rows have 0 in both.
    """
    users = len(indptr) - 1
    mean, m2 = np.zeros(users), np.zeros(users)
    for u in range(users):
        start, stop = indptr[u], indptr[u + 1]
        if start == stop:
            continue
        total = 0.0
        for row in range(start, stop):
            total += ours[row] - theirs[row]
        mean[u] = total / (stop - start)
        for row in range(start, stop):
            deviation = ours[row] - theirs[row] - mean[u]
            m2[u] += deviation * deviation
    return mean, m2


@njit(nogil=True, cache=True)
def flipped_sums(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], indptr: NDArray[np.int64], repeats: int, seed: np.uint64
) -> NDArray[np.float64]:
    """Sum of ``+-(ours - theirs)`` over each user's rows, float64 (repeats, U); at most 64 repeats.

    The sign of row i in repeat r is bit r of splitmix64's i-th draw.
    """
    users = len(indptr) - 1
    out, sums = np.empty((repeats, users)), np.empty(repeats)
    for u in range(users):
        sums[:] = 0.0
        for row in range(indptr[u], indptr[u + 1]):
            bits = _mix(seed + np.uint64(row + 1) * np.uint64(0x9E3779B97F4A7C15))
            difference = ours[row] - theirs[row]
            for r in range(repeats):
                sums[r] += difference if (bits >> np.uint64(r)) & np.uint64(1) else -difference
        out[:, u] = sums
    return out
