"""A headless Chromium, spoken to over a pipe, and reports for it to open."""

from __future__ import annotations

import contextlib
import fcntl
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart import report
from headstart.cli.main import main

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 60


@dataclass
class Page:
    """What an open page did."""

    browser: Browser
    target: str
    session: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ask(self, method: str, **given):
        return self.browser.ask(method, self, **given)

    def run(self, script: str):
        """The value of an expression, JSON."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, code: int, text: str = ""):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)


class Browser:
    """Chromium's own protocol: one JSON message after another, a NUL between them."""

    def __init__(self, binary: str, profile: Path):
        (reads, writes), (answers, says) = os.pipe(), os.pipe()
        # Above 9, so that neither is in the way of the descriptors 3 and 4 that the browser uses.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (reads, says)]
        start = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
        command = ["bash", "-c", start, "-", binary, *FLAGS, f"--user-data-dir={profile}"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, pass_fds=theirs, **quiet)
        for end in (reads, says, *theirs):
            os.close(end)
        self.writes, self.answers = writes, answers
        self.numbers, self.rest, self.pages = itertools.count(1), b"", {}

    def ask(self, method: str, page: Page | None = None, **given):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": given}
        if page is not None:
            message["sessionId"] = page.session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            found = self.read()
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                return found["result"]

    def read(self):
        """The next message; events are noted on the way."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], max(until - time.monotonic(), 0))
            assert ready, f"the browser said nothing for {PATIENCE} s"
            part = os.read(self.answers, 1 << 20)
            assert part, "the browser ended"
            self.rest += part
        one, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(one)
        if (page := self.pages.get(message.get("sessionId"))) is not None:
            _note(page, message)
        return message

    def open(self, file: Path, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """Open `file` in a window of so many pixels and wait until it is drawn."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, target, session)
        for domain in ("Runtime", "Log", "Network", "Page"):
            page.ask(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        page.ask("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.ask("Emulation.setEmulatedMedia", features=[scheme])
        page.ask("Page.navigate", url=file.resolve().as_uri())
        until = time.monotonic() + PATIENCE
        while not page.run("document.documentElement?.dataset.complete || ''"):
            assert time.monotonic() < until, f"not drawn in {PATIENCE} s: {page.errors}"
            time.sleep(0.05)
        # Two frames, in which observers of sizes have had their say.
        page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return page

    def close_pages(self):
        for page in self.pages.values():
            self.ask("Target.closeTarget", targetId=page.target)
        self.pages = {}

    def close(self):
        with contextlib.suppress(BrokenPipeError, AssertionError):
            self.ask("Browser.close")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for end in (self.writes, self.answers):
            os.close(end)


def _note(page: Page, message):
    kind, given = message.get("method"), message.get("params", {})
    if kind == "Network.requestWillBeSent":
        page.requests.append(given["request"]["url"])
    elif kind == "Runtime.exceptionThrown":
        page.errors.append(str(given["exceptionDetails"]))
    elif kind == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
        page.errors.append(given["entry"]["text"])
    elif kind == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
        page.errors.append(str(given["args"]))
    elif kind == "Page.javascriptDialogOpening":
        page.errors.append(f"dialog: {given['message']}")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    binary = next((found for name in NAMES if (found := shutil.which(name))), None)
    if binary is None:
        pytest.skip("there is no Chromium on PATH: the report was not opened in a browser (Debian: chromium)")
    opened = Browser(binary, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def browser(chromium):
    """The browser, without the pages of the test before."""
    yield chromium
    chromium.close_pages()


def headstart(*arguments):
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert left.value.code == 0


@dataclass(frozen=True)
class Files:
    page: Path
    text: Path
    numbers: Path

    @classmethod
    def of(cls, folder: Path, *arguments) -> Files:
        found = cls(folder / "r.html", folder / "r.md", folder / "r.json")
        reports = [part for file in (found.page, found.text, found.numbers) for part in ("--report", file)]
        headstart("compare", *arguments, "--bootstrap", 50, "--threads", 1, *reports)
        return found


@pytest.fixture(scope="session")
def clicks(tmp_path_factory) -> Files:
    """A report of a click log."""
    return Files.of(tmp_path_factory.mktemp("clicks"), "--dataset", "toy", "--ticks", 10, "--rate", 0.25)


@pytest.fixture(scope="session")
def ratings(tmp_path_factory) -> Files:
    """A report of ratings."""
    folder = tmp_path_factory.mktemp("ratings")
    draw = np.random.default_rng(5)
    user = np.repeat(np.arange(40), 6 + np.arange(40) % 30)
    item = draw.integers(0, 30, len(user))
    taste = draw.normal(size=40)[user] + draw.normal(size=30)[item]
    stars = np.clip(np.round(3 + taste + draw.normal(scale=0.5, size=len(user))), 1, 5)
    kind = pa.array(np.array(["old", "new", "odd"])[item % 3]).dictionary_encode()
    pq.write_table(
        pa.table({"u": user, "i": item, "stars": stars, "t": np.arange(len(user)), "kind": kind}), folder / "r.parquet"
    )
    roles = (
        "--user",
        "u",
        "--item",
        "i",
        "--label",
        "stars",
        "--time",
        "t",
        "--model",
        "mf",
        "--ticks",
        5,
        "--rate",
        0.5,
    )
    return Files.of(folder, folder / "r.parquet", *roles)


PAYLOAD = "</script><img src=x onerror=window.hacked=1><script>window.hacked=2</script>"


@pytest.fixture(scope="session")
def hostile(tmp_path_factory) -> Files:
    """A report of a log whose ids, columns and values would like to be markup, turn the text around or flood it."""
    folder = tmp_path_factory.mktemp("hostile")
    draw = np.random.default_rng(3)
    odd = [
        PAYLOAD,
        "\u202egnp.exe",
        "x" * 10_000,
        "=1+1",
        "a\r\nb\x00c\x1b[31m",
        "\u05d0\u05d1\u05d2 <b>",
        "{{data}}",
        "]]>",
    ]
    users = [f"{odd[k % len(odd)]}{k}" if k % 5 else f"{k}{odd[k % len(odd)]}" for k in range(40)]
    user = np.repeat(np.arange(40), 10 + np.arange(40))
    x, kind = draw.normal(size=len(user)), draw.integers(0, 6, len(user))
    clicked = (draw.random(len(user)) < 1 / (1 + np.exp(-x * np.where(user % 2, 1.5, -1.5)))).astype(np.int8)
    columns = {
        "user": pa.array([users[k] for k in user]),
        "click": clicked,
        PAYLOAD: x,
        "\u202enmuloc" + "y" * 10_000: draw.normal(size=len(user)),
        f"kind {PAYLOAD}": pa.array([odd[k] for k in kind]),
    }
    pq.write_table(pa.table(columns), folder / "<b>log & co.parquet")
    roles = ("--user", "user", "--label", "click", "--ticks", 10, "--rate", 0.25, "--show-ids")
    return Files.of(folder, folder / "<b>log & co.parquet", *roles)


def spread(draw, middle):
    """A mean and an interval of each metric."""
    means = middle + draw.normal(scale=0.01, size=4)
    return {
        name: {"mean": mean, "lo": mean - 0.02, "hi": mean + 0.02, "sd": 0.01}
        for name, mean in zip(("auc", "map", "mrr", "ndcg"), means.tolist(), strict=True)
    }


@pytest.fixture(scope="session")
def reproduced(clicks, ratings, hostile, tmp_path_factory) -> Files:
    """A report of several chapters, one of them of hostile names; its pictures of other experiments are made up."""
    draw = np.random.default_rng(7)
    folder = tmp_path_factory.mktemp("reproduced")
    curved = ("global", "local", "as-printed", "by-abundance", "mtl", PAYLOAD)
    curves = [
        {"method": name, "ticks": ticks, "metrics": spread(draw, 0.6 + 0.02 * k)}
        for k, name in enumerate(curved)
        for ticks in (1, 2, 5, 10, 50, 200)
    ]
    trees = [
        {"name": name, "metrics": spread(draw, 0.6)}
        for name in (*(f"{kind} {n}" for kind in ("global", "local") for n in (20, 50)), "adaptive 20+50")
    ]
    shares = [
        {"share": share, "family": family, "method": name, "metrics": spread(draw, 0.6)}
        for family in ("logistic", "gbdt")
        for name in ("global", "local", "by-abundance")
        for share in (0.2, 0.6, 1.0)
    ]
    said = {"paper": "Adaptive beats global.", "ours": PAYLOAD}
    found = {
        "dataset": "toy",
        "title": PAYLOAD,
        "seed": 0,
        "version": "1",
        "statistics": [{"name": PAYLOAD, "published": False, "users": 9, "events": 90}],
        "claims": [{"about": "size", "family": "mf", "agrees": way, **said} for way in ("yes", "partly", "no")],
        "printed": trees,
        "chapters": {
            "logistic": {**json.loads(clicks.numbers.read_text()), "more": {"curves": {"points": curves, "note": ""}}},
            "gbdt": {**json.loads(hostile.numbers.read_text()), "more": {"trees": {"seeds": 2, "rows": trees}}},
            "mf": {**json.loads(ratings.numbers.read_text()), "more": {}},
        },
        "shares": {"points": shares, "note": ""},
        "families": [
            {"metric": "auc", "a": "gbdt global", "b": "logistic global", "diff": 0.2}
            | {"lo": 0.1, "hi": 0.3, "lo_all": 0.0, "hi_all": 0.4}
        ],
        "not_run": {"nothing": PAYLOAD},
        "seconds": 1.0,
    }
    made, laid = Files(folder / "r.html", folder / "r.md", folder / "r.json"), report.reproduction(found)
    made.page.write_text(report.page(laid), "utf-8")
    made.text.write_text(report.markdown(laid), "utf-8")
    made.numbers.write_text(json.dumps(found), "utf-8")
    return made
