"""Bad input is one clear line on standard error and exit status 2, and nothing is written."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

GOOD = "user,y,x\n1,0,1\n1,1,2\n2,0,3\n2,1,4\n3,1,1\n3,0,2\n"
FIT = ("fit", "e.csv", "--user", "user", "--label", "y", "--out", "model", "--ticks", "3", "--rate", "0.1")
COMPARE = ("compare", "e.csv", "--user", "user", "--label", "y")
ROLES = ("--user", "user", "--label", "y")


def csv(*rows, head="user,y,x"):
    return "".join(f"{row}\n" for row in (head, *rows))


# What the file e.csv holds, what is added to FIT, what is said.
EVENTS = {
    "missing column": (csv("1,0,1", head="usr,y,x"), (), "no column 'user' among usr, y, x; did you mean 'usr'"),
    "duplicate columns": (csv("1,0,1,1", head="user,y,x,x"), (), "'x' is there twice; rename"),
    "labels not 0 or 1": (csv("1,0,1", "2,2,3", "3,1,2"), (), "'y' holds 2 in row 2; .*'y>=2'"),
    "NaN label": (csv("1,0,1", "2,nan,3", "3,1,2"), (), "label column 'y' holds nan in row 2"),
    "infinite label": (csv("1,0,1", "2,inf,3", "3,1,2"), (), "label column 'y' holds inf in row 2"),
    "empty label": (csv("1,0,1", "2,,3", "3,1,2"), (), "label column 'y' is empty in row 2"),
    "string label": (csv("1,no,1", "2,yes,3", "3,no,2"), (), "'y' holds text, 'no' in row 1; give --positive VALUE"),
    "other positive": (csv("1,no,1", "2,yes,3"), ("--positive", "si"), "'y=si' is 0 in every row"),
    "negative weight": (csv("1,0,1", "2,1,-3"), ("--weight", "x"), "weight column 'x' holds -3 in row 2"),
    "NaN weight": (csv("1,0,1", "2,1,nan"), ("--weight", "x"), "weight column 'x' holds nan in row 2"),
    "infinite weight": (csv("1,0,1", "2,1,-inf"), ("--weight", "x"), "weight column 'x' holds -inf in row 2"),
    "weight of text": (csv("1,0,a", "2,1,b"), ("--weight", "x"), "weight column 'x' holds string"),
    "user empty": (csv("1,0,1", ",1,3"), (), "user column 'user' is empty in row 2"),
    "user a fraction": (csv("1.5,0,1", "2,1,3"), ("--weight", "user"), "'user' is given as --user and as --weight"),
    "empty file": ("", (), "the file is empty"),
    "header only": ("user,y,x\n", (), "there are no events"),
    "one user": (csv("1,0,1", "1,1,2"), (), "one user only"),
    "one class": (csv("1,1,1", "2,1,2"), (), "the label 'y' is 1 in every row"),
    "ragged": (csv("1,0,1", "2,1", "3,1,2"), (), "line 3: .* 3 Found: 2; correct that line"),
    "mixed types": (csv("1,0,1", "2,1,abc", "3,1,2"), (), "'x' holds numbers, but 'abc' in row 2; .*--categorical x"),
    "no UTF-8": (b"\xff\xfe\x00,y\n", (), "not UTF-8"),
    "rule on no number": (GOOD, ("--label", "y>=abc"), "no column 'y>=abc'"),
    "rule that nothing meets": (GOOD, ("--label", "y>=9"), "'y>=9' is 0 in every row"),
    "rule that is none": (GOOD, ("--label", "y=>1"), "no column 'y='.*did you mean 'y'"),
    "no such feature": (GOOD, ("--features", "x,q"), "no column 'q'"),
    "no such bag column": (GOOD, ("--bag", "b=q"), "bag 'b' names 'q'"),
    "bag without columns": (GOOD, ("--bag", "b"), "--bag wants NAME=column,column; got 'b'"),
    "label is a feature": (GOOD, ("--features", "y"), "'y' is given as --label and as --features"),
    "too few events": (GOOD, ("--min-events", "9"), "no user has 9 events or more; give a lower --min-events"),
    "memory": (GOOD, ("--memory", "lots"), "memory is a size such as 4GB or 500MB; got 'lots'"),
    "delimiter": (GOOD, ("--delimiter", "too long"), "a delimiter is 1 to 4 characters"),
    "no Parquet": (GOOD, ("--format", "parquet"), "e.csv: damaged or not Parquet"),
    "model": (GOOD, ("--model", "nope"), "no model is called 'nope'; known: fm, gbdt, logistic, mf"),
    "method": (GOOD, ("--method", "nope"), "no method is called 'nope'; known: global, local"),
    "engine": (GOOD, ("--engine", "nope"), "no engine is called 'nope'; known: serial, threads"),
    "no ticks": (GOOD, ("--ticks", "0"), "'--ticks': 0 is not in the range x>=1 \\(see headstart fit --help\\)"),
    "no rate": (GOOD, ("--rate", "0"), "'--rate': 0.0 is not in the range"),
    "all rows tune": (GOOD, ("--tune", "1"), "'--tune': 1.0 is not in the range"),
    "no threads": (GOOD, ("--threads", "0"), "'--threads': 0 is not in the range"),
    "two sources": (GOOD, ("--dataset", "toy"), "give either e.csv or --dataset toy"),
    "configuration missing": (GOOD, ("--config", "no.toml"), "cannot read the configuration no.toml: No such file"),
}


def snapshot(folder):
    """Everything below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refuse(headstart, tmp_path, monkeypatch):
    """Run in `tmp_path`; the command must be refused with one line that says `said`, and write nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADSTART_DATA", raising=False)

    def check(arguments, said):
        before = snapshot(tmp_path)
        found = headstart(*arguments, code=2)
        assert snapshot(tmp_path) == before
        assert found.out == ""
        assert found.err.startswith("headstart: ")
        assert found.err.count("\n") == 1
        assert len(found.err) < 300
        assert re.search(said, found.err), found.err

    (tmp_path / "e.csv").write_text(GOOD)
    return check


@pytest.mark.parametrize("case", EVENTS)
def test_events_and_settings(case, refuse, tmp_path):
    content, more, said = EVENTS[case]
    (tmp_path / "e.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    refuse((*FIT, *more), said)


COMMANDS = {
    "unknown command": (("nonsense",), "No such command 'nonsense' \\(see headstart --help\\)"),
    "unknown option": ((*FIT, "--tick", "3"), "No such option.*--tick"),
    "no user": (("fit", "e.csv", "--label", "y", "--out", "model"), "which column names the user\\? give --user"),
    "no label": (("fit", "e.csv", "--user", "user", "--out", "model"), "which column is the outcome\\? give --label"),
    "no out": (("fit", "e.csv", *ROLES), "Missing option '--out'"),
    "no data": (("fit", *ROLES, "--out", "model"), "nothing to read; give DATA, or a ready data set"),
    "no file": (("fit", "no.csv", *FIT[2:]), "no.csv: No such file or directory; check the path"),
    "dangling link": (("fit", "dangling.csv", *FIT[2:]), "dangling.csv: No such file or directory"),
    "empty folder": (("fit", "empty", *FIT[2:]), "the directory holds no .parquet file"),
    "out is a file": ((*FIT, "--out", "e.csv"), "e.csv is a file; choose a folder"),
    "out below a file": ((*FIT, "--out", "e.csv/model"), "e.csv/model cannot be written: Not a directory"),
    "out is not empty": ((*FIT, "--out", "full"), "full holds 'notes.txt' but no headstart model"),
    "out is foreign": ((*FIT, "--out", "full", "--overwrite"), "full holds 'notes.txt' but no headstart model"),
    "json in no folder": ((*COMPARE, "--json", "no/c.json"), "cannot write no/c.json: there is no folder"),
    "json is a folder": ((*COMPARE, "--json", "full"), "cannot write full: it is a folder"),
    "json below a file": ((*COMPARE, "--json", "e.csv/c.json"), "cannot write e.csv/c.json: there is no folder"),
    "json of fit": ((*FIT, "--json", "no/c.json"), "cannot write no/c.json: there is no folder"),
    "json is a device": ((*COMPARE, "--json", "/dev/null"), "cannot write /dev/null: it is no plain file"),
    "methods": ((*COMPARE, "--methods", "global,nope"), "no method is called 'nope'; known: global, local"),
    "methods none": ((*COMPARE, "--methods", ","), "no method is named"),
    "split": ((*COMPARE, "--split", "nope"), "'--split': 'nope' is not one of 'user-time'"),
    "split without time": ((*COMPARE, "--split", "time"), "the split time needs times; give --time COLUMN"),
    "too few for new users": (
        ("compare", "two.csv", *ROLES, "--split", "new-users", "--test", ".9"),
        "too few users to divide",
    ),
    "dataset": (("compare", "--dataset", "nope"), "no data set 'nope'; choose one of completejourney"),
    "dataset without folder": (("compare", "--dataset", "ml-100k"), "ml-100k .*--data-dir or HEADSTART_DATA"),
    "dataset in no folder": (("compare", "--dataset", "ml-100k", "--data-dir", "no"), "there is no folder no"),
    "demo of no dataset": (("demo", "--dataset", "nope", "--out", "new"), "no data set 'nope'"),
    "demo into a file": (("demo", "--dataset", "toy", "--out", "e.csv"), "e.csv is a file; choose a folder"),
    "no model": (("inspect", "no"), "there is no model at no; make one with headstart fit --out no"),
    "model is a file": (("inspect", "e.csv"), "e.csv is a file, not the folder of a model"),
    "model is a folder": (("inspect", "full"), "full is not a headstart model: it has no manifest.json"),
    "bench": (("bench", "nope"), "no bench is called 'nope'; known: "),
    "export of no dataset": (("data", "export", "nope", "--out", "x.csv"), "no data set 'nope'"),
    "export to another ending": (("data", "export", "toy", "--out", "x.txt"), "must end in .parquet or .csv"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands(case, refuse, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling.csv").symlink_to("nothing")
    (tmp_path / "two.csv").write_text(csv("1,0,1", "2,1,2"))
    arguments, said = COMMANDS[case]
    refuse(arguments, said)


CONFIGURATIONS = {
    "ticks =": "is not TOML",
    "tick = 3": "sets 'tick', which headstart fit does not have; keys are the long flags",
    "json_file = 'x'": "sets 'json_file', which headstart fit does not have",
    "config = 'x'": "sets 'config'",
    "ticks = 'many'": "'--ticks': 'many' is not a valid integer",
    "ticks = 2.5": "'--ticks': '2.5' is not a valid integer",
    "ticks = [1]": "'ticks' is a list; write what --ticks takes",
    "ticks = true": "'ticks' is true or false; write what --ticks takes",
    "[ticks]\na = 1": "'ticks' is a table",
    "ticks = 0": "0 is not in the range x>=1",
    "user = 'usr'": "there is no column 'usr'",
}


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_configurations(text, refuse, tmp_path):
    (tmp_path / "h.toml").write_text(text)
    refuse(("fit", "e.csv", "--label", "y", "--out", "model", "--config", "h.toml"), CONFIGURATIONS[text])


def test_parquet_files(refuse, tmp_path):
    table = pa.table({"user": [1, 2] * 500, "y": [0, 1, 1, 0] * 250, "x": np.arange(1000.0)})
    pq.write_table(table, tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "hole.parquet").write_bytes(whole[:4] + bytes(len(whole) // 4) + whole[4 + len(whole) // 4 :])
    pq.write_table(table.append_column("z", pa.array([[1.0]] * 1000)), tmp_path / "nested.parquet")
    pq.write_table(table.set_column(0, "user", table["x"]), tmp_path / "typed.parquet")
    rest = ("fit", *ROLES, "--out", "model")
    refuse((*rest, "cut.parquet"), "cut.parquet: damaged or not Parquet")
    refuse((*rest, "hole.parquet"), "hole.parquet: ")
    refuse((*rest, "nested.parquet"), "column 'z' holds list<.*give --drop z")
    refuse((*rest, "typed.parquet"), "user column 'user' holds double; ids are whole numbers or text")


@pytest.fixture
def model(fitted, logs, tmp_path):
    """A copy of a model, and events to read it with."""
    shutil.copy(logs.late, tmp_path / "late.parquet")
    return shutil.copytree(fitted, tmp_path / "model")


def test_models(model, refuse, tmp_path):
    (tmp_path / "old.csv").write_text("mine")
    predict = ("predict", "model", "late.parquet", "--out")
    refuse(("fit", "late.parquet", *FIT[2:]), "model already holds a model; give --overwrite")
    refuse(("predict", "model", "e.csv", "--out", "p.csv"), "e.csv: there is no column 'item'")
    refuse((*predict, "p.txt"), "cannot write p.txt: the name must end in .parquet or .csv")
    refuse((*predict, "old.csv"), "old.csv exists; give --overwrite")
    refuse((*predict, "no/p.csv"), "cannot write no/p.csv: there is no folder")
    refuse(("predict", "model", "no.csv", "--out", "p.csv"), "no.csv: No such file")
    refuse(("inspect", "model", "--coefficients", "old.csv"), "old.csv exists; give --overwrite")
    refuse(("inspect", "model", "--coefficients", "w.txt"), "the name must end in")
    refuse(("inspect", "model", "nobody"), "knows no user 'nobody'; it would be served the global model")
    refuse(("forget", "model", "nobody"), "knows no user 'nobody'; nothing was changed")
    refuse(("evaluate", "model", "e.csv"), "e.csv: there is no column 'item'")
    refuse(("personalise", "model", "e.csv"), "e.csv: there is no column 'item'")


def test_nothing_to_write(headstart, logs, refuse, tmp_path):
    headstart("fit", logs.early, *logs.flags, *logs.quick, "--method", "global", "--out", tmp_path / "model")
    refuse(("inspect", "model", "--coefficients", "w.csv"), "holds no personal model, so there is nothing to write")


@pytest.mark.parametrize("name", ["features.json", "path.arrow", "plan.arrow", "index.arrow"])
def test_the_damaged_file_is_named(name, model, refuse):
    file = next(model.rglob(name))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for command in (("inspect", "model"), ("forget", "model", "u01"), ("personalise", "model", "late.parquet")):
        refuse(command, f"{name} is damaged: .*; restore it or train the model again")
    file.unlink()
    refuse(("predict", "model", "late.parquet", "--out", "p.csv"), f"{name} is missing; restore it")


def test_manifests(model, refuse):
    file = model / "manifest.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps(whole | {"format_version": 9}))
    refuse(("inspect", "model"), "model is in format 9, and this headstart reads up to 1; upgrade")
    refuse(("fit", *FIT[1:], "--overwrite"), "model is in the way .*format 9")
    file.write_text(json.dumps(whole | {"version": "000007"}))
    refuse(("inspect", "model"), "manifest.json is damaged or was edited")
    file.write_text("{")
    refuse(("inspect", "model"), "manifest.json is damaged: no JSON")
    file.unlink()
    refuse(("inspect", "model"), "model holds no finished model; run the fit again")
