"""The tables of recommendation lists that were judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from headstart.cli.console import number, print_table, table
from headstart.cli.shown import stars

NAMES = {"precision": "precision", "recall": "recall", "ndcg": "nDCG", "mrr": "MRR", "hit": "hit rate"}
NOTES = {
    "relevant_items_that_no_list_can_hold": "relevant items that training had not, missed by every list",
    "items_left_out_as_seen_in_training": "held-out items that the user had in training, left out",
}


def show_lists(document: Mapping[str, Any], console: Console) -> None:
    """Print the methods, and what they differ by from global."""
    n, least = document["n"], document["least_label"]
    bar = "" if least is None else f" of label {least:g} or more"
    if not document["methods"]:
        console.print(f"no lists are judged: no user has a held-out item{bar} that is new to the user")
        return
    rows = [
        [row["name"], *(_interval(row["metrics"][name]) for name in NAMES), f"{100 * row['coverage']:.1f} %"]
        for row in document["methods"]
    ]
    columns = ["method", *(f"{name}@{n}" for name in NAMES.values()), "coverage"]
    console.print("")
    print_table(console, table(f"Lists of {n} out of {document['n_items']:,} items", columns, rows))
    console.print(
        f"Mean over the {document['n_users']:,} users with held-out items{bar} that are new to them, in all"
        f" {document['n_relevant']:,}; 95 % bootstrap intervals over users. Coverage: share of the items in any list.\n"
    )
    differences = _differences(document)
    if differences:
        columns = ["method", "metric", "difference", "95 %", "95 %, all pairs", ""]
        print_table(console, table("Difference of lists from global", columns, differences, left=2))
        console.print("")
    for what, count in document["notes"].items():
        if count:
            console.print(f"note: {NOTES[what]}: {count:,}")


def _differences(document: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for pair in document["pairs"]:  # of global and the method, in this order
        diff = -pair["diff"] + 0.0
        (hi, lo), (hi_all, lo_all) = ((-pair[a] + 0.0, -pair[b] + 0.0) for a, b in (("lo", "hi"), ("lo_all", "hi_all")))
        row = [pair["b"], NAMES[pair["metric"]], f"{diff:+.4f}", f"[{lo:+.4f}, {hi:+.4f}]"]
        rows.append([*row, f"[{lo_all:+.4f}, {hi_all:+.4f}]", stars(lo_all, hi_all) * 2 or stars(lo, hi)])
    return rows


def _interval(values: Mapping[str, float]) -> str:
    mean, lo, hi = (number(values[key], 3).replace("0.", ".", 1) for key in ("mean", "lo", "hi"))
    return f"{mean} [{lo} {hi}]"
