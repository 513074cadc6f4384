"""A made-up log for the tree benches: users who differ around a common model, most with few rows, some with many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from headstart.data.blocks import Blocks


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    Attributes
    ----------
    users, features : number of each
    median, spread : of the rows of a user, log-normal, at most 5,000
    stored : share of the features of a row that are not zero; below 1 the matrix is CSR
    prefix, trees, leaves : global trees that users stand on, own trees, their leaves
    threads, repeats : of both sides
    """

    users: int = 2000
    features: int = 50
    median: int = 100
    spread: float = 1.1
    stored: float = 1.0
    prefix: int = 20
    trees: int = 50
    leaves: int = 4
    threads: int = 2
    repeats: int = 3


def draw(size: Size) -> tuple[Blocks, Blocks]:
    """Training and test rows of the same users, four to one, seed 0."""
    rng = np.random.default_rng(0)
    counts = np.clip(rng.lognormal(np.log(size.median), size.spread, size.users), 4, 5000).astype(np.int64)
    train, test = (_part(rng, size, part) for part in (counts, np.maximum(counts // 4, 1)))
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 1, size.features) + rng.normal(0, 1, (size.users, size.features))
    scale = 1.5 / np.sqrt(2 * size.features * size.stored)
    return _labelled(rng, train, weights * scale), _labelled(rng, test, weights * scale)


def _part(rng: np.random.Generator, size: Size, counts: NDArray[np.int64]) -> Blocks:
    stop, n = np.cumsum(counts), int(counts.sum())
    users = pa.array(np.arange(size.users))
    if size.stored >= 1:
        return Blocks(rng.standard_normal((n, size.features), dtype=np.float32), users, stop - counts, stop)
    stored = max(1, round(size.features * size.stored))
    # Features differ in how common they are, and half of them are flags.
    chance = rng.random((n, size.features), dtype=np.float32) / np.linspace(0.2, 1.8, size.features, dtype=np.float32)
    columns = np.sort(np.argpartition(chance, stored, axis=1)[:, :stored], axis=1).astype(np.int32)
    values = np.where(columns % 2 == 0, np.float32(1), np.abs(rng.standard_normal(columns.shape, dtype=np.float32)))
    pointers = np.arange(n + 1, dtype=np.int64) * stored
    matrix = csr_array((values.reshape(-1), columns.reshape(-1), pointers), (n, size.features))
    matrix.indptr = matrix.indptr.astype(np.int64)
    return Blocks(matrix, users, stop - counts, stop)


def _labelled(rng: np.random.Generator, data: Blocks, weights: NDArray[np.float64]) -> Blocks:
    """Labels from a margin that bends, so that trees have something to find."""
    x, margin = data.features, np.empty(len(data.rows()))
    for user in range(len(data)):
        rows = slice(int(data.start[user]), int(data.stop[user]))
        margin[rows] = np.tanh(x[rows] if isinstance(x, np.ndarray) else x[rows].toarray()) @ weights[user]
    return replace(data, label=(rng.random(len(margin)) < expit(2 * margin)).astype(np.float32))
