"""ScalarQuantizer: every coordinate is rounded to levels of its own.

    x (d,) --nearest level, ties to the lower--> d numbers of 1 to 8 bits, packed --levels--> x̂ (d,)

Levels are evenly spaced, low and step chosen for the least squared error (for few bits that clips the tails), or free:
Lloyd-Max. Source: Lloyd 1982; Max 1960, "Quantizing for minimum distortion". Fitting is `codeword.training.levels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, codes, registry, runtime
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.training import levels as fitting

LEVELS = ("uniform", "lloyd-max")
_MOST_FIELDS = 1 << 16  # symbols that the integer sums of AffineScorer hold


@registry.register("scalar")
class ScalarQuantizer(Quantizer):
    """2**bits levels for each coordinate.

    Parameters
    ----------
    bits : int, or sequence of int (d,)
        Bits of every coordinate's number, 1 to 8, or the width of each, 0 to 8. With 0 bits a coordinate becomes its mean.
    levels : {"uniform", "lloyd-max"}
        Evenly spaced levels: small model, fastest. Free levels: less distortion where a column is far from flat, 2**bits
        float32 a coordinate.

    Attributes
    ----------
    levels_ : ndarray (d, 2**max(bits)) float32
        Levels of each coordinate, rising; those beyond its own 2**bits repeat the last.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(1000, 6)).astype("f4")
    >>> sq = cw.ScalarQuantizer(bits=4).fit(X)
    >>> sq.encode(X).shape, sq.rate
    ((1000, 3), 4.0)
    >>> sq.distortion(X).relative < 0.013
    True
    """

    levels_: F32
    _affine: F32 | None

    def __init__(self, bits: Any = 8, *, levels: str = "uniform") -> None:
        self.bits = bits
        self.levels = levels

    @property
    def code_size(self) -> int:
        """Bytes per vector."""
        if self.d is None and np.ndim(self.bits) == 0:
            self._check_fitted()
        return codes.size(self._widths(self.d))

    def indices(self, codes_: Any) -> NDArray[np.uint32]:
        """Level numbers (n, d) uint32 of packed codes (n, code_size); 0 for coordinates of 0 bits."""
        self._check_fitted()
        widths = self._widths(self.d)
        packed = checks.codes(codes_, self.code_size)
        out = np.zeros((len(packed), len(widths)), np.uint32)
        out[:, widths > 0] = codes.unpack(packed, widths[widths > 0])
        return out

    def _widths(self, d: int | None) -> NDArray[np.uint8]:
        """Bits of each coordinate (d,); parameters are checked here."""
        if np.ndim(self.bits) == 0:
            return np.full(d or 1, checks.integer(self.bits, "bits", 1, 8), np.uint8)
        widths = [checks.integer(b, f"bits[{i}]", 0, 8) for i, b in enumerate(self.bits)]
        if d is not None and len(widths) != d:
            raise ValueError(f"bits: expected one width for each of the {d} columns, got {len(widths)}")
        if not any(widths):
            raise ValueError("bits: expected at least one width above 0, got only zeros")
        return np.array(widths, np.uint8)

    def _fit(self, X: F32, weight: F32 | None) -> None:
        widths = self._widths(X.shape[1])
        free = checks.choice(self.levels, "levels", LEVELS) == "lloyd-max"
        sizes = 1 << widths.astype(np.int64)
        low, step = np.zeros(len(widths)), np.zeros(len(widths))
        table = np.empty((len(widths), int(sizes.max())), np.float32)
        with runtime.Progress("ScalarQuantizer.fit", len(widths), "columns") as progress:
            for j, column in enumerate(fitting.columns(X, weight)):
                k = int(sizes[j])
                if free:
                    table[j] = _filled(fitting.free(column, k), table.shape[1])
                else:
                    low[j], step[j] = fitting.even(column, k)
                progress.advance(1)
        if free:
            self._set(widths, table)
        else:
            self._set_even(widths, low, step)

    def _set_even(self, widths: NDArray[np.uint8], low: NDArray[np.float64], step: NDArray[np.float64]) -> None:
        self._low, self._step = low, step
        top = (1 << widths.astype(np.int64)) - 1
        numbers = np.minimum(np.arange(1 << int(widths.max())), top[:, None])
        table = (low[:, None] + step[:, None] * numbers).astype(np.float32)
        self._set(widths, table)
        self._affine = _affine(low, step, top, table)

    def _set(self, widths: NDArray[np.uint8], table: F32) -> None:
        self.levels_ = table
        self._bits = widths
        self._affine = None
        self._tables: Any = None  # made by the first scorer
        self._thresholds = np.full((len(table), 256), np.inf, np.float32)
        self._thresholds[:, : table.shape[1]] = fitting.thresholds(table)

    def _encode(self, X: F32) -> U8:
        return _native.encode_levels(X, self._bits, self._thresholds, self._affine)

    def _decode(self, codes_: U8) -> F32:
        return _native.decode_levels(codes_, self._bits, self.levels_)

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import AffineScorer, TableScorer, prepare

        width = int(self._bits[0])
        if self._affine is not None and (self._bits == width).all() and width in (2, 4, 8) and len(self._bits) <= _MOST_FIELDS:
            return AffineScorer(queries, self._low, self._step, width, metric)
        # Coordinates of 0 bits are constants that every entry of the first table shares.
        used, fixed = np.flatnonzero(self._bits), np.flatnonzero(self._bits == 0)
        if self._tables is None:
            books = [self.levels_[j, : 1 << int(self._bits[j]), None] for j in used]
            constants = np.broadcast_to(self.levels_[fixed, 0], (len(books[0]), len(fixed)))
            books[0] = np.concatenate([books[0], constants], axis=1)
            self._tables = prepare(books, self._bits[used])
        order = np.concatenate([used[:1], fixed, used[1:]])
        return TableScorer(queries[:, order], self._tables, self._bits[used], metric)

    def _state(self) -> State:
        if self.levels == "uniform":
            return {"low": self._low, "step": self._step}
        return {"levels": self.levels_}

    def _load(self, state: State) -> None:
        assert self.d is not None
        widths = self._widths(self.d)
        if checks.choice(self.levels, "levels", LEVELS) == "uniform":
            low, step = (array(state, name, np.float64, (self.d,)) for name in ("low", "step"))
            if (step < 0).any() or (np.abs(low) + 255 * step > np.finfo(np.float32).max).any():
                raise FormatError("arrays 'low' and 'step': expected levels that rise and are float32 numbers")
            self._set_even(widths, low, step)
            return
        table = array(state, "levels", np.float32, (self.d, 1 << int(widths.max())))
        if (np.diff(table, axis=1) < 0).any():
            raise FormatError("array 'levels': expected levels that rise")
        self._set(widths, _limited(table, widths))


def _filled(levels: NDArray[np.float64], size: int) -> F32:
    """Levels as float32 (size,): rising after rounding too, the last repeated."""
    rounded = np.maximum.accumulate(levels.astype(np.float32))
    return np.concatenate([rounded, np.full(size - len(rounded), rounded[-1], np.float32)])


def _limited(table: F32, widths: NDArray[np.uint8]) -> F32:
    """Levels beyond a coordinate's own 2**bits made equal to its last, so that no code outside its width is ever used."""
    last = (1 << widths.astype(np.int64)) - 1
    return np.where(np.arange(table.shape[1]) <= last[:, None], table, np.take_along_axis(table, last[:, None], axis=1))


