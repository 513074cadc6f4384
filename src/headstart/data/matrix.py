"""Features that come as a matrix of numbers: a map that scales them, and rows that are equal made one.

A weight stands for repetition: nothing here tells a row of weight 2 from the same row given twice, nor one order of
rows from another, down to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from headstart.data.blocks import Blocks, Matrix
from headstart.data.encoders import Numeric
from headstart.data.events import EventLog
from headstart.data.features import ALL, FeatureMap, TransformReport
from headstart.data.vocab import Vocabulary
from headstart.errors import ModelError
from headstart.kernels.dtypes import COLUMN, REAL, ROW
from headstart.kernels.hashing import absorb

MATRIX_FORMAT = "headstart-matrix"
_VERSION = 1
_AT_ONCE = 1 << 18
_FARTHEST = 1e30
"""Scaled values are cut here, far from where a product leaves float32's range."""


@dataclass(frozen=True)
class MatrixMap:
    """From a matrix of numbers to features, column by column: ``(x - mean) / scale``.

    Attributes
    ----------
    columns : names, d of them
    mean : float64 (d,), of the training rows; all zeros for a sparse matrix, which stays sparse
    scale : float64 (d,), standard deviation; for a sparse matrix the root mean square of the values that are not 0, so
        an indicator stays an indicator. 1 for a column without spread
    sparse : whether features are CSR
    """

    columns: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    sparse: bool

    @classmethod
    def fit(cls, matrix: Any, weight: NDArray[np.float64], columns: tuple[str, ...]) -> MatrixMap:
        """Fit on all rows of `matrix`, dense or CSR (n, d), each counted `weight` (n,) times; all values finite."""
        if issparse(matrix):
            return cls(columns, np.zeros(matrix.shape[1]), _root_mean_square(matrix, weight), True)
        return cls(columns, *_mean_and_deviation(matrix, weight), False)

    def apply(self, matrix: Any) -> Matrix:
        """The features of all rows of `matrix` (n, d), dense or CSR; the result is as in training."""
        if self.sparse:
            matrix = csr_array(matrix)
            with np.errstate(over="ignore"):
                values = _cut(matrix.data / self.scale[matrix.indices])
            return _csr(values, matrix.indices, matrix.indptr, matrix.shape)
        if issparse(matrix):
            matrix = matrix.toarray()
        out = np.empty(matrix.shape, REAL)
        for rows in _portions(matrix):
            with np.errstate(over="ignore"):
                out[rows] = _cut((matrix[rows].astype(np.float64, copy=False) - self.mean) / self.scale)
        return out

    def names(self, bag: str = ALL) -> list[str]:
        """Names of the features, in order; the only bag is ``all``."""
        return self._as_columns().names(bag)

    def blocks(self, log: EventLog, bag: str = ALL) -> tuple[Blocks, TransformReport]:
        """The events of `log` as training and scoring take them, as `FeatureMap.blocks` does it."""
        return self._as_columns().blocks(log, bag)

    def transform(self, log: EventLog, bag: str = ALL) -> tuple[Matrix, TransformReport]:
        """The features of events whose columns have these names, as `FeatureMap.transform` does it."""
        return self._as_columns().transform(log, bag)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same map to the last bit."""
        return {
            "format": MATRIX_FORMAT,
            "version": _VERSION,
            "sparse": self.sparse,
            "columns": list(self.columns),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> MatrixMap:
        """What `to_json` gave; anything else is a `ModelError`."""
        if fields.get("format") != MATRIX_FORMAT or fields.get("version") != _VERSION:
            found = f"{fields.get('format')!r} version {fields.get('version')!r}"
            raise ModelError(
                f"the matrix map is {found}, not {MATRIX_FORMAT!r} version {_VERSION}; train the model again"
            )
        try:
            columns = tuple(map(str, fields["columns"]))
            mean, scale = (np.array(fields[name], np.float64) for name in ("mean", "scale"))
            sparse = bool(fields["sparse"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the matrix map is damaged at {error}; train the model again") from error
        if not mean.shape == scale.shape == (len(columns),):
            raise ModelError(f"the matrix map has {len(columns)} columns but {mean.size} means; train the model again")
        return cls(columns, mean, scale, sparse)

    def _as_columns(self) -> FeatureMap:
        numbers = zip(self.columns, self.mean.tolist(), self.scale.tolist(), strict=True)
        encoders = tuple(Numeric(name, mean, scale, missing=False) for name, mean, scale in numbers)
        return FeatureMap(encoders, {ALL: self.columns}, {ALL: self.sparse}, {})


@dataclass(frozen=True)
class Sample:
    """Labelled rows of a matrix by user, rows that are equal in everything made one.

    Attributes
    ----------
    rows : int64 (m,), the rows of the matrix to take, those of each user side by side
    users : sorted, distinct ids, length U
    start, stop : int64 (U,), user k has the places ``start[k]:stop[k]`` of `rows`
    label : float32 (m,)
    weight : float64 (m,), sums over equal rows
    events : int64 (U,), rows of each user as they came, those of weight 0 left out
    """

    rows: NDArray[np.int64]
    users: pa.Array
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    label: NDArray[np.float32]
    weight: NDArray[np.float64]
    events: NDArray[np.int64]

    @classmethod
    def of(cls, matrix: Any, users: pa.Array, label: NDArray[np.float32], weight: NDArray[np.float64]) -> Sample:
        """Order and merge the rows of `matrix`, dense or CSR (n, d), CSR without zeros or repeated columns.

        The order is by user, label and a hash of the row.
        """
        known = Vocabulary.of(users)
        user = known.index(users)
        digest = _hashes(matrix)
        kept = np.flatnonzero(weight > 0)
        rows = kept[np.lexsort((digest[kept], label[kept], user[kept]))]
        repeats = np.zeros(len(rows), np.bool_)
        repeats[1:] = np.all([key[rows[1:]] == key[rows[:-1]] for key in (digest, label, user)], axis=0)
        near = np.flatnonzero(repeats)
        repeats[near] = _same(matrix, rows[near], rows[near - 1])
        begin = np.flatnonzero(~repeats)
        events = np.bincount(user[kept], minlength=len(known))
        stop = np.cumsum(np.bincount(user[rows[begin]], minlength=len(known))).astype(ROW)
        start = np.append(0, stop[:-1]).astype(ROW)
        total = np.add.reduceat(weight[rows], begin) if len(begin) else weight[:0]
        rows = rows[begin]
        return cls(rows, known.ids, start, stop, label[rows], total, events.astype(ROW))

    def blocks(self, features: Matrix) -> Blocks:
        """As arrays for kernels, with `features` of `rows`."""
        return Blocks(features, self.users, self.start, self.stop, self.label, self.weight.astype(REAL))


def blocks_by_user(features: Matrix, users: pa.Array) -> tuple[Blocks, NDArray[np.int64]]:
    """Rows of any order as blocks for scoring, and the order that they were put in, int64 (n,)."""
    known = Vocabulary.of(users)
    user = known.index(users)
    order = np.argsort(user, kind="stable").astype(ROW)
    stop = np.cumsum(np.bincount(user, minlength=len(known))).astype(ROW)
    start = np.append(0, stop[:-1]).astype(ROW)
    taken: Any = features[order]
    if issparse(taken):
        taken = _csr(taken.data, taken.indices, taken.indptr, taken.shape)
    return Blocks(taken, known.ids, start, stop), order


def _csr(values: NDArray[Any], columns: NDArray[Any], pointers: NDArray[Any], shape: tuple[int, int]) -> csr_array:
    out = csr_array(shape, dtype=REAL)
    # Set one by one: the constructor would give columns and pointers one type.
    out.data, out.indices, out.indptr = values.astype(REAL), columns.astype(COLUMN), pointers.astype(ROW)
    return out


def _cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(values, -_FARTHEST, _FARTHEST, out=values)


def _portions(matrix: NDArray[Any]) -> Iterator[slice]:
    """Rows of a dense matrix in pieces whose copies are small; where they end follows from the width alone."""
    step = max(1, _AT_ONCE // max(1, matrix.shape[1]))
    return (slice(low, low + step) for low in range(0, len(matrix), step))


def _mean_and_deviation(
    matrix: NDArray[Any], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and standard deviation (d,), 1 where a column is constant; squares cannot overflow."""
    low, high = matrix.min(axis=0).astype(np.float64), matrix.max(axis=0).astype(np.float64)
    peak = np.maximum(np.abs(low), np.abs(high))
    peak[peak == 0] = 1.0
    weight = weight / weight.sum()
    mean, square = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    for rows in _portions(matrix):
        mean += weight[rows] @ (matrix[rows] / peak)
    for rows in _portions(matrix):
        square += weight[rows] @ (matrix[rows] / peak - mean) ** 2
    deviation = np.sqrt(square) * peak
    flat = (low == high) | (deviation == 0)
    return np.where(flat, low, mean * peak), np.where(flat, 1.0, deviation)


