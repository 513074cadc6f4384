"""Pictures that need more than one comparison: training curves, the table of trees, the share of training data.

They are drawn from documents of their own:

curves : ``{"points": [{"method", "ticks", "metrics": {metric: {"mean", "lo", "hi"}}}], "note": str}``; lo and hi may
    be missing
trees : what ``headstart compare --grid trees`` writes: ``{"seeds", "rows": [{"name", "metrics": {metric: {"mean",
    "sd"}}}]}``
shares : ``{"points": [{"share", "family", "method", "metrics": {metric: {"mean", "lo", "hi"}}}], "note": str}``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report.names import higher, name_of, number, plural
from headstart.report.picture import Picture
from headstart.report.table import Cell, Frame, Table, interval, words
from headstart.report.table import count as whole
from headstart.report.table import percent as share

Plain = Mapping[str, Any]
BANDS = (
    " Bands are 95 % intervals of means over users; as all methods have the same users, two lines may differ though"
    " their bands overlap."
)


def curves(document: Plain) -> Picture:
    """A metric against T for every method: the global path is one, personal training is run again for each T."""
    points = document["points"]
    metrics = list(points[0]["metrics"])
    frame = [
        [p["method"], p["ticks"], metric, m["mean"], m.get("lo"), m.get("hi")]
        for p in points
        for metric, m in p["metrics"].items()
    ]
    rows = [
        [words(p["method"]), whole(p["ticks"]), *(_mean(p["metrics"].get(metric)) for metric in metrics)]
        for p in points
    ]
    best = {m: _best(points, m) for m in metrics}
    return Picture(
        "curves",
        "Against training epochs",
        "Each line is a method, each point a model planned for T ticks: t_u global ones, then T - t_u personal ones."
        + BANDS
        + _said(document),
        {"": "; ".join(f"{name_of(m)} is best for {p['method']} at T = {p['ticks']}" for m, p in best.items()) + "."},
        "lines",
        [Frame("curves", ["method", "T", "metric", "mean", "lo", "hi"], frame)],
        {
            "x": "T",
            "axis": "T, ticks of training, log scale",
            "metrics": _metrics(metrics),
            "lines": [{"name": name, "method": name, "dash": 0} for name in dict.fromkeys(p["method"] for p in points)],
            "log": True,
        },
        [Table("curves-table", "Metrics by T", ["method", "T", *(name_of(m) for m in metrics)], rows)],
    )


def trees(document: Plain) -> Picture:
    """The paper's table of trees: mean (standard deviation) over seeds."""
    metrics = [metric for metric in document["rows"][0]["metrics"] if metric != "brier"]
    frame = [
        [row["name"], m, row["metrics"][m]["mean"], row["metrics"][m]["sd"]]
        for row in document["rows"]
        for m in metrics
    ]
    rows = [[words(row["name"]), *(_mean_sd(row["metrics"][metric]) for metric in metrics)] for row in document["rows"]]
    best = {m: _best(document["rows"], m) for m in metrics[:4]}
    return Picture(
        "trees",
        "Trees: global, local, adaptive",
        f"Mean over {plural(document['seeds'], 'seed')}; bars are one standard deviation to either side."
        " Adaptive A+B: A global trees, then B of the user's own.",
        {
            "": "; ".join(
                f"{name_of(m)} is best for {row['name']}: {number(row['metrics'][m]['mean'])}"
                for m, row in best.items()
            )
            + "."
        },
        "trees",
        [Frame("trees", ["model", "metric", "mean", "sd"], frame)],
        {"metrics": _metrics(metrics), "seeds": document["seeds"]},
        [
            Table(
                "trees-table",
                f"Mean (standard deviation) over {plural(document['seeds'], 'seed')}",
                ["model", *(name_of(m) for m in metrics)],
                rows,
            )
        ],
    )


def shares(document: Plain) -> Picture:
    """A metric against the share of the training data."""
    points = document["points"]
    metrics = list(points[0]["metrics"])
    families = list(dict.fromkeys(p["family"] for p in points))
    frame = [
        [_model(p), p["share"], metric, m["mean"], m.get("lo"), m.get("hi")]
        for p in points
        for metric, m in p["metrics"].items()
    ]
    rows = [[words(_model(p)), share(p["share"]), *(_mean(p["metrics"].get(m)) for m in metrics)] for p in points]
    best = {m: _best(points, m) for m in metrics}
    return Picture(
        "shares",
        "Against the share of training data",
        "Models trained on the given share of each user's training events, judged on the same test events."
        " Colours and symbols are methods, solid and dashed lines are model families." + BANDS + _said(document),
        {
            "": "; ".join(f"{name_of(m)} is best for {_model(p)} at {100 * p['share']:.0f} %" for m, p in best.items())
            + "."
        },
        "lines",
        [Frame("shares", ["method", "share", "metric", "mean", "lo", "hi"], frame)],
        {
            "x": "share",
            "axis": "share of the training events",
            "metrics": _metrics(metrics),
            "lines": [
                {"name": name, "method": method, "dash": families.index(family)}
                for name, (family, method) in {_model(p): (p["family"], p["method"]) for p in points}.items()
            ],
            "percent": True,
        },
        [Table("shares-table", "Metrics by share", ["model", "share", *(name_of(m) for m in metrics)], rows)],
    )


def _model(point: Plain) -> str:
    return f"{point['family']} {point['method']}"


def _said(document: Plain) -> str:
    return f" {document['note']}" if document.get("note") else ""


def _best(points: list[Plain], metric: str) -> Plain:
    known = [p for p in points if p["metrics"].get(metric, {}).get("mean") is not None]
    return (max if higher(metric) else min)(
        known or points, key=lambda p: (p["metrics"].get(metric) or {}).get("mean") or 0.0
    )


def _mean(values: Plain | None) -> Cell:
    if values is None or values.get("lo") is None:
        mean = (values or {}).get("mean")
        return Cell(number(mean), mean)
    return interval(dict(values))


def _mean_sd(values: Plain) -> Cell:
    return Cell(f"{number(values['mean'])} ({number(values['sd'])})", values["mean"])


def _metrics(metrics: list[str]) -> list[dict[str, Any]]:
    return [{"metric": metric, "name": name_of(metric), "higher": higher(metric)} for metric in metrics]
