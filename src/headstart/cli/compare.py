"""``headstart compare``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from headstart.cli import options


@click.command("compare")
@options.source
@click.option(
    "--methods", type=options.NAMES, default="global,local,as-printed,by-abundance", show_default=True, help="Or all."
)
@options.training
@options.splitting
@click.option("--at", "k", type=click.IntRange(1), help="Last rank that MAP, MRR and nDCG look at; all where not given.")
@click.option("--bootstrap", type=click.IntRange(10), default=1000, show_default=True, help="Resamples of users.")
@options.json_file
@options.config
def command(**given: Any) -> None:
    """Train several methods on the same split of DATA and set them side by side.

    DATA is a Parquet, CSV, TSV or Arrow file, or a folder of Parquet parts.
    """
    from headstart.cli.comparison import show
    from headstart.cli.console import console, progress
    from headstart.cli.inputs import open_source, parts_of, trainer_of, write_json
    from headstart.experiments.compare import compare
    from headstart.methods import METHODS

    methods = tuple(METHODS) if given["methods"] == ("all",) else given["methods"]
    with progress() as report:
        trainer = trainer_of(given, report)
        source = open_source(given, report)
        how, parts = parts_of(given, source.log)
        about = {"dataset": source.name, "split": how, "seed": given["seed"]}
        result = compare(
            source.log, parts, replace(trainer, features=source.features), methods, about=about, k=given["k"], resamples=given["bootstrap"])
    if given["json_file"]:
        write_json(given["json_file"], result.document)
    show(result.document, console())
