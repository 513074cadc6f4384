"""64-bit hashes that are the same on every machine, in every version and for every number of threads."""

from __future__ import annotations

import numpy as np
from numba import njit

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MOST, _LOWEST = np.uint64(2**64 - 1), np.uint64(2**63)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@njit(nogil=True, cache=True)
def splitmix(x):
    """One step of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): uint64 to uint64, one to one."""
    x = x + _GOLDEN
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    return x ^ (x >> _31)


@njit(nogil=True, cache=True)
def hash_numbers(values, salt, out):
    """Fill `out` uint64 (n,) with the hash of each of `values` uint64 (n,) under `salt` uint64."""
    for k in range(len(values)):
        out[k] = splitmix(values[k] ^ salt)


@njit(nogil=True, cache=True)
def hash_texts(offsets, data, out):
    """Fill `out` uint64 (n,) with FNV-1a, then splitmix64, of the bytes ``data[offsets[k]:offsets[k + 1]]``."""
    for k in range(len(out)):
        h = _BASIS
        for j in range(offsets[k], offsets[k + 1]):
            h = (h ^ np.uint64(data[j])) * _PRIME
        out[k] = splitmix(h)


@njit(nogil=True, cache=True)
def number_in(data, low, high):
    """Whether ``data[low:high]`` is a number as Python writes it that 64 bits hold; and its bits as uint64."""
    negative = high > low and data[low] == 45
    begin = low + 1 if negative else low
    value = np.uint64(0)
    if begin == high or high - begin > 20 or (data[begin] == 48 and (negative or high - begin > 1)):
        return False, value
    for j in range(begin, high):
        digit = np.uint64(data[j]) - np.uint64(48)
        if digit > np.uint64(9) or value > (_MOST - digit) // np.uint64(10):
            return False, value
        value = value * np.uint64(10) + digit
    if not negative:
        return True, value
    return value <= _LOWEST, ~value + np.uint64(1)


@njit(nogil=True, cache=True)
def hash_ids(offsets, data, out):
    """As `hash_texts`, but texts that are whole numbers get the hash that `hash_numbers` gives these numbers."""
    hash_texts(offsets, data, out)
    for k in range(len(out)):
        whole, bits = number_in(data, offsets[k], offsets[k + 1])
        if whole:
            out[k] = splitmix(bits)


@njit(nogil=True, cache=True)
def absorb(state, values):
    """Fold `values` uint64 (n,) into the running hash `state` uint64 (n,) of each row, in place."""
    for k in range(len(state)):
        state[k] = splitmix(state[k] ^ splitmix(values[k]))
