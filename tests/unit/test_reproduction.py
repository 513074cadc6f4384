"""The parts of the paper's reproduction: kept steps, points of pictures, the paper's statements put to the test."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest

from headstart.data.log import read
from headstart.data.roles import FeatureSettings, Roles
from headstart.data.split import split
from headstart.datasets.toy import toy
from headstart.errors import SettingsError
from headstart.experiments.curves import curve_point
from headstart.experiments.grid import run_grid
from headstart.experiments.reproduction import claims as tested
from headstart.experiments.reproduction.ledger import Step, left, run
from headstart.experiments.reproduction.programme import steps
from headstart.experiments.reproduction.published import METHODS, METRICS, TREES, printed
from headstart.experiments.reproduction.statistics import statistics
from headstart.experiments.shares import COMPARED, part_of, share_point
from headstart.experiments.study import Study, as_chosen
from headstart.methods.mtl import MultiTask
from headstart.methods.search import Grid
from headstart.methods.tuned import Settings, Trainer
from headstart.models.gbdt import GradientBoosting
from headstart.models.logistic import LogisticRegression
from headstart.report.pseudonyms import Pseudonyms


def counting(done, names, key=1):
    """Steps that say that they ran, each with the number of results it found."""

    def of(name, n):
        def make(results):
            done.append(name)
            return {"found": len(results), "n": n}

        return Step(name, f"step {name}", name[0], n + 1.0, {"key": key}, make)

    return [of(name, n) for n, name in enumerate(names)]


def test_a_step_that_is_done_is_not_made_again(tmp_path):
    done, told = [], []
    first, seconds = run(counting(done, ["a", "b"]), tmp_path, told.append)
    again, more = run(counting(done, ["a", "b", "c"]), tmp_path, told.append)
    assert done == ["a", "b", "c"]
    assert again == {**first, "c": {"found": 2, "n": 2}}
    assert more > seconds
    assert [(s.step.name, s.done, s.total, s.seconds is None, s.first) for s in told[4:]] == [
        ("c", 2, 3, True, True),
        ("c", 3, 3, False, False),
    ]
    assert told[-1].left == 0


def test_steps_of_other_data_are_refused_and_replaced_only_if_asked(tmp_path):
    done = []
    run(counting(done, ["a"]), tmp_path, lambda _: None)
    kept = (tmp_path / "a.json").read_bytes()
    with pytest.raises(SettingsError, match=r"a\.json was made with another key; give another --out.*--overwrite"):
        run(counting(done, ["a"], key=2), tmp_path, lambda _: None)
    assert (tmp_path / "a.json").read_bytes() == kept
    run(counting(done, ["a"], key=2), tmp_path, lambda _: None, overwrite=True)
    assert done == ["a", "a"]
    assert json.loads((tmp_path / "a.json").read_text())["key"] == {"key": 2}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"key": {"key": 1}'])
def test_what_cannot_be_read_is_made_again_and_said(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    done, told = [], []
    run(counting(done, ["a"]), tmp_path, told.append)
    assert done == ["a"]
    assert told[0].damaged


def test_a_step_that_fails_leaves_the_others(tmp_path):
    done = []
    steps = [*counting(done, ["a"]), Step("b", "b", "b", 1.0, {}, lambda _: 1 / 0)]
    with pytest.raises(ZeroDivisionError):
        run(steps, tmp_path, lambda _: None)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_time_left_goes_by_steps_of_the_kind():
    steps = [Step(f"{kind}{n}", "", kind, weight, {}, dict) for kind, weight in (("x", 2.0), ("y", 10.0)) for n in "01"]
    assert left(steps, {}) is None
    # One of x took 20 s, so will the other; of y nothing is known but the weights: (20 + 5) / (2 + 5) for each.
    assert left(steps, {"x0": 20.0}) == pytest.approx(20 + 20 * 25 / 7)
    assert left(steps, {"x0": 20.0, "x1": 10.0, "y0": 100.0}) == pytest.approx(100)


SMALL = Grid(ticks=(4, 8), rate=(0.1, 0.25))


CURVES = ("global", "local", "mtl", "as-printed", "by-abundance")


@pytest.fixture(scope="module")
def log():
    made = toy(60, seed=3)
    return read(made.table, made.roles)


def study(log, family=LogisticRegression(), grid=SMALL):  # noqa: B008 (a frozen record)
    trainer = Trainer(family, FeatureSettings(), Settings(grid=grid, seed=1))
    return Study("toy", "", log, trainer, "user-time", split(log, "user-time", seed=1)[0], resamples=20)


@pytest.fixture(scope="module")
def logistic(log):
    made = study(log)
    return made, made.compared(METHODS[made.family]).document


@pytest.fixture(scope="module")
def trees(log):
    made = study(log, GradientBoosting(min_rows=5))
    return made, made.compared(METHODS[made.family]).document


def test_chosen_settings_survive_the_document(logistic):
    _made, document = logistic
    rows = {row["name"]: row for row in json.loads(json.dumps(document))["methods"]}
    for name in CURVES:
        method = as_chosen(rows[name])
        assert method.name == name
        assert dict(method.settings) == rows[name]["chosen"][0]
        assert as_chosen(rows[name], 3).ticks == 3
    assert isinstance(as_chosen(rows["mtl"]), MultiTask)


def test_all_the_data_is_what_the_comparison_had(logistic, trees):
    """The same settings, rows and stop: share 1 says again what the comparison said."""
    documents = {"logistic": logistic[1], "gbdt": trees[1]}
    found = share_point([logistic[0], trees[0]], documents, 1.0)
    for point in found["points"]:
        row = next(r for r in documents[point["family"]]["methods"] if r["name"] == point["method"])
        for metric in METRICS:
            assert point["metrics"][metric]["mean"] == row["metrics"][metric]["mean"]
    assert [(p["family"], p["method"]) for p in found["points"]] == [
        *(("logistic", name) for name in COMPARED[:3]),
        *(("gbdt", name) for name in COMPARED),
    ]
    assert {frozenset((pair["a"], pair["b"])) for pair in found["pairs"]} == {
        frozenset((f"logistic {name}", f"gbdt {name}")) for name in COMPARED[:3]
    }


def test_shares_are_nested_and_leave_everybody_something(log):
    parts = [part_of(log, share, 5) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    for less, more in itertools.pairwise(parts):
        assert set(less.row) < set(more.row)
        assert (less.counts >= 1).all()
    assert len(parts[-1]) == len(log)
    # A list counts as one event and is never cut: of n lists .6 n, rounded, are left out, but never all of them.
    sizes = dict(zip(*np.unique(log.list, return_counts=True), strict=True))
    kept = dict(zip(*np.unique(rows_of(log, parts[1]), return_counts=True), strict=True))
    assert all(sizes[code] == size for code, size in kept.items())
    for start, stop in zip(log.start, log.stop, strict=True):
        lists = np.unique(log.list[start:stop])
        out = min(max(int(0.6 * len(lists) + 0.5), 1), len(lists) - 1)
        assert len(set(lists) & kept.keys()) == len(lists) - out


def rows_of(log, part):
    """Lists of the rows of `part`, in the codes of `log`."""
    return log.list[np.isin(log.row, part.row)]


def test_a_point_of_a_curve_is_a_training_planned_for_that_many_ticks(logistic):
    made, document = logistic
    points = {p["method"]: p["metrics"] for p in curve_point(made, document, 4)["points"]}
    assert list(points) == list(CURVES)
    for row in document["methods"]:
        if row["name"] in CURVES:
            fresh = as_chosen(row, 4).fit(made.trainer.task(made.training, ticks=4))
            users = made.judged([fresh])[row["name"]]
            assert points[row["name"]]["auc"]["mean"] == pytest.approx(users.means()["auc"], abs=1e-12)


def test_a_part_has_the_steps_of_the_whole(log):
    """So that a folder of one family serves all of them, but for what sets families side by side."""
    both = {"logistic": study(log), "gbdt": study(log, GradientBoosting(min_rows=5))}
    whole = {step.name: step.key for step in steps(both, 2, Pseudonyms(shown=True))}
    for family, one in both.items():
        part = {step.name: step.key for step in steps({family: one}, 2, Pseudonyms(shown=True))}
        shared = {name for name in part if not name.startswith("share-")}
        assert f"compare-{family}" in shared
        assert {name: whole[name] for name in shared} == {name: part[name] for name in shared}


def test_statistics_are_counts():
    table = pa.table({"u": [1, 1, 2, 2, 2], "i": [7, 8, 7, 7, 9], "y": [0, 1, 1, 0, 1], "x": range(5)})
    log = read(table, Roles(user="u", item="i").with_label("y"))
    found = statistics("n", log, features=1)
    assert (found["users"], found["items"], found["events"], found["positives"]) == (2, 3, 5, 3)
    assert (found["events_per_user"], found["positives_per_user"], found["sparsity"]) == (2.5, 1.5, None)
    assert statistics("n", log, None)["sparsity"] == 5 / 6
    assert statistics("n", log, None)["positives"] is None


def test_the_grid_by_seeds_is_the_grid(log):
    trainer = study(log, GradientBoosting(min_rows=5)).trainer
    found = run_grid("trees", log, trainer, seeds=1, about={"a": 1})
    assert list(found)[:4] == ["a", "grid", "seeds", "settings"]
    assert {row["name"] for row in found["rows"]} == set(TREES) == {row["name"] for row in printed()}


# The paper's statements, on figures made for the purpose.


def curve(method, *means):
    return [
        {"method": method, "ticks": t, "metrics": {m: {"mean": v, "lo": v, "hi": v} for m in METRICS}}
        for t, v in zip((1, 10, 100), means, strict=True)
    ]


def test_curves_are_judged_by_each_methods_best():
    points = [*curve("global", 0.5, 0.6, 0.55), *curve("local", 0.7, 0.4, 0.3), *curve("by-abundance", 0.5, 0.65, 0.8)]
    assert tested.highest_by_epochs(points).agrees == "yes"
    assert tested.global_worst(points).agrees == "yes"
    late = tested.sooner(points)
    assert late.agrees == "no"
    assert "global is best at T = 10, by-abundance is there at T = 10" in late.ours
    soon = [*curve("global", 0.5, 0.6, 0.62), *curve("by-abundance", 0.5, 0.65, 0.7)]
    assert tested.sooner(soon).agrees == "yes"
    never = [*curve("global", 0.5, 0.6, 0.62), *curve("by-abundance", 0.5, 0.5, 0.5)]
    assert tested.sooner(never).agrees == "no"
    assert "never" in tested.sooner(never).ours
    assert tested.global_worst(never).agrees == "no"


def rows(**means):
    made = {name: {m: {"mean": 0.3, "sd": 0.01} for m in METRICS} for name in TREES}
    for name, value in means.items():
        kind = name.replace("_", " ")
        for full in (one for one in made if one.startswith(kind)):
            made[full] = {m: {"mean": value, "sd": 0.01} for m in METRICS}
    return made


@pytest.mark.parametrize(("adaptive", "agrees"), [(0.4, "yes"), (0.305, "partly"), (0.2, "no")])
def test_adaptive_trees_must_be_above_by_twice_the_error(adaptive, agrees):
    assert tested.adaptive_above(rows(adaptive=adaptive), "global", seeds=4).agrees == agrees


def test_local_trees_and_the_size_of_gains():
    assert tested.local_above_global(rows(local=0.4)).agrees == "yes"
    half = tested.local_above_global(rows(local_20=0.4, local_200=0.2))
    assert half.agrees == "partly"
    assert "In 4 of 16" in half.ours
    paper = {name: {m: {"mean": v[k][0], "sd": v[k][1]} for k, m in enumerate(METRICS)} for name, v in TREES.items()}
    same = tested.size_of_gain(paper)
    assert same.agrees == "yes"
    assert same.ours in same.paper
    assert tested.size_of_gain(rows(adaptive=0.3001)).agrees == "no"


def group(number, **means):
    return {"group": number, "methods": {name.replace("_", "-"): {"map": {"mean": v}} for name, v in means.items()}}


def test_every_group_means_every_group():
    won = {"global": 0.1, "local": 0.2, "by_abundance": 0.3}
    groups = [group(n, **won, **{"fixed-20+50": 0.1}) for n in (1, 2, 7)]
    assert tested.every_group(groups).agrees == "yes"
    lost = [*groups[:2], group(7, **{**won, "local": 0.4}, **{"fixed-20+50": 0.1})]
    found = tested.every_group(lost)
    assert found.agrees == "partly"
    assert "by-abundance in 2 of 3 groups (1, 2)" in found.ours
    nobody = {"global": None, "local": None, "by_abundance": None}
    assert tested.every_group([*groups, group(5, **nobody, **{"fixed-20+50": None})]).agrees == "yes"


def test_more_data_and_quartiles():
    def at(share, family, mean):
        metrics = {"map": {"mean": mean, "lo": mean - 0.05, "hi": mean + 0.05}}
        return {"share": share, "family": family, "method": "global", "metrics": metrics}

    points = [at(0.2, "gbdt", 0.1), at(1.0, "gbdt", 0.2), at(0.2, "logistic", 0.1), at(1.0, "logistic", 0.12)]
    assert [claim.agrees for claim in tested.with_more_data(points)] == ["yes", "yes"]
    steep = [at(0.2, "logistic", 0.1), at(1.0, "logistic", 0.2)]
    assert [(claim.family, claim.agrees) for claim in tested.with_more_data(steep)] == [("logistic", "no")]

    def errors(**values):
        points = {name: dict.fromkeys(("q1", "median", "q3"), value) for name, value in values.items()}
        return [{"methods": {name.replace("_", "-"): {"rmse": one, "mae": one} for name, one in points.items()}}]

    assert tested.quartiles(errors(**{"global": 1.0}, local=2.0, by_abundance=0.9)).agrees == "yes"
    assert tested.quartiles(errors(**{"global": 1.0}, local=0.8, by_abundance=0.9)).agrees == "no"
