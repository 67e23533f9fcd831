"""A codebook that follows a stream: every block of rows is assigned once, and codewords move to the means of all their rows.

    codebook, counts, block (n, d) --assign--> means and weights of the block --weighted mean with the old ones--> codebook, counts

With a half-life rows fade: a row weighs ``2**(-age / half_life)``, its age being the rows that came after it. Codewords then follow data
that move, and one that has hardly a row left is moved to where rows are far from theirs.

Source: MacQueen 1967, "Some methods for classification and analysis of multivariate observations", a block at a time; exponential
forgetting as in recursive least squares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword.powers import exp2
from codeword.training import kmeans
from codeword.training.moments import ColumnMoments
from codeword.training.nearest import Rows, nearest, pack
from codeword.training.statistics import repair

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# A codeword of average weight falls below this share of the average in five half-lives without a row.
_FORGOTTEN = 1 / 32


class Stream(NamedTuple):
    """What is known of the rows so far."""

    codebook: F32
    """(k, d) float32."""
    counts: F64
    """(k,) weight of the rows of each codeword."""
    variance: F64
    """(d,) of each column."""


def follow(old: Stream, A: F32, weight: F32 | None, half_life: float | None) -> Stream:
    """Average a block of rows `A` (n, d) of weights (n,) into the codebook; the last row is the newest."""
    if half_life is not None:
        fading = exp2(np.arange(1 - len(A), 1) / half_life).astype(np.float32)
        weight = fading if weight is None else weight * fading
        old = old._replace(counts=old.counts * exp2(-len(A) / half_life))
    if weight is not None and not weight.any():
        return old
    cells = kmeans.Cells(A, len(old.codebook), weight)
    labels, squares = nearest(A, pack([old.codebook]), 2 * old.codebook.size, distances=True)
    assert squares is not None
    cells.take(labels[:, 0], squares[:, 0])
    codebook, counts = average(old.codebook, old.counts, cells)
    variance = _pooled_variance(old, ColumnMoments.of(A, weight), float(cells.counts().sum()))
    if half_life is not None:
        forgotten = counts < _FORGOTTEN * counts.mean()
        cells.mass = np.where(forgotten, 0, 1)  # what `repair` takes for empty
        moved = np.flatnonzero(forgotten)[: repair(codebook, cells)]
        counts[moved] = np.minimum(1.0, _FORGOTTEN * counts.mean())
    return Stream(codebook, counts, variance)


def average(codebook: Rows, counts: F64, cells: kmeans.Cells) -> tuple[Rows, F64]:
    """Codewords (k, d) that are means of rows of weights `counts` (k,), and those weights, after the rows of `cells`."""
    new = cells.counts()
    after = counts + new
    share = np.where(new > 0, new / np.maximum(after, np.finfo(np.float64).tiny), 0.0)[:, None]
    start = codebook.astype(np.float64)
    moved = start + share * (cells.step_to_means(codebook).astype(np.float64) - start)
    return moved.astype(codebook.dtype), after


def _pooled_variance(old: Stream, new: ColumnMoments, n_new: float) -> F64:
    """Variance of all rows so far; the mean of the old ones is the weighted mean of the codewords (Chan, Golub & LeVeque 1983)."""
    n_old = float(old.counts.sum())
    if n_old == 0:
        return new.variance
    mean = np.add.reduce(old.codebook.astype(np.float64) * old.counts[:, None], axis=0) / n_old
    between = (new.mean - mean) ** 2 * n_old * n_new / (n_old + n_new)
    pooled: F64 = (old.variance * n_old + new.variance * n_new + between) / (n_old + n_new)
    return pooled
