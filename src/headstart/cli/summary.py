"""What a saved model holds, as a document and as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console

from headstart.cli.console import table
from headstart.models import FAMILIES
from headstart.schedules import SCHEDULES
from headstart.scoring import Fitted, Term


def summary(path: Path, fitted: Fitted) -> dict[str, Any]:
    """Everything that ``headstart inspect MODEL`` says."""
    return {
        "model": str(path),
        "method": fitted.method,
        "roles": msgspec.to_builtins(fitted.roles),
        "about": dict(fitted.about),
        "bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        "terms": [_term(fitted, term) for term in fitted.terms],
    }


def _term(fitted: Fitted, term: Term) -> dict[str, Any]:
    plan = term.plan
    ticks, users = np.unique(plan.ticks, return_counts=True)
    groups = [
        {
            "group": int(group),
            "users": int((plan.group == group).sum()),
            "events": int(plan.events[plan.group == group].sum()),
            "t_u": int(plan.ticks[plan.group == group][0]),
        }
        for group in np.unique(plan.group)
    ]
    return {
        "entity": term.entity,
        "family": FAMILIES.describe(term.family),
        "schedule": SCHEDULES.describe(term.recipe.schedule),
        "rate": term.recipe.rate,
        "ticks": term.path.planned,
        "stopped": term.path.stopped,
        "features": len(fitted.features.names(term.bag)),
        "users": len(plan.users),
        "personal_models": len(term.store),
        "personal_bytes": term.store.nbytes,
        "reasons": plan.reasons(),
        "groups": groups,
        "t_u": {str(tick): int(count) for tick, count in zip(ticks, users, strict=True)},
    }


def show_model(document: Mapping[str, Any], console: Console) -> None:
    """Print a summary."""
    console.print(f"[bold]{document['model']}[/bold]: {document['method']}, {document['bytes']:,} bytes")
    for term in document["terms"]:
        settings = ", ".join(f"{name} {value}" for name, value in term["family"]["settings"].items())
        console.print(f"{term['family']['name']} for each {term['entity']}: {term['features']} features; {settings}")
        console.print(
            f"T = {term['ticks']}, global training stopped at tick {term['stopped']}; rate {term['rate']:g};"
            f" {term['personal_models']:,} personal models in {term['personal_bytes']:,} bytes"
        )
        console.print("users: " + ", ".join(f"{reason} {count:,}" for reason, count in term["reasons"].items()) + "\n")
        rows = [
            [str(group["group"]), f"{group['users']:,}", f"{group['events']:,}", str(group["t_u"]), _bar(group["users"], term["users"])]
            for group in term["groups"]
        ]
        console.print(table("Groups (1 = least data)", ["group", "users", "events", "t_u", "share of users"], rows, left=0))


def _bar(part: int, whole: int) -> str:
    share = part / max(whole, 1)
    return f"{'#' * round(30 * share)} {100 * share:4.1f} %"
