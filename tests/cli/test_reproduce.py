"""``headstart reproduce`` as a person would run it: one report, killed and gone on with, refused where it cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.experiments.curves import TICKS
from headstart.experiments.reproduction import ledger
from headstart.experiments.reproduction.published import METRICS
from headstart.report.beside import AGREES

QUICK = ("--bootstrap", 20, "--threads", 1, "--seeds", 2)

# Ends itself without a word after so many steps.
KILLED = """
import os, signal, sys
from headstart.cli.main import main
from headstart.experiments.reproduction import ledger

write, done = ledger.write_json, []
def write_and_count(file, value):
    write(file, value)
    done.append(file)
    if len(done) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
ledger.write_json = write_and_count
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def clicks(headstart, logs, tmp_path_factory):
    out = tmp_path_factory.mktemp("clicks") / "r"
    said = headstart("reproduce", logs.all, *logs.flags, *QUICK, "--out", out)
    return out, said, json.loads((out / "report.json").read_text())


def test_without_a_name_everything_is_done_that_the_data_has(clicks):
    out, said, found = clicks
    assert sorted(file.name for file in out.iterdir()) == ["parts", "report.html", "report.json", "report.md"]
    assert list(found["chapters"]) == ["logistic", "gbdt"]
    assert found["not_run"] == {"mf": "its labels are 0 and 1, no ratings"}
    assert "mf was not run: its labels are 0 and 1, no ratings" in said.out
    points = found["chapters"]["logistic"]["more"]["curves"]["points"]
    assert {point["ticks"] for point in points} == set(TICKS)
    assert all(set(point["metrics"]) == set(METRICS) for point in points)
    assert found["chapters"]["gbdt"]["more"]["trees"]["seeds"] == 2
    assert [point["share"] for point in found["shares"]["points"][::7]] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert len(found["families"]) == 3 * len(METRICS)
    assert len(found["moved"]) == 7 * len(METRICS)
    assert [row["name"] for row in found["statistics"]] == ["all.parquet", "news portal", "Netflix", "MovieLens"]
    assert found["seconds"] > 0


def test_each_step_tells_how_much_is_left(clicks):
    lines = clicks[1].err.splitlines()
    steps = [line for line in lines if line.startswith("[")]
    assert len(steps) == 21
    assert steps[0].startswith("[1 of 21] data statistics, ")
    assert all(" left" in line for line in steps)
    assert steps[-1].endswith("about 0:00 left")


def test_statements_are_printed_and_in_all_three_files(clicks):
    out, said, found = clicks
    page, text = ((out / f"report.{ending}").read_text("utf-8") for ending in ("html", "md"))
    assert len(found["claims"]) == 11
    for claim in found["claims"]:
        assert f"{AGREES[claim['agrees']][0]}: {claim['paper']}" in said.out
        assert claim["ours"] in said.out
        assert claim["paper"].replace("&", "&amp;") in text.replace("\\", "")
        assert json.dumps(claim["paper"])[1:-1] in page


def test_the_page_of_the_docs_is_made_of_it(clicks):
    """scripts/tabulate_reproduction.py, with the same report as two data sets."""
    out, _, found = clicks
    script = Path(__file__).parents[2] / "scripts" / "tabulate_reproduction.py"
    command = [sys.executable, str(script), *[str(out / "report.json")] * 2]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for claim in found["claims"]:
        assert claim["ours"] in text
    tree = found["chapters"]["gbdt"]["more"]["trees"]["rows"][0]["metrics"]["map"]
    assert f"{tree['mean']:.4f} ({tree['sd']:.4f})".replace("0.", ".") in text
    assert text.count("(paper)") == 3
    assert subprocess.run(command[:2], capture_output=True, text=True).returncode == 2


def test_users_have_one_pseudonym_and_no_id_is_kept(clicks, logs):
    out, _, found = clicks
    names = [set(found["chapters"][family]["details"]["users"]["user"]) for family in ("logistic", "gbdt")]
    assert names[0] == names[1]
    assert all(name.startswith("u-") for name in names[0])
    kept = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    assert not [user for user in logs.table["user"].unique().to_pylist() if f'"{user}"'.encode() in kept]
    assert (out / "parts" / "pseudonyms.key").stat().st_mode & 0o077 == 0


def test_what_is_made_later_has_the_same_pseudonyms(headstart, logs, tmp_path):
    flags = (logs.all, *logs.flags, *QUICK, "--out", tmp_path / "r")
    headstart("reproduce", "logistic", *flags)
    before = json.loads((tmp_path / "r" / "report.json").read_text())
    said = headstart("reproduce", "all", *flags)
    assert "14 of 21 steps were done before" in said.err
    after = json.loads((tmp_path / "r" / "report.json").read_text())["chapters"]
    assert after["logistic"]["details"] == before["chapters"]["logistic"]["details"]
    assert after["logistic"]["details"]["users"]["user"] == after["gbdt"]["details"]["users"]["user"]


