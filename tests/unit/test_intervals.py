"""Bootstrap intervals: coverage, pairing, simultaneity, and users that do not count."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.errors import DataError, SettingsError
from headstart.evaluation import UserMetrics, bootstrap


def method(**metrics):
    """Metrics of users from plain arrays."""
    counted = {name: np.asarray(values, np.float64) for name, values in metrics.items()}
    users = len(next(iter(counted.values())))
    return UserMetrics("logistic", counted, {}, np.ones(users, np.int64))


def test_means_and_pairs():
    rng = np.random.default_rng(0)
    a, b, c = (rng.random(50) for _ in range(3))
    found = bootstrap({"a": method(auc=a, map=b), "b": method(auc=b, map=c), "c": method(auc=c, map=a)})
    assert found.metrics["a"]["auc"].mean == pytest.approx(a.mean())
    assert [(p.a, p.b, p.metric) for p in found.pairs] == [
        (x, y, m) for m in ("auc", "map") for x, y in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert found.pairs[1].diff == pytest.approx(a.mean() - c.mean())
    for interval in found.metrics["b"].values():
        assert interval.lo < interval.mean < interval.hi


def test_interval_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(0, 2, 400)
    found = bootstrap({"a": method(auc=values)}, resamples=4000).metrics["a"]["auc"]
    error = values.std() / 20
    assert found.lo == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.hi == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_coverage():
    rng, single, together, runs = np.random.default_rng(2), 0, 0, 200
    for run in range(runs):
        level = rng.exponential(1, 80)
        methods = {f"m{i}": method(auc=level + rng.normal(0, 1, 80), map=rng.normal(0, 1, 80)) for i in range(4)}
        found = bootstrap(methods, seed=run, resamples=400)
        single += np.mean([pair.lo <= 0 <= pair.hi for pair in found.pairs])
        together += all(pair.lo_all <= 0 <= pair.hi_all for pair in found.pairs)
    assert 0.92 <= single / runs <= 0.97
    assert 0.89 <= together / runs <= 0.98


def test_pairing_takes_out_what_users_share():
    rng = np.random.default_rng(3)
    level, noise = rng.normal(0, 10, 200), rng.normal(0.5, 0.1, 200)
    pair = bootstrap({"a": method(auc=level + noise), "b": method(auc=level)}).pairs[0]
    assert 0.4 < pair.lo < pair.diff < pair.hi < 0.6


@pytest.mark.parametrize("methods", [2, 5])
def test_simultaneous_intervals_hold_the_single_ones(methods):
    rng = np.random.default_rng(4)
    table = {f"m{i}": method(auc=rng.exponential(1, 30), brier=rng.random(30)) for i in range(methods)}
    for pair in bootstrap(table, resamples=500).pairs:
        assert pair.lo_all <= pair.lo < pair.diff < pair.hi <= pair.hi_all
        assert pair.hi_all - pair.lo_all > pair.hi - pair.lo


def test_identical_methods_have_no_width_and_disturb_nobody():
    rng = np.random.default_rng(5)
    a, b = rng.random(60), rng.random(60)
    alone = bootstrap({"a": method(auc=a), "b": method(auc=b)}).pairs[0]
    found = bootstrap({"a": method(auc=a), "b": method(auc=b), "c": method(auc=a), "d": method(auc=a + 0.25)}).pairs
    by_name = {(pair.a, pair.b): pair for pair in found}
    same, shifted = by_name["a", "c"], by_name["a", "d"]
    assert (same.diff, same.lo, same.hi, same.lo_all, same.hi_all) == (0.0,) * 5
    assert shifted.lo == shifted.hi == shifted.lo_all == shifted.hi_all == shifted.diff == pytest.approx(-0.25)
    assert by_name["a", "b"].lo_all == pytest.approx(alone.lo_all, rel=1e-9)
    assert by_name["a", "b"].hi_all == pytest.approx(alone.hi_all, rel=1e-9)


def test_users_that_do_not_count_are_left_out():
    rng = np.random.default_rng(6)
    a, b = rng.random(40), rng.random(40)
    inside = np.zeros(100, np.bool_)
    inside[rng.permutation(100)[:40]] = True
    wide_a, wide_b = np.full(100, np.nan), np.full(100, np.nan)
    wide_a[inside], wide_b[inside] = a, b
    assert bootstrap({"a": method(auc=wide_a), "b": method(auc=wide_b)}) == bootstrap(
        {"a": method(auc=a), "b": method(auc=b)}
    )


def test_metrics_may_count_different_users():
    values = np.array([0.1, 0.5, 0.9, np.nan, np.nan])
    found = bootstrap({"a": method(auc=values, logloss=[1.0, 2.0, 3.0, 4.0, 5.0])}).metrics["a"]
    assert found["auc"].mean == pytest.approx(0.5)
    assert found["auc"].lo >= 0.1
    assert found["logloss"].mean == 3.0


def test_nobody_counts():
    found = bootstrap({"a": method(auc=[np.nan]), "b": method(auc=[np.nan])})
    assert np.isnan(found.metrics["a"]["auc"].lo)
    assert np.isnan([found.pairs[0].diff, found.pairs[0].lo, found.pairs[0].hi_all]).all()
    partly = bootstrap({"a": method(auc=[np.nan] * 3, brier=[1, 2, 3]), "b": method(auc=[np.nan] * 3, brier=[3, 1, 1])})
    assert np.isnan(partly.pairs[0].diff)
    assert partly.pairs[1].lo_all <= partly.pairs[1].lo < partly.pairs[1].hi


def test_one_user_and_no_methods():
    found = bootstrap({"a": method(auc=[0.7]), "b": method(auc=[0.6])})
    assert found.metrics["a"]["auc"].lo == found.metrics["a"]["auc"].hi == 0.7
    assert found.pairs[0].lo == found.pairs[0].hi_all == pytest.approx(0.1)
    assert bootstrap({}).pairs == []


def test_seed_decides():
    table = {"a": method(auc=np.random.default_rng(7).random(30))}
    assert bootstrap(table, seed=1) == bootstrap(table, seed=1)
    assert bootstrap(table, seed=1) != bootstrap(table, seed=2)


def test_memory_is_bounded_without_changing_the_result(monkeypatch):
    table = {"a": method(auc=np.random.default_rng(7).random(30)), "b": method(auc=np.random.default_rng(8).random(30))}
    whole = bootstrap(table)
    monkeypatch.setattr("headstart.evaluation.intervals.CHUNK", 100)
    pieces = bootstrap(table)
    assert pieces.metrics["b"]["auc"].lo == pytest.approx(whole.metrics["b"]["auc"].lo, rel=1e-12)
    assert pieces.pairs[0].hi_all == pytest.approx(whole.pairs[0].hi_all, rel=1e-12)


def test_refused():
    with pytest.raises(DataError, match="a has metrics auc, b has rmse; judge both by the same loss"):
        bootstrap({"a": method(auc=[1.0]), "b": method(rmse=[1.0])})
    with pytest.raises(DataError, match="a and b are judged on different users"):
        bootstrap({"a": method(auc=[1.0, np.nan]), "b": method(auc=[np.nan, 1.0])})
    with pytest.raises(SettingsError, match="1 resamples"):
        bootstrap({"a": method(auc=[1.0])}, resamples=1)
