"""``headstart compare``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from headstart.cli import options
from headstart.errors import SettingsError


@click.command("compare")
@options.source
@click.option(
    "--methods", type=options.NAMES, help="Or all. [global,local,as-printed,by-abundance; mf also what else it has]"
)
@options.training
@options.gate
@options.splitting
@options.judging
@click.option("--grid", help="A table over seeds instead: trees, of so many global and so many personal ones.")
@click.option(
    "--seeds", type=click.IntRange(1), default=10, show_default=True, help="Seeds of --grid and of --more trees."
)
@options.json_file
@click.option(
    "--report", "reports", type=options.OUTPUT, multiple=True, help="Also write a report: F.html, F.md or F.json."
)
@click.option(
    "--more",
    type=options.NAMES,
    help="Further pictures of --report, each of which trains again: curves (against T), shares (of the training data),"
    " trees (--seeds of the table of trees).",
)
@click.option("--show-ids", is_flag=True, help="Ids of users in the report; pseudonyms where not given.")
@options.config
def command(**given: Any) -> None:
    """Train several methods on the same split of DATA and set them side by side.

    DATA is a Parquet, CSV, TSV or Arrow file, or a folder of Parquet parts.
    """
    from headstart.cli.comparison import show, show_grid
    from headstart.cli.console import console, progress
    from headstart.cli.inputs import methods_of, open_source, parts_of, trainer_of
    from headstart.cli.reporting import check_endings, check_more, further, write_reports
    from headstart.experiments.compare import compare
    from headstart.experiments.grid import run_grid
    from headstart.methods import all_names, names, split_by_family, with_gates
    from headstart.store.files import write_json

    check_endings(given["reports"])
    if given["grid"] and given["reports"]:
        raise SettingsError("--report is of methods side by side; leave out --grid")
    if given["grid"] and given["gate"] is not None:
        raise SettingsError("--grid is a table of trees, without a gate; leave out one of both")
    with progress() as report:
        trainer = trainer_of(given, report)
        named = trainer.family.habits.compared if given["methods"] is None else given["methods"]
        every = all_names() if given["tune"] else names()  # a gate goes by tune rows
        methods = methods_of(given, [one for name in named for one in (every if name == "all" else [name])])
        if given["gate"] is not None:
            methods = tuple(with_gates(methods, trainer.family))
        split_by_family(methods, trainer.family)
        check_more(given, methods)
        source = open_source(given, trainer.family, report)
        trainer = replace(trainer, features=source.features)
        if given["grid"]:
            head = {"dataset": source.name, "split": "user-random"}
            sizes = {"seeds": given["seeds"], "test": given["test"], "k": given["k"]}
            document = run_grid(given["grid"], source.log, trainer, about=head, **sizes)
            if given["json_file"]:
                write_json(given["json_file"], document)
            show_grid(document, console())
            return
        how, parts = parts_of(given, source.log)
        about = {"dataset": source.name, "split": how, "seed": given["seed"]}
        judging = {"k": given["k"], "resamples": given["bootstrap"]}
        result = compare(source.log, parts, trainer, methods, about=about, **judging)
        if given["json_file"]:
            write_json(given["json_file"], result.document)
        if given["reports"]:
            sampling = {"seed": given["seed"], "resamples": given["bootstrap"]}
            more = further(given, source, trainer, how, parts, result.document)
            write_reports(given["reports"], result, more, show_ids=given["show_ids"], **sampling)
    show(result.document, console())
