"""``headstart data``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

from headstart.cli import options
from headstart.data.roles import FeatureSettings, Roles


@click.group("data")
def command() -> None:
    """List the ready data sets, or write one to a file."""


@command.command("list")
@options.data_dir
@options.json_file
def list_sets(data_dir: Path | None, json_file: Path | None) -> None:
    """Show each set with its counts, its licence and how to get it."""
    from rich.text import Text

    from headstart.cli.console import console
    from headstart.datasets.registry import catalogue
    from headstart.store.files import write_json

    rows = catalogue(data_dir)
    if json_file:
        write_json(json_file, [asdict(row) for row in rows])
    screen = console()
    for row in rows:
        screen.print(Text.assemble((row.name, "bold"), f": {row.title}"))
        screen.print(f"  {row.events:,} events, {row.users:,} users, {row.items:,} items; {row.licence}")
        screen.print("  ready" if row.available else f"  not here; {row.source}")


@command.command("export")
@click.argument("name")
@click.option("--out", type=options.OUTPUT, required=True, help="Parquet or CSV file to write.")
@options.data_dir
@options.memory
@options.overwrite
def export(name: str, out: Path, data_dir: Path | None, memory: str | None, overwrite: bool) -> None:
    """Write the data set NAME to a file, and print the flags to read it with."""
    from headstart.cli.console import progress
    from headstart.cli.outputs import parquet_or_csv
    from headstart.datasets.registry import build

    with parquet_or_csv(out, overwrite) as write, progress() as report:
        dataset = build(name, data_dir, memory, report)
        write(dataset.table)
    flags = " ".join(_flags(dataset.roles, dataset.features))
    click.echo(f"{out}: {dataset.table.num_rows:,} events; read it with {flags}")


def _flags(roles: Roles, features: FeatureSettings) -> Iterator[str]:
    """Flags that read an exported file as the ready data set is read."""
    rule = "" if roles.rule is None else f"{roles.rule.sign}{roles.rule.value:g}"
    for name in ("user", "label", "positive", "item", "time", "list", "weight", "offset"):
        value = getattr(roles, name)
        if value is not None:
            yield f"--{name} {quote(value + rule if name == 'label' else value)}"
    for name in ("features", "categorical", "drop"):
        columns = getattr(roles, name)
        if columns:
            yield f"--{name} {quote(','.join(columns))}"
    if features.item_statistics:
        yield "--item-statistics"
    for bag, columns in features.bags:
        yield f"--bag {quote(bag + '=' + ','.join(columns))}"
