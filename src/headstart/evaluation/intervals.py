"""How sure the averages are: bootstrap intervals over users (Efron 1979), paired between methods.

A user is drawn with all of its rows, so a resample is a count for each user, and all methods and metrics share it. A
metric over all rows, such as the pooled RMSE, is sqrt(sum c_u e_u / sum c_u n_u) there: c_u the count, e_u the user's
sum of squared errors, n_u its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, SettingsError
from headstart.evaluation.metrics import ROOTS, UserMetrics

CHUNK = 1 << 22
"""Counts held at a time: 32 MB of float64."""

POOLED = "pooled_"
"""Begins the name of a metric over all rows."""

NO_SPREAD = 1e-12
"""Differences whose range is below this share of the values are one and the same."""


@dataclass(frozen=True)
class Interval:
    """Mean over users (or over all rows) and its percentile interval; NaN where no user counts."""

    mean: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Pair:
    """Difference ``mean(a) - mean(b)`` of a metric: lo, hi hold for this pair alone, lo_all, hi_all for all at once."""

    a: str
    b: str
    metric: str
    diff: float
    lo: float
    hi: float
    lo_all: float
    hi_all: float


@dataclass(frozen=True)
class Comparison:
    """Method to metric to interval, and every pair of methods once for each metric.

    Attributes
    ----------
    metrics : of means over users
    pooled : of means over all rows, metrics by their own names; empty where the loss has none
    pairs : of both, those over all rows as ``pooled_rmse``
    """

    metrics: Mapping[str, Mapping[str, Interval]]
    pairs: Sequence[Pair]
    pooled: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Table:
    """Metrics side by side.

    Attributes
    ----------
    names : methods, M
    metrics : K
    values : float64 (U, K, M), times the weight; 0 for users that do not count
    weight : float64 (U, K), 1 in a mean over users, the user's rows in one over all rows; 0 for users that do not count
    roots : bool (K,), whether the metric is the root of its mean
    """

    names: list[str]
    metrics: list[str]
    values: NDArray[np.float64]
    weight: NDArray[np.float64]
    roots: NDArray[np.bool_]


def any_two(a: str, b: str) -> bool:
    """Whether methods `a` and `b` are compared: always."""
    return True


def bootstrap(
    methods: Mapping[str, UserMetrics],
    *,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
    paired: Callable[[str, str], bool] = any_two,
) -> Comparison:
    """Intervals for each method's metrics, over users and over all rows, and for the difference of every pair.

    Users are resampled `resamples` times among those that count in some metric. lo, hi are percentiles. lo_all, hi_all
    hold for all pairs at once: the difference +- its bootstrap standard deviation times the `level` quantile of the
    largest studentised deviation over all pairs and metrics (max-t; Romano & Wolf 2005), widened where needed to hold
    lo, hi. A pair that differs by the same amount at every user has an interval of no width and does not enter the
    maximum.

    Parameters
    ----------
    paired : whether two methods, in the order of `methods`, are a pair

    Raises
    ------
    DataError
        Where methods have different metrics or are judged on different users.
    """
    if resamples < 2 or not 0 < level < 1:
        raise SettingsError(f"{resamples} resamples at level {level}; give 2 or more, and a level between 0 and 1")
    if not methods:
        return Comparison({}, [])
    table = _tabulate(methods)
    means, draws = _resample(table, seed, resamples)
    tails = np.array([0.5 - level / 2, 0.5 + level / 2])
    over_users: dict[str, dict[str, Interval]] = {name: {} for name in table.names}
    over_rows: dict[str, dict[str, Interval]] = {name: {} for name in table.names}
    for m, name in enumerate(table.names):
        for k, metric in enumerate(table.metrics):
            lo, hi = _quantiles(draws[:, k, m], tails)
            kind = over_rows if metric.startswith(POOLED) else over_users
            kind[name][metric.removeprefix(POOLED)] = Interval(float(means[k, m]), lo, hi)
    return Comparison(over_users, _pairs(table, means, draws, tails, level, paired), over_rows)


def _tabulate(methods: Mapping[str, UserMetrics]) -> _Table:
    """Check that methods can be compared and lay them side by side, without users that never count."""
    names = list(methods)
    first = methods[names[0]]
    metrics = [*first.counted, *first.over_rows()]
    columns = []
    for name in names:
        here = {**methods[name].counted, **methods[name].over_rows()}
        if list(here) != metrics:
            found = f"{names[0]} has metrics {', '.join(metrics)}, {name} has {', '.join(here)}"
            raise DataError(f"{found}; judge both by the same loss")
        columns.append(np.stack(list(here.values()), axis=1))
        if columns[-1].shape != columns[0].shape or (np.isnan(columns[-1]) != np.isnan(columns[0])).any():
            raise DataError(
                f"{names[0]} and {name} are judged on different users; score the same held-out rows with both"
            )
    values = np.stack(columns, axis=2)
    weight = (~np.isnan(values[:, :, 0])).astype(np.float64)
    some = weight.any(axis=1)
    values, weight = np.nan_to_num(values[some], copy=False), weight[some]
    pooled, rows = len(first.counted), first.rows[some]
    values[:, pooled:] *= rows[:, None, None]
    weight[:, pooled:] *= rows[:, None]
    roots = [metric.startswith(POOLED) and metric.removeprefix(POOLED) in ROOTS for metric in metrics]
    return _Table(names, metrics, values, weight, np.array(roots, np.bool_))


def _resample(table: _Table, seed: int, resamples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means (K, M), and means of each resample (B, K, M); NaN where nobody counts."""
    users, kinds, methods = table.values.shape
    flat = table.values.reshape(users, kinds * methods)
    sums, weights = np.empty((resamples, kinds * methods)), np.empty((resamples, kinds))
    rng, size = np.random.default_rng(seed), max(1, CHUNK // max(users, 1))
    for begin in range(0, resamples if users else 0, size):
        end = min(begin + size, resamples)
        drawn = [np.bincount(rng.integers(0, users, users), minlength=users) for _ in range(begin, end)]
        counts = np.array(drawn, np.float64)
        sums[begin:end], weights[begin:end] = counts @ flat, counts @ table.weight
    if not users:
        sums[:], weights[:] = 0.0, 0.0
    with np.errstate(invalid="ignore"):
        means = table.values.sum(axis=0) / table.weight.sum(axis=0)[:, None]
        draws = sums.reshape(resamples, kinds, methods) / weights[:, :, None]
    means[table.roots] = np.sqrt(means[table.roots])
    draws[:, table.roots] = np.sqrt(draws[:, table.roots])
    return means, draws


def _quantiles(draws: NDArray[np.float64], tails: NDArray[np.float64]) -> tuple[float, float]:
    """Quantiles of the draws that are numbers."""
    numbers = draws[~np.isnan(draws)]
    if len(numbers) == 0:
        return float("nan"), float("nan")
    lo, hi = np.quantile(numbers, tails)
    return float(lo), float(hi)


def _pairs(
    table: _Table,
    means: NDArray[np.float64],
    draws: NDArray[np.float64],
    tails: NDArray[np.float64],
    level: float,
    paired: Callable[[str, str], bool],
) -> list[Pair]:
    """Every pair of methods that is wanted, for each metric, with both intervals."""
    found: list[tuple[Pair, float]] = []
    largest = np.zeros(len(draws))
    for k, metric in enumerate(table.metrics):
        for a, b in combinations(range(len(table.names)), 2):
            if not paired(table.names[a], table.names[b]):
                continue
            names = table.names[a], table.names[b], metric
            exact = _constant_difference(table, means, k, a, b)
            if exact is not None:
                found.append((Pair(*names, exact, exact, exact, exact, exact), 0.0))
                continue
            diff = float(means[k, a] - means[k, b])
            drawn = draws[:, k, a] - draws[:, k, b]
            lo, hi = _quantiles(drawn, tails)
            numbers = drawn[~np.isnan(drawn)]
            spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
            found.append((Pair(*names, diff, lo, hi, lo, hi), spread))
            if spread > 0:
                largest = np.fmax(largest, np.abs(drawn - diff) / spread)
    reach = float(np.quantile(largest, level))
    return [_widened(pair, reach * spread) for pair, spread in found]


def _constant_difference(table: _Table, means: NDArray[np.float64], k: int, a: int, b: int) -> float | None:
    """The difference of two methods if every resample has the same (NaN if nobody counts), else None."""
    weight = table.weight[:, k]
    here = weight > 0
    ours, theirs = table.values[here, k, a] / weight[here], table.values[here, k, b] / weight[here]
    if len(ours) == 0:
        return float("nan")
    difference = ours - theirs
    scale = NO_SPREAD * max(np.abs(ours).max(), np.abs(theirs).max())
    if table.roots[k]:
        # Squares that differ by the same amount at every user have roots that do not.
        alike = np.abs(difference).max() <= scale or max(np.ptp(ours), np.ptp(theirs)) <= scale
        return float(means[k, a] - means[k, b]) if alike else None
    return float(difference.mean()) if np.ptp(difference) <= scale else None


def _widened(pair: Pair, reach: float) -> Pair:
    """The pair with its simultaneous interval."""
    lo, hi = min(pair.lo, pair.diff - reach), max(pair.hi, pair.diff + reach)
    return Pair(pair.a, pair.b, pair.metric, pair.diff, pair.lo, pair.hi, lo, hi)
