"""Error bars of estimated distances, calibrated on neighbours that are kept with the index.

A code's error depends on the data: behind a random rotation it has no bias and a known spread, behind a `KLT` or in a product code
it leans one way for near vectors, and how far depends on the query. So some rows are kept exactly, with their codes. The errors
of their distances to a query, those of its nearest among them, say how far off the distances of this query are:

    spread²(D)  =  slope A + constant          A: the squared distance, or what stands for it; both fitted on neighbours
    z           =  (D exact - D estimated) / spread
    D           ~  D estimated + spread c1 mean z  ±  width sd(z) spread

`mean z` and `sd(z)` are of the query's 32 nearest kept rows; c1 and the width, with which 95 % of all true neighbours lie within the
bars, come from training rows as queries. c1 is a factor alone: codes lean less far for queries unlike the rows, and for these a constant
that suits training rows would be too much.

Source: Gao & Long 2024, "RaBitQ" (the spread of the error grows with the distance); Vovk, Gammerman & Shafer 2005 (a width that
covers what it says on held-out pairs). The calibration by kept neighbours is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.base import State, array
from codeword.errors import FormatError
from codeword.exact import exact_search
from codeword.lanes import lane_dot

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Score = Callable[[NDArray[Any], U8, U8], F32]
FEWEST_ROWS = 1000
CONFIDENCE = 0.95
_STREAM = 0xBA25
_KEPT = 1024
_QUERIES = 256
_NEAREST = 32
_ROWS_A_NEIGHBOUR = 96  # of so many rows a query's nearest is a true neighbour, at least 10 and at most 100 in all
_LEAST_SIGNAL = 0.3  # share of the square of mean z that is taken for more than noise, at least
_AIM = 0.955  # of the calibration's pairs; new queries lie a little farther off
_NUMBERS = ("slope", "constant", "nearest", "square", "c0", "c1", "width")


@dataclass(frozen=True)
class ErrorBars:
    """Where exact distances lie, for each of some distances (q, k): within ``centre ± half`` in 95 % of cases.

    Attributes
    ----------
    centre : ndarray (q, k) float32
        The distances with their mean error among near vectors taken out.
    half : ndarray (q, k) float32
        Half the length of the bars.
    """

    centre: F32
    half: F32

    @property
    def low(self) -> F32:
        """Lower ends (q, k) float32."""
        return self.centre - self.half

    @property
    def high(self) -> F32:
        """Upper ends (q, k) float32."""
        return self.centre + self.half


class Calibration:
    """What error bars are made from: kept rows with their codes, and seven numbers.

    Parameters
    ----------
    metric : {"l2", "ip", "cosine"}
    rows : ndarray (kept, d) float32
    codes : ndarray (kept, code_size) uint8
    side : ndarray (kept, 0 or 2) uint8
    numbers : ndarray (7,) float64
        slope, constant, the least A that counts, the mean squared length (ip), c0 (0 but in files of before), c1, the width.
    """

    def __init__(self, metric: str, rows: F32, codes: U8, side: U8, numbers: F64) -> None:
        self.metric, self.rows, self.codes, self.side = metric, rows, codes, side
        self._numbers = dict(zip(_NUMBERS, numbers.tolist(), strict=True))

    @classmethod
    def fit(cls, metric: str, X: F32, codes: U8, side: U8, score: Score) -> Calibration:
        """Calibrate on rows `X` (n, d) like those of the index and like its queries, with their codes and side data.

        ``score(queries, codes, side)`` gives estimated distances (q, n).
        """
        order = np.argsort(keys.bits64(0, _STREAM, np.arange(len(X))), kind="stable")
        asked, rest = np.split(order, [min(_QUERIES, len(X) // 8)])
        kept = np.sort(rest[:_KEPT])
        k = min(max(len(rest) // _ROWS_A_NEIGHBOUR, 10), 100)
        ids, exact = exact_search(X[rest], X[asked], k, metric)
        estimated = np.take_along_axis(score(X[asked], codes[rest], side[rest]), ids, axis=1).astype(np.float64)
        made = cls(metric, X[kept], codes[kept], side[kept], np.zeros(len(_NUMBERS)))
        numbers = made._numbers
        numbers["square"] = _mean(lane_dot(X[rest[:_KEPT]], X[rest[:_KEPT]]).astype(np.float64))
        numbers["nearest"] = float(_quantile(made._distance(X[asked], exact), 0.05))
        errors = exact - estimated
        numbers["slope"], numbers["constant"] = _line(made._distance(X[asked], estimated), errors)
        z = errors / made._spread(X[asked], estimated)
        middle, spread = made._asked(X[asked], score)
        numbers["c1"] = _factor(middle, spread * spread / min(_NEAREST, len(kept)), z.mean(axis=1))
        left = np.abs(z - numbers["c1"] * middle[:, None]) / spread[:, None]
        numbers["width"] = float(_quantile(left, _AIM))
        return made

    def bars(self, queries: NDArray[Any], distances: F32, score: Score) -> ErrorBars:
        """Error bars of estimated distances (q, k) of queries (q, d)."""
        if not distances.size:
            return ErrorBars(distances, np.zeros_like(distances))
        Q, estimated = queries.astype(np.float32), distances.astype(np.float64)
        middle, spread = self._asked(Q, score)
        scale = self._spread(Q, estimated)
        centre = estimated + scale * (self._numbers["c0"] + self._numbers["c1"] * middle)[:, None]
        half = self._numbers["width"] * scale * spread[:, None]
        return ErrorBars(centre.astype(np.float32), half.astype(np.float32))

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept."""
        return sum(a.nbytes for a in self.state().values())

    def state(self) -> State:
        numbers = np.array([self._numbers[name] for name in _NUMBERS])
        return {"rows": self.rows, "codes": self.codes, "side": self.side, "numbers": numbers}

    @classmethod
    def from_state(cls, metric: str, d: int, code_size: int, side_bytes: int, state: Mapping[str, Any]) -> Calibration:
        """Rebuild from `state()`; FormatError where it does not fit."""
        rows = array(state, "rows", np.float32, (None, d))
        codes = array(state, "codes", np.uint8, (len(rows), code_size))
        side = array(state, "side", np.uint8, (len(rows), side_bytes))
        numbers = array(state, "numbers", np.float64, (len(_NUMBERS),))
        if not len(rows) or not np.isfinite(numbers).all() or (numbers[[0, 1, 2, 6]] < 0).any():
            raise FormatError("bars: expected kept rows, and numbers of which spread and width are at least 0")
        return cls(metric, rows, codes, side, numbers)

    def _distance(self, Q: F32, distances: F64) -> F64:
        """The A (q, k) that squared errors grow with, at least that of the nearest neighbours."""
        if self.metric == "ip":
            distances = lane_dot(Q, Q)[:, None] + self._numbers["square"] + 2.0 * distances
        return np.asarray(np.maximum(distances, self._numbers["nearest"]))

    def _spread(self, Q: F32, estimated: F64) -> F64:
        numbers = self._numbers
        return np.asarray(np.sqrt(numbers["slope"] * self._distance(Q, estimated) + numbers["constant"]))

    def _asked(self, Q: F32, score: Score) -> tuple[F64, F64]:
        """Mean (q,) and standard deviation (q,) of the errors of the nearest kept rows, in spreads."""
        ids, exact = exact_search(self.rows, Q, min(_NEAREST, len(self.rows)), self.metric)
        estimated = np.take_along_axis(score(Q, self.codes, self.side), ids, axis=1).astype(np.float64)
        z = (exact - estimated) / self._spread(Q, estimated)
        return z.mean(axis=1), np.maximum(z.std(axis=1), 1e-6)


