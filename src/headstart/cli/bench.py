"""``headstart bench``."""

from __future__ import annotations

from pathlib import Path

import click

from headstart.cli import options


@click.command("bench")
@click.argument("names", nargs=-1)
@options.json_file
def command(names: tuple[str, ...], json_file: Path | None) -> None:
    """Measure speed beside a peer in the same run: the entries NAMES, or every short one.

    The long ones, minutes each, run when they are named, or with the name all: mf-peers (needs scripts/peers), netflix
    and netflix-stress (8 GB of memory, 1 GB for temporary files).
    """
    from headstart.bench.registry import run
    from headstart.cli.console import console, number, print_table, progress, table
    from headstart.store.files import write_json

    with progress() as report:
        rows = run(names, report)
    if json_file:
        write_json(json_file, rows)
    screen = console()
    cells = [
        [
            row["name"],
            number(row["ours"], 0),
            number(row["peer"], 0),
            row["unit"],
            number(row["ratio"], 1),
            number(row["of_limit"], 2),
        ]
        for row in rows
    ]
    print_table(screen, table("Bench", ["name", "ours", "peer", "unit", "ratio", "of limit"], cells))
    for row in rows:
        screen.print(f"{row['name']}: {row['notes']}")
    screen.print(rows[0]["machine"])
