"""Boosted trees of many users, each on the user's own rows: the personal half of GBDT.

The objective and the growth are LightGBM's: second-order gains, leaf by leaf, best first, histograms of the bins that
everybody shares, -G / (H + l2) in a leaf. Users do not depend on each other, nor on who else is in the call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from headstart.kernels.cells import LANES, lay_dense, lay_sparse
from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM
from headstart.kernels.hashing import splitmix
from headstart.kernels.splits import add_rows, fill_defaults, find_split, subtract

in_order = njit(nogil=True, cache=True, error_model="numpy")

# Sums of |gradient| and of Hessians in fixed point.
WHOLE = float(1 << 30)

NO_DENSE = np.empty((0, 0), np.uint8)
NO_CSR = (np.empty(0, np.uint8), np.empty(0, COLUMN), np.zeros(1, ROW), np.empty(0, np.uint8))


class Growth(NamedTuple):
    """How a tree grows.

    Attributes
    ----------
    leaves : of a tree, at most (2 or more)
    min_rows : of a leaf, counted as LightGBM does: by the leaf's share of the Hessian
    min_hessian : of a leaf
    min_gain : of a split
    fraction : share of the features that a tree may use, each drawn by itself from the user's seed
    squared : squared error in place of log loss
    """

    leaves: int
    min_rows: int
    min_hessian: float
    min_gain: float
    fraction: float
    squared: bool


class Forest(NamedTuple):
    """Trees in the form of `headstart.kernels.trees`, with ``gain`` float32 (S,) of each split."""

    size: NDArray[np.int16]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    value: NDArray[np.float64]
    gain: NDArray[np.float32]


@in_order
def slopes(score, label, weight, squared, packed):
    """Fill `packed` int64 (n,) with gradients and Hessians in fixed point; return their scales.

    These are 0 where there is nothing to learn, -1 where the numbers run away.
    """
    n = score.size
    g, h = np.empty(n, SUM), np.empty(n, SUM)
    sum_g, sum_h = 0.0, 0.0
    for i in range(n):
        if squared:
            g[i], h[i] = weight[i] * (score[i] - label[i]), weight[i]
        else:
            p = 1.0 / (1.0 + np.exp(-score[i]))
            g[i], h[i] = weight[i] * (p - label[i]), weight[i] * p * (1.0 - p)
        sum_g += abs(g[i])
        sum_h += h[i]
    if not (np.isfinite(sum_g) and np.isfinite(sum_h)):
        return -1.0, -1.0
    if sum_g == 0.0 or sum_h == 0.0:
        return 0.0, 0.0
    by_g, by_h = WHOLE / sum_g, WHOLE / sum_h
    for i in range(n):
        packed[i] = (np.int64(np.rint(g[i] * by_g)) << 32) + np.int64(np.rint(h[i] * by_h))
    return by_g, by_h


@in_order
def draw(names, seed, tree, fraction, usable):
    """Set `usable` (A,) to the features that this tree may use."""
    own = splitmix(seed ^ splitmix(np.uint64(tree)))
    for a in range(names.size):
        usable[a] = fraction >= 1.0 or (splitmix(own ^ np.uint64(names[a])) >> np.uint64(11)) * 2.0**-53 < fraction


@in_order
def part(lay, lane, level, order, begin, end, right, spare):
    """Move the rows of ``order[begin:end]`` below `level` to the front, order kept; return where the others begin."""
    usual = lay.default[lane] >= level
    for k in range(begin, end):
        right[order[k]] = usual
    for e in range(lay.lane_ptr[lane], lay.lane_ptr[lane + 1]):
        right[lay.row[e]] = lay.level[e] >= level
    middle, others = begin, 0
    for k in range(begin, end):
        i = order[k]
        if right[i]:
            spare[others] = i
            others += 1
        else:
            order[middle] = i
            middle += 1
    for k in range(others):
        order[middle + k] = spare[k]
    return middle


class Room(NamedTuple):
    """Scratch of one user's trees of L leaves on n rows, A lanes and C cells.

    hist int64 (L, C) and the `slot` int64 (L,) of each leaf in it; usable bool (L, A); order, spare int64 (n,), right
    bool (n,), packed int64 (n,); of each leaf its rows ``order[span[k, 0]:span[k, 1]]``, the sum of their slopes
    `total` and the split above it `parent`; its best split: `gain`, lane and level `where`, right-hand sum `beyond`.
    """

    hist: NDArray[np.int64]
    pairs: NDArray[np.int32]
    slot: NDArray[np.int64]
    usable: NDArray[np.bool_]
    order: NDArray[np.int64]
    spare: NDArray[np.int64]
    right: NDArray[np.bool_]
    packed: NDArray[np.int64]
    span: NDArray[np.int64]
    total: NDArray[np.int64]
    parent: NDArray[np.int64]
    gain: NDArray[np.float64]
    where: NDArray[np.int64]
    beyond: NDArray[np.int64]
    sum_g: NDArray[np.int32]
    sum_h: NDArray[np.int32]
    sum_rows: NDArray[np.float32]
    tile_best: NDArray[np.float32]
    best: NDArray[np.float32]


@in_order
def make_room(rows, lanes, cells, leaves):
    """An empty `Room`."""
    hist = np.empty((leaves, cells), ROW)
    return Room(
        hist, hist.view(COLUMN), np.empty(leaves, ROW), np.empty((leaves, lanes), np.bool_),
        np.empty(rows, ROW), np.empty(rows, ROW), np.empty(rows, np.bool_), np.empty(rows, ROW),
        np.empty((leaves, 2), ROW), np.empty(leaves, ROW), np.empty(leaves, ROW), np.empty(leaves, SUM),
        np.empty((leaves, 2), ROW), np.empty(leaves, ROW),
        np.empty(LANES, COLUMN), np.empty(LANES, COLUMN), np.empty(LANES, REAL), np.empty(LANES, REAL),
        np.empty(lanes, REAL),
    )  # fmt: skip


@in_order
def examine(lay, room, leaf, limits):
    """Find the best split of a leaf whose histogram is there."""
    room.gain[leaf] = 0.0
    if room.span[leaf, 1] - room.span[leaf, 0] < 2 * limits[1]:
        return
    room.gain[leaf], room.where[leaf, 0], room.where[leaf, 1], room.beyond[leaf] = find_split(
        room.hist[room.slot[leaf]], room.pairs[room.slot[leaf]], lay.names, lay.levels, lay.first, room.total[leaf],
        room.span[leaf, 1] - room.span[leaf, 0], limits, room.usable[leaf],
        room.sum_g, room.sum_h, room.sum_rows, room.tile_best, room.best,
    )  # fmt: skip


@in_order
def gather(lay, room, leaf):
    """The histogram of a leaf, from its rows."""
    hist = room.hist[room.slot[leaf]]
    for c in range(hist.size):
        hist[c] = 0
    add_rows(room.order, room.span[leaf, 0], room.span[leaf, 1], room.packed, lay.row_ptr, lay.cell, hist)
    fill_defaults(room.total[leaf], lay.levels, lay.default, lay.first, hist)


@in_order
def pick(lay, room, leaves):
    """The leaf whose split gains most, of equals the one that splits the lowest feature; -1 if none gains."""
    leaf = -1
    for k in range(leaves):
        if room.gain[k] > 0.0 and (
            leaf < 0
            or room.gain[k] > room.gain[leaf]
            or (room.gain[k] == room.gain[leaf] and lay.names[room.where[k, 0]] < lay.names[room.where[leaf, 0]])
        ):
            leaf = k
    return leaf


@in_order
def record(lay, room, leaf, new, to_real, upper, upper_ptr, out, s):
    """Write the split of `leaf` into itself and `new`, which is split ``new - 1`` of the tree that begins at `s`."""
    lane, at = room.where[leaf, 0], s + new - 1
    name = lay.names[lane]
    out.feature[at] = name
    out.threshold[at] = upper[upper_ptr[name] + lay.bins[lane, room.where[leaf, 1]] - 1]
    out.gain[at] = room.gain[leaf] * to_real
    out.left[at], out.right[at] = -1 - leaf, -1 - new
    above = s + room.parent[leaf]
    if new > 1:
        if out.left[above] == -1 - leaf:
            out.left[above] = new - 1
        else:
            out.right[above] = new - 1
    room.parent[leaf], room.parent[new] = new - 1, new - 1


@in_order
def divide(lay, room, leaf, new):
    """Share the rows of `leaf` out between itself, to the left, and `new`."""
    lane, level = room.where[leaf]
    middle = part(lay, lane, level, room.order, room.span[leaf, 0], room.span[leaf, 1], room.right, room.spare)
    room.span[new, 0], room.span[new, 1], room.span[leaf, 1] = middle, room.span[leaf, 1], middle
    room.total[new] = room.beyond[leaf]
    room.total[leaf] -= room.total[new]


@in_order
def inherit(lay, room, leaf, new):
    """Histograms of both children: the one with fewer rows from its rows, the other as the rest of the parent's."""
    for a in range(lay.levels.size):
        room.usable[new, a] = room.usable[leaf, a]
    few, many = leaf, new
    if room.span[new, 1] - room.span[new, 0] < room.span[leaf, 1] - room.span[leaf, 0]:
        few, many = new, leaf
    room.slot[many], room.slot[few] = room.slot[leaf], new
    gather(lay, room, few)
    subtract(room.hist[room.slot[many]], room.hist[new])


