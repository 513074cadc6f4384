"""The scikit-learn face: its checks, users, kinds of input, saving, and mistakes."""

import pickle
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from scipy.sparse import csc_array, csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart import Fixed, LogisticRegression, Personalizer, load_model
from headstart.errors import DataError, ModelError, SettingsError


@parametrize_with_checks([Personalizer(), Personalizer(family=LogisticRegression(l2=0.1))])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@dataclass(frozen=True)
class Planted:
    X: np.ndarray
    y: np.ndarray
    users: np.ndarray
    train: np.ndarray


@pytest.fixture(scope="module")
def planted():
    """40 users, 5 to 300 rows each, whose weights differ from the common ones; every third row is held out."""
    rng = np.random.default_rng(0)
    counts = np.geomspace(10, 300, 40).astype(int)
    users = rng.permutation(np.repeat(np.arange(40) + 100, counts))
    X = rng.normal(size=(len(users), 5)) * [1, 10, 0.1, 1, 1] + [0, 3, 0, 0, 100]
    own = rng.normal(size=5) + 1.5 * rng.normal(size=(40, 5))
    margin = ((X - [0, 3, 0, 0, 100]) / [1, 10, 0.1, 1, 1] * own[users - 100]).sum(axis=1)
    y = (rng.random(len(users)) < 1 / (1 + np.exp(-margin))).astype(int)
    return Planted(X, y, users, np.arange(len(users)) % 3 != 0)


@pytest.fixture(scope="module")
def fitted(planted):
    t = planted.train
    return Personalizer(seed=1).fit(planted.X[t], planted.y[t], users=planted.users[t])


def text_frame(planted):
    names = np.array(["red", "green", "blue", None], object)
    return pd.DataFrame(
        {
            "size": planted.X[:, 0],
            "gap": np.where(planted.X[:, 1] > 15, np.nan, planted.X[:, 1]),
            "colour": pd.Series(names[np.digitize(planted.X[:, 2], [-0.1, 0, 0.1])]),
            "new": planted.X[:, 3] > 0,
            "user": pd.Categorical(names[(planted.X[:, 4] > 100) * 1]),
        }
    )


def test_personal_models_beat_the_global_one_where_users_differ(planted, fitted):
    test = ~planted.train
    found = fitted.evaluate(planted.X[test], planted.y[test], users=planted.users[test])
    alone, personal = found["methods"]
    assert alone["name"] == "global"
    assert personal["name"] == "by-abundance"
    assert personal["metrics"]["auc"]["mean"] > alone["metrics"]["auc"]["mean"] + 0.05
    assert alone["harmed"] == 0
    assert 0 <= personal["harmed"] < 0.5
    assert found["served_personally"] > 0.5
    assert found["n_test_events"] == test.sum()
    accuracy = fitted.score(planted.X[test], planted.y[test], users=planted.users[test])
    assert accuracy > fitted.score(planted.X[test], planted.y[test])


def test_unknown_users_and_no_users_get_the_global_model(planted, fitted):
    alone = fitted.decision_function(planted.X)
    strangers = fitted.decision_function(planted.X, users=np.full(len(planted.X), 7))
    mixed = fitted.decision_function(planted.X, users=np.where(planted.train, planted.users, 7))
    known = fitted.decision_function(planted.X, users=planted.users)
    assert np.array_equal(alone, strangers)
    assert np.array_equal(mixed, np.where(planted.train, known, alone))
    assert (known != alone).mean() > 0.5


def test_users_may_be_numbers_or_text_of_any_kind(planted, fitted):
    want = fitted.decision_function(planted.X, users=planted.users)
    text = planted.users.astype(str)
    others = (
        planted.users.tolist(), planted.users.astype(np.uint16), text, text.tolist(), text.astype(object),
        pd.Series(text, index=planted.users), pd.Series(text).astype("category"), pl.Series(text), pa.array(text),
    )  # fmt: skip
    for users in others:
        assert np.array_equal(fitted.decision_function(planted.X, users=users), want)
    t = planted.train
    again = Personalizer(seed=1).fit(planted.X[t], planted.y[t], users=text[t])
    np.testing.assert_allclose(again.decision_function(planted.X, users=text), want, rtol=1e-4, atol=1e-5)


def test_left_out_users_are_one_user(planted):
    given = Personalizer(schedule=Fixed(0.5)).fit(planted.X, planted.y, users=["u"] * len(planted.y))
    left = Personalizer(schedule=Fixed(0.5)).fit(planted.X, planted.y)
    personal = given.decision_function(planted.X, users=["u"] * len(planted.y))
    assert np.array_equal(left.decision_function(planted.X), personal)
    assert not np.array_equal(given.decision_function(planted.X), personal)


