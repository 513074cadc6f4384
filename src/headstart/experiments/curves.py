"""Metrics against training epochs: the global path is used again, personal training is run again for each T."""

from __future__ import annotations

from typing import Any

from headstart.evaluation import bootstrap
from headstart.evaluation.summary import interval_summary
from headstart.experiments.study import Plain, Study, as_chosen

TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150, 200)
"""Values of T."""

CURVED = ("global", "local", "mtl", "as-printed", "by-abundance", "fine-tune", "anchored")
"""Methods that count in ticks."""

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


def curve_point(study: Study, document: Plain, ticks: int) -> dict[str, Any]:
    """Key ``points``: for each method its metrics on the test rows for T = `ticks`, see `headstart.report.extras`.

    Parameters
    ----------
    document : of the comparison, whose settings are used
    """
    methods = [as_chosen(row, ticks) for row in document["methods"] if row["name"] in CURVED]
    users = study.judged([method.fit(study.unstopped) for method in methods])
    found = bootstrap(users, seed=study.seed, resamples=study.resamples).metrics
    return {
        "points": [
            {"method": name, "ticks": ticks, "metrics": interval_summary({m: intervals[m] for m in study.shown})}
            for name, intervals in found.items()
        ]
    }
