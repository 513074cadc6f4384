"""``headstart demo``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from headstart.cli import options

METHODS = ("global", "local", "as-printed", "by-abundance")


@click.command("demo")
@click.option("--out", type=options.FILE, default=Path("headstart-demo"), show_default=True, help="Folder for the model and the numbers.")
@click.option("--dataset", default="completejourney", show_default=True, help="A ready data set.")
@click.option("--data-dir", type=options.FILE, envvar="HEADSTART_DATA", help="Folder of data sets that are not packages.")
@click.option("--model", default="logistic", show_default=True, help="Model family.")
@options.threads
@options.memory
def command(out: Path, dataset: str, data_dir: Path | None, threads: int | None, memory: str | None, model: str) -> None:
    """Compare the paper's methods on real data, and leave a model behind.

    The data are two thousand households' purchases in a year, turned into lists: which categories does the household buy this week?
    T and the rate are fixed here (100 and 0.25), so that the demo is quick; headstart compare chooses them on tune rows.
    """
    from headstart.cli.compare import command as compare_command
    from headstart.cli.comparison import show
    from headstart.cli.console import console, progress
    from headstart.cli.inputs import open_source, parts_of, trainer_of, write_json
    from headstart.experiments.compare import compare
    from headstart.scoring.files import new_model

    flags = ["--dataset", dataset, "--model", model, "--ticks", "100", "--rate", "0.25"]
    options_given = {"data_dir": data_dir, "threads": threads, "memory": memory}
    given = compare_command.make_context("compare", flags).params | options_given
    screen = console()
    os.makedirs(out, exist_ok=True)
    with progress() as report:
        trainer = trainer_of(given, report)
        source = open_source(given, report)
        screen.print(f"[bold]{source.name}[/bold]: {source.title}")
        screen.print(_counts(source.log))
        how, parts = parts_of(given, source.log)
        about = {"dataset": source.name, "split": how, "seed": 0}
        trainer = replace(trainer, features=source.features)
        result = compare(source.log, parts, trainer, METHODS, about=about)
    show(result.document, screen)
    write_json(out / "compare.json", result.document)
    best = result.models["by-abundance"]
    with new_model(out / "model", overwrite=True) as draft:
        draft.commit(best.fitted, {**best.about(), "data": source.name, "fingerprint": source.log.fingerprint()})
    user = best.fitted.terms[0].plan.users[len(source.log.users) // 2].as_py()
    screen.print(f"\nThe by-abundance model is in {out}/model, all numbers are in {out}/compare.json. Next:")
    screen.print(f"  headstart inspect {out}/model            what the model holds")
    screen.print(f"  headstart inspect {out}/model {user}       what it knows of one user")
    screen.print("  headstart compare --dataset movielens    the same on film ratings, settings chosen on tune rows")


def _counts(log: Any) -> str:
    days = f", {len(set(log.list.tolist())):,} lists" if len(log.list) else ""
    return f"{len(log):,} events of {len(log.users):,} users{days}; {100 * float(log.label.mean()):.1f} % of them positive\n"
