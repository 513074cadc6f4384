"""The parts of the paper's reproduction: kept steps, points of pictures, the paper's statements put to the test."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from headstart.data.log import read
from headstart.data.roles import FeatureSettings, Roles
from headstart.data.split import sample, split
from headstart.datasets.toy import toy
from headstart.errors import SettingsError
from headstart.experiments.curves import curve_point
from headstart.experiments.grid import one_seed, over_seeds, run_grid
from headstart.experiments.reproduction import claims as tested
from headstart.experiments.reproduction.ledger import Step, left, run
from headstart.experiments.reproduction.programme import steps
from headstart.experiments.reproduction.published import METHODS, METRICS, TREES, printed
from headstart.experiments.reproduction.quartiles import quartile_differences
from headstart.experiments.reproduction.statistics import statistics
from headstart.experiments.shares import COMPARED, share_points
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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "{}",
        '{"key": {"key": 1}',
        '{"key": {"key": 1}, "result": {}}',
        '{"key": {"key": 1}, "seconds": 1}',
    ],
)
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
    how = "user-time" if len(log.time) else "user-random"
    return Study("toy", "", log, trainer, how, split(log, how, seed=1)[0], resamples=20)


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
    found = share_points([logistic[0], trees[0]], documents, (0.2, 1.0))
    last = [point for point in found["points"] if point["share"] == 1.0]
    for point in last:
        row = next(r for r in documents[point["family"]]["methods"] if r["name"] == point["method"])
        for metric in METRICS:
            assert point["metrics"][metric]["mean"] == row["metrics"][metric]["mean"]
    models = [*(("logistic", name) for name in COMPARED[:3]), *(("gbdt", name) for name in COMPARED)]
    assert [(p["family"], p["method"]) for p in last] == models
    assert {p["drawn"] for p in last} == {1.0}
    means = {(p["family"], p["method"], p["share"]): p["metrics"] for p in found["points"]}
    assert {(m["family"], m["method"]) for m in found["moved"]} == set(models)
    for move in found["moved"]:
        high, low = (means[move["family"], move["method"], share][move["metric"]]["mean"] for share in (1.0, 0.2))
        assert move["diff"] == pytest.approx(high - low)
        assert move["lo_all"] <= move["lo"] <= move["diff"] <= move["hi"] <= move["hi_all"]
    assert {frozenset((pair["a"], pair["b"])) for pair in found["families"]} == {
        frozenset((f"logistic {name}", f"gbdt {name}")) for name in COMPARED[:3]
    }


def test_shares_are_nested_and_as_large_as_they_say(log):
    parts = [sample(log, share, 5) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    for less, more in itertools.pairwise(parts):
        assert not (less & ~more).any()
        assert less.sum() < more.sum()
    assert parts[-1].all()
    for share, part in zip((0.2, 0.4, 0.6, 0.8), parts, strict=False):
        for start, stop in zip(log.start, log.stop, strict=True):
            lists, kept = np.unique(log.list[start:stop]), np.unique(log.list[start:stop][part[start:stop]])
            # Lists count as one event; a user keeps one at least, and else a share that is rounded up or down.
            assert abs(len(kept) - share * len(lists)) < 1 or len(kept) == 1
            # A list is never cut.
            assert (np.isin(log.list[start:stop], kept) == part[start:stop]).all()


def test_shares_of_short_histories_are_true_in_the_mean():
    log = read(
        pa.table({"u": np.repeat(np.arange(4000), 3), "y": np.arange(12000) % 2}), Roles(user="u").with_label("y")
    )
    for share, kept in ((0.2, 1 / 3), (0.5, 0.5), (0.8, 0.8)):  # of 3 events .6 are asked for, 1 is the least
        assert sample(log, share, 0).mean() == pytest.approx(kept, abs=0.02)


def test_a_point_of_a_curve_is_a_training_planned_for_that_many_ticks(logistic):
    made, document = logistic
    points = {p["method"]: p["metrics"] for p in curve_point(made, document, 4)["points"]}
    assert list(points) == list(CURVES)
    for row in document["methods"]:
        if row["name"] in CURVES:
            (users,) = made.judged([as_chosen(row, 4).fit(made.trainer.task(made.training, ticks=4))])
            assert points[row["name"]]["auc"]["mean"] == pytest.approx(users.means()["auc"], abs=1e-12)


def test_a_point_is_set_against_the_global_model_where_it_stops(logistic):
    made, document = logistic
    found = curve_point(made, document, 8, "by-abundance")
    means = {row["name"]: row["metrics"] for row in document["methods"]}
    assert found["stop"] == document["methods"][0]["settings"]["stop"]
    at = next(p["metrics"] for p in found["points"] if p["method"] == "by-abundance")
    for pair in found["pairs"]:
        assert pair["ticks"] == 8
        # The comparison's global model is that of T'.
        assert pair["diff"] == pytest.approx(at[pair["metric"]]["mean"] - means["global"][pair["metric"]]["mean"])
        assert pair["lo"] <= pair["diff"] <= pair["hi"]


def test_other_rows_are_another_key(log):
    """Without times the order of events decides which are tested, and a fingerprint does not see it."""
    table = pa.table({"u": np.repeat(np.arange(30), 10), "y": np.arange(300) % 2, "x": np.arange(300) % 7})
    mixed = table.take(pa.array(np.random.default_rng(0).permutation(300)))
    one, other = (read(events, Roles(user="u").with_label("y")) for events in (table, mixed))
    assert one.fingerprint() == other.fingerprint()
    keys = [
        Study("n", "", log, study(log).trainer, "user-random", split(log, "user-random", seed=1)[0]).key
        for log in (one, other)
    ]
    assert {name for name in keys[0] if keys[0][name] != keys[1][name]} == {"rows"}


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


def test_a_grid_where_nobody_counts_has_no_means():
    """Users with a test event each have no ranking metric; what is kept of a seed is plain all the same."""
    made = pa.table({"u": np.repeat(np.arange(40), 2), "y": np.arange(80) // 2 % 2, "x": np.arange(80) % 5})
    log = read(made, Roles(user="u").with_label("y"))
    trainer = study(log, GradientBoosting(min_rows=5)).trainer
    found = one_seed("trees", log, trainer, 0)
    assert all(means["auc"] is None for means in found.values())
    assert all(row["metrics"]["auc"]["mean"] is None for row in over_seeds("trees", trainer, [found], {})["rows"])
    json.dumps(found, allow_nan=False)


def test_quartiles_are_told_apart_where_they_are():
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.5, 1.5, 400)

    def users(shift):
        one = dict.fromkeys(("rmse", "mae"), errors + shift)
        return SimpleNamespace(counted=one)

    found = quartile_differences({"a": users(0), "b": users(0.1), "c": users(0)}, "a", ("b", "c"), resamples=200)
    assert len(found) == 2 * 2 * 3
    for one in found:
        assert one["theirs"] - one["ours"] == pytest.approx(0.1 if one["rival"] == "b" else 0)
        assert (one["lo"] > 0) == (one["rival"] == "b")
        assert one["lo"] <= one["theirs"] - one["ours"] + 1e-9


# The paper's statements, on figures made for the purpose.

FOR, AGAINST, OPEN = (tested.Contrast(*ends) for ends in ((0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (0.1, -0.1, 0.3)))


@pytest.mark.parametrize(
    ("contrasts", "agrees"),
    [
        ([FOR, FOR], "yes"),
        ([FOR, OPEN], "partly"),
        ([FOR, FOR, AGAINST], "partly"),
        ([FOR, AGAINST], "no"),
        ([OPEN, AGAINST], "no"),
        ([OPEN, OPEN], "unclear"),
        ([tested.Contrast(0.5, None, None)], "unclear"),
        ([tested.Contrast(0.5, 0.5, 0.5)], "unclear"),
        ([], "unclear"),
    ],
)
def test_a_verdict_goes_by_what_is_sure(contrasts, agrees):
    assert tested.verdict(contrasts) == agrees


def document(**gaps):
    """Pairs of a comparison: of each named method less global."""
    names = {"global": 0.0, **{name.replace("_", "-"): gap for name, gap in gaps.items()}}
    pairs = []
    for metric in METRICS:
        for a, b in itertools.combinations(names, 2):
            diff = names[a] - names[b]
            ends = {"lo": diff - 0.01, "hi": diff + 0.01, "lo_all": diff - 0.02, "hi_all": diff + 0.02}
            pairs.append({"a": a, "b": b, "metric": metric, "diff": diff, **ends})
    return {"pairs": pairs}


def test_orders_of_methods_go_by_simultaneous_intervals():
    best = document(local=0.1, mtl=0.1, by_abundance=0.2)
    assert tested.highest(best).agrees == tested.global_worst(best).agrees == "yes"
    near = document(local=0.1, mtl=0.185, by_abundance=0.2)  # .015: sure alone, not beside the others
    found = tested.highest(near)
    assert (found.agrees, "Of 12 differences 8 are surely so, 0 surely the other way" in found.ours) == ("partly", True)
    assert tested.highest(document(local=0.0, mtl=0.0, by_abundance=0.0)).agrees == "unclear"
    last = document(local=0.1, mtl=-0.1, by_abundance=-0.2)
    assert tested.global_worst(last).agrees == "no"


def curve(stop, *los):
    """Of T = 1, 10 and 100 the lower end, and an upper one of .1 more."""
    ends = zip((1, 10, 100), los, strict=True)
    pairs = [{"metric": m, "ticks": t, "diff": lo + 0.05, "lo": lo, "hi": lo + 0.1} for t, lo in ends for m in METRICS]
    return {"stop": stop, "pairs": pairs}


def curves_of(stop, *los):
    return tested.sooner(curve(stop, *los))


def test_fewer_epochs_are_fewer_than_the_global_model_takes():
    soon = curves_of(50, -0.05, 0.01, 0.02)
    assert soon.agrees == "yes"
    assert "AUC at T = 10 to 100" in soon.ours
    late = curves_of(50, -0.05, -0.05, 0.02)
    assert (late.agrees, "at T = 100;" in late.ours) == ("unclear", True)
    assert curves_of(50, -0.5, -0.4, 0.02).agrees == "no"
    assert "never" in curves_of(50, -0.05, -0.05, -0.05).ours


def rows(seeds=3, **means):
    """The table of trees: .3 in every row but those whose names begin as given; seeds differ, pairs hardly do."""
    made = dict.fromkeys(TREES, 0.3)
    for name, value in means.items():
        made |= {full: value for full in made if full.startswith(name.replace("_", " "))}
    shift = np.linspace(-0.05, 0.05, seeds) if seeds > 1 else np.zeros(1)
    noise = np.random.default_rng(0).normal(0, 1e-4, (len(made), seeds))
    return {
        name: {m: {"mean": value, "sd": 0.05, "values": (value + shift + noise[k]).tolist()} for m in METRICS}
        for k, (name, value) in enumerate(made.items())
    }


def test_trees_are_paired_by_seed():
    assert tested.adaptive_above(rows(adaptive=0.31), "global").agrees == "yes"
    assert tested.adaptive_above(rows(adaptive=0.29), "local").agrees == "no"
    assert tested.adaptive_above(rows(), "local").agrees == "unclear"
    assert tested.local_above_global(rows(local=0.31)).agrees == "yes"


def test_one_seed_tells_nothing():
    found = tested.adaptive_above(rows(seeds=1, adaptive=0.4), "global")
    assert (found.agrees, "[" in found.ours) == ("unclear", False)


def test_places_of_a_grid_are_told_as_runs():
    assert tested._runs([1, 2, 5], [1, 2, 3, 5]) == "1 to 2, 5"
    assert tested._runs([3, 5], [1, 2, 3, 5]) == "3 to 5"


def test_gains_are_alike_within_a_factor_of_two():
    paper = {name: {m: {"mean": v[k][0], "values": [0, 0]} for k, m in enumerate(METRICS)} for name, v in TREES.items()}
    assert tested.size_of_gain(paper).agrees == "yes"
    assert tested.size_of_gain(rows(adaptive=0.3001)).agrees == "no"
    assert tested.size_of_gain(rows(adaptive=0.32)).agrees == "partly"  # AUC +.014, MAP +.018; MRR +.063 is not


def group(number, diff, users=10):
    one = {"method": "by-abundance", "metric": "map"}
    ends = {"lo": None, "hi": None} if diff is None else {"lo": diff - 0.01, "hi": diff + 0.01}
    return {"group": number, "users": users, "differences": [{**one, "diff": diff, **ends}]}


def test_every_group_means_every_group():
    def found(over_global, over_local):
        made = ([group(n, gap) for n, gap in enumerate(gaps, start=1)] for gaps in (over_global, over_local))
        return tested.every_group(*made, "by-abundance")

    assert found([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]).agrees == "yes"
    mixed = found([0.1, 0.1, 0.0], [0.1, 0.1, -0.1])
    assert mixed.agrees == "partly"
    assert "Of 6 differences 4 are surely so, 1 surely the other way; group 1: over global +0.1000" in mixed.ours
    nobody = found([None, 0.1], [None, 0.1])
    assert (nobody.agrees, "group 1: over global cannot be told, over local cannot be told" in nobody.ours) == (
        "partly",
        True,
    )
    assert found([0.0], [0.0]).agrees == "unclear"
    few = tested.every_group([group(1, 0.1), group(7, 0.1, 9)], [group(1, 0.1), group(7, 0.1)], "by-abundance")
    assert (few.agrees, few.ours.endswith("; fewer than 10 users in group 7.")) == ("partly", True)


def test_trees_gain_and_logistic_regression_stays_by_one_measure():
    def move(family, lo, hi):
        ends = {"lo_all": lo, "hi_all": hi}
        return {"family": family, "method": "global", "metric": "map", "diff": (lo + hi) / 2, **ends}

    both = [move("gbdt", 0.011, 0.03), move("logistic", 0.011, 0.03)]
    assert [claim.agrees for claim in tested.with_more_data(both)] == ["yes", "no"]
    still = [move("gbdt", -0.009, 0.009), move("logistic", -0.009, 0.009)]
    assert [claim.agrees for claim in tested.with_more_data(still)] == ["unclear", "yes"]
    (wide,) = tested.with_more_data([move("logistic", -0.05, 0.05)])
    assert wide.agrees == "unclear"


def test_lower_quartiles():
    def found(lo, hi):
        about = {"rival": "global", "metric": "rmse", "ours": 1.0, "theirs": 1.0 + (lo + hi) / 2, "lo": lo, "hi": hi}
        return tested.lower_quartiles([{**about, "point": point} for point in ("q1", "median", "q3")])

    assert found(0.01, 0.03).agrees == "yes"
    assert found(-0.01, 0.03).agrees == "unclear"
    assert found(-0.03, -0.01).agrees == "no"
