"""Metrics against the share of the training data, of several families judged on the same test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.data.log import EventLog
from headstart.data.split import sample
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


def shares(study: Study, document: Plain) -> dict[str, Any]:
    """Every point of one family, see `share_points`."""
    points: list[Plain] = []
    for done, share in enumerate(SHARES, start=1):
        points += share_points([study], {study.family: document}, [share])["points"]
        study.trainer.progress("metrics against the share of the data", done, len(SHARES))
    return {"points": points, "note": noted(points)}


def share_points(studies: Sequence[Study], documents: Mapping[str, Plain], wanted: Sequence[float]) -> dict[str, Any]:
    """Each family's methods trained on shares of the training rows.

    Returns keys ``points``, see `headstart.report.extras`, each with ``drawn``, the part of all training events that it
    was trained on; ``moved``: for each method the difference of the largest share from the smallest; ``families``:
    differences of a method between families at the largest share. Differences are paired by user, as
    `headstart.evaluation.pair_summary` says them; simultaneous intervals are of all of ``moved``, or of ``families``.

    Parameters
    ----------
    studies : of families that learn from the same log with the same split
    documents : by family that of its comparison, whose settings are used
    wanted : shares, ascending
    """
    users: dict[str, UserMetrics] = {}
    drawn: dict[float, float] = {}
    for share in wanted:
        log = studies[0].training.take(sample(studies[0].training, share, studies[0].seed))
        drawn[share] = len(log) / len(studies[0].training)
        for study in studies:
            trained = _trained_on(log, study, documents[study.family])
            users |= {_key(study.family, name, share): of for name, of in trained.items()}
    sampling: dict[str, Any] = {"seed": studies[0].seed, "resamples": studies[0].resamples}
    points = []
    for key, intervals in bootstrap(users, paired=lambda a, b: False, **sampling).metrics.items():
        family, name, share = _parts(key)
        metrics = interval_summary({metric: intervals[metric] for metric in studies[0].shown})
        points.append({"share": share, "drawn": drawn[share], "family": family, "method": name, "metrics": metrics})

    def differences(paired: Any) -> list[dict[str, Any]]:
        pairs = [pair_summary(pair) for pair in bootstrap(users, paired=paired, **sampling).pairs]
        return [pair for pair in pairs if pair["metric"] in studies[0].shown]

    least, most = wanted[0], wanted[-1]
    return {
        "points": points,
        "moved": [
            {"family": _parts(pair["a"])[0], "method": _parts(pair["a"])[1], **_turned(pair)}
            for pair in (differences(lambda a, b: _same(a, b, least, most)) if least < most else ())
        ],
        "families": [
            {**pair, "a": " ".join(_parts(pair["a"])[:2]), "b": " ".join(_parts(pair["b"])[:2])}
            for pair in (differences(lambda a, b: _across(a, b, most)) if len(studies) > 1 else ())
        ],
    }


def noted(points: Sequence[Plain]) -> str:
    """How shares were drawn, and how much they hold."""
    drawn = {point["share"]: point["drawn"] for point in points}
    said = ", ".join(f"{100 * of:.1f} %" for of in drawn.values())
    return f"{NOTE} Of all training events these are {said}."


def _trained_on(log: EventLog, study: Study, document: Plain) -> dict[str, UserMetrics]:
    """Users' metrics of each method when trained on `log`."""
    rows = [row for row in document["methods"] if row["name"] in COMPARED]
    choices = {row["name"]: Choice(as_chosen(row)) for row in rows}
    fitted = [one.fitted for one in study.trainer.train(log, rows[0]["settings"]["stop"], choices)]
    return dict(zip(choices, study.judged(fitted), strict=True))


def _key(family: str, method: str, share: float) -> str:
    return f"{family} {method} {share}"


def _parts(key: str) -> tuple[str, str, float]:
    family, method, share = key.split(" ")
    return family, method, float(share)


def _same(a: str, b: str, least: float, most: float) -> bool:
    """Whether both are the same model at the smallest and at the largest of several shares."""
    (one, this, low), (other, that, high) = _parts(a), _parts(b)
    return (one, this) == (other, that) and low == least and high == most


def _across(a: str, b: str, most: float) -> bool:
    """Whether both are the same method of two families at the largest share."""
    (one, this, low), (other, that, high) = _parts(a), _parts(b)
    return one != other and this == that and low == high == most


def _turned(pair: Plain) -> dict[str, Any]:
    """The second less the first."""

    def minus(value: float | None) -> float | None:
        return None if value is None else 0.0 - value

    ends = {"lo": "hi", "hi": "lo", "lo_all": "hi_all", "hi_all": "lo_all"}
    return {"metric": pair["metric"], "diff": minus(pair["diff"])} | {key: minus(pair[of]) for key, of in ends.items()}
