"""BinaryQuantizer: the direction of a row as signs or small odd integers, its length beside them, and distances with error bars.

    x (d,) --nearest direction--> u (d,) odd integers of 1 to 8 bits, packed, and two bytes: |x| and |x| / <x, u>
    <q, x> is estimated as <q, u> |x|² / <x, u>;   x̂ = u <x, u> / |u|²

Behind a random `Rotation` the estimate has no bias and its error is known: of the order of 1 / sqrt(d), whatever the data. One
bit: u is the sign of x. More: the best direction among all roundings of t x to odd integers, for any t > 0.

Source: Gao & Long 2024, "RaBitQ"; Gao et al. 2024, "Practical and asymptotically optimal quantization of high-dimensional
vectors in Euclidean space" (several bits). Whole weights of 7 bits for queries and tables of 64 queries are ours.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, codes, keys, registry
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.scorers import AffineScorer, TableScorer, inverse_roots, squared_norms
from codeword.sources import Rows
from codeword.training.levels import thresholds
from codeword.training.passes import Job, check_cap, overhead, plain_step, sample_job
from codeword.training.side_levels import log_levels

F64 = NDArray[np.float64]
SIDE_BYTES = 2
_STREAM = 0x42696E
_TRAINING_ROWS = 1 << 14
_SIDE_WIDTHS = np.full(SIDE_BYTES, 8, np.uint8)
_LARGEST_BYTE = 123  # eight weights rounded by half a unit each stay within 127


@registry.register("binary")
class BinaryQuantizer(Quantizer):
    """Directions of rows in 1 to 8 bits a coordinate, and two bytes for their lengths.

    Put `Center` and `Rotation` in front: the error bars are those of a random rotation, and one bit says most about rows whose
    coordinates are of equal size. Scores are estimates of the distance to the row itself, not to its reconstruction.

    Parameters
    ----------
    bits : int
        Bits of every coordinate, 1 to 8.

    Attributes
    ----------
    levels_ : ndarray (2, 256) float32
        What the two bytes beside a code mean: lengths ``|x|``, and gains ``|x| / <x, u>``.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(1000, 64)).astype("f4")
    >>> bq = cw.Pipeline([cw.Center(), cw.Rotation()], cw.BinaryQuantizer()).fit(X)
    >>> codes = bq.encode(X)
    >>> codes.shape
    (1000, 10)
    >>> scorer = bq.scorer(X[:1], "l2")
    >>> error = np.abs(scorer.scores(codes)[0] - ((X - X[0]) ** 2).sum(1))
    >>> bool((error <= scorer.error_bars(codes, confidence=0.95)[0]).mean() > 0.94)
    True
    """

    exempt: ClassVar = {
        "check_scores_are_distances_to_decoded_rows": "scores estimate the distance to the row, without the code's error"
    }
    levels_: F32

    def __init__(self, bits: int = 1) -> None:
        self.bits = bits

    @property
    def estimates(self) -> bool:
        return True

    @property
    def code_size(self) -> int:
        """Bytes per vector."""
        self._check_fitted()
        assert self.d is not None
        return self._direction_size(self.d) + SIDE_BYTES

    def _direction_size(self, d: int) -> int:
        return (checks.integer(self.bits, "bits", 1, 8) * d + 7) // 8

    def _fit(self, X: F32, weight: F32 | None) -> None:
        used = X if weight is None else X[weight > 0]
        self._learned([np.ascontiguousarray(used[keys.sample(0, _STREAM, len(used), _TRAINING_ROWS)])])

    def _jobs(self, rows: Rows) -> tuple[list[Job[Any]], int]:
        check_cap(rows, overhead(rows) + _TRAINING_ROWS * 24 * rows.d, "a sample of ")
        return [sample_job(rows, 0, _STREAM, _TRAINING_ROWS)], plain_step(rows)

    def _learned(self, results: list[Any]) -> None:
        (rows,) = results
        lengths, gains = self._directions(rows)[1].T
        self._set(np.stack([log_levels(lengths), log_levels(gains)]))

    def _set(self, levels: F32) -> None:
        self.levels_ = levels
        self._thresholds = thresholds(levels)

    def _directions(self, X: F32) -> tuple[U8, F64]:
        """Codes with two bytes free at the end, and the lengths and gains (n, 2) of the rows `X`."""
        n, d = X.shape
        size = self._direction_size(d)
        out = np.empty((n, size + SIDE_BYTES), np.uint8)
        if self.bits == 1:
            sums = _native.sign_codes(X, out)
        else:
            indices, sums = _native.grid_codes(X, self.bits)
            out[:, :size] = codes.pack(indices.astype(np.uint32), np.full(d, self.bits, np.uint8))
        lengths = np.sqrt(sums[:, 0])
        gains = np.divide(lengths, sums[:, 1], out=np.zeros(n), where=sums[:, 1] > 0)
        return out, np.stack([lengths, gains], axis=1)

    def _encode(self, X: F32) -> U8:
        out, numbers = self._directions(X)
        out[:, -SIDE_BYTES:] = _native.encode_levels(numbers.astype(np.float32), _SIDE_WIDTHS, self._thresholds)
        return out

    def _decode(self, codes_: U8) -> F32:
        assert self.d is not None
        u = self._odd(codes_)
        lengths, gains = self._side(codes_)
        below = gains * self._squares(u)
        scale = np.divide(lengths, below, out=np.zeros_like(below), where=below > 0)
        return u * scale.astype(np.float32)[:, None]

    def _odd(self, codes_: U8) -> F32:
        """The odd integers u (n, d) of codes."""
        assert self.d is not None
        levels = np.arange(1 - 2**self.bits, 2**self.bits, 2, dtype=np.float32)
        table = np.broadcast_to(levels, (self.d, len(levels)))
        packed = np.ascontiguousarray(codes_[:, :-SIDE_BYTES])
        return _native.decode_levels(packed, np.full(self.d, self.bits, np.uint8), np.ascontiguousarray(table))

    def _squares(self, u: F32) -> F64:
        """|u|² (n,) of odd integers."""
        return np.full(len(u), float(u.shape[1])) if self.bits == 1 else squared_norms(u)

    def _side(self, codes_: U8) -> tuple[F64, F64]:
        """Lengths and gains (n,) that the last two bytes of codes stand for."""
        wide = self.levels_.astype(np.float64)
        return wide[0, codes_[:, -2]], wide[1, codes_[:, -1]]

    def _scorer(self, queries: F32, metric: str) -> Any:
        return BinaryScorer(self, queries, metric)

    def _state(self) -> State:
        return {"levels": self.levels_}

    def _load(self, state: State) -> None:
        assert self.d is not None
        self._direction_size(self.d)
        levels = array(state, "levels", np.float32, (2, 256))
        if (np.diff(levels, axis=1) < 0).any() or (levels < 0).any():
            raise FormatError("array 'levels': expected levels from 0 up that rise")
        self._set(levels)


class BinaryScorer:
    """Estimated distances of a batch of queries to rows, from their binary codes.

    With the query's inner product with the odd integers, ``<q, x> = <q, u> |x| gain``. One bit: the query becomes whole weights,
    each byte's eight of absolute sum 127 at most, and ``<q, u>`` a sum of integers; more bits are scored as scalar codes are.

    Parameters
    ----------
    quantizer : BinaryQuantizer
    queries : ndarray (q, d) float32
    metric : {"l2", "ip", "cosine"}
    """

    def __init__(self, quantizer: BinaryQuantizer, queries: F32, metric: str) -> None:
        self.metric = metric
        self._quantizer = quantizer
        squares = squared_norms(queries)
        self._lengths = np.sqrt(squares)
        if metric == "cosine":
            unit = queries.astype(np.float64) * inverse_roots(squares)[:, None]
            queries = unit.astype(np.float32)
            squares = (squares > 0).astype(np.float64)
        self._squares = squares
        self._lost = np.zeros(len(queries))  # |q - q̂|² of the weights
        self._after = (squares if metric == "l2" else np.full(len(queries), float(metric == "cosine"))).astype(np.float32)
        self._floor = -np.inf if metric == "ip" else 0.0
        lengths = quantizer.levels_[0].astype(np.float64)
        factor = {"l2": 2.0 * lengths, "ip": lengths, "cosine": (lengths > 0).astype(np.float64)}[metric]
        self._factor = factor.astype(np.float32)
        self._terms = (lengths * lengths * (metric == "l2")).astype(np.float32)
        if quantizer.bits == 1:
            self._weigh(queries.astype(np.float64))
        else:
            self._inner = _odd_scorer(queries, quantizer.bits)

    def _weigh(self, Q: F64) -> None:
        padded = np.zeros((len(Q), -(-Q.shape[1] // 8) * 8))
        padded[:, : Q.shape[1]] = np.abs(Q)
        unit = np.add.accumulate(padded.reshape(len(Q), -1, 8), axis=2)[:, :, -1].max(1, initial=0.0) / _LARGEST_BYTE
        with np.errstate(divide="ignore"):
            inverse = np.where(unit > 0, 1.0 / unit, 0.0)
        weights = np.rint(Q * np.where(np.isfinite(inverse), inverse, 0.0)[:, None])
        self._weights = _native.Signs(weights.astype(np.int8))
        self._scale = (2.0 * unit).astype(np.float32)
        self._bias = (-unit * weights.sum(1)).astype(np.float32)
        self._lost = squared_norms((Q - unit[:, None] * weights).astype(np.float32))

    def scores(self, codes: U8) -> F32:
        """Estimated distances float32 (q, n) of `codes` (n, code_size)."""
        codes = np.ascontiguousarray(codes)
        gains = self._quantizer.levels_[1]
        if self._quantizer.bits == 1:
            tables = (-self._factor, gains, self._terms)
            return self._weights.scan(codes, self._scale, self._bias, self._after, *tables, self._floor)
        scores: F32 = self._inner.scores(np.ascontiguousarray(codes[:, :-SIDE_BYTES]))
        factor, term = self._factor[codes[:, -2]] * gains[codes[:, -1]], self._terms[codes[:, -2]]
        _native.rescale(scores, np.zeros(len(scores), np.float32), factor, term, self._after, self._floor)
        return scores

    def error_bars(self, codes: U8, confidence: float = 0.95) -> F32:
        """How far scores may be from the distances to the rows themselves.

        Behind a random rotation the error of ``<q, x>`` is ``|q| |x| sqrt(|u|² gain² - 1)`` times a coordinate of a random unit
        vector in d - 1 dimensions, which is below ``z / sqrt(d - 1)`` at least as often as a normal variable is below z (RaBitQ,
        theorem 3.2). The rounding of the query, as spread by the rotation, and of the two bytes are added.

        Parameters
        ----------
        codes : ndarray (n, code_size) uint8
        confidence : float
            Share of rows, between 0 and 1, whose distance lies within the bar of its score, over random rotations.

        Returns
        -------
        ndarray (q, n) float32
        """
        z = NormalDist().inv_cdf((1 + _share(confidence)) / 2)
        quantizer = self._quantizer
        codes = np.ascontiguousarray(codes)
        lengths, gains = quantizer._side(codes)
        u = quantizer._odd(codes)
        spread = np.maximum(gains * gains * quantizer._squares(u) - 1.0, 0.0)
        error = z * np.sqrt((self._squares[:, None] * spread + self._lost[:, None]) / max(1, u.shape[1] - 1))
        rounding = _half_gaps(quantizer.levels_.astype(np.float64))
        of_length, of_gain = rounding[0, codes[:, -2]], rounding[1, codes[:, -1]]
        if self.metric == "cosine":
            return np.asarray(error + of_gain, np.float32)
        error = lengths * (error + np.sqrt(self._squares)[:, None] * (of_length + of_gain))
        if self.metric == "l2":
            error = 2.0 * error + 2.0 * lengths * lengths * of_length
        return np.asarray(error, np.float32)


def _odd_scorer(queries: F32, bits: int) -> Any:
    """A scorer whose distances are ``-<q, u>`` for codes of the odd integers u."""
    d = queries.shape[1]
    low, step = np.full(d, 1.0 - 2**bits), np.full(d, 2.0)
    if bits in (2, 4, 8):
        return AffineScorer(queries, low, step, bits, "ip")
    levels = np.arange(1 - 2**bits, 2**bits, 2, dtype=np.float32)[:, None]
    return TableScorer(queries, [levels] * d, np.full(d, bits, np.uint8), "ip")


def _half_gaps(levels: F64) -> F64:
    """Half the wider gap beside each level, as a share of it: how far a number may be from the level that it became."""
    gaps = np.diff(levels, axis=1)
    widest = np.maximum(np.pad(gaps, ((0, 0), (0, 1))), np.pad(gaps, ((0, 0), (1, 0))))
    return np.divide(widest / 2, levels, out=np.zeros_like(levels), where=levels > 0)


def _share(confidence: float) -> float:
    checks.real(confidence, "confidence", 0, 1)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a share between 0 and 1, got {confidence}")
    return float(confidence)
