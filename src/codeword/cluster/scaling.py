"""Columns on one scale, so that none decides because of its unit: a shift and a unit each, learned from rows.

rows (n, d) --median, interquartile range--> (x - shift) / unit
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
KINDS = ("robust", "standard", "none")
# The interquartile range of a normal distribution of variance 1.
_NORMAL_RANGE = 1.349


class Scaling(NamedTuple):
    """Shift and unit of d columns.

    Examples
    --------
    >>> X = np.array([[1.0, 10.0], [2.0, 30.0], [3.0, 20.0], [4.0, 1e6]])
    >>> scaling = Scaling.of(X, "robust")
    >>> scaling.shift
    array([ 2.5, 25. ])
    >>> bool(np.allclose(scaling.back(scaling.apply(X)), X))
    True
    """

    shift: F64
    """(d,)"""
    unit: F64
    """(d,) above 0; 1 for constant columns."""

    @classmethod
    def of(cls, X: F64, kind: str = "robust") -> Scaling:
        """Learn from rows `X` (n, d).

        Parameters
        ----------
        kind : {"robust", "standard", "none"}
            Median and interquartile range (over 1.349, that of a normal distribution; the standard deviation where it is 0), mean and
            standard deviation, or nothing.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}")
        d = X.shape[1]
        if kind == "none":
            return cls(np.zeros(d), np.ones(d))
        shift, unit = X.mean(axis=0), X.std(axis=0)
        if kind == "robust":
            low, shift, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
            unit = np.where(high > low, (high - low) / _NORMAL_RANGE, unit)
        return cls(shift, np.where(unit > 0, unit, 1.0))

    def apply(self, X: F64) -> F64:
        """Rows `X` (n, d) on the scale."""
        return (X - self.shift) / self.unit

    def back(self, Z: F64) -> F64:
        """The inverse of `apply`."""
        return Z * self.unit + self.shift
