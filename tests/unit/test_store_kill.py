"""A writer killed at any moment leaves a whole model, and the next writer tidies up."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import headstart
from headstart.store import ModelFolder

# Forks a writer for each line it is sent: only the first one has to wait for the imports.
WRITERS = """
import os, sys
from pathlib import Path
from headstart.store import ModelFolder

path = Path(sys.argv[1])
while sys.stdin.readline():
    child = os.fork()
    number = ModelFolder.open(path).fields["number"]
    while not child:
        number += 1
        with ModelFolder.draft(path, overwrite=True) as draft:
            for name in ("a", "b", "c"):
                (draft.folder / name).write_text(f"{name}{number} " * 5000)
            draft.commit({"number": number})
        print(number, flush=True)
    print("writer", child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def _commit(path: Path, number: int) -> None:
    with ModelFolder.draft(path, overwrite=True) as draft:
        for name in ("a", "b", "c"):
            (draft.folder / name).write_text(f"{name}{number} " * 5000)
        draft.commit({"number": number})


def _number(path: Path) -> int:
    """Of the model, whose files must all be of that one commit."""
    model = ModelFolder.open(path)
    number = model.fields["number"]
    assert sorted(model.manifest.files) == ["a", "b", "c"]
    for name in model.manifest.files:
        assert model.file(name).read_text() == f"{name}{number} " * 5000
    return number


def _pid(line: str) -> int:
    return int(line.split()[1]) if line.startswith("writer") else 0


def test_a_kill_leaves_a_whole_model(tmp_path):
    path = tmp_path / "model"
    _commit(path, 0)
    chance = random.Random(0)
    environment = {"PYTHONPATH": str(Path(headstart.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    untidy = 0
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=environment,
    ) as parent:
        for turn in range(30):
            parent.stdin.write("go\n")
            lines = [parent.stdout.readline()]
            # Every other one is left alive until it has told of a commit.
            while not (any(map(_pid, lines)) and (turn % 2 or any(line[0].isdigit() for line in lines))):
                lines.append(parent.stdout.readline())
            time.sleep(chance.uniform(0.0, 0.04))
            os.kill(max(map(_pid, lines)), signal.SIGKILL)
            while lines[-1] != "dead\n":
                lines.append(parent.stdout.readline())
            told = [int(line) for line in lines if line[0].isdigit()]
            number = _number(path)
            # The last one told, or the one after it, killed between its commit and its word.
            assert not told or number in (told[-1], told[-1] + 1)
            untidy += len(list((path / "versions").iterdir())) > 1
        parent.stdin.close()
    last = _number(path)
    assert last > 0
    assert untidy > 0
    _commit(path, last + 1)
    assert _number(path) == last + 1
    assert len(list((path / "versions").iterdir())) == 1
    assert sorted(entry.name for entry in path.iterdir()) == [".lock", "manifest.json", "versions"]
