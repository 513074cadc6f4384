"""Threads of this process: kernels release the interpreter's lock, and arrays are shared without a copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from headstart.engines.engine import I, R, S, stage
from headstart.errors import InputError, SettingsError, WorkError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """Runs `width` items at once; never holds more than twice as many results.

    Parameters
    ----------
    width : number of threads; None: one for each core that this process may use
    """

    def __init__(self, width: int | None = None) -> None:
        if width is not None and width < 1:
            raise SettingsError(f"threads must be at least 1; got {width}")
        self.width = width or cores()

    def map(self, fn: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[tuple[I, R]]:
        """See `Engine.map`."""
        waiting = iter(items)
        with ThreadPoolExecutor(self.width) as pool:
            running: dict[Future[R], I] = {}
            try:
                while True:
                    for item in islice(waiting, 2 * self.width - len(running)):
                        running[pool.submit(fn, shared, item)] = item
                    if not running:
                        return
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        item = running.pop(future)
                        yield item, _result(future, fn, item)
            finally:
                for future in running:
                    future.cancel()


def _result(future: Future[R], fn: Callable[[S, I], R], item: I) -> R:
    try:
        return future.result()
    except InputError:
        raise
    except Exception as error:
        raise WorkError(stage(fn), str(item), error) from error
