"""Means, variances and covariances of rows that no block size, shard split or order of rows can change.

    X (n, d) --Grid: fixed before the pass--> integers (n, d) --exact sums--> mean (d,), variance (d,), covariance (d, d)

A value is rounded to a multiple of its column's grid, 26 bits for means and variances; everything summed after that is an
integer. For covariances 20 of the bits are kept, so that a float64 matrix product over a chunk of rows is exact in whatever
order a BLAS adds: 20 + 20 bits for a product and 13 for a chunk of 8192 rows are the 53 bits of a double. Chunks are added
up in pairs of int64.

Source: Neal 2015, "Fast exact summation using small and large superaccumulators"; Demmel & Nguyen 2015, "Parallel
reproducible summation" (fixed-point sums); Ozaki et al. 2012, "Error-free transformations of matrix multiplication".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeword import _native, runtime

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Column sums: values up to 2**26, so squares are exact; a square is split into halves of 26 bits. With weights a half times a
# digit of 16 bits, 2**11 rows: 26 + 16 + 11 <= 53.
_VALUE_BITS = 26
_COLUMN_ROWS = 1 << 11
_DIGIT_BITS = 16
# Products: values up to 2**20, 2**13 rows: 20 + 20 + 13 <= 53. With weights both values are split into halves of 10 bits:
# 10 + 10 + 16 + 13 <= 53.
_COARSE_BITS = 20
_HALF_BITS = 10
_PRODUCT_ROWS = 1 << 13
_COLUMN_CHUNK = 1 << 16  # elements of one chunk of column sums: stays in the second-level cache
_NATIVE_ELEMENTS = 1 << 26  # of one native call: well below 2**26 rows, and a fraction of a second
_PRODUCT_CHUNK = 1 << 21  # elements of one chunk of a matrix product
_TO_UPPER_HALF = 1.5 * 2.0 ** (52 + _VALUE_BITS)


@dataclass(frozen=True)
class Grid:
    """Where each column's integers lie: ``y = rint((x - shift) * 2**exponent)``, at most 2**26 in magnitude.

    Parameters
    ----------
    low, high : ndarray (d,) float64
        Exact minimum and maximum of each column over all rows of weight above 0, of all shards.
    heaviest : float, optional
        Largest weight of all rows; None where rows have no weights (each counts 1).

    Examples
    --------
    >>> grid = Grid(np.array([0.0]), np.array([8.0]))
    >>> grid.shift, grid.exponent
    (array([4.]), array([23], dtype=int32))
    """

    low: F64
    high: F64
    heaviest: float | None = None
    shift: F64 = field(init=False)
    exponent: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        low, high = self.low, self.high
        # Halves first, so that nothing overflows; a constant column is its own shift, so that its integers are exactly 0.
        shift = np.where(low == high, low, 0.5 * low + 0.5 * high)
        reach = np.maximum(high - shift, shift - low)
        # 2**exponent must be a double: below a reach of 2**-980 the grid stays where it is, and the variance underflows to 0.
        exponent = np.minimum(_VALUE_BITS - np.frexp(reach)[1], 1000)
        object.__setattr__(self, "shift", shift)
        object.__setattr__(self, "exponent", np.where(reach > 0, exponent, 0).astype(np.int32))

    @classmethod
    def of(cls, X: NDArray[Any], weight: F32 | None = None) -> Grid:
        """The grid of rows `X` (n, d) and their weights (n,); n must be at least 1."""
        if weight is None:
            return cls(*_range(X))
        used = weight > 0
        rows = X if used.all() else X[used]
        return cls(*_range(rows), float(weight.max()))

    def union(self, other: Grid) -> Grid:
        """The grid of the rows of both: what shards agree on before their passes."""
        if (self.heaviest is None) != (other.heaviest is None):
            raise ValueError("grid: expected both shards with weights or both without")
        heaviest = None if self.heaviest is None or other.heaviest is None else max(self.heaviest, other.heaviest)
        return Grid(np.minimum(self.low, other.low), np.maximum(self.high, other.high), heaviest)

    def integers(self, X: NDArray[Any], out: F64) -> F64:
        """The integers of rows `X` (n, d), as float64, in `out`."""
        np.copyto(out, X)
        np.subtract(out, self.shift, out=out)
        np.multiply(out, np.ldexp(1.0, self.exponent), out=out)
        return np.rint(out, out=out)

    def weight_digits(self, weight: F32) -> F64:
        """Weights (n,) in units of 2**-32 of the power of two above the heaviest: two digits of 16 bits, float64 (2, n).

        Weights that are whole numbers, or have 32 bits in common, are exact.
        """
        assert self.heaviest is not None
        units = np.rint(np.ldexp(weight.astype(np.float64), 2 * _DIGIT_BITS - int(np.frexp(self.heaviest)[1])))
        upper = np.floor(np.ldexp(units, -_DIGIT_BITS))
        return np.stack([upper, units - np.ldexp(upper, _DIGIT_BITS)])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.heaviest == other.heaviest and np.array_equal(self.low, other.low) and np.array_equal(self.high, other.high)

    __hash__ = None  # type: ignore[assignment]


class ExactSum:
    """An array of integers, each held as ``high * 2**48 + low`` in two int64: exact up to 2**110."""

    _BASE = 48
    # 2**48 + 256 * 2**53 < 2**62: so many additions fit before carries must be passed on.
    _ADDITIONS_BEFORE_CARRY = 256

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.high = np.zeros(shape, np.int64)
        self.low = np.zeros(shape, np.int64)
        self._pending = 0

    def add(self, values: F64, shift: int = 0) -> None:
        """Add whole numbers of at most 2**53 in magnitude, times ``2**shift`` (0 to 36)."""
        whole = values.astype(np.int64)
        if shift:
            kept = self._BASE - shift
            self.high += whole >> kept
            whole = (whole & ((1 << kept) - 1)) << shift
        self.low += whole
        self._pending += 1
        if self._pending >= self._ADDITIONS_BEFORE_CARRY:
            self._carry()

    def plus(self, other: ExactSum) -> ExactSum:
        """The sum of both, as a new object."""
        self._carry()
        other._carry()
        both = ExactSum(self.high.shape)
        both.high, both.low = self.high + other.high, self.low + other.low
        both._carry()
        return both

    def integers(self) -> list[int]:
        """The sums (of a one-dimensional array) as Python integers."""
        return [(h << self._BASE) + low for h, low in zip(self.high.tolist(), self.low.tolist(), strict=True)]

    def float64(self) -> F64:
        """The sums rounded to float64."""
        self._carry()
        return np.ldexp(self.high.astype(np.float64), self._BASE) + self.low

    def _carry(self) -> None:
        self.high += self.low >> self._BASE
        self.low &= (1 << self._BASE) - 1
        self._pending = 0


class ColumnMoments:
    """Weight, mean and population variance of each column, exact but for one rounding of each value to the column's grid.

    The grid has 2**26 to 2**27 steps across a column's range: the variance of an ordinary column is right to about 1e-9, that of
    a column of two values to 3e-8. Weights are rounded to 2**-32 of the heaviest;
    whole numbers are exact, so that a weight of 3 is the same as the row three times.

    Parameters
    ----------
    grid : Grid
        Fixed before the pass; moments can be merged if their grids are equal.

    Examples
    --------
    >>> X = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    >>> moments = ColumnMoments.of(X)
    >>> moments.mean, moments.variance
    (array([2., 5.]), array([1., 0.]))
    >>> halves = [ColumnMoments.of(X[i : i + 1], grid=Grid.of(X)) for i in (0, 1)]
    >>> merge(*halves).variance
    array([1., 0.])
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.n = 0
        """Rows added, those of weight 0 included."""
        d = len(grid.low)
        self._units = 0
        self._first = ExactSum((d,))
        self._second = ExactSum((d,))

    @classmethod
    def of(cls: type[M], X: NDArray[Any], weight: F32 | None = None, *, grid: Grid | None = None) -> M:
        """The moments of rows.

        Parameters
        ----------
        X : ndarray (n, d) float32 or float64
            Finite; n at least 1 unless `grid` is given.
        weight : ndarray (n,) float32, optional
            At least 0; rows of weight 0 do not count, whatever their values.
        grid : Grid, optional
            The grid of all shards; by default that of `X`.
        """
        made = cls(Grid.of(X, weight) if grid is None else grid)
        made._add(X, weight)
        return made

    def add(self, X: NDArray[Any], weight: F32 | None = None) -> None:
        """Add the next rows (n, d), with weights (n,) if the grid has a heaviest weight.

        Raises
        ------
        ValueError
            If a value or a weight lies outside what the grid was made for.
        """
        if (weight is None) != (self.grid.heaviest is None):
            raise ValueError("weight: expected weights exactly if the grid was made with weights")
        used = X if weight is None else X[weight > 0]
        if len(used):
            outside = (used.min(0) < self.grid.low) | (used.max(0) > self.grid.high)
            if outside.any():
                raise ValueError(f"X: column {int(np.argmax(outside))} has values outside the range that the grid was made for")
        if weight is not None and len(weight) and weight.max() > self.grid.heaviest:
            raise ValueError(f"weight: expected at most {self.grid.heaviest}, the heaviest of the grid, got {weight.max()}")
        self._add(X, weight)

    @property
    def weight(self) -> float:
        """Total weight; the number of rows where there are no weights."""
        return float(np.ldexp(float(self._units), 0 if self.grid.heaviest is None else self._weight_exponent()))

    @property
    def mean(self) -> F64:
        """Mean of each column, float64 (d,)."""
        steps = np.array([total / self._divisor() for total in self._first.integers()])
        return np.asarray(self.grid.shift + np.ldexp(steps, -self.grid.exponent))

    @property
    def variance(self) -> F64:
        """Population variance of each column, float64 (d,); exactly 0 for a constant column."""
        with np.errstate(over="ignore"):
            return np.asarray(np.ldexp(self._variance_in_steps(), -2 * self.grid.exponent))

    @property
    def mean_square(self) -> F64:
        """Mean of ``(x - grid.shift)**2`` of each column, float64 (d,)."""
        steps = np.array([total / self._divisor() for total in self._second.integers()])
        with np.errstate(over="ignore"):
            return np.asarray(np.ldexp(steps, -2 * self.grid.exponent))

    def merged(self: M, other: M) -> M:
        """The moments of both sets of rows; see `merge`."""
        if type(self) is not type(other) or self.grid != other.grid:
            raise ValueError("moments: expected moments of the same kind on the same grid")
        both = type(self)(self.grid)
        both.n, both._units = self.n + other.n, self._units + other._units
        both._first, both._second = self._first.plus(other._first), self._second.plus(other._second)
        return both

    def _add(self, X: NDArray[Any], weight: F32 | None) -> None:
        if weight is None and _is_native(X):
            self._add_natively(X)
            return
        rows = min(_COLUMN_ROWS, max(1, _COLUMN_CHUNK // X.shape[1]))
        for Y, W in self._chunks(X, weight, rows):
            self._units += len(Y) if W is None else (int(W[0].sum()) << _DIGIT_BITS) + int(W[1].sum())
            self._add_columns(Y, W)
        self.n += len(X)

    def _add_natively(self, X: F32) -> None:
        """The same for float32 rows without weights."""
        scale = np.ldexp(1.0, self.grid.exponent)
        for start, stop in runtime.blocks(len(X), max(1, _NATIVE_ELEMENTS // X.shape[1]), "moments"):
            first, upper, lower = _native.column_sums(X[start:stop], self.grid.shift, scale)
            self._first.add(first)
            self._second.add(upper, _VALUE_BITS)
            self._second.add(lower)
        self._units += len(X)
        self.n += len(X)

    def _add_columns(self, Y: F64, W: F64 | None) -> None:
        """Add the integers `Y` (rows, d) and their squares; `Y` is overwritten."""
        self._add_sum(self._first, Y, W, 0)
        np.multiply(Y, Y, out=Y)
        # Adding and taking off 1.5 * 2**(52 + 26) rounds to a multiple of 2**26; what is left has 25 bits and a sign.
        upper = Y + _TO_UPPER_HALF
        upper -= _TO_UPPER_HALF
        Y -= upper
        upper *= 2.0**-_VALUE_BITS
        self._add_sum(self._second, upper, W, _VALUE_BITS)
        self._add_sum(self._second, Y, W, 0)

    def _add_sum(self, total: ExactSum, Y: F64, W: F64 | None, shift: int) -> None:
        """Add the (weighted) column sums of `Y` (rows, d), times ``2**shift``."""
        if W is None:
            total.add(np.add.reduce(Y, axis=0), shift)
        else:
            self._add_digits(total, W @ Y, shift)

    @staticmethod
    def _add_digits(total: ExactSum, by_digit: F64, shift: int) -> None:
        total.add(by_digit[0], shift + _DIGIT_BITS)
        total.add(by_digit[1], shift)

    def _chunks(self, X: NDArray[Any], weight: F32 | None, rows: int) -> Iterator[tuple[F64, F64 | None]]:
        """Integers (chunk, d) and weight digits (2, chunk) of all rows of weight above 0."""
        buffer = np.empty((min(rows, len(X)), X.shape[1]))
        for start, stop in runtime.blocks(len(X), rows, "moments"):
            block = X[start:stop]
            digits = None
            if weight is not None:
                w = weight[start:stop]
                if not w.all():
                    block, w = block[w > 0], w[w > 0]
                digits = self.grid.weight_digits(w)
            yield self.grid.integers(block, buffer[: len(block)]), digits

    def _weight_exponent(self) -> int:
        assert self.grid.heaviest is not None
        return int(np.frexp(self.grid.heaviest)[1]) - 2 * _DIGIT_BITS

    def _divisor(self) -> int:
        if not self._units:
            raise ValueError("moments: no rows of weight above 0 were added")
        return self._units

    def _variance_in_steps(self) -> F64:
        w = self._divisor()
        pairs = zip(self._first.integers(), self._second.integers(), strict=True)
        return np.array([(w * second - first * first) / (w * w) for first, second in pairs])


class Moments(ColumnMoments):
    """Column moments and the covariance of all pairs of columns.

    Examples
    --------
    >>> moments = Moments.of(np.array([[1.0, 2.0], [3.0, 6.0]], np.float32))
    >>> moments.covariance
    array([[1., 2.],
           [2., 4.]])
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        d = len(grid.low)
        self._coarse = ExactSum((d,))
        self._product = ExactSum((d, d))

    @property
    def covariance(self) -> F64:
        """Population covariance, float64 (d, d), symmetric; its diagonal is `variance` to within 2e-6 of it."""
        mean = np.array([total / self._divisor() for total in self._coarse.integers()])
        steps = self._product.float64() / float(self._divisor()) - np.multiply.outer(mean, mean)
        exponent = self.grid.exponent - (_VALUE_BITS - _COARSE_BITS)
        with np.errstate(over="ignore"):
            return np.asarray(np.ldexp(steps, -np.add.outer(exponent, exponent)))

    def merged(self: Moments, other: Moments) -> Moments:
        both = super().merged(other)
        both._coarse, both._product = self._coarse.plus(other._coarse), self._product.plus(other._product)
        return both

    def _add(self, X: NDArray[Any], weight: F32 | None) -> None:
        super()._add(X, weight)
        rows = min(_PRODUCT_ROWS, max(64, _PRODUCT_CHUNK // X.shape[1]))
        for Y, W in self._chunks(X, weight, rows):
            Y *= 2.0 ** (_COARSE_BITS - _VALUE_BITS)
            np.rint(Y, out=Y)
            self._add_sum(self._coarse, Y, W, 0)
            if W is None:
                self._product.add(Y.T @ Y)
            else:
                self._add_weighted_products(Y, W)

    def _add_weighted_products(self, Y: F64, W: F64) -> None:
        """Y' diag(w) Y from halves of the values and digits of the weights, each product exact (see the top)."""
        upper = np.floor(np.ldexp(Y, -_HALF_BITS))
        lower = Y - np.ldexp(upper, _HALF_BITS)
        for digit, shift in zip(W, (_DIGIT_BITS, 0), strict=True):
            weighted = upper.T * digit
            crossed = weighted @ lower
            self._product.add(weighted @ upper, 2 * _HALF_BITS + shift)
            self._product.add(crossed + crossed.T, _HALF_BITS + shift)
            self._product.add((lower.T * digit) @ lower, shift)


M = TypeVar("M", bound=ColumnMoments)


def merge(first: M, second: M) -> M:
    """The moments of the rows of both, bit for bit those of one pass over all rows.

    Raises
    ------
    ValueError
        If the two are not of the same kind or not on the same grid.
    """
    return first.merged(second)


def _range(X: NDArray[Any]) -> tuple[F64, F64]:
    """Exact minimum and maximum of each column, float64 (d,)."""
    low, high = _native.column_range(X) if _is_native(X) else (X.min(0), X.max(0))
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


def _is_native(X: NDArray[Any]) -> bool:
    return X.dtype == np.float32 and X.dtype.isnative and len(X) > 0 and X.strides[1] == X.itemsize and X.strides[0] > 0
