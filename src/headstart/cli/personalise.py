"""``headstart personalise``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli import options


@click.command("personalise")
@click.argument("model", type=options.FILE)
@click.argument("events", type=options.FILE)
@options.reading
@options.threads
@options.config
def command(model: Path, events: Path, **given: Any) -> None:
    """Give the users of EVENTS a model of their own in MODEL; the global model stays as it is.

    EVENTS holds all events of these users, with the columns of the log that MODEL was trained on. They leave the path
    that MODEL keeps; of each user only as many of the last events count as --max-events let MODEL see. A user that
    MODEL knows already gets a new model from EVENTS alone.
    """
    from headstart.cli.console import progress
    from headstart.cli.inputs import binary, engine_of, reading
    from headstart.data.log import read
    from headstart.progress import stage
    from headstart.scoring import Scorer, load_model
    from headstart.training import personalise_model

    fitted = load_model(model)
    limit = fitted.about.get("max_events")
    with progress() as report:
        with stage(report, f"reading {events}"):
            term = fitted.terms[0]
            how = {"binary": binary(term.family), "max_events": limit, **reading(given)}
            log = read(events, fitted.roles, trainable=False, users=term.plan.users.type, **how)
        plan = personalise_model(model, log, engine=engine_of(given), progress=report)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in plan.reasons().items())
    click.echo(f"{model}: {len(plan.users):,} users from {len(log):,} events: {reasons}")
    for what, count in sorted(Scorer(fitted).blocks(log)[1].items()):
        click.echo(f"note: {what}: {count:,}")
