"""Global training in flight: an epoch of stochastic gradient steps, on as many threads as there are."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import frozen
from headstart.errors import SettingsError
from headstart.kernels import factors
from headstart.kernels.dtypes import REAL, SUM
from headstart.models.mf.strata import Strata

WORTH_THREADS = 500_000
"""Ratings from which several threads are faster than one."""

RAN_AWAY = 100.0
"""Mean squared error, the ratings' variance being 1, above which training has failed: it begins at 1."""


@dataclass(frozen=True)
class Prep:
    """What global training needs: the ratings, and who reads them."""

    strata: Strata
    seed: int
    threads: int

    @property
    def workers(self) -> int:
        """Threads that are used: 1 where starting them takes longer than the work."""
        return self.threads if len(self.strata) > WORTH_THREADS else 1


@dataclass(frozen=True)
class Descent:
    """The model after some epochs; users and items in the order of training, ratings of mean 0 and variance 1.

    Attributes
    ----------
    users, items : float32 (U, k), (I, k)
    user_bias, item_bias : float32 (U,), (I,)
    epoch : how many there were
    strata : the ratings
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    user_bias: NDArray[np.float32]
    item_bias: NDArray[np.float32]
    epoch: int
    strata: Strata

    @classmethod
    def begin(cls, prep: Prep, width: int, deviation: float) -> Descent:
        """Users and biases of 0, items drawn from a normal distribution."""
        strata = prep.strata
        users, count = len(strata.keys), len(strata.codes)
        drawn = np.random.default_rng(prep.seed % 2**64).standard_normal((count, width), REAL)
        # In the order of the items' codes, whatever that of training.
        items = np.empty_like(drawn)
        items[np.argsort(strata.codes)] = drawn * REAL(deviation)
        return cls(np.zeros((users, width), REAL), items, np.zeros(users, REAL), np.zeros(count, REAL), 0, strata)

    def epoch_of(self, prep: Prep, step: Sequence[float]) -> Descent:
        """One step for every rating, in place; `step` as `headstart.kernels.factors.sweep` takes it.

        Raises
        ------
        SettingsError
            where the numbers run away
        """
        s = self.strata
        sides = self.users, self.items, self.user_bias, self.item_bias
        ratings = (
            frozen(part) for part in (s.item, s.rating, s.weight, s.cells, s.begin, s.first, s.user_share, s.item_share)
        )
        given: tuple[Any, ...] = (*ratings, *sides, self._middle(step[-1]), np.array(step, REAL))
        if prep.workers == 1:
            total = factors.sweep(np.concatenate(s.waves), *given)
        else:
            with ThreadPoolExecutor(prep.workers) as pool:
                work = [list(pool.map(lambda one: factors.sweep(one, *given), np.split(w, len(w)))) for w in s.waves]
            total = np.sum(work)
        if not total <= RAN_AWAY * max(len(s), 1):
            raise SettingsError(
                f"global training ran away in epoch {self.epoch + 1}: a squared error of {total / len(s):.3g} where"
                f" the ratings' variance is 1; give a lower --set learning_rate, now {step[0]:.3g}"
            )
        return replace(self, epoch=self.epoch + 1)

    def _middle(self, joint: float) -> NDArray[np.float32]:
        """Means of users and items (2, k + 1), biases last; zeros where nothing is held to them."""
        width = self.users.shape[1]
        middle = np.zeros((2, width + 1), REAL)
        if joint and len(self.strata):
            for row, (side, bias) in enumerate(((self.users, self.user_bias), (self.items, self.item_bias))):
                middle[row, :width], middle[row, width] = side.mean(axis=0, dtype=SUM), bias.mean(dtype=SUM)
        return frozen(middle)
