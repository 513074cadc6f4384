"""What the paper printed (Ning et al., RecSys 2017, section 4); its news data is not public."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHODS: Mapping[str, tuple[str, ...]] = {
    "logistic": ("global", "local", "mtl", "as-printed", "by-abundance", "learned"),
    "gbdt": ("global", "local", "as-printed", "by-abundance", "fixed-20+50", "learned"),
    "mf": ("global", "local", "mtl", "as-printed", "by-abundance", "posterior", "learned"),
}
"""What the paper compares, its schedule as printed and as explained, and what `headstart fit` makes."""

COUNTED = "fixed-20+50"
"""Adaptive trees in their other form: 20 global ones, then 50 of the user's own, whoever the user is."""

METRICS = ("map", "mrr", "auc", "ndcg")
"""In the paper's order."""

TREES: dict[str, tuple[tuple[float, float], ...]] = {
    "global 20": ((0.2094, 1e-3), (0.3617, 2e-3), (0.6290, 1e-3), (0.5329, 6e-4)),
    "global 50": ((0.2137, 1e-3), (0.3726, 1e-3), (0.6341, 1e-3), (0.5372, 6e-4)),
    "global 100": ((0.2150, 8e-3), (0.3769, 1e-3), (0.6356, 8e-4), (0.5392, 6e-4)),
    "global 200": ((0.2161, 5e-4), (0.3848, 1e-3), (0.6412, 6e-4), (0.5415, 5e-4)),
    "local 20": ((0.2262, 2e-3), (0.4510, 5e-3), (0.6344, 3e-3), (0.5604, 2e-3)),
    "local 50": ((0.2319, 2e-3), (0.4446, 4e-3), (0.6505, 2e-3), (0.5651, 2e-3)),
    "local 100": ((0.2328, 1e-3), (0.4465, 5e-3), (0.6558, 2e-3), (0.5651, 2e-3)),
    "local 200": ((0.2322, 2e-3), (0.4431, 2e-3), (0.6566, 1e-3), (0.5649, 1e-3)),
    "adaptive 20+50": ((0.2343, 2e-3), (0.4474, 4e-3), (0.6555, 2e-3), (0.5661, 2e-3)),
    "adaptive 50+50": ((0.2325, 2e-3), (0.4472, 1e-4), (0.6561, 8e-4), (0.5666, 6e-4)),
    "adaptive 10+100": ((0.2329, 2e-3), (0.4423, 3e-3), (0.6587, 1e-3), (0.5650, 3e-3)),
}
"""Boosted trees on the news data, mean and standard deviation over 10 runs; rows as in `headstart.experiments.grid`."""

STATISTICS: tuple[dict[str, Any], ...] = (
    {
        "name": "news portal",
        "users": 54_845,
        "items": None,
        "features": 351,
        "events": 2_378_918 + 26_916_620,
        "positives": 2_378_918,
        "events_per_user": 534.0,
        "positives_per_user": 43.0,
        "sparsity": None,
    },
    {"name": "Netflix", "users": 478_920, "items": 17_766, "sparsity": 0.00942},
    {"name": "MovieLens", "users": 1_721, "items": 3_331, "sparsity": 0.039},
)
"""The paper's data sets; what it did not print is missing or None."""


def printed() -> list[dict[str, Any]]:
    """`TREES` as rows: keys name and metrics, which lead from metric to mean and sd."""
    return [
        {
            "name": name,
            "metrics": {metric: {"mean": mean, "sd": sd} for metric, (mean, sd) in zip(METRICS, values, strict=True)},
        }
        for name, values in TREES.items()
    ]
