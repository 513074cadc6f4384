"""Writes what ``headstart compare --methods all --json FILE`` found as Markdown, a section a file.

Usage: ``python scripts/tabulate_methods.py FILE.json [FILE.json ...] > docs/methods-tables.md``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REFERENCE = "learned"
HEAD = """# Every method on every data set

Made by `scripts/tabulate_methods.py` from `headstart compare --dataset D --model M --methods all --json F`
(`--split random` of factorisations); [methods](methods.md) says what the methods are, what the tables say, and what
was left out on completejourney.

Differences are a method's less those of `learned`, with the simultaneous 95 % interval over all pairs and metrics;
**bold** where it excludes 0. Log-loss and AUC are means over the users with test rows of both classes; *gain* is the
mean over all users with test rows of the global model's loss less the method's. *Harmed*: users whose held-out loss is
above the global model's; *surely*: one-sided 5 %, beside what chance alone gives. *Worst decile*: loss above global's,
mean over the tenth of users who lose most. *Fits*: how often a method was trained to choose its settings, at most 24.
"""


def difference(found: Mapping[str, Any], method: str, metric: str) -> tuple[float, float, float] | None:
    """`method` less the reference: mean and simultaneous interval."""
    for pair in found["pairs"]:
        if pair["metric"] == metric and {pair["a"], pair["b"]} == {method, REFERENCE}:
            sign = 1 if pair["a"] == method else -1
            low, high = sorted((sign * pair["lo_all"], sign * pair["hi_all"]))
            return sign * pair["diff"], low, high
    return None


def cell(found: Mapping[str, Any], method: str, metric: str) -> str:
    """A difference as text."""
    numbers = difference(found, method, metric)
    if numbers is None:
        return "-"
    mean, low, high = (f"{number:+.4f}".replace("0.", ".", 1) for number in numbers)
    text = f"{mean} [{low}, {high}]"
    return f"**{text}**" if numbers[1] > 0 or numbers[2] < 0 else text


def number(value: float | None, digits: int = 4) -> str:
    """Without the leading zero."""
    return "-" if value is None else f"{value:.{digits}f}".replace("0.", ".", 1)


def row(found: Mapping[str, Any], method: Mapping[str, Any]) -> str:
    """One line of the table."""
    rating = found["objective"] == "squared"
    first, second = ("rmse", "mae") if rating else ("logloss", "auc")
    whole = method["pooled"] if rating else {name: one["mean"] for name, one in method["metrics"].items()}
    name, harm = method["name"], method["harmed_significant"]
    cells = [
        name,
        number(whole[first]),
        cell(found, name, f"pooled_{first}" if rating else first),
        number(whole[second]),
        cell(found, name, f"pooled_{second}" if rating else second),
        f"{method['mean_gain']:+.4f}".replace("0.", ".", 1),
        f"{100 * method['harmed']:.1f}",
        f"{100 * harm['share']:.1f} ({100 * harm['chance']:.1f})",
        f"{method['harm']:.3g}",
        number(method.get("worst_decile")),
        f"{100 * method['served_personally']:.0f}",
        str(method["settings"]["fits"]),
        f"{method['tune_seconds']:.1f}",
        f"{method['fit_seconds']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def settings(method: Mapping[str, Any]) -> str:
    """What was chosen."""
    chosen = ", ".join(f"{name} {value}" for name, value in method["chosen"][0].items() if value is not None)
    return f"`{method['name']}`: {chosen or 'none'}"


def section(found: Mapping[str, Any]) -> str:
    """Everything of one file."""
    rating = found["objective"] == "squared"
    family = found["methods"][0]["family"]
    first, second = ("RMSE", "MAE") if rating else ("log-loss", "AUC")
    title = f"## {found['dataset']}, {family}{', ratings' if rating else ''}"
    names = [first, "difference", second, "difference", "gain", "harmed %", "surely % (chance)", "harm", "worst decile"]
    columns = ["method", *names, "served personally %", "fits", "s to choose", "s to fit"]
    counts = f"{found['n_users']:,} users, {found['n_events']:,} events, {found['n_test_events']:,} of them held out"
    lines = [title, "", f"{counts} ({found['split']}, seed {found['seed']}); settings chosen by {found['select']}.", ""]
    lines += [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [row(found, method) for method in found["methods"]]
    lines += ["", "Settings. " + "; ".join(settings(method) for method in found["methods"]) + ".", ""]
    if found["not_defined"]:
        why = "; ".join(f"`{name}`: {reason}" for name, reason in found["not_defined"].items())
        lines += [f"Not defined. {why}.", ""]
    return "\n".join(lines)


def document(files: Sequence[Mapping[str, Any]]) -> str:
    """The page."""
    return "\n".join([HEAD, *(section(found) for found in files)])


def main() -> int:
    """Print the page."""
    print(document([json.loads(Path(file).read_text("utf-8")) for file in sys.argv[1:]]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
