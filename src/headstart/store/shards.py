"""Stores of personal models: in memory, and as immutable shards in a folder."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from operator import itemgetter
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headstart.errors import ModelError
from headstart.models.family import Personal
from headstart.store.index import Index
from headstart.store.shard import Layout, Shard, gather

INDEX = "index.arrow"
_SHARD = re.compile(r"shard-(\d{5,})\.arrow")


class PersonalStore(Protocol):
    """Holds the personal models of users. Puts become readable when the store is sealed."""

    def put(self, users: pa.Array, personal: Personal) -> None:
        """Add the models of `users`, distinct ids in any order, not yet in the store; from any thread.

        Ids are integers or text; the columns of `personal` are the same in every put.
        """

    def seal(self) -> None:
        """Make everything that was put readable. Leaving a ``with`` block without an error does it too."""

    def get(self, user: int | str) -> Personal | None:
        """The model of one user, columns of length 1, views; None where there is none. Microseconds."""

    def take(self, users: pa.Array) -> tuple[NDArray[np.int64], Personal]:
        """The models of many users.

        Returns
        -------
        positions : int64 (n,), where in the result the model of each of `users` stands; -1: it has none
        personal : the models that were found, in the order of `users`; no columns where the store is empty
        """

    def scan(self) -> Iterator[tuple[pa.Array, Personal]]:
        """All models, shard by shard."""

    def forget(self, users: pa.Array) -> int:
        """Remove the models of `users`; the number of those that were there."""

    def __len__(self) -> int:
        """Number of users with a model."""

    def __enter__(self) -> Self:
        """The store itself."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Seal, unless there was an error."""

    @property
    def nbytes(self) -> int:
        """Bytes that the shards take."""


@dataclass(frozen=True)
class _Sealed:
    """What can be read: swapped as a whole, so that a reader never sees half of a change."""

    index: Index
    count: int
    load: Callable[[int], Shard]


