"""One family on one split of one log: what further experiments start from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headstart import __version__
from headstart.data.log import EventLog
from headstart.data.split import Part
from headstart.evaluation import HeldOut, UserMetrics, per_user
from headstart.experiments.compare import Comparison, compare
from headstart.methods import BranchSettings, Task, method
from headstart.methods.method import Method
from headstart.methods.mtl import MultiTask
from headstart.methods.tuned import Trainer
from headstart.methods.tuning import held_rows
from headstart.scoring import Fitted, Prepared

SHOWN: Mapping[str, tuple[str, ...]] = {"logistic": ("auc", "map", "mrr", "ndcg"), "squared": ("rmse", "mae")}
"""Metrics of further experiments, by the objective of models."""

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A family, the log it learns from and how that is divided.

    Attributes
    ----------
    name, title : of the data
    how : name of the split that `part` is of
    k, resamples : see `headstart.experiments.compare.compare`
    """

    name: str
    title: str
    log: EventLog
    trainer: Trainer
    how: str
    part: Part
    k: int | None = None
    resamples: int = 1000

    @property
    def family(self) -> str:
        """Name of the model family."""
        return self.trainer.family.name

    @property
    def shown(self) -> tuple[str, ...]:
        """Metrics to look at."""
        return SHOWN[self.trainer.family.objective]

    @property
    def seed(self) -> int:
        """Of every random draw."""
        return self.trainer.settings.seed

    @cached_property
    def training(self) -> EventLog:
        """Training and tune rows."""
        return self.log.take(~self.part.test)

    @cached_property
    def test(self) -> EventLog:
        """Test rows."""
        return self.log.take(self.part.test)

    @cached_property
    def held(self) -> HeldOut:
        """Test rows as evaluation sees them."""
        return held_rows(self.test)

    @cached_property
    def key(self) -> Plain:
        """What results depend on beside the family, as plain values.

        A fingerprint is blind to the order of events, but without times a split is not: hence ``rows``.
        """
        return {
            "version": __version__,
            "name": self.name,
            "data": self.log.fingerprint(),
            "rows": hashlib.blake2b(self.part.code.tobytes() + self.log.label.tobytes(), digest_size=16).hexdigest(),
            "features": repr(self.trainer.features),
            "split": self.how,
            "seed": self.seed,
            "k": self.k,
            "bootstrap": self.resamples,
        }

    def compared(self, methods: Sequence[str]) -> Comparison:
        """`methods`, tuned and judged."""
        about = {"dataset": self.name, "split": self.how, "seed": self.seed}
        return compare(self.log, [self.part], self.trainer, methods, about=about, k=self.k, resamples=self.resamples)

    def judged(self, fitted: Sequence[Fitted]) -> list[UserMetrics]:
        """Users' metrics on the test rows, of methods that share a feature map."""
        prepared = Prepared(self.test, fitted[0].features, self.trainer.engine.width)
        objective = self.trainer.family.objective
        return [per_user(self.held, prepared.score(one).margin, self.k, objective) for one in fitted]

    @cached_property
    def unstopped(self) -> Task:
        """Training on all training and tune rows, for T up to the longest of the grid, without an early stop."""
        return self.trainer.task(self.training, ticks=max(self.trainer.grid.ticks))


def as_chosen(row: Plain, ticks: int | None = None) -> Method:
    """The method of a row of a comparison's document, with the settings that were chosen; T is `ticks` if given.

    Of methods that leave the path and go on alone, and of mtl.
    """
    settings = {**row["chosen"][0], **({} if ticks is None else {"ticks": ticks})}
    if "l1" in settings:
        return MultiTask(BranchSettings(ticks=settings["ticks"], pull=settings["l1"]), settings["l2"])
    return method(row["name"], BranchSettings(**settings))
