"""Sums over rows that no order, block or shard can change: integers.

Vectors are summed in fixed point, on a grid that is set before the pass: a value is rounded once to a multiple of its column's
grid, everything after that is exact. Totals of one number a row are exact, whatever their exponents (`Total`).

Source: Neal 2015, "Fast exact summation using small and large superaccumulators"; Demmel & Nguyen 2015, "Parallel
reproducible summation".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
# 2**50: doubles hold such integers exactly with room for rounding; a native kernel rounds by adding 1.5 * 2**52.
_VALUE_BITS = 50


def grid(largest: F64, n: int) -> NDArray[np.int32]:
    """Exponents s (per column) such that n values of magnitude up to `largest`, times 2**s, sum below 2**62 in int64."""
    bits = min(_VALUE_BITS, 62 - max(0, int(n - 1).bit_length()))
    exponent = np.frexp(np.asarray(largest, np.float64))[1]
    return np.where(largest > 0, bits - exponent, 0).astype(np.int32)


def column_range(X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest entry of each column of `X` (n, d) float32 or float64, of the same dtype."""
    if X.dtype == np.float64:
        return X.min(0) + 0.0, X.max(0) + 0.0
    return _native.column_range(X)


class Total:
    """The exact sum of float64 numbers of at least 0, in digits of 32 bits (`_native.add_to_total`).

    Examples
    --------
    >>> total = Total().add(np.array([1e300, 1e-300, 1.0])).add(np.array([1e-300]))
    >>> float(total), Total().add(np.array([0.5, 0.25]), np.array([2, 4], np.float32)) == Total(2.0)
    (1e+300, True)
    """

    def __init__(self, value: float = 0.0) -> None:
        self.digits: I64 = np.zeros(_native.TOTAL_DIGITS, np.int64)
        """(TOTAL_DIGITS,) int64, each from 0 to 2**32 - 1: digit i counts ``2**(32 * i - 1074)``."""
        if value:
            self.add(np.array([value]))

    def add(self, values: F64, weight: NDArray[Any] | None = None) -> Total:
        """Add the values (n,), each times its weight (n,), a product being rounded to float64; returns itself."""
        if weight is not None and weight.dtype == np.float64:
            values, weight = values * weight, None
        _native.add_to_total(values, weight, self.digits)
        return self

    def plus(self, other: Total) -> Total:
        """The sum of both, as a new object."""
        both = Total()
        both.digits = self.digits + other.digits
        _native.add_to_total(np.zeros(1), None, both.digits)  # passes carries on
        return both

    def __float__(self) -> float:
        """The sum, rounded once."""
        return int.from_bytes(self.digits.astype("<u4").tobytes(), "little") / (1 << 1074)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Total) and np.array_equal(self.digits, other.digits)

    __hash__ = None  # type: ignore[assignment]


def total(values: F64, weight: F32 | None = None) -> float:
    """The exact sum of values (n,) of at least 0, each times its weight (n,), rounded once."""
    return float(Total().add(np.ascontiguousarray(values), weight))
