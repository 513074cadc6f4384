"""A reproduction's report: the paper's statements and numbers beside ours, then a chapter for each experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headstart.report import beside, extras
from headstart.report.assemble import Report
from headstart.report.chapter import Chapter, chapter
from headstart.report.headline import Gain
from headstart.report.names import name_of, seconds, signed
from headstart.report.picture import Picture
from headstart.report.table import Table, bounds, words
from headstart.report.table import signed as change
from headstart.report.texts import cleaned

Plain = Mapping[str, Any]
ADAPTIVE = "by-abundance"
"""What stands for the paper's "adaptive": its schedule as it is explained."""

CHAPTERS: Mapping[str, str] = {
    "logistic": "Logistic regression",
    "gbdt": "Boosted trees",
    "families": "Logistic regression against trees",
    "mf": "Matrix factorisation",
}
"""Titles by id, in the order of the page; the statements of the paper stand before."""

OF_THE_PAPER = ("dataset", "title", "seed", "version", "statistics", "claims", "printed", "not_run", "seconds")


def reproduction(found: Plain, version: str = "") -> Report:
    """Lay out the report of the paper's experiments.

    Parameters
    ----------
    found : plain values under these keys

        - dataset, title, seed, version, seconds: of the data and of the whole run
        - statistics: rows of name, published and counts, see `headstart.report.beside.statistics`
        - claims: what the paper says in words beside what was found, rows of about (direction, ordering or size),
          family, paper, ours and agrees (yes, partly, no or unclear)
        - printed: the paper's table of trees, rows of name and metrics; each stands beside the row of that name in
          ``chapters.gbdt.more.trees``
        - chapters: for each of logistic, gbdt and mf that was run its document, details and more, see
          `headstart.report.assemble.assemble`
        - shares: what `headstart.report.extras.shares` draws, or None
        - families: differences of methods of two families, rows of metric, a, b, diff, lo, hi, lo_all and hi_all
        - not_run: why, by the name of what was not run
    version : of the program that lays it out, said at the foot
    """
    run: dict[str, Chapter] = {
        id: _experiment(id, CHAPTERS[id], one) for id, one in found["chapters"].items() if id in CHAPTERS
    }
    if found.get("shares") or found.get("families"):
        run["families"] = _families(cleaned(found.get("shares")), cleaned(found.get("families") or []))
    experiments = [run[id] for id in CHAPTERS if id in run]
    head = cleaned({key: found[key] for key in OF_THE_PAPER})
    trees = cleaned(found["chapters"].get("gbdt", {}).get("more", {}).get("trees"))
    title = head["title"].rstrip(".")
    about = f" The data: {title}." if title else ""
    return Report(
        f"Headstart: the paper's experiments on {head['dataset']}",
        f"The experiments of Ning et al. (RecSys 2017), done again.{about} Seed {head['seed']};"
        f" {seconds(head['seconds'])} in all.",
        [_paper(head, trees, experiments), *experiments],
        version or head["version"],
    )


def _experiment(id: str, title: str, one: Plain) -> Chapter:
    """A comparison's chapter; what the paper drew alike is said so."""
    made = chapter(id, title, one["document"], one["details"], one.get("more"), (ADAPTIVE,))
    pictures = [_as_in_the_paper(picture) for picture in made.pictures]
    return replace(made, pictures=pictures).among_others()


def _as_in_the_paper(picture: Picture) -> Picture:
    if picture.id != "scatter":
        return picture
    return replace(
        picture, aid=picture.aid.replace("One point a user.", "One point a user, as in the paper's figure 1.")
    )


