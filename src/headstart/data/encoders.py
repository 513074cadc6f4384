"""How one column becomes features. An encoder is fitted on training rows and applied to any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headstart.data.events import EventLog
from headstart.data.roles import FeatureSettings
from headstart.data.vocab import keys
from headstart.errors import DataError
from headstart.kernels.dtypes import COLUMN, REAL

# Beyond this the square of a number leaves float64's range when summed, and the number float32's.
_LARGEST = 1e38

Strip: TypeAlias = NDArray[np.float32] | NDArray[np.int32]
"""One entry a row: values float32 of one column; or codes int32 of one-hot columns, -1 for none."""


@dataclass(frozen=True)
class Encoded:
    """A column as strips, each with the place of its first feature within the encoder; and what was odd.

    Attributes
    ----------
    unseen : values of a category that training did not have
    missing : values that are null, or no finite number
    absent : whether the log lacks the column altogether
    """

    strips: tuple[tuple[int, Strip], ...]
    unseen: int = 0
    missing: int = 0
    absent: bool = False


class Encoder(Protocol):
    """A fitted encoder; `kind` names it in JSON."""

    kind: ClassVar[str]

    @property
    def column(self) -> str:
        """The source column."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""

    def encode(self, log: EventLog) -> Encoded:
        """The features of all rows."""

    def to_json(self) -> dict[str, Any]:
        """Plain values that make the encoder anew."""


@dataclass(frozen=True)
class Numeric:
    """A number, standardised; a missing one counts as the mean, and sets the indicator if training had any."""

    kind: ClassVar[str] = "numeric"
    column: str
    mean: float
    sd: float
    missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        return (self.column, f"{self.column}:missing") if self.missing else (self.column,)

    def encode(self, log: EventLog) -> Encoded:
        absent = self.column not in log.columns.column_names
        values = np.full(len(log), np.nan) if absent else _numbers(log.columns.column(self.column), self.column)
        present = np.abs(values) <= _LARGEST
        values -= self.mean
        values /= self.sd
        if not present.all():
            values[~present] = 0.0
        strips: tuple[tuple[int, Strip], ...] = ((0, values.astype(REAL)),)
        if self.missing:
            strips = (*strips, (1, (~present).astype(REAL)))
        return Encoded(strips, missing=0 if absent else int((~present).sum()), absent=absent)

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "mean": self.mean, "sd": self.sd, "missing": self.missing}


@dataclass(frozen=True)
class OneHot:
    """A category, one feature for each that training had; null is one of them if training had it."""

    kind: ClassVar[str] = "onehot"
    column: str
    categories: tuple[str | None, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.column}={'?' if name is None else name}" for name in self.categories)

    def encode(self, log: EventLog) -> Encoded:
        known = [name for name in self.categories if name is not None]
        null = len(known) if None in self.categories else -1
        absent = self.column not in log.columns.column_names
        if absent:
            return Encoded(((0, np.full(len(log), null, COLUMN)),), absent=True)
        texts, codes = category_codes(log.columns.column(self.column))
        found = pc.index_in(texts, value_set=pa.array(known, pa.string())).fill_null(-1).to_numpy()
        strip = np.append(found, null).astype(COLUMN)[codes]
        missing = int((codes < 0).sum())
        unseen = int((strip < 0).sum()) - (missing if null < 0 else 0)
        return Encoded(((0, strip),), unseen=unseen, missing=missing)

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "categories": list(self.categories)}


@dataclass(frozen=True)
class Hashed:
    """A category of too many, by its hash into a bucket; null sets none."""

    kind: ClassVar[str] = "hashed"
    column: str
    buckets: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.column}#{k}" for k in range(self.buckets))

    def encode(self, log: EventLog) -> Encoded:
        if self.column not in log.columns.column_names:
            return Encoded(((0, np.full(len(log), -1, COLUMN)),), absent=True)
        texts, codes = category_codes(log.columns.column(self.column))
        bucket = (keys(texts) % np.uint64(self.buckets)).astype(COLUMN)
        strip = np.append(bucket, COLUMN(-1))[codes]
        return Encoded(((0, strip),), missing=int((codes < 0).sum()))

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "buckets": self.buckets}


def fit_column(log: EventLog, name: str, settings: FeatureSettings) -> tuple[Encoder | None, float, str]:
    """Fit an encoder on all rows of `log`: the encoder, its non-zeros a row; or None, and why the column is no use."""
    column = log.columns.column(name)
    number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    return (
        _fit_numeric(column, name)
        if number and name not in log.roles.categorical
        else _fit_category(column, name, settings)
    )


def category_codes(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int32]]:
    """Distinct texts of a column of any type, and for each row the place of its own, int32 (n,); null is -1.

    A whole number is written without a point, whatever the column's type, so 3 and 3.0 are one category.
    """
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks() if column.num_chunks else pa.array([], column.type)
    codes = whole.indices.fill_null(-1).to_numpy().astype(COLUMN)
    texts = whole.dictionary
    if not pa.types.is_floating(texts.type):
        return texts.cast(pa.string()), codes
    values = texts.cast(pa.float64()).to_pylist()
    texts = pa.array([str(int(value)) if value.is_integer() else repr(value) for value in values], pa.string())
    gaps = np.append(np.isnan(np.array(values, np.float64)), False)
    return texts, np.where(gaps[codes], COLUMN(-1), codes)


def _fit_numeric(column: pa.ChunkedArray, name: str) -> tuple[Encoder | None, float, str]:
    values = _numbers(column, name)
    present = np.abs(values) <= _LARGEST
    share = float(present.mean())
    if share < 1:
        values = values[present]
    if not len(values):
        return None, 0.0, "missing in every training row"
    if values.min() == values.max():
        return None, 0.0, "the same in every training row"
    # A constant but for the last bit has a deviation of 0.
    sd = float(values.std()) or 1.0
    return Numeric(name, float(values.mean()), sd, share < 1), 1.0, ""


def _fit_category(column: pa.ChunkedArray, name: str, settings: FeatureSettings) -> tuple[Encoder | None, float, str]:
    texts, codes = category_codes(column)
    counts = np.bincount(codes + 1, minlength=len(texts) + 1)
    seen = texts.take(pa.array(np.flatnonzero(counts[1:])))
    if not len(seen):
        return None, 0.0, "missing in every training row"
    if len(seen) == 1 and not counts[0]:
        return None, 0.0, "the same in every training row"
    if len(seen) > settings.max_onehot:
        return Hashed(name, settings.hash_buckets), 1.0 - counts[0] / len(codes), ""
    categories: list[str | None] = sorted(seen.to_pylist())
    return OneHot(name, tuple(categories + [None] * bool(counts[0]))), 1.0, ""


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """A column as float64 of its own memory, NaN where it is null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    except pa.ArrowInvalid as error:
        raise DataError(f"column {name!r} was a number in training and is not now: {error}; convert it") from error
    return values.copy()
