"""What the paper says of its experiments in words, each put to the test of the figures found here.

A statement is taken apart into contrasts: differences that are above 0 where it is so. Each has an interval, and is for
the statement where that is above 0, against it where it is below; else the data cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

from headstart.experiments.reproduction.published import COUNTED, METRICS, TREES
from headstart.experiments.study import Plain
from headstart.report.names import name_of, signed
from headstart.report.reproduction import ADAPTIVE

ROW = "adaptive 20+50"
"""The row of adaptive trees that the paper puts first."""

COUNTS = ("20", "50", "100", "200")
"""Of global and of local trees in the table."""

FEWEST = 10
"""Users of a group that a bootstrap interval can be had of."""

FLAT = 0.01
"""A move of MAP that is no move, as the paper's pictures can be read."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper.

    Attributes
    ----------
    about : direction, ordering or size
    family : of models that it is about
    paper : what it says
    ours : what was found, with figures
    agrees : yes: all contrasts are for it; partly: some are, more than are against it; no: at least as many are
        against it as for it; unclear: none can be told from 0
    """

    about: str
    family: str
    paper: str
    ours: str
    agrees: str


@dataclass(frozen=True)
class Contrast:
    """A difference that is above 0 where a statement is so; lo and hi are None where no interval can be had."""

    diff: float
    lo: float | None
    hi: float | None

    @property
    def side(self) -> int:
        """1: for the statement, -1: against it, 0: not told apart."""
        # An interval without width is of a single user, or the same everywhere: that is no certainty.
        if self.lo is None or self.hi is None or self.lo == self.hi:
            return 0
        return 1 if self.lo > 0 else -1 if self.hi < 0 else 0

    def __str__(self) -> str:
        if self.diff != self.diff:
            return "cannot be told"
        text = signed(self.diff)
        return text if self.lo is None or self.hi is None else f"{text} [{signed(self.lo)}, {signed(self.hi)}]"


def claims(found: Plain) -> list[dict[str, Any]]:
    """Every statement that `found` has the figures for, see `headstart.report.reproduction`."""
    return [asdict(claim) for claim in _all(found)]


def _all(found: Plain) -> Iterator[Claim]:
    # A metric of ranking has no mean where no user has test events of both kinds.
    chapters = {name: one for name, one in found["chapters"].items() if one["document"]["n_users_in_averages"]}
    if "logistic" in chapters:
        yield highest(chapters["logistic"]["document"])
        yield sooner(chapters["logistic"]["more"]["curves"])
        yield global_worst(chapters["logistic"]["document"])
    if "gbdt" in chapters:
        rows = {row["name"]: row["metrics"] for row in chapters["gbdt"]["more"]["trees"]["rows"]}
        if all(rows[row][metric]["mean"] is not None for row in rows for metric in METRICS):
            yield local_above_global(rows)
            yield from (adaptive_above(rows, other) for other in ("global", "local"))
            yield size_of_gain(rows)
        groups = chapters["gbdt"]["details"]["sevenths"], chapters["gbdt"]["over_local"]
        yield from (every_group(*groups, method) for method in (ADAPTIVE, COUNTED))
    if found["shares"]:
        moved = [move for move in found["moved"] if move["family"] in chapters and move["metric"] == "map"]
        yield from with_more_data(moved)
    if "mf" in chapters:
        yield lower_quartiles(chapters["mf"]["quartiles"])


def verdict(contrasts: Sequence[Contrast]) -> str:
    """See `Claim`."""
    sides = [contrast.side for contrast in contrasts]
    above, below = sides.count(1), sides.count(-1)
    if not above and not below:
        return "unclear"
    if above == len(sides):
        return "yes"
    return "partly" if above > below else "no"


def told(contrasts: Sequence[Contrast]) -> str:
    """How many contrasts are on which side."""
    sides = [contrast.side for contrast in contrasts]
    return f"Of {len(sides)} differences {sides.count(1)} are surely so, {sides.count(-1)} surely the other way"


def highest(document: Plain) -> Claim:
    """The adaptive method less each of the paper's others, in every metric."""
    found = {(other, m): _pair(document, ADAPTIVE, other, m) for other in ("global", "local", "mtl") for m in METRICS}
    said = ", ".join(f"over {other} {found[other, 'map']}" for other in ("global", "local", "mtl"))
    paper = "Adaptive logistic regression reaches higher scores than global, local and multi-task learning."
    every = list(found.values())
    return Claim("ordering", "logistic", paper, f"{told(every)}; MAP {said}.", verdict(every))


def sooner(curves: Plain) -> Claim:
    """Whether adaptive models of fewer epochs are above the global model of T', or no better even at T'."""
    stop = int(curves["stop"])
    contrasts, said = [], []
    for metric in METRICS:
        pairs = sorted((p for p in curves["pairs"] if p["metric"] == metric), key=lambda p: int(p["ticks"]))
        above = [p["ticks"] for p in pairs if p["lo"] is not None and p["lo"] > 0]
        grid = [p["ticks"] for p in pairs]
        before = [p for p in pairs if p["ticks"] < stop] or pairs[:1]
        last = before[-1]
        first = next((p for p in before if p["lo"] is not None and p["lo"] > 0), last)
        contrasts.append(Contrast(first["diff"], first["lo"], first["hi"]))
        said.append(f"{name_of(metric)} {f'at T = {_runs(above, grid)}' if above else 'never'}")
    paper = "Adaptive logistic regression needs fewer epochs than the global model."
    ours = f"Global training stops at T' = {stop}; {ADAPTIVE} is surely above that model: {', '.join(said)}"
    end = f"; at T = {last['ticks']}, MAP {_of(curves['pairs'], 'map', last['ticks'])}."
    return Claim("direction", "logistic", paper, ours + end, verdict(contrasts))


def _runs(some: Sequence[int], grid: Sequence[int]) -> str:
    """Members of an ascending grid, neighbours as "first to last"."""
    runs: list[list[int]] = []
    for place in (grid.index(one) for one in some):
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(f"{grid[run[0]]} to {grid[run[-1]]}" if len(run) > 1 else str(grid[run[0]]) for run in runs)


def global_worst(document: Plain) -> Claim:
    """Each of the paper's other methods less the global model, in every metric."""
    others = ("local", "mtl", ADAPTIVE)
    found = {(other, metric): _pair(document, other, "global", metric) for other in others for metric in METRICS}
    said = ", ".join(f"{other} {found[other, 'map']}" for other in others)
    every = list(found.values())
    paper = "Global logistic regression is the worst method."
    return Claim("ordering", "logistic", paper, f"{told(every)}; MAP over global: {said}.", verdict(every))


def local_above_global(rows: Mapping[str, Plain]) -> Claim:
    """The paper's local trees are above as many global ones in every metric."""
    found = {(n, m): _seeds(rows, f"local {n}", f"global {n}", m) for n in COUNTS for m in METRICS}
    said = ", ".join(f"{count} trees {found[count, 'map']}" for count in COUNTS)
    every = list(found.values())
    paper = "Local trees are above as many global trees, in every metric."
    return Claim("ordering", "gbdt", paper, f"{told(every)}; MAP: {said}.", verdict(every))


def adaptive_above(rows: Mapping[str, Plain], other: str) -> Claim:
    """MAP of 20+50 less that of each row of `other` trees."""
    found = {count: _seeds(rows, ROW, f"{other} {count}", "map") for count in COUNTS}
    printed = ", ".join(signed(TREES[ROW][0][0] - TREES[f"{other} {count}"][0][0]) for count in COUNTS)
    paper = f"Adaptive trees (20+50) beat {other} trees; MAP over {', '.join(COUNTS)} of them: {printed}."
    said = ", ".join(map(str, found.values()))
    return Claim("direction", "gbdt", paper, f"MAP over as many: {said}.", verdict(list(found.values())))


def size_of_gain(rows: Mapping[str, Plain]) -> Claim:
    """The gain of 20+50 over 200 global trees; alike: within a factor of two."""
    paper: list[str] = []
    ours: list[str] = []
    alike = 0
    for place, metric in enumerate(METRICS):
        theirs = TREES[ROW][place][0] - TREES["global 200"][place][0]
        mine_base = float(rows["global 200"][metric]["mean"])
        mine = rows[ROW][metric]["mean"] - mine_base
        alike += 0.5 <= mine / theirs <= 2
        for said, gain, base in ((paper, theirs, TREES["global 200"][place][0]), (ours, mine, mine_base)):
            said.append(f"{name_of(metric)} {signed(gain)} ({signed(100 * gain / base, 1)} %)")
    agrees = "yes" if alike == len(METRICS) else "partly" if alike else "no"
    if len(rows[ROW]["map"]["values"]) < 2:
        agrees = "unclear"
    text = f"{', '.join(ours)}; {alike} of {len(METRICS)} within a factor of two."
    return Claim("size", "gbdt", f"Adaptive trees (20+50) over 200 global ones: {', '.join(paper)}.", text, agrees)


