"""Metrics against the share of the training data, of several families judged on the same test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.data.log import EventLog
from headstart.data.split import split
from headstart.evaluation import UserMetrics, bootstrap, pair_summary
from headstart.evaluation.summary import interval_summary
from headstart.experiments.study import Plain, Study, as_chosen
from headstart.methods.tuning import Choice

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
COMPARED = ("global", "local", "by-abundance", "fixed-20+50")

NOTE = (
    "The events of a share are drawn at random from each user's own, one at least, those of a smaller share among those"
    " of a larger; settings are those chosen on tune rows of all training data."
)


def share_point(studies: Sequence[Study], documents: Mapping[str, Plain], share: float) -> dict[str, Any]:
    """Each family's methods trained on `share` of the training rows.

    Returns keys ``points``, see `headstart.report.extras`, and ``pairs``: differences of the same method between
    families, paired by user, as `headstart.evaluation.pair_summary` says them.

    Parameters
    ----------
    studies : of families that learn from the same log with the same split
    documents : by family that of its comparison, whose settings are used
    """
    shown, users = studies[0].shown, dict[str, UserMetrics]()
    for study in studies:
        log = part_of(study.training, share, study.seed)
        users |= {f"{study.family} {name}": of for name, of in _trained_on(log, study, documents[study.family]).items()}
    found = bootstrap(users, seed=studies[0].seed, resamples=studies[0].resamples)
    points = []
    for both, intervals in found.metrics.items():
        family, _, name = both.partition(" ")
        metrics = interval_summary({metric: intervals[metric] for metric in shown})
        points.append({"share": share, "family": family, "method": name, "metrics": metrics})
    pairs = [pair_summary(pair) for pair in found.pairs if pair.metric in shown and _across(pair.a, pair.b)]
    return {"points": points, "pairs": pairs}


def shares(study: Study, document: Plain) -> dict[str, Any]:
    """Every point of one family, see `share_point`."""
    points: list[Plain] = []
    for done, share in enumerate(SHARES, start=1):
        points += share_point([study], {study.family: document}, share)["points"]
        study.trainer.progress("metrics against the share of the data", done, len(SHARES))
    return {"points": points, "note": NOTE}


def part_of(log: EventLog, share: float, seed: int) -> EventLog:
    """`share` of each user's events, or lists where there are any; always the same for a seed."""
    return log if share >= 1 else log.take(split(log, "user-random", seed=seed, test=1 - share, tune=0.0)[0].train)


def _trained_on(log: EventLog, study: Study, document: Plain) -> dict[str, UserMetrics]:
    """Users' metrics of each method when trained on `log`."""
    rows = [row for row in document["methods"] if row["name"] in COMPARED]
    choices = {row["name"]: Choice(as_chosen(row)) for row in rows}
    fitted = [one.fitted for one in study.trainer.train(log, rows[0]["settings"]["stop"], choices)]
    return study.judged(fitted)


def _across(a: str, b: str) -> bool:
    """Whether both are the same method of two families."""
    (one, _, method), (other, _, same) = a.partition(" "), b.partition(" ")
    return one != other and method == same
