"""The bench: its rows, and the personal-logistic entry at a small size."""

from __future__ import annotations

import pytest

from headstart.bench import registry
from headstart.bench.machine import machine
from headstart.bench.personal_logistic import Size, measure
from headstart.errors import SettingsError


def test_an_unknown_name_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(registry, "_load", lambda name: pytest.fail("ran"))
    with pytest.raises(SettingsError, match="no bench is called 'speed'; known: personal-logistic"):
        registry.run(["personal-logistic", "speed"])


def test_a_row_relates_ours_to_the_peer_and_to_the_limit(monkeypatch):
    measured = registry.Measured(60.0, 20.0, "users/s", "as said", limit=80.0)
    monkeypatch.setattr(registry, "_load", lambda name: lambda progress: measured)
    (row,) = registry.run()
    assert row["name"] == "personal-logistic"
    assert (row["ratio"], row["of_limit"], row["machine"]) == (3.0, 0.75, machine())
    assert set(row) == set(registry.Row.__annotations__)


def test_the_machine_is_one_line_with_versions():
    assert "\n" not in machine()
    assert "numba" in machine()


def test_personal_logistic_measures_both_sides_at_the_same_loss():
    told = []
    size = Size(users=40, rows=30, features=8, peer_users=10, shard=16, repeats=1)
    measured = measure(lambda *progress: told.append(progress), size)
    assert measured.ours > 0
    assert measured.peer > 0
    ours, peer = (float(measured.notes.split(f"{side} ")[-1].split(",")[0].split(";")[0]) for side in ("ours", "peer"))
    assert peer == pytest.approx(ours, rel=0.01)
    assert told[-1][1:] == (1, 1)
