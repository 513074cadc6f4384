"""Rows cut into strata that share neither users nor items, and batches of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks, frozen
from headstart.data.vocab import entity_keys
from headstart.errors import DataError
from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM
from headstart.kernels.machines import piece_columns, take_rows
from headstart.models.fm.rows import Rows

GROUPS = 16
"""Users are dealt into so many groups, and items; a batch is one piece of each group of users."""

BATCH = 8192
"""Rows of a batch, about, where there are more than GROUPS times as many."""


@dataclass(frozen=True)
class Strata:
    """Rows of weight above 0 in the order of training, cut into pieces; GROUPS of them in turn are a batch.

    Attributes
    ----------
    key : uint64 (U,), sorted: the users
    items, width : number of items, and of feature columns d
    arrays : what `train_pieces` reads of the rows: CSR features with columns numbered within each piece, these columns
        and where each piece's begin, bounds of the pieces, int64 (P + 1,), and each row's user, item, label, weight and
        offset
    intercept : the best constant
    scale, low, high : labels are in units of `scale`, and were between these
    square : mean of |x|^2 over rows, the ones of user and item included
    stored : stored values in a row, on average
    """

    key: NDArray[np.uint64]
    items: int
    width: int
    arrays: tuple[NDArray[Any], ...]
    intercept: float
    scale: float
    low: float
    high: float
    square: float
    stored: float

    @classmethod
    def of(cls, data: Blocks, squared: bool, seed: int) -> Strata:
        """Deal the rows of `data`; those of weight 0 are left out."""
        if data.label.size == 0:
            raise DataError("the data have no label; training needs one, name its column with --label")
        rows = Rows.of(data)
        kept = np.flatnonzero(rows.weight > 0)
        if not len(kept):
            raise DataError("no row has a weight above 0; training needs one")
        key, user = _users(data, kept)
        label, weight, offset = (column[kept].astype(SUM) for column in (rows.label, rows.weight, rows.offset))
        item, scale, intercept = rows.item[kept], 1.0, 0.0
        if squared:
            label, offset = label - offset, np.zeros(len(kept))
            mean = np.average(label, weights=weight)
            scale = float(np.sqrt(np.average((label - mean) ** 2, weights=weight))) or 1.0
            intercept = float(mean) / scale
        else:
            hits = weight @ label
            intercept = float(np.log((hits + 1.0) / (weight.sum() - hits + 1.0)))
        items = int(item.max(initial=-1)) + 1
        order, bounds = _deal(user, item, len(key), items, np.random.default_rng(seed))
        matrix = _taken(rows, kept[order])
        active, begin = piece_columns(matrix[1], matrix[2], bounds, data.width)
        columns = (label / scale, weight, offset)
        taken = [frozen(column[order].astype(REAL)) for column in columns]
        fixed = [frozen(array) for array in (*matrix, active, begin, bounds, user[order], item[order])]
        ones = 1.0 + float((item >= 0).mean())
        square = ones + float(np.square(matrix[0], dtype=SUM).sum()) / len(kept)
        shape = (key, items, data.width, (*fixed, *taken), intercept, scale)
        return cls(*shape, float(label.min()), float(label.max()), square, ones + len(matrix[0]) / len(kept))

    @property
    def batches(self) -> range:
        """The first piece of every batch."""
        return range(0, len(self.arrays[4]) - 1, GROUPS)

    @property
    def widest(self) -> int:
        """The most columns of any piece."""
        return int(np.diff(self.arrays[4]).max())

    @property
    def rows(self) -> int:
        """Rows that count."""
        return len(self.arrays[6])


def _users(data: Blocks, kept: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Sorted keys of the users who have any of the rows `kept`, and for each row the place of its user's."""
    owner = np.repeat(np.arange(len(data)), data.counts)[kept]
    key, place = np.unique(entity_keys(data.users)[owner], return_inverse=True)
    return key, place.astype(COLUMN)


def _deal(
    user: NDArray[np.int32], item: NDArray[np.int32], users: int, items: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of rows, and the bounds of pieces: for each round, for each part of it, a piece of each user group.

    In round r, user group g meets item group (g + r) % GROUPS. Rows without an item may be in any round.
    """
    group_of_user, group_of_item = rng.permutation(users) % GROUPS, rng.permutation(items) % GROUPS
    group, any_round = group_of_user[user], rng.integers(0, GROUPS, len(user))
    round_ = any_round if not items else np.where(item >= 0, (group_of_item[item] - group) % GROUPS, any_round)
    stratum = round_ * GROUPS + group
    order = np.lexsort((rng.permutation(len(user)), stratum)).astype(ROW)
    ends = np.cumsum(np.bincount(stratum, minlength=GROUPS**2))
    parts = max(1, len(user) // (GROUPS * BATCH))
    size = np.diff(ends, prepend=0)
    cuts = (ends - size)[:, None] + size[:, None] * np.arange(parts) // parts
    begin = cuts.reshape(GROUPS, GROUPS, parts)
    stop = np.concatenate([cuts[:, 1:], ends[:, None]], axis=1).reshape(GROUPS, GROUPS, parts)
    lengths = (stop - begin).transpose(0, 2, 1).ravel()
    # Rows stand by stratum; a piece is taken out of each in turn.
    first = begin.transpose(0, 2, 1).ravel()
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(ROW)
    where = np.arange(len(user)) + np.repeat(first - bounds[:-1], lengths)
    return order[where], bounds


def _taken(rows: Rows, order: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """The features of the rows `order`, side by side."""
    number = rows.rows[order]
    stored = int((rows.matrix[2][number + 1] - rows.matrix[2][number]).sum())
    out = np.empty(stored, REAL), np.empty(stored, COLUMN), np.empty(len(order) + 1, ROW)
    take_rows(*rows.matrix, number, *out)
    return out
