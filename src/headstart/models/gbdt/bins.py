"""Bins of features, cut once on everybody's rows: what global and personal trees both see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from headstart.kernels.dtypes import COLUMN, REAL, ROW


@dataclass(frozen=True)
class Bins:
    upper: NDArray[np.float32]
    upper_ptr: NDArray[np.int64]

    MOST: ClassVar[int] = 63

    @classmethod
    def cut(cls, matrix, rows, width, most):
        if len(matrix) == 1:
            X = np.nan_to_num(matrix[0][rows])
        else:
            X = csr_array((matrix[0], matrix[1], matrix[2]), shape=(len(matrix[2]) - 1, width))[rows]
            X = X.tocsc()
        out = []
        for j in range(width):
            if len(matrix) == 1:
                v, c = np.unique(X[:, j], return_counts=True)
            else:
                d = X.data[X.indptr[j] : X.indptr[j + 1]]
                v, c = np.unique(np.append(d, np.float32(0)), return_counts=True)
                c[np.searchsorted(v, 0)] += len(rows) - len(d) - 1
            if len(v) > most:
                cum = np.cumsum(c)
                at = np.unique(np.searchsorted(cum, cum[-1] * np.arange(1, most) / most))
                at = at[at < len(v) - 1]
            else:
                at = np.arange(len(v) - 1)
            lo, hi = v[at], v[at + 1]
            mid = ((lo.astype(np.float64) + hi) / 2).astype(np.float32)
            out.append(np.append(np.where(mid < hi, mid, lo), np.float32(np.inf)))
        ptr = np.concatenate([[0], np.cumsum([len(o) for o in out])]).astype(ROW)
        return cls(np.concatenate([np.empty(0, REAL), *out]).astype(REAL), ptr)

    def _code(self, j, x):
        return np.searchsorted(self.upper[self.upper_ptr[j] : self.upper_ptr[j + 1]], np.nan_to_num(x)).astype(np.uint8)

    def zero(self):
        return np.array([self._code(j, np.float32(0)) for j in range(len(self.upper_ptr) - 1)], np.uint8)

    def codes(self, matrix, rows):
        if len(matrix) == 1:
            out = np.zeros(matrix[0].shape, np.uint8)
            for j in range(out.shape[1]):
                out[rows, j] = self._code(j, matrix[0][rows, j])
            return (out,)
        out = np.zeros(len(matrix[0]), np.uint8)
        order = np.argsort(matrix[1], kind="stable")
        cols = matrix[1][order]
        for j in np.unique(cols):
            a, b = np.searchsorted(cols, [j, j + 1])
            out[order[a:b]] = self._code(j, matrix[0][order[a:b]])
        return out, matrix[1], matrix[2], self.zero()

    def table(self, matrix, rows):
        got = self.codes(matrix, rows)
        if len(got) == 1:
            return got[0][rows].astype(REAL), np.zeros(got[0].shape[1], ROW)
        data = got[0].astype(REAL) - got[3][matrix[1]]
        return csr_array((data, matrix[1], matrix[2]), shape=(len(matrix[2]) - 1, len(got[3])))[rows], got[3].astype(ROW)
