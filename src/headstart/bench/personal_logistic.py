"""Personal logistic regressions: users a second, beside a loop of scikit-learn fits of the same objective."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import config_context
from sklearn.linear_model import LogisticRegression as Peer
from threadpoolctl import threadpool_limits

from headstart.bench.limits import Turn, middle, operations, turn
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.models.family import Orders, Personal, State
from headstart.models.logistic import LogisticRegression, expand
from headstart.progress import Progress, silent

Theta: TypeAlias = NDArray[np.float64]
"""Coefficients and intercept of each user, (U, d + 1)."""

T = TypeVar("T")

STAGE = "bench personal-logistic"
POWER_STEPS = 8
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


class Work(Protocol):
    """What `fit_shards` reads of a size."""

    @property
    def steps(self) -> int: ...
    @property
    def shard(self) -> int: ...
    @property
    def threads(self) -> int: ...


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Time both in turn in the same run, medians of the repeats; losses are full objectives, means over users."""
    size = size or Size()
    data, family = draw(size), LogisticRegression(l2=1.0)
    some = np.random.default_rng(1).choice(size.users, min(size.peer_users, size.users), replace=False)
    start = {"coef": np.zeros(size.features, np.float32), "intercept": np.zeros(1, np.float32)}
    parts = [data.select(np.arange(size.users // share)) for share in (8, 4, 2, 1)]
    compiling, _ = timed(lambda: fit_shards(family, start, data.select(some[:1]), size))
    alone, peak = replace(size, threads=1), operations(size.threads)
    single = len(parts[0]) / median(timed(lambda: fit_shards(family, start, parts[0], alone))[0] for _ in range(3))
    goal = _objective(_theta(start, fit_shards(family, start, data, size))[some], data, some, family.l2)
    batch = max(1, len(some) // (4 * size.threads))
    # More than one BLAS thread slows the peer five times over on matrices this small.
    with threadpool_limits(1), Parallel(n_jobs=size.threads, backend="loky", batch_size=batch) as pool:
        progress(STAGE, 0, size.repeats)
        forms = _forms(pool, data, some, size.threads)
        tolerance = _loosest(forms["serial"], data, some, family.l2, goal)
        ours: list[list[float]] = [[] for _ in parts]
        turns: list[Turn] = []
        theirs: dict[str, list[float]] = {name: [] for name in forms}
        for repeat in range(size.repeats):
            for part, times in zip(parts, ours, strict=True):
                turns.append(turn(peak, partial(fit_shards, family, start, part, size), size.threads))
                times.append(turns[-1].seconds)
            for name, form in forms.items():
                theirs[name].append(timed(partial(form, tolerance))[0])
            progress(STAGE, repeat + 1, size.repeats)
        reached = _objective(forms["serial"](tolerance), data, some, family.l2)
    best = min(theirs, key=lambda name: median(theirs[name]))
    speeds = [len(part) / median(times) for part, times in zip(parts, ours, strict=True)]
    whole = middle(turns[len(parts) - 1 :: len(parts)])
    own = len(data) / whole.own_seconds
    # A step reads each feature of a row, and 1, twice: for the margin and for the gradient.
    work = 4 * size.rows * (size.features + 1) * (size.steps + POWER_STEPS)
    notes = (
        f"{size.users} users x {size.rows} rows x {size.features} features x {size.steps} steps of rate 1 from zeros, "
        f"{size.threads} threads, median of {size.repeats}; at 1/8, 1/4, 1/2 and all of the users "
        f"{', '.join(f'{speed:.0f}' for speed in speeds)} users/s, one thread {single:.0f}; "
        f"limit: {whole.limit / 1e9:.0f} GFLOP/s in registers, measured before each; in processor time {own:.0f} "
        f"users/s, {own * work / whole.own_limit:.2f} of {whole.own_limit / 1e9:.0f} GFLOP/s; compiling or "
        f"loading the kernels took {compiling:.1f} s beforehand; peer: lbfgs, tolerance {tolerance:g}, "
        f"{len(some)} users, {best}, fastest of {', '.join(forms)}; mean training loss on those users: "
        f"ours {goal:.4f}, peer {reached:.4f}"
    )
    return Measured(speeds[-1], len(some) / median(theirs[best]), "users/s", notes, whole.limit / work)


def draw(size: Size) -> Blocks:
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


def fit_shards(family: LogisticRegression, start: State, data: Blocks, size: Work) -> list[Personal]:
    """Personal models of every shard of users, on threads, rate 1."""

    def fit(low: int) -> Personal:
        shard = data.select(np.arange(low, min(low + size.shard, len(data))))
        steps, rate = np.full(len(shard), size.steps, np.int32), np.ones(len(shard), np.float32)
        orders = Orders(steps, np.zeros(len(shard), np.float32), rate, np.zeros(len(shard), np.uint64))
        return family.fit_users(start, shard, orders).personal

    with ThreadPoolExecutor(size.threads) as pool:
        return list(pool.map(fit, range(0, len(data), size.shard)))


def _theta(start: State, shards: list[Personal]) -> Theta:
    full = [np.column_stack([expand(start, own), np.asarray(own["intercept"])]) for own in shards]
    return np.concatenate(full).astype(float)


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


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds that `work` takes, and what it returns."""
    begun = perf_counter()
    done = work()
    return perf_counter() - begun, done