@in_order
def grow_tree(lay, room, by_g, by_h, l2, growth, upper, upper_ptr, out, s):
    """Grow one tree from the slopes in `room`; write its splits from position `s` on and return how many there are."""
    limits = (
        l2 * by_h, growth.min_rows, max(1.0, growth.min_hessian * by_h), growth.min_gain * by_g * by_g / by_h,
    )  # fmt: skip
    rows, splits = room.packed.size, 0
    room.span[0, 0], room.span[0, 1], room.slot[0], room.total[0] = 0, rows, 0, 0
    for i in range(rows):
        room.order[i] = i
        room.total[0] += room.packed[i]
    gather(lay, room, splits)
    examine(lay, room, splits, limits)
    while splits + 1 < growth.leaves:
        leaf = pick(lay, room, splits + 1)
        if leaf < 0:
            break
        splits += 1
        record(lay, room, leaf, splits, by_h / (by_g * by_g), upper, upper_ptr, out, s)
        divide(lay, room, leaf, splits)
        if splits + 1 < growth.leaves:
            inherit(lay, room, leaf, splits)
            examine(lay, room, leaf, limits)
            examine(lay, room, splits, limits)
    return splits


@in_order
def settle(room, splits, by_g, by_h, l2, rate, value, score):
    """Outputs of a tree's leaves, added to the scores of their rows; False if a score is not a number."""
    for k in range(splits + 1):
        g, h = (room.total[k] >> 32) / by_g, np.int32(room.total[k]) / by_h
        value[k] = -g / (h + l2) * rate
        if not np.isfinite(value[k]):
            return False
        for i in range(room.span[k, 0], room.span[k, 1]):
            score[room.order[i]] += value[k]
    return True


