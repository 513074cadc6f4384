"""Personal trees: users a second, beside a loop of LightGBM trainings with a shared bin mapper."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

import lightgbm
import numpy as np
from numpy.typing import NDArray

from headstart.bench.heavy_tailed import Size, draw
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.kernels.ranking import AUC, rank_lists
from headstart.models.family import Orders, Personal, Ragged, State
from headstart.models.gbdt import GradientBoosting
from headstart.models.gbdt.export import lightgbm_text
from headstart.progress import Progress, silent

Margins: TypeAlias = NDArray[np.float64]

STAGE = "bench personal-gbdt"
RATE = 0.05
SHARD = 100
NO_ORDER = np.empty(0, np.int64)


class _Quiet:
    def info(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        pass


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Time both on the same users, from rows and global trees to personal models; medians of the repeats."""
    size = size or Size()
    lightgbm.register_logger(_Quiet())
    train, test = draw(size)
    family = GradientBoosting(own_leaves=size.leaves)
    start, text = grow_prefix(family, train, size)
    booster = lightgbm.Booster(model_str=text, params={"verbosity": -1})
    compiling, _ = _timed(lambda: grow_shards(family, start, train.select(np.arange(1)), size))
    forms = {"rows copied": _copied, "subsets": _subsets}
    some = train.select(np.arange(min(len(train), 100)))
    trial = {name: _timed(partial(_peer, form, booster, train, some, size))[0] for name, form in forms.items()}
    fastest = min(trial, key=lambda name: trial[name])
    ours: list[float] = []
    theirs: list[float] = []
    for repeat in range(size.repeats):
        progress(STAGE, repeat, size.repeats)
        seconds, personal = _timed(lambda: grow_shards(family, start, train, size))
        ours.append(seconds)
        seconds, boosters = _timed(lambda: _peer(forms[fastest], booster, train, train, size))
        theirs.append(seconds)
    progress(STAGE, size.repeats, size.repeats)
    mine, other = _auc(test, _score(family, start, personal, test)), _auc(test, _predict(booster, boosters, test))
    counts = train.counts
    notes = (
        f"{size.users} users of {np.median(counts):.0f} rows (median, at most {counts.max()}), {size.features} features"
        f"{'' if size.stored >= 1 else f', {size.stored:.0%} not zero'}, {size.trees} trees of {size.leaves} leaves on "
        f"{size.prefix} global ones, {size.threads} threads, medians of {size.repeats}; compiling or loading the "
        f"kernels took {compiling:.1f} s beforehand; peer: LightGBM {lightgbm.__version__}, shared mapper of 63 bins, "
        f"{fastest} (of {', '.join(forms)}); mean test AUC within users: ours {mine:.4f}, peer {other:.4f}; "
        f"{_bytes(personal) / len(train):.0f} bytes a model"
    )
    return Measured(size.users / median(ours), size.users / median(theirs), "users/s", notes)


def measure_sparse(progress: Progress = silent, size: Size | None = None) -> Measured:
    """The same on 351 features, a tenth of them not zero."""
    return measure(progress, size or Size(features=351, stored=0.1))


def grow_prefix(family: GradientBoosting, data: Blocks, size: Size) -> tuple[State, str]:
    """The first global trees, and LightGBM's text of them."""
    prep = family.prepare(data, 0, size.threads)
    run = family.init(prep)
    for _ in range(size.prefix):
        run = family.step(run, prep)
    state = family.state(run)
    return state, lightgbm_text(family, state, [f"f{j}" for j in range(data.width)])


def grow_shards(family: GradientBoosting, start: State, data: Blocks, size: Size) -> list[Personal]:
    """Own trees of every user, shard by shard."""

    def fit(low: int) -> Personal:
        shard = data.select(np.arange(low, min(low + SHARD, len(data))))
        users = len(shard)
        orders = Orders(
            np.full(users, size.trees, np.int32), np.zeros(users, np.float32), np.full(users, RATE, np.float32),
            np.zeros(users, np.uint64),
        )  # fmt: skip
        return family.fit_users(start, shard, orders).personal

    with ThreadPoolExecutor(size.threads) as pool:
        return list(pool.map(fit, range(0, len(data), SHARD)))


Form: TypeAlias = Callable[[Any, Blocks, int, NDArray[np.float64], dict[str, Any]], Any]


def _settings(family: GradientBoosting, size: Size) -> dict[str, Any]:
    return {
        "objective": "binary", "max_bin": 63, "num_leaves": size.leaves, "learning_rate": RATE,
        "lambda_l2": family.l2, "min_data_in_leaf": family.own_min_rows, "feature_pre_filter": False,
        "boost_from_average": False, "num_threads": 1, "deterministic": True, "force_col_wise": True, "verbosity": -1,
    }  # fmt: skip


def _peer(form: Form, prefix: Any, everybody: Blocks, data: Blocks, size: Size) -> list[Any]:
    """A booster for each user of `data`, bins cut on the rows of `everybody`."""
    settings = _settings(GradientBoosting(), size)
    base = prefix.predict(everybody.features, raw_score=True, num_threads=size.threads)
    shared = lightgbm.Dataset(
        everybody.features, everybody.label, init_score=base, params=settings | {"num_threads": size.threads}
    ).construct()

    def fit(user: int) -> Any:
        booster = lightgbm.Booster(settings, form(shared, data, user, base, settings))
        for _ in range(size.trees):
            if booster.update():
                break
        return booster.free_dataset()

    with ThreadPoolExecutor(size.threads) as pool:
        return list(pool.map(fit, range(len(data))))


def _copied(shared: Any, data: Blocks, user: int, base: NDArray[np.float64], settings: dict[str, Any]) -> Any:
    rows = slice(int(data.start[user]), int(data.stop[user]))
    return lightgbm.Dataset(
        data.features[rows], data.label[rows], reference=shared, init_score=base[rows], params=settings
    )


def _subsets(shared: Any, data: Blocks, user: int, base: NDArray[np.float64], settings: dict[str, Any]) -> Any:
    return shared.subset(np.arange(data.start[user], data.stop[user]), params=settings)


def _score(family: GradientBoosting, start: State, personal: list[Personal], data: Blocks) -> Margins:
    shards = (data.select(np.arange(low, min(low + SHARD, len(data)))) for low in range(0, len(data), SHARD))
    return np.concatenate([family.score(start, own, shard) for own, shard in zip(personal, shards, strict=True)])


def _predict(prefix: Any, boosters: list[Any], data: Blocks) -> Margins:
    margin: Margins = prefix.predict(data.features, raw_score=True)
    for user, booster in enumerate(boosters):
        rows = slice(int(data.start[user]), int(data.stop[user]))
        margin[rows] += booster.predict(data.features[rows], raw_score=True, num_threads=1)
    return margin


def _auc(data: Blocks, margin: Margins) -> float:
    indptr = np.concatenate([[0], np.cumsum(data.counts)])
    return float(np.nanmean(rank_lists(margin.astype(np.float64), data.label, NO_ORDER, indptr, 10)[AUC]))


def _bytes(personal: list[Personal]) -> int:
    columns = [column for own in personal for column in own.values()]
    return sum(column.values.nbytes if isinstance(column, Ragged) else column.nbytes for column in columns)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = perf_counter()
    done = work()
    return perf_counter() - begun, done
