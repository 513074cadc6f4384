"""``headstart fit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from headstart.cli import options


@click.command("fit")
@options.source
@click.option("--out", type=options.FILE, required=True, help="Folder of the model.")
@click.option("--method", default="by-abundance", show_default=True, help="As in headstart compare.")
@options.training
@options.overwrite
@options.json_file
@options.config
def command(out: Path, method: str, overwrite: bool, json_file: Path | None, **given: Any) -> None:
    """Train a global model and a personal one for each user of DATA, and save them.

    Settings that are not given are chosen on the latest rows of each user (--tune); the models that are saved are
    trained on all. DATA is a Parquet, CSV, TSV or Arrow file, or a folder of Parquet parts.
    """
    from headstart.cli.console import console, progress
    from headstart.cli.inputs import methods_of, open_source, trainer_of
    from headstart.cli.summary import show_model, summary
    from headstart.methods import split_by_family
    from headstart.methods.tuning import tune_rows
    from headstart.progress import stage
    from headstart.scoring import load_model
    from headstart.scoring.files import new_model
    from headstart.store.files import write_json

    method = methods_of(given, [method])[-1]
    with progress() as report, new_model(out, overwrite) as draft:
        trainer = trainer_of(given, report)
        split_by_family([method], trainer.family)
        source = open_source(given, trainer.family, report)
        trainer = replace(trainer, features=source.features)
        tune = tune_rows(source.log, given["tune"], given["seed"])
        stop, choices = trainer.choose(source.log, tune, [method])
        trained = next(trainer.train(source.log, stop, choices, draft.new_store))
        with stage(report, "saving"):
            draft.commit(trained.fitted, trained.about() | source.about())
    document = summary(out, load_model(out))
    if json_file:
        write_json(json_file, document)
    show_model(document, console())
