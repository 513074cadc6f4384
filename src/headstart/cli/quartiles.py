"""Tables of quartiles: errors by how much data users have, and how errors are spread over users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType

from headstart.cli.console import fits, number, print_table, table
from headstart.cli.shown import NAMES, SHOWN, stars, title

POINTS = ("min", "q1", "median", "q3", "max")


def show_quartiles(document: Mapping[str, Any], console: Console) -> None:
    """Print both tables of a comparison."""
    spacious = _by_abundance(document, 2)
    print_table(console, spacious if fits(console, spacious) else _by_abundance(document, 1))
    console.print(
        "Quartile 1 has the users with the fewest training events, and users with equally many are never divided;"
        " events: the fewest and the most of a user. Under a value the difference from global; *: its 95 % interval,"
        " alone, excludes 0.\n"
    )
    print_table(console, _spread(document))
    console.print("Quartiles and extremes of the users' own errors.\n")


def _by_abundance(document: Mapping[str, Any], gap: int) -> RenderableType:
    """One row a quartile: one metric of each method, and its difference from global."""
    metric = SHOWN[document["objective"]].grouped
    names = [row["name"] for row in document["methods"]]
    rows = []
    for quartile in document["quartiles"]["abundance"]:
        under = {one["method"]: _difference(one) for one in quartile["differences"] if one["metric"] == metric}
        cells = [_cell(number(quartile["metrics"][name][metric]), under.get(name)) for name in names]
        span = "-".join(f"{count:,}" for count in sorted({quartile["fewest"], quartile["most"]}))
        rows.append([str(quartile["quartile"]), f"{quartile['users']:,}", span, *cells])
    columns = ["q", "users", "events", *names]
    return table(f"{title(metric)} by quartile of training events", columns, rows, left=0, gap=gap)


def _cell(value: str, difference: str | None) -> str:
    """A value, and its difference from global below; a blank stands where that may have a star."""
    return value if difference is None else f"{value} \n{difference}"


def _difference(one: Mapping[str, Any]) -> str:
    return "" if one["diff"] is None else f"{round(one['diff'], 4) + 0.0:+.4f}{stars(one['lo'], one['hi']) or ' '}"


def _spread(document: Mapping[str, Any]) -> RenderableType:
    """One row a method and metric: the five numbers of a box plot."""
    errors = document["quartiles"]["errors"]
    metrics = next(iter(errors.values()))
    rows = [
        [name, NAMES[metric], *(number(errors[name][metric][point]) for point in POINTS)]
        for metric in metrics
        for name in errors
    ]
    return table("Errors of users", ["method", "metric", *POINTS], rows, left=2)
