"""The protocol of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


class Engine(Protocol):
    """Runs ``fn(shared, item)`` for each item; results come back with their item, in any order."""

    @property
    def width(self) -> int:
        """How many items run at once."""

    def map(self, fn: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[tuple[I, R]]:
        """Run, and yield each (item, result) as it is done.

        Raises
        ------
        WorkError
            at the first item that fails: the name of `fn`, the item as text, the cause. No further item is started.
        """


def stage(fn: Callable[[S, I], R]) -> str:
    """The name of a piece of work in words: ``train_shard`` is "train shard"."""
    return getattr(fn, "__name__", type(fn).__name__).strip("_").replace("_", " ")
