"""One epoch over the strata: steps of users and items row by row, of the features batch by batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headstart.kernels.dtypes import REAL, ROW
from headstart.kernels.machines import adapt_features, train_pieces
from headstart.models.fm.strata import GROUPS, Strata

Floats: TypeAlias = NDArray[np.float32]

WORTH_THREADS = 500_000
"""Multiplications in a batch from which several threads are faster than one."""


@dataclass(frozen=True)
class Parameters:
    """Of everybody's model, in units of the strata's scale; changed in place.

    Attributes
    ----------
    intercept, weights, factors : float32 (1,), (d,), (d, k)
    user_weights, user_factors, item_weights, item_factors : of one-hot columns: float32 (U,), (U, k), (I,), (I, k)
    """

    intercept: Floats
    weights: Floats
    factors: Floats
    user_weights: Floats
    user_factors: Floats
    item_weights: Floats
    item_factors: Floats

    @classmethod
    def drawn(cls, strata: Strata, k: int, spread: float, seed: int) -> Parameters:
        """The best constant; factors of features and items normal with a mean of 0, the rest zeros.

        Factors of items deviate by `spread`. Those of features do by as much less as rows are longer than the two ones
        of user and item, so that the sum over pairs of columns starts no larger.
        """
        rng = np.random.default_rng([seed % 2**64, 1])
        factors = spread * (2.0 / max(2.0, strata.square)) ** 0.5 * rng.standard_normal((strata.width, k))
        item_factors = spread * rng.standard_normal((strata.items, k))
        users, items = len(strata.key), strata.items
        own, theirs = (np.zeros(users, REAL), np.zeros((users, k), REAL)), np.zeros(items, REAL)
        intercept, weights = np.full(1, strata.intercept, REAL), np.zeros(strata.width, REAL)
        return cls(intercept, weights, factors.astype(REAL), *own, theirs, item_factors.astype(REAL))

    @property
    def in_order(self) -> tuple[Floats, ...]:
        """As the kernels take them."""
        return tuple(vars(self).values())

    def means(self) -> tuple[Floats, Floats]:
        """Of users and of items: mean factors, then the mean weight, float32 (k + 1,)."""
        users, items = (self.user_factors, self.user_weights), (self.item_factors, self.item_weights)
        user, item = (
            np.append(factors.sum(axis=0), weights.sum()) / max(1, len(weights)) for factors, weights in (users, items)
        )
        return user.astype(REAL), item.astype(REAL)


@dataclass(frozen=True)
class Rates:
    """What one epoch goes by: the step size of users and items, AdaGrad's of features, and L2 for each row's weight.

    `joint` is the L2 of what users and items are apart from their means.
    """

    rate: float
    feature_rate: float
    squared: bool
    weight_l2: float
    user_l2: float
    item_l2: float
    feature_l2: float
    joint: float


@dataclass(frozen=True)
class Sweep:
    """AdaGrad's sums of squared gradients, and the kernels' memory; changed in place."""

    strata: Strata
    parameters: Parameters
    seen: tuple[Floats, ...] = field(init=False)
    sums: tuple[Floats, Floats] = field(init=False)
    scratch: tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats] = field(init=False)

    def __post_init__(self) -> None:
        factors, rows = self.parameters.factors, self.strata.widest + 1
        width, k = factors.shape
        memory = {
            "seen": tuple(np.zeros_like(array) for array in self.parameters.in_order[:3]),
            "sums": (np.empty((GROUPS, rows, 3), REAL), np.empty((GROUPS, rows, k), REAL)),
            "scratch": (
                np.full(width, -1, ROW),
                np.empty(width, ROW),
                np.empty((width, 3), REAL),
                np.empty_like(factors),
            ),
        }
        for name, arrays in memory.items():
            object.__setattr__(self, name, arrays)

    def epoch(self, by: Rates, threads: int) -> None:
        """Take every row once; the numbers do not depend on `threads`."""
        s, p = self.strata, self.parameters
        means = p.means() if by.joint else (np.zeros(p.factors.shape[1] + 1, REAL),) * 2
        strengths = [REAL(value) for value in (by.rate, by.weight_l2, by.user_l2, by.item_l2, by.joint)]
        rest = (*s.arrays, *p.in_order, *means, *strengths, by.squared, *self.sums)
        work = s.rows / len(s.batches) * s.stored * max(1, p.factors.shape[1])
        threads = min(threads, GROUPS) if work > WORTH_THREADS else 1
        cuts = np.linspace(0, GROUPS, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
            for first in s.batches:
                spans = [(first + int(a), first + int(b)) for a, b in pairwise(cuts)]
                if pool is None:
                    train_pieces(*spans[0], first, *rest)
                else:
                    for done in [pool.submit(train_pieces, *span, first, *rest) for span in spans]:
                        done.result()
                self._adapt(first, by)

    def _adapt(self, first: int, by: Rates) -> None:
        active, begin = self.strata.arrays[3:5]
        shared = self.parameters.in_order[:3]
        strengths = [REAL(value) for value in (by.feature_rate, by.weight_l2, by.feature_l2)]
        given: tuple[Any, ...] = (active, begin, *self.sums, *shared, *strengths, *self.seen, *self.scratch)
        adapt_features(first, GROUPS, *given)
