"""``headstart bench``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headstart.cli import options
from headstart.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console

SCALE = "newsportal"
"""Takes minutes and gigabytes, so it only runs where it is named."""


@click.command("bench")
@click.argument("names", nargs=-1)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Of newsportal: the share of its 54,845 users; all where not given.",
)
@click.option(
    "--folder", type=options.FILE, default=Path(), help="Of newsportal: where its synthetic log is kept. [here]"
)
@options.threads
@options.memory
@options.json_file
def command(
    names: tuple[str, ...],
    share: float | None,
    folder: Path,
    threads: int | None,
    memory: str | None,
    json_file: Path | None,
) -> None:
    """Measure speed beside a peer in the same run: the entries NAMES, or every short one.

    The long ones, minutes each, run when they are named, or with the name all: mf-peers (needs scripts/peers), netflix
    and netflix-stress (8 GB of memory, 1 GB for temporary files).

    newsportal is the whole walk on a synthetic log of 29.3 million events, 3 GB on disk: it runs alone, and only where
    it is named. --share, --folder, --threads and --memory are for it.
    """
    from headstart.cli.console import console, progress
    from headstart.store.files import write_json

    if SCALE in names and len(names) > 1:
        raise SettingsError(f"{SCALE} runs alone; call headstart bench {SCALE}, and the others by themselves")
    if SCALE not in names and (share, threads, memory) != (None, None, None):
        raise SettingsError(f"--share, --threads and --memory are for headstart bench {SCALE}; leave them out")
    screen = console()
    with progress() as report:
        if SCALE in names:
            from headstart.bench.newsportal import Size, measure

            found: Any = measure(folder, Size(share or 1.0, threads, memory), report)
        else:
            from headstart.bench.registry import run

            found = run(names, report)
    if json_file:
        write_json(json_file, found)
    if SCALE in names:
        _show_scale(found, screen)
    else:
        _show_rows(found, screen)


def _show_rows(rows: list[Mapping[str, Any]], screen: Console) -> None:
    from headstart.cli.console import number, print_table, table

    digits = {"ours": 0, "peer": 0, "ratio": 1, "of_limit": 2}
    cells = [
        [row["name"], *(row["unit"] if key == "unit" else number(row[key], digits[key]) for key in _KEYS)]
        for row in rows
    ]
    print_table(screen, table("Bench", ["name", "ours", "peer", "unit", "ratio", "of limit"], cells))
    for row in rows:
        screen.print(f"{row['name']}: {row['notes']}")
    screen.print(rows[0]["machine"])


_KEYS = ("ours", "peer", "unit", "ratio", "of_limit")


def _show_scale(found: Mapping[str, Any], screen: Console) -> None:
    from headstart.cli.console import number, print_table, table

    rows = [*found["stages"], {"name": "in all", **found}]
    stages = [
        [row["name"], number(row["seconds"], 1), number(row["processor"], 1), number(row["peak"] / 2**20, 0)]
        for row in rows
    ]
    title = (
        f"newsportal (synthetic): {found['events']:,} events, {found['users']:,} users, {found['features']} features"
    )
    print_table(screen, table(title, ["stage", "seconds", "processor", "peak MiB"], stages))
    cells = [
        [name, *(number(row["metrics"][key]["mean"]) for key in ("auc", "logloss")), number(row["pooled"]["logloss"])]
        for name, row in found["methods"].items()
    ]
    print_table(screen, table("Test rows", ["method", "auc", "logloss", "logloss, all rows"], cells))
    gain = found["gain"]
    own = ", ".join(
        f"{name} {value:.4f} ({value / gain['expected']:.0%} of it)"
        for name, value in gain.items()
        if name not in ("planted", "learnable", "expected")
    )
    screen.print(
        f"Log loss gained over global: planted {gain['planted']:.4f}, of which {gain['learnable']:.0%} can be learned"
        f" from so many rows: {gain['expected']:.4f} to be expected; {own}."
    )
    screen.print(f"Features take {found['feature_bytes'] / 2**20:,.0f} MiB.")
    screen.print(found["machine"])
