"""The steps of a reproduction, and one document of all that came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headstart import __version__
from headstart.experiments import curves, shares
from headstart.experiments.details import details
from headstart.experiments.grid import TREES, one_seed, over_seeds
from headstart.experiments.reproduction.claims import claims
from headstart.experiments.reproduction.ledger import Plain, Results, Step
from headstart.experiments.reproduction.published import METHODS, STATISTICS, printed
from headstart.experiments.reproduction.quartiles import quartile_differences
from headstart.experiments.reproduction.statistics import statistics
from headstart.experiments.sevenths import by_paper_groups
from headstart.experiments.study import Study
from headstart.report.pseudonyms import Pseudonyms
from headstart.report.reproduction import ADAPTIVE

TOGETHER = ((shares.SHARES[0], shares.SHARES[-1]), *((share,) for share in shares.SHARES[1:-1]))
"""Shares by step: the ends in one, since differences between them are paired by user."""

Studies = Mapping[str, Study]
"""By family."""

WEIGHTS = {"logistic": 10.0, "gbdt": 60.0, "mf": 20.0}
"""Seconds that a comparison of the family took on a set of 100,000 events, and below those of the other steps."""

CURVE, SEED = 1.5, 12.0
SHARE = {"logistic": 1.0, "gbdt": 10.0}


def steps(studies: Studies, seeds: int, pseudonyms: Pseudonyms) -> list[Step]:
    """All steps for the families of `studies`.

    Parameters
    ----------
    seeds : of the table of trees
    pseudonyms : that users stand under
    """
    made: list[Step] = []
    for study in _logs(studies):
        name = f"data-{study.trainer.family.objective}"
        made.append(Step(name, "data statistics", "data", 1.0, study.key, _statistics_of(study)))
    for family, study in studies.items():
        key = {**_tuned(study), "ids": pseudonyms.shown}
        says = f"{family}: methods side by side"
        made.append(Step(f"compare-{family}", says, "compare", WEIGHTS[family], key, _comparison(study, pseudonyms)))
        if family == "logistic":
            made += [_curve(study, ticks) for ticks in curves.curve_ticks(study)]
        if family == "gbdt":
            made += [_seed(study, seed) for seed in range(seeds)]
    return made + [_shares(_classifying(studies), wanted) for wanted in TOGETHER if _classifying(studies)]


def gather(
    studies: Studies, seeds: int, results: Results, skipped: Mapping[str, str], seconds: float
) -> dict[str, Any]:
    """What a report is made of, see `headstart.report.reproduction`.

    Parameters
    ----------
    results : of all `steps`
    skipped : by family why it was not run
    seconds : of all steps
    """
    first = next(iter(studies.values()))
    shared = [results[_shares_name(_classifying(studies), some)] for some in TOGETHER if _classifying(studies)]
    points = sorted((p for some in shared for p in some["points"]), key=lambda point: float(point["share"]))
    found: dict[str, Any] = {
        "dataset": first.name,
        "title": first.title,
        "seed": first.seed,
        "version": __version__,
        "statistics": [
            *(results[f"data-{study.trainer.family.objective}"] for study in _logs(studies)),
            *({"published": True, **row} for row in STATISTICS),
        ],
        "printed": printed(),
        "chapters": {family: _chapter(study, seeds, results) for family, study in studies.items()},
        "shares": {"points": points, "note": shares.noted(points)} if points else None,
        "moved": shared[0]["moved"] if shared else [],
        "families": shared[0]["families"] if shared else [],
        "not_run": dict(skipped),
        "seconds": seconds,
    }
    return {**found, "claims": claims(found)}


def _chapter(study: Study, seeds: int, results: Results) -> dict[str, Any]:
    """A comparison, and the pictures that are of its family alone."""
    more: dict[str, Any] = {}
    if study.family == "logistic":
        some = [results[_curve(study, ticks).name] for ticks in curves.curve_ticks(study)]
        every = {key: [one for part in some for one in part[key]] for key in ("points", "pairs")}
        more["curves"] = {**every, "stop": some[0]["stop"], "note": curves.NOTE}
    if study.family == "gbdt":
        found = [results[_seed(study, seed).name]["rows"] for seed in range(seeds)]
        more["trees"] = over_seeds("trees", study.trainer, found, {"dataset": study.name, "split": "user-random"})
    return {**results[f"compare-{study.family}"], "more": more}


def _logs(studies: Studies) -> list[Study]:
    """A study of each log: that of clicks, and that of ratings."""
    first: dict[str, Study] = {}
    for study in studies.values():
        first.setdefault(study.trainer.family.objective, study)
    return list(first.values())


def _classifying(studies: Studies) -> list[Study]:
    return [study for study in studies.values() if study.trainer.family.objective == "logistic"]


def _tuned(*studies: Study) -> Plain:
    """What results with chosen settings depend on."""
    return {**studies[0].key, "methods": [METHODS[study.family] for study in studies]}


def _statistics_of(study: Study) -> Callable[[Results], Plain]:
    def make(_: Results) -> Plain:
        rated = study.trainer.family.objective == "squared"
        features = None if rated else len(study.trainer.task(study.training).features.names())
        return statistics(f"{study.name}{', ratings' if rated else ''}", study.log, features)

    return make


def _comparison(study: Study, pseudonyms: Pseudonyms) -> Callable[[Results], Plain]:
    def make(_: Results) -> Plain:
        found, sampling = study.compared(METHODS[study.family]), {"seed": study.seed, "resamples": study.resamples}
        made: dict[str, Any] = {"document": dict(found.document), "details": details(found, pseudonyms, **sampling)}
        if study.family == "gbdt":
            groups = by_paper_groups(found.evidence, reference="local", **sampling)
            made["over_local"] = [{key: row[key] for key in ("group", "differences")} for row in groups]
        if study.family == "mf":
            users = found.evidence.metrics
            made["quartiles"] = quartile_differences(users, ADAPTIVE, ("global", "local", "mtl"), **sampling)
        return made

    return make


def _curve(study: Study, ticks: int) -> Step:
    def make(results: Results) -> Plain:
        return curves.curve_point(study, results[f"compare-{study.family}"]["document"], ticks, ADAPTIVE)

    says = f"{study.family}: {ticks} {'epoch' if ticks == 1 else 'epochs'}"
    return Step(f"curve-{study.family}-{ticks:03d}", says, "curve", CURVE, _tuned(study), make)


def _seed(study: Study, seed: int) -> Step:
    def make(_: Results) -> Plain:
        return {"rows": one_seed("trees", study.log, study.trainer, seed, k=study.k)}

    # What is chosen and resampled elsewhere has no part in it.
    key = {name: value for name, value in study.key.items() if name in ("version", "data", "features", "k")}
    return Step(f"trees-{seed:02d}", f"table of trees: seed {seed}", "trees", SEED, {**key, "rows": TREES.rows}, make)


def _shares(studies: Sequence[Study], wanted: Sequence[float]) -> Step:
    def make(results: Results) -> Plain:
        documents = {study.family: results[f"compare-{study.family}"]["document"] for study in studies}
        return shares.share_points(studies, documents, wanted)

    percents = " and ".join(f"{100 * share:.0f} %" for share in wanted)
    says = f"{' and '.join(study.family for study in studies)}: {percents} of the training events"
    weight = sum(share + 0.2 for share in wanted) * sum(SHARE[study.family] for study in studies)
    return Step(_shares_name(studies, wanted), says, "share", weight, _tuned(*studies), make)


def _shares_name(studies: Sequence[Study], wanted: Sequence[float]) -> str:
    named = [study.family for study in studies] + [f"{100 * share:03.0f}" for share in wanted]
    return f"share-{'-'.join(named)}"
