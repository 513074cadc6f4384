"""``headstart compare --report``: the same numbers as a page, as Markdown and as JSON; ids hidden unless asked for."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headstart.experiments.moved import moved
from headstart.report.pseudonyms import Pseudonyms
from headstart.scoring.explain import explain, weights
from headstart.scoring.files import load_model


@dataclass(frozen=True)
class Reports:
    page: str
    text: str
    numbers: dict
    document: dict

    @property
    def data(self):
        """What is embedded in the page."""
        return json.loads(self.page.split('<script type="application/json" id="data">')[1].split("</script>")[0])[
            "chapters"
        ][0]


def made(headstart, logs, folder: Path, *more) -> Reports:
    files = [folder / f"r.{ending}" for ending in ("html", "md", "json")]
    flags = [part for file in files for part in ("--report", file)]
    quick = (*logs.flags, *logs.quick, "--bootstrap", 50, "--threads", 1)
    headstart("compare", logs.all, *quick, *flags, "--json", folder / "d.json", *more)
    page, text, numbers = (file.read_text("utf-8") for file in files)
    return Reports(page, text, json.loads(numbers), json.loads((folder / "d.json").read_text()))


@pytest.fixture(scope="module")
def reports(headstart, logs, tmp_path_factory) -> Reports:
    return made(headstart, logs, tmp_path_factory.mktemp("reports"), "--seed", 3)


def tables_of(text):
    """Rows of cells of every table of a Markdown text, by its title."""
    found, title = {}, None
    for line in text.splitlines():
        if line.startswith("#"):
            title = re.sub(r"^#+ ", "", line)
        elif line.startswith("|") and not line.startswith("| ---") and set(line) - set("|-: "):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            found.setdefault(title, []).append([re.sub(r"\\(.)", r"\1", cell.strip()) for cell in cells])
    return {title: rows[1:] for title, rows in found.items()}


def test_page_markdown_and_json_hold_the_same_numbers(reports):
    assert reports.numbers["document"] == reports.document == reports.data["document"]
    read = tables_of(reports.text)
    shown = [*reports.data["tables"], *(table for one in reports.data["pictures"] for table in one["tables"])]
    assert len(shown) > 10
    for table in shown:
        assert read[table["title"]] == [[cell[0] for cell in row] for row in table["rows"]]
    for table in shown:
        for row in table["rows"]:
            for text, number in row:
                if isinstance(number, float) and re.fullmatch(r"[+\u2212]?\d\.\d{4}.*", text):
                    assert float(text[:7].strip(" [").replace("\u2212", "-")) == pytest.approx(number, abs=6e-5)
    for headline in reports.data["headlines"].values():
        assert headline["sentence"] in re.sub(r"\\(.)", r"\1", reports.text)


def test_every_number_of_the_document_s_methods_is_in_the_table(reports):
    (table,) = [one for one in reports.data["tables"] if one["id"] == "methods"]
    rows = {row[0][0]: row for row in table["rows"]}
    columns = [column["name"] for column in table["columns"]]
    for method in reports.document["methods"]:
        row = dict(zip(columns, rows[method["name"]], strict=True))
        for name, metric in (("AUC", "auc"), ("MAP", "map"), ("nDCG", "ndcg"), ("log-loss", "logloss")):
            m = method["metrics"][metric]
            assert row[name] == [f"{m['mean']:.4f} [{m['lo']:.4f}, {m['hi']:.4f}]", m["mean"]]
        assert row["harmed"] == [f"{100 * method['harmed']:.1f} %", method["harmed"]]
        assert row["helped"][1] == method["helped"]


def test_details_add_up_to_the_document(reports):
    details, document = reports.numbers["details"], reports.document
    named = {row["name"]: row for row in document["methods"]}
    users = details["n_users"]
    assert users == document["n_test_users"] == len(details["users"]["user"])
    for name, gains in details["gains"]["methods"].items():
        assert gains["helped"] / users == pytest.approx(named[name]["helped"])
        assert gains["harmed"] / users == pytest.approx(named[name]["harmed"])
        assert sum(gains["counts"]) == gains["helped"] + gains["harmed"] == users - gains["alike"]
        half = len(gains["counts"]) // 2
        assert sum(gains["counts"][:half]) == gains["harmed"]
        own = [gain for gain in details["users"]["gain"][name] if gain is not None]
        assert sum(gain < -1e-9 for gain in own) == gains["harmed"]
        worst = [one["gain"] for one in details["worst"][name]]
        assert worst == sorted(worst) == sorted(gain for gain in own if gain < -1e-9)[:10]
    for name, metrics in details["better"].items():
        assert all(sum(counts.values()) == document["n_users_in_averages"] for counts in metrics.values()), name
    for name, users in details["users"]["metrics"].items():
        auc = [value for value in users["auc"] if value is not None]
        assert sum(auc) / len(auc) == pytest.approx(named[name]["metrics"]["auc"]["mean"], abs=1e-4)
    assert sum(row["users"] for row in details["tail"]["groups"]) == document["n_users"]
    assert sum(details["tail"]["users"]) == document["n_users"]
    assert sum(row["users"] for row in details["sevenths"]) == document["n_test_users"]
    for row in details["sevenths"]:
        for one in row["differences"]:
            means = [row["methods"][name][one["metric"]]["mean"] for name in (one["method"], "global")]
            if None not in means:
                assert one["diff"] == pytest.approx(means[0] - means[1], abs=1e-12)


def test_ids_are_hidden_unless_they_are_asked_for(headstart, logs, tmp_path, reports):
    ids = {str(value) for value in pc.unique(logs.table["user"]).to_pylist()}
    hidden = reports.numbers["details"]["users"]["user"]
    assert hidden == sorted(hidden)
    assert all(re.fullmatch(r"u-[a-z2-7]{8}", name) for name in hidden)
    assert {one["user"] for rows in reports.numbers["details"]["worst"].values() for one in rows} <= set(hidden)
    portraits = [user["user"] for one in reports.numbers["details"]["moved"].values() for user in one["users"]]
    assert portraits
    assert not {*portraits, *hidden} & ids
    shown = made(headstart, logs, tmp_path, "--seed", 3, "--show-ids")
    assert set(shown.numbers["details"]["users"]["user"]) <= ids
    known = dict(
        zip(shown.numbers["details"]["users"]["user"], shown.numbers["details"]["users"]["gain"]["local"], strict=True)
    )
    assert sorted(known.values()) == sorted(reports.numbers["details"]["users"]["gain"]["local"])


def test_weights_are_those_that_inspect_shows(fitted):
    model = load_model(fitted)
    found = moved(model, Pseudonyms(shown=True))
    assert found["models"] == found["read"] == int(model.terms[0].plan.personal.sum()) > 8
    for user in found["users"]:
        (term,) = explain(model, user["user"], most=12)["terms"]
        assert (user["events"], user["group"], user["t_u"]) == (term["events"], term["group"], term["t_u"])
        for own, other in zip(user["weights"], term["moved"], strict=True):
            assert own["feature"] == other["feature"]
            assert own["personal"] == pytest.approx(other["personal"], rel=1e-3)
            assert own["global"] == pytest.approx(other["global"], rel=1e-3)
    weights_of = pa.concat_tables(weights(model)).to_pandas()
    shared = {
        row["feature"]: row["global"] for row in explain(model, found["users"][0]["user"], most=99)["terms"][0]["moved"]
    }
    for feature in found["features"]:
        change = weights_of.weight[weights_of.feature == feature["feature"]] - shared[feature["feature"]]
        assert feature["moved"] == pytest.approx(change.abs().mean(), rel=1e-3)
        assert feature["points"] == pytest.approx(
            change.quantile([0.05, 0.25, 0.5, 0.75, 0.95]).tolist(), rel=2e-3, abs=1e-6
        )
    sizes = [feature["moved"] for feature in found["features"]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_page_is_one_file_that_names_no_address(reports):
    assert len(reports.page) < 2_000_000 + len(json.dumps(reports.data))
    shell = re.sub(r"<script>.*?</script>", "", reports.page, flags=re.DOTALL)
    assert "http" not in shell.replace("http-equiv", "")
    assert not re.search(r"(?:src|href)=[\"']?[^\"'#]", shell)
    assert "default-src 'none'" in html.unescape(reports.page)


def test_what_cannot_be_reported_is_refused_before_training(headstart, logs, tmp_path):
    said = headstart("compare", logs.all, *logs.flags, "--report", tmp_path / "r.pdf", code=2)
    assert "a report ends in .html, .md, .json" in said.err
    gone = headstart("compare", logs.all, *logs.flags, "--report", tmp_path / "none" / "r.html", code=2)
    assert "there is no folder" in gone.err
    both = headstart("compare", logs.all, *logs.flags, "--grid", "trees", "--report", tmp_path / "r.md", code=2)
    assert "leave out --grid" in both.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags",
    [
        ("--methods", "global"),
        ("--methods", "by-abundance"),
        ("--split", "kfold", "--folds", 3),
        ("--split", "new-users"),
    ],
)
def test_reports_of_odd_comparisons(headstart, logs, tmp_path, flags):
    found = made(headstart, logs, tmp_path, *flags)
    names = [row["name"] for row in found.document["methods"]]
    assert tables_of(found.text)["Methods"]
    alone = names in (["global"], ["by-abundance"])
    assert bool(found.data["pictures"]) != alone
    assert len(found.data["headlines"]) == (0 if alone else len(names) - 1)
