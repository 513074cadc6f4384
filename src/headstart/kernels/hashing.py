"""64-bit hashes that are the same on every machine, in every version and for every number of threads."""

from __future__ import annotations

import numpy as np
from numba import njit

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
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
def absorb(state, values):
    """Fold `values` uint64 (n,) into the running hash `state` uint64 (n,) of each row, in place."""
    for k in range(len(state)):
        state[k] = splitmix(state[k] ^ splitmix(values[k]))
