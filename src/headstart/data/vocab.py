"""Ids and their positions: any integer or text ids, looked up in bulk or one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.kernels.dtypes import ROW
from headstart.kernels.hashing import hash_numbers, hash_texts

Ids: TypeAlias = pa.Array | pa.ChunkedArray
"""Ids of users, items or lists: any integer type, or text (also dictionary-encoded)."""

_NO_SALT = np.uint64(0)


class Vocabulary:
    """Sorted, distinct ids; text in the order of its UTF-8 bytes.

    Parameters
    ----------
    ids : sorted, distinct, no nulls; `Vocabulary.of` makes them so
    """

    def __init__(self, ids: pa.Array) -> None:
        self.ids = ids
        self._numbers = None if is_text(ids.type) else _wide(ids)

    @classmethod
    def of(cls, values: Ids) -> Vocabulary:
        """The distinct ids among `values`; nulls are left out."""
        distinct = pc.drop_null(pc.unique(plain(values)))
        return cls(_one(distinct.take(pc.array_sort_indices(distinct))))

    def __len__(self) -> int:
        return len(self.ids)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same ids in the same type."""
        return {"type": str(self.ids.type), "ids": self.ids.to_pylist()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Vocabulary:
        """What `to_json` gave."""
        return cls(pa.array(fields["ids"], pa.type_for_alias(fields["type"])))

    def index(self, values: Ids) -> NDArray[np.int64]:
        """Position of each of `values`, int64 (n,); -1 where it is unknown or null.

        Numbers match text that is written the same way, so ids survive a change of their column's type.
        """
        values = plain(values)
        if len(self) == 0 or len(values) == 0:
            return np.full(len(values), -1, ROW)
        if self._numbers is None or is_text(values.type):
            return self._index_text(values if is_text(values.type) else values.cast(pa.string()))
        wanted, fits = _same_kind(_wide(values), self._numbers.dtype)
        position = np.minimum(np.searchsorted(self._numbers, wanted), len(self) - 1)
        known = fits & (self._numbers[position] == wanted) & ~np.asarray(values.is_null())
        return np.where(known, position, -1).astype(ROW)

    def index_one(self, value: Any) -> int:
        """Position of one id (int or str), -1 when unknown; microseconds."""
        if self._numbers is not None:
            try:
                number = self._numbers.dtype.type(int(value))
            except (ValueError, OverflowError, TypeError):
                return -1
            if str(number) != str(value):
                return -1
            at = int(np.searchsorted(self._numbers, number))
            return at if at < len(self) and self._numbers[at] == number else -1
        if value is None:
            return -1
        text = str(value)
        at = bisect_left(self.ids, text, key=lambda entry: entry.as_py())
        return at if at < len(self) and self.ids[at].as_py() == text else -1

    def _index_text(self, values: Ids) -> NDArray[np.int64]:
        if len(values) * 64 < len(self):  # hashing all the ids would cost more than a few searches
            return np.array([self.index_one(value) for value in values.to_pylist()], ROW)
        ids = self.ids.cast(values.type)
        found = pc.index_in(values, value_set=ids, skip_nulls=True)
        return np.asarray(pc.fill_null(found, -1), ROW)


def keys(ids: Ids) -> NDArray[np.uint64]:
    """A stable 64-bit hash of each id, uint64 (n,): seeds of users, folds, buckets.

    Equal numbers have equal keys whatever their integer type; a null counts as 0 or as an empty text.
    """
    ids = plain(ids)
    out = np.empty(len(ids), np.uint64)
    if not is_text(ids.type):
        hash_numbers(_wide(ids).view(np.uint64), _NO_SALT, out)
        return out
    at = 0
    for chunk in ids.chunks if isinstance(ids, pa.ChunkedArray) else [ids]:
        _hash_chunk(chunk.cast(pa.large_string()).fill_null(""), out[at : at + len(chunk)])
        at += len(chunk)
    return out


def is_text(kind: pa.DataType) -> bool:
    """Whether a plain column type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain(values: Ids) -> Ids:
    """`values` without dictionary encoding and in the common text type; an error if they cannot be ids."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if pa.types.is_null(values.type):
        values = values.cast(pa.int64())
    if not (is_text(values.type) or pa.types.is_integer(values.type)):
        raise DataError(f"ids are whole numbers or text; found {values.type}; convert the column")
    return values


def _hash_chunk(chunk: pa.Array, out: NDArray[np.uint64]) -> None:
    if not len(chunk):
        return
    _, offsets, data = chunk.buffers()
    bounds = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    hash_texts(bounds, np.frombuffer(data if data is not None else b"", np.uint8), out)


def _one(values: Ids) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _wide(values: Ids) -> NDArray[Any]:
    """Integers as int64, or as uint64 if that is their type; nulls are 0."""
    kind = pa.uint64() if pa.types.is_uint64(values.type) else pa.int64()
    array: NDArray[Any] = values.cast(kind).fill_null(0).to_numpy()
    return array


def _same_kind(values: NDArray[Any], kind: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """`values` as `kind`, and which of them fit; int64 and uint64 only share the numbers from 0 to 2^63 - 1."""
    if values.dtype == kind:
        return values, np.ones(len(values), np.bool_)
    return values.view(kind), values.view(np.int64) >= 0
