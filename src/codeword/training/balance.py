"""Cells of limited size: no codeword has more rows than a given multiple of their mean number.

    labels of the nearest --rows of overfull cells that lose least--> cells with room --means--> codebook, and again

Lloyd's passes as always, with another assignment: where a cell has too many rows, those whose squared distance grows least
when they go to the nearest cell with room move there, until no cell is overfull. A full cell takes no more rows, so that ends
after at most k rounds (some dozens, with the slack that a limit of 1.1 leaves). Source: the greedy step of balanced k-means after
Malinen & Fränti 2014, whose assignment problem is solved in full, in O(n³).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.training import sums
from codeword.training.lloyd import Assign, Training, lloyd
from codeword.training.statistics import Plan

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Finder = Callable[[F32], Assign]
"""From rows to their assignment to near codewords."""
_PASSES = 12


@dataclass(frozen=True, eq=False)
class Balance:
    """What limited cells came out as."""

    limit: int
    """Most rows of a cell."""
    labels: I32
    """(n,) cell of each row given to `fit`; -1 for outliers that were left out."""
    largest: int
    """Rows of the largest cell, at most `limit`."""
    cost: float
    """Distortion of the rows in these cells, over that in the cells of the unbalanced codebook that training began with, less 1."""
    largest_nearest: int
    """Rows of the largest cell where every row goes to its nearest codeword, as `encode` does: not limited."""


class Limited:
    """Assigns rows `X` (n, d) to near codewords, at most `limit` to each."""

    def __init__(self, X: F32, limit: int, finder: Finder) -> None:
        self._X, self._limit, self._find, self._finder = X, limit, finder(X), finder
        self.nearest: I32 | None = None
        """(n,) nearest codewords, whatever the limit, at the last assignment."""

    def __call__(self, codebook: F32, progress: Any) -> tuple[I32, F64]:
        labels, squares = self._find(codebook, progress)
        self.nearest, labels, squares = labels, labels.copy(), squares.copy()
        counts = np.bincount(labels, minlength=len(codebook))
        while counts.max() > self._limit:
            self._relieve(codebook, labels, squares, counts)
            counts = np.bincount(labels, minlength=len(codebook))
        return labels, squares

    def _relieve(self, codebook: F32, labels: I32, squares: F64, counts: I64) -> None:
        """Bring every overfull cell down to the limit, whatever that does to the cells which have room now."""
        rows = np.flatnonzero(counts[labels] > self._limit)
        roomy = np.flatnonzero(counts < self._limit)
        found, farther = self._finder(self._X[rows])(codebook[roomy], None)
        order = np.lexsort((rows, farther - squares[rows], labels[rows]))
        cells = labels[rows[order]]
        place = np.arange(len(order)) - np.searchsorted(cells, cells)  # among the rows of its cell, those that lose least first
        leaving = order[place < counts[cells] - self._limit]
        labels[rows[leaving]] = roomy[found[leaving]]
        squares[rows[leaving]] = farther[leaving]


def most_rows(n: int, k: int, balance: float) -> int:
    """The limit for k cells of n rows: `balance` times their mean, and never too few for all rows."""
    return max(int(balance * n / k), -(-n // k))


def balanced(
    X: F32, result: Training, eligible: NDArray[np.bool_], limit: int, tol: float, finder: Finder, plan: Plan, label: str
) -> Balance:
    """Go on from a trained codebook with limited cells of the rows `X` (n, d). Changes `result`."""
    _, squares = finder(X)(result.codebook, None)
    before = sums.total(squares)
    assign = Limited(X, limit, finder)
    trained = lloyd(X, result.codebook, None, _PASSES, tol, eligible, label, 1.0, assign, plan)
    labels, squares = assign(trained.codebook, None)
    after = sums.total(squares)
    assert assign.nearest is not None
    result.codebook, result.counts = trained.codebook, np.bincount(labels, minlength=len(trained.codebook)).astype(np.float64)
    result.history.append(after / X.size)
    result.passes += trained.passes
    result.repaired += trained.repaired
    cost = after / before - 1 if before > 0 else 0.0
    return Balance(limit, labels, int(result.counts.max()), cost, int(np.bincount(assign.nearest).max()))
