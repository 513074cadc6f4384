"""Ranking metrics against every order of the tied rows, and against scikit-learn."""

from __future__ import annotations

from itertools import chain, combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from headstart.kernels.ranking import rank_lists

NO_ORDER = np.empty(0, np.int64)
ALL = 1 << 60


def one_order(label, cut):
    """AUC, average precision, reciprocal rank and nDCG of labels in their ranked order, by definition."""
    hits = [rank for rank, positive in enumerate(label, 1) if positive]
    misses = [rank for rank, positive in enumerate(label, 1) if not positive]
    auc = np.mean([hit < miss for hit in hits for miss in misses])
    seen = [rank for rank in hits if rank <= cut]
    precision = sum((i + 1) / rank for i, rank in enumerate(seen)) / min(len(hits), cut)
    gain = sum(1 / np.log2(rank + 1) for rank in seen)
    ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(len(hits), cut) + 1))
    return np.array([auc, precision, 1 / seen[0] if seen else 0.0, gain / ideal])


def mean_over_orders(score, label, cut):
    """Mean over every order that puts higher scores first; those of a tied run with equal labels count once."""
    runs = []
    for value in sorted(set(score), reverse=True):
        of_run = [positive for positive, own in zip(label, score, strict=True) if own == value]
        places = combinations(range(len(of_run)), sum(of_run))
        runs.append([[place in hits for place in range(len(of_run))] for hits in places])
    return np.mean([one_order(list(chain(*runs_in_turn)), cut) for runs_in_turn in product(*runs)], axis=0)


@st.composite
def tied_lists(draw):
    size = draw(st.integers(2, 9))
    score = draw(st.lists(st.integers(-2, 2), min_size=size, max_size=size))
    positives = draw(st.integers(1, size - 1))
    label = draw(st.permutations([1] * positives + [0] * (size - positives)))
    return score, label, draw(st.sampled_from([1, 2, 3, 5, 8, ALL]))


@given(tied_lists(), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=200, deadline=None)
def test_tied_scores_count_by_the_mean_over_their_orders(case, dtype):
    score, label, cut = case
    found = rank_lists(np.array(score, dtype), np.array(label, np.float32), NO_ORDER, np.array([0, len(score)]), cut)
    np.testing.assert_allclose(found[:, 0], mean_over_orders(score, label, cut), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scikit_learn_agrees_without_ties(dtype):
    rng = np.random.default_rng(3)
    sizes = rng.integers(2, 300, 60)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    score = rng.permutation(indptr[-1]).astype(dtype)
    label = (rng.random(indptr[-1]) < 0.3).astype(np.float32)
    found = {cut: rank_lists(score, label, NO_ORDER, indptr, cut) for cut in (10, ALL)}
    for k, (start, stop) in enumerate(pairwise(indptr)):
        y, s = label[start:stop], score[start:stop]
        if y.min() == y.max():
            assert np.isnan(found[ALL][:, k]).all()
            continue
        expected = (
            roc_auc_score(y, s),
            average_precision_score(y, s),
            1 / (1 + np.argmax(y[np.argsort(-s)])),
            ndcg_score([y], [s]),
        )
        np.testing.assert_allclose(found[ALL][:, k], expected, rtol=1e-10)
        np.testing.assert_allclose(found[10][3, k], ndcg_score([y], [s], k=10), rtol=1e-10)


@pytest.mark.parametrize("cut", [7, ALL])
def test_scikit_learn_agrees_with_ties_where_it_takes_their_mean(cut):
    rng = np.random.default_rng(4)
    score, label = rng.integers(0, 12, 400).astype(np.float32), (rng.random(400) < 0.2).astype(np.float32)
    found = rank_lists(score, label, NO_ORDER, np.array([0, 400]), cut)[:, 0]
    assert found[0] == pytest.approx(roc_auc_score(label, score), rel=1e-12)
    assert found[3] == pytest.approx(ndcg_score([label], [score], k=None if cut == ALL else cut), rel=1e-10)


def test_long_ties_by_drawing_orders():
    rng = np.random.default_rng(5)
    score, label = rng.integers(0, 4, 200).astype(np.float64), (rng.random(200) < 0.05).astype(np.float32)
    found = rank_lists(score, label, NO_ORDER, np.array([0, 200]), 50)[:, 0]
    drawn = [one_order(label[np.lexsort((rng.random(200), -score))], 50) for _ in range(4000)]
    spread = np.std(drawn, axis=0) / np.sqrt(len(drawn))
    np.testing.assert_array_less(np.abs(found - np.mean(drawn, axis=0)), 5 * spread + 1e-12)


def test_rows_may_be_reached_through_an_order():
    rng = np.random.default_rng(6)
    score, label = rng.integers(0, 5, 90).astype(np.float32), (rng.random(90) < 0.5).astype(np.float32)
    order, indptr = rng.permutation(90), np.array([0, 20, 20, 55, 90])
    direct = rank_lists(score[order], label[order], NO_ORDER, indptr, ALL)
    np.testing.assert_array_equal(rank_lists(score, label, order, indptr, ALL), direct)
    assert np.isnan(direct[:, 1]).all()
