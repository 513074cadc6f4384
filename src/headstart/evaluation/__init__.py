"""Scores and labels in, numbers and intervals out. Evaluation knows no model."""

from headstart.evaluation.harm import Harm, measure_harm
from headstart.evaluation.heldout import HeldOut, held_out
from headstart.evaluation.intervals import Comparison, Interval, Pair, bootstrap
from headstart.evaluation.metrics import UserMetrics, per_user, pooled
from headstart.evaluation.summary import group_summary, method_summary, pair_summary

__all__ = [
    "Comparison",
    "Harm",
    "HeldOut",
    "Interval",
    "Pair",
    "UserMetrics",
    "bootstrap",
    "group_summary",
    "held_out",
    "measure_harm",
    "method_summary",
    "pair_summary",
    "per_user",
    "pooled",
]
