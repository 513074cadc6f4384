"""``headstart reproduce``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from headstart.cli import options


class _Papers(click.Group):
    """A group whose command is ``all`` where none is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else "--help"
        known = first in self.commands or first in ctx.help_option_names
        bare = not known and (first.startswith("-") or "." in first or "/" in first or Path(first).exists())
        return super().parse_args(ctx, ["all", *args] if bare else args)


@click.group("reproduce", cls=_Papers)
def command() -> None:
    """Do published experiments again, and set what comes out beside what was published.

    logistic, gbdt, mf and all are the experiment section of Ning et al., RecSys 2017, on the data at hand: data
    statistics, metrics against epochs, the table of trees, abundance groups, the share of training data, quartiles of
    errors, every user's global against personal metrics. Without a name: all.
    """


@command.command("glmix")
@options.data_dir
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Random splits, from seed 0.")
@options.threads
@options.json_file
def glmix(data_dir: Path | None, seeds: int, threads: int | None, json_file: Path | None) -> None:
    """GLMix (Zhang et al., KDD 2016) on MovieLens 100K: pooled AUC of the fixed effect, with users' and films' effects.

    --data-dir is the folder of MovieLens 100K, or the one above it.
    """
    from headstart.cli.console import console, number, print_table, progress, table
    from headstart.cli.inputs import engine_of
    from headstart.experiments.glmix import reproduce_glmix
    from headstart.store.files import write_json

    with progress() as report:
        document = reproduce_glmix(data_dir, seeds, engine_of({"threads": threads}), report).document()
    if json_file:
        write_json(json_file, document)
    rows = [
        [
            name.replace("_", " "),
            number(found["mean"]),
            number(found["sd"]),
            number(found["published"]),
            f"{found['mean'] - found['published']:+.4f}",
        ]
        for name, found in document.items()
    ]
    title = f"GLMix on MovieLens 100K: pooled AUC, {seeds} random {'split' if seeds == 1 else 'splits'}"
    print_table(console(), table(title, ["model", "AUC", "sd", "published", "difference"], rows))


_paper = options.stack(
    options.source,
    click.option("--out", type=options.FILE, required=True, help="Folder of the report; a killed run goes on there."),
    click.option(
        "--seeds", type=click.IntRange(1), help="Seeds of the table of trees. [10; 3 from a million events on]"
    ),
    options.judging,
    options.seed,
    options.threads,
    click.option("--show-ids", is_flag=True, help="Ids of users in the report; pseudonyms where not given."),
    click.option("--overwrite", is_flag=True, help="Make again what --out holds of other data or options."),
    options.config,
)


def _paper_command(name: str, says: str) -> Callable[..., None]:
    """A command that runs the experiments of the families that `name` stands for."""

    @_paper
    def run(**given: Any) -> None:
        from headstart.cli.reproduction import reproduce

        reproduce(name, given)

    run.__doc__ = f"""{says}

    DATA is a Parquet, CSV, TSV or Arrow file, or a folder of Parquet parts; or give --dataset. The report is
    report.html, report.md and report.json in --out, of what the last command named. Run again after an interruption,
    the same command goes on with what is missing. --out/parts holds what the steps found, and the key of users'
    pseudonyms: keep it to yourself.
    """
    command.command(name)(run)
    return run


_paper_command("logistic", "Logistic regression: methods side by side, metrics against epochs, shares of the data.")
_paper_command("gbdt", "Boosted trees: methods side by side, the table of trees, shares of the data.")
_paper_command("mf", "Matrix factorisation of ratings: methods side by side, quartiles of users' errors.")
_paper_command("all", "All three families in one report, and logistic regression against trees.")
