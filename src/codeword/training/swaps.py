"""Out of a local minimum of k-means: a cell that is best cut in two gets the codeword of two cells that are best made one.

    codebook (k, d) --cut the cells of most distortion, join the closest pairs--> codebook (k, d) --lloyd--> kept where it is better

Joining cells a, b costs at most ``m_a m_b / (m_a + m_b) |c_a - c_b|²`` (Ward 1963); what a cut gains is measured by 2-means in its
cell. Swaps that gain more than they cost are made all at once, each cell in one of them.
Source: Fritzke 1997, "The LBG-U method for vector quantization"; Lattanzi & Sohler 2019, "A better k-means++ algorithm via local
search" (for why single swaps leave bad minima).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.training.lloyd import exactly, lloyd
from codeword.training.statistics import Plan, Survey

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
# The matrix of all pairs of codewords is made: 32 MB of float64.
_MOST_CODEWORDS = 2048
_LEAST_CUTS, _CUT_SHARE = 4, 4
_CUT_PASSES, _PASSES = 4, 8
_TOL = 1e-4


class Cut(NamedTuple):
    """A cell cut in two."""

    cell: int
    gain: float
    """Distortion (a sum over rows) that it takes away."""
    pair: F32
    """(2, d)"""


def improved(X: F32, codebook: F32, weight: F32 | None, rounds: int) -> tuple[F32, float]:
    """A codebook (k, d) at least as good on rows `X` (n, d), and its distortion, a weighted sum over the rows."""
    eligible = np.ones(len(X), np.bool_)
    plan, assign = Plan.of(Survey.of(X, weight)), exactly(X)
    labels, squares = assign(codebook, None)
    total = _sum(squares, weight)
    for _ in range(rounds if 2 < len(codebook) <= _MOST_CODEWORDS else 0):
        swapped = _swapped(X, codebook, labels, squares, weight)
        if swapped is None:
            break
        made = lloyd(X, swapped, weight, _PASSES, _TOL, eligible, plan=plan, assign=assign).codebook
        now, squares_now = assign(made, None)
        less = _sum(squares_now, weight)
        if less >= total:
            break
        enough = less < (1 - _TOL) * total
        codebook, labels, squares, total = made, now, squares_now, less
        if not enough:
            break
    return codebook, total


def _sum(squares: F64, weight: F32 | None) -> float:
    return float(np.add.reduce(squares if weight is None else squares * weight))


def _swapped(X: F32, codebook: F32, labels: I32, squares: F64, weight: F32 | None) -> F32 | None:
    """The codebook after all swaps that pay; None where none does."""
    k = len(codebook)
    mass = np.bincount(labels, weight, k)
    loss = np.bincount(labels, squares if weight is None else squares * weight, k)
    cost = _native.pairwise_sqdist(codebook, codebook)
    cost *= mass[:, None] * mass / np.maximum(mass[:, None] + mass, np.finfo(np.float64).tiny)
    np.fill_diagonal(cost, np.inf)
    worst = np.lexsort((np.arange(k), -loss))[: max(_LEAST_CUTS, k // _CUT_SHARE)]
    cheapest = float(cost.min())
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(k + 1))
    cuts = [
        _cut(X, codebook, order[starts[c] : starts[c + 1]], int(c), float(loss[c]), weight) for c in worst if loss[c] > cheapest
    ]
    new, swaps = codebook.copy(), 0
    for cut in sorted(cuts, key=lambda cut: -cut.gain):
        one = cost[cut.cell].copy()
        cost[cut.cell] = cost[:, cut.cell] = np.inf
        a, b = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if not cost[a, b] < cut.gain:
            cost[cut.cell] = cost[:, cut.cell] = one
            continue
        both = mass[a] + mass[b]
        share = mass[a] / both if both > 0 else 1.0
        new[a] = (share * codebook[a].astype(np.float64) + (1 - share) * codebook[b]).astype(np.float32)
        new[cut.cell], new[b] = cut.pair
        for used in (a, b):
            cost[used] = cost[:, used] = np.inf
        swaps += 1
    return new if swaps else None


def _cut(X: F32, codebook: F32, rows: NDArray[np.int64], cell: int, loss: float, weight: F32 | None) -> Cut:
    """2-means in a cell, from its codeword and its farthest row."""
    A, mass = X[rows], None if weight is None else weight[rows]
    far = A[int(np.argmax(_native.pairwise_sqdist(A, codebook[cell : cell + 1])[:, 0]))]
    start = np.stack([codebook[cell], far])
    pair = lloyd(A, start, mass, _CUT_PASSES, 0.0, np.ones(len(A), np.bool_), relaxation=1.0).codebook
    return Cut(cell, loss - _sum(exactly(A)(pair, None)[1], mass), pair)
