"""Tables over many seeds: so many ticks of the path, then so many local steps; the paper's table of trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from headstart.data.log import EventLog
from headstart.data.split import split
from headstart.errors import SettingsError
from headstart.evaluation import per_user, pooled
from headstart.evaluation.metrics import OVER_ROWS
from headstart.methods import branch
from headstart.methods.tuned import Trainer
from headstart.methods.tuning import held_rows
from headstart.scoring import Scorer


@dataclass(frozen=True)
class Table:
    """What is tried.

    Attributes
    ----------
    rows : for each row its name, ticks of the path, local steps
    family : settings that each family must have and takes
    """

    rows: tuple[tuple[str, int, int], ...]
    family: Mapping[str, Any]


TREES = Table(
    rows=(
        *((f"global {count}", count, 0) for count in (20, 50, 100, 200)),
        *((f"local {count}", 0, count) for count in (20, 50, 100, 200)),
        *((f"adaptive {first}+{then}", first, then) for first, then in ((20, 50), (50, 50), (10, 100))),
    ),
    family={"feature_fraction": 0.8},
)
GRIDS: Mapping[str, Table] = {"trees": TREES}


def run_grid(
    name: str,
    log: EventLog,
    trainer: Trainer,
    *,
    seeds: int,
    about: Mapping[str, Any],
    test: float = 0.2,
    k: int | None = None,
) -> dict[str, Any]:
    """Mean and standard deviation over seeds of every row's metrics, means over users; of ratings over all rows too.

    A seed draws a random split of each user's rows and what is random in training. Nothing is chosen: the global model
    is not stopped early, and the rate is the given one or the family's usual.

    Parameters
    ----------
    about : keys for the top of the document
    test : share of test rows
    k : last rank of ranking metrics; None: all

    Raises
    ------
    SettingsError
        where there is no such grid, or it is not for this family
    """
    if seeds < 1:
        raise SettingsError(f"a grid needs at least 1 seed; got {seeds}")
    found = []
    for seed in range(seeds):
        found.append(one_seed(name, log, trainer, seed, test=test, k=k))
        trainer.progress(f"grid of {name}", seed + 1, seeds)
    return over_seeds(name, trainer, found, about)


def one_seed(
    name: str, log: EventLog, trainer: Trainer, seed: int, *, test: float = 0.2, k: int | None = None
) -> dict[str, dict[str, float | None]]:
    """Means over users of each row's metrics, by row and metric, on the split of `seed`; see `run_grid`.

    None where nobody's metric is defined.
    """
    table = _grid(name)
    settings = replace(trainer.settings, seed=seed)
    means = _run_seed(table, log, replace(trainer, family=_family(name, trainer), settings=settings), test, k)
    return {row: {metric: _plain(value) for metric, value in found.items()} for row, found in means.items()}


def over_seeds(
    name: str, trainer: Trainer, found: Sequence[Mapping[str, Mapping[str, float | None]]], about: Mapping[str, Any]
) -> dict[str, Any]:
    """The document of a grid from what `one_seed` gave for each seed."""
    family = _family(name, trainer)
    rows = [
        {"name": row, "metrics": {metric: _spread([one[row][metric] for one in found]) for metric in found[0][row]}}
        for row, _, _ in _grid(name).rows
    ]
    settings = {field.name: getattr(family, field.name) for field in fields(family)}
    return {**about, "grid": name, "seeds": len(found), "settings": {**settings, "rate": _rate(trainer)}, "rows": rows}


def _grid(name: str) -> Table:
    if name not in GRIDS:
        raise SettingsError(f"no grid is called {name!r}; there are {', '.join(GRIDS)}")
    return GRIDS[name]


def _family(name: str, trainer: Trainer) -> Any:
    """The family with the settings that the grid asks for."""
    asked = _grid(name).family
    if not {field.name for field in fields(cast(Any, trainer.family))}.issuperset(asked):
        raise SettingsError(f"the grid {name!r} is of trees, and {trainer.family.name} has none; give --model gbdt")
    return replace(cast(Any, trainer.family), **asked)


def _run_seed(table: Table, log: EventLog, trainer: Trainer, test: float, k: int | None) -> dict[str, dict[str, float]]:
    """Means over users of each row's metrics, on the split of the trainer's seed."""
    part = split(log, "user-random", seed=trainer.settings.seed, test=test, tune=0.0)[0]
    held = log.take(part.test)
    task = trainer.task(log.take(~part.test), ticks=max(ticks for _, ticks, _ in table.rows))
    given = replace(trainer.settings.branch, rate=_rate(trainer))
    blocks, judged, means = None, held_rows(held), {}
    for row, ticks, steps in table.rows:
        fitted = branch(f"fixed-{ticks}+{steps}", given).fit(task)
        blocks = blocks or fitted.features.blocks(held)[0]
        margins = Scorer(fitted, trainer.engine.width).score_blocks([blocks]).margin
        users = per_user(judged, margins, k, trainer.family.objective)
        whole = pooled(judged, margins, users)
        means[row] = users.means() | {f"pooled_{name}": whole[name] for name in OVER_ROWS[users.loss]}
    return means


def _rate(trainer: Trainer) -> float:
    return trainer.family.habits.rate if trainer.settings.free_rate else trainer.settings.branch.rate


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, standard deviation and the values of each seed; None where there is none."""
    known = [value for value in values if value is not None]
    whole = len(known) == len(values)
    mean = float(np.mean(known)) if whole else None
    return {"mean": mean, "sd": float(np.std(known, ddof=1)) if whole and len(known) > 1 else None, "values": [*values]}
