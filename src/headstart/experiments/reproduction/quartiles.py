"""Quartiles of users' own errors, and how surely those of one method are lower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.evaluation import UserMetrics

POINTS: Mapping[str, float] = {"q1": 0.25, "median": 0.5, "q3": 0.75}
ERRORS = ("rmse", "mae")
LEVEL = 0.95


def quartile_differences(
    users: Mapping[str, UserMetrics], method: str, rivals: Sequence[str], *, seed: int = 0, resamples: int = 1000
) -> list[dict[str, Any]]:
    """Each rival's quartiles of users' errors less those of `method`: keys rival, metric, point, ours, theirs, lo, hi.

    Above 0 `method` errs less. Users are resampled, the same for all methods; lo and hi hold for all differences at
    once (Bonferroni).

    Parameters
    ----------
    users : metrics of the same users, by method
    """
    names, quantiles = [method, *rivals], list(POINTS.values())
    tail = (1 - LEVEL) / (2 * len(rivals) * len(ERRORS) * len(POINTS)) if rivals else 0.0
    found = []
    for metric in ERRORS:
        values = np.array([users[name].counted[metric] for name in names])
        values = values[:, ~np.isnan(values).any(axis=0)]
        here, rng = np.quantile(values, quantiles, axis=1), np.random.default_rng(seed)
        draws = np.array(
            [
                np.quantile(values[:, rng.integers(0, values.shape[1], values.shape[1])], quantiles, axis=1)
                for _ in range(resamples)
            ]
        )
        for m, rival in enumerate(rivals, start=1):
            for p, point in enumerate(POINTS):
                lo, hi = np.quantile(draws[:, p, m] - draws[:, p, 0], [tail, 1 - tail])
                ends = {"ours": here[p, 0], "theirs": here[p, m], "lo": lo, "hi": hi}
                about = {"rival": rival, "metric": metric, "point": point}
                found.append(about | {key: float(value) for key, value in ends.items()})
    return found
