"""What this machine can reach at most, measured in the run that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np

from headstart.kernels import peaks

REPEATS = 4000
COPIED = 1 << 26
"""Numbers that each thread copies: 256 MB, more than any cache holds."""

polynomials: Any = peaks.polynomials
copy: Any = peaks.copy


def operations(threads: int) -> Callable[[], float]:
    """A measurement of float32 operations a second: fused multiplications and additions, in registers."""
    x = np.random.default_rng(0).random((threads, 1024), dtype=np.float32)
    out = np.empty_like(x)
    polynomials(x[0], 1, out[0])
    done = threads * 1024 * REPEATS * peaks.OPERATIONS
    return lambda: done / on_threads(threads, lambda k: polynomials(x[k], REPEATS, out[k]))


def traffic(threads: int) -> Callable[[], float]:
    """A measurement of bytes a second that a copy of memory reads and writes."""
    x = np.ones((threads, COPIED), np.float32)
    out = np.zeros_like(x)
    copy(x[0, :8], out[0, :8])
    return lambda: 2 * x.nbytes / on_threads(threads, lambda k: copy(x[k], out[k]))


class Turn(NamedTuple):
    """A limit and a work of ours, one right after the other.

    Attributes
    ----------
    limit : what the limit's measurement returned, a second
    seconds : that the work took
    own_limit, own_seconds : the same as if these threads had had their cores to themselves: in processor time
    """

    limit: float
    seconds: float
    own_limit: float
    own_seconds: float


def turn(limit: Callable[[], float], work: Callable[[], Any], threads: int) -> Turn:
    """Measure a limit, then `work`; both keep so many threads busy."""
    begun, used = perf_counter(), process_time()
    reached = limit()
    share = (process_time() - used) / (perf_counter() - begun) / threads
    begun, used = perf_counter(), process_time()
    work()
    return Turn(reached, perf_counter() - begun, reached / share, (process_time() - used) / threads)


def middle(turns: Sequence[Turn]) -> Turn:
    """The median of each figure."""
    return Turn(*(median(figures) for figures in zip(*turns, strict=True)))


def on_threads(threads: int, work: Callable[[int], Any]) -> float:
    """Seconds that ``work(0)`` to ``work(threads - 1)`` take together."""
    with ThreadPoolExecutor(threads) as pool:
        begun = perf_counter()
        for done in [pool.submit(work, k) for k in range(threads)]:
            done.result()
        return perf_counter() - begun
