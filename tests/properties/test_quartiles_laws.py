"""Numbers of ratings do not depend on the order of users."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluation import bootstrap, five_numbers, held_out, per_user, quartile_of, quartile_summary


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_quartiles_follow_their_users(events, random):
    events = np.array(events)
    among = np.array([random.random() < 0.7 for _ in events])
    order = np.array(random.sample(range(len(events)), len(events)))
    found = quartile_of(events, among)
    assert np.array_equal(quartile_of(events[order], among[order]), found[order])
    ranked = found[among]
    assert ((ranked >= 1) & (ranked <= 4)).all()
    for a in range(len(events)):
        for b in range(len(events)):
            if among[a] and among[b]:
                assert (
                    (found[a] == found[b])
                    if events[a] == events[b]
                    else (events[a] < events[b]) <= (found[a] <= found[b])
                )


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_users_in_any_order(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, 12)
    stop = np.cumsum(counts)
    label, events = rng.integers(1, 6, stop[-1]).astype(np.float32), rng.integers(0, 5, 12)
    margins = {name: rng.normal(3, 1, stop[-1]) for name in ("own", "global")}
    order = rng.permutation(12)
    rows = np.concatenate([np.arange(stop[u] - counts[u], stop[u]) for u in order])
    before = {name: per_user(held_out(label, stop - counts, stop), m, loss="squared") for name, m in margins.items()}
    moved = held_out(label, (stop - counts)[order], stop[order])
    after = {name: per_user(moved, m[rows], loss="squared") for name, m in margins.items()}
    for name, users in before.items():
        numbers, again = five_numbers(users), five_numbers(after[name])
        for metric, values in users.over_rows().items():
            np.testing.assert_array_equal(after[name].over_rows()[metric], values[order])
        assert numbers == again
    one, other = (quartile_summary(e, users, resamples=5) for e, users in ((events, before), (events[order], after)))
    assert [(row["quartile"], row["users"], row["events"]) for row in one] == [
        (row["quartile"], row["users"], row["events"]) for row in other
    ]
    for row, again in zip(one, other, strict=True):
        for name in margins:
            ours, theirs = (list(r["metrics"][name].values()) for r in (row, again))
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    pooled_before, pooled_after = (bootstrap(users, resamples=5).pooled for users in (before, after))
    for name in margins:
        for metric in ("rmse", "mae"):
            np.testing.assert_allclose(pooled_before[name][metric].mean, pooled_after[name][metric].mean, rtol=1e-12)
