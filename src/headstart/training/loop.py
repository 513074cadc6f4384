"""The one loop of global training. Families write only the step."""

from __future__ import annotations

import numpy as np

from headstart.data.blocks import Blocks
from headstart.errors import SettingsError
from headstart.models.family import ModelFamily, State
from headstart.path import GlobalPath, SaveAt
from headstart.progress import Progress, silent


def train_path(
    family: ModelFamily,
    data: Blocks,
    ticks: int,
    *,
    seed: int = 0,
    threads: int = 1,
    save_at: SaveAt | None = None,
    tolerance: float = 0.0,
    progress: Progress = silent,
) -> GlobalPath:
    """Train `family` on all of `data` for `ticks` ticks and keep its path.

    Parameters
    ----------
    ticks : T
    threads : how many to use; the path does not depend on it
    save_at : which ticks to keep; None: every one
    tolerance : stop early when no number of the state moves by more than this share of the largest one; 0: never

    Raises
    ------
    SettingsError
        where `ticks` is below 1
    """
    if ticks < 1:
        raise SettingsError(f"training needs at least 1 tick; got {ticks}")
    save_at = save_at or SaveAt()
    progress("global training", 0, ticks)
    prep = family.prepare(data, seed, threads)
    run = family.init(prep)
    kept: dict[int, State] = {0: family.state(run)}
    last = kept[0]
    for tick in range(1, ticks + 1):
        run = family.step(run, prep)
        stop = False
        if tolerance > 0 or save_at.keeps(tick, ticks):
            state = family.state(run)
            stop = tolerance > 0 and _movement(last, state) <= tolerance
            last = state
            if stop or save_at.keeps(tick, ticks):
                kept[tick] = state
        progress("global training", tick, ticks)
        if stop:
            progress("global training", ticks, ticks)
            break
    return GlobalPath.record(list(kept), kept.values(), planned=ticks)


def _movement(before: State, after: State) -> float:
    """Largest change of any number of the state, as a share of the largest number; a state that grows has moved."""
    if any(before[name].shape != after[name].shape for name in after):
        return np.inf
    change = max(float(np.max(np.abs(after[name] - before[name]), initial=0.0)) for name in after)
    size = max(float(np.max(np.abs(array), initial=0.0)) for array in after.values())
    return change / size if size else change
