"""Pictures by abundance, by quartile, by segment, and of what personal models learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.report.headline import metric_of
from headstart.report.names import REFERENCE, higher, name_of, percent, signed
from headstart.report.picture import Picture
from headstart.report.table import Frame, Table, bounds, count, interval, value, words
from headstart.report.table import percent as share
from headstart.report.table import signed as change
from headstart.report.texts import visible

Plain = Mapping[str, Any]
POINTS = ("min", "q1", "median", "q3", "max")


def groups(document: Plain, details: Plain) -> Picture:
    """A metric by abundance group: the paper's seven."""
    found, methods = details["sevenths"], details["methods"]
    metrics = list(found[0]["methods"][methods[0]])
    # A group has no users' own metric of that name where the error is one over all events.
    metric = metric_of(document).removeprefix("pooled_")
    columns = ["group", "users", "fewest events", "most events", "method", "metric", "mean", "lo", "hi"]
    columns += ["difference from global", "difference lo", "difference hi"]
    frame = [_group_row(row, name, one) for row in found for name in methods for one in metrics]
    return Picture(
        "groups",
        "By how much data users have",
        "Groups of users, seven at most, as in the paper: group 1 has the least training events. Bars are 95 %"
        " bootstrap intervals over those of its users whose test events the metric is defined for (ranking needs both"
        " classes): of few users they say little.",
        {name: _groups_says(found, name, metric) for name in methods if name != REFERENCE},
        "groups",
        [Frame("groups", columns, frame)],
        {"metrics": _metrics(metrics), "metric": metric, "methods": methods, "reference": REFERENCE},
        [_groups_table(found, [name for name in methods if name != REFERENCE], metric)],
    )


def _group_row(row: Plain, method: str, metric: str) -> list[Any]:
    mean, diff = row["methods"][method][metric], _difference(row, method, metric)
    head = [row["group"], row["users"], row["fewest"], row["most"], method, metric]
    return [*head, mean["mean"], mean["lo"], mean["hi"], diff.get("diff"), diff.get("lo"), diff.get("hi")]


def _difference(row: Plain, method: str, metric: str) -> Plain:
    """Keys diff, lo, hi; empty for the global model itself."""
    return next((one for one in row["differences"] if (one["method"], one["metric"]) == (method, metric)), {})


def _groups_table(found: list[Plain], methods: list[str], metric: str) -> Table:
    rows = []
    for row in found:
        for name in methods:
            diff = _difference(row, name, metric)
            means = [interval(row["methods"][one][metric]) for one in (REFERENCE, name)]
            size = [count(row["group"]), count(row["users"])]
            rows.append([*size, words(name), *means, change(diff.get("diff")), bounds(diff.get("lo"), diff.get("hi"))])
    columns = ["group", "users", "method", REFERENCE, "method's", "difference", "95 %"]
    return Table("groups-table", f"{name_of(metric)} by group", columns, rows)


def _groups_says(found: list[Plain], chosen: str, metric: str) -> str:
    said = []
    for what, row in (("least", found[0]), ("most", found[-1])):
        diff = _difference(row, chosen, metric)
        if diff.get("diff") is not None:
            said.append(
                f"the group with {what} data (group {row['group']}, {row['users']:,} users) {signed(diff['diff'])},"
                f" 95 % interval {signed(diff['lo'])} to {signed(diff['hi'])}"
            )
    if not said:
        return (
            f"{name_of(metric)} of {chosen} could not be measured in the group with least data, nor in that with most."
        )
    return f"{name_of(metric)} of {chosen} less global: " + "; ".join(said) + "."


def boxes(document: Plain, details: Plain) -> Picture:
    """How users' own errors are spread, by method and by quartile of data."""
    found = details["errors"]
    metrics = ["rmse", "mae"] if document["objective"] == "squared" else ["auc", "ndcg", "map", "logloss"]
    frame = [
        [row["quartile"], row["users"], name, metric, *(row["methods"][name][metric][point] for point in POINTS)]
        for row in found
        for metric in metrics
        for name in row["methods"]
    ]
    rows = [
        [words(name), words(name_of(metric)), *(value(found[0]["methods"][name][metric][point]) for point in POINTS)]
        for metric in metrics
        for name in found[0]["methods"]
    ]
    return Picture(
        "boxes",
        f"The spread of users' own {' and '.join(name_of(m) for m in metrics[:2])}",
        "Boxes hold the middle half of the users, the line in them is the median, whiskers reach the extremes."
        " Quartile 1 has the quarter of users with the fewest training events.",
        {name: _boxes_says(found[0], name, metrics[0]) for name in details["methods"] if name != REFERENCE},
        "boxes",
        [Frame("boxes", ["quartile", "users", "method", "metric", *POINTS], frame)],
        {"metrics": _metrics(metrics), "quartiles": [[row["quartile"], row["users"]] for row in found]},
        [Table("boxes-table", "All users", ["method", "metric", *POINTS], rows)],
    )


def _boxes_says(everybody: Plain, method: str, metric: str) -> str:
    own, base = (value(everybody["methods"][name][metric]["median"]).text for name in (method, REFERENCE))
    return f"Median {name_of(metric)} over users: {method} {own}, {REFERENCE} {base}."


