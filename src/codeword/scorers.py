"""Scorers: distances from a batch of queries to packed codes. Smaller is closer, whatever the metric.

    queries (q, d), metric --once--> scorer;  scorer.scores(codes (n, code_size)) -> distances (q, n) float32

`DecodingScorer` decodes and takes the exact form; any quantizer has it. `TableScorer` and `AffineScorer` never decode, and
`SumScorer` once for all queries: they sum integers, so that scores are the same on every instruction set, for any threads and blocks.

========  =============================================
metric    distance
========  =============================================
l2        squared Euclidean distance ``|q - x̂|²``
ip        negative inner product ``-<q, x̂>``
cosine    ``1 - <q, x̂> / (|q| |x̂|)``; 1 where a norm is 0
========  =============================================

Source: Jégou, Douze & Schmid 2011 (asymmetric distances from tables); André, Kermarrec & Le Scouarnec 2015 (16-bit tables).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codeword.base import Quantizer

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
_LARGEST_SUM = 2**31 - 1
_LARGEST_WEIGHT = 2**15 - 1
_FEWEST_DECODED = 1024


def squared_norms(A: NDArray[Any]) -> F64:
    """Squared norms (n,) float64 of the rows of `A` (n, d) float32, summed in lane order."""
    A = np.ascontiguousarray(A, np.float32)
    return np.ascontiguousarray(_native.centred_sums(A, A, np.zeros(A.shape[1]))[:, 2])


def inverse_roots(squares: F64) -> F64:
    """``1 / sqrt(squares)``, and 0 where that is no number: a vector of length 0 is at cosine 0 to all."""
    with np.errstate(divide="ignore"):
        inverse = 1.0 / np.sqrt(np.maximum(squares, 0.0))
    return np.where(np.isfinite(inverse), inverse, 0.0)


def cosine_distances(scores: F32, row_squares: F64) -> F32:
    """Finish ``-<q, x̂> / |q|`` (q, n), in place, to ``1 - cos`` with the squared norms (n,) of the reconstructions."""
    nothing = np.zeros(len(scores), np.float32)
    ones = np.ones(scores.shape[1], np.float32)
    _native.rescale(scores, nothing, inverse_roots(row_squares).astype(np.float32), ones, nothing, 0.0)
    return scores


def prepare(codebooks: Sequence[F32], bits: U8, *, shared: bool = False) -> _native.TableCodebooks:
    """Codebooks (k_j, d_j) and symbol widths (m,) in the form that `TableScorer` makes tables from.

    They cover the columns of a row side by side, or with `shared` all of them the same columns: reconstructions are sums, of which
    tables give inner products only.
    """
    books = [np.ascontiguousarray(c, np.float32) for c in codebooks]
    return _native.TableCodebooks(books, np.ascontiguousarray(bits, np.uint8), shared)


class DecodingScorer:
    """Distances to decoded rows, in float64 and lane order, rounded once to float32: slow, exact, for any quantizer.

    Parameters
    ----------
    quantizer : Quantizer
        Fitted; its `decode` gives the rows.
    queries : ndarray (q, d) float32
    metric : {"l2", "ip", "cosine"}

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> vq = cw.VectorQuantizer.from_codebook([[0, 0], [3, 4]])
    >>> scorer = DecodingScorer(vq, np.array([[3, 0]], "f4"), "l2")
    >>> scorer.scores(vq.encode([[0, 0], [3, 4]]))
    array([[ 9., 16.]], dtype=float32)
    """

    def __init__(self, quantizer: Quantizer, queries: F32, metric: str) -> None:
        self.metric = metric
        self._quantizer = quantizer
        self._queries = np.ascontiguousarray(queries, np.float32)
        self._inverse_norms = inverse_roots(squared_norms(self._queries))
        self._step = max(64, (1 << 21) // max(1, len(queries)))

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size)."""
        out = np.empty((len(self._queries), len(codes)), np.float32)
        for start in range(0, len(codes), self._step):
            rows = self._quantizer._decode(codes[start : start + self._step])
            out[:, start : start + len(rows)] = self._distances(np.ascontiguousarray(rows))
        return out

    def take(self, numbers: NDArray[np.int64]) -> DecodingScorer:
        """The scorer of some of the queries, by number."""
        return DecodingScorer(self._quantizer, self._queries[numbers], self.metric)

    def _distances(self, rows: F32) -> F64:
        if self.metric == "l2":
            return _native.pairwise_sqdist(self._queries, rows)
        products = _native.pairwise_dot(self._queries, rows)
        if self.metric == "ip":
            return 0.0 - products
        cosines = products * self._inverse_norms[:, None] * inverse_roots(squared_norms(rows))
        return 1.0 - np.clip(cosines, -1.0, 1.0)


