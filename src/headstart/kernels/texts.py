"""Texts as Arrow lays them out, looked up and read. Text k is the bytes ``data[offsets[k]:offsets[k + 1]]``."""

from __future__ import annotations

import numpy as np
from numba import njit

from headstart.kernels.hashing import number_in

_SIGN = np.uint64(2**63)


@njit(nogil=True, cache=True)
def precedes(one, low, high, other, begin, end):
    """Whether ``one[low:high]`` comes before ``other[begin:end]`` in the order of bytes."""
    for j in range(min(high - low, end - begin)):
        if one[low + j] != other[begin + j]:
            return one[low + j] < other[begin + j]
    return high - low < end - begin


@njit(nogil=True, cache=True)
def find_texts(offsets, data, wanted_offsets, wanted, out):
    """Fill `out` int64 (n,) with the place of each wanted text among sorted distinct ones, -1 where it is not there."""
    for k in range(len(out)):
        begin, end = wanted_offsets[k], wanted_offsets[k + 1]
        low, high = 0, len(offsets) - 1
        while low < high:
            middle = (low + high) // 2
            if precedes(data, offsets[middle], offsets[middle + 1], wanted, begin, end):
                low = middle + 1
            else:
                high = middle
        there = low < len(offsets) - 1 and not precedes(wanted, begin, end, data, offsets[low], offsets[low + 1])
        out[k] = low if there else -1


@njit(nogil=True, cache=True)
def read_numbers(offsets, data, unsigned, out, fits):
    """Fill `out` uint64 (n,) with the bits of the numbers that texts are, see `headstart.kernels.hashing.number_in`.

    fits: bool (n,), whether it is one, of 64 bits with a sign, or without one if `unsigned`.
    """
    for k in range(len(out)):
        whole, bits = number_in(data, offsets[k], offsets[k + 1])
        negative = whole and data[offsets[k]] == 45
        fits[k] = whole and (not negative if unsigned else negative == (bits >= _SIGN))
        out[k] = bits
