"""``headstart recommend``."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headstart.cli import options
from headstart.errors import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

    from headstart.scoring import Fitted
    from headstart.scoring.recommend import Lister, Lists

MOST_TABLES = 20
"""Lists that are printed; more go to a file."""


@click.command("recommend")
@click.argument("model", type=options.FILE)
@click.argument("user", nargs=-1)
@click.option("-n", "--top", type=click.IntRange(1), default=20, show_default=True, help="Items in a list.")
@click.option("--keep-seen", is_flag=True, help="Leave items in that the user had training events of.")
@click.option("--candidates", type=options.FILE, help="File of the items to choose from, a column of ids.")
@click.option("--users", "file", type=options.FILE, help="File of users instead of USER, a column of ids.")
@click.option("--out", type=options.OUTPUT, help="Parquet or CSV file to write instead of tables.")
@options.overwrite
@options.threads
@options.json_file
@options.config
def command(model: Path, user: tuple[str, ...], out: Path | None, json_file: Path | None, **given: Any) -> None:
    """List the items that MODEL scores highest for each USER, of all items of training.

    Every item is scored by the user's own model, or by the global one where there is none: unknown users get the same
    list. With --out alone, lists are made for all users that MODEL knows. Columns of the file: user, rank, item, score,
    model. Predicted ratings are not clipped to the range of ratings here, so the best do not tie.
    """
    from headstart.cli.console import console, progress
    from headstart.cli.outputs import parquet_or_csv
    from headstart.scoring import load_model
    from headstart.store.files import write_json

    fitted = load_model(model)
    lister = _lister(fitted, given)
    users = _users(fitted, user, given["file"], out)
    counts: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        write = stack.enter_context(parquet_or_csv(out, given["overwrite"])) if out else None
        report = stack.enter_context(progress())
        done = 0
        for lists in lister.lists(users):
            if write is not None:
                write(lists.table(lister.items.ids))
            if write is None or json_file:
                found += _documents(lists, lister)
            done += len(lists.users)
            counts.update(_odd(lists))
            report("recommending", done, len(users))
    notes = {f"candidates that are no {fitted.roles.item} of training": lister.unknown, **counts}
    notes = {what: count for what, count in notes.items() if count}
    if json_file:
        about = {"model": str(model), "method": fitted.method, "n": given["top"], "choice": lister.choice}
        write_json(json_file, {**about, "keep_seen": given["keep_seen"], "lists": found, "notes": notes})
    screen = console()
    if out:
        screen.print(
            f"{out}: lists of {len(users):,} users, each of up to {given['top']} out of {lister.choice:,} items"
        )
    else:
        _show(found, fitted, screen)
    for what, count in notes.items():
        screen.print(f"note: {what}: {count:,}")


def _lister(fitted: Fitted, given: dict[str, Any]) -> Lister:
    from headstart.cli.inputs import engine_of
    from headstart.data.ids import read_ids
    from headstart.scoring.recommend import Lister, Wish, why_not

    file = given["candidates"]
    asked = read_ids(file, str(fitted.roles.item)) if file is not None and why_not(fitted) is None else None
    return Lister(fitted, Wish(given["top"], given["keep_seen"], asked), engine_of(given))


def _users(fitted: Fitted, named: tuple[str, ...], file: Path | None, out: Path | None) -> pa.Array:
    """Ids of the users who were asked for, each once."""
    import pyarrow as pa

    from headstart.data.ids import read_ids

    if named and file is not None:
        raise SettingsError(f"give either USER or --users {file}, not both")
    if named:
        users = pa.array(list(dict.fromkeys(named)))
    elif file is not None:
        users = read_ids(file, fitted.roles.user)
    elif out is None:
        raise SettingsError("whose list? name a USER, or give --users FILE; with --out alone it is all users' lists")
    else:
        users = fitted.terms[0].plan.users
    if out is None and len(users) > MOST_TABLES:
        raise SettingsError(f"{len(users):,} lists are too many to print; give --out FILE")
    return users


def _odd(lists: Lists) -> dict[str, int]:
    """What is no error, but worth knowing."""
    return {
        "users that the model does not know, served the global model": int((~lists.known).sum()),
        "users who have seen all items to choose from; --keep-seen lists them": int((lists.counts == 0).sum()),
    }


def _documents(lists: Lists, lister: Lister) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"user": user, "known": bool(known), "model": "personal" if personal else "global", "items": []}
        for user, known, personal in zip(lists.users.to_pylist(), lists.known, lists.personal, strict=True)
    ]
    for row, document in enumerate(made):
        count = int(lists.counts[row])
        ids = lister.items.ids.take(lists.item[row, :count]).to_pylist()
        scores = lists.score[row, :count].tolist()
        document["items"] = [
            {"rank": rank, "item": item, "score": score}
            for rank, (item, score) in enumerate(zip(ids, scores, strict=True), start=1)
        ]
    return made


def _show(found: list[dict[str, Any]], fitted: Fitted, screen: Console) -> None:
    from headstart.cli.console import print_table, table

    for document in found:
        rows = [[str(row["rank"]), str(row["item"]), f"{row['score']:.4f}"] for row in document["items"]]
        served = f"by the {document['model']} model" if document["known"] else "not known, by the global model"
        title = f"{fitted.roles.user} {document['user']}: {served}"
        print_table(screen, table(title, ["rank", str(fitted.roles.item), "score"], rows, left=0))
        screen.print("")
