"""The first screen: one method against the global model, in numbers and in a sentence that they support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.report.names import REFERENCE, count, higher, name_of, number, percent, seconds, signed, size

Plain = Mapping[str, Any]
DEFAULT = ("learned", "by-abundance")
LOSSES = {"logistic": "log-loss", "squared": "squared error"}


@dataclass(frozen=True)
class Gain:
    """What a method differs by from the global model in one metric; `better` None where the interval holds 0."""

    metric: str
    reference: float | None
    method: float | None
    diff: float | None
    lo: float | None
    hi: float | None

    @property
    def better(self) -> bool | None:
        """Whether the whole interval is on the good side of 0, or on the bad one."""
        if self.lo is None or self.hi is None or self.lo <= 0 <= self.hi:
            return None
        return (self.lo > 0) == higher(self.metric)


def chosen_method(document: Plain, first: Sequence[str] = ()) -> str | None:
    """The method of the first screen: of `first`, else what ``fit`` makes, the paper's, or the first but global."""
    compared = [row["name"] for row in document["methods"] if row["name"] != REFERENCE]
    return next((name for name in (*first, *DEFAULT, *compared) if name in compared), None)


def metric_of(document: Plain) -> str:
    """The metric that settings were chosen by; of ratings the error over all test events."""
    select = str(document["select"])
    return f"pooled_{select}" if document["objective"] == "squared" and not select.startswith("pooled_") else select


def mean_of(row: Plain, metric: str) -> Any:
    """Mean, lo and hi of a metric of a method, over users or (``pooled_``) over events."""
    if metric.startswith("pooled_"):
        return row.get("pooled_intervals", {}).get(metric.removeprefix("pooled_"), {})
    return row["metrics"].get(metric, {})


def against_global(document: Plain, method: str, metric: str) -> Gain:
    """The difference of `method` from the global model."""
    rows = {row["name"]: row for row in document["methods"]}
    means = [mean_of(rows.get(name, {"metrics": {}}), metric).get("mean") for name in (REFERENCE, method)]
    for pair in document["pairs"]:
        if pair["metric"] == metric and {pair["a"], pair["b"]} == {method, REFERENCE} and pair["diff"] is not None:
            sign = 1.0 if pair["a"] == method else -1.0
            lo, hi = sorted((sign * pair["lo"], sign * pair["hi"]))
            return Gain(metric, means[0], means[1], sign * pair["diff"], lo, hi)
    return Gain(metric, means[0], means[1], None, None, None)


def headline(document: Plain, details: Plain, method: str) -> dict[str, Any]:
    """The sentence and the tiles of a method."""
    row = next(one for one in document["methods"] if one["name"] == method)
    gain = against_global(document, method, metric_of(document))
    return {"sentence": sentence(document, row, gain), "tiles": _tiles(document, details, row, gain)}


def sentence(document: Plain, row: Plain, gain: Gain) -> str:
    """What may be said of a method, no more than the interval of its difference allows."""
    metric, method = name_of(gain.metric), row["name"]
    users = f"{percent(row['helped'])} of users gain by it and {percent(row['harmed'])} lose"
    measured = f"measured by {LOSSES[document['objective']]} on each user's own held-out events"
    if gain.diff is None:
        return f"{method}: no difference from the global model could be measured in {metric}."
    figures = f"{signed(gain.diff)}, 95 % interval {signed(gain.lo)} to {signed(gain.hi)}"
    if gain.better is None:
        text = f"In {metric} the data do not tell {method} from one global model for all ({figures})."
        return f"{text} {users}, {measured}."
    way = "better" if gain.better else "worse"
    moved = f"{metric} goes from {number(gain.reference)} to {number(gain.method)} ({figures})"
    turn = "; yet " if gain.better == (row["harmed"] > row["helped"]) else ". "
    return f"{method} serves users {way} than one global model for all: {moved}{turn}{users}, {measured}."


def users_served(row: Plain, facts: Plain) -> float | None:
    """The share of evaluated users who are served a personal model."""
    found: float | None = row.get("users_served", facts.get("users_served"))
    return found


def _tiles(document: Plain, details: Plain, row: Plain, gain: Gain) -> list[dict[str, Any]]:
    """Label, value and note of each tile; ``bar`` holds shares of users helped, alike, harmed."""
    method, base = row["name"], next((one for one in document["methods"] if one["name"] == REFERENCE), None)
    facts = details.get("facts", {}).get(method, {})
    metric, way = name_of(gain.metric), "higher" if higher(gain.metric) else "lower"
    verdict = {True: "better", False: "worse", None: "not told apart"}[gain.better]
    served = users_served(row, facts)
    models, total = facts.get("personal_models"), facts.get("personal_bytes")
    each = "" if not models else f", {size(total / models)} each"
    tuned = row.get("tune_seconds")
    choosing = "choosing settings not counted" if tuned is None else f"choosing settings {seconds(tuned)} more"
    before = "" if base is None else f"; the global model alone {seconds(base['fit_seconds'])}"
    measured = (
        f"95 % interval {signed(gain.lo)} to {signed(gain.hi)}: {verdict}."
        f" {number(gain.method)} instead of {number(gain.reference)}; {way} is better."
        if gain.diff is not None
        else "could not be measured: no user has test events that it is defined for"
    )
    return [
        {
            "label": f"{metric} against global",
            "value": signed(gain.diff),
            "note": measured,
            "verdict": verdict,
        },
        {
            "label": "Users helped and harmed",
            "value": f"{percent(row['helped']).removesuffix(' %')} / {percent(row['harmed'])}",
            "note": f"of {count(document['n_test_users'])} users, by their own"
            f" {LOSSES[document['objective']]}; the others fare alike",
            "bar": [row["helped"] or 0.0, 1 - (row["helped"] or 0.0) - (row["harmed"] or 0.0), row["harmed"] or 0.0],
        },
        {
            "label": "Served a personal model",
            "value": percent(served),
            "note": "of users; the others are served the global model",
        },
        {
            "label": "Training time",
            "value": seconds(row["fit_seconds"]),
            "note": f"the global path and the personal models{before}; {choosing}",
        },
        {
            "label": "Size of personal models",
            "value": size(total),
            "note": f"{count(models)} models{each}; the global model {size(facts.get('global_bytes'))}",
        },
    ]
