"""The synthetic log has the structure that it claims."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.datasets.toy import MAX_LISTS, WEIGHTS, toy
from headstart.errors import SettingsError


def test_same_arguments_same_log():
    assert toy(50, 3).table.equals(toy(50, 3).table)
    assert not toy(50, 3).table.equals(toy(50, 4).table)


def test_shape():
    found = toy(40, 1, n_items=10, list_size=4)
    frame = found.table.to_pandas()
    assert frame.user.nunique() == 40
    assert (frame.groupby("list").size() == 4).all()
    assert not frame.duplicated(["list", "item"]).any()
    assert (frame.groupby("list").user.nunique() == 1).all()
    assert (frame.groupby("list").time.nunique() == 1).all()
    assert pa.types.is_dictionary(found.table["kind"].type)
    assert 0 < frame.price.isna().mean() < 0.3
    assert set(frame.click) == {0, 1}
    assert {*found.roles.taken} <= set(frame.columns)


def test_users_have_a_heavy_tail():
    lists = toy(2000, 0, list_size=1).table.to_pandas().groupby("user").size()
    assert lists.max() == MAX_LISTS
    assert lists.median() <= 3
    assert lists.nlargest(200).sum() > 0.4 * lists.sum()


def own_weights(frame, users):
    x = frame[["x0", "x1", "x2", "x3"]].to_numpy()
    fits = [LogisticRegression().fit(x[rows], frame.click[rows]) for rows in (frame.user == user for user in users)]
    return np.array([fit.coef_[0] for fit in fits])


def test_global_and_personal_weights_are_there():
    frame = toy(300, 0, tail=0.5).table.to_pandas()
    pooled = LogisticRegression().fit(frame[["x0", "x1", "x2", "x3"]].to_numpy(), frame.click).coef_[0]
    assert np.corrcoef(pooled, WEIGHTS)[0, 1] > 0.95
    users = frame.user.value_counts().index[:60]
    spread = own_weights(frame, users).std(axis=0).mean()
    assert 0.5 < spread < 1.2
    flat = toy(300, 0, tail=0.5, personal=0.0).table.to_pandas()
    assert own_weights(flat, users).std(axis=0).mean() < 0.5 * spread


@pytest.mark.parametrize(
    "wrong", [{"n_users": 0}, {"list_size": 61}, {"list_size": 0}, {"tail": 0.0}, {"missing": 1.5}]
)
def test_impossible_arguments(wrong):
    with pytest.raises(SettingsError, match="toy needs"):
        toy(**wrong)
