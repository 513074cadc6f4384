"""What the paper says of its experiments in words, each put to the test of the figures found here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from headstart.experiments.reproduction.published import ADAPTIVE, COUNTED, METRICS, TREES
from headstart.experiments.study import Plain

NAMES = {"map": "MAP", "mrr": "MRR", "auc": "AUC", "ndcg": "nDCG", "rmse": "RMSE", "mae": "MAE"}
POINTS = ("q1", "median", "q3")


@dataclass(frozen=True)
class Claim:
    """A statement of the paper.

    Attributes
    ----------
    about : direction, ordering or size
    family : of models that it is about, or both
    paper : what it says
    ours : what was found, with figures
    agrees : yes, partly or no
    """

    about: str
    family: str
    paper: str
    ours: str
    agrees: str


def claims(found: Plain) -> list[dict[str, Any]]:
    """Every statement that `found` has the figures for, see `headstart.report.reproduction`."""
    return [asdict(claim) for claim in _all(found)]


def _all(found: Plain) -> Iterator[Claim]:
    # A metric of ranking has no mean where no user has test events of both kinds.
    chapters = {name: one for name, one in found["chapters"].items() if one["document"]["n_users_in_averages"]}
    if "logistic" in chapters:
        points = chapters["logistic"]["more"]["curves"]["points"]
        yield highest_by_epochs(points)
        yield sooner(points)
        yield global_worst(points)
    if "gbdt" in chapters:
        rows = {row["name"]: row["metrics"] for row in chapters["gbdt"]["more"]["trees"]["rows"]}
        seeds = int(chapters["gbdt"]["more"]["trees"]["seeds"])
        yield local_above_global(rows)
        yield from (adaptive_above(rows, other, seeds) for other in ("global", "local"))
        yield size_of_gain(rows)
        yield every_group(chapters["gbdt"]["details"]["sevenths"])
    if found["shares"] and chapters.keys() - {"mf"}:
        yield from with_more_data(found["shares"]["points"])
    if "mf" in chapters:
        yield quartiles(chapters["mf"]["details"]["errors"])


def highest_by_epochs(points: Sequence[Plain]) -> Claim:
    """The best of each method over T, on test rows, as a picture of curves shows it."""
    best = {method: _best_of(points, method) for method in _methods(points)}
    won = [m for m in METRICS if max(best, key=lambda name: best[name][m][0]) == ADAPTIVE]
    said = "; ".join(f"{NAMES[m]} {_listed({name: best[name][m][0] for name in best})}" for m in METRICS)
    paper = "Adaptive logistic regression reaches higher scores than global, local and multi-task learning."
    return Claim("ordering", "logistic", paper, f"Highest over all T: {said}.", _part(len(won), len(METRICS)))


def sooner(points: Sequence[Plain]) -> Claim:
    """The first T at which the adaptive models are above whatever the global one reaches."""
    said, fewer = [], 0
    for metric in METRICS:
        best, at = _best_of(points, "global")[metric]
        passes = [p["ticks"] for p in points if p["method"] == ADAPTIVE and p["metrics"][metric]["mean"] >= best]
        fewer += bool(passes) and min(passes) < at
        reached = f"at T = {min(passes)}" if passes else "never"
        said.append(f"{NAMES[metric]}: global is best at T = {at}, {ADAPTIVE} is there {reached}")
    paper = "Adaptive logistic regression needs fewer epochs than the global model."
    return Claim("direction", "logistic", paper, "; ".join(said) + ".", _part(fewer, len(METRICS)))


def global_worst(points: Sequence[Plain]) -> Claim:
    """Whether every other method's best over T is above the global model's."""
    best = {method: _best_of(points, method) for method in _methods(points)}
    last = [metric for metric in METRICS if min(best, key=lambda name: best[name][metric][0]) == "global"]
    worst = "; ".join(f"{NAMES[m]} {min(best, key=lambda name: best[name][m][0])}" for m in METRICS)
    paper = "Global logistic regression is the worst method."
    return Claim("ordering", "logistic", paper, f"Lowest, each at its best T: {worst}.", _part(len(last), len(METRICS)))


def local_above_global(rows: Mapping[str, Plain]) -> Claim:
    """The paper's local trees are above as many global ones in every metric."""
    counts = [name.split()[1] for name in rows if name.startswith("global ")]
    wins = [(c, m) for c in counts for m in METRICS if _mean(rows, f"local {c}", m) > _mean(rows, f"global {c}", m)]
    gaps = ", ".join(
        f"{c} trees {_mean(rows, f'local {c}', 'map') - _mean(rows, f'global {c}', 'map'):+.4f}" for c in counts
    )
    ours = f"In {len(wins)} of {len(counts) * len(METRICS)} pairs of metric and count; MAP: {gaps}."
    paper = "Local trees are above as many global trees, in every metric."
    return Claim("ordering", "gbdt", paper, ours, _part(len(wins), len(counts) * len(METRICS)))


