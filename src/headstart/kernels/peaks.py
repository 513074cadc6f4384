"""What a processor can do at most, for the bench: multiplications with additions, and copies of memory."""

from __future__ import annotations

from numba import njit

from headstart.kernels.dtypes import REAL

# Of `polynomials`, for each number: four chains of sixteen links, each a multiplication and an addition.
OPERATIONS = 4 * 16 * 2

compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})


@compiled
def polynomials(x, repeats, out):
    """out = four polynomials of each x, summed: all in registers, enough of them at once to hide how long one takes."""
    for _ in range(repeats):
        for i in range(x.size):
            v = x[i]
            p, q, r, s = REAL(0.1), REAL(0.2), REAL(0.3), REAL(0.4)
            for _ in range(16):
                p = p * v + REAL(0.5)
                q = q * v + REAL(0.6)
                r = r * v + REAL(0.7)
                s = s * v + REAL(0.8)
            out[i] = (p + q) + (r + s)


@compiled
def copy(source, out):
    """out = source."""
    for i in range(source.size):
        out[i] = source[i]