@in_order
def grow_user(lay, label, weight, score, steps, l2, rate, seed, growth, upper, upper_ptr, out, t, s):
    """One user's trees, from position `t` of trees and `s` of splits on.

    Returns how many trees and splits there are (no trees if numbers run away), and whether they did. Without `fraction`
    growth ends with the first tree that finds no split, as all others would find none; otherwise that tree is left out.
    """
    room = make_room(score.size, lay.names.size, lay.first[-1, -1] if lay.names.size else 0, growth.leaves)
    trees, splits = 0, 0
    if lay.names.size == 0:
        return trees, splits, False
    for step in range(steps):
        by_g, by_h = slopes(score, label, weight, growth.squared, room.packed)
        if by_g < 0.0:
            return 0, 0, True
        if by_g == 0.0:
            break
        draw(lay.names, seed, step, growth.fraction, room.usable[0])
        found = grow_tree(lay, room, by_g, by_h, l2, growth, upper, upper_ptr, out, s + splits)
        if found > 0:
            if not settle(room, found, by_g, by_h, l2, rate, out.value[s + t + splits + trees :], score):
                return 0, 0, True
            out.size[t + trees] = found
            trees, splits = trees + 1, splits + found
        elif growth.fraction >= 1.0:
            break
    return trees, splits, False


