"""Small blocks with planted structure, for contracts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from headstart.data.blocks import Blocks


def toy_blocks(users: int = 12, width: int = 6, sparse: bool = False, seed: int = 0) -> Blocks:
    """Labelled events of users with weights of their own; the first user has no event, the second has one."""
    rng = np.random.default_rng(seed)
    counts = np.r_[0, 1, rng.integers(5, 60, users - 2)].astype(np.int64)
    stop = np.cumsum(counts)
    features = rng.standard_normal((stop[-1], width)).astype(np.float32)
    if sparse:
        features[rng.random(features.shape) < 0.7] = 0.0
    owner = np.repeat(np.arange(users), counts)
    weights = rng.standard_normal(width) + 0.7 * rng.standard_normal((users, width))
    margin = (features * weights[owner]).sum(axis=1) - 0.3
    label = (rng.random(len(margin)) < 1.0 / (1.0 + np.exp(-margin))).astype(np.float32)
    return Blocks(
        features=_csr(features) if sparse else features,
        users=pa.array([f"user {number:03d}" for number in range(users)]),
        start=stop - counts,
        stop=stop,
        label=label,
        weight=rng.uniform(0.5, 2.0, len(label)).astype(np.float32),
        offset=rng.normal(0.0, 0.1, len(label)).astype(np.float32),
        item=rng.integers(0, 9, len(label)).astype(np.int32),
    )


def _csr(features: np.ndarray) -> csr_array:
    made = csr_array(features)
    made.indptr = made.indptr.astype(np.int64)
    made.indices = made.indices.astype(np.int32)
    return made
