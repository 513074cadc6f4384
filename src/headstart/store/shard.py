"""One shard of personal models: its form at rest, one user out of it, many users out of many of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.vocab import is_text
from headstart.data.vocab import plain as plain_ids
from headstart.errors import ModelError
from headstart.models.family import Personal, Ragged, take_users
from headstart.store.arrays import plain, typed
from headstart.store.tables import USER, damaged, read_batch, write_batch

_KIND = "headstart.personal"

Layout: TypeAlias = tuple[tuple[str, str, bool], ...]
"""Name, dtype and raggedness of each column; the same in all shards of a store."""


@dataclass(frozen=True)
class Shard:
    """Personal models of some users.

    Attributes
    ----------
    users : their ids, distinct, in any order
    personal : one entry a user in each column
    """

    users: pa.Array
    personal: Personal

    @classmethod
    def checked(cls, users: pa.Array, personal: Personal) -> Shard:
        """A shard of what a family returned.

        Raises
        ------
        ModelError
            where columns and users do not fit together
        """
        users = as_ids(users)
        if users.null_count:
            raise ModelError(f"{users.null_count} of {len(users)} users to be stored have no id")
        for name, column in personal.items():
            flat = column if isinstance(column, Ragged) else np.asarray(column)
            if name == USER or len(flat) != len(users) or (not isinstance(flat, Ragged) and flat.ndim != 1):
                raise ModelError(f"personal column {name!r} has {len(flat)} entries for {len(users)} users")
        return cls(users, personal)

    @property
    def layout(self) -> Layout:
        """What the columns are, the ids first."""
        ids = "text" if is_text(self.users.type) else str(self.users.type)
        columns = self.personal.items()
        return (USER, ids, False), *((name, _values(c).dtype.str, isinstance(c, Ragged)) for name, c in columns)

    @property
    def nbytes(self) -> int:
        """Bytes of ids and models in memory, or mapped into it."""
        columns = self.personal.values()
        starts = sum(column.indptr.nbytes for column in columns if isinstance(column, Ragged))
        return int(self.users.nbytes) + starts + sum(_values(column).nbytes for column in columns)

    def one(self, row: int) -> Personal:
        """The model of the user at `row`: views, no copy."""
        return {name: _entry(column, row) for name, column in self.personal.items()}

    def without(self, rows: NDArray[np.int64]) -> Shard:
        """A copy that lacks the users at `rows`."""
        keep = np.delete(np.arange(len(self.users)), rows)
        return Shard(self.users.take(pa.array(keep)), take_users(self.personal, keep))

    def write(self, file: Path) -> None:
        """Write as an Arrow IPC file: the column ``user``, primitive columns, large lists."""
        columns, fields = [self.users], [pa.field(USER, self.users.type)]
        for name, column in self.personal.items():
            values = pa.array(plain(_values(column), name))
            if isinstance(column, Ragged):
                values = pa.LargeListArray.from_arrays(pa.array(column.indptr, pa.int64()), values)
            columns.append(values)
            fields.append(pa.field(name, values.type, metadata={"dtype": _values(column).dtype.newbyteorder("<").str}))
        write_batch(file, pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)), _KIND)

    @classmethod
    def read(cls, file: Path) -> Shard:
        """Map what `write` wrote into memory."""
        batch = read_batch(file, _KIND)
        with damaged(file):
            pairs = list(zip(batch.schema, batch.columns, strict=True))[1:]
            return cls(as_ids(batch.column(USER)), {field.name: _column(values, field) for field, values in pairs})


def as_ids(users: pa.Array) -> pa.Array:
    """Ids as text or as integers of 64 bits."""
    users = plain_ids(users)
    if not pa.types.is_integer(users.type):
        return users
    return users.cast(pa.uint64() if pa.types.is_unsigned_integer(users.type) else pa.int64())


def gather(
    load: Callable[[int], Shard], number: NDArray[np.int32], row: NDArray[np.int64]
) -> dict[str, NDArray[Any] | Ragged]:
    """The models at `row` of the shards `number` (n,), copied side by side in that order.

    No Python runs per user. Where n is 0, shard 0 tells the columns.
    """
    first = int(number[0]) if len(number) else 0
    if (number == first).all():
        parts = [(load(first), np.arange(len(number)))]
    else:
        parts = [(load(int(one)), np.flatnonzero(number == one)) for one in np.unique(number)]
    names = parts[0][0].personal
    return {name: _side_by_side([(s.personal[name], row[at], at) for s, at in parts], len(row)) for name in names}


_Part: TypeAlias = tuple["NDArray[Any] | Ragged", NDArray[np.int64], NDArray[np.int64]]


def _side_by_side(parts: list[_Part], size: int) -> NDArray[Any] | Ragged:
    """Entries at rows of columns, put at positions of a new column of `size` users."""
    dtype = _values(parts[0][0]).dtype
    if not isinstance(parts[0][0], Ragged):
        numbers = np.empty(size, dtype)
        for column, row, at in parts:
            numbers[at] = _values(column)[row]
        return numbers
    ragged = [(column, row, at) for column, row, at in parts if isinstance(column, Ragged)]
    indptr = np.zeros(size + 1, np.int64)
    for column, row, at in ragged:
        indptr[at + 1] = column.indptr[row + 1] - column.indptr[row]
    np.cumsum(indptr, out=indptr)
    values = np.empty(indptr[-1], dtype)
    for column, row, at in ragged:
        _copy(column, row, values, indptr, at)
    return Ragged(values, indptr)


def _copy(
    column: Ragged, row: NDArray[np.int64], values: NDArray[Any], indptr: NDArray[np.int64], at: NDArray[np.int64]
) -> None:
    """Copy the vectors at `row` to the places `at`."""
    if not len(at):
        return
    if len(at) == 1:  # a single call: no more than it takes
        first, last = column.indptr[row[0]], column.indptr[row[0] + 1]
        values[indptr[at[0]] : indptr[at[0] + 1]] = column.values[first:last]
        return
    lengths = indptr[at + 1] - indptr[at]
    start = column.indptr[row]
    width = int(lengths[0])
    if width and (lengths == width).all() and (start == row * width).all() and (indptr[at] == at * width).all():
        _rows(values, width)[at] = _rows(column.values, width)[row]  # dense models: whole rows, no index a number
        return
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    values[np.repeat(indptr[at], lengths) + within] = column.values[np.repeat(start, lengths) + within]


def _rows(values: NDArray[Any], width: int) -> NDArray[Any]:
    """A view as a matrix; an incomplete last row is left out."""
    return values[: len(values) // width * width].reshape(-1, width)


def _values(column: NDArray[Any] | Ragged) -> NDArray[Any]:
    return column.values if isinstance(column, Ragged) else np.asarray(column)


def _entry(column: NDArray[Any] | Ragged, row: int) -> NDArray[Any] | Ragged:
    if not isinstance(column, Ragged):
        return column[row : row + 1]
    start, stop = int(column.indptr[row]), int(column.indptr[row + 1])
    return Ragged(column.values[start:stop], np.array([0, stop - start]))


def _column(values: pa.Array, field: pa.Field) -> NDArray[Any] | Ragged:
    dtype = field.metadata[b"dtype"].decode()
    if pa.types.is_large_list(values.type):
        return Ragged(typed(values.values, dtype), typed(values.offsets, "<i8"))
    return typed(values, dtype)