@in_order
def make_forest(trees, splits):
    """An empty `Forest`."""
    return Forest(
        np.empty(trees, np.int16), np.empty(splits, COLUMN), np.empty(splits, REAL), np.empty(splits, np.int16),
        np.empty(splits, np.int16), np.empty(splits + trees, SUM), np.empty(splits, REAL),
    )  # fmt: skip


@in_order
def grow_all(
    dense, codes, columns, pointers, zero, upper, upper_ptr, rows, indptr, label, weight, base, steps, l2, rate, seed,
    growth, tree_ptr, split_ptr, failed,
):  # fmt: skip
    """`grow_users` on bins `dense` uint8 (N, d), or on CSR bins if that is empty; fills the last three.

    One kernel for both: growing is most of what there is to compile.
    """
    most = steps.sum()
    out, place = make_forest(most, most * (growth.leaves - 1)), np.full(zero.size, -1, COLUMN)
    for k in range(steps.size):
        low, high, t, s = indptr[k], indptr[k + 1], tree_ptr[k], split_ptr[k]
        trees, splits = 0, 0
        if high > low and steps[k] > 0:
            own = rows[low:high]
            if dense.shape[1] > 0:
                lay = lay_dense(dense, own)
            else:
                lay = lay_sparse(codes, columns, pointers, own, zero, place)
            trees, splits, failed[k] = grow_user(
                lay, label[low:high], weight[low:high], base[low:high].copy(), steps[k], l2[k], rate[k], seed[k],
                growth, upper, upper_ptr, out, t, s,
            )  # fmt: skip
        tree_ptr[k + 1], split_ptr[k + 1] = t + trees, s + splits
    return out


def grow_users(
    binned: tuple[NDArray[Any], ...],
    upper: NDArray[np.float32],
    upper_ptr: NDArray[np.int64],
    rows: NDArray[np.int64],
    indptr: NDArray[np.int64],
    label: NDArray[np.float32],
    weight: NDArray[np.float32],
    base: NDArray[np.float64],
    steps: NDArray[np.int32],
    l2: NDArray[np.float64],
    rate: NDArray[np.float32],
    seed: NDArray[np.uint64],
    growth: Growth,
) -> tuple[Forest, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Grow the trees of U users.

    Parameters
    ----------
    binned : bins of the features, below 63: ``(codes,)`` uint8 (N, d), or of CSR rows ``(codes, columns, pointers,
        zero)``: bins of the stored values, their columns int32, row pointers int64, and uint8 (d,) the bin of 0
    upper, upper_ptr : bin b of feature j holds values up to ``upper[upper_ptr[j] + b]``
    rows, indptr : user k has the rows ``rows[indptr[k]:indptr[k + 1]]`` of the matrix
    label, weight, base : (n,), aligned with `rows`; `base` is the score that the first tree starts from
    steps, l2, rate, seed : (U,), trees, L2 on leaf outputs, shrinkage, and what `Growth.fraction` draws from

    Returns
    -------
    forest, tree_ptr, split_ptr, failed
        user k has the trees ``tree_ptr[k]:tree_ptr[k + 1]`` and the splits ``split_ptr[k]:split_ptr[k + 1]``, none if
        failed, because numbers ran away
    """
    users = len(steps)
    tree_ptr, split_ptr, failed = np.zeros(users + 1, ROW), np.zeros(users + 1, ROW), np.zeros(users, np.bool_)
    dense, sparse = (binned[0], NO_CSR) if len(binned) == 1 else (NO_DENSE, binned)
    given = (dense, *sparse, upper, upper_ptr, rows, indptr, label, weight, base, steps, l2, rate, seed)
    kernel: Any = grow_all
    out = kernel(*(_frozen(array) for array in given), growth, tree_ptr, split_ptr, failed)
    trees, splits = int(tree_ptr[-1]), int(split_ptr[-1])
    ends = (trees, splits, splits, splits, splits, splits + trees, splits)
    return Forest(*(array[:end].copy() for array, end in zip(out, ends))), tree_ptr, split_ptr, failed


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    """A read-only view, so that kernels are compiled once for all callers."""
    view = values.view()
    view.flags.writeable = False
    return view
