"""Normalize: every row is divided by its length.

    x (d,) --x / |x| in float64, rounded once--> y (d,), |y| = 1 --as it is--> x̂ (d,)

The lengths are not kept: what comes back are unit rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, registry
from codeword.base import F32, Transform
from codeword.lanes import unit_rows
from codeword.sources import Rows
from codeword.training.passes import Job

F64 = NDArray[np.float64]
_BLOCK_ELEMENTS = 1 << 18


@registry.register("normalize")
class Normalize(Transform):
    """Scale rows to unit length, for data of which only the direction matters (cosine similarity).

    The length is not stored anywhere: `inverse_transform` returns the unit rows as they are, and distances to the original rows are
    lost. It learns nothing but the width.

    Raises
    ------
    ValueError
        For a row of zeros, which has no direction; the message names the first one.

    Examples
    --------
    >>> import codeword as cw
    >>> cw.Normalize().fit_transform([[3.0, 4.0], [0.0, 2.0]])
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """

    def __init__(self) -> None:
        pass

    def _fit(self, X: NDArray[Any], weight: F32 | None) -> None:
        if X.dtype == np.float64:
            checks.check_range(X, "X")
            checks.narrow(np.concatenate([_unit(X[i : i + 1024], i) for i in range(0, len(X), 1024)]), "X")
        else:
            self._forward(X)  # names a row of zeros now rather than at the first encode
        self.d_out = X.shape[1]

    def _jobs(self, rows: Rows) -> list[Job[Any]]:
        return []

    def _learned(self, rows: Rows, results: list[Any]) -> None:
        self.d_out = rows.d

    def _forward(self, X: NDArray[Any]) -> F32:
        if X.dtype == np.float64 and len(X):
            checks.check_range(X, "X")
        out = np.empty(X.shape, np.float32)
        step = max(16, _BLOCK_ELEMENTS // X.shape[1])
        for start in range(0, len(X), step):
            out[start : start + step] = _unit(X[start : start + step], start)
        return out

    def _inverse(self, Y: F32) -> F32:
        return Y

    def _load(self, state: Any) -> None:
        self.d_out = self.d


def _unit(X: NDArray[Any], first: int) -> F64:
    """Rows `X` (n, d) divided by their lengths, float64; `first` is the number of the first row, for the message."""
    directed = X.any(axis=1)
    if not directed.all():
        row = int(np.argmin(directed))
        raise ValueError(f"X: expected rows with a direction, got only zeros in row {first + row}; drop such rows first")
    return unit_rows(X)
