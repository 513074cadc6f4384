"""The order of entries within each user's run."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def rank_within(start, stop, key, out):
    """Fill `out` int64 (n,) with the rank of ``key[k]`` (n,) among those of its run; equal keys keep their order.

    Run u is ``start[u]:stop[u]``; entries outside of all runs are left as they are.
    """
    for u in range(len(start)):
        first = start[u]
        order = np.argsort(key[first : stop[u]], kind="mergesort")
        for place in range(len(order)):
            out[first + order[place]] = place
