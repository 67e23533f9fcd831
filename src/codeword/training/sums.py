"""Sums over rows that no order, block or shard can change: fixed-point integers whose grid is set before the pass.

Source: Neal 2015, "Fast exact summation using small and large superaccumulators"; Demmel & Nguyen 2015, "Parallel
reproducible summation". A value is rounded once to a multiple of its column's grid; everything after that is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
# 2**50: doubles hold such integers exactly with room for rounding; a native kernel rounds by adding 1.5 * 2**52.
_VALUE_BITS = 50
_NARROW = 32


def grid(largest: F64, n: int) -> NDArray[np.int32]:
    """Exponents s (per column) such that n values of magnitude up to `largest`, times 2**s, sum below 2**62 in int64."""
    bits = min(_VALUE_BITS, 62 - max(0, int(n - 1).bit_length()))
    exponent = np.frexp(np.asarray(largest, np.float64))[1]
    return np.where(largest > 0, bits - exponent, 0).astype(np.int32)


def column_range(X: F32) -> tuple[F32, F32]:
    """Lowest and highest entry of each column of `X` (n, d)."""
    if X.shape[1] < _NARROW:
        X = np.ascontiguousarray(X.T)  # NumPy reduces long rows several times faster than short ones
        return X.min(1), X.max(1)
    return X.min(0), X.max(0)


def total(values: F64, weight: F32 | None = None) -> float:
    """Sum of float64 values of at least 0, the same for any order of them; relative error below 2**-30 for 2**31 values."""
    if weight is not None:
        values = values * weight
    if not len(values):
        return 0.0
    shift = int(grid(np.array([values.max()]), len(values))[0])
    return float(np.ldexp(float(int(np.rint(np.ldexp(values, shift)).astype(np.int64).sum())), -shift))
