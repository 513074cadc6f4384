"""``headstart demo``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from headstart.cli import options
from headstart.errors import SettingsError

METHODS = ("global", "local", "as-printed", "by-abundance")
KEPT = "by-abundance"


@click.command("demo")
@click.option(
    "--out", type=options.FILE, default=Path("headstart-demo"), show_default=True, help="For the model and the numbers."
)
@click.option("--dataset", default="completejourney", show_default=True, help="A ready data set.")
@options.data_dir
@options.family
@options.threads
@options.memory
def command(out: Path, dataset: str, **given: Any) -> None:
    """Compare the paper's methods on real data, and leave a model behind.

    The data are two thousand households' purchases in a year, turned into lists: which categories does the household
    buy this week? T is 200 here, so that the demo is quick; the rate of each method is chosen on tune rows, and so is T
    by headstart compare.
    """
    from headstart.cli.compare import command as compare_command
    from headstart.cli.comparison import show
    from headstart.cli.console import console, progress
    from headstart.cli.inputs import binary, open_source, parts_of, trainer_of
    from headstart.experiments.compare import compare
    from headstart.progress import stage
    from headstart.scoring.files import new_model
    from headstart.store.files import write_json

    flags = ["--dataset", dataset, "--ticks", "200"]
    given = compare_command.make_context("compare", flags).params | given
    screen = console()
    with progress() as report, _folder(out), new_model(out / "model", overwrite=True) as draft:
        trainer = trainer_of(given, report)
        source = open_source(given, trainer.family, report)
        screen.print(f"{source.name}: {source.title}\n{_counts(source.log, binary(trainer.family))}\n")
        how, parts = parts_of(given, source.log)
        about = {"dataset": source.name, "split": how, "seed": given["seed"]}
        result = compare(source.log, parts, replace(trainer, features=source.features), METHODS, about=about)
        kept = result.models[KEPT]
        with stage(report, "saving"):
            draft.commit(kept.fitted, kept.about() | source.about())
        write_json(out / "compare.json", result.document)
    show(result.document, screen)
    user = kept.fitted.terms[0].plan.users[len(source.log.users) // 2].as_py()
    screen.print(f"\nThe {KEPT} model is in {out}/model, all numbers are in {out}/compare.json. Next:")
    screen.print(f"  headstart inspect {out}/model\n      what the model holds")
    screen.print(f"  headstart inspect {out}/model {user}\n      what it knows of one user")
    screen.print(
        "  headstart compare --dataset movielens\n      the same on film ratings, settings chosen on tune rows"
    )


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """The folder `path`; made if it is absent, and removed again if it stays empty."""
    if path.exists() and not path.is_dir():
        raise SettingsError(f"{path} is a file; choose a folder for the demo with --out")
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            path.rmdir()


def _counts(log: Any, binary: bool) -> str:
    lists = f", {1 + int(log.list.max()):,} lists" if len(log.list) else ""
    mean = float(log.label.mean(dtype=float))
    labels = f"{100 * mean:.1f} % of them positive" if binary else f"mean rating {mean:.3f}"
    return f"{len(log):,} events of {len(log.users):,} users{lists}; {labels}"
