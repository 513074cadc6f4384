"""Scores of trees: rows a second of the global trees beside LightGBM's predict, and what one row of one user takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any

import lightgbm
import numpy as np

from headstart.bench.heavy_tailed import Size, draw
from headstart.bench.personal_gbdt import grow_prefix, grow_shards
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks, frozen
from headstart.kernels.trees import score_rows, score_users
from headstart.models.family import Personal, State
from headstart.models.gbdt import GradientBoosting
from headstart.models.gbdt.forest import columns_of, columns_of_users
from headstart.progress import Progress, silent

STAGE = "bench score-gbdt"
CALLS = 2000
score_all: Any = score_rows
score_own: Any = score_users


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Time both in turn, one thread each; medians of the repeats."""
    size = size or Size(prefix=100, repeats=5)
    train, _ = draw(size)
    family = GradientBoosting(own_leaves=size.leaves)
    start, text = grow_prefix(family, train, size)
    booster = lightgbm.Booster(model_str=text, params={"verbosity": -1})
    own = grow_shards(family, start, train.select(np.arange(1)), size)[0]
    features, forest = frozen(np.asarray(train.features)), columns_of(start)
    rows = frozen(np.arange(len(features)))

    def ours() -> Any:
        out = np.full(len(rows), start["base"][0])
        score_all(features, rows, *forest, out)
        return out

    def peer() -> Any:
        return booster.predict(features, raw_score=True, num_threads=1)

    gap = float(np.abs(ours() - peer()).max())
    times: dict[Callable[[], Any], list[float]] = {ours: [], peer: []}
    for repeat in range(size.repeats):
        progress(STAGE, repeat, size.repeats)
        for work, found in times.items():
            found.append(_seconds(work))
    progress(STAGE, size.repeats, size.repeats)
    single = _single(family, start, own, train)
    notes = (
        f"{len(rows)} rows of {size.features} features through {size.prefix} global trees of {family.leaves} leaves, "
        f"one thread each, medians of {size.repeats}; peer: LightGBM {lightgbm.__version__}, predict with raw scores, "
        f"which differ by at most {gap:.1g}; one row through these and {size.trees} own trees of {size.leaves} leaves: "
        f"{single['kernels'] * 1e6:.1f} us by the kernels on arrays at hand, {single['family'] * 1e6:.0f} us by the "
        f"family, LightGBM's predict of one row and the global trees alone {_lone(booster, features) * 1e6:.0f} us"
    )
    return Measured(len(rows) / median(times[ours]), len(rows) / median(times[peer]), "rows/s", notes)


def _single(family: GradientBoosting, start: State, own: Personal, data: Blocks) -> dict[str, float]:
    """Seconds for one row of one user, called from Python."""
    features, row, indptr = (frozen(a) for a in (np.asarray(data.features), np.zeros(1, np.int64), np.array([0, 1])))
    forest, trees = columns_of(start), columns_of_users(own)
    one = replace(data.select(np.arange(1)), stop=data.start[:1] + 1)

    def kernels() -> Any:
        out = np.zeros(1)
        score_all(features, row, *forest, out)
        score_own(features, row, indptr, *trees, out)
        return out

    return {"kernels": _each(kernels), "family": _each(lambda: family.score(start, own, one))}


def _lone(booster: Any, features: Any) -> float:
    row = features[:1]
    return _each(lambda: booster.predict(row, raw_score=True, num_threads=1))


def _each(work: Callable[[], Any]) -> float:
    """Median seconds of a call."""
    work()
    return median(_seconds(work) for _ in range(CALLS))


def _seconds(work: Callable[[], Any]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun
