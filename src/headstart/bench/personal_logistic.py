"""Personal logistic regressions: users a second, beside a loop of scikit-learn fits of the same objective."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import config_context
from sklearn.linear_model import LogisticRegression as Peer
from threadpoolctl import threadpool_limits

from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.models.family import Orders
from headstart.models.logistic import LogisticRegression, expand
from headstart.progress import Progress, silent

Theta: TypeAlias = NDArray[np.float64]
"""Coefficients and intercept of each user, (U, d + 1)."""

STAGE = "bench personal-logistic"
TOLERANCES = (0.1, 0.03, 0.01, 0.003, 1e-3, 1e-4, 1e-6)
"""When the peer may stop; of these the loosest that reaches our loss is measured. 1e-4 is the peer's default."""


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    users: int = 20_000
    rows: int = 100
    features: int = 48
    steps: int = 50
    peer_users: int = 400
    shard: int = 500
    threads: int = 2
    repeats: int = 5


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Time both in turn in the same run, medians of the repeats; losses are full objectives, means over users."""
    size = size or Size()
    data, family = _log(size), LogisticRegression(l2=1.0)
    some = np.random.default_rng(1).choice(size.users, min(size.peer_users, size.users), replace=False)
    part = data.select(np.arange(min(4000, size.users)))
    compiling, _ = _timed(lambda: _ours(family, data.select(some[:1]), size, 1))
    single = len(part) / median(_timed(lambda: _ours(family, part, size, 1))[0] for _ in range(size.repeats))
    goal = _objective(_ours(family, data, size, size.threads)[some], data, some, family.l2)
    batch = max(1, len(some) // (4 * size.threads))
    # More than one BLAS thread slows the peer five times over on matrices this small.
    with threadpool_limits(1), Parallel(n_jobs=size.threads, backend="loky", batch_size=batch) as pool:
        progress(STAGE, 0, size.repeats)
        forms = _forms(pool, data, some, size.threads)
        tolerance = _loosest(forms["serial"], data, some, family.l2, goal)
        ours: list[float] = []
        theirs: dict[str, list[float]] = {name: [] for name in forms}
        for repeat in range(size.repeats):
            ours.append(_timed(lambda: _ours(family, data, size, size.threads))[0])
            for name, form in forms.items():
                theirs[name].append(_timed(partial(form, tolerance))[0])
            progress(STAGE, repeat + 1, size.repeats)
        reached = _objective(forms["serial"](tolerance), data, some, family.l2)
    best = min(theirs, key=lambda name: median(theirs[name]))
    notes = (
        f"{size.users} users x {size.rows} rows x {size.features} features x {size.steps} steps of rate 1 from zeros, "
        f"{size.threads} threads, median of {size.repeats}; one thread {single:.0f} users/s; compiling or loading the "
        f"kernels took {compiling:.1f} s beforehand; peer: lbfgs, tolerance {tolerance:g}, {len(some)} users, {best}, "
        f"fastest of {', '.join(forms)}; mean training loss on those users: ours {goal:.4f}, peer {reached:.4f}"
    )
    return Measured(size.users / median(ours), len(some) / median(theirs[best]), "users/s", notes)


def _log(size: Size) -> Blocks:
    """Users who differ around a common model, seed 0."""
    rng = np.random.default_rng(0)
    n = size.users * size.rows
    x = rng.standard_normal((n, size.features), dtype=np.float32)
    common = rng.normal(0, 0.3, size.features)
    own = common + rng.normal(0, 0.3, (size.users, size.features))
    margin = np.einsum("urd,ud->ur", x.reshape(size.users, size.rows, size.features), own).ravel()
    label = (rng.random(n) < expit(margin)).astype(np.float32)
    start = np.arange(size.users) * size.rows
    return Blocks(x, pa.array(np.arange(size.users)), start, start + size.rows, label)


def _ours(family: LogisticRegression, data: Blocks, size: Size, threads: int) -> Theta:
    start = {"coef": np.zeros(size.features, np.float32), "intercept": np.zeros(1, np.float32)}

    def fit(low: int) -> Theta:
        shard = data.select(np.arange(low, min(low + size.shard, len(data))))
        users = len(shard)
        steps, rate = np.full(users, size.steps, np.int32), np.ones(users, np.float32)
        orders = Orders(steps, np.zeros(users, np.float32), rate, np.zeros(users, np.uint64))
        personal = family.fit_users(start, shard, orders).personal
        return np.column_stack([expand(start, personal), np.asarray(personal["intercept"])]).astype(float)

    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(fit, range(0, len(data), size.shard))))


def _forms(pool: Any, data: Blocks, some: NDArray[np.int64], threads: int) -> dict[str, Callable[[float], Theta]]:
    """The ways to run the peer: one fit after the other, on threads, in processes that are up already."""
    rows = [(data.features[data.start[k] : data.stop[k]], data.label[data.start[k] : data.stop[k]]) for k in some]
    remote = delayed(_fit_peer)

    def serial(tolerance: float) -> Theta:
        return np.array([_fit_peer(x, y, tolerance) for x, y in rows])

    def on_threads(tolerance: float) -> Theta:
        with ThreadPoolExecutor(threads) as executor:
            return np.array(list(executor.map(lambda own: _fit_peer(own[0], own[1], tolerance), rows)))

    def in_processes(tolerance: float) -> Theta:
        return np.array(pool(remote(x, y, tolerance) for x, y in rows))

    return {"serial": serial, "threads": on_threads, "processes": in_processes}


def _fit_peer(x: Any, y: Any, tolerance: float) -> Theta:
    """One user by scikit-learn, without the checks that can be left out."""
    if y.min() == y.max():
        return np.zeros(x.shape[1] + 1)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        model = Peer(C=1.0, tol=tolerance, max_iter=1000).fit(x, y)
    return np.append(model.coef_[0], model.intercept_[0])


def _loosest(form: Callable[[float], Theta], data: Blocks, some: NDArray[np.int64], l2: float, goal: float) -> float:
    """The loosest tolerance with which the peer's loss is no more than `goal`, else the tightest there is."""
    reaching = (tolerance for tolerance in TOLERANCES if _objective(form(tolerance), data, some, l2) <= goal)
    return next(reaching, TOLERANCES[-1])


def _objective(theta: Theta, data: Blocks, some: NDArray[np.int64], l2: float) -> float:
    """Mean over users of the summed log loss plus l2/2 |coef|^2."""
    total = 0.0
    for k, own in zip(some, theta, strict=True):
        rows = slice(data.start[k], data.stop[k])
        margin = data.features[rows] @ own[:-1] + own[-1]
        total += float((np.logaddexp(0, margin) - data.label[rows] * margin).sum() + l2 / 2 * own[:-1] @ own[:-1])
    return total / len(some)


def _timed(work: Callable[[], Theta]) -> tuple[float, Theta]:
    begun = perf_counter()
    done = work()
    return perf_counter() - begun, done
