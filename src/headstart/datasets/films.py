"""What film data sets share: genre flags and the year of release."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_YEAR = re.compile(r"\((\d{4})\)")
_NO_GENRE = ("", "(no genres listed)")


def genre_column(genre: str) -> str:
    """Name of the flag of a genre: ``Film-Noir`` becomes ``genre_film_noir``."""
    return "genre_" + re.sub(r"\W+", "_", genre.replace("'", "").lower()).strip("_")


def genre_flags(genres: Sequence[str]) -> dict[str, NDArray[np.int8]]:
    """A flag of 0 or 1 for every genre that occurs in texts such as ``Comedy|Drama``, in alphabetical order."""
    split = [[genre for genre in text.split("|") if genre not in _NO_GENRE] for text in genres]
    flags = {genre_column(genre): np.zeros(len(genres), np.int8) for genre in sorted({g for row in split for g in row})}
    for row, found in enumerate(split):
        for genre in found:
            flags[genre_column(genre)][row] = 1
    return flags


def release_years(titles: Sequence[str]) -> pa.Array:
    """The last ``(1995)`` in each title as int16, null where there is none."""
    found = [_YEAR.findall(title) for title in titles]
    return pa.array([int(years[-1]) if years else None for years in found], pa.int16())
