"""Named number arrays as one Arrow IPC file: one row, a large list for each array; read by memory map, without a copy.

The field of an array carries its dtype and shape as metadata, so any Arrow reader can show the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.errors import ModelError
from headstart.store.tables import damaged, read_batch, write_batch

_KIND = "headstart.arrays"


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write booleans, integers, floats or complex numbers of any shape, atomically.

    Raises
    ------
    ModelError
        where an array holds something else
    """
    columns, fields = [], []
    for name, array in arrays.items():
        values = plain(np.ravel(np.asarray(array), order="C"), name)
        columns.append(pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), pa.array(values)))
        about = {"dtype": np.asarray(array).dtype.newbyteorder("<").str, "shape": json.dumps(np.shape(array))}
        fields.append(pa.field(name, columns[-1].type, metadata=about))
    write_batch(file, pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)), _KIND)


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote: read-only views on the mapped file.

    Raises
    ------
    ModelError
        where the file is missing, damaged or something else
    """
    batch = read_batch(file, _KIND)
    with damaged(file):
        return {field.name: _array(column, field) for field, column in zip(batch.schema, batch.columns, strict=True)}


def _array(column: pa.LargeListArray, field: pa.Field) -> NDArray[Any]:
    shape = tuple(json.loads(field.metadata[b"shape"]))
    values = typed(column.values, field.metadata[b"dtype"].decode())
    if len(column) != 1 or math.prod(shape) != len(values):
        raise ValueError(f"array {field.name!r} has {len(values)} values where its shape is {shape}")
    return values.reshape(shape)


def plain(values: NDArray[Any], name: str) -> NDArray[Any]:
    """The numbers of a flat array in a dtype that Arrow holds as it is: little-endian, booleans as bytes."""
    kind = values.dtype.kind
    if kind not in "biufc" or values.dtype.itemsize > (16 if kind == "c" else 8):
        raise ModelError(f"array {name!r} holds {values.dtype}; only numbers of up to 64 bits can be stored")
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    if kind == "b":
        return values.view(np.uint8)
    return values.view(f"<f{values.dtype.itemsize // 2}") if kind == "c" else values


def typed(values: pa.Array, dtype: str) -> NDArray[Any]:
    """The inverse of `plain`, a view; `dtype` as numpy writes it, such as ``<f4``."""
    if np.dtype(dtype).kind not in "biufc":
        raise ValueError(f"{dtype} is no type of number")
    array: NDArray[Any] = values.to_numpy(zero_copy_only=True).view(dtype)
    return array
