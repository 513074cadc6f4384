"""Every method that leaves a global path and goes on alone: global, local and fine-tuned models, and the paper's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headstart.data.blocks import Blocks
from headstart.engines import Engine
from headstart.errors import SettingsError
from headstart.methods.method import Task
from headstart.models.family import ModelFamily
from headstart.path import GlobalPath
from headstart.progress import Progress, silent
from headstart.schedules import SCHEDULES, AsPrinted, Borders, ByAbundance, Fixed, Last, Schedule, UserTable
from headstart.scoring import Fitted, Recipe, Term
from headstart.store import PersonalStore
from headstart.training import personalise

PAPER = "Ning et al., RecSys 2017, doi 10.1145/3109859.3109909"


@dataclass(frozen=True)
class Branch:
    """theta_u = path.at(t_u), then local steps on D_u alone; the schedule gives t_u and the steps.

    Parameters
    ----------
    name, source : see `Method`
    schedule : who leaves where
    ticks : T; None: the task's
    rate : size of local steps, see `Orders`
    """

    name: str
    source: str
    schedule: Schedule
    ticks: int | None = None
    rate: float = 0.025

    def applies(self, family: ModelFamily) -> str | None:
        """Every family has a path; what else it lacks it says itself."""
        return family.habits.undefined.get(self.name)

    def fit(self, task: Task) -> Fitted:
        """Plan, and train personal models from the task's path."""
        blocks = task.blocks()
        term = leave(
            task.family,
            task.path(self.ticks),
            self.schedule,
            UserTable(blocks.users, blocks.counts),
            blocks,
            entity=task.log.roles.user,
            engine=task.engine,
            store=task.new_store(),
            rate=self.rate,
            seed=task.seed,
            borders=task.borders,
            progress=task.progress,
        )
        return Fitted(self.name, task.log.roles, task.features, (term,))


def leave(
    family: ModelFamily,
    path: GlobalPath,
    schedule: Schedule,
    users: UserTable,
    blocks: Blocks,
    *,
    entity: str,
    engine: Engine,
    store: PersonalStore,
    rate: float,
    seed: int,
    borders: Borders | None = None,
    progress: Progress = silent,
) -> Term:
    """Plan for the users of `blocks`, train their personal models from `path`, put them into `store` and seal it.

    Parameters
    ----------
    users : the users of `blocks`, with the counts of events that the schedule goes by
    entity : name of the column that holds them
    borders : between which counts groups are cut; None: those of `users`
    """
    if schedule.trials(users, path.planned) is not None:
        raise SettingsError(f"schedule {schedule.name!r} wants held-out losses, which no method of this version gives")
    borders = borders or Borders.of(users.events)
    plan = schedule.plan(users, path.planned, borders=borders)
    plan = personalise(family, path, plan, blocks, engine=engine, store=store, rate=rate, seed=seed, progress=progress)
    store.seal()
    return Term(entity, "all", family, path, plan, store, Recipe(schedule, borders, rate, seed))


@dataclass(frozen=True)
class BranchSettings:
    """Settings that every branching method shares.

    Attributes
    ----------
    ticks : T; None: the task's
    rate : size of local steps, see `Orders`
    groups : C, abundance groups
    steps : local steps; None: T - t_u, and T for fine-tune and anchored
    pull : strength of the anchor to the start
    """

    ticks: int | None = None
    rate: float = 0.025
    groups: int = 10
    steps: int | None = None
    pull: float = 0.0


def _steps(settings: BranchSettings) -> int:
    """Local steps after the end of the path: T where they are not given."""
    return (settings.ticks or 0) if settings.steps is None else settings.steps


METHODS: Mapping[str, tuple[str, Callable[[BranchSettings], Schedule]]] = {
    "global": ("one model for everybody", lambda s: Last()),
    "local": ("the user's data only", lambda s: Fixed(0, s.steps, s.pull)),
    "as-printed": (f"{PAPER}, Algorithm 3.1 to the letter", lambda s: AsPrinted(s.groups, s.steps, s.pull)),
    "by-abundance": (f"{PAPER}, section 3.2 as it is explained", lambda s: ByAbundance(s.groups, s.steps, s.pull)),
    "fine-tune": ("the end of the path, then local steps", lambda s: Last(_steps(s), s.pull)),
    "anchored": ("fine-tune, held back by an anchor", lambda s: Last(_steps(s), s.pull or ANCHOR)),
}

ANCHOR = 1.0
"""The pull of anchored where none is given."""

COUNTS = re.compile(r"fixed-(\d+)\+(\d+)")
"""Names of methods that take so many ticks of the path, then so many local steps: the paper's "20+50"."""


def names() -> list[str]:
    """Every branching method: those of the table, and the schedules of plugins."""
    return [*METHODS, *sorted(set(SCHEDULES.paths()) - set(SCHEDULES.own))]


def check(wanted: Sequence[str]) -> None:
    """Raise `SettingsError` unless every one of `wanted` is a method."""
    unknown = [name for name in wanted if name not in names() and not COUNTS.fullmatch(name)]
    if unknown or not wanted:
        found = f"no method is called {unknown[0]!r}" if unknown else "no method is named"
        raise SettingsError(f"{found}; known: {', '.join(names())}, and fixed-A+B: A ticks, then B local steps")


def split_by_family(wanted: Sequence[str], family: ModelFamily) -> tuple[list[str], dict[str, str]]:
    """Those of `wanted` that `family` has, each once, and why it has not the others.

    Raises
    ------
    SettingsError
        where one of them is no method, or the family has none of them
    """
    missing = {name: why for name in wanted if (why := family.habits.undefined.get(name))}
    there = [name for name in dict.fromkeys(wanted) if name not in missing]
    if missing and not there:
        name, why = next(iter(missing.items()))
        raise SettingsError(f"method {name!r} does not exist for {family.name}: {why}")
    check(there)
    return there, missing


def branch(name: str, settings: BranchSettings) -> Branch:
    """The method called `name`; a plugin's schedule is used with its own defaults.

    Raises
    ------
    SettingsError
        where no branching method has that name
    """
    check([name])
    if counts := COUNTS.fullmatch(name):
        leave, steps = map(int, counts.groups())
        return Branch(name, PAPER, Fixed(leave, steps, settings.pull), max(leave, 1), settings.rate)
    if name not in METHODS:
        return Branch(name, "a plugin", SCHEDULES.load(name)(), settings.ticks, settings.rate)
    source, schedule = METHODS[name]
    return Branch(name, source, schedule(settings), settings.ticks, settings.rate)
