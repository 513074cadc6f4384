"""The report in a browser: nothing fetched, nothing wrong, nothing hidden, whatever the width and the colours."""

from __future__ import annotations

import itertools
import json

import pytest

PICTURES = {
    "clicks": ["scatter", "groups", "tail", "gains", "learned", "segments"],
    "ratings": ["scatter", "groups", "boxes", "tail", "gains", "segments"],
}


def embedded(file):
    text = file.read_text("utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])["chapters"][0]


WIDTHS = [(1280, False), (1280, True), (390, False), (390, True)]


@pytest.mark.parametrize(
    ("kind", "width", "dark"),
    [
        *(("clicks", *one) for one in WIDTHS),
        *((kind, *one) for kind in ("ratings", "hostile", "reproduced") for one in WIDTHS[::3]),
    ],
)
def test_opens_without_an_error_or_a_request(browser, request, kind, width, dark):
    report = request.getfixturevalue(kind)
    page = browser.open(report.page, width, dark=dark)
    assert page.errors == []
    assert page.requests == [report.page.as_uri()]
    assert page.run("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    # Only tables and the row of links scroll sideways, in boxes of their own.
    assert page.run("document.documentElement.scrollWidth") <= width
    plots = page.run("""[...document.querySelectorAll('.plot')].map((plot) => [
        plot.clientWidth, plot.clientHeight, plot.querySelectorAll('svg path, svg text, canvas').length,
        plot.getAttribute('aria-label').length])""")
    assert len(plots) >= 8
    assert all(wide > 200 and high > 80 and marks > 0 and said > 20 for wide, high, marks, said in plots)
    ids = page.run("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_with_their_aids_axes_and_buttons(browser, kind, request):
    page = browser.open(request.getfixturevalue(kind).page)
    assert page.run("[...document.querySelectorAll('figure')].map((one) => one.id)") == PICTURES[kind]
    for name in PICTURES[kind]:
        assert page.run(f"document.querySelector('#{name} .aid').textContent.length") > 40
        assert page.run(f"document.querySelector('#{name} .says').textContent.length") > 20
        assert page.run(f"document.querySelectorAll('#{name} > .tools button').length") >= 1
    axes = page.run("""[...document.querySelectorAll('.plot')].flatMap((plot) => {
        const option = echarts.getInstanceByDom(plot).getOption();
        return [...option.xAxis, ...option.yAxis].filter((axis) => axis.type !== "category")
            .map((axis) => axis.name) })""")
    assert all(axes)


def test_tables_read_as_in_markdown_and_sort(browser, clicks):
    page = browser.open(clicks.page)
    data = embedded(clicks.page)
    for table in data["tables"]:
        cells = page.run(f"""[...document.querySelectorAll('#table-{table["id"]} tbody tr')].map((row) =>
            [...row.cells].map((cell) => cell.textContent))""")
        assert cells == [[cell[0] for cell in row] for row in table["rows"]]
    head = "document.querySelectorAll('#table-methods th')[1]"
    page.run(f"{head}.querySelector('button').focus()")
    column = "[...document.querySelectorAll('#table-methods tbody tr')].map((row) => row.cells[1].textContent)"
    page.press("Enter", 13, "\r")
    assert page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert page.run(column) == sorted(page.run(column))
    page.press("Enter", 13, "\r")
    assert page.run(f"{head}.getAttribute('aria-sort')") == "descending"
    assert page.run(column) == sorted(page.run(column), reverse=True)


def test_choosing_a_method_changes_the_first_screen_and_the_pictures(browser, clicks):
    page = browser.open(clicks.page)
    data = embedded(clicks.page)
    sentence = "document.querySelector('.sentence').textContent"
    assert page.run(sentence) == data["headlines"]["by-abundance"]["sentence"]
    page.run("""(() => { const list = document.querySelector('#gains select'); list.value = 'local';
        list.dispatchEvent(new Event('change')) })()""")
    assert page.run(sentence) == data["headlines"]["local"]["sentence"]
    gains = next(one for one in data["pictures"] if one["id"] == "gains")
    assert page.run("document.querySelector('#gains .says').textContent") == gains["says"]["local"]
    bars = page.run("""echarts.getInstanceByDom(document.querySelector('#gains .plot')).getOption().series
        .flatMap((one) => one.data).reduce((a, b) => a + b, 0)""")
    frame = gains["frames"][0]
    assert bars == sum(row[frame["columns"].index("local")] for row in frame["rows"])
    assert page.run("[...document.querySelectorAll('#gains details h3')].map((one) => one.textContent)") == [
        "Gains of users",
        "Worst-off users of local",
    ]
    assert page.errors == []


def test_legends_hide_methods_and_zoom_narrows_axes(browser, clicks):
    page = browser.open(clicks.page)
    act = "echarts.getInstanceByDom(document.querySelector('#{} .plot')).dispatchAction({})"
    option = "echarts.getInstanceByDom(document.querySelector('#{} .plot')).getOption()"
    assert page.run(option.format("groups") + ".legend[0].selected.local")
    page.run(act.format("groups", "{ type: 'legendToggleSelect', name: 'local' }"))
    assert page.run(option.format("groups") + ".legend[0].selected.local") is False
    page.run(act.format("scatter", "{ type: 'dataZoom', dataZoomIndex: 0, startValue: 0.7, endValue: 0.9 }"))
    assert page.run(option.format("scatter") + ".dataZoom[0].startValue") == pytest.approx(0.7)
    assert page.errors == []


def test_csv_holds_what_is_drawn(browser, clicks, hostile):
    for report in (clicks, hostile):
        page = browser.open(report.page)
        page.run(
            """window.saved = []; URL.createObjectURL = (blob) => { window.saved.push(blob.text()); return '#' }; 0"""
        )
        page.run("document.querySelector('#scatter > .tools button').click()")
        text = page.run("Promise.all(window.saved)")[0]
        frame = next(one for one in embedded(report.page)["pictures"] if one["id"] == "scatter")["frames"][0]
        lines = text.lstrip("\ufeff").split("\r\n")
        assert len(lines) == len(frame["rows"]) + 2
        assert lines[0].split(",")[:3] == frame["columns"][:3]
        assert not any(line.startswith(("=", "+", "@")) for line in lines)
    assert any(line.startswith("'=1+1") for line in lines)


def test_colours_change_at_a_button(browser, clicks):
    page = browser.open(clicks.page, dark=False)
    page.run("document.getElementById('theme').focus()")
    page.press("Enter", 13, "\r")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    assert page.run("document.activeElement.id") == "theme"
    assert page.errors == []


def test_every_control_can_be_reached_and_named_without_a_pointer(browser, clicks):
    page = browser.open(clicks.page)
    unnamed = page.run("""[...document.querySelectorAll('button, select, summary, a')].filter((one) =>
        !(one.textContent.trim() || one.getAttribute('aria-label')) || one.tabIndex < 0).length""")
    assert unnamed == 0
    assert (
        page.run("['header', 'nav', 'main', 'footer'].map((tag) => document.querySelectorAll(tag).length)") == [1] * 4
    )
    page.press("Tab", 9)
    assert page.run("document.activeElement.className") == "skip"


def test_nothing_can_be_fetched_and_no_other_script_run(browser, clicks):
    page = browser.open(clicks.page)
    assert page.run("fetch('data:text/plain,x').then(() => 'fetched', () => 'refused')") == "refused"
    page.run("""(() => { const script = document.createElement('script'); script.textContent = 'window.hacked = 1';
        document.body.append(script); const image = new Image(); image.src = 'file:///none.png';
        document.body.append(image) })()""")
    assert page.run("window.hacked === undefined")
    for refused in ("data:text/plain,x", "script", "file:///none.png"):
        assert any(refused in error for error in page.errors), refused
    assert all("Content Security Policy" in error for error in page.errors)


def test_hostile_names_are_text(browser, hostile):
    page = browser.open(hostile.page)
    assert page.run("window.hacked === undefined")
    assert page.run("document.querySelectorAll('img, iframe, object, embed, link, b b').length") == 0
    assert page.run("document.querySelectorAll('script').length") == 8
    assert page.run("document.body.textContent.includes('\\u202e')") is False
    page.run("""for (const list of document.querySelectorAll('select')) { list.selectedIndex = list.options.length - 1;
        list.dispatchEvent(new Event('change')) }""")
    page.run("""for (const plot of document.querySelectorAll('.plot'))
        echarts.getInstanceByDom(plot).dispatchAction({ type: 'showTip', seriesIndex: 0, dataIndex: 0 })""")
    assert page.run("window.hacked === undefined && document.querySelectorAll('img').length === 0")
    assert page.errors == []


def chapters(file):
    text = file.read_text("utf-8")
    data = json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    return {one["id"]: one for one in data["chapters"]}


CHOOSE = """((list, name) => {{ list.value = name; list.dispatchEvent(new Event('change')) }})(
    document.querySelector('{}'), {})"""


def test_a_method_is_chosen_for_its_chapter_alone(browser, reproduced):
    page, made = browser.open(reproduced.page), chapters(reproduced.page)
    sentences = """Object.fromEntries([...document.querySelectorAll('.chapter')].map((one) =>
        [one.id, one.querySelector('.sentence')?.textContent]))"""
    values = """Object.fromEntries([...document.querySelectorAll('.chapter')].map((one) =>
        [one.id, [...one.querySelectorAll('.controls select')].filter((list) =>
            list.parentElement.textContent.startsWith('Method')).map((list) => list.value)]))"""
    first, lists = page.run(sentences), page.run(values)
    assert list(first) == ["paper", "logistic", "gbdt", "families", "mf"]
    for name in ("logistic", "gbdt", "mf"):
        assert first[name] == made[name]["headlines"]["by-abundance"]["sentence"]
        assert len(lists[name]) > 3
        assert set(lists[name]) == {"by-abundance"}
    for chosen in ("#logistic > .controls select", "#logistic-gains select"):
        method = "local" if ">" in chosen else "as-printed"
        page.run(CHOOSE.format(chosen, json.dumps(method)))
        assert page.run(sentences) == first | {"logistic": made["logistic"]["headlines"][method]["sentence"]}
        found = page.run(values)
        assert found == lists | {"logistic": found["logistic"]}
        assert set(found["logistic"]) == {method}
    bars = """echarts.getInstanceByDom(document.querySelector('#{}-gains .plot')).getOption().series
        .flatMap((one) => one.data).reduce((a, b) => a + b, 0)"""
    for name, method in (("logistic", "as-printed"), ("gbdt", "by-abundance")):
        frame = next(one for one in made[name]["pictures"] if one["id"] == f"{name}-gains")["frames"][0]
        assert page.run(bars.format(name)) == sum(row[frame["columns"].index(method)] for row in frame["rows"])
    assert page.errors == []


def test_a_list_that_was_used_keeps_the_focus(browser, clicks):
    page = browser.open(clicks.page)
    for chosen, method in (("#gains select", "local"), ("#controls select", "as-printed")):
        page.run(f"document.querySelector('{chosen}').focus()")
        page.run(CHOOSE.format(chosen, json.dumps(method)))
        assert page.run(f"document.activeElement === document.querySelector('{chosen}')")
        assert page.run(f"document.querySelector('{chosen}').value") == method


def test_lines_are_hidden_by_the_keys_of_a_legend(browser, reproduced):
    page = browser.open(reproduced.page)
    shown = """[...document.querySelectorAll('#logistic-curves .plot')].map((plot) => echarts.getInstanceByDom(plot)
        .getOption().series.filter((one) => one.type === 'line').map((one) => one.name))"""
    bands = """echarts.getInstanceByDom(document.querySelector('#logistic-curves .plot')).getOption().series
        .filter((one) => one.type === 'custom').map((one) => one.name)"""
    keys = "[...document.querySelectorAll('#logistic-curves .key')].map((one) => one.getAttribute('aria-pressed'))"
    before = page.run(shown)
    assert len(before) == 4
    assert [len(one) for one in before] == [6] * 4
    assert page.run(bands) == ["global", "by-abundance"]
    page.run("document.querySelectorAll('#logistic-curves .key')[1].focus()")
    page.press("Enter", 13, "\r")
    assert page.run(shown) == [[name for name in one if name != "local"] for one in before]
    assert page.run(keys) == ["true", "false", "true", "true", "true", "true"]
    assert page.run("document.activeElement.textContent") == "local"
    page.press("Enter", 13, "\r")
    assert page.run(shown) == before
    page.run(CHOOSE.format("#logistic-curves select", '"none"'))
    assert page.run(bands) == []
    assert page.errors == []


def test_a_method_has_one_colour_in_all_pictures(browser, reproduced):
    page = browser.open(reproduced.page)
    drawn = page.run("""[...document.querySelectorAll('.plot')].flatMap((plot) =>
        echarts.getInstanceByDom(plot).getOption().series.filter((one) => one.type === 'line' || one.type === 'custom')
            .map((one) => [one.name, String(one.color)]))""")
    colours = {}
    for name, colour in drawn:
        method = name.removeprefix("logistic ").removeprefix("gbdt ").replace("adaptive", "by-abundance")
        if method in ("global", "local", "by-abundance", "as-printed"):
            colours.setdefault(method, set()).add(colour)
    assert {name: len(found) for name, found in colours.items()} == dict.fromkeys(colours, 1)
    assert len(colours) == 4
    assert len(set.union(*colours.values())) == 4


def test_contents_are_of_the_chapter_in_the_window(browser, reproduced):
    page, made = browser.open(reproduced.page), chapters(reproduced.page)
    links = "[...document.querySelectorAll('#{} a')].map((one) => [one.getAttribute('href'), one.textContent])"
    assert page.run(links.format("contents")) == [[f"#{name}", one["title"]] for name, one in made.items()]
    for name in ("paper", "mf"):
        page.run(f"document.documentElement.style.scrollBehavior = 'auto'; location.hash = '{name}'; 0")
        page.run("new Promise((done) => setTimeout(done, 300))")
        assert page.run("document.querySelector('#contents [aria-current]').getAttribute('href')") == f"#{name}"
        parts = [*made[name]["pictures"], *made[name]["tables"]]
        assert page.run(links.format("parts")) == [[f"#{one['id']}", one["title"]] for one in parts]
    for target, _ in page.run(links.format("contents")) + page.run(links.format("parts")):
        assert page.run(f"document.getElementById({json.dumps(target[1:])}) !== null")


def test_a_reproduction_of_hostile_names_is_text(browser, reproduced):
    page = browser.open(reproduced.page)
    assert page.run("document.querySelectorAll('img, iframe, object, embed, link').length") == 0
    assert page.run("document.querySelectorAll('script').length") == 8
    assert page.run("document.body.textContent.includes('\\u202e')") is False
    page.run("""for (const plot of document.querySelectorAll('.plot'))
        for (const dataIndex of [0, 1, 2])
            echarts.getInstanceByDom(plot).dispatchAction({ type: 'showTip', seriesIndex: 0, dataIndex })""")
    assert page.run("window.hacked === undefined && document.querySelectorAll('img').length === 0")
    levels = page.run("[...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
    assert page.errors == []
