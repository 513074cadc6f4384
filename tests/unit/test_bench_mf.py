"""Made-up ratings, the peers' environment and the entries of matrix factorisation at tiny sizes."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from headstart.bench import fold_in, mf_epoch, mf_peers, netflix, registry, top_n
from headstart.bench.factors import factorisation, log_of
from headstart.bench.peers import call, run
from headstart.bench.ratings import Ratings, draw, resized
from headstart.errors import SettingsError
from headstart.kernels.planted import alias_table

TINY = Ratings(users=400, items=150, ratings=12_000, held=0.2, head=10.0, rank=2, noise=0.5)
need_peers = pytest.mark.skipif(call.interpreter() is None, reason="no .venv-peers; scripts/peers makes it")


def columns(drawn):
    return [part for data in (drawn.train, drawn.test) for part in (data.start, data.stop, data.item, data.label)]


def test_ratings_are_as_many_as_asked_for_and_nobody_rates_an_item_twice():
    drawn = draw(TINY)
    rows = call.Rows.of(drawn.train, drawn.test)
    assert len(rows.user) == TINY.ratings
    assert len(np.unique(rows.user.astype(np.int64) * TINY.items + rows.item)) == TINY.ratings
    assert drawn.train.counts.min() >= 1
    assert (rows.code == 2).mean() == pytest.approx(TINY.held, abs=0.02)
    assert (rows.item.min(), rows.item.max()) == (0, TINY.items - 1)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_draw_depends_on_the_seed_alone(threads):
    shape = replace(TINY, users=9000, ratings=40_000)
    for one, other in zip(columns(draw(shape)), columns(draw(replace(shape, threads=threads))), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(draw(shape).train.label, draw(replace(shape, seed=1)).train.label)


def test_tails_are_heavy():
    drawn = draw(replace(TINY, users=3000, items=3000, ratings=150_000))
    counts = np.sort(drawn.train.counts)[::-1]
    items = np.sort(np.bincount(drawn.train.item, minlength=3000))[::-1]
    assert counts.max() > 10 * np.median(counts)
    assert items[:30].sum() > 5 * items[1500:1530].sum()


def test_items_come_as_often_as_their_weight_says():
    weight = np.array([8.0, 1.0, 1.0, 0.0, 6.0])
    chance, other = np.empty(5, np.float32), np.empty(5, np.int32)
    alias_table(weight, chance, other)
    share = np.array([sum((chance[k] if k == i else 0) + (1 - chance[k] if other[k] == i else 0) for k in range(5))
                      for i in range(5)]) / 5  # fmt: skip
    np.testing.assert_allclose(share, weight / weight.sum(), atol=1e-6)


def test_the_floor_without_rounding_is_the_noise():
    assert draw(TINY).floor == pytest.approx(TINY.noise, rel=0.04)


@pytest.mark.parametrize("step", [0.5, 1.0])
def test_the_floor_with_rounding_is_the_deviation_from_the_conditional_mean(step):
    """Many draws of the noise for few planted means, by hand."""
    shape = replace(TINY, users=2, ratings=60, held=0.5, noise=0.9)
    smooth, rough = draw(replace(shape, noise=1e-9)), draw(replace(shape, step=step))
    rng, truth = np.random.default_rng(0), smooth.test.label.astype(float)
    noisy = truth + shape.noise * rng.standard_normal((100_000, len(truth)))
    rounded = np.clip(1 + step * np.floor((noisy - 1) / step + 0.5), 1, 5)
    assert rough.floor == pytest.approx(np.sqrt(rounded.var(axis=0).mean()), rel=0.005)
    assert set(np.unique(rough.test.label)) <= set(np.arange(1, 5.1, step))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ratings": 500}, "400 users need 800 ratings at least; got 500"),
        ({"ratings": 40_000}, "at most 30000 ratings; got 40000"),
        ({"step": 0.3}, "step is 0, 0.5 or 1.0; got 0.3"),
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong, said):
    with pytest.raises(SettingsError, match=re.escape(said)):
        replace(TINY, **wrong)


def test_fewer_users_keep_their_mean_count():
    small = resized(TINY, 0.1)
    assert (small.users, small.ratings) == (40, 1200)


def test_netflix_recovers_some_of_the_signal_in_a_process_of_its_own():
    size = netflix.Size(replace(TINY, users=1000, ratings=40_000), k=4, ticks=15)
    measured = netflix.measure(size=size)
    found = {
        name: float(value) for name, value in re.findall(r"(floor|global|personal|mean) (\d\.\d+)", measured.notes)
    }
    assert found["floor"] < found["personal"] < 0.9 * found["mean"]
    assert found["floor"] < found["global"] < 0.9 * found["mean"]
    assert measured.ours > 0
    assert "synthetic" in measured.notes


def test_fold_in_and_top_n_time_single_calls(monkeypatch):
    monkeypatch.setattr(fold_in, "interpreter", lambda: None)
    for entry in (fold_in, top_n):
        measured = entry.measure(size=entry.Size(ratings=TINY, k=4, ticks=3, calls=20))
        p50, p99 = map(float, re.search(r"p50 (\d+) us, p99 (\d+) us of 20 calls", measured.notes).groups())
        assert 0 < p50 <= p99
        assert measured.ours == pytest.approx(1e6 / p50, rel=0.1)
        assert measured.peer is None
        assert "run scripts/peers" in measured.notes


def test_mf_epoch_without_peers_says_so(monkeypatch):
    monkeypatch.setattr(mf_epoch, "interpreter", lambda: None)
    measured = mf_epoch.measure(size=mf_epoch.Size(TINY, k=4, epochs=2))
    assert measured.ours > 0
    assert measured.peer is None
    assert "run scripts/peers" in measured.notes


def test_long_entries_run_only_when_named_or_with_all(monkeypatch):
    ran = []
    measured = registry.Measured(1.0, None, "x/s", "")
    monkeypatch.setattr(registry, "_load", lambda name: lambda progress: ran.append(name) or measured)
    monkeypatch.setattr(registry, "interpreter", lambda: "there")
    registry.run([])
    assert set(ran) == set(registry.ENTRIES) - set(registry.LONG)
    ran.clear()
    registry.run(["all"])
    assert ran == list(registry.ENTRIES)


def test_mf_peers_without_peers_is_refused_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSTART_PEERS", str(tmp_path))
    monkeypatch.setattr(registry, "_load", lambda name: pytest.fail("ran"))
    with pytest.raises(SettingsError, match="run scripts/peers, or name its folder in HEADSTART_PEERS"):
        registry.run(["mf-epoch", "mf-peers"])


def test_a_peer_that_fails_is_told_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho 'Traceback' >&2\necho 'ImportError: no surprise' >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setenv("HEADSTART_PEERS", str(tmp_path))
    drawn = draw(TINY)
    with pytest.raises(SettingsError, match=r"surprise-svd failed \(exit code 3\): ImportError: no surprise"):
        call.ask("surprise-svd", call.Rows.of(drawn.train, drawn.test))


@need_peers
@pytest.mark.parametrize(
    ("peer", "settings"),
    [
        ("surprise-svd", {"n_factors": 2, "n_epochs": 30, "reg_all": 0.05}),
        ("surprise-svdpp", {"n_factors": 2, "n_epochs": 6}),
        ("implicit-als", {"factors": 4, "alpha": 10.0, "regularization": 1.0, "signed": True}),
        ("lenskit-als", {"embedding_size": 2}),
    ],
)
def test_peers_beat_the_mean_and_not_the_floor(peer, settings):
    drawn = draw(TINY)
    rows = call.Rows.of(drawn.train, drawn.test)
    found = call.ask(peer, rows, settings=settings)
    label = rows.rating[rows.code == 2]
    assert drawn.floor < found.rmse < 0.95 * label.std()
    assert found.rmse == pytest.approx(run.rmse(found.predicted, label))
    assert found.curve[-1]["rmse"] == found.rmse
    assert min(found.seconds_fit, found.seconds_predict, found.peak_mb) > 0


@need_peers
def test_settings_are_chosen_on_tune_rows():
    drawn = draw(TINY)
    rows = call.Rows.of(drawn.train, drawn.test)
    rng = np.random.default_rng(0)
    code = np.where((rows.code == 0) & (rng.random(len(rows.code)) < 0.2), 1, rows.code).astype(np.int8)
    grid = [{"regularization": 50.0}, {"regularization": 0.1}]
    found = call.ask("lenskit-als", replace(rows, code=code), settings={"embedding_size": 2}, grid=grid)
    assert found.settings["regularization"] == 0.1
    assert found.tried[1]["rmse"] < found.tried[0]["rmse"]


@need_peers
def test_mf_peers_and_mf_epoch_measure_both_sides():
    grids = {"lenskit-als": [{"embedding_size": 2, "regularization": 0.2}]}
    size = mf_peers.Size(TINY, tune_share=0.5, epochs=40, real=False, grids=grids)
    measured = mf_peers.measure(size=size)
    assert measured.peer > 0
    assert "RMSE" in measured.notes
    measured = mf_epoch.measure(size=mf_epoch.Size(TINY, k=4, epochs=2, peer_share=1.0))
    assert min(measured.ours, measured.peer) > 0


def test_a_log_of_drawn_ratings_has_their_rows():
    drawn = draw(TINY)
    log = log_of(drawn.train)
    assert len(log) == len(drawn.train.label)
    assert log.item.to_numpy()[-1] == drawn.train.item[-1]
    assert factorisation(7).factors == 7
