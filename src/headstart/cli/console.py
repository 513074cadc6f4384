"""What a person sees: bars while work goes on, and tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

NARROWEST, UNBOUNDED = 80, 1000
NOTES = {
    "users_with_one_event": "users with one event only",
    "users_with_one_class": "users with events of one class only",
    "repeated_pairs_of_user_and_item": "events of a user and an item that have another event; each counts",
    "events_without_item": "events without an item",
    "users_without_training_rows": "users without training rows, served the global model",
    "users_below_min_events": "users left out, with fewer events than --min-events",
    "events_above_max_events": "events left out, before the last --max-events of their user",
}
"""What the counts in ``notes`` say."""


def console() -> Console:
    """Standard output; what is no terminal takes lines of any length."""
    made = Console(highlight=False, markup=False, emoji=False)
    made.width = max(made.width, NARROWEST) if made.is_terminal else UNBOUNDED
    return made


class _Bars(Bars):
    """Bars of the stages that have run for a second: what is over before is not worth looking at."""

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        return super().make_tasks_table([task for task in tasks if (task.elapsed or 0.0) > 1.0])


class _Clock(TextColumn):
    """How far a stage is and the time left; the time taken where the end is not known."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        if task.total is None or task.time_remaining is None:
            return Text(f"{clock(task.elapsed or 0.0)} so far")
        return Text(f"{task.completed:,.0f} of {task.total:,.0f}, {clock(task.time_remaining)} left")


class Screen(Protocol):
    """A `Progress` that can also say a line."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """See `headstart.progress.Progress`."""

    def say(self, text: str) -> None:
        """Put a line above the bars, or on standard error."""


class _Stages:
    """One bar for each stage; a stage of one piece has no end that could be foreseen."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total if total > 1 else None)
        if done < total:
            self._bars.update(self._tasks[stage], completed=done)
        else:
            self._bars.remove_task(self._tasks.pop(stage))

    def say(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False, emoji=False)


class _Lines:
    """For logs and pipes: a line every ten seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() - self._said > 10.0:
            self._said = time.monotonic()
            print(f"{stage}: {done:,} of {total:,}" if total > 1 else stage, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        self._said = time.monotonic()
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[Screen]:
    """Bars with the time left on standard error; lines where that is not a terminal."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), _Clock())
    screen = Console(stderr=True)
    with _Bars(*columns, console=screen, transient=True, speed_estimate_period=3600) as bars:
        yield _Stages(bars)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, gap: int = 2
) -> RenderableType:
    """A table of numbers, but for its first `left` columns and those without a name; `gap` spaces between columns."""
    made = Table(header_style="bold", box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for position, column in enumerate(columns):
        made.add_column(column, justify="left" if position < left or not column else "right", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return Group(Text(title, style="bold"), made)


def print_table(screen: Console, made: RenderableType) -> None:
    """Print a table whole: one that is wider than the screen is wrapped by it, no number is cut off."""
    kept, screen.width = screen.width, UNBOUNDED
    screen.print(made)
    screen.width = kept


def fits(screen: Console, made: RenderableType) -> bool:
    """Whether a table is no wider than the screen."""
    return screen.measure(made, options=screen.options.update_width(UNBOUNDED)).maximum <= screen.width


def say_notes(screen: Console, notes: Mapping[str, int], left_out: Mapping[str, str]) -> None:
    """A line for each oddity that is no error: counts of `notes`, and feature columns left out with the reason."""
    for what, text in NOTES.items():
        if notes.get(what):
            screen.print(f"note: {text}: {notes[what]:,}")
    for column, reason in left_out.items():
        screen.print(f"note: column {column!r} is no feature: {reason}")


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def percent(share: float | None) -> str:
    """A share as tables print it; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None, digits: int = 4) -> str:
    """A number as tables print it; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"
