"""Users in four parts by how much data they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.intervals import bootstrap
from headstart.evaluation.metrics import UserMetrics
from headstart.evaluation.summary import group_summary, pair_summary


def quartile_of(events: NDArray[np.int64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The quartile of each user, 1 (least data) to 4, int64 (U,); 0 for users that are not `among`.

    It is ``1 + floor(4 r / n)``, r of the n users having fewer events. Users with equally many are never divided: all
    of them are where the first of them falls, and a quartile that nobody falls into has no user.

    Parameters
    ----------
    events : int64 (U,)
    among : bool (U,), the n users that are ranked
    """
    ranked = np.sort(events[among])
    fewer = np.searchsorted(ranked, events, side="left")
    quartile: NDArray[np.int64] = np.where(among, 1 + 4 * fewer // max(len(ranked), 1), 0)
    return quartile


def quartile_summary(
    events: NDArray[np.int64],
    methods: Mapping[str, UserMetrics],
    *,
    reference: str = "global",
    seed: int = 0,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Each quartile of the users with held-out rows: keys quartile, users, events, fewest, most, metrics, differences.

    Differences are those of each method from `reference`, if that is among `methods`: keys method, metric, diff, lo,
    hi, the interval of this difference alone, from resamples of the quartile's users.

    Parameters
    ----------
    events : int64 (U,), training events; added up in each quartile, fewest and most of a user beside
    methods : metrics of the same U users
    seed, resamples : see `bootstrap`
    """
    quartile = quartile_of(events, next(iter(methods.values())).rows > 0)
    rows = []
    for row in group_summary(np.where(quartile > 0, quartile, -1), events, methods):
        number = row.pop("group")
        here = quartile == number
        inside = {name: users.select(here) for name, users in methods.items()}
        span = {"fewest": int(events[here].min()), "most": int(events[here].max())}
        differences = _differences(inside, reference, seed, resamples)
        rows.append({"quartile": number, **row, **span, "differences": differences})
    return rows


def _differences(methods: Mapping[str, UserMetrics], reference: str, seed: int, resamples: int) -> list[dict[str, Any]]:
    """Every method less `reference`."""
    if reference not in methods:
        return []
    others = {name: users for name, users in methods.items() if name != reference}
    # The first of a pair is the one that comes first here.
    found = bootstrap({**others, reference: methods[reference]}, seed=seed, resamples=resamples).pairs
    pairs = [pair_summary(pair) for pair in found if pair.b == reference]
    return [{"method": pair["a"], **{key: pair[key] for key in ("metric", "diff", "lo", "hi")}} for pair in pairs]
