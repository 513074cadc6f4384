"""The protocol of a method, and the task that it is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.features import FeatureMap
from headstart.data.log import EventLog
from headstart.engines import Engine
from headstart.methods.search import Search
from headstart.models.family import ModelFamily, Refitting
from headstart.path import GlobalPath
from headstart.progress import Progress, silent, stage
from headstart.schedules import Borders
from headstart.scoring import Fitted
from headstart.scoring.seen import seen_in
from headstart.store import MemoryStore, PersonalStore
from headstart.training import train_path

T = TypeVar("T")


@dataclass
class Task:
    """What methods are trained on. The global path is trained once and shared by all of them.

    Attributes
    ----------
    log : training rows only
    features : fitted on `log`
    family : of the global model, and of the personal ones
    ticks : the longest T that a method may ask for
    stop : T', the tick at which global training ends; None: at T
    tolerance : see `train_path`
    new_store : makes an empty store for one term's personal models
    """

    log: EventLog
    features: FeatureMap
    family: ModelFamily
    ticks: int
    engine: Engine
    stop: int | None = None
    tolerance: float = 0.0
    seed: int = 0
    progress: Progress = silent
    new_store: Callable[[], PersonalStore] = MemoryStore
    _blocks: dict[str, Blocks] = field(default_factory=dict, repr=False)
    _paths: dict[ModelFamily, GlobalPath] = field(default_factory=dict, repr=False)
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _whole: Task | None = field(default=None, repr=False)

    @property
    def whole(self) -> Task:
        """The task of all users, where this one is that of some."""
        return self._whole or self

    @property
    def seen(self) -> PersonalStore | None:
        """The items of each user's events, for lists of recommendations; of some users nobody asks for lists."""
        return None if self._whole else self.once("seen", lambda: seen_in(self.blocks()))

    @property
    def borders(self) -> Borders:
        """Between which counts of training events abundance groups are cut."""
        return Borders.of(self.log.counts)

    def blocks(self, bag: str = "all") -> Blocks:
        """The training rows as features of `bag`."""
        if bag not in self._blocks:
            with stage(self.progress, "making features"):
                self._blocks[bag] = self.features.blocks(self.log, bag)[0]
        return self._blocks[bag]

    def path(self, ticks: int | None = None, family: ModelFamily | None = None) -> GlobalPath:
        """The path of global training as planned for `ticks` (T where None), ending at T' if that comes first.

        Parameters
        ----------
        family : of the global model, for a method that trains its own; None: the task's
        """
        if self._whole is not None:
            return self._whole.path(ticks, family)
        wanted, family = self.ticks if ticks is None else ticks, family or self.family
        if family not in self._paths:
            # Of paths that methods train for themselves the last is kept: a tuner asks for one after another.
            self._paths = {known: path for known, path in self._paths.items() if known == self.family}
            length = min(self.ticks, self.stop or self.ticks)
            self._paths[family] = train_path(
                family,
                self.blocks(),
                length,
                seed=self.seed,
                threads=self.engine.width,
                tolerance=self.tolerance,
                progress=self.progress,
            )
        path = self._paths[family]
        return path.until(min(wanted, path.stopped), planned=wanted)

    def refitted(self, ticks: int | None = None) -> GlobalPath:
        """The path's end alone, its shared side fitted once more to users who have left it."""
        if self._whole is not None:
            return self._whole.refitted(ticks)
        path = self.path(ticks)

        def refit() -> GlobalPath:
            family = cast(Refitting, self.family)
            state = family.refit(path.end(), self.blocks(), self.engine.width, self.progress)
            return GlobalPath.record([path.stopped], [state], path.planned)

        return replace(self.once(("refit", path.stopped), refit), planned=path.planned)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes, kept under `key`: for what is the same in all of a method's trials."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    def of_users(self, positions: NDArray[np.int64]) -> Task:
        """The same task for the personal models of the users at `positions` alone; path and borders are everybody's."""
        self.path()
        blocks = {bag: every.select(positions) for bag, every in self._blocks.items()}
        return replace(self, progress=silent, _blocks=blocks, _kept={}, _whole=self)

    def on(self, log: EventLog) -> Task:
        """The same task on other rows of the same users, with the features that there are."""
        return replace(self, log=log, _blocks={}, _paths={}, _kept={}, _whole=None)

    def end_at(self, stop: int) -> None:
        """Let global training end at `stop`, as if it had never gone on."""
        self.stop = stop
        self._paths = {self.family: self.path().until(stop, self.ticks)}


class Method(Protocol):
    """A way to make models for users: a frozen dataclass of its settings."""

    @property
    def name(self) -> str:
        """As on the command line."""

    @property
    def source(self) -> str:
        """Where it was published."""

    @property
    def ticks(self) -> int | None:
        """T, where it is given or has been chosen; None: it is free, or the method has none."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """As plain values, for tables and JSON."""

    def applies(self, family: ModelFamily) -> str | None:
        """Why the method is not defined for `family`, in words; None: it is."""

    def trials(self, search: Search) -> Sequence[Method]:
        """The method with each of the settings that are to be tried on tune rows, at most ``search.fits``.

        Where ``search.fits`` is 1 that is the usual ones.
        """

    def fit(self, task: Task) -> Fitted:
        """Train."""
