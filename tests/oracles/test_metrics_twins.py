"""Metrics of users and of all rows against scikit-learn and plain numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from headstart.evaluation import held_out, per_user, pooled
from headstart.kernels.signflips import flipped_sums, paired_moments


@pytest.fixture
def log():
    """Margins, labels, list codes and user ranges of a few hundred rows with ties."""
    rng = np.random.default_rng(11)
    counts = rng.integers(0, 40, 25)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    margin = np.round(rng.normal(0, 3, indptr[-1]), 1).astype(np.float32)
    label = (rng.random(indptr[-1]) < expit(margin)).astype(np.float32)
    return margin, label, rng.integers(0, 4, indptr[-1]), indptr


def test_log_loss_and_brier_per_user(log):
    margin, label, _, indptr = log
    every = per_user(held_out(label, indptr[:-1], indptr[1:]), margin).every
    for user, (start, stop) in enumerate(pairwise(indptr)):
        if start == stop:
            assert np.isnan(every["logloss"][user])
            assert np.isnan(every["brier"][user])
            continue
        probability = expit(margin[start:stop].astype(np.float64))
        assert every["logloss"][user] == pytest.approx(log_loss(label[start:stop], probability, labels=[0, 1]))
        assert every["brier"][user] == pytest.approx(np.mean((probability - label[start:stop]) ** 2))


def test_pooled(log):
    margin, label, _, indptr = log
    held = held_out(label, indptr[:-1], indptr[1:])
    probability = expit(margin.astype(np.float64))
    assert pooled(held, margin, per_user(held, margin)) == pytest.approx(
        {
            "auc": roc_auc_score(label, margin),
            "logloss": log_loss(label, probability),
            "brier": brier_score_loss(label, probability),
        }
    )


def test_list_metrics_are_averaged_within_users(log):
    margin, label, lists, indptr = log
    found = per_user(held_out(label, indptr[:-1], indptr[1:], lists), margin).counted["auc"]
    for user, (start, stop) in enumerate(pairwise(indptr)):
        of_lists = []
        for code in range(4):
            rows = start + np.flatnonzero(lists[start:stop] == code)
            if 0 < label[rows].sum() < len(rows):
                of_lists.append(roc_auc_score(label[rows], margin[rows]))
        assert found[user] == pytest.approx(np.mean(of_lists) if of_lists else np.nan, nan_ok=True)


def test_extreme_margins_are_stable():
    held = held_out(np.array([1, 0, 1, 0], np.float32), np.array([0]), np.array([4]))
    every = per_user(held, np.array([-800.0, 800.0, 40.0, -40.0])).every
    assert every["logloss"][0] == pytest.approx((1600 + 2 * np.exp(-40.0)) / 4, rel=1e-15)
    assert every["brier"][0] == pytest.approx(0.5)


def test_ratings():
    held = held_out(np.array([3, 4, 1], np.float32), np.array([0, 2, 3]), np.array([2, 3, 3]))
    users = per_user(held, np.array([4.0, 2.0, 1.5]), loss="squared")
    np.testing.assert_allclose(users.counted["rmse"], [np.sqrt(2.5), 0.5, np.nan])
    np.testing.assert_allclose(users.counted["mae"], [1.5, 0.5, np.nan])
    assert pooled(held, np.array([4.0, 2.0, 1.5]), users) == pytest.approx({"rmse": np.sqrt(5.25 / 3), "mae": 3.5 / 3})


def splitmix(seed, rows):
    """The first draws of splitmix64, in Python's own integers."""
    mask, drawn = (1 << 64) - 1, []
    for row in range(1, rows + 1):
        x = (seed + row * 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        drawn.append(x ^ (x >> 31))
    return drawn


def test_paired_differences_and_their_flips():
    rng = np.random.default_rng(2)
    ours, theirs, indptr = rng.random(30), rng.random(30), np.array([0, 4, 4, 30])
    mean, m2 = paired_moments(ours, theirs, indptr)
    flips = flipped_sums(ours, theirs, indptr, 64, np.uint64(2**64 - 3))
    signs = np.array([[1 if bits >> r & 1 else -1 for bits in splitmix(2**64 - 3, 30)] for r in range(64)])
    for user, (start, stop) in enumerate([(0, 4), (4, 4), (4, 30)]):
        difference = (ours - theirs)[start:stop]
        assert mean[user] == pytest.approx(difference.mean() if stop > start else 0.0)
        assert m2[user] == pytest.approx(difference.var() * (stop - start) if stop > start else 0.0)
        np.testing.assert_allclose(flips[:, user], signs[:, start:stop] @ difference, atol=1e-12)
