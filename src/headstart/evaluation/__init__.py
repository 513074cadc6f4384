"""Scores and labels in, numbers and intervals out. Evaluation knows no model."""

from headstart.evaluation.harm import Harm, measure_harm
from headstart.evaluation.heldout import HeldOut, held_out
from headstart.evaluation.intervals import Comparison, Interval, Pair, bootstrap
from headstart.evaluation.metrics import UserMetrics, per_user, pooled
from headstart.evaluation.quartiles import quartile_of, quartile_summary
from headstart.evaluation.summary import five_numbers, group_summary, method_summary, pair_summary

__all__ = [
    "Comparison",
    "Harm",
    "HeldOut",
    "Interval",
    "Pair",
    "UserMetrics",
    "bootstrap",
    "five_numbers",
    "group_summary",
    "held_out",
    "measure_harm",
    "method_summary",
    "pair_summary",
    "per_user",
    "pooled",
    "quartile_of",
    "quartile_summary",
]
