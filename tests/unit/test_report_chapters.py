"""A report of several chapters: what is the paper's beside what is ours, the same in the page, Markdown and JSON."""

from __future__ import annotations

import contextlib
import io
import json
import re

import pytest

from headstart.cli.main import main
from headstart.report import assemble, beside, markdown, page, reproduction

METRICS = ("auc", "map", "mrr", "ndcg")
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Document and details of a comparison of toy events."""
    file = tmp_path_factory.mktemp("compared") / "r.json"
    given = ("--dataset", "toy", "--ticks", "5", "--rate", "0.25", "--bootstrap", "20", "--threads", "1")
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as left:
        main(["compare", *given, "--methods", "global,local,by-abundance,learned", "--report", str(file)])
    assert left.value.code == 0
    return json.loads(file.read_text("utf-8"))


def claim(agrees, family="gbdt", about="direction", paper="Adaptive beats global.", ours="It does."):
    return {"about": about, "family": family, "paper": paper, "ours": ours, "agrees": agrees}


def row(name, mean, sd=0.001):
    return {"name": name, "metrics": {"map": {"mean": mean, "sd": sd}}}


def difference(metric, diff, lo, hi):
    ends = {"lo": lo + 0.005, "hi": hi - 0.005, "lo_all": lo, "hi_all": hi}
    return {"metric": metric, "a": "gbdt by-abundance", "b": "logistic by-abundance", "diff": diff, **ends}


def found(compared, chapters=("logistic", "gbdt", "mf"), **changes):
    """What a reproduction finds."""
    interval = {"mean": 0.7, "lo": 0.6, "hi": 0.8}
    point = {"method": "local", "metrics": dict.fromkeys(METRICS, interval)}
    ours = [row("global 20", 0.70), row("global 200", 0.80), row("local 20", 0.75), row("adaptive 20+50", 0.84)]
    more = {
        "logistic": {"curves": {"points": [{**point, "ticks": ticks} for ticks in (1, 5)], "note": ""}},
        "gbdt": {"trees": {"seeds": 3, "rows": ours}},
    }
    paper = [row("global 20", 0.20), row("global 200", 0.25), row("local 20", 0.30), row("adaptive 20+50", 0.24)]
    counts = {"users": 8, "items": None, "features": 3, "events": 90, "positives": 30, "events_per_user": 11.25}
    return {
        "dataset": "toy",
        "title": "made up",
        "seed": 7,
        "version": "1.2",
        "statistics": [{"name": "toy", "published": False, **counts}, {"name": "news", "published": True, "users": 9}],
        "claims": [claim("yes"), claim("no", "logistic", "size"), claim("partly", "mf", "ordering")],
        "printed": paper,
        "chapters": {name: {**compared, "more": more.get(name, {})} for name in chapters},
        "shares": {"points": [{**point, "share": 0.2, "family": one} for one in ("logistic", "gbdt")], "note": ""},
        "families": [difference("auc", 0.02, 0.01, 0.03), difference("logloss", 0.02, 0.01, 0.03)],
        "not_run": {},
        "seconds": 90.0,
        **changes,
    }


def shown(chapter):
    return [*chapter["tables"], *(table for one in chapter["pictures"] for table in one["tables"])]


def table_of(report, name):
    (table,) = [table for one in report.plain()["chapters"] for table in shown(one) if table["id"] == name]
    return table


def test_ids_differ_over_all_chapters(compared):
    chapters = reproduction(found(compared)).plain()["chapters"]
    assert [one["id"] for one in chapters] == ["paper", "logistic", "gbdt", "families", "mf"]
    ids = [one["id"] for one in chapters]
    ids += [one["id"] for chapter in chapters for one in (*chapter["pictures"], *shown(chapter))]
    assert len(ids) == len(set(ids))
    assert {"logistic-scatter", "logistic-curves", "gbdt-trees", "families-shares", "mf-methods"} <= set(ids)


def test_a_comparison_alone_is_one_chapter_without_a_name(compared):
    report = assemble(compared["document"], compared["details"])
    (chapter,) = report.plain()["chapters"]
    assert (chapter["id"], chapter["title"], chapter["lead"], chapter["said"]) == ("", "", "", {})
    assert report.title == "Headstart: toy"
    assert report.lead.startswith("4 methods, model logistic, on ")
    assert chapter["chosen"] == "learned"
    assert [one["id"] for one in chapter["pictures"]][:2] == ["scatter", "groups"]
    assert [one["id"] for one in chapter["tables"]][:3] == ["methods", "differences", "harm"]
    assert "figure 1" not in chapter["pictures"][0]["aid"]
    headings = re.findall(r"^#+ .*$", markdown(report), re.MULTILINE)
    assert headings[:3] == [
        "# Headstart: toy",
        "## local against the global model",
        "## by-abundance against the global model",
    ]
    assert {"## Methods", "## Each user: global against personal", "### Users on either side of the diagonal"} <= set(
        headings
    )


def test_the_method_of_a_reproduction_is_the_paper_s(compared):
    chapters = {one["id"]: one for one in reproduction(found(compared)).plain()["chapters"]}
    assert chapters["logistic"]["chosen"] == chapters["mf"]["chosen"] == "by-abundance"
    assert chapters["logistic"]["pictures"][0]["aid"].startswith("One point a user, as in the paper's figure 1.")
    tiles = {tile["label"]: tile for tile in chapters["paper"]["said"]["tiles"]}
    gain = chapters["gbdt"]["headlines"]["by-abundance"]["tiles"][0]
    assert tiles[f"Boosted trees: {gain['label']}"]["value"] == gain["value"]


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ([], "No statement of the paper could be tested by what was run."),
        (["yes"], "Of 1 statement of the paper 1 holds on this data, 0 hold in part, 0 do not."),
        (
            ["no", "yes", "partly", "yes"],
            "Of 4 statements of the paper 2 hold on this data, 1 holds in part, 1 does not.",
        ),
        (
            ["yes"] * 5 + ["no", "partly"] * 2 + ["unclear"],
            "Of 10 statements of the paper 5 hold on this data, 2 hold in part, 2 do not; 1 cannot be told.",
        ),
    ],
)
def test_the_first_sentence_counts_statements(compared, ways, said):
    report = reproduction(found(compared, claims=[claim(way) for way in ways]))
    first = report.plain()["chapters"][0]["said"]
    assert first["sentence"] == said
    bars = [tile for tile in first["tiles"] if "bar" in tile]
    assert len(bars) == bool(ways)
    if ways:
        assert bars[0]["value"] == f"{ways.count('yes')} of {len(ways)}"
        held, open_, failed = ways.count("yes"), ways.count("partly") + ways.count("unclear"), ways.count("no")
        assert bars[0]["bar"] == [count / len(ways) for count in (held, open_, failed)]


def test_agreement_is_words_and_not_colour_alone(compared):
    rows = table_of(reproduction(found(compared)), "paper-claims")["rows"]
    assert [one[-1] for one in rows] == [
        ["holds", "holds", "good"],
        ["does not hold", "does not hold", "bad"],
        ["holds in part", "holds in part", "even"],
    ]
    assert [[cell[0] for cell in one[:2]] for one in rows] == [
        ["boosted trees", "direction"],
        ["logistic regression", "size of the gain"],
        ["matrix factorisation", "order of methods"],
    ]


def test_a_long_statement_is_shown_whole(compared):
    long = " ".join(["word"] * 70)
    rows = table_of(reproduction(found(compared, claims=[claim("yes", paper=long)])), "paper-claims")["rows"]
    assert rows[0][2][0] == long


def test_printed_trees_stand_beside_ours(compared):
    report = reproduction(found(compared))
    table = table_of(report, "paper-trees")
    assert [column["name"] for column in table["columns"]] == ["model", "MAP, paper", "MAP, here"]
    assert [cell[0] for cell in table["rows"][-1]] == ["adaptive 20+50", "0.2400 (0.0010)", "0.8400 (0.0010)"]
    assert "over 3 seeds" in table["note"]
    # By hand: from the best global rows, 0.25 and 0.80, and the only local ones, 0.30 and 0.75.
    assert [[cell[0] for cell in one] for one in table_of(report, "paper-gain-over-global")["rows"]] == [
        ["adaptive 20+50", "MAP", "\u22120.0100", "\u22124.0 %", "+0.0400", "+5.0 %"]
    ]
    assert [cell[0] for cell in table_of(report, "paper-gain-over-local")["rows"][0]][2:] == [
        "\u22120.0600", "\u221220.0 %", "+0.0900", "+12.0 %",
    ]  # fmt: skip


def test_rows_that_we_have_not_are_left_open(compared):
    given = found(compared)
    given["chapters"]["gbdt"]["more"]["trees"]["rows"] = [row("global 20", None, None), row("adaptive 20+50", 0.84)]
    report = reproduction(given)
    assert [one[2] for one in table_of(report, "paper-trees")["rows"]][:3] == [["\u2013", None]] * 3
    assert [cell[0] for cell in table_of(report, "paper-gain-over-global")["rows"][0]][4:] == ["\u2013", "\u2013"]


def test_data_of_the_paper_and_ours(compared):
    rows = table_of(reproduction(found(compared)), "paper-statistics")["rows"]
    assert [cell[0] for cell in rows[0]] == [
        "toy", "this run", "8", "\u2013", "3", "90", "30", "11.2", "\u2013", "\u2013",
    ]  # fmt: skip
    assert [cell[0] for cell in rows[1]] == ["news", "the paper", "9", *["\u2013"] * 7]


def test_what_was_not_run_is_said_and_has_no_chapter(compared):
    given = found(
        compared, ["gbdt"], shares=None, families=[], not_run={"mf": "there are no items", "logistic": "left out"}
    )
    report = reproduction(given)
    assert [one.id for one in report.chapters] == ["paper", "gbdt"]
    assert [[cell[0] for cell in one] for one in table_of(report, "paper-not-run")["rows"]] == [
        ["matrix factorisation", "there are no items"],
        ["logistic regression", "left out"],
    ]
    bare = reproduction(found(compared, [], shares=None, families=[], printed=[], claims=[]))
    assert [one.id for one in bare.chapters] == ["paper"]
    assert [one.id for one in bare.chapters[0].tables] == ["paper-statistics"]
    assert page(bare)
    assert markdown(bare)


def test_families_are_told_apart_by_their_intervals_alone(compared):
    unclear = difference("ndcg", 0.02, -0.01, 0.05)
    families = [difference("auc", 0.02, 0.01, 0.03), difference("logloss", 0.02, 0.01, 0.03), unclear]
    report = reproduction(found(compared, families=families))
    rows = table_of(report, "families-differences")["rows"]
    assert [one[-1][0] for one in rows] == ["better", "worse", "not told apart"]
    (chapter,) = [one for one in report.chapters if one.id == "families"]
    assert chapter.said["sentence"] == (
        "By 95 % intervals of all differences at once, on all training data: gbdt by-abundance is better than logistic"
        " by-abundance in AUC; gbdt by-abundance is worse than logistic by-abundance in log-loss; the data do not tell"
        " gbdt by-abundance from logistic by-abundance in nDCG."
    )
    assert [tile["verdict"] for tile in chapter.said["tiles"]] == ["better", "worse", "not told apart"]
    no_picture = reproduction(found(compared, shares=None))
    assert [len(one.pictures) for one in no_picture.chapters if one.id == "families"] == [0]


def cells_of(text):
    """Rows of cells of every table of a Markdown text, by chapter and title."""
    read, chapter, title = {}, None, None
    for line in text.splitlines():
        if line.startswith("## "):
            chapter = line.removeprefix("## ")
        elif line.startswith("#"):
            title = re.sub(r"^#+ ", "", line)
        elif line.startswith("|") and set(line) - set("|-: "):
            cells = [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            read.setdefault((chapter, title), []).append(cells)
    return {key: rows[1:] for key, rows in read.items()}


def test_page_markdown_and_json_hold_the_same_numbers(compared):
    given = found(compared)
    report = reproduction(given)
    text, html = markdown(report), page(report)
    data = json.loads(html.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    read = cells_of(text)
    assert data == json.loads(json.dumps(report.plain()))
    for chapter in data["chapters"]:
        for table in shown(chapter):
            assert read[chapter["title"], re.sub(r"([_<>])", r"\\\1", table["title"])] == [
                [cell[0] for cell in one] for one in table["rows"]
            ], table["id"]
        for said in (chapter["said"], *chapter["headlines"].values()):
            assert said.get("sentence", "") in re.sub(r"\\(.)", r"\1", text)
    documents = {one["id"]: one["document"] for one in data["chapters"]}
    for name, one in given["chapters"].items():
        assert documents[name] == one["document"]
    assert documents["families"] == {key: given[key] for key in ("shares", "families")}
    assert documents["paper"] == {key: given[key] for key in documents["paper"]}
    assert {*given} - {"chapters", "shares", "families"} == {*documents["paper"]}


def test_hostile_names_in_a_reproduction_are_text(compared):
    claims = [claim("yes", HOSTILE, HOSTILE, HOSTILE, HOSTILE * 1000)]
    statistics = [{"name": HOSTILE, "published": False, "users": 1}]
    given = found(
        compared, claims=claims, statistics=statistics, dataset=HOSTILE, title=HOSTILE, not_run={HOSTILE: HOSTILE}
    )
    given["families"][0]["a"] = HOSTILE
    given["shares"]["points"][0]["method"] = HOSTILE
    html = page(reproduction(given))
    shell = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "<img" not in shell
    assert "\u202e" not in html
    assert len(html) < 3_000_000
    text = markdown(reproduction(given))
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)<img", text)


def test_agreements_are_the_four_words():
    counts = beside.agreements([claim("yes"), claim("no"), claim("no")])
    assert counts == {"yes": 1, "partly": 0, "no": 2, "unclear": 0}
    assert set(beside.AGREES) == set(counts)
