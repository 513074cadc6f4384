"""Fill feature matrices strip by strip: a strip holds at most one value a row."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True)
def place_codes(out, at, codes):
    """Set ``out[k, at + codes[k]]`` of a float32 (n, d) matrix to 1 wherever ``codes`` int32 (n,) is not negative."""
    for k in range(len(codes)):
        if codes[k] >= 0:
            out[k, at + codes[k]] = 1.0


@njit(nogil=True, cache=True)
def append_codes(indices, data, cursor, at, codes):
    """Append the ones of a strip of codes to CSR rows that end at ``cursor`` int64 (n,), and move it."""
    for k in range(len(codes)):
        if codes[k] >= 0:
            indices[cursor[k]] = at + codes[k]
            data[cursor[k]] = 1.0
            cursor[k] += 1


@njit(nogil=True, cache=True)
def append_values(indices, data, cursor, at, values):
    """Append the non-zeros of column `at`, ``values`` float32 (n,), to CSR rows that end at ``cursor``, and move it."""
    for k in range(len(values)):
        if values[k] != 0.0:
            indices[cursor[k]] = at
            data[cursor[k]] = values[k]
            cursor[k] += 1
