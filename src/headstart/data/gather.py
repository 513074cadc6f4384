"""A stream of record batches as one table, text as codes with one dictionary a column."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.spill import Spill, rows_at_once


class _Texts:
    """The dictionary of a column: codes of texts, in the order in which they come."""

    def __init__(self) -> None:
        self._code: dict[str | None, int] = {}

    def codes(self, column: pa.Array) -> pa.Array:
        """Codes of a piece of the column, int32 with nulls where it has some."""
        piece = column.dictionary_encode()
        known = self._code
        place = [known.setdefault(text, len(known)) for text in piece.dictionary.to_pylist()]
        return pa.array(place, pa.int32()).take(piece.indices)

    def dictionary(self) -> pa.Array:
        """All texts, by code."""
        return pa.array(list(self._code), pa.string())


def gather(batches: Iterator[pa.RecordBatch], spill: Spill, plain: Collection[str] = ()) -> pa.Table:
    """All rows of `batches`; columns of text come out dictionary-encoded, but for those called as in `plain`."""
    first = next(batches, None)
    if first is None:
        return pa.table({})
    texts = {
        k: _Texts()
        for k, field in enumerate(first.schema)
        if pa.types.is_string(field.type) and field.name not in plain
    }
    kinds = [pa.field(field.name, pa.int32() if k in texts else field.type) for k, field in enumerate(first.schema)]
    schema = pa.schema(kinds)

    def coded() -> Iterator[pa.RecordBatch]:
        for batch in chain([first], batches):
            columns = [texts[k].codes(column) if k in texts else column for k, column in enumerate(batch.columns)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    table = spill.table(schema, coded())
    columns = [
        _with_dictionary(column, texts[k].dictionary()) if k in texts else column
        for k, column in enumerate(table.columns)
    ]
    return pa.table(columns, names=table.column_names)


def filtered(table: pa.Table, mask: NDArray[np.bool_], spill: Spill) -> pa.Table:
    """The rows of `table` where `mask` (n,) is true."""
    columns = [_unified(column) for column in table.columns]
    codes = pa.table([_codes(column) for column in columns], names=table.column_names)

    def chosen() -> Iterator[pa.RecordBatch]:
        at = 0
        for batch in codes.to_batches(max_chunksize=rows_at_once(codes.num_columns)):
            yield batch.filter(pa.array(mask[at : at + len(batch)]))
            at += len(batch)

    rest = spill.table(codes.schema, chosen())
    return pa.table([_like(*pair) for pair in zip(rest.columns, columns, strict=True)], names=table.column_names)


def _unified(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with one dictionary for all of its chunks, if it has any."""
    return column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column


def _codes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    return pa.chunked_array([chunk.indices for chunk in column.chunks], column.type.index_type)


def _like(codes: pa.ChunkedArray, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """`codes` with the dictionary of `column`, if that has one."""
    if not pa.types.is_dictionary(column.type) or not column.num_chunks:
        return codes.cast(column.type)
    return _with_dictionary(codes, column.chunk(0).dictionary)


def _with_dictionary(codes: pa.ChunkedArray, dictionary: pa.Array) -> pa.ChunkedArray:
    kind = pa.dictionary(codes.type, dictionary.type)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(chunk, dictionary) for chunk in codes.chunks], kind)
