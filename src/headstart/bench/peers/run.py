"""Fits one peer on ratings from a file and writes what it found; for the peers' interpreter, so nothing of Headstart.

    python run.py SPEC.json OUT.json

The specification names `peer`, `data` (.npz with user, item, rating, code: 0 train, 1 tune, 2 test), `settings`, `grid`
(settings tried on tune rows; those with the lowest RMSE are fitted on training and tune rows), `threads`, `seed` and
`predictions` (.npy, for the test rows). Threads of BLAS come by the environment. With `calls` (`what`: fold-in or
top-n, `users`) single calls of implicit are timed instead.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Settings: TypeAlias = Mapping[str, Any]
Floats: TypeAlias = NDArray[np.float64]
Fit: TypeAlias = Iterator[tuple[float, "Linear"]]
"""After each epoch the seconds of fitting so far, and the model as it stands; once at the end where those are not told.

Seconds begin with the library's own data set at hand, so what it takes to build that is not counted.
"""
TRAIN, TUNE, TEST = 0, 1, 2
CALIBRATION = 0.05
DAMPING = 5.0


class Triples(NamedTuple):
    """Users, items and ratings of rows, and how many users and items there are in all."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    users: int
    items: int

    def take(self, rows: NDArray[np.bool_]) -> Triples:
        """Some rows."""
        return Triples(self.user[rows], self.item[rows], self.rating[rows], self.users, self.items)


class Linear(NamedTuple):
    """A biased factor model by the caller's numbers of users and items; zeros where the peer never saw one."""

    mean: float
    user_bias: Floats
    item_bias: Floats
    user: Floats
    item: Floats

    def __call__(self, user: NDArray[np.int32], item: NDArray[np.int32]) -> Floats:
        out = self.mean + self.user_bias[user] + self.item_bias[item]
        for low in range(0, len(user), 1 << 16):
            part = slice(low, low + (1 << 16))
            out[part] += np.einsum("nk,nk->n", self.user[user[part]], self.item[item[part]])
        return np.asarray(out, np.float64)


def surprise_svd(data: Triples, settings: Settings, threads: int, seed: int) -> Fit:
    """scikit-surprise's SVD: biased matrix factorisation by SGD. One thread, all that it has."""
    from surprise import SVD

    yield from _surprise(SVD(random_state=seed, **settings), data)


def surprise_svdpp(data: Triples, settings: Settings, threads: int, seed: int) -> Fit:
    """scikit-surprise's SVD++: the same with a vector for each item that a user has rated. One thread."""
    from surprise import SVDpp

    yield from _surprise(SVDpp(random_state=seed, **settings), data)


def _surprise(model: Any, data: Triples) -> Fit:
    from surprise import Dataset, Reader

    scale = (float(data.rating.min()), float(data.rating.max()))
    rows = Dataset(Reader(rating_scale=scale))
    known = rows.construct_trainset(
        [(u, i, float(r), None) for u, i, r in zip(*(c.tolist() for c in data[:3]), strict=True)]
    )
    begun = perf_counter()
    model.fit(known)
    seconds = perf_counter() - begun
    raw_users, raw_items = ([to_raw(k) for k in range(n)] for to_raw, n in _inner(known))
    users = np.array(model.pu)
    if hasattr(model, "yj"):
        for u in range(known.n_users):
            rated = [i for i, _ in known.ur[u]]
            users[u] += np.asarray(model.yj)[rated].sum(axis=0) / np.sqrt(len(rated))
    yield (
        seconds,
        Linear(
            float(known.global_mean),
            _placed(model.bu, raw_users, data.users),
            _placed(model.bi, raw_items, data.items),
            _placed(users, raw_users, data.users),
            _placed(model.qi, raw_items, data.items),
        ),
    )


def _inner(known: Any) -> tuple[tuple[Callable[[int], int], int], ...]:
    return (known.to_raw_uid, known.n_users), (known.to_raw_iid, known.n_items)


