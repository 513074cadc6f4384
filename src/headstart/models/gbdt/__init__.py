"""Gradient boosted trees: LightGBM's for everybody, then trees of each user's own."""

from headstart.models.gbdt.boosting import GradientBoosting

__all__ = ["GradientBoosting"]
