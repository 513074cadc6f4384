"""scripts/check_sizes.py finds each breach in a hand-made tree, and nothing in a clean one."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_sizes.py"
if not SCRIPT.is_file():
    pytest.skip("scripts/ is not beside the tests", allow_module_level=True)
spec = importlib.util.spec_from_file_location("check_sizes", SCRIPT)
check_sizes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_sizes)


def found(root, files):
    """What the check says about a tree of these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return check_sizes.check(root)


def function(lines, name="f", head=""):
    return f"def {name}({head}):\n" + "    pass\n" * lines


def methods(count, decorator=""):
    return "class C:\n" + "".join(f"{decorator}    def m{k}(self):\n        pass\n" for k in range(count))


def test_clean_tree(tmp_path):
    files = {
        "src/p/__init__.py": "",
        "src/p/a.py": "from p import b\n" + function(80, head="x: int, *rest: int, **more: int"),
        "src/p/b.py": "\n" * 500,
        "README.md": "See [the guide](docs/guide.md), ~/home/x, `/etc/hosts` and a/home/b.\n",
        "docs/guide.md": "Back to [the start](../README.md).\n",
        "picture.png": "\x89",
    }
    files |= {f"src/p/m{k}.py": function(3, f"g{k}") for k in range(10)}
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert found(tmp_path, files) == []


def test_long_file(tmp_path):
    assert found(tmp_path, {"tests/a.py": "\n" * 501}) == ["tests/a.py:1: the file has 501 lines, at most 500"]


def test_long_body_counts_without_docstring(tmp_path):
    docstring = '    """One.\n' + "    more\n" * 30 + '    """\n'
    files = {
        "tests/good.py": "def f():\n" + docstring + "    pass\n" * 80,
        "tests/bad.py": "\nasync def f():\n" + docstring + "    pass\n" * 81,
    }
    assert found(tmp_path, files) == ["tests/bad.py:2: the body of f has 81 lines, at most 80"]


def test_many_methods(tmp_path):
    files = {
        "tests/eight.py": methods(8) + "    def _own(self):\n        pass\n    def test_it(self):\n        pass\n",
        "tests/properties.py": methods(9, "    @property\n"),
        "tests/nine.py": "x = 1\n" + methods(9),
    }
    assert found(tmp_path, files) == ["tests/nine.py:2: class C has 9 public methods, at most 8"]


@pytest.mark.parametrize(
    ("head", "name"),
    [("x", "x"), ("*x", "x"), ("**x", "x"), ("*, x", "x"), ("x, /", "x"), ("x=1", "x"), ("self", "self")],
)
def test_argument_without_type(tmp_path, head, name):
    assert found(tmp_path, {"src/p/a.py": function(1, head=head)}) == [
        f"src/p/a.py:1: argument {name} of f has no type"
    ]


def test_self_needs_no_type_but_what_follows_does(tmp_path):
    text = "class C:\n    def f(self, x: int):\n        pass\n    @staticmethod\n    def g(y):\n        pass\n"
    assert found(tmp_path, {"src/p/a.py": text}) == ["src/p/a.py:5: argument y of g has no type"]


def test_kernels_and_tests_need_no_types(tmp_path):
    assert found(tmp_path, {"src/p/kernels/a.py": function(1, head="x"), "tests/a.py": function(1, head="x")}) == []


def test_utils(tmp_path):
    assert found(tmp_path, {"src/p/utils.py": ""}) == [
        "src/p/utils.py:1: a module is named after what is in it, not utils"
    ]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("import p.b", "import p.a"),
        ("from p import b", "from p.a import f"),
        ("from . import b", "from .a import f"),
        ("try:\n    import p.b\nexcept ImportError:\n    pass", "class C:\n    from p import a"),
    ],
)
def test_circle(tmp_path, a, b):
    files = {"src/p/__init__.py": "", "src/p/a.py": a + "\n", "src/p/b.py": b + "\n", "src/p/c.py": "import p.a\n"}
    assert found(tmp_path, files) == ["src/p/a.py:1: imports in a circle: p.a > p.b > p.a"]


def test_circle_through_a_package_and_of_three(tmp_path):
    files = {
        "src/p/__init__.py": "from .a import x\n",
        "src/p/a.py": "import p.b\n",
        "src/p/b.py": "from p import y\n",
    }
    assert found(tmp_path, files) == ["src/p/__init__.py:1: imports in a circle: p > p.a > p.b > p"]


def test_late_and_typing_imports_make_no_circle(tmp_path):
    files = {
        "src/p/__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import a\n",
        "src/p/a.py": "import p\nimport p.b\n",
        "src/p/b.py": "def f():\n    import p.a\n",
    }
    assert found(tmp_path, files) == []


def test_median_and_90th_percentile(tmp_path):
    files = {f"src/p/a{k}.py": function(1) + "\n" * 149 for k in range(3)}
    assert found(tmp_path / "files", files) == ["src:1: the median file has 151 lines, at most 150"]
    files = {f"src/p/a{k}.py": function(1 if k < 8 else 31) for k in range(10)}
    assert found(tmp_path / "bodies", files)[0].startswith("src:1: the 90th percentile of function bodies is 31 lines")
    assert found(tmp_path / "bodies", files)[1:3] == ["src/p/a9.py:1: f has 31", "src/p/a8.py:1: f has 31"]
    files = {f"src/p/a{k}.py": function(1 if k < 10 else 31) for k in range(11)}
    assert found(tmp_path / "one", files) == []


def test_places_of_one_machine(tmp_path):
    folder, host = "/ho" + "me/ann/data", "https://py" + "pi.org/simple"
    files = {"docs/a.md": f"\nRead {folder} first.\nFrom {host}.\n", "run.sh": "cat ../else" + "where/data\n"}
    assert found(tmp_path, files) == [
        "docs/a.md:2: names the machine's folder /ho" + "me/ann",
        "docs/a.md:3: names the registry py" + "pi.org",
        "run.sh:1: names ../else" + "where/data, which is not in the repository",
    ]


def test_main_prints_and_sets_the_exit_code(tmp_path, monkeypatch, capsys):
    (tmp_path / "utils.py").touch()
    monkeypatch.setattr("sys.argv", ["check_sizes.py", str(tmp_path)])
    assert check_sizes.main() == 1
    assert "utils.py:1: " in capsys.readouterr().out
    (tmp_path / "utils.py").unlink()
    assert check_sizes.main() == 0
