"""What a user's model stands on, and what it puts in the place of everybody's parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.vocab import entity_keys
from headstart.kernels.dtypes import COLUMN, REAL, ROW
from headstart.models.family import USER_KEY, Personal, Ragged, State
from headstart.models.fm.rows import Rows

Floats: TypeAlias = NDArray[np.float32]

SHARED_NAMES = ("weights", "shared.factors", "shared.item_weight", "shared.item_factors")


@dataclass(frozen=True)
class Ground:
    """Rows, and everybody's parameters as they hold for these.

    Attributes
    ----------
    rows : their items in the matrix where users have parameters of items of their own
    parameters : weights (d,), factors (d, k), weights and factors of items (I,), (I, k)
    width : columns of the matrix that are features, the first ones
    """

    rows: Rows
    parameters: tuple[Floats, ...]
    width: int

    @classmethod
    def of(cls, start: State, data: Blocks, merged: bool, alone: bool) -> Ground:
        """The rows of `data` on `start`.

        Parameters
        ----------
        merged : items become columns of the matrix
        alone : nothing of `start` holds: all weights are zeros, and there are no factors
        """
        weights, factors, item_weights, item_factors = (start[name] for name in SHARED_NAMES)
        rows = Rows.of(data, len(item_weights))
        if merged or alone:
            rows = rows.with_items(len(weights), len(item_weights))
            size, k = len(weights) + len(item_weights), factors.shape[1]
            item_weights, item_factors = np.empty(0, REAL), np.empty((0, 0 if alone else k), REAL)
            weights = np.zeros(size, REAL) if alone else np.append(weights, start["shared.item_weight"])
            factors = np.empty((size, 0), REAL) if alone else np.vstack([factors, start["shared.item_factors"]])
        return cls(rows, (weights, factors, item_weights, item_factors), data.width)


@dataclass(frozen=True)
class Own:
    """What users own.

    Attributes
    ----------
    bias, factors : of their one-hot columns, float32 (U,), (U, k)
    columns, begin : int32 (A,), int64 (U + 1,): user u has parameters of ``columns[begin[u]:begin[u + 1]]``
    weights, column_factors : float32 (A,), and (A, k) or, where V stays everybody's, (0, k)
    """

    bias: Floats
    factors: Floats
    columns: NDArray[np.int32]
    begin: NDArray[np.int64]
    weights: Floats
    column_factors: Floats

    @classmethod
    def of_start(cls, start: State, data: Blocks) -> Own:
        """The one-hot columns of the users of `data` in `start`; zeros of those whom it does not know."""
        known, wanted = start[USER_KEY], entity_keys(data.users)
        users, k = len(wanted), start["user.factors"].shape[1]
        at = np.searchsorted(known, wanted)
        there = np.flatnonzero(at < len(known))
        there = there[known[at[there]] == wanted[there]]
        bias, factors = np.zeros(users, REAL), np.zeros((users, k), REAL)
        bias[there], factors[there] = start["user.weight"][at[there]], start["user.factors"][at[there]]
        return cls(bias, factors, *nothing(users, k))

    @classmethod
    def of_personal(cls, personal: Personal) -> Own:
        """What `as_personal` gave."""
        bias, factors = cast(Floats, personal["bias"]), cast(Ragged, personal["factors"])
        columns, weights = cast(Ragged, personal["columns"]), cast(Ragged, personal["weights"])
        k = len(factors.values) // max(1, len(bias))
        moved = cast(Ragged, personal["column_factors"]).values if "column_factors" in personal else np.empty(0, REAL)
        ends = columns.values, columns.indptr, weights.values
        return cls(
            bias, factors.values.reshape(len(bias), k), *ends, moved.reshape(-1, k) if k else np.empty((0, 0), REAL)
        )

    def as_personal(self, moving: bool) -> Personal:
        """As named columns; those of `column_factors` only where they are the users' own."""
        users, k = self.factors.shape
        every = np.arange(users + 1, dtype=ROW) * k
        own: dict[str, NDArray[Any] | Ragged] = {"bias": self.bias, "factors": Ragged(self.factors.reshape(-1), every)}
        own |= {"columns": Ragged(self.columns, self.begin), "weights": Ragged(self.weights, self.begin)}
        return own | ({"column_factors": Ragged(self.column_factors.reshape(-1), self.begin * k)} if moving else {})

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """As `score_users` takes them."""
        return tuple(vars(self).values())


def nothing(users: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.int64], Floats, Floats]:
    """No parameter of any column, of as many users."""
    return np.empty(0, COLUMN), np.zeros(users + 1, ROW), np.empty(0, REAL), np.empty((0, k), REAL)
