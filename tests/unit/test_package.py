"""The package as it is installed: one version, light to import, complete."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import headstart

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "numba", "pyarrow", "duckdb", "sklearn", "scipy", "pandas", "polars")


def fresh(*arguments):
    """Standard output of a fresh interpreter, which must end well."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def loaded_by(program):
    """Which of the heavy packages a fresh interpreter has loaded after `program`."""
    ask = f"{program}\nimport sys\nprint('\\n', *[name for name in {HEAVY!r} if name in sys.modules])"
    return fresh("-c", ask).splitlines()[-1].split()


def test_one_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)[1]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert headstart.__version__ == declared == newest
    assert importlib.metadata.version("headstart") == declared, "run scripts/setup again: the installed version is old"


HELP = """
from headstart.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
"""


@pytest.mark.parametrize("program", ["import headstart", "from headstart.cli.main import main", HELP])
def test_light(program):
    assert loaded_by(program) == []


def test_heavy_is_seen():
    assert loaded_by("import numpy") == ["numpy"]


def test_runs_as_a_module():
    assert fresh("-m", "headstart", "--version").split()[-1] == headstart.__version__


def test_is_typed():
    assert files("headstart").joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", headstart.__all__)
def test_public_name_loads(name):
    assert getattr(headstart, name) is not None
    assert name in dir(headstart)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        headstart.no_such_name  # noqa: B018
