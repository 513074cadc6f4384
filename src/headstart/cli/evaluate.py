"""``headstart evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli import options


@click.command("evaluate")
@click.argument("model", type=options.FILE)
@click.argument("data", type=options.FILE)
@options.judging
@click.option(
    "--top", type=click.IntRange(1), default=20, show_default=True, help="Length of the lists of recommendations."
)
@click.option(
    "--relevant", type=float, help="Label from which a held-out item is relevant to a list; any rating if not given."
)
@options.seed
@options.reading
@options.threads
@options.json_file
@options.config
def command(model: Path, data: Path, json_file: Path | None, **given: Any) -> None:
    """Judge MODEL on the labelled events of DATA, beside its own global model.

    DATA should hold no event that MODEL was trained on.
    """
    from headstart.cli.comparison import show_metrics
    from headstart.cli.console import console, progress, say_notes
    from headstart.cli.inputs import binary, engine_of, reading
    from headstart.cli.lists import show_lists
    from headstart.data.log import read
    from headstart.experiments.evaluate import evaluate
    from headstart.progress import stage
    from headstart.scoring import load_model
    from headstart.store.files import write_json

    fitted = load_model(model)
    with progress() as report:
        with stage(report, f"reading {data}"):
            classes = binary(fitted.terms[0].family)  # without both there is no ranking metric
            log = read(data, fitted.roles, binary=classes, trainable=classes, **reading(given))
        with stage(report, "judging"):
            how = {name: given[name] for name in ("k", "seed", "top", "relevant")}
            document = evaluate(fitted, log, resamples=given["bootstrap"], engine=engine_of(given), **how)
    if json_file:
        write_json(json_file, document)
    screen = console()
    show_metrics(document, screen)
    screen.print(
        f"{document['n_test_events']:,} events of {document['n_users']:,} users;"
        f" {100 * document['served_personally']:.1f} % of the events got a personal model."
    )
    if "recommendation" in document:
        show_lists(document["recommendation"], screen)
    if document["trained_on"]:
        screen.print("note: the model was trained on these very events; judge it on others")
    say_notes(screen, document["notes"], {})
    for what, count in sorted(document["unseen"].items()):
        screen.print(f"note: {what}: {count:,}")
