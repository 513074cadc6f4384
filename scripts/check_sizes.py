"""Holds the sizes and habits of the house, and prints every breach as ``file:line: what``.

Limits: a Python file 500 lines, a function body 80 (without its docstring), a class 8 public methods (``test_*`` are
a table of tests, not an interface); over the package the median file 150 lines and the 90th percentile of bodies 30.
Every argument is annotated outside kernels and tests, modules import in no circle when they are loaded, and none is
called utils. No file names a folder of somebody's machine, a place outside the repository or a package registry.

Usage: ``python scripts/check_sizes.py [ROOT]``; exit code 1 where something is found.
"""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

FILE_LINES = 500
BODY_LINES = 80
PUBLIC_METHODS = 8
MEDIAN_FILE_LINES = 150
BODY_LINES_AT_90 = 30

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

# Written so that this file does not find itself.
MACHINE_FOLDERS = "|".join(("home", "Users", "root", "work", "opt", "mnt", "srv", "private", "var/folders"))
REGISTRY_HOSTS = "|".join(
    re.escape(".".join(parts))
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("anaconda", "org"),
        ("deb", "debian", "org"),
    )
)
NAMES_A_FOLDER = re.compile(rf"(?<![\w./~-])/(?:{MACHINE_FOLDERS})/[\w.-]+")
NAMES_A_REGISTRY = re.compile(REGISTRY_HOSTS)
LEADS_OUT = re.compile(r"(?<![\w./$}\")])((?:\.\./)+[\w-][\w./-]*)")


