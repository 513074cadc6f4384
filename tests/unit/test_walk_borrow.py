"""What is borrowed from the path, and what a stop before the planned T means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.data.log import read
from headstart.data.roles import FeatureSettings
from headstart.data.split import split
from headstart.datasets.toy import toy
from headstart.engines import Serial
from headstart.errors import SettingsError
from headstart.methods import BranchSettings, branch
from headstart.methods.tuned import Settings, Trainer
from headstart.models.family import Orders
from headstart.models.logistic import LogisticRegression
from headstart.path import SaveAt
from headstart.schedules import Reason
from headstart.scoring import Scorer
from headstart.testing.toys import toy_blocks
from headstart.training import train_path

MADE = toy(90, seed=8)
LOG = read(MADE.table, MADE.roles)
PART = split(LOG, "user-time", seed=0)[0]
TRAINING, TEST = LOG.take(~PART.test), LOG.take(PART.test)
GIVEN = BranchSettings(ticks=30, rate=0.3, groups=5)


def task(stop=None, tolerance=0.0):
    settings = Settings(GIVEN, tolerance=tolerance)
    return Trainer(LogisticRegression(), FeatureSettings(), settings, Serial()).task(TRAINING, stop)


def scores(name, settings=GIVEN, stop=None):
    fitted = branch(name, settings).fit(task(stop))
    return fitted.terms[0], Scorer(fitted).score(TEST)


def rows_of(group, plan):
    """Rows of TEST whose user is in `group`, a mask."""
    return (plan.group == group)[TEST.user_of_row]


@pytest.mark.parametrize("stop", [None, 30, 17, 1])
@pytest.mark.parametrize("name", ["by-abundance", "as-printed", "local", "fine-tune"])
def test_who_takes_the_whole_path_is_served_the_global_model_exactly(name, stop):
    """Group 1 by abundance, whether global training stopped early or not."""
    alone = scores("global", stop=stop)[1]
    term, own = scores(name, stop=stop)
    whole = (term.plan.reason == Reason.WHOLE_PATH)[TEST.user_of_row]
    assert own.margin[whole].tobytes() == alone.margin[whole].tobytes()
    assert not own.personal[whole].any()
    if name == "by-abundance":
        assert np.array_equal(whole, rows_of(1, term.plan))
        assert whole.any()
        assert (term.plan.ticks[term.plan.group == 1] == 30).all()
        assert own.personal[~whole].all()
        assert (own.margin[~whole] != alone.margin[~whole]).mean() > 0.9
    else:
        assert not whole.any()


@pytest.mark.parametrize("stop", [1, 11, 17, 24])
def test_every_tick_after_the_stop_is_the_state_of_the_stop(stop):
    """t_u and local steps count in the planned T: who leaves after T' starts at T' and still takes T - t_u steps."""
    full, early = task().path(), task(stop).path()
    assert (early.planned, early.stopped) == (30, stop)
    for tick in range(31):
        expected = full.at(min(tick, stop))
        for name, array in early.at(tick).items():
            assert array.tobytes() == expected[name].tobytes()
    term = scores("by-abundance", stop=stop)[0]
    assert term.plan.table().equals(scores("by-abundance")[0].plan.table())
    assert (term.plan.steps + term.plan.ticks == 30).all()
    late = term.plan.ticks > stop
    personal = term.plan.personal & late
    assert personal.any() == (stop < 24)
    for user in np.flatnonzero(personal)[:2]:
        blocks = task().blocks().select(np.array([user]))
        start = full.at(stop)
        shown = term.family.weights(
            term.path.at(int(term.plan.ticks[user])), term.store.get(term.plan.users[user].as_py()), []
        )
        orders = _orders(term.plan.steps[user], GIVEN.rate)
        fresh = term.family.weights(start, term.family.fit_users(start, blocks, orders).personal, [])
        assert shown[1].tobytes() == fresh[1].tobytes()


def test_a_shorter_plan_is_the_same_path_cut():
    """T = 12 of a path made for 30; beyond its end it stands still, and the longer path is untouched."""
    whole = task()
    short = whole.path(12)
    assert (short.planned, short.stopped) == (12, 12)
    assert short.end()["coef"].tobytes() == whole.path().at(12)["coef"].tobytes()
    assert short.at(30)["coef"].tobytes() == short.end()["coef"].tobytes()
    assert whole.path().stopped == 30
    trained = train_path(LogisticRegression(), whole.blocks(), 12)
    for name, array in short.states.items():
        assert array.tobytes() == trained.states[name].tobytes()


def test_ending_a_task_is_training_it_so_long():
    ended, short = task(), task(9)
    ended.end_at(9)
    assert ended.path().arrays().keys() == short.path().arrays().keys()
    for name, array in ended.path().arrays().items():
        assert np.array_equal(array, short.path().arrays()[name]), name
    assert ended.path(20).stopped == 9
    assert ended.path(4).stopped == 4


def test_tolerance_stops_where_nothing_moves_any_more():
    data = toy_blocks(20, 4, seed=1)
    full = train_path(LogisticRegression(), data, 200)
    early = train_path(LogisticRegression(), data, 200, tolerance=1e-3)
    assert 5 < early.stopped < 150
    assert early.planned == 200
    theta = np.column_stack([full.states["coef"], full.states["intercept"]])
    moved = np.abs(np.diff(theta, axis=0)).max(axis=1) / np.abs(theta[1:]).max(axis=1)
    assert early.stopped == 1 + int(np.flatnonzero(moved <= 1e-3)[0])
    for tick in (3, early.stopped):
        assert early.at(tick)["coef"].tobytes() == full.at(tick)["coef"].tobytes()
    assert early.at(200)["coef"].tobytes() == full.at(early.stopped)["coef"].tobytes()


@pytest.mark.parametrize("keep", [SaveAt(every=7), SaveAt(every=None, ticks=(3, 11))])
def test_a_path_that_keeps_few_ticks_keeps_the_same_states(keep):
    data = toy_blocks(20, 4, seed=1)
    full = train_path(LogisticRegression(), data, 30)
    thin = train_path(LogisticRegression(), data, 30, save_at=keep)
    kept = [tick for tick in range(31) if keep.keeps(tick, 30)]
    assert thin.ticks.tolist() == kept
    for tick in kept:
        assert thin.at(tick)["coef"].tobytes() == full.at(tick)["coef"].tobytes()
    missing = next(tick for tick in range(30) if tick not in kept)
    with pytest.raises(SettingsError, match=f"keeps no state at tick {missing}"):
        thin.at(missing)


def test_a_tolerance_stop_between_kept_ticks_is_kept():
    data = toy_blocks(20, 4, seed=1)
    full = train_path(LogisticRegression(), data, 200, tolerance=1e-3)
    thin = train_path(LogisticRegression(), data, 200, tolerance=1e-3, save_at=SaveAt(every=None, ticks=(2,)))
    assert thin.ticks.tolist() == [0, 2, full.stopped]
    assert thin.end()["coef"].tobytes() == full.end()["coef"].tobytes()


def test_no_steps_of_fine_tuning_are_the_global_model():
    """A given 0 is a setting like any other."""
    alone = scores("global")[1]
    assert scores("fine-tune", replace(GIVEN, steps=0))[1].margin.tobytes() == alone.margin.tobytes()
    assert scores("fine-tune", GIVEN)[1].margin.tobytes() != alone.margin.tobytes()


def test_given_steps_replace_those_that_are_left():
    """The paper's "20 + 50": so many global ticks, then so many local steps, whatever T is."""
    plan = scores("by-abundance", replace(GIVEN, steps=6))[0].plan
    assert set(plan.steps[plan.events > 0]) == {6}
    assert plan.personal[plan.events > 0].all()


def _orders(steps, rate):
    kinds = ((steps, np.int32), (0, np.float32), (rate, np.float32), (0, np.uint64))
    return Orders(*(np.full(1, value, kind) for value, kind in kinds))
