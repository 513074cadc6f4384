"""``headstart inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli import options


@click.command("inspect")
@click.argument("model", type=options.FILE)
@click.argument("user", required=False)
@click.option("--coefficients", type=options.FILE, help="Write the weights of all users, by feature name, to a Parquet or CSV file.")
@click.option("--most", type=click.IntRange(1), default=10, show_default=True, help="How many weights of USER to show.")
@options.overwrite
@options.json_file
def command(
    model: Path, user: str | None, coefficients: Path | None, most: int, overwrite: bool, json_file: Path | None
) -> None:
    """Show what MODEL holds; or what it knows of USER: group, t_u, reason, and the weights that moved most from the global model."""
    from headstart.cli.console import console
    from headstart.cli.inputs import write_json
    from headstart.cli.outputs import parquet_or_csv
    from headstart.cli.summary import show_model, summary
    from headstart.scoring import load_model
    from headstart.scoring.explain import explain, weights

    fitted = load_model(model)
    if coefficients is not None:
        with parquet_or_csv(coefficients, overwrite) as write:
            for part in weights(fitted):
                write(part)
        click.echo(f"{coefficients}: weights of all users written")
    document = summary(model, fitted) if user is None else explain(fitted, user, most)
    if json_file:
        write_json(json_file, document)
    if user is None:
        show_model(document, console())
    else:
        _show_user(document, most)


def _show_user(document: dict[str, Any], most: int) -> None:
    from headstart.cli.console import console, table

    out = console()
    for term in document["terms"]:
        out.print(
            f"[bold]{term['entity']} {document['user']}[/bold]: {term['events']:,} training events, group {term['group']};"
            f" t_u = {term['t_u']} of {term['ticks']}, then {term['steps']} steps alone"
        )
        out.print(f"served the {term['serve']} model ({term['reason']})\n")
        if term["serve"] == "personal":
            rows = [
                [row["feature"], f"{row['global']:+.4f}", f"{row['personal']:+.4f}", f"{row['moved']:+.4f}"]
                for row in term["moved"]
            ]
            out.print(table(f"The {most} weights that moved most", ["feature", "global", "personal", "moved"], rows))
