"""Levels of one coordinate: evenly spaced or free, fitted to the sorted values of a column.

    values (n,), weights (n,) --sort, prefix sums--> Column --> low, step | levels (k,)

With prefix sums the distortion of any set of cells takes k look-ups, so fits run to convergence in O(k log n) a pass and do
not depend on the order of the rows.

Source: Lloyd 1982 and Max 1960, "Quantizing for minimum distortion"; first levels by companding, Panter & Dite 1951. Evenly
spaced levels are fitted by the same alternation, cells and then the best low and step for them, a weighted regression.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_MOST_PASSES = 500
_LEAST_GAIN = 1e-4  # of a pass over evenly spaced levels: two parameters, nothing to be won by more
# Shares of the whole range, about the mean, at which fits of evenly spaced levels start: clipping pays for few bits.
_RANGES = np.multiply.accumulate(np.full(32, 0.92)) / 0.92
# Gauss-Laguerre nodes and weights: an exponential tail as two points.
_TAIL = np.array([2 - 2**0.5, 2 + 2**0.5])
_TAIL_WEIGHT = np.array([(2 + 2**0.5) / 4, (2 - 2**0.5) / 4])
_COLUMNS_AT_ONCE = 16


class Column:
    """Sorted values of a column with prefix sums of weight and of weighted value, about the smallest value.

    The next row lies beyond the largest value with probability 1 / (n + 1), and beyond the smallest: at each end one row's weight
    is spread over an exponential tail as steep as the values there, so that levels serve rows to come as well.
    """

    def __init__(self, values: F32, weight: F32 | None) -> None:
        if weight is None:
            values = np.sort(values)
            w = np.ones(len(values))
        else:
            # Equal values by weight: the sums do not depend on the order of the rows.
            order = np.lexsort((weight, values))
            values, w = values[order], weight[order].astype(np.float64)
        y = values.astype(np.float64)
        self.seen = y - y[0]
        share = _sum(w * w) / _sum(w)  # of the total weight, what one row of equal weights would have (Kish 1965)
        count = max(1, round((_sum(w) / share) ** 0.5))
        above, below = _steepness(y, w, share * count), _steepness(-y[::-1], w[::-1], share * count)
        y = np.concatenate([y[0] - below * _TAIL[::-1], y, y[-1] + above * _TAIL])
        w = np.concatenate([share * _TAIL_WEIGHT[::-1], w, share * _TAIL_WEIGHT])
        self.origin = float(y[0])
        self.y: F64 = y - self.origin
        self._weight = _prefix(w)
        self._sum = _prefix(w * self.y)
        self.total = float(self._weight[-1])
        self._square = float(_prefix(w * self.y * self.y)[-1])

    @property
    def mean(self) -> float:
        """Weighted mean of the rows, counted from `origin`."""
        first, last = len(_TAIL), len(self.y) - len(_TAIL)
        return float((self._sum[last] - self._sum[first]) / (self._weight[last] - self._weight[first]))

    def distinct(self, most: int) -> F64 | None:
        """The distinct values of the rows, rising, counted from `origin`, if there are at most `most`."""
        if np.count_nonzero(np.diff(self.seen[:: max(1, len(self.seen) // (4 * most))])) >= most:
            return None
        values = self.seen[np.concatenate([[True], np.diff(self.seen) > 0])]
        return values + (self.y[len(_TAIL)]) if len(values) <= most else None

    def cells(self, boundaries: F64) -> tuple[F64, F64, bytes]:
        """Weight and sum of the cells between `boundaries` (k - 1,), a value on one in the lower cell; and where they are cut."""
        cuts = np.empty(len(boundaries) + 2, np.int64)
        cuts[0], cuts[-1] = 0, len(self.y)
        cuts[1:-1] = np.searchsorted(self.y, boundaries, side="right")
        weight, total = self._weight[cuts], self._sum[cuts]
        return weight[1:] - weight[:-1], total[1:] - total[:-1], cuts.tobytes()

    def distortion(self, levels: F64, weight: F64, total: F64) -> float:
        """Mean squared error of cells with these levels."""
        return max(0.0, (self._square + _sum(levels * (levels * weight - 2.0 * total))) / self.total)

    def companded(self, k: int) -> F64:
        """Levels (k,) spaced as density**(-1/3): the best for many levels."""
        bins = min(len(self.y) - 1, 16 * k)
        targets = np.arange(bins + 1) * (self.total / bins)
        edges = self.y[np.minimum(np.searchsorted(self._weight[1:], targets, side="left"), len(self.y) - 1)]
        # A bin of equal weight and width v has density 1 / v; the integral of its cube root is v**(2/3).
        mass = _prefix(np.cbrt(np.diff(edges) ** 2))
        return np.asarray(np.interp((np.arange(k) + 0.5) / k * mass[-1], mass, edges))


def columns(X: F32, weight: F32 | None) -> Iterator[Column]:
    """Each column of `X` (n, d) in turn; rows of weight 0 left out."""
    if weight is not None:
        X, weight = X[weight > 0], weight[weight > 0]
    for start in range(0, X.shape[1], _COLUMNS_AT_ONCE):
        for values in np.ascontiguousarray(X[:, start : start + _COLUMNS_AT_ONCE].T):
            yield Column(values, weight)


def even(column: Column, k: int) -> tuple[float, float]:
    """Lowest level and step of k evenly spaced levels, of least squared error among the fits from several ranges."""
    if k == 1:
        return column.origin + column.mean, 0.0
    few = column.distinct(k)
    if few is not None:
        step = float(np.diff(few).min()) if len(few) > 1 else 0.0
        steps = (few - few[0]) / (step or 1.0)
        if steps[-1] <= k - 1 and (steps == np.rint(steps)).all():
            return column.origin + float(few[0]), step  # whole numbers, say: nothing is lost
    span, mean = float(column.y[-1]), column.mean
    ranges = [(mean * (1 - share), mean + (span - mean) * share) for share in _RANGES]
    # The range of the rows, with and without the nearer points of the tails.
    ranges += [(float(column.y[i]), float(column.y[-1 - i])) for i in range(1, len(_TAIL) + 1)]
    starts = []
    for low, high in ranges:
        step = (high - low) / (k - 1)
        starts.append((_even_distortion(column, low, step, k), low, step))
    best = min(_refine_even(column, start, k) for start in sorted(starts)[: 2 if k <= 16 else 1])
    return column.origin + best[1], best[2]


def _even_distortion(column: Column, low: float, step: float, k: int) -> float:
    levels = low + step * np.arange(k, dtype=np.float64)
    weight, total, _ = column.cells(levels[:-1] + step / 2)
    return column.distortion(levels, weight, total)


def _refine_even(column: Column, start: tuple[float, float, float], k: int) -> tuple[float, float, float]:
    """Alternate cells and the regression of values on cell numbers until that gains nothing."""
    numbers = np.arange(k, dtype=np.float64)
    best = (np.inf, *start[1:])
    _, low, step = start
    for _ in range(_MOST_PASSES):
        weight, total, _ = column.cells(low + step * (numbers[:-1] + 0.5))
        distortion = column.distortion(low + step * numbers, weight, total)
        done = not distortion < best[0] * (1 - _LEAST_GAIN)
        best = min(best, (distortion, low, step))
        w1, w2, s0, s1 = _sum(numbers * weight), _sum(numbers * numbers * weight), _sum(total), _sum(numbers * total)
        spread = column.total * w2 - w1 * w1
        step = (column.total * s1 - w1 * s0) / spread if spread > 0 else 0.0
        if done or not step > 0:
            break
        low = (s0 - step * w1) / column.total
    return best


def free(column: Column, k: int) -> F64:
    """k levels (k,), rising, of least squared error: Lloyd-Max to convergence. Few distinct values are kept as they are."""
    few = column.distinct(k)
    if few is not None:
        return column.origin + np.concatenate([few, np.full(k - len(few), few[-1])])
    starts = [column.companded(k)]
    if k <= 16:
        low, step = even(column, k)
        starts.append(low - column.origin + step * np.arange(k, dtype=np.float64))
    return column.origin + min((_lloyd(column, levels) for levels in starts), key=lambda fit: fit[0])[1]


def _lloyd(column: Column, levels: F64) -> tuple[float, F64]:
    """Alternate cells and their means until the cells stay; an empty cell keeps its level."""
    cuts = b""
    for _ in range(_MOST_PASSES):
        weight, total, now = column.cells((levels[:-1] + levels[1:]) / 2)
        if now == cuts:
            break
        cuts = now
        levels = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), levels)
    weight, total, _ = column.cells((levels[:-1] + levels[1:]) / 2)
    return column.distortion(levels, weight, total), levels


def _steepness(y: F64, weight: F64, top: float) -> float:
    """Mean excess of the last values, which weigh `top` together, over the one before them: 1 / rate of an exponential tail."""
    behind = np.add.accumulate(weight[::-1])
    count = min(int(np.searchsorted(behind, top * (1 - 1e-9))) + 1, len(y) - 1)
    if count < 1:
        return 0.0
    excess = y[len(y) - count :] - y[len(y) - count - 1]
    return _sum(excess * weight[len(y) - count :]) / float(behind[count - 1])


def _prefix(a: F64) -> F64:
    """Sums of the first 0, 1, ..., n numbers."""
    return np.concatenate([[0.0], np.add.accumulate(a)])


def _sum(a: F64) -> float:
    """Sum in the order of the numbers, the same on every machine."""
    return float(np.add.accumulate(a)[-1])


def thresholds(levels: F32) -> F32:
    """Where the nearest level changes: for levels (d, k), rising in each row, float32 (d, k).

    Entry c is the largest float32 that is no nearer to the next larger level than to level c, so a value has level c or a lower
    one exactly if it is at most that; infinity where no level is larger. Levels that occur twice share their entry, so
    that the number of entries below x is the lowest index among the nearest levels.

    Examples
    --------
    >>> thresholds(np.array([[0, 1, 1, 4]], "f4"))
    array([[0.5, 2.5, 2.5, inf]], dtype=float32)
    """
    d, k = levels.shape
    out = np.full((d, k), np.inf, np.float32)
    if k > 1:
        out[:, :-1] = _at_most_midpoint(levels[:, :-1].astype(np.float64), levels[:, 1:].astype(np.float64))
    for c in range(k - 2, -1, -1):
        out[:, c] = np.where(levels[:, c] == levels[:, c + 1], out[:, c + 1], out[:, c])
    return out


def _at_most_midpoint(a: F64, b: F64) -> F32:
    """The largest float32 that is at most (a + b) / 2, exactly; the sum's rounding error is a - (s - b') + ... (Knuth's TwoSum)."""
    s = a + b
    part = s - a
    error = (a - (s - part)) + (b - part)
    t = (s / 2).astype(np.float32)
    too_large = 2.0 * t.astype(np.float64) - s > error
    return np.where(too_large, np.nextafter(t, np.float32(-np.inf)), t)
