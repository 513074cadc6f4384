"""MovieLens 100K (GroupLens, 1998), from the user's own folder: u.data, u.item, u.user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.data.roles import FeatureSettings, Roles
from headstart.datasets.dataset import Dataset
from headstart.datasets.films import genre_column, release_years
from headstart.datasets.sources import Kind, categories, find_folder, integers, lookup, read_columns
from headstart.progress import Progress, silent

NAME = "ml-100k"
FILES = ("u.data", "u.item", "u.user")
GENRES = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
    "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
).split("|")
KINDS: dict[str, Kind] = {"user_id": np.int32, "item_id": np.int32, "rating": np.int8, "time": np.int64}


def build(data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """Read the folder; `memory` is not needed.

    Columns: user_id, item_id int32; rating int8 (1 to 5); time int64 (seconds since 1970); genre_* int8 (19 flags);
    year int16, null if unknown; age int16; gender, occupation dictionary strings.
    """
    folder = find_folder(NAME, FILES, data_dir)
    data, item, user = (folder / file for file in FILES)
    ratings = read_columns(data, "\t", tuple(KINDS))
    progress(NAME, 1, 3)
    films = read_columns(item, "|", ("item_id", "title", "released", "video", "url", *GENRES), "latin-1")
    people = read_columns(user, "|", ("user_id", "age", "gender", "occupation", "zip"))
    progress(NAME, 2, 3)

    numbers = {name: integers(data, name, ratings[name], kind) for name, kind in KINDS.items()}
    film = lookup(integers(item, "item_id", films["item_id"], np.int32), numbers["item_id"], "u.item")
    person = lookup(integers(user, "user_id", people["user_id"], np.int32), numbers["user_id"], "u.user")
    flags = {genre_column(name): integers(item, name, films[name], np.int8)[film] for name in GENRES}
    table = pa.table(
        {
            **numbers,
            **flags,
            "year": release_years(films["title"]).take(pa.array(film)),
            "age": integers(user, "age", people["age"], np.int16)[person],
            "gender": categories(people["gender"]).take(pa.array(person)),
            "occupation": categories(people["occupation"]).take(pa.array(person)),
        }
    )
    progress(NAME, 3, 3)
    bags = (("item", (*flags, "year")), ("user", ("age", "gender", "occupation")))
    return Dataset(
        NAME,
        "one person's rating of one film (MovieLens 100K)",
        table,
        Roles(user="user_id", item="item_id", time="time").with_label("rating>=4"),
        FeatureSettings(item_statistics=True, bags=bags),
    )