def _root_mean_square(matrix: csr_array, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted root mean square (d,) of the stored values, 1 where there is none."""
    width = matrix.shape[1]
    values, repeated = matrix.data.astype(np.float64), np.repeat(weight, np.diff(matrix.indptr))
    peak = np.zeros(width)
    np.maximum.at(peak, matrix.indices, np.abs(values))
    peak[peak == 0] = 1.0
    values /= peak[matrix.indices]
    square = np.bincount(matrix.indices, repeated * values**2, width)
    count = np.bincount(matrix.indices, repeated, width)
    scale: NDArray[np.float64] = peak * np.sqrt(square / np.where(count > 0, count, 1.0))
    return np.where(scale > 0, scale, 1.0)


def _hashes(matrix: Any) -> NDArray[np.uint64]:
    """A hash of each row, uint64 (n,); 0.0 and -0.0 are the same."""
    if issparse(matrix):
        entry = matrix.indices.astype(np.uint64)
        absorb(entry, _bits(matrix.data))
        total = np.append(np.uint64(0), np.cumsum(entry, dtype=np.uint64))
        sums: NDArray[np.uint64] = total[matrix.indptr[1:]] - total[matrix.indptr[:-1]]
        return sums
    state = np.zeros(len(matrix), np.uint64)
    for rows in _portions(matrix):
        for column in _bits(matrix[rows].T):
            absorb(state[rows], column)
    return state


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    return (values.astype(np.float64, order="C") + 0.0).view(np.uint64)


def _same(matrix: Any, some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each row of `some` (k,) equals the row of `others` (k,)."""
    if issparse(matrix):
        equal = (matrix[some] != matrix[others]).sum(axis=1) == 0
        return np.asarray(equal).ravel()
    out = np.ones(len(some), np.bool_)
    for column in matrix.T:
        out &= column[some] == column[others]
    return out
