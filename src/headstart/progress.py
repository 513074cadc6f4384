"""How long work tells how far it is.

A `Progress` is called with the stage's name, the units done and the units there are. The library never prints; the
command line draws bars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
