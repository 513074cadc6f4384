"""Peers on the very folds of ``headstart compare --dataset NAME --split kfold``: pooled errors, seconds, memory.

    python -m headstart.bench.peers.folds ml-100k --data-dir FOLDER --ours compare.json --json folds.json

Settings of a peer are chosen in each fold on its tune rows, then fitted on training and tune rows: what `compare` does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bench.peers.call import Found, Rows, ask
from headstart.data.log import read
from headstart.data.split import TEST, Part, split
from headstart.data.vocab import Vocabulary
from headstart.datasets.registry import build
from headstart.errors import HeadstartError

GRIDS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "surprise-svd": [
        {"n_factors": 100, "n_epochs": 20, "lr_all": 0.005, "reg_all": 0.02},
        {"n_factors": 32, "n_epochs": 40, "lr_all": 0.01, "reg_all": 0.1},
        {"n_factors": 100, "n_epochs": 40, "lr_all": 0.01, "reg_all": 0.1},
        {"n_factors": 100, "n_epochs": 60, "lr_all": 0.01, "reg_all": 0.1},
    ],
    "surprise-svdpp": [
        {"n_factors": 20, "n_epochs": 20, "lr_all": 0.007, "reg_all": 0.02},
        {"n_factors": 20, "n_epochs": 20, "lr_all": 0.007, "reg_all": 0.06},
    ],
    "implicit-als": [
        {"factors": k, "alpha": alpha, "regularization": 1.0, "signed": True} for k in (8, 16) for alpha in (5.0, 10.0)
    ],
    "lenskit-als": [{"embedding_size": k, "regularization": l2} for k in (16, 50) for l2 in (0.1, 0.2)],
}
"""Settings tried for each peer; the first of scikit-surprise's are the library's own."""


@dataclass(frozen=True)
class Line:
    """One row of the table; seconds and memory of the final fits, None where they were not told.

    Attributes
    ----------
    rmse, mae : pooled over the test rows of all folds, predictions clipped to the range of ratings
    seconds : sum over folds
    peak_mb : largest of a fold's process
    settings : of each fold
    """

    name: str
    rmse: float
    mae: float
    seconds: float | None
    peak_mb: float | None
    settings: Sequence[Mapping[str, Any]]


def folds(name: str, data_dir: Path | None, number: int, seed: int, tune: float) -> Iterator[Rows]:
    """The rows of each fold, in the order and of the codes of `compare`."""
    dataset = build(name, data_dir=data_dir)
    log = read(dataset.table, replace(dataset.roles, rule=None, features=()), binary=False)
    item = Vocabulary.of(log.item).index(log.item).astype(np.int32)
    parts: list[Part] = split(log, "kfold", seed=seed, folds=number, tune=tune)
    for part in parts:
        yield Rows(log.user_of_row.astype(np.int32), item, log.label, part.code)


def run(peer: str, everything: Sequence[Rows], threads: int) -> Line:
    """Fit `peer` fold by fold."""
    low, high = (float(end(everything[0].rating)) for end in (np.min, np.max))
    errors, found = [], []
    for rows in everything:
        found.append(one := ask(peer, rows, grid=GRIDS[peer], threads=threads))
        errors.append(np.clip(one.predicted, low, high) - rows.rating[rows.code == TEST])
    return _line(f"{peer} ({found[0].peer})", found, np.concatenate(errors))


def _line(name: str, found: Sequence[Found], error: Any) -> Line:
    rmse, mae = float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error)))
    seconds, memory = sum(one.seconds_fit for one in found), max(one.peak_mb for one in found)
    return Line(name, rmse, mae, seconds, memory, [one.settings for one in found])


def ours(document: Mapping[str, Any]) -> Iterator[Line]:
    """The methods in the JSON of ``headstart compare``; seconds hold the personal models too."""
    for row in document["methods"]:
        pooled = row["pooled"]
        yield Line(
            f"headstart {row['name']}", pooled["rmse"], pooled["mae"], row["fit_seconds"], None, [row["settings"]]
        )


def main() -> int:
    """Run the peers that are named, and print and write the table."""
    asked = argparse.ArgumentParser(prog="python -m headstart.bench.peers.folds", description=__doc__)
    asked.add_argument("dataset")
    asked.add_argument("--data-dir", type=Path)
    asked.add_argument("--folds", type=int, default=5)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--tune", type=float, default=0.2)
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--peers", default=",".join(GRIDS))
    asked.add_argument("--ours", type=Path, help="what headstart compare --json wrote for these folds")
    asked.add_argument("--json", type=Path)
    given = asked.parse_args()
    try:
        everything = list(folds(given.dataset, given.data_dir, given.folds, given.seed, given.tune))
        lines = list(ours(json.loads(given.ours.read_text(encoding="utf-8")))) if given.ours else []
        for peer in given.peers.split(","):
            lines.append(run(peer, everything, given.threads))
    except HeadstartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in sorted(lines, key=lambda line: line.rmse):
        memory = f"{line.peak_mb:7.0f} MB" if line.peak_mb else " " * 10
        print(f"{line.name:40} RMSE {line.rmse:.4f}  MAE {line.mae:.4f}  {line.seconds or 0:8.1f} s  {memory}")
    if given.json:
        given.json.write_text(json.dumps([asdict(line) for line in lines], indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
