"""Every item for every user: margins of a bilinear model, and the best of a row of scores.

A row of scores depends on its user alone: sums run over the factors in their order, whoever else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from headstart.kernels.dtypes import COLUMN, REAL

TILE = 512
"""Items that are scored together: a row of their scores, 2 kB, stays in the first-level cache."""


@dataclass(frozen=True)
class ItemSide:
    """The items that `bilinear` scores, laid out once for however many calls.

    Attributes
    ----------
    codes : int32 (I,), distinct, ascending
    bias : float32 (I,)
    tiles : float32 (ceil(I / TILE), k, TILE), the factors of item ``TILE * t + i`` in ``tiles[t, :, i]``; then zeros
    """

    codes: NDArray[np.int32]
    bias: NDArray[np.float32]
    tiles: NDArray[np.float32]

    @classmethod
    def of(cls, codes: NDArray[np.int32], bias: NDArray[np.float32], factors: NDArray[np.float32]) -> ItemSide:
        """Take the items `codes` out of biases (n,) and factors (n, k) of all items; zeros for codes past their end."""
        return cls(codes, entries(bias, codes), tiled(entries(factors, codes)))


def tiled(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factors (I, k) as `ItemSide.tiles`, read-only."""
    items, width = factors.shape
    tiles = np.zeros((-(-items // TILE), width, TILE), REAL)
    for number, tile in enumerate(tiles):
        part = factors[number * TILE : (number + 1) * TILE]
        tile[:, : len(part)] = part.T
    tiles.flags.writeable = False
    return tiles


@njit(nogil=True, cache=True, fastmath={"contract"})
def bilinear(
    base: NDArray[np.float32],
    own: NDArray[np.float32],
    bias: NDArray[np.float32],
    tiles: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out[u, i] = base[u] + bias[i] + own[u] . (factors of item i)``.

    Parameters
    ----------
    base, own : float32 (U,) and (U, k)
    bias, tiles : of an `ItemSide`
    out : float32 (U, I)
    """
    users, items, width = len(base), len(bias), own.shape[1]
    whole = width - width % 4
    for t in range(len(tiles)):
        first, tile = t * TILE, tiles[t]
        size = min(TILE, items - first)
        for u in range(users):
            row = out[u, first : first + size]
            for i in range(size):
                row[i] = base[u] + bias[first + i]
            for f in range(0, whole, 4):
                one, two, three, four = own[u, f], own[u, f + 1], own[u, f + 2], own[u, f + 3]
                a, b, c, d = tile[f], tile[f + 1], tile[f + 2], tile[f + 3]
                for i in range(size):
                    row[i] = row[i] + one * a[i] + two * b[i] + three * c[i] + four * d[i]
            for f in range(whole, width):
                one, a = own[u, f], tile[f]
                for i in range(size):
                    row[i] = row[i] + one * a[i]


def entries(column: NDArray[np.float32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    """``column[items]``, read-only and no copy where that is all of it; zeros for codes past its end.

    Parameters
    ----------
    column : float32 (I,) or (I, k)
    items : int32 (m,), distinct codes, ascending
    """
    there = int(np.searchsorted(items, len(column)))
    if there == len(column) == len(items):
        found = column.view()
    else:
        found = np.zeros((len(items), *column.shape[1:]), REAL)
        found[:there] = column[items[:there]]
    found.flags.writeable = False
    return found


@njit(nogil=True, cache=True)
def _sink(score: NDArray[np.float32], place: NDArray[np.int32], at: int, size: int) -> None:
    """Move entry `at` of a heap down to where it belongs; the worst is on top: lowest score, then latest place."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        other = child + 1
        if other < size and (
            score[other] < score[child] or (score[other] == score[child] and place[other] > place[child])
        ):
            child = other
        if score[at] < score[child] or (score[at] == score[child] and place[at] > place[child]):
            return
        score[at], score[child] = score[child], score[at]
        place[at], place[child] = place[child], place[at]
        at = child


@njit(nogil=True, cache=True)
def _best(
    scores: NDArray[np.float32],
    items: NDArray[np.int32],
    seen: NDArray[np.int32],
    indptr: NDArray[np.int64],
    last: NDArray[np.int32],
    place: NDArray[np.int32],
    score: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> None:
    most = place.shape[1]
    for u in range(len(scores)):
        for at in range(indptr[u], indptr[u + 1]):
            last[seen[at]] = u
        size, heap, where = 0, score[u], place[u]
        for i in range(len(items)):
            value = scores[u, i]
            # What most items fail comes first, and needs no look at another array.
            if (size == most and not value > heap[0]) or last[items[i]] == u:
                continue
            if size < most:
                heap[size], where[size], size = value, i, size + 1
                if size == most:
                    for at in range(most // 2 - 1, -1, -1):
                        _sink(heap, where, at, most)
            else:
                heap[0], where[0] = value, i
                _sink(heap, where, 0, most)
        if size < most:
            for at in range(size // 2 - 1, -1, -1):
                _sink(heap, where, at, size)
        for end in range(size - 1, 0, -1):  # the worst goes to the end, so the best comes first
            heap[0], heap[end] = heap[end], heap[0]
            where[0], where[end] = where[end], where[0]
            _sink(heap, where, 0, end)
        counts[u] = size


def best(
    scores: NDArray[np.float32],
    items: NDArray[np.int32],
    seen: NDArray[np.int32],
    indptr: NDArray[np.int64],
    most: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """The `most` best items of each row, best first; of equal scores the item that comes first.

    Parameters
    ----------
    scores : float32 (U, I), without NaN
    items : int32 (I,), codes of the columns, distinct
    seen, indptr : codes, int32, that row u is not to have: ``seen[indptr[u]:indptr[u + 1]]``

    Returns
    -------
    item : int32 (U, m), m = min(most, I); -1 after the last
    score : float32 (U, m), NaN after the last
    counts : int64 (U,), how many there are
    """
    width = min(most, len(items))
    place = np.empty((len(scores), width), COLUMN)
    score = np.empty(place.shape, REAL)
    counts = np.zeros(len(scores), np.int64)
    if width:
        size = 1 + max(int(items.max()), int(seen.max(initial=-1)))
        _best(scores, items, seen, indptr, np.full(size, -1, COLUMN), place, score, counts)
    there = np.arange(width) < counts[:, None]
    return np.where(there, items[np.where(there, place, 0)], COLUMN(-1)), np.where(there, score, REAL(np.nan)), counts


@njit(nogil=True, cache=True)
def distinct(
    item: NDArray[np.int32],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    last: NDArray[np.int32],
    out: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> int:
    """Write each user's distinct codes one after another, in the order of their first rows; return how many.

    Parameters
    ----------
    item : int32 (n,), codes; negative ones are left out
    start, stop : int64 (U,), rows of each user
    last : int32, -1 for every code
    out : int32, room for all
    counts : int64 (U,), filled: how many of each user
    """
    at = 0
    for u in range(len(start)):
        first = at
        for row in range(start[u], stop[u]):
            code = item[row]
            if code >= 0 and last[code] != u:
                last[code] = u
                out[at] = code
                at += 1
        counts[u] = at - first
    return at