class TableScorer:
    """Scores of reconstructions that are put together side by side from codebook entries, one for each symbol of a code.

    Each symbol's contributions are tabulated per query, in float64, and quantised to 16 bits with one step per query; what a
    byte of the code selects is summed in int32 and scaled once. With ``T`` look-ups a vector the error is at most
    ``T / 2 * step``, and a step is the widest table's range / 65535.

    Parameters
    ----------
    queries : ndarray (q, d) float32
    codebooks : sequence of m ndarrays (k_j, d_j) float32
        Symbol j names a row of codebook j; the widths d_j add up to d. Numbers above k_j count as the farthest entry. What
        `prepare` made of them saves time where one quantizer has many small batches.
    bits : ndarray (m,) uint8
        Width of each symbol, 1 to 30; a code is the symbols packed as `codeword.codes` does.
    metric : {"l2", "ip", "cosine"}

    Examples
    --------
    >>> import numpy as np
    >>> codebook = np.array([[0], [1], [2], [4]], "f4")
    >>> scorer = TableScorer(np.array([[1, 0]], "f4"), [codebook, codebook], np.array([2, 2], "u1"), "l2")
    >>> scorer.scores(np.array([[0b0001], [0b1111]], "u1")).round(3)
    array([[ 0., 25.]], dtype=float32)
    """

    def __init__(self, queries: F32, codebooks: Sequence[F32] | _native.TableCodebooks, bits: U8, metric: str) -> None:
        self.metric = metric
        books = codebooks if isinstance(codebooks, _native.TableCodebooks) else prepare(codebooks, bits)
        queries = np.ascontiguousarray(queries, np.float32)
        squares, zeros, ones = squared_norms(queries), np.zeros(len(queries)), np.ones(len(queries))
        if metric == "l2":
            self._tables = _native.Tables(books, queries, "sqdist", ones, squares)
            return
        multiplier = ones if metric == "ip" else inverse_roots(squares)
        self._tables = _native.Tables(books, queries, "negative_dot", multiplier, zeros)
        if metric == "cosine":
            nothing = np.zeros((1, queries.shape[1]), np.float32)
            self._norms = _native.Tables(books, nothing, "square", np.ones(1), np.zeros(1))

    @property
    def step(self) -> F32:
        """What a table entry's last bit is worth, for each query (q,); with cosine, in units of ``-<q, x̂> / |q|``."""
        return np.array(self._tables.scale, np.float32)

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size)."""
        codes = np.ascontiguousarray(codes)
        scores = self._tables.scan(codes)
        if self.metric == "cosine":
            return cosine_distances(scores, self._norms.scan(codes)[0].astype(np.float64))
        return scores


class SumScorer:
    """Scores of reconstructions that are sums: inner products part by part, norms from the codes themselves.

    ``|q - x̂|² = |q|² - 2 <q, x̂> + |x̂|²``: the first part is the queries', the second comes from scorers, and the third is computed
    once for all queries of the batch, from decoded rows. An index with side data needs inner products alone
    (`codeword.search.estimator`).

    Parameters
    ----------
    products : callable
        ``products(codes) -> -<q, x̂>``, float32 (q, n).
    decode : callable
        ``decode(codes) -> x̂``, float32 (n, d).
    queries : ndarray (q, d) float32
    metric : {"l2", "ip", "cosine"}
    """

    def __init__(self, products: Callable[[U8], F32], decode: Callable[[U8], F32], queries: F32, metric: str) -> None:
        self.metric = metric
        self._products, self._decode = products, decode
        self._squares = squared_norms(queries)

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size)."""
        codes = np.ascontiguousarray(codes)
        scores = np.ascontiguousarray(self._products(codes), np.float32)
        if self.metric == "ip":
            return scores
        norms = squared_norms(self._decode(codes))
        if self.metric == "cosine":
            scores *= inverse_roots(self._squares).astype(np.float32)[:, None]
            return cosine_distances(scores, norms)
        nothing, twos = np.zeros(len(scores), np.float32), np.full(scores.shape[1], 2.0, np.float32)
        _native.rescale(scores, nothing, twos, norms.astype(np.float32), self._squares.astype(np.float32), 0.0)
        return scores


