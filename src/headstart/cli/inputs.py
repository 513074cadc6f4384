"""From options to a log, and from options to a trainer."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.log import EventLog, read
from headstart.data.roles import FeatureSettings, Roles
from headstart.data.split import Part, split
from headstart.engines import Engine, Serial, Threads
from headstart.engines.catalogue import ENGINES
from headstart.errors import SettingsError
from headstart.methods import BranchSettings
from headstart.methods.tuned import Settings, Trainer
from headstart.models import FAMILIES
from headstart.progress import Progress

READING = ("file_format", "delimiter", "header", "memory")
ROLES = ("item", "time", "weight", "offset", "positive", "features", "categorical", "drop")


@dataclass(frozen=True)
class Source:
    """A log with its name, a line on what it is, and how features are made of it."""

    name: str
    title: str
    log: EventLog
    features: FeatureSettings


def open_source(options: Mapping[str, Any], progress: Progress) -> Source:
    """Read DATA or build the set named by ``--dataset``."""
    if (options["data"] is None) == (options["dataset"] is None):
        raise SettingsError("name either a file or a ready data set: headstart compare DATA, or --dataset NAME")
    how: dict[str, Any] = {"memory": options["memory"], "threads": options["threads"]}
    limits = {key: options[key] for key in ("min_events", "max_events")}
    if options["dataset"] is not None:
        from headstart.datasets.registry import build

        dataset = build(options["dataset"], options["data_dir"], options["memory"], progress)
        log = read(dataset.table, roles_of(options, dataset.roles), **how, **limits)
        return Source(dataset.name, dataset.title, log, features_of(options, dataset.features))
    how |= {"format": options["file_format"], "delimiter": options["delimiter"], "header": options["header"]}
    log = read(options["data"], roles_of(options), **how, **limits)
    return Source(Path(options["data"]).name, "", log, features_of(options, FeatureSettings()))


def roles_of(options: Mapping[str, Any], default: Roles | None = None, labelled: bool = True) -> Roles:
    """Roles from flags, on top of those of a ready data set or of a saved model."""
    if default is None and not options["user"]:
        raise SettingsError("which column names the user? give --user COLUMN")
    if default is None and labelled and not options["label"]:
        raise SettingsError("which column is the outcome? give --label COLUMN, or a rule such as --label 'rating>=4'")
    roles = default or Roles(user=options["user"])
    given = {name: options[name] for name in ROLES if options.get(name) is not None}
    if options.get("list_column") is not None:
        given["list"] = options["list_column"]
    if options.get("user"):
        given["user"] = options["user"]
    roles = replace(roles, **given)
    return roles.with_label(options["label"]) if options.get("label") else roles


def features_of(options: Mapping[str, Any], default: FeatureSettings) -> FeatureSettings:
    """Feature settings from flags, on top of those of a ready data set."""
    names = ("item_statistics", "max_onehot", "hash_buckets")
    given = {name: options[name] for name in names if options[name] is not None}
    if options["bags"]:
        given["bags"] = tuple(_bag(text) for text in options["bags"])
    return replace(default, **given)


def _bag(text: str) -> tuple[str, tuple[str, ...]]:
    name, sign, columns = text.partition("=")
    members = tuple(part.strip() for part in columns.split(",") if part.strip())
    if not name.strip() or not sign or not members:
        raise SettingsError(f"--bag wants NAME=column,column; got {text!r}")
    return name.strip(), members


def engine_of(options: Mapping[str, Any]) -> Engine:
    """The engine that was named, or threads on all cores."""
    name, threads = options.get("engine"), options.get("threads")
    if name in (None, "threads"):
        return Serial() if threads == 1 else Threads(threads)
    engine: Engine = ENGINES.load(name)()
    return engine


def trainer_of(options: Mapping[str, Any], progress: Progress) -> Trainer:
    """What it takes to train, from flags."""
    engine = engine_of(options)
    kind = FAMILIES.load(options["model"])
    family = kind(**{field.name: options[field.name] for field in fields(kind) if options.get(field.name) is not None})
    rate = options["rate"]
    branch = BranchSettings(
        ticks=options["ticks"], groups=options["groups"], steps=options["steps"], pull=options["pull"]
    )
    settings = Settings(
        branch=branch if rate is None else replace(branch, rate=rate),
        free_rate=rate is None,
        select=options["select"],
        tolerance=options["tolerance"],
        seed=options["seed"],
    )
    return Trainer(family, FeatureSettings(), settings, engine, progress)


def parts_of(options: Mapping[str, Any], log: EventLog) -> tuple[str, list[Part]]:
    """The split that was named, or the one that suits the log, and its parts."""
    how = options["split"] or ("user-time" if len(log.time) else "user-random")
    shares = {name: options[name] for name in ("seed", "test", "tune", "folds", "last")}
    return how, split(log, how, **shares)


def tune_rows(log: EventLog, share: float, seed: int) -> NDArray[np.bool_]:
    """The rows (n,) of a training log that settings are chosen on: the last of each user where there is a time."""
    if share == 0:
        return np.zeros(len(log), np.bool_)
    return split(log, "user-time" if len(log.time) else "user-random", seed=seed, test=share, tune=0.0)[0].test


def write_json(path: Path, document: Any) -> None:
    """Write JSON next to `path`, then move it there."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise SettingsError(f"cannot write {path}: there is no folder {folder}")
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
