"""The files of ``--report``: a page, Markdown or JSON, by their endings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import SettingsError

if TYPE_CHECKING:
    from headstart.cli.inputs import Source
    from headstart.data.split import Part
    from headstart.experiments.compare import Comparison
    from headstart.methods.tuned import Trainer

ENDINGS = (".html", ".md", ".json")
MORE = ("curves", "shares", "trees")


def check_endings(files: Iterable[Path]) -> None:
    """Refuse files whose ending names no kind of report, before anything is trained."""
    for file in files:
        if file.suffix.lower() not in ENDINGS:
            raise SettingsError(f"--report {file}: a report ends in {', '.join(ENDINGS)}; name it so")


def check_more(given: Mapping[str, Any], methods: Sequence[str]) -> None:
    """Refuse what ``--more`` cannot draw of `methods`, before anything is trained."""
    from headstart.experiments.curves import CURVED
    from headstart.experiments.shares import COMPARED

    wanted = given["more"] or ()
    for name in wanted:
        if name not in MORE:
            raise SettingsError(f"--more {name}: there are {', '.join(MORE)}")
    if wanted and not given["reports"]:
        raise SettingsError("--more is of pictures in a report; give --report F.html too")
    if wanted and given["split"] == "kfold":
        raise SettingsError("--more is of one split; leave out --split kfold")
    if wanted and set(methods) == {"global"}:
        raise SettingsError("--more sets methods beside the global model; compare another one too")
    for name, drawn in (("curves", CURVED), ("shares", COMPARED)):
        if name in wanted and not set(drawn) & set(methods):
            raise SettingsError(f"--more {name} draws {', '.join(drawn)}; compare one of them too")
    if "trees" in wanted and given["model"] != "gbdt":
        raise SettingsError(f"--more trees is a table of trees, and {given['model']} has none; give --model gbdt")


def further(
    given: Mapping[str, Any],
    source: Source,
    trainer: Trainer,
    how: str,
    parts: Sequence[Part],
    document: Mapping[str, Any],
) -> dict[str, Any]:
    """The documents of ``--more``, see `headstart.report.extras`."""
    from headstart.experiments.curves import curves
    from headstart.experiments.grid import run_grid
    from headstart.experiments.shares import shares
    from headstart.experiments.study import Study

    wanted, found = given["more"] or (), {}
    study = Study(source.name, source.title, source.log, trainer, how, parts[0], given["k"], given["bootstrap"])
    for name, make in (("curves", curves), ("shares", shares)):
        if name in wanted:
            found[name] = make(study, document)
    if "trees" in wanted:
        sizes = {"seeds": given["seeds"], "test": given["test"], "k": given["k"]}
        found["trees"] = run_grid("trees", source.log, trainer, about={"dataset": source.name}, **sizes)
    return found


def write_reports(
    files: Iterable[Path], result: Comparison, more: Mapping[str, Any], *, show_ids: bool, **sampling: Any
) -> None:
    """Write the report of a comparison to each of `files`, whole or not at all; users' ids only if `show_ids`."""
    from headstart import __version__
    from headstart.experiments.details import details
    from headstart.report import assemble, markdown, page
    from headstart.report.pseudonyms import Pseudonyms
    from headstart.store.files import json_bytes, write_together

    gathered = details(result, Pseudonyms(shown=show_ids), **sampling)
    report = assemble(result.document, gathered, more, version=__version__)
    numbers = {"document": dict(result.document), "details": gathered, "more": dict(more)}
    make: dict[str, Callable[[], bytes]] = {
        ".html": lambda: page(report).encode(),
        ".md": lambda: markdown(report).encode(),
        ".json": lambda: json_bytes("the report", numbers),
    }
    write_together({file: make[file.suffix.lower()]() for file in files})
