"""Histograms of gradients and the best split of a leaf, as LightGBM finds it (Ke et al., NeurIPS 2017).

A row's gradient and Hessian are one int64: fixed-point numbers, the gradient in the upper 32 bits, the Hessian in the
lower. A tree scales them so that the sums of |gradient| and of Hessians are 2^30 each. Sums are then exact: a cell
takes one addition, a sibling one subtraction, and nothing depends on the order of rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from headstart.kernels.cells import LANES
from headstart.kernels.dtypes import REAL

in_order = njit(nogil=True, cache=True, error_model="numpy")

ZERO, HALF, ONE = REAL(0.0), REAL(0.5), np.uint64(1)

# float32 finds every lane's best level; lanes this near to the best one are compared again in float64.
NEAR = REAL(1.0 - 4e-6)


@in_order
def add_rows(order, begin, end, packed, row_ptr, cell, out):
    """out[c] += packed[i] for every cell c of the rows ``order[begin:end]``."""
    for k in range(begin, end):
        i = order[k]
        p = packed[i]
        # Unsigned: indices that may be negative take twice as long.
        for e in range(np.uint64(row_ptr[i]), np.uint64(row_ptr[i + 1])):
            out[np.uint64(cell[e])] += p


@in_order
def fill_defaults(total, levels, default, first, out):
    """Set the cells of default levels, which are what the other cells lack; those of level 0 nobody reads."""
    for a in range(levels.size):
        if default[a] > 0:
            tile, lane = first[a // LANES], a % LANES
            rest = total
            for b in range(levels[a]):
                if b != default[a]:
                    rest -= out[tile[b] + lane]
            out[tile[default[a]] + lane] = rest


@in_order
def subtract(whole, part):
    """whole -= part."""
    for c in range(whole.size):
        whole[c] -= part[c]


@in_order
def scan_tile(pairs, tile, levels, g, h, rows, l2, least_rows, least, sum_g, sum_h, count, best):
    """Fill `best` float32 (LANES,) with the most that a split of each lane leaves and reaches, 0 if none is allowed.

    `pairs` is the histogram as int32, Hessian and gradient by turns; all numbers are in scaled units, float32 or
    int32. What is filled in are scratch arrays (LANES,), apart from each other so that the inner loop vectorises.
    """
    for j in range(LANES):
        sum_g[j], sum_h[j], count[j], best[j] = 0, 0, ZERO, ZERO
    a_row = rows / REAL(h)
    for b in range(levels - 1, 0, -1):
        # Unsigned: indices that may be negative do not vectorise.
        low = np.uint64(tile[b])
        for j in range(np.uint64(tile[b + 1]) - low):
            at = low + low + j + j
            more_h, more_g = pairs[at], pairs[at + ONE]
            right_h, right_g = np.int32(sum_h[j] + more_h), np.int32(sum_g[j] + more_g)
            sum_h[j], sum_g[j] = right_h, right_g
            # LightGBM counts a bin's rows by its share of the leaf's Hessian.
            right_rows = count[j] + REAL(np.int32(REAL(more_h) * a_row + HALF))
            count[j] = right_rows
            gr, hr = REAL(right_g), REAL(right_h)
            gl, hl = REAL(np.int32(g - right_g)), REAL(np.int32(h - right_h))
            below, above = hl + l2, hr + l2
            gain = (gl * gl * above + gr * gr * below) / (below * above)
            spare = min(min(right_rows - least_rows, rows - right_rows - least_rows), min(hr - least, hl - least))
            gain = gain if spare >= ZERO else ZERO
            # Without the sum a lane that does not gain is not written, and masked stores are slow.
            best[j] = max(gain, best[j]) + ZERO


@in_order
def scan_lane(hist, tile, lane, levels, total, rows, l2, least_rows, least):
    """The same for one lane in float64: gain, level and the sum to the right; of equal gains the highest level."""
    g, h = total >> 32, np.int64(np.int32(total))
    a_row = rows / h
    run, count, best, at, kept = np.int64(0), 0, -1.0, 0, np.int64(0)
    for b in range(levels - 1, 0, -1):
        add = hist[tile[b] + lane]
        run += add
        count += int(np.int32(add) * a_row + 0.5)
        gr, hr = run >> 32, np.int64(np.int32(run))
        gl, hl = g - gr, h - hr
        if count < least_rows or rows - count < least_rows or hr < least or hl < least:
            continue
        gain = float(gl) * gl / (hl + l2) + float(gr) * gr / (hr + l2)
        if gain > best:
            best, at, kept = gain, b, run
    return best, at, kept


@in_order
def find_split(hist, pairs, names, levels, first, total, rows, limits, usable, sum_g, sum_h, count, tile_best, best):
    """The best split of a leaf: gain over the leaf's own, in scaled units, (0 or less: none), lane, level, right sum.

    A lane without any gain is marked in `usable` and not tried again below this leaf, as LightGBM does. Of equal gains
    the feature of the lowest number wins. `limits` are the L2, the
    rows and the Hessian of a leaf and the gain of a split, in scaled units; the arrays after `usable` are scratch.
    """
    l2, least_rows, least, least_gain = limits
    g, h = total >> 32, np.int64(np.int32(total))
    own = float(g) * g / (h + l2)
    most = ZERO
    for t in range(first.shape[0]):
        low, high = t * LANES, min((t + 1) * LANES, levels.size)
        scan_tile(
            pairs, first[t], levels[low], np.int32(g), np.int32(h), REAL(rows), REAL(l2), REAL(least_rows),
            REAL(least), sum_g, sum_h, count, tile_best,
        )  # fmt: skip
        for a in range(low, high):
            best[a] = tile_best[a - low] if usable[a] else ZERO
            usable[a] = best[a] > own + least_gain
            most = max(most, best[a])
    gain, lane, level, right = 0.0, -1, 0, np.int64(0)
    for a in range(levels.size):
        if usable[a] and best[a] >= most * NEAR:
            found, b, kept = scan_lane(
                hist, first[a // LANES], a % LANES, levels[a], total, rows, l2, least_rows, least
            )
            found -= own + least_gain
            if found > gain or (found == gain and lane >= 0 and names[a] < names[lane]):
                gain, lane, level, right = found, a, b, kept
    return gain, lane, level, right
