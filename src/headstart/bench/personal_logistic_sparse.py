"""Personal logistic regressions on CSR rows: users a second, beside our dense kernels on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import process_time
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from headstart.bench.personal_logistic import fit_shards, timed
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.kernels.dtypes import NARROW
from headstart.models.family import State
from headstart.models.logistic import LogisticRegression, expand
from headstart.progress import Progress, silent

STAGE = "bench personal-logistic-sparse"


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    Attributes
    ----------
    users, features, stored : number of each, stored values in a row
    median, spread, most : rows of a user, log-normal, at most so many
    dense_users : users who are trained on dense rows too
    """

    users: int = 20_000
    features: int = 351
    stored: int = 30
    median: int = 40
    spread: float = 1.1
    most: int = 5000
    dense_users: int = 2000
    steps: int = 20
    shard: int = 500
    threads: int = 2
    repeats: int = 3


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Time parts of the users and all of them, medians of the repeats, and some of them on dense rows in turn."""
    size = size or Size()
    data, family = draw(size), LogisticRegression(l2=1.0)
    start = {"coef": np.zeros(size.features, np.float32), "intercept": np.zeros(1, np.float32)}
    some = data.select(np.arange(min(size.dense_users, size.users)))
    matrix = cast(csr_array, some.features)[: some.stop[-1]]
    dense = replace(some, features=np.ascontiguousarray(matrix.toarray()))
    parts = [data.select(np.arange(size.users // share)) for share in (8, 4, 2, 1)]
    found: list[list[float]] = [[] for _ in parts]
    theirs, busy = [], []
    for part in (some, dense):
        fit_shards(family, start, part.select(np.arange(1)), size)
    for repeat in range(size.repeats):
        progress(STAGE, repeat, size.repeats)
        for part, times in zip(parts, found, strict=True):
            used = process_time()
            times.append(timed(partial(fit_shards, family, start, part, size))[0])
        busy.append(process_time() - used)
        theirs.append(timed(lambda: fit_shards(family, start, dense, size))[0])
    progress(STAGE, size.repeats, size.repeats)
    speeds = [len(part) / median(times) for part, times in zip(parts, found, strict=True)]
    counts = data.counts
    notes = (
        f"{size.users} users of {np.median(counts):.0f} rows (median, mean {counts.mean():.0f}, most "
        f"{counts.max()}), {size.stored} stored "
        f"values a row in {size.features} columns, {size.steps} steps, {size.threads} threads, median of "
        f"{size.repeats}; at 1/8, "
        f"1/4, 1/2 and all of the users {', '.join(f'{speed:.0f}' for speed in speeds)} users/s, in processor time "
        f"{len(data) / median(busy) * size.threads:.0f}; peer: our own dense "
        f"kernels, {len(dense)} users; coefficients differ by at most {_gap(family, start, some, dense, size):.1g}"
    )
    return Measured(speeds[-1], len(dense) / median(theirs), "users/s", notes)


def draw(size: Size) -> Blocks:
    """Users who differ around a common model, a few columns much more common than most, seed 0."""
    rng = np.random.default_rng(0)
    counts = np.clip(rng.lognormal(np.log(size.median), size.spread, size.users), 1, size.most).astype(np.int64)
    stop, n = np.cumsum(counts), int(counts.sum())
    columns = common_columns(rng, n, size.features, size.stored)
    matrix = csr_array((n, size.features), dtype=np.float32)
    matrix.data = np.abs(rng.standard_normal(columns.size, dtype=np.float32))
    matrix.indices, matrix.indptr = columns.reshape(-1), np.arange(n + 1, dtype=np.int64) * size.stored
    margin = matrix @ rng.normal(0, 0.3, size.features)
    label = (rng.random(n) < expit(margin)).astype(np.float32)
    return Blocks(matrix, pa.array(np.arange(size.users)), stop - counts, stop, label)


def common_columns(rng: np.random.Generator, rows: int, width: int, stored: int) -> NDArray[np.int16]:
    """Columns of each row (rows, stored), distinct and sorted: one of each stretch, its first ones more often."""
    stretch = width // stored
    within = (stretch * rng.random((rows, stored), dtype=np.float32) ** 2).astype(NARROW)
    return np.minimum(within, stretch - 1) + stretch * np.arange(stored, dtype=NARROW)


def _gap(family: LogisticRegression, start: State, sparse: Blocks, dense: Blocks, size: Size) -> float:
    one, other = (
        np.concatenate([expand(start, p) for p in fit_shards(family, start, part, size)]) for part in (sparse, dense)
    )
    return float(np.abs(one - other).max())