def every_group(groups: Sequence[Plain], over_local: Sequence[Plain], method: str) -> Claim:
    """MAP by abundance group, each interval alone; a group of fewer than `FEWEST` users tells nothing."""
    few = {row["group"] for row in groups if row["users"] < FEWEST}
    found: dict[tuple[int, str], Contrast] = {}
    for other, rows in (("global", groups), ("local", over_local)):
        for row in rows:
            contrast = _of_group(row, method)
            found[row["group"], other] = replace(contrast, lo=None, hi=None) if row["group"] in few else contrast
    every = list(found.values())
    ends = list(dict.fromkeys((groups[0]["group"], groups[-1]["group"])))
    said = "; ".join(f"group {g}: over global {found[g, 'global']}, over local {found[g, 'local']}" for g in ends)
    left = f"; fewer than {FEWEST} users in group {', '.join(map(str, sorted(few)))}" if few else ""
    name = "by abundance" if method == ADAPTIVE else "20+50"
    paper = f"Adaptive trees ({name}) beat global and local ones in MAP in every group, least and most data included."
    return Claim("direction", "gbdt", paper, f"{told(every)}; {said}{left}.", verdict(every))


def with_more_data(moved: Sequence[Plain]) -> Iterator[Claim]:
    """MAP on all training data less that on the smallest share."""
    papers = {
        "gbdt": "With more training data the tree methods gain (MAP, 20 to 100 %).",
        "logistic": f"With more training data logistic regression stays flat (moves of MAP within {FLAT}).",
    }
    for family, paper in papers.items():
        found = {m["method"]: Contrast(m["diff"], m["lo_all"], m["hi_all"]) for m in moved if m["family"] == family}
        if not found:
            continue
        judged = list(found.values()) if family == "gbdt" else [_flat(contrast) for contrast in found.values()]
        said = ", ".join(f"{name} {contrast}" for name, contrast in found.items())
        yield Claim("direction", family, paper, f"{said}.", verdict(judged))


def lower_quartiles(found: Sequence[Plain]) -> Claim:
    """Quartiles of users' own errors: each rival's less the adaptive method's."""
    every = [Contrast(one["theirs"] - one["ours"], one["lo"], one["hi"]) for one in found]
    rivals = list(dict.fromkeys(one["rival"] for one in found))
    medians = {one["rival"]: k for k, one in enumerate(found) if (one["metric"], one["point"]) == ("rmse", "median")}
    said = ", ".join(f"{rival} {every[medians[rival]]}" for rival in rivals)
    paper = "Adaptive matrix factorisation has the best quartiles of users' RMSE and MAE."
    return Claim("ordering", "mf", paper, f"{told(every)}; median RMSE less ours: {said}.", verdict(every))


def _flat(move: Contrast) -> Contrast:
    """Above 0 where a move is surely within `FLAT`, below where it is surely beyond."""
    if move.lo is None or move.hi is None:
        return Contrast(FLAT - abs(move.diff), None, None)
    nearest = 0.0 if move.lo <= 0 <= move.hi else min(abs(move.lo), abs(move.hi))
    return Contrast(FLAT - abs(move.diff), FLAT - max(abs(move.lo), abs(move.hi)), FLAT - nearest)


def _pair(document: Plain, method: str, other: str, metric: str) -> Contrast:
    """`method` less `other`, with the interval that holds for all pairs of a comparison."""
    for pair in document["pairs"]:
        if pair["metric"] == metric and {pair["a"], pair["b"]} == {method, other}:
            if pair["diff"] is None:
                return Contrast(float("nan"), None, None)
            sign = 1.0 if pair["a"] == method else -1.0
            lo, hi = sorted((sign * pair["lo_all"], sign * pair["hi_all"]))
            return Contrast(sign * pair["diff"], lo, hi)
    raise KeyError(f"{method} and {other} are not compared in {metric}")


def _of(pairs: Sequence[Plain], metric: str, ticks: int) -> Contrast:
    pair = next(one for one in pairs if (one["metric"], one["ticks"]) == (metric, ticks))
    return Contrast(pair["diff"], pair["lo"], pair["hi"])


def _seeds(rows: Mapping[str, Plain], one: str, other: str, metric: str) -> Contrast:
    """The mean over seeds of a difference, with Student's 95 % interval: seeds are splits of the same events."""
    gaps = np.subtract(rows[one][metric]["values"], rows[other][metric]["values"])
    mean, count = float(gaps.mean()), len(gaps)
    if count < 2:
        return Contrast(mean, None, None)
    reach = float(student.ppf(0.975, count - 1) * gaps.std(ddof=1) / count**0.5)
    return Contrast(mean, mean - reach, mean + reach)


def _of_group(row: Plain, method: str) -> Contrast:
    """The method's difference in MAP in a group, from whatever the group's differences are from."""
    for one in row["differences"]:
        if (one["method"], one["metric"]) == (method, "map") and one["diff"] is not None:
            return Contrast(one["diff"], one["lo"], one["hi"])
    return Contrast(float("nan"), None, None)