def adaptive_above(rows: Mapping[str, Plain], other: str, seeds: int) -> Claim:
    """MAP of the best adaptive row less that of the best `other` one; seeds tell the error of means."""
    adaptive, base = _best_row(rows, "adaptive"), _best_row(rows, other)
    gain = _mean(rows, adaptive, "map") - _mean(rows, base, "map")
    error = sqrt(sum((rows[name]["map"]["sd"] or 0.0) ** 2 for name in (adaptive, base)) / seeds)
    printed = TREES[_best_printed("adaptive")][0][0] - TREES[_best_printed(other)][0][0]
    paper = f"Adaptive trees beat {other} trees: MAP {printed:+.4f}, the best row of each."
    ours = f"{adaptive} less {base}: MAP {gain:+.4f}, standard error {error:.4f} over {seeds} seeds."
    return Claim("direction", "gbdt", paper, ours, "yes" if gain > 2 * error else "partly" if gain > 0 else "no")


def size_of_gain(rows: Mapping[str, Plain]) -> Claim:
    """The relative gain of the best adaptive row over the best global one; alike: within a factor of two."""
    paper_gain, our_gain, alike = [], [], 0
    for place, metric in enumerate(METRICS):
        theirs = max(v[place][0] for n, v in TREES.items() if n.startswith("adaptive"))
        theirs = theirs / max(v[place][0] for n, v in TREES.items() if n.startswith("global")) - 1
        names = (_best_row(rows, kind, metric) for kind in ("adaptive", "global"))
        adaptive, base = (_mean(rows, name, metric) for name in names)
        ours = adaptive / base - 1
        alike += 0.5 <= ours / theirs <= 2
        paper_gain.append(f"{NAMES[metric]} {100 * theirs:+.1f} %")
        our_gain.append(f"{NAMES[metric]} {100 * ours:+.1f} %")
    paper = f"The best adaptive trees over the best global ones: {', '.join(paper_gain)}."
    return Claim("size", "gbdt", paper, f"{', '.join(our_gain)}.", _part(alike, len(METRICS)))


def every_group(groups: Sequence[Plain]) -> Claim:
    """MAP by abundance group, of both forms of adaptive trees; the form that holds in more groups is judged."""
    groups = [row for row in groups if row["methods"][ADAPTIVE]["map"]["mean"] is not None]
    said, held = [], 0
    for method in (ADAPTIVE, COUNTED):
        gaps = {
            row["group"]: [_group_map(row, method) - _group_map(row, o) for o in ("global", "local")] for row in groups
        }
        won = [group for group, gap in gaps.items() if min(gap) > 0]
        held = max(held, len(won))
        ends = (f"group {g} {gaps[g][0]:+.4f} and {gaps[g][1]:+.4f}" for g in (groups[0]["group"], groups[-1]["group"]))
        said.append(
            f"{method} in {len(won)} of {len(groups)} groups ({', '.join(map(str, won)) or 'none'}),"
            f" over global and local in {'; in '.join(ends)}"
        )
    paper = "Adaptive trees beat global and local ones in MAP in every group, those with least and most data included."
    return Claim("direction", "gbdt", paper, f"{'. '.join(said)}.", _part(held, len(groups)))


