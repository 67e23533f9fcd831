"""Sums in *lane order*, the one order in which the package adds products of coordinates (ARCHITECTURE.md, Exactness).

Eight accumulators: accumulator l takes coordinates l, l + 8, ... in rising order; then ``a[l] + a[l + 4]`` (l < 4),
``b[l] + b[l + 2]`` (l < 2), ``c[0] + c[1]``. The order does not depend on how many rows are summed, nor on a BLAS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native

F64 = NDArray[np.float64]


def lane_sum(P: F64) -> F64:
    """Sum of each row of `P` (n, d) float64 in lane order, float64 (n,).

    Examples
    --------
    >>> lane_sum(np.arange(20.0).reshape(2, 10))
    array([ 45., 145.])
    """
    return _native.lane_sums(np.ascontiguousarray(P, np.float64))


def lane_dot(A: NDArray[Any], B: NDArray[Any]) -> F64:
    """Inner products of the rows of `A` and `B` (n, d), or (1, d) for all, in float64 (n,): products of float32 are exact."""
    return _native.lane_dots(np.ascontiguousarray(A, np.float64), np.ascontiguousarray(B, np.float64))


def unit_rows(X: NDArray[Any]) -> F64:
    """The rows of `X` (n, d) divided by their lengths, in float64; rows of zeros stay.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    A = X.astype(np.float64)
    # Divided by a power of two near the largest magnitude first (exact), so that no square overflows or vanishes.
    largest = np.max(np.abs(A), axis=1)
    np.ldexp(A, -np.frexp(largest)[1][:, None], out=A)
    lengths = np.sqrt(lane_sum(A * A))
    return np.divide(A, np.where(lengths > 0, lengths, 1.0)[:, None], out=A)
