"""Every method that leaves a global path and goes on alone: global, local and fine-tuned models, and the paper's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headstart.errors import SettingsError
from headstart.methods.method import Task
from headstart.models.family import ModelFamily
from headstart.schedules import SCHEDULES, AsPrinted, Borders, ByAbundance, Fixed, Last, Schedule, UserTable
from headstart.scoring import Fitted, Recipe, Term
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
    rate : step size as a share of 1 / (the user's own curvature bound)
    """

    name: str
    source: str
    schedule: Schedule
    ticks: int | None = None
    rate: float = 0.25

    def applies(self, family: ModelFamily) -> str | None:
        """Every family has a path."""
        return None

    def fit(self, task: Task) -> Fitted:
        """Plan, and train personal models from the task's path."""
        path = task.path(self.ticks)
        blocks = task.blocks()
        borders = Borders.of(blocks.counts)
        plan = self.schedule.plan(UserTable(blocks.users, blocks.counts), path.planned, borders=borders)
        store = task.new_store()
        plan = personalise(
            task.family,
            path,
            plan,
            blocks,
            engine=task.engine,
            store=store,
            rate=self.rate,
            seed=task.seed,
            progress=task.progress,
        )
        store.seal()
        recipe = Recipe(self.schedule, borders, self.rate, task.seed)
        term = Term(task.log.roles.user, "all", task.family, path, plan, store, recipe)
        return Fitted(self.name, task.log.roles, task.features, (term,))


@dataclass(frozen=True)
class BranchSettings:
    """Settings that every branching method shares.

    Attributes
    ----------
    ticks : T; None: the task's
    rate : step size as a share of 1 / (the user's own curvature bound)
    groups : C, abundance groups
    steps : local steps; None: T - t_u, and T for fine-tune
    pull : strength of the anchor to the start
    """

    ticks: int | None = None
    rate: float = 0.25
    groups: int = 10
    steps: int | None = None
    pull: float = 0.0


METHODS: Mapping[str, tuple[str, Callable[[BranchSettings], Schedule]]] = {
    "global": ("one model for everybody", lambda s: Last()),
    "local": ("the user's data only", lambda s: Fixed(0, s.steps, s.pull)),
    "as-printed": (f"{PAPER}, Algorithm 3.1 to the letter", lambda s: AsPrinted(s.groups, s.steps, s.pull)),
    "by-abundance": (f"{PAPER}, section 3.2 as it is explained", lambda s: ByAbundance(s.groups, s.steps, s.pull)),
    "fine-tune": ("the end of the path, then local steps", lambda s: Last(s.steps or s.ticks or 0, s.pull)),
}


def names() -> list[str]:
    """Every branching method: those of the table, and the schedules of plugins."""
    return [*METHODS, *sorted(set(SCHEDULES.paths()) - set(SCHEDULES.own))]


def check(wanted: Sequence[str]) -> None:
    """Raise `SettingsError` unless every one of `wanted` is a method."""
    unknown = [name for name in wanted if name not in names()]
    if unknown or not wanted:
        found = f"no method is called {unknown[0]!r}" if unknown else "no method is named"
        raise SettingsError(f"{found}; there are {', '.join(names())}")


def branch(name: str, settings: BranchSettings) -> Branch:
    """The method called `name`; a plugin's schedule is used with its own defaults.

    Raises
    ------
    SettingsError
        where no branching method has that name
    """
    check([name])
    if name not in METHODS:
        return Branch(name, "a plugin", SCHEDULES.load(name)(), settings.ticks, settings.rate)
    source, schedule = METHODS[name]
    return Branch(name, source, schedule(settings), settings.ticks, settings.rate)
