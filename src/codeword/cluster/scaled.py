"""Rows in the form that the trainer takes: float32 as they are; float64 about a centre, in units of a power of two.

Both steps keep float64 what it is: the subtraction is rounded once, as in any k-means, and a power of two changes no digit. They are
what lets float32 filters discard codewords for float64 rows (docs/exactness.md), however far from zero the rows lie.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword.training.moments import ColumnMoments

Rows = NDArray[Any]
F64 = NDArray[np.float64]


class Frame(NamedTuple):
    """Where zero is and what one is."""

    centre: F64 | None
    """(d,); None for float32 rows, which stay as they are."""
    exponent: int = 0

    @classmethod
    def about(cls, centre: F64, *rows: Rows) -> Frame:
        """The frame about `centre` (d,) in which the float64 rows (n, d) are of magnitude 1 and below."""
        with np.errstate(over="ignore"):
            largest = max(float(np.abs(A - centre).max(initial=0.0)) for A in rows)
        return cls(centre, int(np.frexp(largest)[1]) if 0 < largest < np.inf else 0)

    def into(self, X: Rows) -> Rows:
        """Rows `X` (n, d) in this frame, C-contiguous."""
        if self.centre is None:
            return np.ascontiguousarray(X, np.float32)
        moved = X - self.centre
        return np.ldexp(moved, -self.exponent, out=moved)

    def back(self, W: Rows) -> Rows:
        """The inverse of `into`."""
        return W if self.centre is None else np.ldexp(W, self.exponent) + self.centre

    def square(self, value: float) -> float:
        """A squared distance of this frame in units of the rows."""
        return float(np.ldexp(value, 2 * self.exponent))


def framed(X: Rows, weight: Rows | None = None) -> tuple[Rows, Frame, float]:
    """Rows `X` (n, d) float32 or float64 about their mean, by weights (n,); the frame; the mean variance of the columns in it.

    Mean and variance are sums that no order of the rows changes.
    """
    moments = ColumnMoments.of(X, None if weight is None else weight.astype(np.float32))
    frame = Frame(None) if X.dtype == np.float32 else Frame.about(moments.mean, X)
    return frame.into(X), frame, float(np.ldexp(moments.variance, -2 * frame.exponent).mean())
