"""The event log in memory: columns sorted by user, and the rows of each user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import EMPTY, NO_ITEMS, Blocks, Matrix
from headstart.data.gather import filtered
from headstart.data.roles import Roles
from headstart.data.spill import Spill
from headstart.data.vocab import Vocabulary, keys
from headstart.errors import DataError
from headstart.kernels.dtypes import COLUMN, ROW
from headstart.kernels.hashing import absorb

NONE = np.empty(0, ROW)
NO_KEYS = np.empty(0, np.uint64)


@dataclass(frozen=True)
class EventLog:
    """Events sorted by user, then time, then item, then their first order.

    Attributes
    ----------
    roles : parts of the columns, as far as they were read
    columns : the feature columns under their own names, n rows; text is dictionary-encoded
    users : sorted, distinct ids of the entities, length U
    start, stop : int64 (U,), the rows of user k are ``start[k]:stop[k]``; equal where it has none
    row : int64 (n,), the place of each event in the source, from 0
    label, weight, offset : float32 (n,); empty where there is no such column
    time : int64 or float64 (n,), dates and timestamps as microseconds since 1970; empty without one
    list : int64 (n,), a code for each pair of user and list id, in the users' order; empty without one
    item : ids (n,), or None
    notes : oddities that are no errors, counted
    spill : how large its columns, and the features made of it, may be to be kept in memory
    """

    roles: Roles
    columns: pa.Table
    users: pa.Array
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    row: NDArray[np.int64]
    label: NDArray[np.float32] = field(default_factory=lambda: EMPTY)
    weight: NDArray[np.float32] = field(default_factory=lambda: EMPTY)
    offset: NDArray[np.float32] = field(default_factory=lambda: EMPTY)
    time: NDArray[Any] = field(default_factory=lambda: NONE)
    list: NDArray[np.int64] = field(default_factory=lambda: NONE)
    item: pa.Array | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    spill: Spill = Spill()

    def __len__(self) -> int:
        return len(self.row)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Events per user, int64 (U,)."""
        return self.stop - self.start

    @property
    def user_of_row(self) -> NDArray[np.int64]:
        """Position in `users` of each row's user, int64 (n,)."""
        return np.repeat(np.arange(len(self.users), dtype=ROW), self.counts)

    def take(self, mask: NDArray[np.bool_]) -> EventLog:
        """The events where `mask` (n,) is true; `users` stays, so positions keep their meaning."""
        if mask.all():
            return self
        before = np.concatenate([np.zeros(1, ROW), np.cumsum(mask, dtype=ROW)])
        chosen = pa.array(mask)
        numbers = {name: getattr(self, name) for name in ("label", "weight", "offset", "time", "list")}
        return replace(
            self,
            columns=filtered(self.columns, mask, self.spill) if self.columns.num_columns else self.columns,
            start=before[self.start],
            stop=before[self.stop],
            row=self.row[mask],
            item=None if self.item is None else self.item.filter(chosen),
            **{name: values[mask] if len(values) else values for name, values in numbers.items()},
        )

    def pieces(self, rows: int) -> Iterator[EventLog]:
        """The log cut into logs of `rows` rows, views, each with the users whose rows it holds some of."""
        for low in range(0, len(self), rows):
            high = min(low + rows, len(self))
            here = slice(np.searchsorted(self.stop, low, side="right"), np.searchsorted(self.start, high))
            numbers = {name: getattr(self, name) for name in ("label", "weight", "offset", "time", "list")}
            yield replace(
                self,
                columns=self.columns.slice(low, high - low),
                users=self.users[here],
                start=np.maximum(self.start[here], low) - low,
                stop=np.minimum(self.stop[here], high) - low,
                row=self.row[low:high],
                item=None if self.item is None else self.item[low:high],
                **{name: values[low:high] if len(values) else values for name, values in numbers.items()},
            )

    def blocks(self, features: Matrix, items: Vocabulary | None = None) -> Blocks:
        """The same events as arrays for kernels, with `features` of their n rows and item codes of `items`."""
        if features.shape[0] != len(self):
            raise DataError(f"{features.shape[0]} rows of features for {len(self)} events; transform this very log")
        codes = NO_ITEMS
        if items is not None and self.item is not None:
            codes = items.index(self.item).astype(COLUMN)
        return Blocks(features, self.users, self.start, self.stop, self.label, self.weight, self.offset, codes)

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of the content; the events' first order makes no difference."""
        state = np.repeat(keys(self.users), self.counts)
        for numbers in (self.label, self.weight, self.offset, self.time):
            if len(numbers):
                absorb(state, numbers.astype(np.float64).view(np.uint64))
        if self.item is not None:
            absorb(state, keys(self.item))
        for column in self.columns.columns:
            absorb(state, _content(column))
        names = keys(pa.array([*self.columns.column_names, str(len(self)), str(self.roles.list)]))
        with np.errstate(over="ignore"):
            total = np.concatenate([[state.sum(dtype=np.uint64)], names])
        digest = np.zeros(1, np.uint64)
        for part in total:
            absorb(digest, np.array([part], np.uint64))
        return f"{int(digest[0]):016x}"


def _content(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A feature column as one number a row, uint64 (n,), whatever its type and chunks."""
    if pa.types.is_dictionary(column.type):
        return np.concatenate([NO_KEYS, *(_of_dictionary(chunk) for chunk in column.chunks)])
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers.view(np.uint64)


def _of_dictionary(chunk: pa.DictionaryArray) -> NDArray[np.uint64]:
    known = np.append(keys(chunk.dictionary), np.uint64(0))
    content: NDArray[np.uint64] = known[chunk.indices.fill_null(len(known) - 1).to_numpy()]
    return content