class _Store(ABC):
    """What stores share: puts that wait, and what is sealed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._layout: Layout | None = None
        self._sealed: _Sealed | None = None
        self._waiting = 0

    def put(self, users: pa.Array, personal: Personal) -> None:
        """Add the models of `users`."""
        shard = Shard.checked(users, personal)
        if not len(users):
            return
        with self._lock:
            self._check_layout(shard.layout)
            number, self._waiting = self._waiting, self._waiting + 1
        self._hold(number, shard, pc.min(shard.users).as_py())

    def seal(self) -> None:
        """Make everything that was put readable."""
        with self._lock:
            if self._waiting or self._sealed is None:
                self._sealed = self._settle()
                self._waiting = 0

    def get(self, user: int | str) -> Personal | None:
        """The model of one user."""
        sealed = self._ready()
        at = sealed.index.users.index_one(user)
        return None if at < 0 else sealed.load(int(sealed.index.shard[at])).one(int(sealed.index.row[at]))

    def take(self, users: pa.Array) -> tuple[NDArray[np.int64], Personal]:
        """The models of many users."""
        sealed = self._ready()
        at = sealed.index.users.index(users)
        found = at >= 0
        if not sealed.count:
            return at, {}
        personal = gather(sealed.load, sealed.index.shard[at[found]], sealed.index.row[at[found]])
        return np.where(found, np.cumsum(found) - 1, -1), personal

    def scan(self) -> Iterator[tuple[pa.Array, Personal]]:
        """All models, shard by shard."""
        sealed = self._ready()
        for number in range(sealed.count):
            shard = sealed.load(number)
            yield shard.users, shard.personal

    def forget(self, users: pa.Array) -> int:
        """Remove the models of `users`."""
        sealed = self._ready()
        at = np.unique(sealed.index.users.index(users))
        at = at[at >= 0]
        numbers, rows = sealed.index.shard[at], sealed.index.row[at]
        rest = {int(n): sealed.load(int(n)).without(rows[numbers == n]) for n in np.unique(numbers)}
        if rest:
            with self._lock:
                self._sealed = self._replace(rest)
        return len(at)

    def __len__(self) -> int:
        return len(self._ready().index.users)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.seal()

    def __reduce__(self) -> tuple[Callable[..., PersonalStore], tuple[list[tuple[pa.Array, Personal]]]]:
        """Pickled, for another process, as a store in memory; what is kept on disk is never a pickle."""
        return _in_memory, (list(self.scan()),)

    @abstractmethod
    def _hold(self, number: int, shard: Shard, first: int | str) -> None:
        """Keep a put until it is sealed; `first` of its users decides the order, whatever thread was faster."""

    @abstractmethod
    def _settle(self) -> _Sealed:
        """Everything sealed, with what waits."""

    @abstractmethod
    def _replace(self, shards: Mapping[int, Shard]) -> _Sealed:
        """Everything sealed, with other shards at some numbers, and none where that shard is empty."""

    def _ready(self) -> _Sealed:
        if self._waiting or self._sealed is None:
            raise ModelError("the store of personal models is not sealed; call seal() after the last put")
        return self._sealed

    def _check_layout(self, layout: Layout) -> None:
        if self._layout is None and self._sealed is not None and self._sealed.count:
            self._layout = self._sealed.load(0).layout
        self._layout = self._layout or layout
        if layout != self._layout:
            raise ModelError(f"personal models must all have the same columns: {layout} came after {self._layout}")


class MemoryStore(_Store):
    """Keeps the models where training left them."""

    def __init__(self) -> None:
        super().__init__()
        self._shards: list[Shard] = []
        self._pending: list[tuple[int | str, Shard]] = []
        self.seal()

    @property
    def nbytes(self) -> int:
        """Bytes that the shards take."""
        return sum(shard.nbytes for shard in self._shards)

    def _hold(self, number: int, shard: Shard, first: int | str) -> None:
        self._pending.append((first, shard))

    def _settle(self) -> _Sealed:
        return self._publish([*self._shards, *(shard for _, shard in sorted(self._pending, key=itemgetter(0)))])

    def _replace(self, shards: Mapping[int, Shard]) -> _Sealed:
        now = [shards.get(number, shard) for number, shard in enumerate(self._shards)]
        return self._publish([shard for shard in now if len(shard.users)])

    def _publish(self, shards: list[Shard]) -> _Sealed:
        index = Index.build([shard.users for shard in shards])
        self._shards, self._pending = shards, []
        return _Sealed(index, len(shards), shards.__getitem__)


def _in_memory(models: list[tuple[pa.Array, Personal]]) -> PersonalStore:
    store = MemoryStore()
    for users, personal in models:
        store.put(users, personal)
    store.seal()
    return store


class ShardStore(_Store):
    """Keeps the models in a folder of immutable Arrow IPC files, mapped into memory when they are read.

    A change writes new files, replaces the index, then removes the files that the new index does not name. So a kill
    leaves the store as it was before or after, and hard links to its files keep what they had.

    Parameters
    ----------
    folder : of a sealed store, or a place for a new one

    Raises
    ------
    ModelError
        where the store is damaged, or was never sealed
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._names: list[str] = []
        self._pending: list[tuple[int | str, Path]] = []
        if (folder / INDEX).exists():
            self._sealed = self._open()
        elif any(folder.glob("*.arrow")):
            raise ModelError(f"{folder} holds shards without {INDEX}; restore it, or remove them and train again")

    @property
    def nbytes(self) -> int:
        """Bytes that the shards take."""
        return sum((self.folder / name).stat().st_size for name in self._names)

    def _hold(self, number: int, shard: Shard, first: int | str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f".put-{number:05d}.arrow"
        shard.write(file)
        self._pending.append((first, file))

    def _settle(self) -> _Sealed:
        waiting = [file for _, file in sorted(self._pending, key=itemgetter(0))]
        self.folder.mkdir(parents=True, exist_ok=True)
        files = [*(self.folder / name for name in self._names), *waiting]
        index = Index.build([Shard.read(file).users for file in files])
        names = [file.rename(self.folder / name).name for file, name in zip(waiting, self._fresh(), strict=False)]
        return self._publish(index, [*self._names, *names])

    def _replace(self, shards: Mapping[int, Shard]) -> _Sealed:
        names = {number: name for number, name in enumerate(self._names) if number not in shards}
        for (number, shard), name in zip(shards.items(), self._fresh(), strict=False):
            if len(shard.users):
                shard.write(self.folder / name)
                names[number] = name
        kept = [names[number] for number in sorted(names)]
        sealed = self._publish(Index.build([Shard.read(self.folder / name).users for name in kept]), kept)
        for name in {file.name for file in self.folder.glob("shard-*.arrow")} - set(kept):
            (self.folder / name).unlink()
        return sealed

    def _publish(self, index: Index, names: list[str]) -> _Sealed:
        index.write(self.folder / INDEX, names)
        self._pending = []
        return self._open()

    def _open(self) -> _Sealed:
        index, names = Index.read(self.folder / INDEX)
        self._names, folder = names, self.folder
        return _Sealed(index, len(names), cache(lambda number: Shard.read(folder / names[number])))

    def _fresh(self) -> Iterator[str]:
        """Names that no shard of the folder has had."""
        taken = [int(match[1]) for file in self.folder.iterdir() if (match := _SHARD.fullmatch(file.name))]
        return (f"shard-{number:05d}.arrow" for number in count(max(taken, default=-1) + 1))
