"""Steps of a long experiment, each kept in a file of its own when it is done, so that a killed run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from headstart.errors import ModelError, SettingsError
from headstart.store.files import read_json, write_json

SAID = {
    "rows": "order of events",
    "ids": "--show-ids",
    "seed": "--seed",
    "k": "--at",
    "bootstrap": "--bootstrap",
    "methods": "list of methods",
}
"""Of what a key holds, what people call it."""

Plain: TypeAlias = Mapping[str, Any]
Results: TypeAlias = Mapping[str, Plain]


@dataclass(frozen=True)
class Step:
    """A piece of work.

    Attributes
    ----------
    name : of its file, and of its result
    says : what it is, for people
    kind : steps of a kind take about equally long for the same weight
    weight : how long it takes, in proportion to others
    key : what its result depends on, as plain values
    make : the result, from those of earlier steps
    """

    name: str
    says: str
    kind: str
    weight: float
    key: Plain
    make: Callable[[Results], Plain]


@dataclass(frozen=True)
class Standing:
    """How far a run is when a step begins or is done.

    Attributes
    ----------
    done, total : steps
    seconds : what the step took; None: it begins
    left : seconds that the rest will take, as far as one can tell; None: nothing is known yet
    damaged : whether a result of it was there and could not be read
    first : whether it is the first step of this run
    """

    step: Step
    done: int
    total: int
    seconds: float | None
    left: float | None
    damaged: bool = False
    first: bool = False


def run(
    steps: Sequence[Step], folder: Path, told: Callable[[Standing], None], *, overwrite: bool = False
) -> tuple[dict[str, Plain], float]:
    """Results of all `steps` by name, and the seconds that they took; what `folder` holds already is not made again.

    Parameters
    ----------
    folder : exists; a step's file there is ``NAME.json``, with keys ``key``, ``seconds`` and ``result``
    told : asked when a step begins and when it is done
    overwrite : make steps again whose file was made with another key

    Raises
    ------
    SettingsError
        where a file was made with another key, unless `overwrite`
    """
    kept = {step.name: _read(folder, step, overwrite) for step in steps}
    known = {name: file for name, file in kept.items() if file is not None and "result" in file}
    results = {name: file["result"] for name, file in known.items()}
    seconds = {name: float(file["seconds"]) for name, file in known.items()}
    missing = [step for step in steps if step.name not in results]
    for step in missing:
        damaged = kept[step.name] is not None
        told(Standing(step, len(results), len(steps), None, left(steps, seconds), damaged, step is missing[0]))
        begin = time.perf_counter()
        made = step.make(results)
        taken = time.perf_counter() - begin
        write_json(_file(folder, step), {"key": step.key, "seconds": taken, "result": made})
        results[step.name], seconds[step.name] = made, taken
        told(Standing(step, len(results), len(steps), taken, left(steps, seconds)))
    return results, sum(seconds.values())


def left(steps: Sequence[Step], seconds: Mapping[str, float]) -> float | None:
    """Seconds that the steps will take that are not in `seconds`: by others of their kind, else by all that are."""
    if not seconds:
        return None
    known = [step for step in steps if step.name in seconds]
    # Weights are seconds of a small set: a few of those stand for what is not known yet.
    every = (_taken(known, seconds) + PRIOR) / (sum(step.weight for step in known) + PRIOR)
    pace = {step.kind: every for step in steps}
    for kind in {step.kind for step in known}:
        alike = [step for step in known if step.kind == kind]
        pace[kind] = _taken(alike, seconds) / sum(step.weight for step in alike)
    return sum(pace[step.kind] * step.weight for step in steps if step.name not in seconds)


PRIOR = 5.0
"""Weight of the expectation against what steps took."""


def _taken(steps: Sequence[Step], seconds: Mapping[str, float]) -> float:
    return sum(seconds[step.name] for step in steps)


def _file(folder: Path, step: Step) -> Path:
    return folder / f"{step.name}.json"


def _read(folder: Path, step: Step, overwrite: bool) -> Plain | None:
    """What is kept of a step; None where nothing is, without a result where it is damaged."""
    file = _file(folder, step)
    if not file.exists():
        return None
    try:
        found = read_json(file)
    except ModelError:
        return {}
    shapes = {"key": dict, "result": dict, "seconds": float}
    if not all(isinstance(found.get(name), shape) and found[name] != {} for name, shape in shapes.items()):
        return {}
    key = json.loads(json.dumps(step.key))
    if found["key"] == key:
        return found
    if overwrite:
        return None
    differs = [SAID.get(name, name) for name in key if found["key"].get(name) != key[name]]
    raise SettingsError(
        f"{file} was made with another {' and '.join(dict.fromkeys(differs)) or 'set of options'};"
        " give another --out, what was given then, or --overwrite"
    )
