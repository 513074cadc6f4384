"""The global model as LightGBM's text."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.errors import SettingsError
from headstart.models.family import ModelFamily, Objective, State
from headstart.models.gbdt.boosting import GradientBoosting
from headstart.models.gbdt.forest import trees_of
from headstart.models.gbdt.lightgbm import write_trees

WRITTEN: dict[Objective, str] = {"logistic": "binary sigmoid:1", "squared": "regression"}


def lightgbm_text(family: ModelFamily, state: State, names: Sequence[str]) -> str:
    """LightGBM's text of a state: ``lightgbm.Booster(model_str=...)`` gives the same margins, offsets apart.

    Parameters
    ----------
    names : of the features

    Raises
    ------
    SettingsError
        where the family has no trees
    """
    if not isinstance(family, GradientBoosting):
        raise SettingsError(f"{family.name} is no model of LightGBM's; only gbdt has its text")
    return write_trees(trees_of(state, float(state["base"][0])), WRITTEN[family.objective], names)
