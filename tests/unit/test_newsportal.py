"""The synthetic news portal: what it plants, and that the bench finds it."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from headstart.bench.newsportal import Size, measure, written
from headstart.bench.stages import Stages
from headstart.cli.main import main
from headstart.data.features import FeatureMap
from headstart.data.log import read
from headstart.data.roles import FeatureSettings
from headstart.datasets import newsportal
from headstart.errors import SettingsError

SHARE = 0.004
USERS, EVENTS = 219, 117_200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("portal")
    written(folder, SHARE)
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return pq.read_table(written(folder, SHARE))


def test_the_counts_are_the_papers(table):
    assert (len(table), len(table.column("user").unique())) == (EVENTS, USERS)
    assert newsportal.counts(newsportal.USERS, newsportal.EVENTS).sum() == newsportal.EVENTS
    log = read(table, newsportal.ROLES)
    mapping = FeatureMap.fit(log, FeatureSettings())
    assert len(mapping.names()) == newsportal.FEATURES == 351
    assert mapping.sparse["all"]
    assert not set(newsportal.PLANTED) & set(mapping.columns)


def test_users_are_heavy_tailed_and_scattered_in_time(table):
    counts = newsportal.counts(newsportal.USERS, newsportal.EVENTS)
    assert counts.min() >= 1
    assert np.median(counts) < 0.25 * counts.mean()
    assert np.sort(counts)[-len(counts) // 10 :].sum() > 0.6 * counts.sum()
    time = table.column("time").to_numpy()
    assert (np.diff(time) >= 0).all()
    user = table.column("user").to_numpy()
    assert (user[1:] == user[:-1]).mean() < 0.5


def test_clicks_follow_the_planted_log_odds(table):
    click = table.column("click").to_numpy()
    chance = 1 / (1 + np.exp(-table.column("planted").to_numpy().astype(float)))
    error = np.sqrt((chance * (1 - chance)).sum())
    assert abs(click.sum() - chance.sum()) < 4 * error
    assert 0.06 < click.mean() < 0.10
    own = (table.column("planted").to_numpy() - table.column("planted_global").to_numpy()).astype(float)
    assert own.var() == pytest.approx(newsportal.OWN**2 * (len(newsportal.NUMBERS) + 2), rel=0.35)


def test_a_log_is_the_same_for_the_same_share_and_seed(tmp_path, table):
    newsportal.write(tmp_path / "again", SHARE)
    newsportal.write(tmp_path / "other", SHARE, seed=1)
    assert pq.read_table(tmp_path / "again").equals(table)
    assert not pq.read_table(tmp_path / "other").equals(table)


@pytest.mark.parametrize("share", [0.0, 1e-5, 1.1])
def test_a_share_that_cannot_be(share, tmp_path):
    with pytest.raises(SettingsError, match="above 0 and at most 1"):
        newsportal.write(tmp_path / "log", share)


def test_what_can_be_learned_grows_with_the_rows():
    test = np.array([1, 1])
    shares = [newsportal.learnable(np.array([n, n]), test, 0.06) for n in (0, 10, 1000, 10**9)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=1e-3)
    few, many = np.array([1, 1000]), np.array([1000, 1])
    assert newsportal.learnable(few, few, 0.06) > newsportal.learnable(few, many, 0.06)


def test_the_bench_finds_what_was_planted(folder):
    found = measure(folder, Size(SHARE, threads=2, resamples=20))
    json.dumps(found)
    assert (found["synthetic"], found["events"], found["users"], found["features"]) == (True, EVENTS, USERS, 351)
    assert found["seconds"] == pytest.approx(sum(stage["seconds"] for stage in found["stages"]))
    assert found["peak"] == max(stage["peak"] for stage in found["stages"]) > found["feature_bytes"]
    gain = found["gain"]
    assert 0 < gain["by-abundance"] < gain["anchored"] < gain["planted"]
    assert gain["anchored"] > 0.5 * gain["expected"]
    again = measure(folder, Size(SHARE, threads=1, memory="80MB", resamples=20))
    assert again["methods"] == found["methods"]


def test_stages_are_measured_apart():
    stages = Stages()
    with stages("large"):
        kept = np.ones(2**25)
    with stages("small"):
        del kept
    assert [stage.name for stage in stages.done] == ["large", "small"]
    assert stages.peak == stages.done[0].peak >= 2**28


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("personal-logistic", "--share", "0.1"), "are for headstart bench newsportal"),
        (("newsportal", "personal-logistic"), "newsportal runs alone"),
        (("newsportal", "--share", "2"), "range"),
    ],
)
def test_options_that_do_not_fit(arguments, said, capsys):
    with pytest.raises(SystemExit) as left:
        main(["bench", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_the_command_shows_stages_and_gains(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(
            ["bench", "newsportal", "--share", str(SHARE), "--folder", str(folder), "--json", str(tmp_path / "b.json")]
        )
    assert left.value.code == 0
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "b.json").read_text())
    for stage in found["stages"]:
        assert stage["name"] in shown
    assert "synthetic" in shown
    assert f"{found['gain']['expected']:.4f} to be expected" in shown