class AffineScorer:
    """Scores of reconstructions ``low + step * symbol`` in each dimension: integer dot products with the symbols themselves.

    A query becomes int16 weights, ``q_j step_j`` in units of the largest / 32767 or so that no sum can reach 2**31; the error
    of ``<q, x̂>`` is at most ``unit / 2 * sum of the symbols``. Norms come from the same codes: with ``u = c (top - c)``,
    ``c² = top c - u``, so ``|x̂|²`` is a constant plus one sum over c and one over u, which is below 2**14.

    Parameters
    ----------
    queries : ndarray (q, d) float32
    low, step : ndarray (d,) float64
    bits : int
        Width of every symbol: 2, 4 or 8.
    metric : {"l2", "ip", "cosine"}

    Examples
    --------
    >>> import numpy as np
    >>> scorer = AffineScorer(np.array([[1, 2]], "f4"), np.zeros(2), np.ones(2), 4, "l2")
    >>> scorer.scores(np.array([[0x21], [0x30]], "u1")).round(3)
    array([[0., 2.]], dtype=float32)
    """

    def __init__(self, queries: F32, low: F64, step: F64, bits: int, metric: str) -> None:
        self.metric = metric
        top = 2**bits - 1
        Q = queries.astype(np.float64)
        weights, unit = whole_weights(Q * step, top)
        self._weights = planes(weights, bits)
        products = _row_sums(Q * low)
        squares = squared_norms(queries)
        if metric == "cosine":
            inverse = inverse_roots(squares)
            unit, products = unit * inverse, products * inverse
        factor = -2.0 if metric == "l2" else -1.0
        self._scale = (factor * unit).astype(np.float32)
        self._bias = (factor * products + (squares if metric == "l2" else 0.0)).astype(np.float32)
        self._norms: dict[str, Any] = {}
        if metric != "ip":
            linear, linear_unit = whole_weights((2 * low * step + top * step * step)[None], top)
            curved, curved_unit = whole_weights((step * step)[None], 0)
            self._norms = {
                "linear": planes(linear, bits)[0],
                "curved": planes(curved, bits)[0],
                "constant": float(_row_sums((low * low)[None])[0]),
                "linear_unit": float(linear_unit[0]),
                "curved_unit": float(curved_unit[0]),
                "cosine": metric == "cosine",
            }

    def take(self, numbers: NDArray[np.int64]) -> AffineScorer:
        """The scorer of some of the queries, by number."""
        made = copy(self)
        made._weights, made._scale, made._bias = self._weights[numbers], self._scale[numbers], self._bias[numbers]
        return made

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size)."""
        return _native.scan_fields(np.ascontiguousarray(codes), self._weights, self._scale, self._bias, **self._norms)


def _row_sums(A: F64) -> F64:
    """Sum of each row, in the order of the columns: the same on every machine."""
    return np.asarray(np.add.accumulate(A, axis=1)[:, -1])


def whole_weights(weights: F64, largest_symbol: int) -> tuple[NDArray[np.int16], F64]:
    """Weights (q, d) as int16 and the units (q,): 15 bits for the largest, and no sum with symbols of 2**31 or more."""
    sizes = np.abs(weights)
    unit = np.maximum(sizes.max(1) / _LARGEST_WEIGHT, _row_sums(sizes) * largest_symbol / (_LARGEST_SUM * 0.99))
    inverse = np.divide(1.0, unit, out=np.zeros_like(unit), where=unit > 1e-300)
    return np.rint(weights * inverse[:, None]).astype(np.int16), unit


def planes(weights: NDArray[np.int16], bits: int) -> NDArray[np.int16]:
    """Weights (q, d) as the planes (q, 8 / bits, code_size rounded up to 32) that `scan_fields` wants."""
    planes = 8 // bits
    code_size = -(-weights.shape[1] // planes)
    out = np.zeros((len(weights), planes, -(-code_size // 32) * 32), np.int16)
    for t in range(planes):
        part = weights[:, t::planes]
        out[:, t, : part.shape[1]] = part
    return out
