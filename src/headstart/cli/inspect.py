"""``headstart inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from headstart.cli import options
from headstart.errors import SettingsError


@click.command("inspect")
@click.argument("model", type=options.FILE)
@click.argument("user", required=False)
@click.option(
    "--coefficients", type=options.OUTPUT, help="Write the weights of all users, by feature name, to Parquet or CSV."
)
@click.option(
    "--most", type=click.IntRange(1), default=10, show_default=True, help="How many weights or items of USER to show."
)
@click.option("--export-lightgbm", "export", type=options.OUTPUT, help="Write the global model as LightGBM's text.")
@options.overwrite
@options.json_file
def command(
    model: Path,
    user: str | None,
    coefficients: Path | None,
    most: int,
    export: Path | None,
    overwrite: bool,
    json_file: Path | None,
) -> None:
    """Show what MODEL holds, or what it knows of USER.

    Of a user: group, t_u, reason, and the weights that moved most from the global model, or the items whose scores did.
    """
    from headstart.cli.console import console
    from headstart.cli.outputs import parquet_or_csv, write_once
    from headstart.cli.summary import show_model, show_user, summary
    from headstart.scoring import load_model
    from headstart.scoring.explain import explain, global_text, weights
    from headstart.store.files import write_json

    fitted = load_model(model)
    document = summary(model, fitted) if user is None else explain(fitted, user, most)
    if coefficients is not None:
        if not any(len(term.store) for term in fitted.terms):
            raise SettingsError(f"{model} holds no personal model, so there is nothing to write to {coefficients}")
        with parquet_or_csv(coefficients, overwrite) as write:
            for part in weights(fitted):
                write(part)
    if export is not None:
        write_once(export, global_text(fitted), overwrite)
    if json_file:
        write_json(json_file, document)
    show = show_model if user is None else show_user
    show(document, console())
    if coefficients is not None:
        click.echo(f"{coefficients}: the weights of every personal model")
    if export is not None:
        click.echo(f"{export}: the global model; lightgbm.Booster(model_file={str(export)!r}) reads it")
