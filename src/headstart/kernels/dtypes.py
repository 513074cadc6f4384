"""The number types of the house, each with its reason."""

from __future__ import annotations

import numpy as np

# Features, labels, weights, stored coefficients: half the memory traffic of float64, and kernels are bound by memory.
REAL = np.float32
# Sums over many rows: float32 loses the last events of a long log.
SUM = np.float64
# Row numbers: a log may hold more than 2^31 events or non-zeros.
ROW = np.int64
# Column numbers of features and codes of items: 2^31 is enough, and half the bytes.
COLUMN = np.int32
# Column numbers of CSR features where there are few: a stored value then takes 6 bytes, not 8.
NARROW = np.int16