def _affine(low: NDArray[np.float64], step: NDArray[np.float64], top: NDArray[np.int64], table: F32) -> F32:
    """Rows low, 1 / step, top, sure (4, d rounded up to 64) for `encode_levels`.

    ``y = (x - low) / step`` in float32 is wrong by at most 4 roundings of a number up to top and the rounding of low; a
    threshold, the midpoint of two rounded levels, by 3 roundings of a level. All together, in steps, is how far from a half
    y must lie to be sure; where that is nearly everything, the thresholds decide alone (sure < 0).
    """
    half_ulp = 2.0**-24
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        low32 = low.astype(np.float32)
        inverse = np.where(step > 0, 1.0 / step, 0.0).astype(np.float32)
        largest = np.abs(table).max(1).astype(np.float64)
        doubt = 5 * half_ulp * top + (np.abs(low32 - low) + 5 * half_ulp * largest) * np.where(step > 0, 1.0 / step, 0.0)
    sure = np.where((doubt < 0.4) & np.isfinite(inverse), 0.499 - doubt, -1.0)
    out = np.zeros((4, -(-len(low) // 64) * 64), np.float32)
    out[:, : len(low)] = low32, np.where(np.isfinite(inverse), inverse, 0.0), np.where(inverse > 0, top, 0), sure
    return out
