"""The paper's statements and printed values beside those of a reproduction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.report.names import MINUS, NOTHING, higher, name_of, number, percent, plural
from headstart.report.table import Cell, Table, count, signed, value, words

Plain = Mapping[str, Any]
Metrics = Mapping[str, Mapping[str, float | None]]

AGREES: Mapping[str, tuple[str, str]] = {
    "yes": ("holds", "good"),
    "partly": ("holds in part", "even"),
    "no": ("does not hold", "bad"),
    "unclear": ("cannot be told", "open"),
}
"""What a column of agreement says, and its tone."""

ABOUT: Mapping[str, str] = {"direction": "direction", "ordering": "order of methods", "size": "size of the gain"}
FAMILIES: Mapping[str, str] = {
    "logistic": "logistic regression",
    "gbdt": "boosted trees",
    "mf": "matrix factorisation",
}
TEXT = 500
"""Characters of a statement that are shown."""


def agreements(claims: Sequence[Plain]) -> dict[str, int]:
    """How many statements agree, agree in part, do not: keys yes, partly, no."""
    return {way: sum(claim["agrees"] == way for claim in claims) for way in AGREES}


def sentence(counts: Mapping[str, int]) -> str:
    """How many statements hold."""
    total = sum(counts.values())
    if not total:
        return "No statement of the paper could be tested by what was run."
    holds, part, fails, unclear = (counts[way] for way in AGREES)
    said = [f"{holds} {_verb(holds, 'hold')} on this data", f"{part} {_verb(part, 'hold')} in part"]
    said.append(f"{fails} {'does' if fails == 1 else 'do'} not")
    of = f"Of {total} {'statement' if total == 1 else 'statements'} of the paper"
    return f"{of} {', '.join(said)}{f'; {unclear} cannot be told' if unclear else ''}."


def _verb(number: int, verb: str) -> str:
    return f"{verb}s" if number == 1 else verb


def tile(counts: Mapping[str, int]) -> dict[str, Any]:
    """Statements that hold, with a bar of shares."""
    total = sum(counts.values())
    return {
        "label": "Statements that hold",
        "value": f"{counts['yes']} of {total}",
        "note": f"{counts['partly']} in part, {counts['no']} not, {counts['unclear']} cannot be told",
        "bar": [counts["yes"] / total, (counts["partly"] + counts["unclear"]) / total, counts["no"] / total],
        "parts": ["hold", "hold in part, or cannot be told", "do not hold"],
    }


def claims(found: Sequence[Plain]) -> Table:
    """What the paper says in words, what was found, and whether they agree."""
    rows = [
        [
            words(FAMILIES.get(claim["family"], claim["family"])),
            words(ABOUT.get(claim["about"], claim["about"])),
            words(claim["paper"], longest=TEXT),
            words(claim["ours"], longest=TEXT),
            words(*AGREES[claim["agrees"]]),
        ]
        for claim in found
    ]
    columns = ["model", "statement on", "the paper", "this data", "agreement"]
    note = (
        "A statement is taken apart into differences with 95 % intervals: it holds where all are surely its way, holds"
        " in part where more are than are surely the other way, and cannot be told where no interval excludes 0. The"
        " size of a gain is compared without intervals: within a factor of two in all metrics, in some, or in none."
    )
    return Table("claims", "Statements of the paper", columns, rows, note)


def trees(printed: Sequence[Plain], ours: Plain) -> list[Table]:
    """The paper's table of trees beside ours: all rows, and what adaptive trees gain.

    Parameters
    ----------
    printed : rows of name and metrics, which hold mean and sd
    ours : seeds, and rows of name and metrics
    """
    found: dict[str, Metrics] = {row["name"]: row["metrics"] for row in ours["rows"]}
    pairs = [(row["name"], row["metrics"], found.get(row["name"], {})) for row in printed]
    metrics = list(printed[0]["metrics"])
    rows = [
        [words(name), *(_mean_sd(one.get(metric)) for metric in metrics for one in (paper, own))]
        for name, paper, own in pairs
    ]
    columns = ["model", *(f"{name_of(metric)}, {whose}" for metric in metrics for whose in ("paper", "here"))]
    note = (
        f"Mean (standard deviation); the paper's over 10 runs on its news data, here over"
        f" {plural(ours['seeds'], 'seed')}."
        " Adaptive A+B: A global trees, then B of the user's own. Levels depend on the data: compare orders and gains."
    )
    return [
        Table("trees", "Trees: the paper's numbers and this data's", columns, rows, note),
        *(table for kind in ("global", "local") if (table := _gains(pairs, metrics, kind)).rows),
    ]


def _gains(pairs: Sequence[tuple[str, Metrics, Metrics]], metrics: Sequence[str], kind: str) -> Table:
    """Adaptive trees less the best of a kind, in both."""
    rivals = [one for one in pairs if one[0].startswith(kind)]
    rows = []
    for name, paper, own in pairs:
        if not name.startswith("adaptive"):
            continue
        for metric in metrics:
            cells: list[Cell] = [words(name), words(name_of(metric))]
            cells += _gain(paper, [one[1] for one in rivals], metric)
            cells += _gain(own, [one[2] for one in rivals], metric)
            rows.append(cells)
    columns = ["model", "metric", "paper: gain", "paper: gain, %", "here: gain", "here: gain, %"]
    note = (
        f"The mean less that of the best row of {kind} trees, metric by metric, and as a share of that: rows that were"
        " chosen after the fact, so the gain is if anything too small. Differences of means, without intervals."
    )
    return Table(f"gain-over-{kind}", f"Gain of adaptive over {kind} trees", columns, rows, note)


def _gain(own: Metrics, rivals: Sequence[Metrics], metric: str) -> list[Cell]:
    """A difference from the best rival, and its share."""
    mean = _mean(own, metric)
    known = [found for rival in rivals if (found := _mean(rival, metric)) is not None]
    if mean is None or not known:
        return [Cell(NOTHING, None), Cell(NOTHING, None)]
    best = max(known) if higher(metric) else min(known)
    relative = (mean - best) / best if best else None
    return [signed(mean - best), Cell(_signed_percent(relative), relative)]


def _signed_percent(share: float | None) -> str:
    if share is None:
        return NOTHING
    text = percent(abs(share))
    return text if text == percent(0.0) else f"{MINUS if share < 0 else '+'}{text}"


def _mean(metrics: Metrics, metric: str) -> float | None:
    return metrics.get(metric, {}).get("mean")


def _mean_sd(values: Mapping[str, float | None] | None) -> Cell:
    mean = (values or {}).get("mean")
    if values is None or mean is None:
        return Cell(NOTHING, None)
    return Cell(f"{number(mean)} ({number(values.get('sd'))})", mean)


def statistics(found: Sequence[Plain]) -> Table:
    """Counts of this data and of the paper's.

    Parameters
    ----------
    found : rows of name, published (whether by the paper), users, items, features, events, positives, events_per_user,
        positives_per_user, sparsity; what is not known is None or missing
    """
    rows = [
        [
            words(row["name"]),
            words("the paper" if row.get("published", True) else "this run"),
            *(count(row.get(key)) for key in ("users", "items", "features", "events", "positives")),
            *(value(row.get(key), 1) for key in ("events_per_user", "positives_per_user")),
            value(row.get("sparsity"), 5),
        ]
        for row in found
    ]
    columns = ["data", "from", "users", "items", "features", "events", "positive events", "events a user"]
    columns += ["positive events a user", "sparsity"]
    note = f"Sparsity: the share of pairs of a user and an item that have an event. {NOTHING}: not printed, or none."
    return Table("statistics", "Data", columns, rows, note)


def not_run(reasons: Mapping[str, str]) -> Table:
    """What was left out, and why."""
    rows = [[words(FAMILIES.get(name, name)), words(why, longest=TEXT)] for name, why in reasons.items()]
    return Table("not-run", "Not run", ["experiment", "why"], rows)
