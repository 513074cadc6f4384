"""How long work tells how far it is.

A `Progress` is called with the stage's name, the units done and the units there are. The library never prints; the
command line draws bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def stage(progress: Progress, name: str) -> Iterator[None]:
    """Tell of work in one piece: when it begins and when it is done."""
    progress(name, 0, 1)
    yield
    progress(name, 1, 1)
