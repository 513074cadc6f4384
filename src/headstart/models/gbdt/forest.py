"""Trees as flat arrays, the format of record: from LightGBM's text, back to it, and their gains by feature.

The arrays are those of `headstart.kernels.trees`, with ``gain`` float32 (S,), what each split took off the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import frozen
from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM
from headstart.kernels.grow import Forest
from headstart.models.family import Personal, Ragged
from headstart.models.gbdt.bins import Bins
from headstart.models.gbdt.lightgbm import Tree

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

SPLITS = ("feature", "threshold", "left", "right")
COLUMNS = ("size", *SPLITS, "value")


def forest_of(trees: Sequence[Tree], bins: Bins, zero: NDArray[np.int64]) -> dict[str, Any]:
    """The flat arrays of `trees`, whose thresholds are bins of each feature, counted from `zero` (d,)."""

    def joined(name: str, dtype: Any) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(tree[name] for tree in trees)]).astype(dtype)

    feature = joined("split_feature", COLUMN)
    code = np.floor(joined("threshold", SUM)).astype(ROW) + zero[feature]
    return {
        "size": np.array([len(tree["split_feature"]) for tree in trees], np.int16),
        "feature": feature,
        "threshold": bins.upper[bins.upper_ptr[feature] + code],
        "left": joined("left_child", np.int16),
        "right": joined("right_child", np.int16),
        "value": joined("leaf_value", SUM),
        "gain": joined("split_gain", REAL),
    }


def trees_of(forest: Arrays, base: float) -> list[Tree]:
    """The trees one by one as LightGBM has them, thresholds in the units of the features, `base` in the first."""
    if not len(forest["size"]):
        return [_tree({name: forest[name][:0] for name in (*SPLITS, "gain")}, np.array([base]))]
    ends = np.cumsum(forest["size"].astype(ROW))
    found = []
    for number, end in enumerate(ends):
        begin = end - forest["size"][number]
        splits = {name: forest[name][begin:end] for name in (*SPLITS, "gain")}
        value = forest["value"][begin + number : end + number + 1]
        found.append(_tree(splits, value + base if number == 0 else value))
    return found


def _tree(splits: Mapping[str, NDArray[Any]], value: NDArray[np.float64]) -> Tree:
    return {
        "split_feature": splits["feature"],
        "split_gain": splits["gain"].astype(SUM),
        "threshold": splits["threshold"].astype(SUM),
        "left_child": splits["left"],
        "right_child": splits["right"],
        "leaf_value": value,
    }


def personal_of(grown: Forest, tree_ptr: NDArray[np.int64], split_ptr: NDArray[np.int64]) -> dict[str, Ragged]:
    """The columns of a personal model, from trees of user k at ``tree_ptr[k]`` and splits at ``split_ptr[k]`` on."""
    columns = {name: Ragged(getattr(grown, name), split_ptr) for name in (*SPLITS, "gain")}
    return {
        "size": Ragged(grown.size, tree_ptr),
        **columns,
        "value": Ragged(grown.value.astype(REAL), tree_ptr + split_ptr),
    }


def columns_of(forest: Arrays) -> tuple[NDArray[Any], ...]:
    """What kernels take of one forest."""
    return tuple(frozen(forest[name]) for name in COLUMNS)


def columns_of_users(personal: Personal) -> tuple[NDArray[Any], ...]:
    """What kernels take of every user's own forest: size and its pointers, splits and theirs, values and theirs."""
    size, feature, threshold, left, right, value = (_ragged(personal, name) for name in COLUMNS)
    columns = (
        size.values, size.indptr, feature.values, feature.indptr, threshold.values, left.values, right.values,
        value.values, value.indptr,
    )  # fmt: skip
    return tuple(frozen(column) for column in columns)


def gains(forest: Arrays, width: int) -> NDArray[np.float32]:
    """Gain by feature, float32 (1, width)."""
    return np.bincount(forest["feature"], forest["gain"], width).astype(REAL)[None, :]


def gains_of_users(personal: Personal, width: int) -> NDArray[np.float32]:
    """Gain of each user's own trees by feature, float32 (U, width)."""
    feature, gain = _ragged(personal, "feature"), _ragged(personal, "gain")
    out = np.zeros((len(feature), width), REAL)
    np.add.at(out, (np.repeat(np.arange(len(feature)), np.diff(feature.indptr)), feature.values), gain.values)
    return out


def _ragged(personal: Personal, name: str) -> Ragged:
    column = personal[name]
    assert isinstance(column, Ragged)
    return column
