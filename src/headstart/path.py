"""The path of global training: the states that personal training can start from (component C1 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import SettingsError
from headstart.models.family import State


@dataclass(frozen=True)
class SaveAt:
    """Which ticks a path keeps; tick 0 and the last one are always among them.

    Parameters
    ----------
    every : keep every so many ticks; None: only those named
    ticks : ticks to keep by name
    """

    every: int | None = 1
    ticks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.every is None and not self.ticks:
            raise SettingsError("a path that keeps no tick has nowhere to leave from; give every= or ticks=")
        if (self.every is not None and self.every < 1) or min(self.ticks, default=0) < 0:
            raise SettingsError(f"ticks to keep must not be negative, and every at least 1; got {self}")

    def keeps(self, tick: int, last: int) -> bool:
        """Whether `tick` of a training of `last` ticks is kept."""
        return tick in (0, last) or tick in self.ticks or (self.every is not None and tick % self.every == 0)


@dataclass(frozen=True)
class GlobalPath:
    """States of the global model at recorded ticks.

    Attributes
    ----------
    ticks : int64 (K,), recorded ticks, ascending, from 0
    states : the states, each array with a leading axis of length K
    planned : T, the ticks that schedules count in. Training may have stopped earlier, at ``ticks[-1]``; every later
        tick is then that state (design: "if global training stops early").
    """

    ticks: NDArray[np.int64]
    states: State
    planned: int

    @classmethod
    def record(cls, ticks: Sequence[int], states: Iterable[State], planned: int) -> GlobalPath:
        """Stack `states`, taken at `ticks`, into a path."""
        kept = list(states)
        stacked = {name: np.stack([state[name] for state in kept]) for name in kept[0]}
        for array in stacked.values():
            array.setflags(write=False)
        return cls(np.asarray(ticks, np.int64), MappingProxyType(stacked), planned)

    @property
    def stopped(self) -> int:
        """T', the last recorded tick."""
        return int(self.ticks[-1])

    def at(self, tick: int) -> State:
        """The state after `tick` ticks, views on the path's arrays.

        Raises
        ------
        SettingsError
            if that tick was not kept
        """
        position = int(np.searchsorted(self.ticks, min(tick, self.stopped)))
        if tick < 0 or self.ticks[position] != min(tick, self.stopped):
            raise SettingsError(f"the path keeps no state at tick {tick}; train with SaveAt(ticks=({tick},))")
        return MappingProxyType({name: array[position] for name, array in self.states.items()})

    def end(self) -> State:
        """The global model: the state where training stopped."""
        return self.at(self.planned)

    def until(self, tick: int, planned: int) -> GlobalPath:
        """The path as if training had stopped at the recorded `tick`, with schedules counting in `planned` ticks."""
        size = int(np.searchsorted(self.ticks, tick, side="right"))
        cut = {name: array[:size] for name, array in self.states.items()}
        return GlobalPath(self.ticks[:size], MappingProxyType(cut), planned)

    def __reduce__(self) -> tuple[Callable[[State], GlobalPath], tuple[State]]:
        """Pickled as its arrays: read-only mappings cannot be pickled."""
        return GlobalPath.from_arrays, (self.arrays(),)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, for the store."""
        own = {"ticks": self.ticks, "planned": np.asarray(self.planned, np.int64)}
        return own | {f"state.{name}": array for name, array in self.states.items()}

    @classmethod
    def from_arrays(cls, arrays: State) -> GlobalPath:
        """The inverse of `arrays`."""
        states = {name.removeprefix("state."): array for name, array in arrays.items() if name.startswith("state.")}
        return cls(arrays["ticks"], MappingProxyType(states), int(arrays["planned"]))
