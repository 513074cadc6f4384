"""``headstart data``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from headstart.cli import options


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
    roles = dataset.roles
    label = roles.label if roles.rule is None else f"{roles.label}{roles.rule.sign}{roles.rule.value:g}"
    flags = {"user": roles.user, "label": label, "item": roles.item, "time": roles.time, "list": roles.list}
    text = " ".join(f"--{flag} '{value}'" for flag, value in flags.items() if value)
    click.echo(f"{out}: {dataset.table.num_rows:,} events; read it with {text}")
