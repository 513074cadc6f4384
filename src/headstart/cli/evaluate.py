"""``headstart evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli import options


@click.command("evaluate")
@click.argument("model", type=options.FILE)
@click.argument("data", type=options.FILE)
@click.option("--at", "k", type=click.IntRange(1), help="Last rank that MAP, MRR and nDCG look at; all where not given.")
@click.option("--bootstrap", type=click.IntRange(10), default=1000, show_default=True, help="Resamples of users.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@options.reading
@options.threads
@options.json_file
@options.config
def command(
    model: Path, data: Path, k: int | None, bootstrap: int, seed: int, json_file: Path | None, **given: Any
) -> None:
    """Judge MODEL on the labelled events of DATA, beside its own global model. DATA should hold no event that MODEL was trained on."""
    from headstart.cli.comparison import against_global, methods
    from headstart.cli.console import console
    from headstart.cli.inputs import write_json
    from headstart.data.log import read
    from headstart.experiments.evaluate import evaluate
    from headstart.scoring import load_model

    fitted = load_model(model)
    how = {"format": given["file_format"], "delimiter": given["delimiter"], "header": given["header"]}
    log = read(data, fitted.roles, memory=given["memory"], threads=given["threads"], **how)
    document = evaluate(fitted, log, k=k, seed=seed, resamples=bootstrap)
    if json_file:
        write_json(json_file, document)
    out = console()
    out.print(methods(document))
    if fitted.method != "global":
        out.print(against_global(document))
    out.print(
        f"{document['n_test_events']:,} events of {document['n_users']:,} users, {document['n_users_in_averages']:,} of them with"
        f" both classes; {100 * document['served_personally']:.1f} % of the events got a personal model."
    )
    for what, count in document["unseen"].items():
        out.print(f"{what}: {count:,} values")