def with_more_data(points: Sequence[Plain]) -> Iterator[Claim]:
    """MAP at the largest share less MAP at the smallest."""
    low, high = min(p["share"] for p in points), max(p["share"] for p in points)
    at = {(p["family"], p["method"], p["share"]): p["metrics"]["map"] for p in points}
    for family, paper in (
        ("gbdt", "With more training data the tree methods gain."),
        ("logistic", "With more training data logistic regression stays flat."),
    ):
        names = sorted({method for known, method, _ in at if known == family})
        if not names:
            continue
        moved = {name: at[family, name, high]["mean"] - at[family, name, low]["mean"] for name in names}
        # Flat: the move is less than the reach of one mean's interval.
        reach = {name: (at[family, name, high]["hi"] - at[family, name, high]["lo"]) / 2 for name in names}
        held = [name for name in names if (moved[name] > 0 if family == "gbdt" else abs(moved[name]) < reach[name])]
        said = ", ".join(f"{name} {moved[name]:+.4f}" for name in names)
        ours = f"MAP from {100 * low:.0f} to {100 * high:.0f} % of the data: {said}"
        note = "" if family == "gbdt" else f"; half an interval is {max(reach.values()):.4f}"
        yield Claim("direction", family, paper, f"{ours}{note}.", _part(len(held), len(names)))


def quartiles(errors: Sequence[Plain]) -> Claim:
    """Quartiles of users' own errors, among the methods that the paper compares."""
    everybody = errors[0]["methods"]
    rivals = [name for name in ("global", "local", "mtl") if name in everybody]
    won, said = 0, []
    for metric in ("rmse", "mae"):
        for point in POINTS:
            own, best = everybody[ADAPTIVE][metric][point], min(everybody[name][metric][point] for name in rivals)
            won += own < best
            said.append(f"{NAMES[metric]} {point} {own:.4f} against {best:.4f}")
    paper = "Adaptive matrix factorisation has the best quartiles of users' RMSE and MAE."
    return Claim("ordering", "mf", paper, f"Best of the others: {', '.join(said)}.", _part(won, 2 * len(POINTS)))


def _part(held: int, of: int) -> str:
    return "yes" if held == of else "partly" if held else "no"


def _methods(points: Sequence[Plain]) -> list[str]:
    """Methods of the curves that the paper has too."""
    return [n for n in dict.fromkeys(p["method"] for p in points) if n in ("global", "local", "mtl", ADAPTIVE)]


def _best_of(points: Sequence[Plain], method: str) -> dict[str, tuple[float, int]]:
    """By metric the highest mean over T, and the first T that has it."""
    own = sorted((p for p in points if p["method"] == method), key=lambda p: p["ticks"])
    best = {m: max(own, key=lambda p: p["metrics"][m]["mean"]) for m in METRICS}
    return {m: (p["metrics"][m]["mean"], p["ticks"]) for m, p in best.items()}


def _listed(values: Mapping[str, float]) -> str:
    order = sorted(values.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.4f}" for name, value in order)


def _mean(rows: Mapping[str, Plain], name: str, metric: str) -> float:
    return float(rows[name][metric]["mean"])


def _best_row(rows: Mapping[str, Plain], kind: str, metric: str = "map") -> str:
    return max((name for name in rows if name.startswith(kind)), key=lambda name: _mean(rows, name, metric))


def _best_printed(kind: str) -> str:
    return max((name for name in TREES if name.startswith(kind)), key=lambda name: TREES[name][0])


def _group_map(row: Plain, method: str) -> float:
    return float(row["methods"][method]["map"]["mean"])
