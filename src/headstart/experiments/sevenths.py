"""Methods by abundance in as many groups as the paper has, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.evaluation import bootstrap, pair_summary
from headstart.evaluation.summary import interval_summary
from headstart.experiments.compare import REFERENCE, Evidence
from headstart.schedules import Borders, ByAbundance, UserTable

PAPER_GROUPS = 7


def by_paper_groups(
    evidence: Evidence, *, reference: str = REFERENCE, seed: int = 0, resamples: int = 1000
) -> list[dict[str, Any]]:
    """Each group that has evaluated users: keys group, users, events, fewest, most, methods, differences.

    Groups are those of `ByAbundance` with C = 7, cut from training events: group 1 has the least. ``methods`` leads to
    metric to mean, lo and hi over the group's users; ``differences`` are those of each method from `reference`, with
    the interval of each alone. Both are from resamples of the group's own users.

    Parameters
    ----------
    reference : a method; where it was not compared there are no differences
    seed, resamples : see `bootstrap`
    """
    table, borders = UserTable(evidence.log.users, evidence.events), Borders.of(evidence.events)
    group = ByAbundance(PAPER_GROUPS).plan(table, PAPER_GROUPS, borders=borders).group
    evaluated = evidence.log.counts > 0
    rows = []
    for number in np.unique(group[evaluated & (evidence.events > 0)]).tolist():
        here = evaluated & (evidence.events > 0) & (group == number)
        inside = {name: users.select(here) for name, users in evidence.metrics.items()}
        # The first of a pair is the one that comes first here.
        last = {reference: inside.pop(reference)} if reference in inside else {}
        found = bootstrap({**inside, **last}, seed=seed, resamples=resamples, paired=lambda a, b: b == reference)
        pairs = [pair_summary(pair) for pair in found.pairs]
        events = evidence.events[here]
        rows.append(
            {
                "group": int(number),
                "users": int(here.sum()),
                "events": int(events.sum()),
                "fewest": int(events.min()),
                "most": int(events.max()),
                "methods": {name: interval_summary(found.metrics[name]) for name in evidence.metrics},
                "differences": [
                    {"method": pair["a"], **{key: pair[key] for key in ("metric", "diff", "lo", "hi")}}
                    for pair in pairs
                ],
            }
        )
    return rows