def segments(details: Plain) -> Picture | None:
    """The error by segment, beside the segment's share of events."""
    error, found = details["segments"]["error"], details["segments"]["columns"]
    if not found:
        return None
    frame = []
    for cut in found:
        for one in cut["segments"]:
            for method, mean in one["methods"].items():
                diff = one["differences"].get(method, {})
                frame.append(
                    [
                        visible(cut["column"]),
                        visible(one["name"]),
                        one["events"],
                        one["share"],
                        method,
                        mean,
                        diff.get("diff"),
                        diff.get("lo"),
                        diff.get("hi"),
                    ]
                )
    return Picture(
        "segments",
        "Where the models err: error by segment",
        f"Left: {name_of(error)} over all test events of a segment, lower is better. Right: the segment's share of test"
        " events. A segment that is large and still modelled badly is not short of data.",
        {"": " ".join(_segments_says(cut, error) for cut in found)},
        "segments",
        [
            Frame(
                "segments",
                [
                    "column",
                    "segment",
                    "test events",
                    "share",
                    "method",
                    name_of(error),
                    "difference from global",
                    "difference lo",
                    "difference hi",
                ],
                frame,
            )
        ],
        {
            "error": name_of(error),
            "columns": [{"name": visible(cut["column"]), "overlap": cut["overlap"]} for cut in found],
            "methods": details["methods"],
            "reference": REFERENCE,
        },
        [_segment_table(cut, name, error) for name in details["methods"] if name != REFERENCE for cut in found],
    )


def _segments_says(cut: Plain, error: str) -> str:
    worst = max(cut["segments"], key=lambda one: one["methods"][REFERENCE])
    return (
        f"By {visible(cut['column'])} the global model errs most on {visible(worst['name'])}: {name_of(error)}"
        f" {value(worst['methods'][REFERENCE]).text}, {percent(worst['share'])} of test events."
    )


def _segment_table(cut: Plain, chosen: str, error: str) -> Table:
    rows = []
    for one in cut["segments"]:
        diff = one["differences"].get(chosen, {})
        rows.append(
            [
                words(one["name"]),
                count(one["events"]),
                share(one["share"]),
                value(one["methods"].get(REFERENCE)),
                value(one["methods"].get(chosen)),
                change(diff.get("diff")),
                bounds(diff.get("lo"), diff.get("hi")),
            ]
        )
    note = f"{name_of(error)}; an event may be in several segments." if cut["overlap"] else name_of(error)
    columns = ["segment", "test events", "share", "global", chosen, "difference", "95 %"]
    title = f"By {visible(cut['column'])}: {chosen}"
    return Table(f"segments-{visible(cut['column'])}-{chosen}", title, columns, rows, note, chosen)


def learned(details: Plain) -> Picture | None:
    """The weights that move most over users, and single users before and after."""
    found = {name: one for name, one in details["moved"].items() if one["features"]}
    if not found:
        return None
    features = [
        [name, visible(f["feature"]), f["global"], f["moved"], *f["points"]]
        for name, one in found.items()
        for f in one["features"]
    ]
    users = [
        [name, user["user"], user["events"], user["t_u"], visible(w["feature"]), w["global"], w["personal"]]
        for name, one in found.items()
        for user in one["users"]
        for w in user["weights"]
    ]
    gains = any(one["gains"] for one in found.values())
    aid = (
        "Left: the features that users' own trees gain most by, as shares of all gain of a user's own trees; boxes hold"
        " the middle half of the users, whiskers 90 %. Right: one user, the trees it started from beside its own."
        if gains
        else "Left: the coefficients that differ most from the global model's over users; boxes hold the middle half of"
        " the users, whiskers 90 %. Right: one user, before (global) and after (personal)."
    )
    return Picture(
        "learned",
        "What personal models learned",
        aid,
        {name: _learned_says(name, one) for name, one in found.items()},
        "learned",
        [
            Frame("moves", ["method", "feature", "global", "mean move", "p5", "p25", "p50", "p75", "p95"], features),
            Frame("users", ["method", "user", "training events", "t_u", "feature", "global", "personal"], users),
        ],
        {"methods": list(found), "gains": gains},
        [_learned_table(name, one) for name, one in found.items()],
    )


def _learned_says(method: str, found: Plain) -> str:
    top = found["features"][0]
    read = f"of {found['models']:,} personal models"
    if found["read"] < found["models"]:
        read = f"of {found['read']:,} personal models, drawn at random from {found['models']:,}"
    if found["gains"]:
        return f"{method}, {read}: {visible(top['feature'])} brings {percent(top['moved'])} of own gain in the mean."
    return f"{method}, {read}: {visible(top['feature'])} moves most, by {value(top['moved']).text} in the mean."


def _learned_table(method: str, found: Plain) -> Table:
    rows = [
        [words(f["feature"]), value(f["global"]), value(f["moved"]), *(change(point) for point in f["points"])]
        for f in found["features"]
    ]
    points = ["5 %", "25 %", "median", "75 %", "95 %"]
    if found["gains"]:
        columns = ["feature", "shared trees", "own trees, mean", *points]
        note = "Shares of all gain; the last five columns are quantiles over users."
    else:
        columns = ["feature", "global", "mean move", *points]
        note = "The mean move is that of sizes, whatever their sign; the last five columns are quantiles over users."
    return Table(f"learned-{method}", f"What moved most in {method}", columns, rows, note, method)


def _metrics(metrics: list[str]) -> list[dict[str, Any]]:
    return [{"metric": metric, "name": name_of(metric), "higher": higher(metric)} for metric in metrics]
