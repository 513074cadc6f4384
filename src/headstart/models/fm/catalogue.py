"""Every item for every user, where a row is no more than the two."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import Blocks, frozen
from headstart.errors import SettingsError
from headstart.kernels.catalogue import ItemSide, bilinear
from headstart.kernels.dtypes import REAL, ROW
from headstart.models.family import Personal, State
from headstart.models.fm.own import Own


class EveryItem:
    """What makes a factorisation machine without features a `headstart.models.family.Recommender`."""

    def catalogue(self, start: State, items: NDArray[np.int32]) -> ItemSide:
        """Weights and factors of `items`; see `Recommender`."""
        return ItemSide.of(items, start["shared.item_weight"], start["shared.item_factors"])

    def score_items(
        self, start: State, personal: Personal | None, users: pa.Array, items: ItemSide
    ) -> NDArray[np.float32]:
        """Margins w0 + w_u + w_i + <v_u, v_i>, not clipped, float32 (U, I); see `Recommender`.

        Items without rows add nothing. Models of `alone` have no such scores.

        Raises
        ------
        SettingsError
            where the model has features beside user and item
        """
        if width := len(start["weights"]):
            raise SettingsError(f"the model has {width} features beside user and item; score events instead")
        own = _of_start(start, users) if personal is None else Own.of_personal(personal)
        out = np.empty((len(users), len(items.codes)), REAL)
        bilinear(frozen(start["w0"] + own.bias), frozen(own.factors), items.bias, items.tiles, out)
        if len(own.columns):
            _put_own_items(out, start, own, items.codes)
        return out * start["scale"]


def _of_start(start: State, users: pa.Array) -> Own:
    nowhere = np.zeros(len(users), ROW)
    return Own.of_start(start, Blocks(np.empty((0, 0), REAL), users, nowhere, nowhere))


def _put_own_items(out: NDArray[np.float32], start: State, own: Own, items: NDArray[np.int32]) -> None:
    """Score the items that users have parameters of their own for, in place."""
    user = np.repeat(np.arange(len(own.bias)), np.diff(own.begin))
    place = np.minimum(np.searchsorted(items, own.columns), len(items) - 1)
    asked = np.flatnonzero(items[place] == own.columns)
    user, place = user[asked], place[asked]
    moved = own.column_factors if len(own.column_factors) else start["shared.item_factors"][own.columns]
    meet = cast(NDArray[np.float32], (own.factors[user] * moved[asked]).sum(axis=1))
    out[user, place] = start["w0"] + own.bias[user] + own.weights[asked] + meet
