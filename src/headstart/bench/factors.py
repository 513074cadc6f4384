"""What the benches of matrix factorisation share: the family, a fitted method, times of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.events import EventLog
from headstart.data.features import FeatureMap
from headstart.data.roles import FeatureSettings, Roles
from headstart.engines.threads import Threads
from headstart.methods.branch import BranchSettings, branch
from headstart.methods.method import Task
from headstart.models import FAMILIES
from headstart.models.family import ModelFamily
from headstart.progress import Progress, silent
from headstart.scoring import Fitted

ROLES = Roles(user="user", item="item", label="rating")
ITEMS_ONLY = FeatureSettings(columns=False, items=True)


def factorisation(k: int | None = None, **settings: float) -> ModelFamily:
    """The family with its defaults, but `k` factors and other hyper-parameters where given."""
    family: Any = FAMILIES.load("mf")()
    return cast(ModelFamily, family if k is None else replace(family, factors=k, **settings))


def log_of(data: Blocks) -> EventLog:
    """The rows of `data` as a log, items called by their numbers."""
    n = len(data.label)
    return EventLog(
        ROLES, pa.table({}), data.users, data.start, data.stop, np.arange(n), data.label, item=pa.array(data.item)
    )


def fit_branches(
    log: EventLog, family: ModelFamily, ticks: int, *, method: str = "by-abundance", threads: int = 2,
    progress: Progress = silent,
) -> Fitted:  # fmt: skip
    """Global training of `ticks` epochs, then personal branches for all users."""
    task = Task(log, FeatureMap.fit(log, ITEMS_ONLY), family, ticks, Threads(threads), progress=progress)
    return branch(method, BranchSettings(ticks=ticks, rate=family.habits.rate)).fit(task)


def rmse(margin: NDArray[np.float32], label: NDArray[np.float32]) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean((margin.astype(np.float64) - label) ** 2)))


def epochs(family: ModelFamily, data: Blocks, most: int, threads: int) -> Iterator[tuple[float, Any]]:
    """After each epoch the seconds of global training so far, preparation included, and the state."""
    begun = perf_counter()
    prep = family.prepare(data, 0, threads)
    run = family.init(prep)
    seconds = perf_counter() - begun
    for _ in range(most):
        begun = perf_counter()
        run = family.step(run, prep)
        seconds += perf_counter() - begun
        yield seconds, family.state(run)


@dataclass(frozen=True)
class Latency:
    """Seconds of single calls: median, 99th percentile, how many were made."""

    p50: float
    p99: float
    calls: int

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1e6:.0f} us, p99 {self.p99 * 1e6:.0f} us of {self.calls} calls"


def latency(work: Callable[[Any], Any], arguments: Iterable[Any]) -> Latency:
    """Time `work` on each argument, one call after the other, after a first round of at most ten."""
    given = list(arguments)
    for one in given[:10]:
        work(one)
    seconds = []
    for one in given:
        begun = perf_counter()
        work(one)
        seconds.append(perf_counter() - begun)
    return Latency(float(np.median(seconds)), float(np.percentile(seconds, 99)), len(seconds))
