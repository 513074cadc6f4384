"""A fitted model judged on labelled events, beside its own global model."""

from __future__ import annotations

from typing import Any

from headstart.data.log import EventLog
from headstart.experiments.judgement import judge
from headstart.methods.tuning import held_rows
from headstart.scoring import Fitted, Scorer


def evaluate(
    fitted: Fitted, log: EventLog, *, k: int | None = None, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Metrics and harm of `fitted` on `log`, which it must not have been trained on, and of its global model."""
    scorer = Scorer(fitted)
    blocks, odd = scorer.blocks(log)
    scores = scorer.score_blocks(blocks)
    alone = scorer.score_blocks(blocks, only_global=True).margin
    margins = {"global": alone, fitted.method: scores.margin}
    judged = judge(
        fitted.terms[0].family, held_rows(log), margins, alone, k=k, seed=seed, resamples=resamples
    )
    return {
        "method": fitted.method,
        "n_users": len(log.users),
        "n_test_events": len(log),
        **judged.counts,
        "served_personally": float(scores.personal.mean()),
        "unseen": dict(odd),
        "methods": [{"name": name, **row} for name, row in judged.methods.items()],
        "pairs": judged.pairs,
    }
