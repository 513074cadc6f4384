"""Checks of the values of a log, each refusal in one line: what was found, where, and how to go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headstart.data.roles import Roles
from headstart.errors import DataError, SettingsError
from headstart.kernels.dtypes import REAL, ROW

_SIGNS = {">=": np.greater_equal, "<=": np.less_equal, "==": np.equal, ">": np.greater, "<": np.less}


def refuse_missing(what: str, part: str, name: str, column: pa.ChunkedArray, row: NDArray[np.int64]) -> None:
    """Raise if any value of a column is missing."""
    if column.null_count:
        where = np.asarray(column.is_null())
        advice = "fill it, or leave the row out"
        raise DataError(f"{what}: {part} column {name!r} is empty in {_rows(row, where)}; {advice}")


def number_values(
    what: str, part: str, name: str, column: pa.ChunkedArray, row: NDArray[np.int64], least: float | None = None
) -> NDArray[np.float32]:
    """A column of finite numbers as float32, none below `least`."""
    refuse_missing(what, part, name, column, row)
    where = f"{what}: {part} column {name!r}"
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    # Compared before the conversion, which would make an infinity of them.
    bad = ~(np.abs(values) <= np.finfo(REAL).max)
    if bad.any():
        raise DataError(f"{where} holds {_found(values, bad, row)}; it must be a finite number")
    if least is not None and (values < least).any():
        low = values < least
        raise DataError(f"{where} holds {_found(values, low, row)}; it must be at least {least:g}")
    return values.astype(REAL)


def label_values(
    what: str, column: pa.ChunkedArray, roles: Roles, row: NDArray[np.int64], binary: bool
) -> NDArray[np.float32]:
    """The label as float32: by the rule, by the positive value, or as it is."""
    name = str(roles.label)
    refuse_missing(what, "label", name, column, row)
    where = f"{what}: label column {name!r}"
    text = pa.types.is_string(column.type)
    if roles.positive is not None:
        return _is_positive(where, column, roles.positive)
    if text:
        advice = "give --positive VALUE" if binary else "ratings are numbers: convert it, or name another with --label"
        raise DataError(f"{where} holds text, {column[0].as_py()!r} in row {row[0] + 1}; {advice}")
    if pa.types.is_boolean(column.type):
        if roles.rule is not None:
            raise SettingsError(f"{where} holds true and false; a rule needs numbers: give --label {name}")
        return np.asarray(column.cast(pa.uint8()), REAL)
    values = number_values(what, "label", name, column, row)
    if roles.rule is not None:
        # By the column's own numbers: float32 would move a threshold such as 0.1.
        exact = column.cast(pa.float64(), safe=False).to_numpy()
        return np.asarray(_SIGNS[roles.rule.sign](exact, roles.rule.value), REAL)
    bad = (values != 0) & (values != 1)
    if binary and bad.any():
        advice = f"give a rule such as --label '{name}>={values.max():g}', or --positive VALUE"
        raise DataError(f"{where} holds {_found(values, bad, row)}; labels are 0 and 1: {advice}")
    return values


def time_values(what: str, name: str, column: pa.ChunkedArray, row: NDArray[np.int64]) -> NDArray[Any]:
    """Times as int64 or float64; dates and timestamps as microseconds since 1970."""
    refuse_missing(what, "time", name, column, row)
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
    if pa.types.is_integer(column.type):
        if pa.types.is_uint64(column.type) and pc.max(column).as_py() >= 2**63:
            raise DataError(f"{what}: time column {name!r} holds numbers of 2^63 and more; give smaller ones")
        return np.asarray(column, ROW)
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(f"{what}: time column {name!r} holds {_found(values, bad, row)}; it must be finite")
    return values


def trainable_or_raise(
    what: str, roles: Roles, users: int, label: NDArray[np.float32], weight: NDArray[np.float32], binary: bool
) -> None:
    """Raise unless there are two users, a weight above 0 (or no weights) and, of a binary label, two classes."""
    if users < 2:
        raise DataError(f"{what}: user column {roles.user!r} holds one user only; personal models need at least two")
    if len(weight) and not weight.any():
        raise DataError(f"{what}: weight column {roles.weight!r} is 0 in every row; some rows must count")
    if binary and (label == label[0]).all():
        made = f"{roles.label}{roles.rule.sign}{roles.rule.value:g}" if roles.rule else str(roles.label)
        made += f"={roles.positive}" if roles.positive is not None else ""
        raise DataError(f"{what}: the label {made!r} is {label[0]:g} in every row; both classes are needed")


def _is_positive(where: str, column: pa.ChunkedArray, positive: str) -> NDArray[np.float32]:
    if pa.types.is_boolean(column.type) or pa.types.is_string(column.type):
        hits = pc.equal(column.cast(pa.string()), positive)
    else:
        try:
            hits = pc.equal(column.cast(pa.float64(), safe=False), float(positive))
        except ValueError:
            raise SettingsError(f"{where} holds numbers; --positive {positive} is none") from None
    return np.asarray(hits, REAL)


def _found(values: NDArray[Any], bad: NDArray[np.bool_], row: NDArray[np.int64]) -> str:
    """The value of the first bad row and where it is."""
    k = np.flatnonzero(bad)[np.argmin(row[bad])]
    return f"{values[k]:g} in {_rows(row, bad)}"


def _rows(row: NDArray[np.int64], where: NDArray[np.bool_]) -> str:
    """The first of the rows, counted from 1 as in the source, and how many more there are."""
    more = int(where.sum()) - 1
    return f"row {row[where].min() + 1}" + (f" and {more} more" if more else "")
