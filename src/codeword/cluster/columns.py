"""The columns of a table as a detector of outliers sees them: two views of each on a robust scale, and how far out in its tails.

    rows (n, d) --median, scale--> z (n, d) --> linear view, logarithmic view (n, d) float32
                --ranks among the rows learned from--> tail surprise (n, d)

The logarithmic view, ``sign(z) log(1 + |z|)``, keeps long-tailed columns from deciding alone; the linear one, in units of the mean
deviation, sees how far out the far-out is. A categorical column counts by how rare its value is. A column that was constant shows
values that are not that constant as far out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword.powers import log

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_FARTHEST = 1000.0
_QUANTILES = 1024
# The interquartile range of a normal distribution of variance 1.
_NORMAL_RANGE = 1.349


class Columns(NamedTuple):
    """What was learned of d columns."""

    median: F64
    """(d,)"""
    spread: F64
    """(d,) interquartile range over that of a normal distribution; the standard deviation where it is 0; 0 for constant columns."""
    deviation: F64
    """(d,) mean absolute deviation from the median."""
    ends: F64
    """(d, q) quantiles in rising order, all values where there are few."""

    @classmethod
    def of(cls, X: F64) -> Columns:
        """Learn from rows `X` (n, d) without missing values."""
        ordered = np.sort(X, axis=0)
        n = len(ordered)
        median = _at(ordered, 0.5)
        spread = (_at(ordered, 0.75) - _at(ordered, 0.25)) / _NORMAL_RANGE
        off = X - median
        # Sums down sorted columns in one order, whatever the order of the rows.
        deviation = np.cumsum(np.sort(np.abs(off), axis=0), axis=0)[-1] / n
        standard = np.sqrt(np.cumsum(np.sort(off * off, axis=0), axis=0)[-1] / n)
        spread = np.where(spread > 0, spread, standard)
        places = np.unique(np.rint(np.linspace(0, n - 1, min(n, _QUANTILES))).astype(np.int64))
        return cls(median, spread, deviation, np.ascontiguousarray(ordered[places].T))

    def linear(self, X: F64) -> F32:
        """The linear view (n, d)."""
        return self._scaled(X, self.deviation).astype(np.float32, order="C")

    def logarithmic(self, X: F64) -> F32:
        """The logarithmic view (n, d)."""
        z = self._scaled(X, self.spread)
        return np.copysign(log(1.0 + np.abs(z)), z).astype(np.float32, order="C")

    def surprise(self, X: F64) -> F64:
        """``-log`` of the share of rows as far out, on the same side (n, d); at most that of one row."""
        out = np.empty(X.shape)
        for j, ends in enumerate(self.ends):
            values, table = _surprises(ends)
            place = np.searchsorted(values, X[:, j])
            met = values[np.minimum(place, len(values) - 1)] == X[:, j]
            out[:, j] = table[met.astype(np.intp), place]
        return out

    def _scaled(self, X: F64, scale: F64) -> F64:
        off = X - self.median
        z = np.where(scale > 0, off / np.where(scale > 0, scale, 1.0), np.sign(off) * _FARTHEST)
        return np.clip(z, -_FARTHEST, _FARTHEST)


def _surprises(ends: F64) -> tuple[F64, F64]:
    """The values among sorted `ends` (q,), and a table (2, values + 1) of surprises: before each value, and at it."""
    values, counts = np.unique(ends, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)])
    upto = np.stack([before, np.concatenate([before[1:], before[-1:]])])
    share = np.minimum(upto, len(ends) - before) + 0.5
    return values, -log(np.minimum(share / (len(ends) + 1.0), 1.0))


def _at(ordered: F64, share: float) -> F64:
    """A quantile of each column of sorted rows (n, d), between neighbours in a straight line."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return np.asarray(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def rarity(counts: F64) -> F64:
    """How rare each category is (k + 1,): ``log`` of the commonest one's count over its own; the last is for those never seen."""
    all_counts = np.concatenate([counts, [0.0]]) + 0.5
    return log(all_counts.max() / all_counts)
