"""Features are made of training rows only, and made the same way for every other row."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from headstart.data.features import FeatureMap, TransformReport
from headstart.data.log import read
from headstart.data.roles import FeatureSettings, Roles
from headstart.data.vocab import keys
from headstart.errors import DataError, ModelError, SettingsError

ROLES = Roles("user", "y")


def log_of(roles=ROLES, **columns):
    n = len(next(iter(columns.values())))
    start = {"user": np.arange(n) // 2, "y": np.arange(n) % 2}
    return read(pa.table({**start, **columns}), roles, trainable=False)


def fitted(log, **settings):
    mapping = FeatureMap.fit(log, FeatureSettings(**settings))
    return mapping, *mapping.transform(log)


def test_numbers_are_standardised_in_double_precision():
    mapping, X, report = fitted(log_of(x=[1e7 + 1, 1e7 + 2, 1e7 + 3, 1e7 + 4]))
    np.testing.assert_allclose(X[:, 0], np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25), rtol=1e-6)
    assert (X.dtype, X.flags.c_contiguous, mapping.names()) == (np.float32, True, ["x"])
    assert report == TransformReport(4)


def test_what_is_missing_becomes_the_mean_with_an_indicator():
    mapping, X, report = fitted(log_of(x=[1.0, None, 3.0, np.nan], z=[np.inf, 2, 4, 1e300]))
    assert mapping.names() == ["x", "x:missing", "z", "z:missing"]
    np.testing.assert_allclose(X, [[-1, 0, 0, 1], [0, 1, -1, 0], [1, 0, 1, 0], [0, 1, 0, 1]])
    assert report.missing == {"x": 2, "z": 2}


def test_a_gap_that_training_had_not_is_the_mean():
    mapping, _, _ = fitted(log_of(x=[1.0, 2, 3, 4]))
    X, report = mapping.transform(log_of(x=[None, 2.5]))
    np.testing.assert_allclose(X, [[0], [0]], atol=1e-7)
    assert report.missing == {"x": 1}


def test_constant_and_empty_columns_are_dropped_and_noted():
    columns = {"a": [0.1] * 6, "b": [None] * 6, "c": ["k"] * 6, "d": [np.nan] * 6, "e": [True, False] * 3}
    mapping, X, _ = fitted(log_of(**columns))
    assert mapping.names() == ["e=false", "e=true"]
    assert set(mapping.notes) == {"a", "b", "c", "d"}
    assert X.tolist() == [[0, 1], [1, 0]] * 3


def test_categories_are_sorted_and_null_is_one_of_them():
    mapping, X, _ = fitted(log_of(dept=["z", "é", None, "z"]))
    assert mapping.names() == ["dept=z", "dept=é", "dept=?"]
    assert X.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    X, report = mapping.transform(log_of(dept=["new", "é", None]))
    assert X.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert (report.unseen, report.missing) == ({"dept": 1}, {"dept": 1})


def test_null_is_no_category_unless_training_had_it():
    mapping, _, _ = fitted(log_of(dept=["b", "a"]))
    X, report = mapping.transform(log_of(dept=["a", None]))
    assert X.tolist() == [[1, 0], [0, 0]]
    assert (report.unseen, report.missing) == ({}, {"dept": 1})


def test_a_number_named_categorical_keeps_its_name_in_any_type():
    roles = Roles("user", "y", categorical=("zone",))
    mapping, X, _ = fitted(log_of(roles, zone=[3, 10, 3, 10]))
    assert mapping.names() == ["zone=10", "zone=3"]
    for again in ([3.0, 10.0, 3.0, 10.0], ["3", "10", "3", "10"]):
        np.testing.assert_array_equal(mapping.transform(log_of(roles, zone=again))[0], X)
    X, report = mapping.transform(log_of(roles, zone=[3.0, None, np.nan, 3.5]))
    assert (report.missing, report.unseen) == ({"zone": 2}, {"zone": 1})


def test_many_categories_are_hashed():
    values = [f"c{k}" for k in range(40)] + [None] * 2
    mapping, X, _ = fitted(log_of(dept=values), max_onehot=39, hash_buckets=8)
    assert mapping.names() == [f"dept#{k}" for k in range(8)]
    assert np.asarray(X.sum(1)).tolist() == [1] * 40 + [0] * 2
    mapping, X, _ = fitted(log_of(dept=values), max_onehot=40)
    assert isinstance(X, csr_array)
    assert mapping.names()[-1] == "dept=?"


def test_sparse_is_the_same_matrix_and_decided_in_training():
    rng = np.random.default_rng(0)
    gaps = np.where(rng.random(300) < 0.3, np.nan, rng.normal(size=300))
    log = log_of(x=gaps, dept=rng.choice([f"c{k}" for k in range(20)], 300))
    mapping, X, _ = fitted(log)
    assert isinstance(X, csr_array)
    assert (X.data.dtype, X.indices.dtype, X.indptr.dtype) == (np.float32, np.int16, np.int64)
    assert X.has_canonical_format
    dense = FeatureMap(mapping.encoders, mapping.bags, {"all": False}, {}).transform(log)[0]
    np.testing.assert_array_equal(X.toarray(), dense)
    assert X.data.nbytes + X.indices.nbytes + X.indptr.nbytes < dense.nbytes
    one = mapping.transform(log_of(x=[1.0], dept=["c1"]))[0]
    assert isinstance(one, csr_array)


def test_an_absent_column_counts_as_missing_values():
    mapping, _, _ = fitted(
        log_of(x=[1.0, None, 3, 4], dept=["a", "b", None, "a"], big=["p", "q", "r", "s"]), max_onehot=3
    )
    X, report = mapping.transform(log_of(other=[1, 2]))
    assert report.absent == {"x": 2, "dept": 2, "big": 2}
    expected = {"x": 0, "x:missing": 1, "dept=a": 0, "dept=b": 0, "dept=?": 1}
    row = dict(zip(mapping.names(), np.asarray(X.toarray())[0], strict=True))
    assert {name: row[name] for name in expected} == expected


def test_text_where_training_had_numbers():
    mapping, X, _ = fitted(log_of(x=[1.0, 2.0]))
    np.testing.assert_array_equal(mapping.transform(log_of(x=["1", "2.0"]))[0], X)
    with pytest.raises(DataError, match="column 'x' was a number in training"):
        mapping.transform(log_of(x=["1", "abc"]))


def test_bags_choose_columns():
    log = log_of(x=[1.0, 2, 3, 4], dept=["a", "b", "a", "b"], z=[4, 3, 2, 2])
    mapping, X, _ = fitted(log, bags=(("user", ("z", "dept")), ("item", ("x",))))
    assert mapping.names("user") == ["dept=a", "dept=b", "z"]
    np.testing.assert_array_equal(mapping.transform(log, "user")[0], X[:, 1:])
    np.testing.assert_array_equal(mapping.transform(log, "item")[0], X[:, :1])
    for bags, said in [((("b", ("q",)),), "names 'q'"), ((("all", ("x",)),), "always exists")]:
        with pytest.raises(SettingsError, match=said):
            fitted(log, bags=bags)
    with pytest.raises(SettingsError, match="no bag 'other'"):
        mapping.transform(log, "other")


def test_reports_add_up():
    a, b = TransformReport(3, {"d": 1}, {}, {"x": 3}), TransformReport(2, {"d": 2}, {"x": 1})
    assert a + b == TransformReport(5, {"d": 3}, {"x": 1}, {"x": 3})
    assert sum((a + b).counts().values()) == 7


def item_log(seed=0, n=400, label=None):
    rng = np.random.default_rng(seed)
    columns = {"user": rng.integers(0, 30, n), "item": rng.integers(0, 12, n), "y": rng.integers(0, 2, n)}
    if label is not None:
        columns["y"] = label(columns)
    return read(pa.table(columns), Roles("user", "y", item="item"))


def test_item_statistics_are_those_of_the_other_folds():
    log = item_log()
    mapping, X, _ = fitted(log, item_statistics=True)
    assert mapping.names() == ["item:log_count", "item:mean"]
    fold = np.repeat(keys(log.users) % np.uint64(5), log.counts)
    item = log.item.to_numpy()
    for f in range(5):
        other = fold != f
        count = np.bincount(item[other], minlength=12)
        mean = (np.bincount(item[other], log.label[other], 12) + 10 * log.label[other].mean()) / (count + 10)
        for k, values in enumerate((np.log1p(count), mean)):
            events = values[item[other]]
            expected = (values[item[~other]] - events.mean()) / events.std()
            np.testing.assert_allclose(X[~other, k], expected, rtol=1e-4, atol=1e-5)


def test_unknown_items_have_no_events_and_the_overall_mean():
    mapping, X, _ = fitted(item_log(), item_statistics=True)
    table = pa.table({"user": [1, 1, 2], "item": [99, 3, None]})
    Z, report = mapping.transform(read(table, Roles("user", item="item"), labelled=False))
    assert report.unseen == {"item": 2}
    assert (Z[1:, 0] < X[:, 0].min()).all()
    assert (np.abs(Z[1:, 1]) < np.abs(X[:, 1]).max()).all()


def test_item_statistics_need_items_and_labels():
    with pytest.raises(SettingsError, match="give --item"):
        fitted(log_of(x=[1, 2]), item_statistics=True)


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()])
def test_json_round_trip(kind):
    rng = np.random.default_rng(0)
    table = {
        "user": rng.integers(0, 9, 60),
        "y": rng.integers(0, 2, 60),
        "item": pa.array(rng.integers(0, 5, 60)).cast(kind),
        "x": rng.normal(size=60) * 1e-3,
        "d": rng.choice(["a", 'q"', "ü"], 60),
        "h": [f"v{k}" for k in range(60)],
        "c": [1] * 60,
    }
    log = read(pa.table(table), Roles("user", "y", item="item"))
    settings = FeatureSettings(max_onehot=10, hash_buckets=16, item_statistics=True, bags=(("i", ("item", "x")),))
    mapping = FeatureMap.fit(log, settings)
    again = FeatureMap.from_json(json.loads(json.dumps(mapping.to_json(), allow_nan=False)))
    assert again.to_json() == mapping.to_json()
    assert (again.names(), again.names("i"), again.notes) == (mapping.names(), mapping.names("i"), mapping.notes)
    for bag in ("all", "i"):
        a, b = (csr_array(known.transform(log, bag)[0]).toarray() for known in (mapping, again))
        np.testing.assert_array_equal(a, b)


def test_a_damaged_map_is_refused():
    good = fitted(log_of(x=[1.0, 2.0]))[0].to_json()
    for change in ({"version": 9}, {"format": "other"}, {"encoders": [{"kind": "odd"}]}, {"encoders": [{"column": 1}]}):
        with pytest.raises(ModelError, match="train the model again"):
            FeatureMap.from_json({**good, **change})