def _paper(head: Plain, trees: Plain | None, experiments: Sequence[Chapter]) -> Chapter:
    """What the paper says, beside what was found."""
    every = [
        beside.claims(head["claims"]),
        *(beside.trees(head["printed"], trees) if head["printed"] and trees else ()),
        beside.statistics(head["statistics"]),
        beside.not_run(head["not_run"]),
    ]
    counts = beside.agreements(head["claims"])
    gains = [_gain_tile(one) for one in experiments if one.chosen in one.headlines]
    time = {"label": "Time of the whole run", "value": seconds(head["seconds"]), "note": f"seed {head['seed']}"}
    made = Chapter(
        id="paper",
        title="The paper beside this data",
        lead="Statements of the paper and what this data says of them. The paper's data is another, and its news log is"
        " not public: directions, orders of methods and sizes of gains can agree, levels of metrics need not.",
        document=head,
        said={
            "sentence": beside.sentence(counts),
            "tiles": [*([beside.tile(counts)] if sum(counts.values()) else []), *gains, time],
        },
        tables=[table for table in every if table.rows],
    )
    return made.among_others()


def _gain_tile(one: Chapter) -> dict[str, Any]:
    """The first tile of a chapter, which is the gain of its chosen method."""
    tile = dict(one.headlines[str(one.chosen)]["tiles"][0])
    return {**tile, "label": f"{one.title}: {tile['label']}", "note": f"{one.chosen}, {tile['note']}"}


def _families(shares: Plain | None, pairs: Sequence[Plain]) -> Chapter:
    """Models of two families on the same split: on shares of the training data, and on all of it."""
    gains = [(pair, _gain(pair)) for pair in pairs]
    rows = [
        [
            words(name_of(pair["metric"])),
            words(pair["a"]),
            words(pair["b"]),
            change(pair["diff"]),
            bounds(pair["lo"], pair["hi"]),
            bounds(pair["lo_all"], pair["hi_all"]),
            words(*_verdict(gain)),
        ]
        for pair, gain in gains
    ]
    columns = ["metric", "model", "less", "difference", "95 %", "95 %, all pairs", "model is"]
    note = (
        "On all training data, the same test events and users; bootstrap intervals over users, of the pair alone and of"
        " all pairs and metrics at once. The last column goes by the latter."
    )
    table = Table("differences", "Differences between families", columns, rows, note)
    first = [one for one in gains if all(one[0][side] == gains[0][0][side] for side in "ab")]
    made = Chapter(
        id="families",
        title=CHAPTERS["families"],
        lead="Models of both families on the same split of the same data.",
        document={"shares": shares, "families": list(pairs)},
        said={"sentence": _families_say(first), "tiles": [_pair_tile(pair, gain) for pair, gain in first]},
        pictures=[extras.shares(shares)] if shares and shares["points"] else [],
        tables=[table] if rows else [],
    )
    return made.among_others()


def _gain(pair: Plain) -> Gain:
    return Gain(pair["metric"], None, None, pair["diff"], pair["lo_all"], pair["hi_all"])


def _verdict(gain: Gain) -> tuple[str, str]:
    """In a word, and its tone."""
    said: dict[bool | None, tuple[str, str]] = {
        True: ("better", "good"),
        False: ("worse", "bad"),
        None: ("not told apart", "even"),
    }
    return said[gain.better]


def _families_say(gains: Sequence[tuple[Plain, Gain]]) -> str:
    """Of two models, metric by metric, no more than the intervals allow."""
    if not gains:
        return ""
    a, b = gains[0][0]["a"], gains[0][0]["b"]
    said: dict[str, list[str]] = {}
    for pair, gain in gains:
        said.setdefault(_verdict(gain)[0], []).append(name_of(pair["metric"]))
    ways = {"better": f"{a} is better than {b} in", "worse": f"{a} is worse than {b} in"}
    ways["not told apart"] = f"the data do not tell {a} from {b} in"
    text = "; ".join(f"{ways[way]} {', '.join(metrics)}" for way, metrics in said.items())
    return f"By 95 % intervals of all differences at once, on all training data: {text}."


def _pair_tile(pair: Plain, gain: Gain) -> dict[str, Any]:
    verdict = _verdict(gain)[0]
    note = f"{pair['a']} less {pair['b']}; 95 % interval {signed(gain.lo)} to {signed(gain.hi)}: {verdict}."
    return {"label": name_of(pair["metric"]), "value": signed(gain.diff), "note": note, "verdict": verdict}
