"""Data frames and arrays of ids as they come from Python callers, made into Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.roles import Roles
from headstart.data.vocab import plain
from headstart.errors import DataError


def frame_or_none(X: Any) -> pa.Table | None:
    """A data frame (anything with ``__arrow_c_stream__``) as a table of its columns, without the index; else None."""
    if not hasattr(X, "__arrow_c_stream__"):
        return None
    try:
        table = pa.table(X)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"the data frame cannot be read: {str(error).splitlines()[0]}; convert that column") from error
    if hasattr(X, "shape"):
        table = table.select(range(X.shape[1]))
    return pa.table([_without_views(column) for column in table.columns], names=table.column_names)


def is_numeric(table: pa.Table) -> bool:
    """Whether a matrix of numbers holds all there is: no text, no truth values, nothing missing."""
    return all(
        (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and not column.null_count
        for column in table.columns
    )


def free_roles(taken: Sequence[str]) -> Roles:
    """Roles called ``user``, ``label`` and ``weight``, with underscores in front where a column has that name."""
    return Roles(user=_free("user", taken), label=_free("label", taken), weight=_free("weight", taken))


def with_parts(
    table: pa.Table,
    roles: Roles,
    users: pa.Array,
    label: NDArray[np.float32] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> pa.Table:
    """`table` with columns for users, label and weight, by the names of `roles`."""
    for name, values in ((roles.user, users), (roles.label, label), (roles.weight, weight)):
        if name is not None and values is not None:
            table = table.append_column(name, pa.array(values))
    return table


def as_users(users: Any, rows: int) -> pa.Array:
    """Ids of users, one for each of `rows`: whole numbers or text, from a list, an array or a series."""
    ids = plain(_array(users))
    if len(ids) != rows:
        raise DataError(f"users has {len(ids)} entries and X {rows} rows; give the id of the user of each row")
    if ids.null_count:
        raise DataError(f"users has {ids.null_count} missing ids; give every row a user, or leave such rows out")
    return ids


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a type of text that can be filtered."""
    kind = column.type
    if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
        return column.cast(pa.dictionary(kind.index_type, pa.large_string()))
    return column.cast(pa.large_string()) if pa.types.is_string_view(kind) else column


def _array(users: Any) -> pa.Array:
    try:
        if hasattr(users, "__arrow_c_stream__"):
            return pa.chunked_array(users).combine_chunks()
        array = np.asarray(users)
        if array.ndim == 1:
            return pa.array(array.tolist() if array.dtype.kind in "OT" else array)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"users cannot be ids ({str(error).splitlines()[0]}); give whole numbers or text") from error
    raise DataError(f"users has the shape {array.shape}; give one id a row, in one dimension")


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"_{name}"
    return name