def _placed(values: Any, numbers: Any, size: int) -> Floats:
    """Rows of `values` at the caller's `numbers`, zeros elsewhere."""
    values = np.asarray(values, np.float64)
    out = np.zeros((size, *values.shape[1:]))
    out[np.asarray(numbers)] = values
    return out


def lenskit_als(data: Triples, settings: Settings, threads: int, seed: int) -> Fit:
    """LensKit's BiasedMFScorer: damped biases, then factors of the residuals by ALS with exact solves.

    `epochs` as the library's default unless the settings say otherwise.
    """
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.data import from_interactions_df
    from lenskit.parallel import initialize
    from lenskit.training import TrainingOptions

    initialize(threads=threads, backend_threads=threads, child_threads=threads)
    frame = pd.DataFrame({"user_id": data.user, "item_id": data.item, "rating": data.rating})
    known = from_interactions_df(frame)
    model = BiasedMFScorer(**settings)
    begun = perf_counter()
    trainer = model.create_trainer(known, TrainingOptions(rng=seed))
    seconds = perf_counter() - begun
    users, items = model.users.ids(), model.items.ids()
    for _ in range(model.config.epochs):
        begun = perf_counter()
        trainer.train_epoch()
        seconds += perf_counter() - begun
        yield (
            seconds,
            Linear(
                float(model.bias.global_bias),
                _placed(model.bias.user_biases, users, data.users),
                _placed(model.bias.item_biases, items, data.items),
                _placed(model.user_embeddings, users, data.users),
                _placed(model.item_embeddings, items, data.items),
            ),
        )


def implicit_als(data: Triples, settings: Settings, threads: int, seed: int) -> Fit:
    """implicit's AlternatingLeastSquares, made to predict ratings.

    The library models implicit feedback: every cell of the matrix is a 0 or a 1, and a rating can only be the
    confidence in a 1; a negative number is the confidence in a 0. The setting `signed` chooses between two uses.
    False: confidence alpha * rating in a 1 for every rating; True: alpha * (rating - mean - b_u - b_i), so a 1 where a
    user liked an item more than expected and a 0 where less, with damped means as biases. Its score of a pair then is
    a preference, not a rating, so ratings are predicted by three numbers fitted by least squares on a twentieth of the
    training rows that the factors have not seen: ``w0 + w1 (mean + b_u + b_i) + w2 x_u . y_i``. Its seconds hold all of
    that.
    """
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    kept = np.random.default_rng(seed).random(len(data.user)) >= CALIBRATION
    fitted, rest = data.take(kept), data.take(~kept)
    begun = perf_counter()
    biases = _biases(fitted)
    signed = settings.get("signed", False)
    confidence = fitted.rating - biases(fitted.user, fitted.item) if signed else fitted.rating
    spent = perf_counter() - begun
    matrix = csr_matrix((confidence.astype(np.float32), (fitted.user, fitted.item)), (data.users, data.items))
    states: list[tuple[float, Any, Any]] = []

    def keep(epoch: int, seconds: float, *_: Any) -> None:
        states.append((seconds, model.user_factors.copy(), model.item_factors.copy()))

    own = {name: value for name, value in settings.items() if name != "signed"}
    model = AlternatingLeastSquares(num_threads=threads, random_state=seed, **own)
    model.fit(matrix, show_progress=False, callback=keep)
    total = 0.0
    for seconds, users, items in states:
        total += seconds
        begun = perf_counter()
        scores = Linear(0.0, np.zeros(data.users), np.zeros(data.items), users, items)
        columns = [np.ones(len(rest.user)), biases(rest.user, rest.item), scores(rest.user, rest.item)]
        weight = np.linalg.lstsq(np.column_stack(columns), rest.rating.astype(np.float64), rcond=None)[0]
        calibrating = perf_counter() - begun
        yield (
            spent + total + calibrating,
            Linear(
                float(weight[0] + weight[1] * biases.mean),
                weight[1] * biases.user_bias,
                weight[1] * biases.item_bias,
                weight[2] * users,
                items,
            ),
        )


