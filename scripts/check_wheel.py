"""Builds a wheel, installs it alone into an empty environment and uses it from another folder.

Shows that the wheel holds the whole package and nothing else, and that the core needs none of the extras: help, a small
fit, a look at the model and predictions, on a generated log.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> str:
    """Standard output of a command; ends the check with all that it printed where it fails."""
    print("$", *(os.path.basename(part) if part == command[0] else part for part in command), flush=True)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(holds: bool, otherwise: str) -> None:
    """End the check with a line that says what is wrong."""
    if not holds:
        sys.exit(f"wheel: {otherwise}")


def write_log(path: Path, users: int = 40) -> int:
    """A click log in which every user has a taste of their own and more events than the one before; its length."""
    draw = random.Random(1)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user", "when", "price", "place", "clicked"])
        for user in range(users):
            taste = draw.gauss(0, 2)
            for when in range(5 + 3 * user):
                price = draw.gauss(0, 1)
                clicked = int(draw.random() < 1 / (1 + 2.7 ** -(taste * price)))
                rows.writerow([f"user {user}", when, f"{price:.3f}", draw.choice(["top", "side"]), clicked])
    return sum(5 + 3 * user for user in range(users))


def check_contents(wheel: Path) -> None:
    """Every file of the package and the licence are in; nothing outside the package is."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    wanted = {str(path.relative_to(source)) for path in files}
    check(wanted <= inside, f"these files are missing: {', '.join(sorted(wanted - inside))}")
    strange = sorted(name for name in inside - wanted if not name.split("/")[0].endswith(".dist-info"))
    check(not strange, f"these files do not belong in it: {', '.join(strange)}")
    check("headstart/py.typed" in inside, "the type marker is missing")
    check(any(name.endswith("/licenses/LICENSE") for name in inside), "the licence is missing")


def main() -> None:
    """Build, look inside, install, use."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        elsewhere = scratch / "elsewhere"
        elsewhere.mkdir()
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        run([sys.executable, "-m", "build", "--wheel", "--outdir", scratch, ROOT], elsewhere, environment)
        (wheel,) = scratch.glob("*.whl")
        check_contents(wheel)

        run([sys.executable, "-m", "venv", scratch / "venv"], elsewhere, environment)
        python, headstart = scratch / "venv/bin/python", scratch / "venv/bin/headstart"
        pip = (python, "-m", "pip", "--disable-pip-version-check")
        run([*pip, "install", "-qq", "-c", ROOT / "constraints.txt", wheel], elsewhere, environment)
        run([*pip, "check"], elsewhere, environment)

        usage = run([headstart, "--help"], elsewhere, environment)
        check(all(verb in usage for verb in ("demo", "fit", "inspect")), "headstart --help does not name its commands")
        run([python, "-m", "headstart", "--help"], elsewhere, environment)
        events = write_log(elsewhere / "log.csv")
        roles = ["--user", "user", "--label", "clicked", "--time", "when"]
        run([headstart, "fit", "log.csv", *roles, "--out", "model"], elsewhere, environment)
        check((elsewhere / "model/manifest.json").is_file(), "headstart fit wrote no manifest")
        summary = run([headstart, "inspect", "model"], elsewhere, environment)
        check(bool(summary.strip()), "headstart inspect printed nothing")
        run([headstart, "predict", "model", "log.csv", "--out", "scores.csv"], elsewhere, environment)
        with (elsewhere / "scores.csv").open() as file:
            scores = list(csv.DictReader(file))
        check(len(scores) == events, f"headstart predict wrote {len(scores)} scores for {events} events")
        check({row["user"] for row in scores} == {f"user {u}" for u in range(40)}, "headstart predict lost users")
        check("personal" in {row["model"] for row in scores}, "headstart predict served no personal model")
    print("the wheel installs alone and works")


if __name__ == "__main__":
    main()
