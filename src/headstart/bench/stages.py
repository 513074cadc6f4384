"""Seconds and peak memory of the stages of one run."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

from headstart.progress import Progress, silent

_STATUS, _REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes
    ----------
    seconds : of wall clock
    processor : seconds of processor time, all threads; other work on the machine hardly changes it
    peak : bytes of the process in memory at most, files that it maps included; where the system does not forget
        earlier peaks (it does on Linux), the highest so far
    """

    name: str
    seconds: float
    processor: float
    peak: int


@dataclass
class Stages:
    """What was measured so far, in order."""

    progress: Progress = silent
    done: list[Stage] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure the block as a stage called `name`."""
        self.progress(name, 0, 1)
        _forget_peak()
        begun, used = perf_counter(), process_time()
        yield
        self.done.append(Stage(name, perf_counter() - begun, process_time() - used, peak_memory()))
        self.progress(name, 1, 1)

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.done)

    @property
    def processor(self) -> float:
        """Seconds of processor time of all stages."""
        return sum(stage.processor for stage in self.done)

    @property
    def peak(self) -> int:
        """The highest of all stages, bytes."""
        return max((stage.peak for stage in self.done), default=0)


def peak_memory() -> int:
    """Bytes that this process had in memory at most, since the start of the last stage where the system tells."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _forget_peak() -> None:
    with suppress(OSError):  # on other systems, and in containers that forbid it
        _REFS.write_text("5")
