"""``headstart compare``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from headstart.cli import options

DEFAULT = "global,local,as-printed,by-abundance"


@click.command("compare")
@options.source
@click.option("--methods", type=options.NAMES, default=DEFAULT, show_default=True, help="Or all.")
@options.training
@options.splitting
@options.judging
@options.json_file
@options.config
def command(**given: Any) -> None:
    """Train several methods on the same split of DATA and set them side by side.

    DATA is a Parquet, CSV, TSV or Arrow file, or a folder of Parquet parts.
    """
    from headstart.cli.comparison import show
    from headstart.cli.console import console, progress
    from headstart.cli.inputs import open_source, parts_of, trainer_of
    from headstart.experiments.compare import compare
    from headstart.methods import METHODS, check
    from headstart.store.files import write_json

    methods = tuple(METHODS) if "all" in given["methods"] else given["methods"]
    check(methods)
    with progress() as report:
        trainer = trainer_of(given, report)
        source = open_source(given, report)
        how, parts = parts_of(given, source.log)
        about = {"dataset": source.name, "split": how, "seed": given["seed"]}
        trainer = replace(trainer, features=source.features)
        judging = {"k": given["k"], "resamples": given["bootstrap"]}
        result = compare(source.log, parts, trainer, methods, about=about, **judging)
    if given["json_file"]:
        write_json(given["json_file"], result.document)
    show(result.document, console())