def test_arrays_and_frames_of_numbers_say_the_same(planted, fitted):
    names = list("abcde")
    want = fitted.predict_proba(planted.X, users=planted.users)
    t = planted.train
    pandas = pd.DataFrame(planted.X, columns=names, index=np.arange(len(t))[::-1])
    polars = pl.DataFrame(planted.X, schema=names)
    arrow = pa.table({name: planted.X[:, k] for k, name in enumerate(names)})
    for frame, train in ((pandas, pandas[t]), (polars, polars.filter(t)), (arrow, arrow.filter(pa.array(t)))):
        model = Personalizer(seed=1).fit(train, planted.y[t], users=planted.users[t])
        assert list(model.feature_names_in_) == names
        assert np.array_equal(model.predict_proba(frame, users=planted.users), want)
    fortran = Personalizer(seed=1).fit(np.asfortranarray(planted.X[t]), planted.y[t], users=planted.users[t])
    assert np.array_equal(fortran.predict_proba(planted.X, users=planted.users), want)


@pytest.mark.parametrize("kind", [csr_matrix, csc_array])
def test_sparse_matrices_of_indicators(planted, kind):
    X = np.hstack([planted.X[:, :1] > 0, planted.X[:, [2]] > 0.1, planted.X[:, [3]] > 1, planted.X[:, [1]] < 0]) * 1.0
    t = planted.train
    sparse = Personalizer(rate=0.25).fit(kind(X[t]), planted.y[t], users=planted.users[t])
    assert sparse.fitted_.features.sparse
    np.testing.assert_array_equal(sparse.fitted_.features.scale, 1.0)
    found = sparse.predict_proba(kind(X), users=planted.users)
    assert np.array_equal(sparse.predict_proba(X, users=planted.users), found)
    dense = (
        Personalizer(rate=0.25).fit(X[t], planted.y[t], users=planted.users[t]).predict_proba(X, users=planted.users)
    )
    assert np.corrcoef(found[:, 1], dense[:, 1])[0, 1] > 0.95


@pytest.mark.parametrize("convert", [lambda frame: frame, pl.from_pandas, pa.Table.from_pandas])
def test_frames_with_text_truth_values_and_gaps(planted, convert, tmp_path):
    frame, t = text_frame(planted), planted.train
    model = Personalizer().fit(convert(frame[t].reset_index(drop=True)), planted.y[t], users=planted.users[t])
    names = model.fitted_.features.names()
    assert {"size", "gap:missing", "colour=red", "colour=?", "new=true", "user=red"} <= set(names)
    assert model.fitted_.roles.user == "_user"
    found = model.predict_proba(convert(frame), users=planted.users)
    turned = convert(frame.iloc[::-1].reset_index(drop=True))
    assert np.array_equal(model.predict_proba(turned, users=planted.users[::-1]), found[::-1])
    judged = model.evaluate(convert(frame[~t].reset_index(drop=True)), planted.y[~t], users=planted.users[~t])
    alone, personal = judged["methods"]
    assert personal["metrics"]["auc"]["mean"] > alone["metrics"]["auc"]["mean"]
    model.save(tmp_path / "model")
    again = Personalizer.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(convert(frame), users=planted.users), found)
    with pytest.raises(DataError, match="give a data frame with the columns of training"):
        again.predict(planted.X, users=planted.users)


def test_rows_of_a_frame_with_weight_zero_are_as_if_left_out(planted):
    frame, t = text_frame(planted), planted.train
    weighted = Personalizer().fit(frame, planted.y, users=planted.users, sample_weight=t * 1.0)
    without = Personalizer().fit(frame[t], planted.y[t], users=planted.users[t])
    found = weighted.decision_function(frame, users=planted.users)
    assert np.array_equal(found, without.decision_function(frame, users=planted.users))


def test_order_of_rows_threads_and_integer_weights_make_no_difference_to_the_last_bit(planted, fitted):
    t = planted.train
    rng = np.random.default_rng(3)
    turn = rng.permutation(np.flatnonzero(t))
    shuffled = Personalizer(seed=1, threads=2).fit(planted.X[turn], planted.y[turn], users=planted.users[turn])
    want = fitted.decision_function(planted.X, users=planted.users)
    assert np.array_equal(shuffled.decision_function(planted.X, users=planted.users), want)
    times = rng.integers(0, 4, len(t))
    twice = np.repeat(np.arange(len(t)), times)
    model = Personalizer(schedule=Fixed(0.3))
    repeated = clone(model).fit(planted.X[twice], planted.y[twice], users=planted.users[twice])
    weighted = clone(model).fit(planted.X, planted.y, users=planted.users, sample_weight=times)
    found = [m.decision_function(planted.X, users=planted.users) for m in (repeated, weighted)]
    assert np.array_equal(*found)
    assert repeated.fitted_.terms[0].plan.events.sum() == len(twice)


