"""What practitioners do without personal models: one model for everybody that is told what each user did before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, ClassVar

from headstart.data.blocks import Blocks
from headstart.data.features import FeatureMap
from headstart.data.history import History
from headstart.data.roles import FeatureSettings
from headstart.methods.branch import BranchSettings
from headstart.methods.depart import depart
from headstart.methods.method import Task
from headstart.methods.search import Search
from headstart.methods.tuning import Choice, Tried, Tuner
from headstart.models.family import ModelFamily
from headstart.models.gbdt import GradientBoosting, why_missing
from headstart.path import GlobalPath
from headstart.progress import Progress, silent, stage
from headstart.schedules import Last
from headstart.scoring import Fitted
from headstart.training import train_path

LEAVES = (7, 15, 31, 63)
RATES = (0.05, 0.1)


@dataclass(frozen=True)
class HistoryBoosting:
    """Boosted trees for everybody, with features of each user's earlier events beside the ordinary ones.

    The features are those of `headstart.data.history.History`: count and smoothed mean label of a user's events, of
    those with the row's value of each column that has few, of those with the item, and of everybody's with the item.
    In training a row is told of events before it, and in scoring of all that training had. The trees are LightGBM's,
    of the family ``gbdt`` whatever the family that it is compared with; a family of boosted trees gives its other
    hyper-parameters. Families that read no columns (a matrix factorisation) are rivalled with those of the log.

    Tuned are T, the most leaves and the learning rate, of a long log on the rows of sampled users. A path of trees is
    judged at each T, but counts as a fit for each. Nothing is personal, so `personalise` adds nothing: a newcomer's
    history is not learned later.

    Parameters
    ----------
    ticks : T, trees; None: free
    learning_rate, leaves : see `GradientBoosting`
    """

    ticks: int | None = None
    learning_rate: float = 0.05
    leaves: int = 31

    name: ClassVar[str] = "history-gbdt"
    source: ClassVar[str] = (
        "practice; trees: Ke et al., NeurIPS 2017 (LightGBM); features of earlier rows only:"
        " Prokhorenkova et al., NeurIPS 2018, section 3.2 (ordered target statistics)"
    )

    @classmethod
    def of(cls, given: BranchSettings) -> HistoryBoosting:
        """With T as it is given."""
        return cls(given.ticks)

    @property
    def settings(self) -> Mapping[str, Any]:
        """See `Method`."""
        return {"ticks": self.ticks, "learning_rate": self.learning_rate, "leaves": self.leaves}

    def applies(self, family: ModelFamily) -> str | None:
        """Wherever LightGBM is."""
        return why_missing()

    def trials(self, search: Search) -> Sequence[HistoryBoosting]:
        """Leaves, learning rate and T, the usual first; paths that differ in T alone stand together."""
        if search.fits == 1:
            return [replace(self, ticks=self.ticks or GradientBoosting.habits.ticks)]
        usual = GradientBoosting.habits.try_ticks
        tried = (
            (self.ticks,) if self.ticks else search.grid.ticks if search.habits == GradientBoosting.habits else usual
        )
        shapes = sorted(product(LEAVES, RATES), key=lambda one: one != (self.leaves, self.learning_rate))
        made = [replace(self, leaves=leaves, learning_rate=rate, ticks=t) for leaves, rate in shapes for t in tried]
        return made[: search.fits]

    def learn(self, tuner: Tuner) -> Choice:
        """The best of `trials`; the features are made once."""
        trials, task = self.trials(tuner.search), tuner.few
        features, blocks = told(task)
        held = features.blocks(tuner.tuned)[0]
        tried = []
        for family, same in groupby(trials, lambda trial: trial.adapted(task.family)):
            some = list(same)
            path = grown(task, family, blocks, max(trial.ticks or 0 for trial in some), silent)
            for trial in some:
                margins = family.score(path.at(trial.ticks or 0), None, held)
                tried.append(Tried(trial.settings, tuner.value(margins)))
            task.progress(f"choosing settings of {self.name}", len(tried), len(trials))
        values = [trial.value for trial in tried]
        if len(trials) == 1 or min(values) == max(values):
            return Choice(self.trials(replace(tuner.search, fits=1))[0])
        return Choice(trials[values.index(max(values))], tuple(tried), tuner.metric, len(trials))

    def fit(self, task: Task) -> Fitted:
        """Count, unfold the history of the training rows, and grow the trees."""
        features, blocks = told(task)
        family = self.adapted(task.family)
        path = grown(task, family, blocks, self.ticks or family.habits.ticks, task.progress)
        fitted = depart(self.name, task, path, Last(), rate=family.habits.rate, family=family, blocks=blocks)
        return replace(fitted, features=features)

    def adapted(self, family: ModelFamily) -> GradientBoosting:
        """The trees: those of `family` where it is one of boosted trees, with these settings."""
        own = family if isinstance(family, GradientBoosting) else GradientBoosting(objective=family.objective)
        return replace(own, learning_rate=self.learning_rate, leaves=self.leaves)


def told(task: Task) -> tuple[FeatureMap, Blocks]:
    """The feature map that later rows are made with, and the training rows, told of what was before each."""
    features = task.features if task.family.habits.columns else FeatureMap.fit(task.log, FeatureSettings())
    history = History.fit(task.log, features.columns)
    with stage(task.progress, "unfolding the history of users"):
        blocks = features.also(history.unfold(task.log)).blocks(task.log)[0]
    return features.also(history), blocks


def grown(task: Task, family: GradientBoosting, blocks: Blocks, ticks: int, progress: Progress) -> GlobalPath:
    """So many trees on `blocks`."""
    return train_path(family, blocks, ticks, seed=task.seed, threads=task.engine.width, progress=progress)
