"""Center: the mean is removed.

    x (d,) --x - mean in float64, rounded once--> y (d,) --y + mean in float64, rounded once--> x̂ (d,)

Where rows lie far from zero, this is where float64 input keeps what makes its rows differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, registry
from codeword.base import F32, State, Transform, array
from codeword.sources import Rows
from codeword.training.moments import ColumnMoments, Grid
from codeword.training.passes import Job, grid, moments_job

F64 = NDArray[np.float64]


@registry.register("center")
class Center(Transform):
    """Subtract the (weighted) mean of the training rows.

    The mean is exact but for one rounding of each value (see `codeword.training.moments`), so it does not depend on the order of
    the rows, and the subtraction happens in float64: float64 rows that lie 1e9 from zero keep what makes them differ.

    Attributes
    ----------
    mean : ndarray (d,) float64

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = 1e9 + np.array([[0.25, 1.0], [0.75, 3.0]])
    >>> center = cw.Center().fit(X)
    >>> center.transform(X)
    array([[-0.25, -1.  ],
           [ 0.25,  1.  ]], dtype=float32)
    """

    mean: F64

    def __init__(self) -> None:
        pass

    @property
    def offset(self) -> F64:
        """The mean, float64 (d,)."""
        self._check_fitted()
        return self.mean

    def _fit(self, X: NDArray[Any], weight: F32 | None) -> None:
        grid = Grid.of(X, weight)
        mean = ColumnMoments.of(X, weight, grid=grid).mean
        check_reach(X, grid, mean)
        self.mean, self.d_out = mean, X.shape[1]

    def _jobs(self, rows: Rows) -> list[Job[Any]]:
        return [moments_job(ColumnMoments(grid(rows)))]

    def _learned(self, rows: Rows, results: list[Any]) -> None:
        self.mean, self.d_out = results[0].mean, rows.d

    def _forward(self, X: NDArray[Any]) -> F32:
        return subtract(X, self.mean)

    def _inverse(self, Y: F32) -> F32:
        with np.errstate(over="ignore"):  # a row beyond float32 comes out as infinity
            return np.add(Y, self.mean, out=np.empty(Y.shape, np.float32), casting="same_kind", dtype=np.float64)

    def _state(self) -> State:
        return {"mean": self.mean}

    def _load(self, state: State) -> None:
        self.mean, self.d_out = array(state, "mean", np.float64, (self.d,)), self.d


def subtract(X: NDArray[Any], mean: F64) -> F32:
    """``X - mean`` in float64, rounded once to float32 (n, d).

    Raises
    ------
    ValueError
        If a difference lies beyond float32.
    """
    with np.errstate(over="ignore"):
        out: F32 = np.subtract(X, mean, out=np.empty(X.shape, np.float32), casting="same_kind", dtype=np.float64)
    if len(out) and not np.isfinite(out).all():
        checks.check_range(X - mean, "X")
    return out


def check_reach(X: NDArray[Any], grid: Grid, mean: F64) -> None:
    """Raise ValueError that names the row if a training row less the mean lies beyond float32."""
    if max(np.max(grid.high - mean), np.max(mean - grid.low)) > np.finfo(np.float32).max:
        checks.check_range(X - mean, "X")
