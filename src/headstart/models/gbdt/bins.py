"""Bins of features, cut once on everybody's rows: what global and personal trees both see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from headstart.kernels import binning
from headstart.kernels.dtypes import REAL, ROW
from headstart.models.gbdt.rows import frozen

MOST = 63
"""Bins that a feature may have: what the kernels that grow trees have room for."""

SAMPLE = 200_000
"""Rows that bounds are cut on, as LightGBM does, evenly spaced among all."""


@dataclass(frozen=True)
class Bins:
    """Where the bins of d features end.

    Attributes
    ----------
    upper : float32, bounds; bin b of feature j holds values up to ``upper[upper_ptr[j] + b]``, the last one any
    upper_ptr : int64 (d + 1,)
    """

    upper: NDArray[np.float32]
    upper_ptr: NDArray[np.int64]

    @classmethod
    def cut(cls, matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64], width: int, most: int) -> Bins:
        """Cut `width` features over `rows` of a matrix, see `Rows`, into at most `most` bins each."""
        sample = rows if len(rows) <= SAMPLE else rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(ROW)]
        upper, size = np.empty((width, most), REAL), np.empty(width, ROW)
        cut = binning.cut_dense if len(matrix) == 1 else binning.cut_sparse
        cut(*matrix, frozen(sample), most, upper, size)
        return cls(upper[np.arange(most) < size[:, None]], np.concatenate([[0], np.cumsum(size)]).astype(ROW))

    def codes(self, matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Bins of `rows` as the kernels that grow trees take them; other rows of the matrix hold no meaning."""
        out, bounds = np.empty(matrix[0].shape, np.uint8), (frozen(self.upper), frozen(self.upper_ptr))
        if len(matrix) == 1:
            binning.encode_dense(*matrix, rows, *bounds, out)
            return (out,)
        binning.encode_sparse(*matrix, rows, *bounds, out)
        zero = np.empty(len(self.upper_ptr) - 1, np.uint8)
        binning.encode_zeros(*bounds, zero)
        return out, *matrix[1:], zero

    def table(self, matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
        """Bins of `rows` as numbers, dense or CSR, and the bin that is written as 0 for each feature, int64 (d,)."""
        codes, *others = self.codes(matrix, rows)
        if not others:
            return codes[rows].astype(REAL), np.zeros(codes.shape[1], ROW)
        columns, pointers, zero = others
        shifted = csr_array((codes.astype(REAL) - zero[columns], columns, pointers), (len(pointers) - 1, len(zero)))
        return shifted[rows], zero.astype(ROW)