@pytest.mark.parametrize(
    "classes", [["no", "yes"], [3, 7], [False, True], [-1.0, 2.0], pd.Series(["no", "yes"]).to_numpy()]
)
def test_saved_models_predict_the_same(planted, tmp_path, classes):
    y = np.asarray(classes)[planted.y]
    model = Personalizer(LogisticRegression(l2=0.5), Fixed(0.5, pull=0.25), 40, 0.1, 5).fit(
        planted.X, y, users=planted.users
    )
    model.save(tmp_path / "model")
    again = Personalizer.load(tmp_path / "model")
    assert again.get_params() == model.get_params()
    assert again.classes_.dtype == model.classes_.dtype
    assert again.n_features_in_ == 5
    assert not hasattr(again, "feature_names_in_")
    proba = model.predict_proba(planted.X, users=planted.users)
    for other in (again, pickle.loads(pickle.dumps(model)), pickle.loads(pickle.dumps(again))):
        assert np.array_equal(other.predict_proba(planted.X, users=planted.users), proba)
        assert np.array_equal(other.predict(planted.X, users=planted.users), model.predict(planted.X, planted.users))
    with pytest.raises(ModelError, match="overwrite"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", overwrite=True)


def test_saved_models_keep_names_and_the_plan(planted, tmp_path):
    frame = pd.DataFrame(planted.X, columns=list("abcde"))
    model = Personalizer().fit(frame, planted.y, users=planted.users)
    model.save(tmp_path / "model")
    again = Personalizer.load(tmp_path / "model")
    assert list(again.feature_names_in_) == list("abcde")
    assert again.fitted_.terms[0].plan.table().equals(model.fitted_.terms[0].plan.table())
    assert load_model(tmp_path / "model").features.names() == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(frame[list("bacde")])


def test_settings_are_searched_with_users_as_metadata(planted):
    with sklearn.config_context(enable_metadata_routing=True):
        model = Personalizer(ticks=30).set_fit_request(users=True).set_score_request(users=True)
        search = GridSearchCV(model, {"rate": [1e-9, 0.5]}, cv=3)
        search.fit(planted.X, planted.y, users=planted.users)
    assert search.best_params_ == {"rate": 0.5}
    assert search.best_estimator_.rate == 0.5


def mistakes(planted):
    X, y, users = planted.X, planted.y, planted.users
    n = len(y)
    gaps = pd.Series(users.astype(str)).where(users > 110)
    yield "one class only", (X, y * 0, users)
    yield "users has 3 entries and X", (X, y, [1, 2, 3])
    yield "users has the shape", (X, y, np.ones((n, 2), int))
    yield "ids are whole numbers or text", (X, y, users + 0.5)
    yield "missing ids", (X, y, gaps)
    yield "users cannot be ids", (X, y, np.where(users > 110, users.astype(object), "a"))
    yield "sample_weight has the shape", (X, y, users, np.ones(3))
    yield "sample_weight holds -1", (X, y, users, -np.ones(n))
    yield "sample_weight is zero", (X, y, users, np.zeros(n))
    yield "one class only", (X, y, users, y * 1.0)


@pytest.mark.parametrize("case", range(10))
def test_mistakes_are_told_in_one_line(planted, case):
    said, given = list(mistakes(planted))[case]
    with pytest.raises(DataError, match=said) as caught:
        Personalizer().fit(*given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"rate": 0.0}, {"ticks": 0}, {"threads": 0}])
def test_settings_out_of_range(planted, settings):
    with pytest.raises(SettingsError):
        Personalizer(**settings).fit(planted.X, planted.y)


def test_unknown_labels_and_models_of_others(planted, fitted, tmp_path):
    with pytest.raises(DataError, match="y holds 2; the model knows the classes"):
        fitted.evaluate(planted.X, planted.y + 1)
    with pytest.raises(ModelError, match="no model"):
        Personalizer.load(tmp_path / "nothing")


def test_columns_without_spread_and_huge_numbers(planted):
    X = np.column_stack([planted.X, np.full(len(planted.y), 0.1), planted.X[:, 0] * 1e300])
    model = Personalizer().fit(X, planted.y, users=planted.users)
    assert model.fitted_.features.scale[5] == 1.0
    X[:, 5] = 1e308
    assert np.isfinite(model.predict_proba(X, users=planted.users)).all()
