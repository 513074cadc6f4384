"""Ratings as global training reads them: once packed, stratum by stratum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks, frozen
from headstart.data.vocab import entity_keys
from headstart.errors import DataError
from headstart.kernels import factors
from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM

INF = float("inf")

BLOCKS = 8
"""Blocks of users, and of items. As many strata have a sub-epoch; a block of items should fit into a core's cache."""


@dataclass(frozen=True)
class Strata:
    """The ratings of everybody, and where they lie.

    Attributes
    ----------
    keys : uint64 (U,), sorted: of the users with ratings that count. Their order is that of training
    codes : int32 (I,), the items with ratings that count, in the order of training: block after block
    item : int32 (n,), positions in `codes`
    rating : float32 (n,), less offset and `mean`, divided by `scale`
    weight : float32 (n,) of mean 1; empty when all are 1
    cells, begin, first : see `headstart.kernels.factors.sweep`
    user_share, item_share : float32 (U,), (I,), 1 / the sum of the weights of their ratings
    mean, scale : weighted mean of the ratings and their deviation from it (1 where that is 0)
    low, high : smallest and largest rating less its offset; without any rating, infinite
    """

    keys: NDArray[np.uint64]
    codes: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    weight: NDArray[np.float32]
    cells: NDArray[np.int32]
    begin: NDArray[np.int64]
    first: NDArray[np.int64]
    user_share: NDArray[np.float32]
    item_share: NDArray[np.float32]
    mean: float
    scale: float
    low: float
    high: float

    @classmethod
    def of(cls, data: Blocks) -> Strata:
        """Pack the rows of `data` that have a weight and a known item; 8 bytes a rating, 12 with weights.

        Raises
        ------
        DataError
            where the data have no items or no labels, or a label is no number
        """
        check_rows(data)
        tally = _Tally.of(data)
        names = entity_keys(data.users)
        users = np.argsort(names, kind="stable")
        users = users[tally.per_user[users] > 0]
        codes, block, place = _deal(tally.per_item)
        even = np.arange(1, BLOCKS) * tally.rows / BLOCKS
        first = np.searchsorted(np.cumsum(tally.per_user[users]), even)
        first = np.concatenate([[0], first, [len(users)]]).astype(ROW)
        cells = np.zeros((BLOCKS, len(users)), np.int32)
        factors.count_cells(users, *_ends(data), frozen(data.item), frozen(data.weight), block, cells)
        sizes = np.array([cells[:, a:b].sum(axis=1, dtype=ROW) for a, b in pairwise(first)])
        begin = (np.cumsum(sizes) - sizes.ravel()).reshape(BLOCKS, BLOCKS)
        blocks = [users[a:b] for a, b in pairwise(first)]
        item, rating, weight, scale = _pack(data, blocks, begin, block, place, tally)
        shares = (1 / tally.of_user[users]).astype(REAL), (1 / tally.of_item[codes]).astype(REAL)
        ends = tally.mean, scale, tally.low, tally.high
        return cls(names[users], codes, item, rating, weight, cells, begin, first, *shares, *ends)

    def __len__(self) -> int:
        return len(self.rating)

    @property
    def waves(self) -> list[NDArray[np.int64]]:
        """The strata (S, 2) of each sub-epoch: every block of users once, every block of items once."""
        a = np.arange(BLOCKS, dtype=ROW)
        return [np.column_stack([a, (a + turn) % BLOCKS]) for turn in range(BLOCKS)]


def check_rows(data: Blocks) -> None:
    """Raise `DataError` unless rows to train on have labels and items."""
    if not data.counts.any():
        return
    if not data.label.size:
        raise DataError("the data have no label; training and losses need one, name its column with --label")
    if not data.item.size:
        raise DataError("the data have no items; a matrix factorisation needs them, name their column with --item")


@dataclass(frozen=True)
class _Tally:
    """Rows that count and their weights, of each user and each item's code; what the ratings are like."""

    per_user: NDArray[np.int64]
    per_item: NDArray[np.int64]
    of_user: NDArray[np.float64]
    of_item: NDArray[np.float64]
    rows: int
    weight: float
    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, data: Blocks) -> _Tally:
        users, items = len(data), int(data.item.max(initial=-1)) + 1
        counts = np.zeros(users, ROW), np.zeros(items, ROW), np.zeros(users, SUM), np.zeros(items, SUM)
        sums = np.array([0, 0, 0, np.inf, -np.inf])
        if not factors.tally(*(*_ends(data), *_columns(data), *counts, sums)):
            raise DataError("a label less its offset is no finite number; take such rows out")
        weight, total, rows, low, high = sums.tolist()
        return cls(*counts, int(rows), weight, total / weight if rows else 0.0, *((low, high) if rows else (-INF, INF)))


def _pack(
    data: Blocks,
    blocks: Sequence[NDArray[np.int64]],
    begin: NDArray[np.int64],
    block: NDArray[np.int64],
    place: NDArray[np.int32],
    tally: _Tally,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], float]:
    """Items, ratings and weights where their strata are, and the ratings' scale."""
    item, rating = np.empty(tally.rows, COLUMN), np.empty(tally.rows, REAL)
    weight = np.empty(tally.rows if data.weight.size else 0, REAL)
    squares = 0.0
    for users, cursor in zip(blocks, begin.copy(), strict=True):
        given = users, *_ends(data), *_columns(data), block, place, cursor, tally.mean, item, rating, weight
        squares += factors.pack(*given)
    # Of equal ratings there is only the mean's rounding left.
    scale = (squares / tally.weight) ** 0.5 if tally.rows and tally.high > tally.low else 1.0
    rating /= REAL(scale)
    weight *= REAL(tally.rows / tally.weight if tally.rows else 1)
    return item, rating, weight, scale


def _ends(data: Blocks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return frozen(data.start), frozen(data.stop)


def _columns(data: Blocks) -> tuple[NDArray[Any], ...]:
    return tuple(frozen(column) for column in (data.item, data.label, data.weight, data.offset))


def _deal(size: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Items with rows in the order of training, and the block and the position of every code."""
    order = np.argsort(-size, kind="stable")
    order = order[size[order] > 0]
    block, place = np.zeros(len(size), ROW), np.full(len(size), -1, COLUMN)
    factors.deal(order, size, block, np.zeros(BLOCKS, ROW))
    order = order[np.argsort(block[order], kind="stable")]
    place[order] = np.arange(len(order), dtype=COLUMN)
    return order.astype(COLUMN), block, place
