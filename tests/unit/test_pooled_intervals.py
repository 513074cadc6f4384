"""Intervals of metrics over all rows, against resamples that copy every row of a drawn user."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.evaluation import bootstrap, held_out, per_user, pooled

RESAMPLES = 200


@pytest.fixture
def ratings():
    """Ratings of users of whom one has no row, and three methods' predictions."""
    rng = np.random.default_rng(4)
    counts = np.append(rng.geometric(0.1, 30), 0)
    stop = np.cumsum(counts)
    held = held_out(rng.integers(1, 6, stop[-1]).astype(np.float32), stop - counts, stop)
    owner = np.repeat(np.arange(31), counts)
    drift = rng.normal(0, 0.5, (3, 31))[:, owner]
    return held, {f"m{k}": held.label + drift[k] + rng.normal(0, 1, stop[-1]) for k in range(3)}


def figures(label, margin):
    error = margin.astype(np.float64) - label
    return {"rmse": np.sqrt(np.mean(error**2)), "mae": np.mean(np.abs(error))}


def test_against_copied_rows(ratings):
    held, margins = ratings
    users = {name: per_user(held, margin, loss="squared") for name, margin in margins.items()}
    found = bootstrap(users, seed=5, resamples=RESAMPLES)
    rows = [np.arange(held.indptr[u], held.indptr[u + 1]) for u in range(30)]
    rng = np.random.default_rng(5)
    drawn = [np.concatenate([rows[u] for u in rng.integers(0, 30, 30)]) for _ in range(RESAMPLES)]
    by_hand = {
        name: {
            metric: np.array([figures(held.label[some], margin[some])[metric] for some in drawn])
            for metric in ("rmse", "mae")
        }
        for name, margin in margins.items()
    }
    for name, margin in margins.items():
        assert list(found.metrics[name]) == list(found.pooled[name]) == ["rmse", "mae"]
        whole = pooled(held, margin, users[name])
        for metric, interval in found.pooled[name].items():
            assert interval.mean == pytest.approx(figures(held.label, margin)[metric], rel=1e-12)
            assert interval.mean == pytest.approx(whole[metric], rel=1e-12)
            expected = np.quantile(by_hand[name][metric], [0.025, 0.975])
            assert (interval.lo, interval.hi) == pytest.approx(tuple(expected), rel=1e-9)
    pairs = {(pair.a, pair.b, pair.metric): pair for pair in found.pairs}
    assert len(pairs) == 3 * 4
    for a, b in combinations(margins, 2):
        for metric in ("rmse", "mae"):
            pair = pairs[a, b, f"pooled_{metric}"]
            assert pair.diff == pytest.approx(found.pooled[a][metric].mean - found.pooled[b][metric].mean, abs=1e-12)
            expected = np.quantile(by_hand[a][metric] - by_hand[b][metric], [0.025, 0.975])
            assert (pair.lo, pair.hi) == pytest.approx(tuple(expected), abs=1e-9)


def test_simultaneous_intervals_hold_for_pooled_metrics_too(ratings):
    held, margins = ratings
    users = {name: per_user(held, margin, loss="squared") for name, margin in margins.items()}
    pairs = bootstrap(users, seed=1, resamples=RESAMPLES).pairs
    rng, rows = np.random.default_rng(1), held.counts[:30]
    draws = np.array([np.bincount(rng.integers(0, 30, 30), minlength=30) for _ in range(RESAMPLES)])
    largest, spread = np.zeros(RESAMPLES), {}
    for a, b in combinations(users, 2):
        for metric in ("rmse", "mae"):
            ours, theirs = (users[name].every[metric][:30] for name in (a, b))
            power = 2 if metric == "rmse" else 1
            pooled_ = [(draws @ (rows * v**power) / (draws @ rows)) ** (1 / power) for v in (ours, theirs)]
            whole = [(rows @ v**power / rows.sum()) ** (1 / power) for v in (ours, theirs)]
            means = draws @ (ours - theirs) / 30
            for name, drawn, diff in (
                (metric, means, np.mean(ours - theirs)),
                (f"pooled_{metric}", pooled_[0] - pooled_[1], whole[0] - whole[1]),
            ):
                spread[a, b, name] = drawn.std(ddof=1)
                largest = np.maximum(largest, np.abs(drawn - diff) / drawn.std(ddof=1))
    reach = np.quantile(largest, 0.95)
    for pair in pairs:
        wide = reach * spread[pair.a, pair.b, pair.metric]
        assert pair.lo_all == pytest.approx(min(pair.lo, pair.diff - wide), abs=1e-9)
        assert pair.hi_all == pytest.approx(max(pair.hi, pair.diff + wide), abs=1e-9)


def test_a_method_beside_itself_and_one_that_errs_alike_everywhere_disturb_nobody(ratings):
    held, margins = ratings
    flat = {"far": held.label + 2.0, "near": held.label + 1.0}  # squares differ by 3 at every row, roots by 1
    few = {name: per_user(held, margin, loss="squared") for name, margin in margins.items()}
    more = few | {"again": few["m0"]} | {name: per_user(held, m, loss="squared") for name, m in flat.items()}
    alone = {(p.a, p.b, p.metric): p for p in bootstrap(few, resamples=RESAMPLES).pairs}
    found = {(p.a, p.b, p.metric): p for p in bootstrap(more, resamples=RESAMPLES).pairs}
    for metric in ("pooled_rmse", "pooled_mae"):
        same, apart = found["m0", "again", metric], found["far", "near", metric]
        assert (same.diff, same.lo, same.hi, same.lo_all, same.hi_all) == (0.0,) * 5
        assert apart.lo == apart.hi == apart.lo_all == apart.hi_all == apart.diff == pytest.approx(1.0)
    both = bootstrap({name: more[name] for name in ("m0", "m1", "m2", "again")}, resamples=RESAMPLES).pairs
    for pair in both:
        if (pair.a, pair.b, pair.metric) in alone:
            assert pair.lo_all == pytest.approx(alone[pair.a, pair.b, pair.metric].lo_all, rel=1e-9)


def test_one_user_and_nobody():
    held = held_out(np.array([3, 4], np.float32), np.array([0]), np.array([2]))
    users = {name: per_user(held, np.array(m), loss="squared") for name, m in (("a", [1.0, 4.0]), ("b", [3.5, 4.0]))}
    found = bootstrap(users, resamples=10)
    assert found.pooled["a"]["rmse"].lo == found.pooled["a"]["rmse"].hi == pytest.approx(np.sqrt(2.0))
    pair = next(pair for pair in found.pairs if pair.metric == "pooled_rmse")
    assert pair.lo == pair.hi_all == pair.diff == pytest.approx(np.sqrt(2.0) - np.sqrt(0.125))
    none = held_out(np.empty(0, np.float32), np.array([0]), np.array([0]))
    empty = per_user(none, np.empty(0), loss="squared")
    assert np.isnan(bootstrap({"a": empty, "b": empty}, resamples=10).pooled["a"]["mae"].lo)


def test_two_losses_are_not_compared(ratings):
    held, margins = ratings
    users = per_user(held, margins["m0"], loss="squared")
    binary = held_out((held.label > 3).astype(np.float32), held.indptr[:-1], held.indptr[1:])
    with pytest.raises(DataError, match="judge both by the same loss"):
        bootstrap({"a": users, "b": per_user(binary, margins["m0"])})
