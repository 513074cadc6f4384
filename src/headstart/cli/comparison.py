"""The tables of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType

from headstart.cli.console import fits, number, print_table, say_notes, table

ORDER = ("map", "mrr", "auc", "ndcg", "logloss")
NAMES = {"map": "MAP", "mrr": "MRR", "auc": "AUC", "ndcg": "nDCG", "logloss": "log-loss"}
PAIRED = ("auc", "map", "logloss")


def show(document: Mapping[str, Any], console: Console) -> None:
    """Print methods, what they differ by from global, abundance groups, settings and notes."""
    show_metrics(document, console)
    spacious = groups(document, 2)
    print_table(console, spacious if fits(console, spacious) else groups(document, 1))
    console.print(
        "Events are training events; group 1 has the users with the least. t_u is that of by-abundance; past the tick"
        " at which global training stops, the start is the global model.\n"
    )
    for row in document["methods"]:
        console.print(settings(row))
    for name, why in document["not_defined"].items():
        console.print(f"{name}: not defined for this model: {why}")
    say_notes(console, document["notes"], document["left_out"])


def show_grid(document: Mapping[str, Any], console: Console) -> None:
    """Print a table over seeds."""
    metrics = [name for name in document["rows"][0]["metrics"] if name in NAMES]
    rows = [[row["name"], *(_mean_and_sd(row["metrics"][name]) for name in metrics)] for row in document["rows"]]
    console.print(table(f"Grid of {document['grid']}", ["", *(NAMES[name] for name in metrics)], rows))
    settings = ", ".join(f"{name} {value}" for name, value in document["settings"].items())
    console.print(f"Mean and standard deviation over {document['seeds']} seeds of the mean over users; {settings}")


def show_metrics(document: Mapping[str, Any], console: Console) -> None:
    """Print the methods, and what they differ by from global."""
    wide = methods(document["methods"], wide=True)
    print_table(console, wide if fits(console, wide) else methods(document["methods"], wide=False))
    console.print(
        f"Mean over the {document['n_users_in_averages']:,} users with both classes among {document['n_test_events']:,}"
        " test events, and 95 % bootstrap interval over users. Harmed: users whose held-out log-loss is above the"
        " global model's."
    )
    tests = {row["name"]: row["harmed_significant"] for row in document["methods"] if row["name"] != "global"}
    harmed = ", ".join(f"{name} {_percent(t['share'])} ({_percent(t['chance'])})" for name, t in tests.items())
    if harmed:
        console.print(f"Harmed significantly, one-sided 5 % (by chance alone): {harmed}")
    console.print("")
    differences = against_global(document["pairs"])
    if differences:
        columns = ["method", "metric", "difference", "95 %", "95 %, all pairs", ""]
        print_table(console, table("Difference from global", columns, differences, left=2))
        console.print("Interval of the pair alone, and of all pairs and metrics at once. *, **: it excludes 0.\n")


def methods(rows: Sequence[Mapping[str, Any]], wide: bool) -> RenderableType:
    """One row a method; where it is not to be wide, intervals stand under the means."""
    timed = any("fit_seconds" in row for row in rows)
    lines = []
    for row in rows:
        cells = [_interval(row["metrics"][metric], wide) for metric in ORDER]
        seconds = [number(row["fit_seconds"], 1)] if timed else []
        lines.append([row["name"], *cells, _percent(row["harmed"]), *seconds])
    columns = ["method", *(NAMES[metric] for metric in ORDER), "harmed", *(["seconds"] if timed else [])]
    return table("Methods", columns, lines, gap=2 if wide else 1)


def against_global(pairs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Cells of the paired differences of AUC, MAP and log-loss from the global model."""
    rows = []
    for pair in pairs:
        if "global" not in (pair["a"], pair["b"]) or pair["metric"] not in PAIRED or pair["diff"] is None:
            continue
        sign = 1.0 if pair["b"] == "global" else -1.0
        name = pair["a"] if sign > 0 else pair["b"]
        numbers = [sign * pair[key] + 0.0 for key in ("diff", "lo", "hi", "lo_all", "hi_all")]
        diff, (lo, hi), (lo_all, hi_all) = numbers[0], sorted(numbers[1:3]), sorted(numbers[3:5])
        stars = "**" if lo_all > 0 or hi_all < 0 else "*" if lo > 0 or hi < 0 else ""
        row = [name, NAMES[pair["metric"]], f"{diff:+.4f}", f"[{lo:+.4f}, {hi:+.4f}]"]
        rows.append([*row, f"[{lo_all:+.4f}, {hi_all:+.4f}]", stars])
    return rows


def groups(document: Mapping[str, Any], gap: int) -> RenderableType:
    """One row an abundance group: AUC of each method."""
    names = [row["name"] for row in document["methods"]]
    rows = []
    for group in document["groups"]:
        cells = [number(group["metrics"][name]["auc"]) for name in names]
        rows.append([str(group["group"]), f"{group['users']:,}", f"{group['events']:,}", str(group["t_u"]), *cells])
    columns = ["group", "users", "events", "t_u", *names]
    return table("AUC by abundance group", columns, rows, left=0, gap=gap)


def settings(row: Mapping[str, Any]) -> str:
    """The settings that a method was trained with, and who was served what."""
    used = row["settings"]
    chosen = best_of(used["tried"], used["by"])
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in row["reasons"].items())
    what = f"T = {used['ticks']}, rate {used['rate']:g}{chosen}" if row["name"] != "global" else "one model"
    return f"{row['name']}: {what}; global training stops at tick {used['stop']}; users: {reasons}"


def best_of(tried: Sequence[Any], by: str | None) -> str:
    """How settings were chosen, where they were."""
    return f" (best of {len(tried)} by {NAMES[by]} on tune rows)" if by else ""


def _interval(values: Mapping[str, float | None], wide: bool) -> str:
    if values["mean"] is None:
        return "-"
    mean, lo, hi = (_short(values[key]) for key in ("mean", "lo", "hi"))
    return f"{mean} [{lo} {hi}]" if wide else f"{mean}\n{lo} {hi}"


def _mean_and_sd(values: Mapping[str, float | None]) -> str:
    return f"{number(values['mean'])} ({number(values['sd'])})"


def _short(value: float | None) -> str:
    return number(value, 3).replace("0.", ".", 1) if value is None or value < 1 else number(value, 2)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
