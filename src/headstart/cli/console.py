"""What a person sees: bars while work goes on, and tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from headstart.progress import Progress

WIDTH = 124


def console() -> Console:
    """Standard output, never narrower than the widest table: a narrow terminal wraps lines, numbers are not cut off."""
    made = Console(highlight=False)
    return made if made.width >= WIDTH and sys.stdout.isatty() else Console(width=WIDTH, highlight=False)


class _Stages:
    """One bar for each stage, shown once it has run for a second."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._begun: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        begun = self._begun.setdefault(stage, time.monotonic())
        if stage not in self._tasks and done < total and time.monotonic() - begun > 1.0:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        if stage in self._tasks:
            self._bars.update(self._tasks[stage], completed=done, total=total)
        if done >= total:
            self._begun.pop(stage)
            task = self._tasks.pop(stage, None)
            if task is not None:
                self._bars.remove_task(task)


class _Lines:
    """For logs and pipes: a line every ten seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self._said > 10.0:
            self._said = time.monotonic()
            print(f"{stage}: {done} of {total}", file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars with the time left on standard error; lines where that is not a terminal."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Stages(bars)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> Table:
    """A table whose first `left` columns are text and whose others are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, padding=(0, 2, 0, 0))
    for position, column in enumerate(columns):
        made.add_column(column, justify="left" if position < left else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def number(value: float | None, digits: int = 4) -> str:
    """A number as tables print it; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
