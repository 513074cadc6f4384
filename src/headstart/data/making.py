"""Feature matrices in the making, filled from the first row on; no more is held beside them than a piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array

from headstart.data.blocks import Matrix
from headstart.data.encoders import Strip
from headstart.data.spill import Filling, Spill
from headstart.kernels.dtypes import COLUMN, NARROW, REAL, ROW
from headstart.kernels.encoding import append_codes, append_values, place_codes


class InTheMaking(Protocol):
    """Takes the strips of a piece after another, each with the column that it begins at."""

    def append(self, rows: int, strips: Sequence[tuple[int, Strip]]) -> None:
        """Put `rows` rows behind what is there."""

    def matrix(self) -> Matrix:
        """All of them."""


class DenseInTheMaking:
    """A matrix of `rows` x `width`, float32."""

    def __init__(self, rows: int, width: int, spill: Spill) -> None:
        self._shape, self._out = (rows, width), spill.array(rows * width, REAL)

    def append(self, rows: int, strips: Sequence[tuple[int, Strip]]) -> None:
        """See `InTheMaking`."""
        piece = np.zeros((rows, self._shape[1]), REAL)
        for at, strip in strips:
            if strip.dtype == REAL:
                piece[:, at] = strip
            else:
                place_codes(piece, at, strip)
        self._out.append(piece.reshape(-1))

    def matrix(self) -> Matrix:
        """See `InTheMaking`."""
        return self._out.done().reshape(self._shape)


class CsrInTheMaking:
    """CSR of `rows` x `width`: float32 values, int64 row pointers, int16 columns if that is enough, else int32."""

    def __init__(self, rows: int, width: int, spill: Spill) -> None:
        self._shape, self._spill = (rows, width), spill
        self._kind: type[Any] = NARROW if width <= np.iinfo(NARROW).max else COLUMN
        self._pointers, self._end = np.zeros(rows + 1, ROW), 0
        self._values: Filling[np.float32] = Filling(0, REAL, None)
        self._columns: Filling[Any] = Filling(0, self._kind, None)

    def append(self, rows: int, strips: Sequence[tuple[int, Strip]]) -> None:
        """See `InTheMaking`."""
        if self._end == 0:
            most = self._shape[0] * len(strips)  # a strip stores one value a row at most
            self._values, self._columns = self._spill.array(most, REAL), self._spill.array(most, self._kind)
        lengths = np.zeros(rows, ROW)
        for _, strip in strips:
            lengths += strip != 0 if strip.dtype == REAL else strip >= 0
        stop = np.cumsum(lengths)
        count, cursor = int(stop[-1]), stop - lengths
        data, columns = np.empty(count, REAL), np.empty(count, self._kind)
        before = int(self._pointers[self._end])
        self._pointers[self._end + 1 : self._end + 1 + rows] = before + stop
        for at, strip in strips:
            put = append_values if strip.dtype == REAL else append_codes
            put(columns, data, cursor, at, strip)
        self._values.append(data)
        self._columns.append(columns)
        self._end += rows

    def matrix(self) -> Matrix:
        """See `InTheMaking`."""
        out = csr_array(self._shape, dtype=REAL)
        # Set one by one: the constructor would narrow the row pointers, or widen the columns, to one type.
        out.data, out.indices, out.indptr = self._values.done(), self._columns.done(), self._pointers
        return out
