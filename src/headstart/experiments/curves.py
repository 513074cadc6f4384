"""Metrics against T: the global path is used again, personal training is run again for each T."""

from __future__ import annotations

from typing import Any

from headstart.evaluation import bootstrap, pair_summary
from headstart.evaluation.summary import interval_summary
from headstart.experiments.study import Plain, Study, as_chosen

TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150, 200)
"""Values of T."""

CURVED = ("global", "local", "mtl", "as-printed", "by-abundance", "fine-tune", "anchored")
"""Methods that count in ticks."""

LEVEL = 0.95

NOTE = (
    "The global path is trained once and not stopped early; rates and strengths are those chosen on tune rows for the"
    " comparison, whatever T."
)


def curve_ticks(study: Study) -> list[int]:
    """Those of `TICKS` below the longest T of the family's grid, and that one."""
    longest = max(study.trainer.grid.ticks)
    return [*(ticks for ticks in TICKS if ticks < longest), longest]


def curves(study: Study, document: Plain) -> dict[str, Any]:
    """Every point, see `curve_point`."""
    points: list[Plain] = []
    for done, ticks in enumerate(wanted := curve_ticks(study), start=1):
        points += curve_point(study, document, ticks)["points"]
        study.trainer.progress("metrics against T", done, len(wanted))
    return {"points": points, "note": NOTE}


def curve_point(study: Study, document: Plain, ticks: int, against: str | None = None) -> dict[str, Any]:
    """Metrics of each method on the test rows for T = `ticks`.

    Returns keys ``points``, see `headstart.report.extras`, ``stop``, T' where tune rows would stop global training, and
    ``pairs``: the method called `against` (None: no pairs) less the global model at T', as
    `headstart.evaluation.pair_summary` says differences; lo and hi are at a level that holds for all T of a curve at
    once (Bonferroni).

    Parameters
    ----------
    document : of the comparison, whose settings are used
    """
    rows = {row["name"]: row for row in document["methods"]}
    names = [name for name in rows if name in CURVED]
    stop = int(document["methods"][0]["settings"]["stop"])
    methods = [as_chosen(rows[name], ticks) for name in names]
    if against is not None:
        methods.append(as_chosen(rows["global"], stop))
    judged = study.judged([method.fit(study.unstopped) for method in methods])
    users = dict(zip(names, judged, strict=False))
    sampling: dict[str, Any] = {"seed": study.seed, "resamples": study.resamples}
    found = bootstrap(users, paired=lambda a, b: False, **sampling)
    points = [
        {"method": name, "ticks": ticks, "metrics": interval_summary({m: intervals[m] for m in study.shown})}
        for name, intervals in found.metrics.items()
    ]
    if against is None:
        return {"points": points}
    level = 1 - (1 - LEVEL) / len(curve_ticks(study))
    pairs = bootstrap({against: users[against], "global": judged[-1]}, level=level, **sampling).pairs
    kept = [pair_summary(pair) for pair in pairs if pair.metric in study.shown]
    return {"points": points, "stop": stop, "pairs": [{"ticks": ticks, **pair} for pair in kept]}