def _mean(values: F64) -> float:
    return float(np.add.accumulate(values.ravel())[-1]) / values.size


def _quantile(values: F64, share: float) -> float:
    ordered = np.sort(values, axis=None)
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])


def _line(A: F64, errors: F64) -> tuple[float, float]:
    """Slope and constant, at least 0, of squared errors over A; by least squares of ``error² / A`` over ``1 / A``."""
    positive = A > 0
    if not positive.any():
        return 0.0, max(_mean(errors * errors), 1e-60)
    x, y = 1.0 / A[positive], errors[positive] ** 2 / A[positive]
    mean_x, mean_y = _mean(x), _mean(y)
    spread = _mean((x - mean_x) ** 2)
    constant = _mean((x - mean_x) * (y - mean_y)) / spread if spread > 0 else 0.0
    constant = min(max(constant, 0.0), mean_y / mean_x)
    return max(mean_y - constant * mean_x, 0.0), max(constant, 1e-60)


def _factor(x: F64, noise: F64, y: F64) -> float:
    """c1 of ``y = c1 x`` by least squares, at least 0, where x (n,) is known up to a `noise` (n,) of these variances."""
    square = _mean(x * x)
    known = max(square - _mean(noise), _LEAST_SIGNAL * square)
    return max(_mean(x * y) / known, 0.0) if known > 0 else 0.0
