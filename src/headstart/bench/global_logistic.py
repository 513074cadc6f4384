"""Global logistic regression: bytes of features and labels that a tick reads a second, beside a copy of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from headstart.bench.limits import Turn, middle, traffic, turn
from headstart.bench.personal_logistic_sparse import common_columns
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks, Matrix
from headstart.models.logistic import LogisticRegression
from headstart.progress import Progress, silent

STAGE = "bench global-logistic"


@dataclass(frozen=True)
class Size:
    """How much there is to do; the CSR rows have `stored` of `columns`."""

    rows: int = 4_800_000
    features: int = 28
    sparse_rows: int = 1_600_000
    columns: int = 351
    stored: int = 30
    threads: int = 2
    repeats: int = 5


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Ticks of parts and of all of the rows, medians, each beside a copy in turn."""
    size = size or Size()
    copying = traffic(size.threads)
    x = np.random.default_rng(0).standard_normal((size.rows, size.features), dtype=np.float32)
    found = []
    for part, share in enumerate((8, 4, 2, 1)):
        tick = _tick(x[: size.rows // share], size, copying)
        read = (len(x) // share) * 4 * (size.features + 1)
        found.append(read / tick.seconds)
        progress(STAGE, part, 5)
    del x
    matrix = _sparse(size)
    sparse = _tick(matrix, size, copying)
    progress(STAGE, 5, 5)
    stored = size.sparse_rows * size.stored
    own = read / tick.own_seconds
    csr = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes + 4 * size.sparse_rows
    grown = ", ".join(f"{rate / 1e9:.2f}" for rate in found)
    notes = (
        f"{size.rows} rows x {size.features} features, bytes of X and y a tick, each counted once, "
        f"{size.threads} threads, median of {size.repeats} ticks; limit: bytes read and written by a copy; at "
        f"1/8, 1/4, 1/2 and all of the rows {grown} "
        f"GB/s; in processor time {own / 1e9:.2f} GB/s, {own / tick.own_limit:.2f} of the copy; "
        f"CSR, {size.sparse_rows} rows of {size.stored} out of {size.columns} columns: "
        f"{csr / sparse.seconds / 1e9:.2f} GB/s, {stored / sparse.seconds / 1e6:.0f} million stored values a second, "
        f"in processor time {stored / sparse.own_seconds / 1e6:.0f}"
    )
    return Measured(found[-1] / 1e9, None, "GB/s", notes, tick.limit / 1e9)


def _tick(features: Matrix, size: Size, copying: Callable[[], float]) -> Turn:
    """Ticks, each right after a copy."""
    n = int(features.shape[0])
    label = (np.random.default_rng(1).random(n) < 0.5).astype(np.float32)
    data = Blocks(features, pa.array([0]), np.array([0]), np.array([n]), label)
    family = LogisticRegression()
    prep = family.prepare(data, 0, size.threads)
    run = family.step(family.init(prep), prep)
    return middle([turn(copying, lambda: family.step(run, prep), size.threads) for _ in range(size.repeats)])


def _sparse(size: Size) -> csr_array:
    """Rows of distinct columns, some of them much more common than others."""
    rng = np.random.default_rng(2)
    n = size.sparse_rows
    columns = common_columns(rng, n, size.columns, size.stored)
    matrix = csr_array((n, size.columns), dtype=np.float32)
    matrix.data = np.ones(columns.size, np.float32)
    matrix.indices, matrix.indptr = columns.reshape(-1), np.arange(n + 1, dtype=np.int64) * size.stored
    return matrix
