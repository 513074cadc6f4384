"""Every method that leaves a global path and goes on alone: global, local and fine-tuned models, and the paper's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from headstart.data.blocks import Blocks
from headstart.engines import Engine
from headstart.errors import SettingsError
from headstart.methods.method import Task
from headstart.models.family import ModelFamily
from headstart.path import GlobalPath
from headstart.progress import Progress, silent
from headstart.schedules import SCHEDULES, AsPrinted, Borders, ByAbundance, Fixed, Last, Schedule, UserTable
from headstart.scoring import Fitted, Recipe, Term
from headstart.scoring.seen import seen_in
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
    joint : strength of the pull to the means in a global training of its own (`Habits.joint`); 0: the task's path
    alone : whether a user's own training reads nothing shared (`Habits.alone`)
    refit : whether users leave the path's end after its shared side has been fitted once more (`Refitting`)
    """

    name: str
    source: str
    schedule: Schedule
    ticks: int | None = None
    rate: float = 0.025
    joint: float = 0.0
    alone: bool = False
    refit: bool = False

    def applies(self, family: ModelFamily) -> str | None:
        """Every family has a path; what else it lacks it says itself."""
        return why_not(self.name, family)

    def fit(self, task: Task) -> Fitted:
        """Plan, and train personal models from the task's path, or from one of the method's own."""
        blocks, trained = task.blocks(), self._adapted(task.family, task.family.habits.joint, self.joint)
        term = leave(
            self._adapted(trained, trained.habits.alone, self.alone),
            task.refitted(self.ticks) if self.refit else task.path(self.ticks, trained),
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

    @staticmethod
    def _adapted(family: ModelFamily, setting: str | None, value: float | bool) -> ModelFamily:
        """`family` with the hyper-parameter called `setting`, if it has it and `value` is not nothing."""
        adapted: ModelFamily = replace(cast(Any, family), **{setting: value}) if setting and value else family
        return adapted


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
    recipe = Recipe(schedule, borders, rate, seed)
    return Term(entity, "all", family, path, plan, store, recipe, seen_in(blocks))


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


@dataclass(frozen=True)
class Rule:
    """A method in the table: where it was published, its schedule, and what sets its training apart (see `Branch`).

    Attributes
    ----------
    stepwise : whether users take steps of a size, so that T and rate matter
    """

    source: str
    schedule: Callable[[BranchSettings], Schedule]
    stepwise: bool = True
    joint: bool = False
    alone: bool = False
    refit: bool = False


METHODS: Mapping[str, Rule] = {
    "global": Rule("one model for everybody", lambda s: Last(), stepwise=False),
    "local": Rule("the user's data only", lambda s: Fixed(0, s.steps, s.pull), alone=True),
    "as-printed": Rule(f"{PAPER}, Algorithm 3.1 to the letter", lambda s: AsPrinted(s.groups, s.steps, s.pull)),
    "by-abundance": Rule(f"{PAPER}, section 3.2 as it is explained", lambda s: ByAbundance(s.groups, s.steps, s.pull)),
    "fine-tune": Rule("the end of the path, then local steps", lambda s: Last(_steps(s), s.pull)),
    "anchored": Rule("fine-tune, held back by an anchor", lambda s: Last(_steps(s), s.pull or ANCHOR)),
    "posterior": Rule(
        "the shared side fitted once more at the end of the path, by variational Bayes; each user's posterior mean",
        lambda s: Last(1),
        stepwise=False,
        refit=True,
    ),
    "mtl": Rule(
        f"{PAPER}, section 4: trained together, held to the means", lambda s: Last(), stepwise=False, joint=True
    ),
}

ANCHOR = 1.0
"""The pull of anchored where none is given."""

JOINT = 0.01
"""Strength of the pull to the means in mtl where none is given."""

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
    missing = {name: why for name in wanted if (why := why_not(name, family))}
    there = [name for name in dict.fromkeys(wanted) if name not in missing]
    if missing and not there:
        name, why = next(iter(missing.items()))
        raise SettingsError(f"method {name!r} does not exist for {family.name}: {why}")
    check(there)
    return there, missing


def why_not(name: str, family: ModelFamily) -> str | None:
    """Why `family` has no method `name`, in words; None: it has it."""
    if name in family.habits.undefined:
        return family.habits.undefined[name]
    if name in METHODS and METHODS[name].joint and family.habits.joint is None:
        return "users are not trained together in it; anchored holds each to the global model instead"
    if name in METHODS and METHODS[name].refit and not family.habits.refits:
        return "only a matrix factorisation can fit its shared side once more"
    return None


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
    rule = METHODS[name]
    joint = (settings.pull or JOINT) if rule.joint else 0.0
    return Branch(
        name, rule.source, rule.schedule(settings), settings.ticks, settings.rate, joint, rule.alone, rule.refit
    )
