"""One item after another in the caller's thread: for debugging, and the reference for every other engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from headstart.engines.engine import I, R, S, stage
from headstart.errors import InputError, WorkError


class Serial:
    """Runs items in the order given."""

    width = 1

    def map(self, fn: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[tuple[I, R]]:
        """See `Engine.map`."""
        for item in items:
            try:
                result = fn(shared, item)
            except InputError:
                raise
            except Exception as error:
                raise WorkError(stage(fn), str(item), error) from error
            yield item, result