def _biases(data: Triples) -> Linear:
    """Means with `DAMPING` rows of the overall mean: items first, then users of what is left."""
    mean = float(data.rating.mean(dtype=np.float64))
    left = data.rating - mean
    item = np.bincount(data.item, left, data.items) / (np.bincount(data.item, minlength=data.items) + DAMPING)
    left = left - item[data.item]
    user = np.bincount(data.user, left, data.users) / (np.bincount(data.user, minlength=data.users) + DAMPING)
    return Linear(mean, user, item, np.zeros((data.users, 0)), np.zeros((data.items, 0)))


PEERS: dict[str, tuple[str, Callable[[Triples, Settings, int, int], Fit]]] = {
    "surprise-svd": ("scikit-surprise", surprise_svd),
    "surprise-svdpp": ("scikit-surprise", surprise_svdpp),
    "implicit-als": ("implicit", implicit_als),
    "lenskit-als": ("lenskit", lenskit_als),
}


def rmse(predicted: Floats, rating: NDArray[np.float32]) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean((predicted - rating) ** 2)))


def run(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Tune if there is a grid, fit, predict; what the caller reads."""
    package, fit = PEERS[spec["peer"]]
    with np.load(spec["data"]) as file:
        user, item, rating, code = (file[name] for name in ("user", "item", "rating", "code"))
    data = Triples(user, item, rating, int(user.max()) + 1, int(item.max()) + 1)
    threads, seed = int(spec["threads"]), int(spec["seed"])
    tried, settings = [], dict(spec["settings"])
    tune = data.take(code == TUNE)
    for choice in spec["grid"]:
        *_, (_, predict) = fit(data.take(code == TRAIN), settings | choice, threads, seed)
        tried.append({"settings": choice, "rmse": rmse(predict(tune.user, tune.item), tune.rating)})
    if tried:
        settings |= min(tried, key=lambda found: found["rmse"])["settings"]
    training, test, curve = data.take(code != TEST), data.take(code == TEST), []
    for seconds, predict in fit(training, settings, threads, seed):
        begun = perf_counter()
        predicted = predict(test.user, test.item)
        predicting = perf_counter() - begun
        curve.append({"seconds": seconds, "rmse": rmse(predicted, test.rating)})
    np.save(spec["predictions"], predicted)
    return {
        "peer": f"{package} {version(package)}",
        "settings": settings,
        "tried": tried,
        "rmse": rmse(predicted, test.rating),
        "mae": float(np.mean(np.abs(predicted - test.rating))),
        "seconds_fit": curve[-1]["seconds"],
        "seconds_predict": predicting,
        "curve": curve,
        "peak_mb": peak_mb(),
    }


def time_calls(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of single calls of implicit's ALS: a factor anew from a user's rows, or the 20 best items for a user."""
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    with np.load(spec["data"]) as file:
        matrix = csr_matrix((file["rating"], (file["user"], file["item"])))
    model = AlternatingLeastSquares(num_threads=int(spec["threads"]), random_state=0, iterations=5, **spec["settings"])
    model.fit(matrix, show_progress=False)
    rows = {user: matrix[user] for user in spec["calls"]["users"]}
    # The first call of either makes what all of them share.
    work: Mapping[str, Callable[[int], Any]] = {
        "fold-in": lambda user: model.recalculate_user(user, rows[user]),
        "top-n": lambda user: model.recommend(user, rows[user], N=20),
    }
    call, seconds = work[spec["calls"]["what"]], []
    for user in (*spec["calls"]["users"][:10], *spec["calls"]["users"]):
        begun = perf_counter()
        call(user)
        seconds.append(perf_counter() - begun)
    return {"peer": f"implicit {version('implicit')}", "seconds": seconds[-len(spec["calls"]["users"]) :]}


def peak_mb() -> float:
    """Most memory that this process held, in MB of 2^20 bytes."""
    try:
        # What getrusage says begins with the parent's on Linux.
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except OSError:
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as asked:
        specification = json.load(asked)
    found = time_calls(specification) if "calls" in specification else run(specification)
    with open(sys.argv[2], "w", encoding="utf-8") as answer:
        json.dump(found, answer)
