"""Exact nearest rows at about the speed of a float32 matrix product, the same for any number of threads and any BLAS.

    X (n, d), queries (q, d) --float32 product and a proven bound: who may be among the k?--> survivors --float64--> k nearest

The definition is in float64, in lane order, ties to the lowest row (ARCHITECTURE.md, Exactness). The filter computes, for each
row j and query i, a float32 score ``S = base[j] - <P[i], Z[j]>`` such that the exact distance, shifted and scaled for its query,
lies in ``[S - e, S + width[j] + e]``. Row j can be left out if S is above the k-th smallest upper end seen so far.

The bounds, with u = 2**-24 and any order of summation: ``|fl(<p, z>) - <p, z>| <= d u / (1 - d u) |p| |z|`` (Higham 2002,
section 3.1); rounding a row and a query to float32 moves the exact value by at most ``u |z|`` and ``u |p|``; the sum of the two
terms and the float64 value itself are rounded once more each. For l2 all of it is below ``kappa (|z| + |p|)**2``,
at most ``2 kappa (|z|**2 + |p|**2)``, so that the bound needs no second pass over n x q numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import checks, runtime
from codeword.base import METRICS
from codeword.lanes import lane_dot, lane_sum

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_U = 2.0**-24
# Above every underflow: at most 2**20 products, each off by at most 2**-149, of rows no longer than 2.
_TINY = 2.0**-120
_SMALLEST = 2.0**-149
_QUERIES_A_BLOCK = 256
_ROWS_FIRST, _ROWS_MOST = 1024, 8192
_PENDING_PAIRS = 1 << 21
_RESCORE_ELEMENTS = 1 << 18
_MEAN_ROWS = 1024


def exact_search(X: Any, queries: Any, k: int, metric: str = "l2") -> tuple[I64, F64]:
    """The k nearest rows of `X` to each query, exactly.

    Parameters
    ----------
    X : array_like (n, d)
        Float64 is kept; numbers below the range of float32 (2**-149) count as 0.
    queries : array_like (q, d)
    k : int
        1 to n.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance; negative inner product; one minus cosine similarity, 1 where a row is zero.

    Returns
    -------
    ids : ndarray (q, k) int64
        Row numbers, nearest first; ties to the lowest number.
    distances : ndarray (q, k) float64
        Summed in lane order: the same bits for any number of threads and any split into blocks.

    Raises
    ------
    TypeError, ValueError
        For input that cannot be used; the message names the argument.

    Examples
    --------
    >>> exact_search([[0.0], [3.0], [4.0]], [[3.4]], 2)
    (array([[1, 2]]), array([[0.16, 0.36]]))
    """
    A = _checked(X, "X", None)
    Q = _checked(queries, "queries", A.shape[1])
    k = checks.integer(k, "k", 1, len(A))
    checks.choice(metric, "metric", METRICS)
    if not len(Q):
        return np.zeros((0, k), np.int64), np.zeros((0, k))
    search = _Search(A, Q, k, metric)
    with runtime.Progress("exact_search", len(A)) as progress:
        for start, stop in _row_blocks(len(A), k):
            search.look_at(start, stop)
            progress.advance(stop - start)
    return search.result()


def distances_of_pairs(X: NDArray[Any], queries: NDArray[Any], rows: I64, numbers: I64, metric: str) -> F64:
    """Exact distances float64 (p,) of row ``rows[j]`` of `X` from query ``numbers[j]`` (see `exact_search`)."""
    out = np.empty(len(rows))
    step = max(16, _RESCORE_ELEMENTS // X.shape[1])
    squares = lane_dot(queries, queries) if metric == "cosine" else np.zeros(0)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        x, q = X[rows[part]].astype(np.float64), queries[numbers[part]].astype(np.float64)
        if metric == "l2":
            x -= q
            out[part] = lane_sum(np.multiply(x, x, out=x))
            continue
        product = lane_sum(x * q)
        if metric == "ip":
            out[part] = 0.0 - product
        else:
            lengths = np.sqrt(squares[numbers[part]]) * np.sqrt(lane_sum(x * x))
            out[part] = 1.0 - np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    return out


class _Rows(NamedTuple):
    """A block of rows as the filter wants it: Z (b, d), base (b,) and width (b,) float32."""

    Z: F32
    base: F32
    width: F32


class _L2Filter:
    """Scores ``|z|**2 (1 - 2 kappa) - 2 <p, z>`` of centred rows and queries, scaled so that none is longer than 1."""

    def __init__(self, A: NDArray[Any], Q: NDArray[Any]) -> None:
        self._mean = _sample(A).mean(axis=0)
        d = A.shape[1]
        reach = max(float(np.max(np.abs(extreme - self._mean))) for B in (A, Q) for extreme in (B.max(0), B.min(0)))
        self._scale = float(np.ldexp(1.0, -int(np.frexp(reach * d**0.5)[1])))
        self._kappa = (0.54 * d + 12) * _U
        P = self._centred(Q)
        self.P = 2 * P
        self.error: F64 = 4 * self._kappa * _squares(P) + 2 * _TINY

    def rows(self, X: NDArray[Any]) -> _Rows:
        Z = self._centred(X)
        squares = _squares(Z)
        return _Rows(Z, _f32(squares * (1 - 2 * self._kappa)), _f32(squares * (4 * self._kappa)))

    def _centred(self, X: NDArray[Any]) -> F32:
        return _f32((X - self._mean) * self._scale)


class _ProductFilter:
    """Scores ``-<p, z> - kappa |z|`` of centred rows and queries of length 1; for cosine the rows have length 1 first."""

    def __init__(self, A: NDArray[Any], Q: NDArray[Any], cosine: bool) -> None:
        self._cosine = cosine
        self._scale = 1.0
        d = A.shape[1]
        if not cosine:
            reach = max(float(np.max(np.abs(A.max(0)))), float(np.max(np.abs(A.min(0)))))
            self._scale = float(np.ldexp(1.0, -int(np.frexp(reach * d**0.5)[1])))
        self._mean = self._scaled(_sample(A)).mean(axis=0)
        self._kappa = (1.07 * d + 12) * _U
        self.P = _f32(_unit(Q))
        # Inner products are summed in float64 without taking off the mean: d roundings of 2**-53 relative to a length of 1,
        # twice that many for a cosine.
        self.error: F64 = np.full(len(Q), 2 * ((2 * d + 16) * 2.0**-53 + _TINY))

    def rows(self, X: NDArray[Any]) -> _Rows:
        Z = _f32(self._scaled(X) - self._mean)
        bound = np.sqrt(_squares(Z)) * self._kappa
        return _Rows(Z, _f32(-bound), _f32(2 * bound))

    def _scaled(self, X: NDArray[Any]) -> F64:
        return _unit(X) if self._cosine else X * np.float64(self._scale)


class _Search:
    """The k smallest upper ends of every query so far, and the pairs (query, row) that may still be among its k nearest."""

    def __init__(self, A: NDArray[Any], Q: NDArray[Any], k: int, metric: str) -> None:
        self._A, self._Q, self._k, self._metric = A, Q, k, metric
        self._filter = _L2Filter(A, Q) if metric == "l2" else _ProductFilter(A, Q, metric == "cosine")
        self._upper = np.full((len(Q), k), np.inf, np.float32)
        self._pending: list[tuple[I64, I64, F32]] = []
        self._count = 0
        self._known: tuple[I64, I64, F64] = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    def look_at(self, start: int, stop: int) -> None:
        """Filter rows `start` to `stop` for all queries."""
        block = self._filter.rows(self._A[start:stop])
        for first in range(0, len(self._Q), _QUERIES_A_BLOCK):
            P = self._filter.P[first : first + _QUERIES_A_BLOCK]
            scores = P @ block.Z.T
            np.subtract(block.base, scores, out=scores)
            self._take(scores, block.width, first, start)
            if self._count > _PENDING_PAIRS:
                self._settle()

    def result(self) -> tuple[I64, F64]:
        self._settle()
        _, rows, distances = self._known
        return rows.reshape(-1, self._k), distances.reshape(-1, self._k)

    def _take(self, scores: F32, width: F32, first: int, start: int) -> None:
        """Keep the pairs of `scores` (some queries, b) that pass, and tighten the upper ends."""
        upper = self._upper[first : first + len(scores)]
        error = self._filter.error[first : first + len(scores)]
        if np.isinf(upper[:, -1]).any() and scores.shape[1] >= self._k:
            ends = np.partition(scores + width, self._k - 1, axis=1)[:, : self._k]
            limit = _up(np.max(ends, axis=1) + error)
        else:
            limit = np.max(upper, axis=1)
        flat = np.flatnonzero(scores <= limit[:, None])
        queries, rows = np.divmod(flat, scores.shape[1])
        passed = scores.ravel()[flat]
        _lower(upper, queries, _up(passed.astype(np.float64) + width[rows] + error[queries]))
        self._pending.append((queries + first, rows + start, passed))
        self._count += len(flat)

    def _settle(self) -> None:
        """Score the pending pairs that still pass, and keep the k best of every query."""
        queries, rows, scores = (np.concatenate(parts) for parts in zip(*self._pending, strict=True))
        self._pending, self._count = [], 0
        passing = scores <= np.max(self._upper, axis=1)[queries]
        queries, rows = queries[passing], rows[passing]
        distances = distances_of_pairs(self._A, self._Q, rows, queries, self._metric)
        known = [np.concatenate(parts) for parts in zip(self._known, (queries, rows, distances), strict=True)]
        order = np.lexsort((known[1], known[2], known[0]))
        queries = known[0][order]
        rank = np.arange(len(order)) - np.searchsorted(queries, queries)
        best = order[rank < self._k]
        self._known = (known[0][best], known[1][best], known[2][best])


def _lower(upper: F32, queries: I64, ends: F32) -> None:
    """Keep in `upper` (q, k) the k smallest of itself and `ends` (p,), which belong to `queries` (p,), rising."""
    if not len(ends):
        return
    counts = np.bincount(queries, minlength=len(upper))
    place = np.arange(len(ends)) - np.repeat(np.cumsum(counts) - counts, counts)
    padded = np.full((len(upper), int(counts.max())), np.inf, np.float32)
    padded[queries, place] = ends
    k = upper.shape[1]
    upper[:] = np.partition(np.concatenate([upper, padded], axis=1), k - 1, axis=1)[:, :k]


def _row_blocks(n: int, k: int) -> Iterator[tuple[int, int]]:
    """Blocks of rows that double: about k rows of each block pass, so few blocks are better, but the first has no limit yet."""
    start, step = 0, max(_ROWS_FIRST, 2 * k)
    while start < n:
        stop = min(n, start + step)
        yield start, stop
        start, step = stop, max(step, min(stop, _ROWS_MOST))


def _checked(X: Any, name: str, d: int | None) -> NDArray[Any]:
    A = checks.rows(X, name, wide=True, empty=d is not None)
    if d is not None and A.shape[1] != d:
        raise ValueError(f"{name}: expected width {d} like X, got {A.shape[1]}")
    if A.dtype == np.float64 and len(A):
        checks.check_range(A, name)
        # What float32 cannot hold counts as zero: then no square or product of two numbers underflows in float64.
        A = np.where(np.abs(A) < _SMALLEST, 0.0, A)
    return A


def _sample(A: NDArray[Any]) -> F64:
    return A[:: max(1, len(A) // _MEAN_ROWS)][:_MEAN_ROWS].astype(np.float64)


def _squares(Z: F32) -> F64:
    return np.asarray(np.einsum("ij,ij->i", Z, Z, dtype=np.float64))


def _unit(X: NDArray[Any]) -> F64:
    """Rows divided by their lengths; rows of zeros stay."""
    A = X.astype(np.float64)
    lengths = np.sqrt(lane_sum(A * A))[:, None]
    return np.divide(A, lengths, out=np.zeros_like(A), where=lengths > 0)


def _f32(A: NDArray[Any]) -> F32:
    return A.astype(np.float32)


def _up(A: F64) -> F32:
    """Rounded up to float32."""
    return np.asarray(np.nextafter(A.astype(np.float32), np.float32(np.inf)))
