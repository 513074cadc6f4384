"""MovieTweetings, a snapshot (Dooms et al., CrowdRec 2013), from the user's own folder: ratings.dat, movies.dat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.data.roles import FeatureSettings, Roles
from headstart.datasets.dataset import Dataset
from headstart.datasets.films import genre_flags, release_years
from headstart.datasets.sources import Kind, find_folder, integers, lookup, read_columns
from headstart.progress import Progress, silent

NAME = "movietweetings"
FILES = ("ratings.dat", "movies.dat")
KINDS: dict[str, Kind] = {"user_id": np.int32, "movie_id": np.int32, "rating": np.int8, "time": np.int64}


def build(data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """Read the folder; `memory` is not needed.

    Columns: user_id, movie_id int32 (the IMDb number); rating int8 (0 to 10); time int64 (seconds since 1970);
    genre_* int8 flags; year int16.
    """
    folder = find_folder(NAME, FILES, data_dir)
    data, item = (folder / file for file in FILES)
    ratings = read_columns(data, "::", tuple(KINDS))
    progress(NAME, 1, 2)
    films = read_columns(item, "::", ("movie_id", "title", "genres"))

    numbers = {name: integers(data, name, ratings[name], kind) for name, kind in KINDS.items()}
    film = lookup(integers(item, "movie_id", films["movie_id"], np.int32), numbers["movie_id"], "movies.dat")
    flags = {name: flag[film] for name, flag in genre_flags(films["genres"]).items()}
    table = pa.table(
        {
            **numbers,
            **flags,
            "year": release_years(films["title"]).take(pa.array(film)),
        }
    )
    progress(NAME, 2, 2)
    return Dataset(
        NAME,
        "one person's rating of one film, tweeted (MovieTweetings)",
        table,
        Roles(user="user_id", item="movie_id", time="time").with_label("rating>=8"),
        FeatureSettings(item_statistics=True, bags=(("item", (*flags, "year")),)),
    )
