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
    return table.select(range(X.shape[1])) if hasattr(X, "shape") else table


def is_numeric(table: pa.Table) -> bool:
    """Whether a matrix of numbers holds all there is: no text, no truth values, nothing missing."""
    return all(
        (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and not column.null_count
        for column in table.columns
    )


def with_parts(
    table: pa.Table,
    users: pa.Array,
    label: NDArray[np.float32] | None = None,
    weight: NDArray[np.float64] | None = None,
    names: Roles | None = None,
) -> tuple[pa.Table, Roles]:
    """`table` with columns for its users, label and weight, and the roles that name them.

    Parameters
    ----------
    names : what to call the columns; None: ``user``, ``label`` and ``weight``, with underscores in front as far as needed
    """
    names = names or Roles(
        user=_free("user", table.column_names), label=_free("label", table.column_names),
        weight=None if weight is None else _free("weight", table.column_names),
    )  # fmt: skip
    for name, values in ((names.user, users), (names.label, label), (names.weight, weight)):
        if name is not None and values is not None:
            table = table.append_column(name, pa.array(values))
    return table, names


def as_users(users: Any, rows: int) -> pa.Array:
    """Ids of users, one for each of `rows`: whole numbers or text, from a list, an array or a series."""
    try:
        ids = pa.array(users) if hasattr(users, "__arrow_c_array__") else pa.array(_flat(users))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"users cannot be read as ids ({str(error).splitlines()[0]}); give whole numbers or text") from error
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    ids = plain(ids)
    if len(ids) != rows:
        raise DataError(f"users has {len(ids)} entries and X {rows} rows; give the id of the user of each row")
    if ids.null_count:
        raise DataError(f"users has {ids.null_count} missing ids; give every row a user, or leave such rows out")
    return ids


def _flat(users: Any) -> Any:
    if hasattr(users, "__arrow_c_stream__"):
        return pa.chunked_array(users).combine_chunks()
    array = np.asarray(users)
    if array.ndim != 1:
        raise DataError(f"users has the shape {array.shape}; give one id a row, in one dimension")
    return array.tolist() if array.dtype.kind in "OT" else array


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"_{name}"
    return name
