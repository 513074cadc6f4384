"""Held-out events as evaluation sees them: labels, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.kernels.dtypes import REAL, ROW

NO_ROWS = np.empty(0, ROW)


@dataclass(frozen=True)
class Lists:
    """The lists that ranking metrics are taken over: all of a user's rows, or each candidate list of its own.

    Attributes
    ----------
    order : int64 (n,), rows with those of a list side by side; empty: they are so as they stand
    indptr : int64 (L + 1,), list k holds ``order[indptr[k]:indptr[k + 1]]``
    user : int64 (L,), the user of each list
    """

    order: NDArray[np.int64]
    indptr: NDArray[np.int64]
    user: NDArray[np.int64]


@dataclass(frozen=True)
class HeldOut:
    """Held-out events of U users, the rows of each side by side. Made by `held_out`.

    Attributes
    ----------
    label : float32 (n,)
    indptr : int64 (U + 1,), the rows of user u are ``indptr[u]:indptr[u + 1]``
    lists : what ranking metrics are taken over
    """

    label: NDArray[np.float32]
    indptr: NDArray[np.int64]
    lists: Lists

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows per user, int64 (U,)."""
        return np.diff(self.indptr)

    def __len__(self) -> int:
        return len(self.indptr) - 1


def held_out(
    label: NDArray[np.float32],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    lists: NDArray[np.int64] | None = None,
) -> HeldOut:
    """Gather the rows of users, in turn: the order that `ModelFamily.score` gives margins in.

    Parameters
    ----------
    label : (n,), cast to float32
    start, stop : int64 (U,), rows of user u in `label` and `lists`
    lists : int64 (n,) codes of candidate lists; None: one list a user. A list never spans two users: rows of two users
        with one code are two lists

    Raises
    ------
    DataError
        Where a label is NaN or infinite, or lengths do not fit.
    """
    if lists is not None and len(lists) != len(label):
        raise DataError(f"{len(lists)} list codes for {len(label)} labels; give one code a row")
    counts = stop - start
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(ROW)
    if not (np.array_equal(start, indptr[:-1]) and indptr[-1] == len(label)):
        rows = np.arange(indptr[-1], dtype=ROW) + np.repeat(start - indptr[:-1], counts)
        label, lists = label[rows], None if lists is None else lists[rows]
    label = np.ascontiguousarray(label, REAL)
    if len(label) and not np.isfinite(label).all():
        raise DataError(f"label {label[~np.isfinite(label)][0]} among held-out rows; drop such rows before evaluating")
    return HeldOut(label, indptr, _group(lists, indptr))


def _group(codes: NDArray[np.int64] | None, indptr: NDArray[np.int64]) -> Lists:
    """The lists of each user; sorts runs of one code, not rows, since most logs hold a list together."""
    if codes is None:
        return Lists(NO_ROWS, indptr, np.arange(len(indptr) - 1, dtype=ROW))
    first = np.zeros(len(codes), np.bool_)
    first[indptr[:-1][np.diff(indptr) > 0]] = True
    first[1:] |= codes[1:] != codes[:-1]
    begin = np.flatnonzero(first)
    length = np.diff(begin, append=len(codes))
    user = np.searchsorted(indptr, begin, side="right") - 1
    turn = np.lexsort((codes[begin], user))
    begin, length, user = begin[turn], length[turn], user[turn]
    new = np.ones(len(turn), np.bool_)
    new[1:] = (user[1:] != user[:-1]) | (codes[begin[1:]] != codes[begin[:-1]])
    if new.all():
        back = np.argsort(turn)
        return Lists(NO_ROWS, np.append(begin[back], len(codes)).astype(ROW), user[back].astype(ROW))
    at = np.cumsum(length) - length
    order = np.arange(len(codes), dtype=ROW) + np.repeat(begin - at, length)
    return Lists(order, np.append(at[new], len(codes)).astype(ROW), user[new].astype(ROW))
