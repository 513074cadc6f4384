"""Work that is ended in the middle leaves what was there whole, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.scoring import load_model
from headstart.scoring.scorer import Scorer

FLAGS = ("--user", "user", "--label", "y", "--rate", "0.1", "--tune", "0")


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 60_000
    table = pa.table({"user": rng.integers(0, 300, n), "y": rng.integers(0, 2, n), "x": rng.standard_normal(n)})
    path = tmp_path_factory.mktemp("long") / "e.parquet"
    pq.write_table(table, path)
    return path


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def end(process, how):
    """Signal until the process is gone: a callback of some library may swallow one Ctrl-C."""
    for _ in range(4):
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(5)
    raise AssertionError("the process does not end")


@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_fit_ended_in_the_middle(ended, events, headstart, tmp_path):
    model = tmp_path / "model"
    headstart("fit", events, *FLAGS, "--ticks", 3, "--out", model)
    before = files(model)
    for wait in (0.0, 0.7):
        command = [sys.executable, "-m", "headstart", "fit", events, *FLAGS, "--ticks", "100000", "--out", model]
        with subprocess.Popen([*command, "--overwrite"], stderr=subprocess.PIPE, text=True) as process:
            try:
                limit = time.monotonic() + 30
                while not (model / "versions" / ".draft").exists() and time.monotonic() < limit:
                    time.sleep(0.01)
                time.sleep(wait)
                assert process.poll() is None
                code = end(process, ended)
                said = process.stderr.read()
            finally:
                process.kill()
        if ended == signal.SIGINT:
            assert (code, said) == (130, "headstart: interrupted; nothing was left half-written\n")
            assert sorted(entry.name for entry in (model / "versions").iterdir()) == ["000001"]
        else:
            assert code == -signal.SIGKILL
        assert before.items() <= files(model).items()
        assert load_model(model).terms[0].path.planned == 3
    headstart("fit", events, *FLAGS, "--ticks", 4, "--out", model, "--overwrite")
    assert load_model(model).terms[0].path.planned == 4
    listed = json.loads((model / "manifest.json").read_text())
    expected = {f"versions/{listed['version']}/{name}" for name in listed["files"]}
    assert files(model).keys() == expected | {"manifest.json", ".lock"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_a_first_fit_ended_in_the_middle(events, headstart, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["headstart.training.personalise"], "personal_training", stop)
    found = headstart("fit", events, *FLAGS, "--ticks", 3, "--out", tmp_path / "new" / "model", code=130)
    assert found.err == "headstart: interrupted; nothing was left half-written\n"
    assert not (tmp_path / "new" / "model").exists()


CAUSES = {
    "no memory": (
        MemoryError(),
        1,
        "headstart: there is not enough memory; give fewer columns, --max-events, a lower",
    ),
    "ctrl-c": (KeyboardInterrupt(), 130, "headstart: interrupted; nothing was left half-written\n"),
    "full disk": (
        OSError(errno.ENOSPC, "No space left on device", "p.parquet"),
        1,
        "headstart: p.parquet: No space left on device\n",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_predictions_ended_in_the_middle(cause, headstart, fitted, logs, monkeypatch, tmp_path):
    error, code, said = CAUSES[cause]

    def stop(*_):
        raise error

    old = tmp_path / "p.parquet"
    headstart("predict", fitted, logs.late, "--out", old)
    before = files(tmp_path)
    monkeypatch.setattr(Scorer, "score_blocks", stop)
    assert headstart("predict", fitted, logs.all, "--out", old, "--overwrite", code=code).err.startswith(said)
    assert headstart("predict", fitted, logs.all, "--out", tmp_path / "q.csv", code=code).err.startswith(said)
    assert files(tmp_path) == before


def test_work_that_fails_is_said_with_who_and_what(headstart, logs, monkeypatch, tmp_path):
    def fail(*_):
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr("headstart.models.logistic.LogisticRegression.fit_users", fail)
    fit = ("fit", logs.early, *logs.flags, *logs.quick, "--out", tmp_path / "model")
    for engine in ("serial", "threads"):
        found = headstart(*fit, "--engine", engine, code=1)
        assert found.err.startswith("headstart: personal training failed at shard ")
        assert found.err.endswith("ZeroDivisionError: of the test\n")
        assert found.err.count("\n") == 1
        assert not (tmp_path / "model").exists()
