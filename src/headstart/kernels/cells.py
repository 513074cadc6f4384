"""One user's binned rows, laid out for histograms of few rows.

Of each feature only the bins that the user's own rows hold are kept: its levels, 0 upwards. Features with one level are
left out, the others stand in lanes, those with most levels first, 64 lanes to a tile. A histogram is one flat array of
cells, in each tile level by level, so that the lanes of a level lie side by side and a scan over levels vectorises.
The commonest level of a lane is its default, which no row mentions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from headstart.kernels.dtypes import COLUMN, ROW

in_order = njit(nogil=True, cache=True, error_model="numpy")

# Bins of a feature at most.
BINS = 64
LANES = 64
# float32 numbers that common processors take at once.
PACE = 8


class Layout(NamedTuple):
    """Attributes: A lanes, K tiles, n rows, E entries (a row and a lane whose level there is not the default).

    names : int32 (A,), the feature of each lane
    levels, default : int32 (A,), number of levels and the default one
    bins : uint8 (A, 64), the bin of each level
    first : int32 (K, 65), the first cell of each level of each tile
    row_ptr, cell : int64 (n + 1,) and int32 (E,), the cells of each row
    lane_ptr, row, level : int64 (A + 1,), int32 (E,) and uint8 (E,), the same by lane
    """

    names: NDArray[np.int32]
    levels: NDArray[np.int32]
    default: NDArray[np.int32]
    bins: NDArray[np.uint8]
    first: NDArray[np.int32]
    row_ptr: NDArray[np.int64]
    cell: NDArray[np.int32]
    lane_ptr: NDArray[np.int64]
    row: NDArray[np.int32]
    level: NDArray[np.uint8]


Tables = tuple[Any, ...]


@in_order
def choose_lanes(count):
    """Columns of `count` int32 (C, 64), rows by bin, that hold two levels or more: most levels first, then in order."""
    found = np.zeros(count.shape[0], COLUMN)
    of_size = np.zeros(BINS + 2, ROW)
    for c in range(count.shape[0]):
        for b in range(BINS):
            found[c] += count[c, b] > 0
        of_size[found[c]] += 1
    begin = np.zeros(BINS + 2, ROW)
    for k in range(BINS - 1, 1, -1):
        begin[k] = begin[k + 1] + of_size[k + 1]
    lanes = np.empty(begin[2] + of_size[2], COLUMN)
    for c in range(count.shape[0]):
        if found[c] >= 2:
            lanes[begin[found[c]]] = c
            begin[found[c]] += 1
    return lanes, found[lanes]


@in_order
def lay_cells(levels):
    """First cell of each level of each tile, int32 (K, 65); a level's cells are a multiple of `PACE`."""
    tiles = -(-levels.size // LANES)
    first = np.zeros((tiles, BINS + 1), COLUMN)
    cell = 0
    for t in range(tiles):
        end = min((t + 1) * LANES, levels.size)
        for b in range(BINS + 1):
            first[t, b] = cell
            for a in range(t * LANES, end):
                if levels[a] <= b:
                    break
                cell += 1
            cell = -(-cell // PACE) * PACE
    return first


@in_order
def tabulate(count, lanes, levels, implied, rows):
    """Of each lane: the default level, the bins of its levels, the level of each bin, and its cell (-1: the default).

    `implied` int32 (C,) is the bin that rows do not mention, -1 where they mention all: then the default is the
    commonest level if more than half of `rows` hold it, and otherwise the lowest, whose cell no scan reads.
    """
    first = lay_cells(levels)
    default = np.zeros(lanes.size, COLUMN)
    bins, level = np.zeros((lanes.size, BINS), np.uint8), np.zeros((lanes.size, BINS), np.uint8)
    cell, lane_ptr = np.full((lanes.size, BINS), -1, COLUMN), np.zeros(lanes.size + 1, ROW)
    for a in range(lanes.size):
        c, found = lanes[a], 0
        for b in range(BINS):
            if count[c, b] > 0:
                if b == implied[c] or (implied[c] < 0 and 2 * count[c, b] > rows):
                    default[a] = found
                bins[a, found], level[a, b] = b, found
                cell[a, b] = first[a // LANES, found] + a % LANES
                found += 1
        usual = bins[a, default[a]]
        cell[a, usual] = -1
        lane_ptr[a + 1] = lane_ptr[a] + rows - count[c, usual]
    return first, default, bins, level, cell, lane_ptr


@in_order
def lay_dense(codes, rows):
    """`Layout` of `rows` of the bins `codes` uint8 (n, d)."""
    d = codes.shape[1]
    count = np.zeros((d, BINS), COLUMN)
    for i in range(rows.size):
        own = codes[rows[i]]
        for j in range(d):
            count[j, own[j]] += 1
    lanes, levels = choose_lanes(count)
    first, default, bins, level_of, cell_of, lane_ptr = tabulate(
        count, lanes, levels, np.full(d, -1, COLUMN), rows.size
    )
    total = lane_ptr[lanes.size]
    row_ptr, cell = np.zeros(rows.size + 1, ROW), np.empty(total, COLUMN)
    row, level, free = np.empty(total, COLUMN), np.empty(total, np.uint8), lane_ptr.copy()
    e = 0
    for i in range(rows.size):
        own = codes[rows[i]]
        for a in range(lanes.size):
            b = own[lanes[a]]
            if cell_of[a, b] >= 0:
                cell[e], row[free[a]], level[free[a]] = cell_of[a, b], i, level_of[a, b]
                free[a] += 1
                e += 1
        row_ptr[i + 1] = e
    return Layout(lanes, levels, default, bins, first, row_ptr, cell, lane_ptr, row, level)


@in_order
def count_sparse(codes, columns, pointers, rows, zero, place):
    """Distinct columns of the rows, their rows by bin and the bin of 0; `place` becomes the position of each column."""
    stored, most = 0, 0
    for i in range(rows.size):
        most += pointers[rows[i] + 1] - pointers[rows[i]]
    names = np.empty(min(most, place.size), COLUMN)
    for i in range(rows.size):
        for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
            if place[columns[v]] < 0:
                place[columns[v]] = stored
                names[stored] = columns[v]
                stored += 1
    names = np.sort(names[:stored])
    count, implied = np.zeros((stored, BINS), COLUMN), np.empty(stored, COLUMN)
    for c in range(stored):
        place[names[c]], implied[c] = c, zero[names[c]]
        count[c, implied[c]] = rows.size
    for i in range(rows.size):
        for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
            c = place[columns[v]]
            count[c, codes[v]] += 1
            count[c, implied[c]] -= 1
    return names, count, implied


@in_order
def lay_sparse(codes, columns, pointers, rows, zero, place):
    """`Layout` of CSR rows: `codes` uint8 the bins of the stored values, `zero` uint8 (d,) the bin of 0.

    Scratch: `place` int32 (d,), all -1, and so again on return.
    """
    names, count, implied = count_sparse(codes, columns, pointers, rows, zero, place)
    lanes, levels = choose_lanes(count)
    first, default, bins, level_of, cell_of, lane_ptr = tabulate(count, lanes, levels, implied, rows.size)
    for c in range(names.size):
        place[names[c]] = -1
    for a in range(lanes.size):
        place[names[lanes[a]]] = a
    total = lane_ptr[lanes.size]
    row_ptr, cell = np.zeros(rows.size + 1, ROW), np.empty(total, COLUMN)
    row, level, free = np.empty(total, COLUMN), np.empty(total, np.uint8), lane_ptr.copy()
    e = 0
    for i in range(rows.size):
        for v in range(pointers[rows[i]], pointers[rows[i] + 1]):
            a, b = place[columns[v]], codes[v]
            if a >= 0 and cell_of[a, b] >= 0:
                cell[e], row[free[a]], level[free[a]] = cell_of[a, b], i, level_of[a, b]
                free[a] += 1
                e += 1
        row_ptr[i + 1] = e
    for a in range(lanes.size):
        place[names[lanes[a]]] = -1
    return Layout(names[lanes], levels, default, bins, first, row_ptr, cell, lane_ptr, row, level)
