"""The paper's experiments from options, and their report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.padding import Padding
from rich.text import Text

from headstart import __version__
from headstart.cli.console import Screen, clock, console, progress
from headstart.cli.inputs import Source, engine_of, open_source
from headstart.data.roles import Roles
from headstart.data.split import split
from headstart.errors import SettingsError
from headstart.experiments.reproduction.ledger import Standing, run
from headstart.experiments.reproduction.programme import Studies, gather, steps
from headstart.experiments.study import Study
from headstart.methods.tuned import Settings, Trainer
from headstart.models import FAMILIES
from headstart.models.family import ModelFamily
from headstart.report import markdown, page, reproduction
from headstart.report.beside import AGREES, agreements, sentence
from headstart.report.pseudonyms import Pseudonyms
from headstart.store.files import LOCK, json_bytes, locked, replacing, write_together

KINDS = {"logistic": ("logistic",), "gbdt": ("gbdt",), "mf": ("mf",), "all": ("logistic", "gbdt", "mf")}
"""Families of each command."""

MANY, FEW_SEEDS, SEEDS = 1_000_000, 3, 10
"""From so many events on the table of trees has a few seeds instead of the paper's ten."""

PARTS, KEY = "parts", "pseudonyms.key"


def reproduce(name: str, given: Mapping[str, Any]) -> None:
    """Run what ``headstart reproduce NAME`` asks for, and write its report."""
    out: Path = given["out"]
    _check_folder(out)
    with progress() as screen:
        studies, skipped = _studies(KINDS[name], given, screen)
        seeds = given["seeds"] or (FEW_SEEDS if len(next(iter(studies.values())).log) >= MANY else SEEDS)
        parts = out / PARTS
        parts.mkdir(parents=True, exist_ok=True)
        with locked(parts):
            wanted = steps(studies, seeds, _pseudonyms(parts, given["show_ids"]))
            try:
                results, seconds = run(wanted, parts, partial(_say, screen), overwrite=given["overwrite"])
                found = gather(studies, seeds, results, skipped, seconds)
                _write(out, found)
            except KeyboardInterrupt:
                screen.say("the steps that are done are kept; the same command goes on")
                raise
    _show(found, out)


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds something else or cannot be written to, before anything is read."""
    if out.exists() and not out.is_dir():
        raise SettingsError(f"--out {out}: it is no folder; name one")
    ours = (out / PARTS / KEY).exists() or (out / PARTS / LOCK).exists()
    if out.is_dir() and any(out.iterdir()) and not ours:
        raise SettingsError(f"--out {out}: the folder holds something else; name another, or an empty one")
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise SettingsError(f"--out {out}: {there} is no folder; name another")
    if not os.access(there, os.W_OK):
        raise SettingsError(f"--out {out}: {there} is not yours to write to; name another folder")


def _studies(families: tuple[str, ...], given: Mapping[str, Any], screen: Screen) -> tuple[Studies, dict[str, str]]:
    """A study for each family that the data has labels for, and why not for the others."""
    studies: dict[str, Study] = {}
    skipped: dict[str, str] = {}
    clicks: Source | None = None
    for name in families:
        family: ModelFamily = FAMILIES.load(name)()
        if family.objective == "logistic":
            clicks = clicks or open_source(given, family, screen)
            studies[name] = _study(
                family, clicks, "user-time" if len(clicks.log.time) else "user-random", given, screen
            )
            continue
        found = _ratings(family, clicks, given, screen)
        if isinstance(found, Source):
            studies[name] = _study(family, found, "random", given, screen)
        else:
            skipped[name] = found
    if not studies:
        raise SettingsError(f"{name} cannot be reproduced on this data: {skipped[name]}; try logistic or gbdt")
    return studies, skipped


def _ratings(family: ModelFamily, clicks: Source | None, given: Mapping[str, Any], screen: Screen) -> Source | str:
    """The log with its ratings as they are, or why there are none."""
    none = "its labels are 0 and 1, no ratings"
    if clicks is not None and clicks.log.roles.rule is None:
        return none
    # --label rating>=4 says which column; the rule is for the other families.
    label = Roles(user="").with_label(given["label"]).label if given["label"] else None
    source = open_source({**given, "label": label}, family, screen)
    if source.log.item is None:
        return "it has no column of items; give --item COLUMN"
    return none if np.isin(source.log.label, (0, 1)).all() else source


def _study(family: ModelFamily, source: Source, how: str, given: Mapping[str, Any], screen: Screen) -> Study:
    settings = Settings(seed=given["seed"])
    trainer = Trainer(family, source.features, settings, engine_of(given), screen)
    part = split(source.log, how, seed=given["seed"])[0]
    return Study(source.name, source.title, source.log, trainer, how, part, given["k"], given["bootstrap"])


def _pseudonyms(parts: Path, shown: bool) -> Pseudonyms:
    """The names that users have in all parts, whenever they are made: their key stays among the parts."""
    file = parts / KEY
    whole = file.is_file() and file.stat().st_size == len(Pseudonyms().key)
    if not whole and not shown and any(parts.glob("compare-*.json")):
        found = "is damaged" if file.exists() else "is gone"
        raise SettingsError(f"{file} {found}, so users would get second names; restore it, or begin in another --out")
    if not whole:
        with replacing(file) as temporary:
            temporary.touch(0o600)
            temporary.write_bytes(Pseudonyms().key)
    return Pseudonyms(file.read_bytes(), shown)


def _say(screen: Screen, standing: Standing) -> None:
    """A line for each step that is done, and one where a run goes on."""
    left = "" if standing.left is None else f"; about {clock(standing.left)} left"
    if standing.damaged:
        screen.say(f"{standing.step.says}: what was kept of it cannot be read; it is made again")
    if standing.seconds is not None:
        screen.say(f"[{standing.done} of {standing.total}] {standing.step.says}, {standing.seconds:.1f} s{left}")
    elif standing.first and standing.done:
        screen.say(f"{standing.done} of {standing.total} steps were done before{left}")


def _write(out: Path, found: Mapping[str, Any]) -> None:
    """The report in three forms."""
    report = reproduction(found, version=__version__)
    texts = {"report.md": markdown(report), "report.html": page(report)}
    numbers = {out / "report.json": json_bytes("report.json", found)}
    write_together(numbers | {out / name: text.encode() for name, text in texts.items()})


def _show(found: Mapping[str, Any], out: Path) -> None:
    """The paper's statements and what became of them, and where the report is."""
    screen = console()
    for claim in found["claims"]:
        screen.print(Text.assemble((AGREES[claim["agrees"]][0], "bold"), f": {claim['paper']}"))
        screen.print(Padding(claim["ours"], (0, 0, 0, 4), expand=False))
    screen.print(sentence(agreements(found["claims"])))
    for name, why in found["not_run"].items():
        screen.print(f"note: {name} was not run: {why}")
    screen.print(f"{out / 'report.html'}: made in {clock(found['seconds'])}; report.md and report.json are beside it")
