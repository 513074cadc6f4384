"""Training that a kill does not set back: an engine that keeps what is finished, and runs only what is not.

::

    FOLDER/settings.json           of the data and the training that the results belong to
    FOLDER/0003-00012.arrow        what item 12 of the third call of `map` gave

Training is the same walk each time, down to the last bit. So the same call, by number, asks for the same items, and a
stored result stands for the work.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from headstart.engines import Engine
from headstart.errors import ModelError
from headstart.models.family import Trained
from headstart.store import read_json, write_json
from headstart.store.shard import Shard as Models

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")

_SETTINGS, _FAILED = "settings.json", "headstart.failed"


class Resuming:
    """An engine that stores each `Trained` in `folder` as it comes, and does not train again what it finds there.

    Parameters
    ----------
    engine : where the rest is run
    folder : made if it is not there
    settings : plain values that everything in `folder` depends on: the data's fingerprint, what the training was told

    Raises
    ------
    ModelError
        where the folder belongs to other settings (which is said), or is damaged
    """

    def __init__(self, engine: Engine, folder: Path, settings: Mapping[str, Any]) -> None:
        self._engine, self._folder, self._calls = engine, folder, 0
        self.found = 0
        if (folder / _SETTINGS).exists():
            _refuse_others(folder, settings)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(folder / _SETTINGS, settings)

    @property
    def width(self) -> int:
        """Of the engine inside."""
        return self._engine.width

    def map(self, fn: Callable[[S, I], R], shared: S, items: Iterable[I]) -> Iterator[tuple[I, R]]:
        """See `Engine.map`; results that are no `Trained` are not kept."""
        call, self._calls = self._calls, self._calls + 1
        files: dict[int, Path] = {}
        stored: list[tuple[I, Path]] = []

        def missing() -> Iterator[I]:
            for number, item in enumerate(items):
                file = self._folder / f"{call:04d}-{number:05d}.arrow"
                if file.exists():
                    stored.append((item, file))
                else:
                    files[id(item)] = file
                    yield item

        for item, result in self._engine.map(fn, shared, missing()):
            if isinstance(result, Trained):
                _write(files.pop(id(item)), result)
            yield item, result
        for item, file in stored:
            self.found += 1
            yield item, _read(file)  # type: ignore[misc]


def _refuse_others(folder: Path, settings: Mapping[str, Any]) -> None:
    before, now = read_json(folder / _SETTINGS), json.loads(json.dumps(settings))
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            found = f"{name} was {_brief(before.get(name))} and is {_brief(now.get(name))}"
            raise ModelError(
                f"the unfinished training in {folder} cannot go on: {found}; "
                "give what was given then, or leave out --resume to begin anew"
            )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _write(file: Path, trained: Trained) -> None:
    """As a shard of a store, whose users are numbers from 0."""
    columns = {**trained.personal, _FAILED: trained.failed}
    Models(pa.array(np.arange(len(trained.failed))), columns).write(file)


def _read(file: Path) -> Trained:
    columns = dict(Models.read(file).personal)
    failed = np.asarray(columns.pop(_FAILED), np.bool_)
    return Trained(columns, failed)