def tracked(root: Path) -> list[Path]:
    """Files that git knows or would add; every file where there is no git."""
    if git := shutil.which("git"):
        ask = [git, "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(ask, capture_output=True, check=False)
        if listing.returncode == 0:
            names = [name for name in listing.stdout.decode().split("\0") if name]
            return sorted(path for name in names if (path := root / name).is_file())
    return sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def parameters(function: Function) -> list[ast.arg]:
    """Every parameter, ``*args`` and ``**kwargs`` included."""
    a = function.args
    return [*a.posonlyargs, *a.args, *a.kwonlyargs, *(extra for extra in (a.vararg, a.kwarg) if extra is not None)]


def body_lines(function: Function) -> int:
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_property(function: Function) -> bool:
    """Whether the function is read, or set, like an attribute."""
    names = [getattr(decorator, "id", getattr(decorator, "attr", "")) for decorator in function.decorator_list]
    return any(name in {"property", "cached_property", "setter", "deleter"} for name in names)


def bodies(tree: ast.Module) -> Iterator[tuple[Function, int]]:
    """Every function of the file with the lines of its body."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            yield node, body_lines(node)


def check_functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Bodies that are too long."""
    for function, lines in bodies(tree):
        if lines > BODY_LINES:
            yield function.lineno, f"the body of {function.name} has {lines} lines, at most {BODY_LINES}"


def check_classes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Classes with too many public methods."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, FUNCTION) and not is_property(item)]
            public = {item.name for item in methods if not item.name.startswith(("_", "test_"))}
            if len(public) > PUBLIC_METHODS:
                yield node.lineno, f"class {node.name} has {len(public)} public methods, at most {PUBLIC_METHODS}"


def check_annotations(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Arguments without a type; ``self`` and ``cls`` need none."""
    own = {id(item) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body}
    for function, _ in bodies(tree):
        static = any(getattr(decorator, "id", "") == "staticmethod" for decorator in function.decorator_list)
        skip = 1 if id(function) in own and not static else 0
        for parameter in parameters(function)[skip:]:
            if parameter.annotation is None:
                yield parameter.lineno, f"argument {parameter.arg} of {function.name} has no type"


def check_text(text: str, path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Places that exist on one machine only."""
    in_tests = "tests" in path.relative_to(root).parts
    for number, line in enumerate(text.splitlines(), start=1):
        for found in NAMES_A_FOLDER.findall(line):
            yield number, f"names the machine's folder {found}"
        for found in NAMES_A_REGISTRY.findall(line):
            yield number, f"names the registry {found}"
        for found in () if in_tests else LEADS_OUT.findall(line):
            if not (path.parent / found).exists() or root not in (path.parent / found).resolve().parents:
                yield number, f"names {found}, which is not in the repository"


def module_name(path: Path, source: Path) -> str:
    """``src/headstart/data/log.py`` is ``headstart.data.log``."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def at_load(statements: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run when the module is loaded: not those in functions or for the type checker alone."""
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from at_load(statement.orelse)
        elif not isinstance(statement, FUNCTION):
            for part in ("body", "orelse", "finalbody"):
                yield from at_load(getattr(statement, part, ()))
            for handler in getattr(statement, "handlers", ()):
                yield from at_load(handler.body)


def imported(tree: ast.Module, module: str, is_package: bool, known: frozenset[str]) -> set[str]:
    """Modules of `known` that `module` names in its imports; the packages that they lie in are not counted."""
    found: set[str] = set()
    for node in at_load(tree.body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            up = parts[: len(parts) - node.level + is_package]
            base = ".".join([*up, *([base] if base else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            found.add(inner if inner in known else base)
    return (found & known) - {module}


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """One circle of imports for each module that lies on one, shortest first, no circle twice."""
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(imports):
        came_from: dict[str, str] = {}
        queue = [start]
        while queue and start not in came_from:
            module = queue.pop(0)
            for target in sorted(imports[module]):
                if target not in came_from:
                    came_from[target] = module
                    queue.append(target)
        if start in came_from:
            circle = [start]
            while (before := came_from[circle[0]]) != start:
                circle.insert(0, before)
            found.setdefault(frozenset(circle), [start, *circle])
    return sorted(found.values(), key=len)


def check_package(trees: Mapping[Path, ast.Module], lengths: Mapping[Path, int], root: Path) -> Iterator[str]:
    """What only shows over the whole package: circles, the median file, the 90th percentile of bodies."""
    source = root / "src"
    files = {path: tree for path, tree in trees.items() if source in path.parents}
    if not files:
        return
    names = {path: module_name(path, source) for path in files}
    known = frozenset(names.values())
    imports = {names[p]: imported(tree, names[p], p.name == "__init__.py", known) for p, tree in files.items()}
    where = {name: path.relative_to(root) for path, name in names.items()}
    for circle in circles(imports):
        yield f"{where[circle[0]]}:1: imports in a circle: {' > '.join(circle)}"
    median = statistics.median([lengths[path] for path in files if lengths[path]] or [0])
    if median > MEDIAN_FILE_LINES:
        yield f"src:1: the median file has {median:g} lines, at most {MEDIAN_FILE_LINES}"
    longest = sorted(((lines, p, f) for p, tree in files.items() for f, lines in bodies(tree)), key=lambda row: row[0])
    at_90 = longest[min(len(longest) - 1, int(0.9 * len(longest)))][0] if longest else 0
    if at_90 > BODY_LINES_AT_90:
        yield f"src:1: the 90th percentile of function bodies is {at_90} lines, at most {BODY_LINES_AT_90}; longest:"
        for lines, path, function in reversed(longest[-10:]):
            yield f"{path.relative_to(root)}:{function.lineno}: {function.name} has {lines}"


def check(root: Path) -> list[str]:
    """Every breach under `root`."""
    root = root.resolve()
    found: list[tuple[Path, int, str]] = []
    trees: dict[Path, ast.Module] = {}
    lengths: dict[Path, int] = {}
    for path in tracked(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [(path, line, what) for line, what in check_text(text, path, root)]
        if path.suffix != ".py":
            continue
        lengths[path] = len(text.splitlines())
        trees[path] = tree = ast.parse(text, str(path))
        if path.stem in {"util", "utils"}:
            found.append((path, 1, "a module is named after what is in it, not utils"))
        if lengths[path] > FILE_LINES:
            found.append((path, 1, f"the file has {lengths[path]} lines, at most {FILE_LINES}"))
        found += [(path, line, what) for rule in (check_functions, check_classes) for line, what in rule(tree)]
        if not {"kernels", "tests"} & set(path.relative_to(root).parts):
            found += [(path, line, what) for line, what in check_annotations(tree)]
    single = [f"{path.relative_to(root)}:{line}: {what}" for path, line, what in found]
    return single + list(check_package(trees, lengths, root))


def main() -> int:
    """Print every breach; 1 where there is one."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    found = check(root)
    print("\n".join(found) if found else "sizes and habits kept")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
