"""What the pages say is done to the letter: code runs, commands run, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.exists()
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
EXTENDING = (ROOT / "docs" / "extending.md").read_text()


def run(command, folder, **environment):
    """Run in `folder`, with Headstart from this tree and packages from `folder`."""
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package of docs/extending.md as `pip install -e .` would leave it: its files, and its entry points known."""
    folder = tmp_path_factory.mktemp("acme")
    for name, text in NAMED.findall(EXTENDING):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def commands():
    """The lines of the page that start with headstart, on the toy data."""
    shell = "".join(text for kind, text in BLOCK.findall(EXTENDING) if kind == "sh")
    return [
        shlex.split(line.replace("movielens", "toy"))[1:]
        for line in shell.splitlines()
        if line.startswith("headstart ")
    ]


def test_the_page_names_its_files(package):
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and ".dist-info" not in str(path)
    }
    assert found == {"pyproject.toml", "acme_headstart/__init__.py", "tests/test_contracts.py"}


def test_contracts_pass_on_the_extensions(package):
    out = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], package)
    passed = int(re.search(r"(\d+) passed", out)[1])
    assert passed >= 30
    assert "skipped" not in out


def test_commands_use_the_extensions(package):
    compare, fit = commands()
    headstart = [sys.executable, "-m", "headstart"]
    run([*headstart, *compare, "--ticks", "20", "--bootstrap", "50", "--json", "compared.json"], package)
    document = json.loads((package / "compared.json").read_text())
    assert [row["name"] for row in document["methods"]] == ["global", "local", "halfway"]
    assert {row["family"] for row in document["methods"]} == {"majority"}
    assert document["methods"][2]["schedule"] == "halfway"
    loss = {row["name"]: row["pooled"]["logloss"] for row in document["methods"]}
    assert loss["halfway"] < loss["global"]

    run([*headstart, *fit], package)
    run([*headstart, "inspect", "model", "--json", "inspected.json"], package)
    shown = (package / "inspected.json").read_text()
    assert '"majority"' in shown
    assert '"halfway"' in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {target}"


def test_links_are_found():
    """The check above would pass on pages without links."""
    assert any("extending.md" in target for page in PAGES for target in LINK.findall(page.read_text()))


README = ROOT / "README.md"
EXAMPLES = [text for kind, text in BLOCK.findall(README.read_text()) if kind == "python"] if README.exists() else []


@pytest.mark.skipif(not EXAMPLES, reason="README.md has no Python example")
def test_the_example_of_the_readme_runs(tmp_path):
    for number, text in enumerate(EXAMPLES):
        (tmp_path / f"example_{number}.py").write_text(text)
        run([sys.executable, "-W", "error::DeprecationWarning", f"example_{number}.py"], tmp_path)
