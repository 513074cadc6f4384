"""Who counts in averages, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.errors import DataError, SettingsError
from headstart.evaluation import held_out, per_user, pooled

RANKING = ("auc", "map", "mrr", "ndcg")


def users_of(*labels):
    """One user for each list of labels."""
    stop = np.cumsum([len(rows) for rows in labels])
    start = np.concatenate([[0], stop[:-1]])
    return held_out(np.concatenate(labels).astype(np.float32), start, stop)


def test_users_of_one_class_count_in_no_average_but_keep_their_loss():
    held = users_of([1, 0], [1, 1], [], [0])
    users = per_user(held, np.array([2.0, -1.0, 1.0, 1.0, 0.0]))
    for values in users.counted.values():
        np.testing.assert_array_equal(np.isnan(values), [False, True, True, True])
    for values in users.every.values():
        np.testing.assert_array_equal(np.isnan(values), [False, False, True, False])
    assert users.every["logloss"][3] == pytest.approx(np.log(2))
    np.testing.assert_array_equal(users.rows, [2, 2, 0, 1])
    assert users.means()["auc"] == 1.0
    assert users.means()["logloss"] == users.every["logloss"][0]


def test_hand_made_ranking():
    users = per_user(users_of([0, 1, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0]))
    expected = {"auc": 0.25, "map": (1 / 2 + 2 / 4) / 2, "mrr": 0.5}
    assert {name: users.counted[name][0] for name in expected} == pytest.approx(expected)
    at_three = per_user(users_of([0, 1, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0]), k=3)
    assert at_three.counted["map"][0] == pytest.approx(1 / 4)
    at_one = per_user(users_of([0, 1, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0]), k=1)
    assert [at_one.counted[name][0] for name in RANKING] == [0.25, 0.0, 0.0, 0.0]


def test_a_constant_score_is_chance():
    users = per_user(users_of([0, 1, 0, 0]), np.zeros(4))
    assert users.counted["auc"][0] == 0.5
    assert users.counted["mrr"][0] == pytest.approx(np.mean(1 / np.arange(1, 5)))


def test_both_classes_but_in_no_list_together():
    held = held_out(np.array([1, 1, 0, 0], np.float32), np.array([0]), np.array([4]), np.array([7, 7, 3, 3]))
    users = per_user(held, np.array([1.0, 2.0, 3.0, 4.0]))
    assert all(np.isnan(users.counted[name][0]) for name in RANKING)
    assert np.isfinite(users.counted["logloss"][0])


def test_two_users_with_one_list_code_have_two_lists():
    held = held_out(np.array([1, 0, 0, 1], np.float32), np.array([0, 2]), np.array([2, 4]), np.zeros(4, np.int64))
    np.testing.assert_array_equal(per_user(held, np.array([4.0, 3.0, 2.0, 1.0])).counted["auc"], [1.0, 0.0])


def test_no_users():
    held = held_out(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64))
    users = per_user(held, np.empty(0))
    assert len(held) == 0
    assert all(np.isnan(value) for value in users.means().values())
    assert all(np.isnan(value) for value in pooled(held, np.empty(0), users).values())


def test_one_class_overall_has_no_pooled_auc():
    held = users_of([1, 1], [1])
    margins = np.array([0.0, 1.0, 2.0])
    found = pooled(held, margins, per_user(held, margins))
    assert np.isnan(found["auc"])
    assert found["logloss"] == pytest.approx(np.mean(np.log1p(np.exp(-margins))))


@pytest.mark.parametrize(
    ("margins", "match"),
    [
        (np.array([0.0, np.nan, 1.0]), "score nan at held-out row 1"),
        (np.array([np.inf, 0.0, 1.0]), "score inf at held-out row 0"),
        (np.zeros(2), "margins of shape"),
    ],
)
def test_bad_margins(margins, match):
    with pytest.raises(DataError, match=match):
        per_user(users_of([1, 0, 1]), margins)


def test_bad_labels_and_settings():
    with pytest.raises(DataError, match=r"label 3\.0 among held-out rows"):
        per_user(users_of([1, 3]), np.zeros(2))
    with pytest.raises(DataError, match="label nan among held-out rows"):
        users_of([1, np.nan])
    with pytest.raises(DataError, match="1 list codes for 2 labels"):
        held_out(np.zeros(2, np.float32), np.array([0]), np.array([2]), np.zeros(1, np.int64))
    with pytest.raises(SettingsError, match="k is 0"):
        per_user(users_of([1, 0]), np.zeros(2), k=0)
    with pytest.raises(SettingsError, match="unknown loss 'hinge'; known: logistic, squared"):
        per_user(users_of([1, 0]), np.zeros(2), loss="hinge")


def test_whole_numbers_as_margins():
    assert per_user(users_of([1, 0]), np.array([1, 0])).counted["auc"][0] == 1.0


def test_errors_are_squared_in_double_precision():
    """Margins and labels are of single precision, which has no room for the square of 1e30."""
    held = held_out(np.array([1e30, 1.0], np.float32), np.array([0, 1]), np.array([1, 2]))
    users = per_user(held, np.array([3e30, 1.5], np.float32), loss="squared")
    np.testing.assert_allclose(users.every["rmse"], [2e30, 0.5], rtol=1e-6)