def test_a_killed_run_goes_on_and_ends_alike(headstart, logs, tmp_path):
    flags = [str(part) for part in ("reproduce", "logistic", logs.all, *logs.flags, *QUICK, "--show-ids", "--out")]
    headstart(*flags, tmp_path / "whole")
    child = [sys.executable, "-c", KILLED, "5", *flags, str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(child, capture_output=True, text=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(os.listdir(tmp_path / "killed")) == ["parts"]
    said = headstart(*flags, tmp_path / "killed")
    assert "5 of 18 steps were done before; about " in said.err
    assert "[6 of 18] " in said.err
    assert "logistic: methods side by side" not in said.err
    whole, gone_on = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "killed"))
    assert without_times(whole) == without_times(gone_on)


def without_times(value):
    """Plain values but for what tells the time."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if not key.endswith("seconds")}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def test_a_lost_key_is_no_second_name(headstart, clicks, logs):
    out, _, _ = clicks
    key = out / "parts" / "pseudonyms.key"
    kept = key.read_bytes()
    flags = (logs.all, *logs.flags, *QUICK, "--out", out)
    for damage, said in ((key.unlink, "is gone"), (lambda: key.write_bytes(b"x"), "is damaged")):
        damage()
        assert f"{key} {said}, so users would get second names" in headstart("reproduce", *flags, code=2).err
    key.write_bytes(kept)


def test_reports_are_written_together(headstart, clicks, logs, monkeypatch):
    out, _, _ = clicks
    before = {file: file.read_bytes() for file in out.glob("report.*")}
    moved, replace = [], os.replace

    def full(source, target):
        moved.append(target)
        replace(source, target)

    def fails(file, data):
        if file.name.endswith("html.tmp"):
            raise OSError(28, "No space left on device")
        return write(file, data)

    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", fails)
    monkeypatch.setattr(os, "replace", full)
    said = headstart("reproduce", logs.all, *logs.flags, *QUICK, "--out", out, code=1)
    assert "report.html: No space left on device" in said.err
    assert not moved
    assert {file: file.read_bytes() for file in out.glob("report.*")} == before
    assert not list(out.glob(".*"))


def test_a_second_run_makes_nothing_again_and_other_options_are_refused(headstart, clicks, logs, monkeypatch):
    out, _, found = clicks
    monkeypatch.setattr(ledger, "write_json", None)
    before = {file: file.read_bytes() for file in out.rglob("*.json")}
    said = headstart(
        "reproduce", "gbdt", logs.all, *logs.flags, *QUICK, "--seeds", 1, "--seed", 4, "--out", out, code=2
    )
    assert "was made with another " in said.err
    assert "give another --out, what was given then, or --overwrite" in said.err
    assert {file: file.read_bytes() for file in out.rglob("*.json")} == before
    headstart("reproduce", "all", logs.all, *logs.flags, *QUICK, "--out", out)
    assert json.loads((out / "report.json").read_text())["claims"] == found["claims"]


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """Ratings of users with tastes, and events enough for a binary model."""
    rng = np.random.default_rng(0)
    user, item = np.repeat(np.arange(40), 20), np.tile(np.arange(25), 32)
    likes = 3 + rng.normal(0, 0.7, 40)[user] + rng.normal(0, 0.7, 25)[item] + rng.normal(0, 0.7, 800)
    stars = np.clip(np.round(likes), 1, 5)
    path = tmp_path_factory.mktemp("stars") / "stars.parquet"
    pq.write_table(pa.table({"user": user, "film": item, "stars": stars, "long": rng.normal(size=800)}), path)
    return path


def test_ratings_are_read_without_the_rule(headstart, ratings, tmp_path):
    roles = ("--user", "user", "--item", "film", "--label", "stars>=4")
    said = headstart("reproduce", "mf", ratings, *roles, *QUICK, "--out", tmp_path / "r")
    found = json.loads((tmp_path / "r" / "report.json").read_text())
    assert list(found["chapters"]) == ["mf"]
    assert found["shares"] is None
    row = found["statistics"][0]
    assert row["sparsity"] == pytest.approx(800 / (40 * 25))
    assert row["positives"] is None
    assert [claim["family"] for claim in found["claims"]] == ["mf"]
    assert "Adaptive matrix factorisation" in said.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("mf", "--dataset", "toy"), "mf cannot be reproduced on this data: its labels are 0 and 1, no ratings; try"),
        (("all", "--dataset", "nope"), "there is no data set 'nope'"),
        (("all",), "there is nothing to read; give DATA"),
        (("logistic", "--dataset", "toy", "--seeds", "0"), "Invalid value for '--seeds'"),
        (("nope", "--dataset", "toy"), "No such command 'nope'"),
        (
            ("no/such.parquet", "--user", "u", "--label", "y"),
            "no/such.parquet: No such file or directory; check the path",
        ),
    ],
)
def test_what_cannot_be_reproduced_is_refused(headstart, tmp_path, flags, said):
    assert said in headstart("reproduce", *flags, "--out", tmp_path / "r", code=2).err
    assert not (tmp_path / "r").exists()


def test_folders_of_others_are_left_alone(headstart, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    (tmp_path / "folder" / "parts").mkdir()  # of a log in parts, say
    for name, said in (("file", "it is no folder; name one"), ("folder", "the folder holds something else")):
        assert said in headstart("reproduce", "--dataset", "toy", "--out", tmp_path / name, code=2).err
    assert sorted(file.name for file in (tmp_path / "folder").rglob("*")) == ["file", "parts"]
    assert "Missing option '--out'" in headstart("reproduce", "--dataset", "toy", code=2).err
