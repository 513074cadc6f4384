"""What is no error but worth knowing is counted, printed and kept."""

from __future__ import annotations

import json

EVENTS = """user,y,x,same,none,word
a,0,1,5,,left
a,1,2,5,,right
a,0,3,5,,left
b,0,3,5,,right
b,1,4,5,,left
c,1,1,5,,left
c,1,2,5,,right
d,0,2,5,,left
"""
SAID = (
    "note: users with one event only: 1",
    "note: users with events of one class only: 2",
    "note: column 'same' is no feature: the same in every training row",
    "note: column 'none' is no feature: missing in every training row",
)


def test_fit_and_compare_say_what_is_odd(headstart, logs, tmp_path):
    (tmp_path / "e.csv").write_text(EVENTS)
    source = (tmp_path / "e.csv", "--user", "user", "--label", "y", *logs.quick)
    fit = headstart("fit", *source, "--out", tmp_path / "model", "--json", tmp_path / "fit.json")
    compare = headstart("compare", *source, "--json", tmp_path / "compare.json")
    for line in SAID:
        assert line in fit.out.splitlines()
        assert line in compare.out.splitlines()
    fitted = json.loads((tmp_path / "fit.json").read_text())
    compared = json.loads((tmp_path / "compare.json").read_text())
    for notes, left_out in (
        (fitted["about"]["notes"], fitted["left_out"]),
        (compared["notes"], compared["left_out"]),
    ):
        assert notes["users_with_one_event"] == 1
        assert notes["users_with_one_class"] == 2
        assert left_out.keys() == {"same", "none"}
    assert headstart("inspect", tmp_path / "model").out == fit.out


def test_limits_are_counted(headstart, logs, tmp_path):
    (tmp_path / "e.csv").write_text(EVENTS)
    source = (tmp_path / "e.csv", "--user", "user", "--label", "y", *logs.quick)
    said = headstart("fit", *source, "--min-events", 2, "--max-events", 2, "--out", tmp_path / "model").out
    assert "note: users left out, with fewer events than --min-events: 1" in said
    assert "note: events left out, before the last --max-events of their user: 1" in said
    assert "users: 3 whole-path" in said


def test_what_was_chosen_is_said(headstart, logs, tmp_path):
    said = headstart("fit", logs.early, *logs.flags, "--out", tmp_path / "model", "--json", tmp_path / "fit.json").out
    about = json.loads((tmp_path / "fit.json").read_text())["about"]
    chosen = about["settings"]
    assert f"T = {chosen['ticks']}, rate {chosen['rate']:g} (best of {len(about['tried'])} by AUC on tune rows)" in said
    assert f"global training stopped at tick {about['stop']}" in said


def test_nothing_to_choose_on(headstart, tmp_path):
    (tmp_path / "e.csv").write_text("user,y,x\na,0,1\nb,1,2\nc,0,3\nd,1,4\n")
    said = headstart("fit", tmp_path / "e.csv", "--user", "user", "--label", "y", "--out", tmp_path / "model").out
    assert "best of" not in said
    assert "note: users with one event only: 4" in said
