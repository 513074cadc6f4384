"""What must not change metrics: the order of rows, where users stand, any rising function of scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluation import held_out, per_user, pooled

RANKING = ("auc", "map", "mrr", "ndcg")


def draw_log(seed):
    """A small log with many ties: margins, labels, lists, starts, stops."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 12, 6)
    stop = np.cumsum(counts)
    rows = int(stop[-1])
    margin = rng.integers(-2, 3, rows) / 2
    return margin, rng.integers(0, 2, rows).astype(np.float32), rng.integers(0, 3, rows), stop - counts, stop


@given(st.integers(0, 10**6), st.sampled_from([None, 1, 3]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_order_of_rows_within_users(seed, k, by_list):
    margin, label, lists, start, stop = draw_log(seed)
    lists = lists if by_list else None
    rng = np.random.default_rng(seed)
    shuffled = np.concatenate([a + rng.permutation(b - a) for a, b in zip(start, stop, strict=True)]).astype(np.int64)
    before = per_user(held_out(label, start, stop, lists), margin, k)
    moved = held_out(label[shuffled], start, stop, lists[shuffled] if by_list else None)
    after = per_user(moved, margin[shuffled], k)
    for name in before.counted:
        np.testing.assert_allclose(after.counted[name], before.counted[name], rtol=1e-12)
    assert np.isfinite(list(before.every.values())).sum() == 2 * (stop > start).sum()
    held = held_out(label, start, stop, lists)
    np.testing.assert_allclose(
        list(pooled(moved, margin[shuffled], after).values()), list(pooled(held, margin, before).values()), rtol=1e-12
    )


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_users_may_stand_anywhere_and_be_selected(seed):
    margin, label, lists, start, stop = draw_log(seed)
    chosen = np.random.default_rng(seed).permutation(len(start))[:4]
    rows = np.concatenate([np.arange(start[u], stop[u]) for u in chosen])
    whole = per_user(held_out(label, start, stop, lists), margin)
    part = per_user(held_out(label, start[chosen], stop[chosen], lists), margin[rows])
    for name in whole.counted:
        np.testing.assert_allclose(part.counted[name], whole.counted[name][chosen], rtol=1e-12)
    np.testing.assert_array_equal(part.rows, whole.rows[chosen])


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_rising_functions_of_scores_leave_ranking_metrics(seed):
    margin, label, lists, start, stop = draw_log(seed)
    held = held_out(label, start, stop, lists)
    before, after = per_user(held, margin), per_user(held, np.exp(margin).astype(np.float32) - 7)
    for name in RANKING:
        np.testing.assert_array_equal(before.counted[name], after.counted[name])


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_auc_of_reversed_scores_is_one_less(seed):
    margin, label, lists, start, stop = draw_log(seed)
    held = held_out(label, start, stop, lists)
    np.testing.assert_allclose(per_user(held, -margin).counted["auc"], 1 - per_user(held, margin).counted["auc"])


@given(st.integers(0, 10**6), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_lists_held_together_need_no_order(seed, codes):
    rng = np.random.default_rng(seed)
    runs = rng.permutation(codes)
    lists = np.repeat(runs, rng.integers(1, 4, codes))
    held = held_out(rng.integers(0, 2, len(lists)).astype(np.float32), np.array([0]), np.array([len(lists)]), lists)
    assert len(held.lists.order) == 0
    assert len(held.lists.user) == codes
