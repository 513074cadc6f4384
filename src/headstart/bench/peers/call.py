"""Asks a peer in a process of its own: ratings out through a file, what it found back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.split import TEST, TRAIN
from headstart.errors import SettingsError

ENVIRONMENT = "HEADSTART_PEERS"
FOLDER = ".venv-peers"
ABSENT = f"and its environment {FOLDER} is not there: run scripts/peers, or name its folder in {ENVIRONMENT}"


@dataclass(frozen=True)
class Rows:
    """Ratings as every peer reads them.

    Attributes
    ----------
    user, item : int32 (n,) from 0
    rating : float32 (n,)
    code : int8 (n,) of `TRAIN`, `TUNE` and `TEST`
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    code: NDArray[np.int8]

    @classmethod
    def of(cls, train: Blocks, test: Blocks) -> Rows:
        """The rows of both, users numbered by their place."""
        user = [np.repeat(np.arange(len(data), dtype=np.int32), data.counts) for data in (train, test)]
        parts = [data.rows() for data in (train, test)]
        return cls(
            np.concatenate(user),
            np.concatenate([train.item[parts[0]], test.item[parts[1]]]),
            np.concatenate([train.label[parts[0]], test.label[parts[1]]]),
            np.repeat(np.array([TRAIN, TEST], np.int8), [len(rows) for rows in parts]),
        )


@dataclass(frozen=True)
class Found:
    """What a peer found.

    Attributes
    ----------
    peer : the package and its version
    settings : as fitted; those of the library where none is named
    tried : settings and RMSE of tune rows
    curve : seconds of fitting so far and RMSE of test rows, after each epoch
    rmse, mae : of the test rows, as the library predicts (nothing clipped)
    seconds_fit, seconds_predict : the former without building the library's own data set
    peak_mb : of the process, interpreter and input included
    predicted : float64 (test rows,)
    """

    peer: str
    settings: Mapping[str, Any]
    tried: Sequence[Mapping[str, Any]]
    curve: Sequence[Mapping[str, float]]
    rmse: float
    mae: float
    seconds_fit: float
    seconds_predict: float
    peak_mb: float
    predicted: NDArray[np.float64]


def interpreter() -> Path | None:
    """The Python of the peers: in HEADSTART_PEERS, else in .venv-peers here or beside the sources; None: not there."""
    places = [Path(FOLDER), Path(__file__).parents[4] / FOLDER]
    if named := os.environ.get(ENVIRONMENT):
        places = [Path(named)]
    return next((python for place in places if (python := place.absolute() / "bin" / "python").exists()), None)


def ask(
    peer: str,
    rows: Rows,
    *,
    settings: Mapping[str, Any] | None = None,
    grid: Iterable[Mapping[str, Any]] = (),
    threads: int = 2,
    seed: int = 0,
) -> Found:
    """Fit `peer` (see `run.py`) on the training and tune rows, predict the test rows.

    Raises
    ------
    SettingsError
        where the peers are not installed, or the peer's process fails
    """
    asked = {
        "settings": dict(settings or {}),
        "grid": [dict(choice) for choice in grid],
        "threads": threads,
        "seed": seed,
    }
    found, predicted = _exchange(peer, rows, asked, threads)
    return Found(**found, predicted=predicted)


def ask_calls(
    what: str, rows: Rows, users: Sequence[int], *, k: int, threads: int = 1
) -> tuple[str, NDArray[np.float64]]:
    """Which peer (implicit), and seconds of a single call for each of `users`; `what` is ``fold-in`` or ``top-n``.

    Raises
    ------
    SettingsError
        as `ask`
    """
    calls = {"what": what, "users": [int(user) for user in users]}
    found, _ = _exchange(
        "implicit-als", rows, {"settings": {"factors": k}, "threads": threads, "calls": calls}, threads
    )
    return found["peer"], np.array(found["seconds"])


def _exchange(peer: str, rows: Rows, asked: Mapping[str, Any], threads: int) -> tuple[dict[str, Any], Any]:
    """What the peer wrote, and its predictions if it made any."""
    python = interpreter()
    if python is None:
        raise SettingsError(f"{peer} is measured beside, {ABSENT}")
    with TemporaryDirectory(prefix="headstart-peers-") as folder:
        data, spec, answer, predictions = (
            Path(folder) / name for name in ("data.npz", "spec.json", "answer.json", "predicted.npy")
        )
        np.savez(data, user=rows.user, item=rows.item, rating=rows.rating, code=rows.code)
        files = {"peer": peer, "data": str(data), "predictions": str(predictions)}
        spec.write_text(json.dumps({**asked, **files}), encoding="utf-8")
        _run([str(python), "-I", str(Path(__file__).with_name("run.py")), str(spec), str(answer)], peer, threads)
        found = json.loads(answer.read_text(encoding="utf-8"))
        return found, np.load(predictions) if predictions.exists() else None


def _run(command: Sequence[str], peer: str, threads: int) -> None:
    # implicit runs threads of its own and asks for a BLAS of one; the others leave their threads to BLAS or to theirs.
    blas = "1" if peer == "implicit-als" else str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads)) | dict.fromkeys(names[1:3], blas)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SettingsError(f"{peer} failed (exit code {done.returncode}): {last}")
