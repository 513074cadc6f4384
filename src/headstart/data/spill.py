"""Where large arrays and tables live: in memory, or above a size in a file without a name that is mapped.

The file has no name, so it is gone with the last array that reads it, whatever ends the process. The system keeps its
pages in memory while there is room and drops them when there is none, so what is mapped takes none that others need.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

PART = 8
"""One array or table may take this part of the memory there is; a larger one is mapped from a file."""

CELLS = 1 << 22
"""Values that are copied together, whatever the number of columns."""


@dataclass(frozen=True)
class Spill:
    """A rule for how large an array or a table may be to be kept in memory.

    Attributes
    ----------
    above : bytes; what takes more goes to a file in the system's temporary folder. None: nothing does
    """

    above: int | None = None

    @classmethod
    def of(cls, memory: int | None) -> Spill:
        """The rule under a limit in bytes, or under what the machine has: an eighth of it."""
        if memory is None:
            if "SC_PHYS_PAGES" not in os.sysconf_names:
                return cls()
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(memory // PART)

    def array(self, most: int, kind: type[T]) -> Filling[T]:
        """An array that will be filled from its front with at most `most` numbers."""
        wide = most * np.dtype(kind).itemsize
        return Filling(most, kind, None if self.above is None or wide <= self.above else _file())

    def table(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        """All of `batches` as one table, their columns without dictionaries of their own."""
        kept: list[pa.RecordBatch] = []
        coming, size = iter(batches), 0
        for batch in coming:
            kept.append(batch)
            size += batch.nbytes
            if self.above is not None and size > self.above:
                return _mapped(schema, _first_then(kept, coming))
        return pa.Table.from_batches(kept, schema)


def rows_at_once(columns: int, most: int = 1 << 18) -> int:
    """Rows of so many columns that are copied together."""
    return max(1, min(most, CELLS // max(1, columns)))


def give_back() -> None:
    """Return to the system what was freed: Arrow and the C library keep it, half as much as the features take."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it; others give back by themselves
    if trim is not None:
        trim(0)


class Filling(Generic[T]):
    """An array in the making; see `Spill.array`."""

    def __init__(self, most: int, kind: type[T], file: IO[bytes] | None) -> None:
        self._file, self._kind, self._count = file, kind, 0
        # Untouched pages of a new array take no memory, so `most` may be far too much.
        self._array: NDArray[T] = np.empty(0 if file else most, kind)

    def append(self, values: NDArray[T]) -> None:
        """Put `values` (k,) behind what is there."""
        if self._file is not None:
            self._file.write(np.ascontiguousarray(values, self._kind).view(np.uint8).data)
        else:
            self._array[self._count : self._count + len(values)] = values
        self._count += len(values)

    def done(self) -> NDArray[T]:
        """What was put in, (n,), and no more."""
        if self._file is None:
            return self._array[: self._count]
        whole: NDArray[T] = np.frombuffer(_map(self._file), self._kind)
        return whole


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="headstart-", buffering=1 << 20)


def _map(file: IO[bytes]) -> Any:
    """The whole file as bytes, read-only; nothing at all of an empty one, which cannot be mapped."""
    file.flush()
    size = file.seek(0, os.SEEK_END)
    with file:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""


def _mapped(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> pa.Table:
    file = _file()
    with pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return pa.ipc.open_stream(pa.py_buffer(_map(file))).read_all()


def _first_then(kept: list[pa.RecordBatch], coming: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """`kept`, let go one by one, then `coming`."""
    kept.reverse()
    while kept:
        yield kept.pop()
    yield from coming
