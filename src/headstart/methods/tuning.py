"""Settings chosen on tune rows: the tick at which global training stops, and T and the rate of each method.

Every method is tried over the same grid and judged by the same metric, the global model included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from headstart.data.blocks import Blocks
from headstart.data.log import EventLog
from headstart.evaluation import HeldOut, held_out, per_user
from headstart.evaluation.metrics import HIGHER_IS_BETTER, Margins
from headstart.methods.branch import BranchSettings, branch
from headstart.methods.method import Task
from headstart.progress import silent
from headstart.scoring import Scorer


@dataclass(frozen=True)
class Grid:
    """What is tried for a setting that is not given.

    Attributes
    ----------
    ticks : values of T
    rate : step sizes, as shares of 1 / (the user's own curvature bound)
    """

    ticks: tuple[int, ...] = (50, 100, 200)
    rate: tuple[float, ...] = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Tried:
    """One setting and what tune rows say of it."""

    ticks: int
    rate: float | None
    value: float


@dataclass(frozen=True)
class Choice:
    """The settings of one method, and all that were tried; nothing was tried where all were given."""

    settings: BranchSettings
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class Tuner:
    """Chooses settings on the rows of `tune`, with models trained on those of `task`.

    Parameters
    ----------
    task : training rows that come before the tune rows
    tune : tune rows of the same users
    select : the metric to choose by, mean over users
    """

    task: Task
    tune: EventLog
    select: str
    grid: Grid = Grid()

    def stop(self) -> int:
        """T', the tick at which the global model is best, among about 25 that grow by a fifth each."""
        path, blocks, held = self.task.path(), self._blocks, self._held
        ticks = ladder(path.stopped)
        values = []
        for done, tick in enumerate(ticks, start=1):
            values.append(self._value(held, self.task.family.score(path.at(tick), None, blocks)))
            self.task.progress("choosing where global training stops", done, len(ticks))
        return ticks[int(np.argmax(values))]

    def choose(self, name: str, given: BranchSettings, free_rate: bool) -> Choice:
        """The best settings of method `name`: T is free where ``given.ticks`` is None, the rate where `free_rate`."""
        trials = list(self._trials(name, given, free_rate))
        if len(trials) == 1:
            return Choice(trials[0])
        blocks, held = self._blocks, self._held
        tried, quiet = [], replace(self.task, progress=silent)
        for done, settings in enumerate(trials, start=1):
            fitted = branch(name, settings).fit(quiet)
            value = self._value(held, Scorer(fitted).score_blocks([blocks]).margin)
            tried.append(Tried(settings.ticks or self.task.ticks, settings.rate, value))
            self.task.progress(f"choosing settings of {name}", done, len(trials))
        return Choice(trials[int(np.argmax([trial.value for trial in tried]))], tuple(tried))

    def _trials(self, name: str, given: BranchSettings, free_rate: bool) -> Iterator[BranchSettings]:
        longest = self.task.ticks
        if name == "global":
            yield replace(given, ticks=given.ticks or longest)
            return
        ticks: Sequence[int] = (given.ticks,) if given.ticks else [t for t in self.grid.ticks if t <= longest]
        for t, rate in product(ticks or [longest], self.grid.rate if free_rate else (given.rate,)):
            yield replace(given, ticks=t, rate=rate)

    @cached_property
    def _blocks(self) -> Blocks:
        return self.tune.blocks(self.task.features.transform(self.tune)[0])

    @cached_property
    def _held(self) -> HeldOut:
        return held_rows(self.tune)

    def _value(self, held: HeldOut, margins: Margins) -> float:
        value = per_user(held, margins).means()[self.select]
        return value if self.select in HIGHER_IS_BETTER else -value


def held_rows(log: EventLog) -> HeldOut:
    """The rows of `log` as evaluation sees them."""
    return held_out(log.label, log.start, log.stop, log.list if len(log.list) else None)


def ladder(last: int) -> list[int]:
    """Ticks from 1 to `last`, each about a fifth more than the one before."""
    ticks = [1]
    while ticks[-1] < last:
        ticks.append(min(last, max(ticks[-1] + 1, round(ticks[-1] * 1.2))))
    return ticks
