"""Draws of made-up ratings, user by user: items are distinct, and the draw depends on the seed and the user alone."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headstart.kernels.hashing import splitmix

_UNIT = 1.0 / (1 << 53)
_SHIFT = np.uint64(11)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# A user whose popular items are used up goes on with all items alike after so many draws for each row wanted.
_PATIENCE = 8


@njit(nogil=True, cache=True)
def _uniform(state):
    """A number in [0, 1) from a counter."""
    return (splitmix(state) >> _SHIFT) * _UNIT


@njit(nogil=True, cache=True)
def alias_table(weight, chance, other):
    """Walker's alias method (Vose 1991): fill `chance` float32 and `other` int32 (m,) for `weight` float64 (m,)."""
    m = len(weight)
    scaled = weight / weight.sum() * m
    small, large = np.empty(m, np.int32), np.empty(m, np.int32)
    below, above = 0, 0
    for k in range(m):
        if scaled[k] < 1.0:
            small[below] = k
            below += 1
        else:
            large[above] = k
            above += 1
    while below and above:
        below -= 1
        s, g = small[below], large[above - 1]
        chance[s], other[s] = scaled[s], g
        scaled[g] -= 1.0 - scaled[s]
        if scaled[g] < 1.0:
            above -= 1
            small[below] = g
            below += 1
    for k in range(below):
        chance[small[k]], other[small[k]] = 1.0, small[k]
    for k in range(above):
        chance[large[k]], other[large[k]] = 1.0, large[k]


@njit(nogil=True, cache=True)
def draw_users(low, high, seed, start, stop, held, chance, other, user_factor, user_bias, item_factor, item_bias,
               mean, noise, item, label, truth, held_start, held_item, held_label, held_truth):  # fmt: skip
    """Draw the rows of users `low` to `high`.

    A user u has ``stop[u] - start[u]`` training rows and ``held[u]`` held-out rows, which of them a draw without
    replacement says. Items come by the alias table. A label is ``mean + b_u + b_i + q_u . p_i`` and Gaussian noise;
    ``truth`` arrays get the former, where they are not empty.
    """
    m, k = item_factor.shape
    seen = np.full(m, -1, np.int32)
    for u in range(low, high):
        state = splitmix(seed ^ splitmix(np.uint64(u)))
        row, kept_out = start[u], held_start[u]
        left, out = stop[u] - start[u] + held[u], held[u]
        patience = _PATIENCE * left
        while left > 0:
            state += _GOLDEN
            where = _uniform(state) * m
            i = np.int32(where)
            if patience > 0 and where - i >= chance[i]:
                i = other[i]
            patience -= 1
            if seen[i] == u:
                continue
            seen[i] = u
            signal = mean + user_bias[u] + item_bias[i]
            for f in range(k):
                signal += user_factor[u, f] * item_factor[i, f]
            state += _GOLDEN
            radius = math.sqrt(-2.0 * math.log(1.0 - _uniform(state)))
            state += _GOLDEN
            rating = signal + noise * radius * math.cos(2.0 * math.pi * _uniform(state))
            state += _GOLDEN
            if _uniform(state) * left < out:
                held_item[kept_out], held_label[kept_out] = i, rating
                if len(held_truth):
                    held_truth[kept_out] = signal
                kept_out += 1
                out -= 1
            else:
                item[row], label[row] = i, rating
                if len(truth):
                    truth[row] = signal
                row += 1
            left -= 1


@njit(nogil=True, cache=True)
def grid_floor(truth, noise, least, step, levels):
    """Mean variance that is left in ratings rounded to a grid and clipped, for one who knows `truth` float32 (n,).

    A rating is the nearest of ``least + j step``, j in 0..levels - 1, to the truth and Gaussian noise. The best guess
    of it is its mean given the truth, and the variance around that is what nobody can explain.
    """
    total = 0.0
    for row in range(len(truth)):
        first, second, before = 0.0, 0.0, 0.0
        for j in range(levels):
            after = 1.0
            if j < levels - 1:
                after = 0.5 * math.erfc((truth[row] - least - (j + 0.5) * step) / (noise * math.sqrt(2.0)))
            value = j * step
            first += (after - before) * value
            second += (after - before) * value * value
            before = after
        total += second - first * first
    return total / len(truth)


@njit(nogil=True, cache=True)
def to_grid(label, least, step, levels):
    """Round `label` float32 (n,) to the nearest point of the grid, in place."""
    for row in range(len(label)):
        j = math.floor((label[row] - least) / step + 0.5)
        label[row] = least + step * min(max(j, 0), levels - 1)
