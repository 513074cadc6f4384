"""Bins of features, cut once on everybody's rows: what global and personal trees both see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from headstart.data.blocks import frozen
from headstart.kernels import binning
from headstart.kernels.dtypes import REAL, ROW


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
        return cls(*binning.cut(matrix, rows, width, most))

    def codes(self, matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Bins of `rows`, in their order, as the kernels that grow trees take them."""
        return binning.encode(matrix, rows, frozen(self.upper), frozen(self.upper_ptr))

    def table(self, matrix: tuple[NDArray[Any], ...], rows: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
        """Bins of `rows` as numbers, dense or CSR, and the bin that is written as 0 for each feature, int64 (d,)."""
        codes, *others = self.codes(matrix, rows)
        if not others:
            return codes.astype(REAL), np.zeros(codes.shape[1], ROW)
        columns, pointers, zero = others
        table = csr_array((codes.astype(REAL) - zero[columns], columns, pointers), (len(rows), len(zero)))
        return table, zero.astype(ROW)
