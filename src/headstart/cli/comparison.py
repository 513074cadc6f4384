"""The tables of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from headstart.cli.console import number, table

ORDER = ("map", "mrr", "auc", "ndcg", "logloss")
NAMES = {"map": "MAP", "mrr": "MRR", "auc": "AUC", "ndcg": "nDCG", "logloss": "log-loss"}


def show(document: Mapping[str, Any], console: Console) -> None:
    """Print methods, what they differ by from global, and abundance groups."""
    console.print(methods(document))
    console.print(
        f"Mean over {document['n_users_in_averages']:,} users with both classes among {document['n_test_events']:,} test events,"
        " and 95 % bootstrap interval over users.\nHarmed: users whose held-out log-loss is above the global model's.\n"
    )
    names = [row["name"] for row in document["methods"]]
    if "global" in names and len(names) > 1:
        console.print(against_global(document))
        console.print("Interval of the pair alone, then of all pairs and metrics at once. * excludes 0 alone, ** with all.\n")
    console.print(groups(document))
    for line in settings(document):
        console.print(line)


def methods(document: Mapping[str, Any]) -> Any:
    """One row a method."""
    rows = []
    for row in document["methods"]:
        cells = [_interval(row["metrics"][metric]) for metric in ORDER]
        rows.append([row["name"], *cells, _percent(row["harmed"]), number(row.get("fit_seconds"), 1)])
    return table("Methods", ["method", *(NAMES[metric] for metric in ORDER), "harmed", "seconds"], rows)


def against_global(document: Mapping[str, Any]) -> Any:
    """Paired differences of AUC, MAP and log-loss from the global model."""
    rows = []
    for pair in document["pairs"]:
        if "global" not in (pair["a"], pair["b"]) or pair["metric"] not in ("auc", "map", "logloss"):
            continue
        sign = 1.0 if pair["b"] == "global" else -1.0
        name = pair["a"] if sign > 0 else pair["b"]
        numbers = [sign * pair[key] for key in ("diff", "lo", "hi", "lo_all", "hi_all")]
        diff, (lo, hi), (lo_all, hi_all) = numbers[0], sorted(numbers[1:3]), sorted(numbers[3:5])
        stars = "**" if lo_all > 0 or hi_all < 0 else "*" if lo > 0 or hi < 0 else ""
        row = [name, NAMES[pair["metric"]], f"{diff:+.4f}", f"[{lo:+.4f}, {hi:+.4f}]"]
        rows.append([*row, f"[{lo_all:+.4f}, {hi_all:+.4f}]", stars])
    columns = ["method", "metric", "difference", "95 %", "95 %, all pairs", ""]
    return table("Difference from global", columns, rows, left=2)


def groups(document: Mapping[str, Any]) -> Any:
    """One row an abundance group: AUC of each method."""
    names = [row["name"] for row in document["methods"]]
    rows = []
    for group in document["groups"]:
        cells = [number(group["metrics"][name]["auc"]) for name in names]
        rows.append([str(group["group"]), f"{group['users']:,}", f"{group['events']:,}", str(group["t_u"]), *cells])
    columns = ["group", "users", "events", "t_u", *(f"AUC {name}" for name in names)]
    return table("By abundance group (1 = least data; events are training events)", columns, rows, left=0)


def settings(document: Mapping[str, Any]) -> list[str]:
    """One line a method: the settings that it was trained with and who was served what."""
    lines = [""]
    for row in document["methods"]:
        used = row["settings"]
        chosen = f" (best of {len(used['tried'])} on tune rows)" if used["tried"] else ""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in row["reasons"].items())
        what = f"T = {used['ticks']}, rate {used['rate']:g}{chosen}" if row["name"] != "global" else "one model"
        lines.append(f"{row['name']}: {what}; global training stops at tick {used['stop']}; users: {reasons}")
    return lines


def _interval(values: Mapping[str, float | None]) -> str:
    return f"{_short(values['mean'])} [{_short(values['lo'])} {_short(values['hi'])}]"


def _short(value: float | None) -> str:
    return number(value, 3).replace("0.", ".", 1) if value is None or value < 1 else number(value, 2)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
