"""A user's own ratings and nothing else: a mean, and a bias for each item that the user rated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM
from headstart.models.family import Orders, Ragged


def own_items(
    owner: NDArray[np.int64],
    item: NDArray[np.int32],
    rating: NDArray[np.float64],
    weight: NDArray[np.float32],
    orders: Orders,
    l2: tuple[float, float],
) -> tuple[NDArray[np.float64], Ragged, Ragged]:
    """Mean of each user's ratings, the codes of the rated items, and their biases after the ordered steps from 0.

    Minimises 1/2 sum_i w_i (r_i - mean - c_i)^2 + sum_c (l2[0] + l2[1] W_c + pull)/2 c^2 for each user, W_c being the
    weights of the item's rows, by steps of rate / (the largest curvature). The problem is diagonal, so that the steps
    have a closed form.

    Parameters
    ----------
    owner : int64 (n,), number of the user of each row, ascending; rows of a weight above 0 only
    item, rating, weight : of each row (n,), ratings less offsets; unknown items, -1, have no bias
    orders : of U users
    l2 : of an item, and of each of its rows

    Returns
    -------
    mean float64 (U,), 0 for users without rows; codes int32, ascending for each user, and biases float32
    """
    users = len(orders.steps)
    w = weight.astype(SUM)
    mean = np.bincount(owner, w * rating, users) / np.maximum(np.bincount(owner, w, users), np.finfo(SUM).tiny)
    rated = np.flatnonzero(item >= 0)
    order = rated[np.lexsort((item[rated], owner[rated]))]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (owner[order][1:] != owner[order][:-1]) | (item[order][1:] != item[order][:-1])
    cell, begin = np.cumsum(fresh) - 1, order[fresh]
    of = owner[begin]
    total = np.bincount(cell, w[order], len(begin))
    wanted = np.bincount(cell, (w * (rating - mean[owner]))[order], len(begin))
    curvature = total * (1 + l2[1]) + l2[0] + orders.pull[of]
    largest = np.zeros(users)
    np.maximum.at(largest, of, curvature)
    with np.errstate(over="ignore", invalid="ignore"):  # too large a rate runs away, and is counted by the caller
        left = (1 - orders.rate[of] * curvature / largest[of]) ** orders.steps[of]
        biases = (wanted / curvature * (1 - left)).astype(REAL)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=users))]).astype(ROW)
    return mean, Ragged(item[begin].astype(COLUMN), indptr), Ragged(biases, indptr)
