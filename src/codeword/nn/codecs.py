"""What turns pieces of a matrix of about Gaussian entries, variance 1, into codes: trellis, lattice, product and scalar codebooks.

    X (n, width) float32 --encode--> codes (n, code_size) uint8 --decode--> X̂ (n, width) float32

Nothing here is trained on the matrix: behind random rotations all matrices look alike, and one fixed codec serves them. What a
codec looks up goes into files (`tables`), and never changes for a name.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from statistics import NormalDist
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, codes, keys, lattice, trellis
from codeword.quantizers.vector import VectorQuantizer

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
MIN_WIDTH = 64
"""Coordinates of the smallest piece: enough for the window of a trellis at 1 bit."""
_STREAM = 0x6E6E636F6465
_SAMPLE, _QUANTILE_BITS = 1 << 16, 14
_WINDOW, _WARM = 12, 32
_LLOYD_PASSES = 10_000


class Codec(ABC):
    """Codes of pieces of any width of at least `MIN_WIDTH`, at one rate.

    Attributes
    ----------
    method : str
        The name that files have.
    rates : tuple of float
        Bits a coordinate that there are.
    bits : float
        One of them; a code is the next whole number of bytes.
    """

    method: ClassVar[str]
    rates: ClassVar[tuple[float, ...]]

    def __init__(self, bits: float) -> None:
        self.bits = bits

    def code_size(self, width: int) -> int:
        """Bytes of the code of `width` coordinates."""
        return int(np.ceil(self.bits * width / 8))

    @functools.cached_property
    def distortion(self) -> float:
        """Mean squared error of Gaussian entries of variance 1, measured."""
        X = _gaussian(1, 64, 512)
        return float(np.mean((X - self.decode(self.encode(X), 512)) ** 2, dtype=np.float64))

    @abstractmethod
    def encode(self, X: F32) -> U8:
        """Codes (n, code_size) of pieces (n, width)."""

    @abstractmethod
    def decode(self, codes_: U8, width: int) -> F32:
        """Pieces (n, width) of codes (n, code_size)."""

    @abstractmethod
    def tables(self) -> dict[str, NDArray[Any]]:
        """What a reader without this package needs to decode."""


class Levels(NamedTuple):
    """A trellis code in byte arithmetic: a value is nearly (`level` - 128) times `unit`.

    Attributes
    ----------
    levels : ndarray (tables * 256,) uint8
        Of each index of the tables.
    periods : ndarray (2,) uint8
        Exclusive ors of an index that change no level; 0 where there are none.
    unit : float
    """

    levels: U8
    periods: U8
    unit: float


class TrellisCodec(Codec):
    """Tail-biting trellis codes with a window of 12 bits (docs/trellis.md), values of 16 bits."""

    method = "trellis"
    rates = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)

    def __init__(self, bits: float) -> None:
        super().__init__(bits)
        self._coders: dict[int, _native.Trellis] = {}

    def layout(self, width: int) -> trellis.Layout:
        """Steps of a piece of `width` coordinates: all of one kind, then spare bits up to a whole byte."""
        whole = self.bits == int(self.bits)
        step, group = (int(self.bits), 1) if whole else (int(2 * self.bits), 2)
        spare = 8 * self.code_size(width) - width // group * step
        steps = [(step, group, group)] * (width // group) + [(1, 1, 0)] * spare
        return trellis.Layout(np.array(steps, np.int32), np.arange(width, dtype=np.int32))

    def encode(self, X: F32) -> U8:
        return self.coder(X.shape[1]).encode(X)

    def decode(self, codes_: U8, width: int) -> F32:
        return self.coder(width).decode(codes_)

    def tables(self) -> dict[str, NDArray[Any]]:
        made = self._tables()
        used = np.unique(self.layout(512).tables)
        return {"folds": made.folds, "numbers": used, "values": made.values[used]}

    def matrix(self, rows: int, columns: int, width: int) -> tuple[_native.PackedMatrix, float]:
        """What multiplies with a matrix of pieces of `width` coordinates, four columns each, and its unit."""
        found = self.levels
        return _native.PackedMatrix(self.coder(width), found.levels, found.periods, rows, columns), found.unit

    @functools.cached_property
    def levels(self) -> Levels:
        """Values rounded to bytes: exact for `ByteTrellisCodec` up to 4 bits, elsewhere within half a unit."""
        values = self._tables().values[np.unique(self.layout(512).tables)].astype(np.int64)
        step = -(-int(np.abs(values).max()) // 127)
        levels = np.rint(values / step).astype(np.int64)
        index = np.arange(256)
        periods = [p for p in range(1, 256) if np.array_equal(levels, levels[:, index ^ p])]
        chosen = np.array([*periods[:2], 0, 0][:2], np.uint8)
        return Levels((levels + 128).astype(np.uint8).ravel(), chosen, step / trellis.UNIT)

    def coder(self, width: int) -> _native.Trellis:
        """The native coder of pieces of `width` coordinates."""
        if width not in self._coders:
            ones = np.ones(width)
            self._coders[width] = trellis.coder(self._tables(), self.layout(width), 0 * ones, ones, _WARM)
        return self._coders[width]

    def _tables(self) -> trellis.Tables:
        return trellis.shipped(_WINDOW)


class ByteTrellisCodec(TrellisCodec):
    """The same with values of 8 bits up to 4 bits a coordinate, few of them at low rates: the quickest to multiply with."""

    method = "trellis8"

    def _tables(self) -> trellis.Tables:
        return trellis.byte_tables()


class LatticeCodec(Codec):
    """Eight coordinates at a time become the nearest vector of a part of E8 (docs/lattice.md): ten times as fast as a trellis."""

    method = "lattice"
    rates = (1.0, 2.0, 3.0, 4.0)

    def __init__(self, bits: float) -> None:
        super().__init__(bits)
        self._coders: dict[int, _native.Lattice] = {}

    def code_size(self, width: int) -> int:
        return int(self.bits) * -(-width // lattice.BLOCK)

    def encode(self, X: F32) -> U8:
        return self._coder(X.shape[1]).encode(X)

    def decode(self, codes_: U8, width: int) -> F32:
        return self._coder(width).decode(codes_)

    def tables(self) -> dict[str, NDArray[Any]]:
        made = lattice.tables(int(self.bits))
        parts = {"shapes": made.shapes, "leaders": made.leaders}
        return {"steps": made.steps} | {f"{name}.{s}": a for name, stages in parts.items() for s, a in enumerate(stages)}

    def _coder(self, width: int) -> _native.Lattice:
        if width not in self._coders:
            bits = int(self.bits)
            scale = np.full(-(-width // lattice.BLOCK), lattice.BEST_SCALE[bits] / lattice.UNIT)
            self._coders[width] = lattice.tables(bits).coder(np.zeros(width), scale)
        return self._coders[width]


class CodebookCodec(Codec):
    """One codebook, trained to Gaussian rows of `dsub` coordinates; `symbol_bits` bits name a codeword."""

    dsub: int
    symbol_bits: int

    def encode(self, X: F32) -> U8:
        symbols = self._quantizer.encode(self._padded(X)).reshape(len(X), -1)
        return codes.pack(symbols, self._widths(symbols.shape[1]))

    def decode(self, codes_: U8, width: int) -> F32:
        symbols = codes.unpack(codes_, self._widths(-(-width // self.dsub)))
        return np.ascontiguousarray(self._quantizer.codebook[symbols].reshape(len(codes_), -1)[:, :width])

    def code_size(self, width: int) -> int:
        return codes.size(self._widths(-(-width // self.dsub)))

    def tables(self) -> dict[str, NDArray[Any]]:
        return {"codebook": self._quantizer.codebook}

    def _padded(self, X: F32) -> F32:
        return np.pad(X, ((0, 0), (0, -X.shape[1] % self.dsub))).reshape(-1, self.dsub)

    def _widths(self, m: int) -> U8:
        return np.full(m, self.symbol_bits, np.uint8)

    @functools.cached_property
    def _quantizer(self) -> VectorQuantizer:
        return VectorQuantizer.from_codebook(self._codebook())

    def _codebook(self) -> F32:
        rows = _gaussian(0, _SAMPLE, self.dsub)
        return VectorQuantizer(1 << self.symbol_bits, trim=False).fit(rows).codebook


class ProductCodec(CodebookCodec):
    """A byte names one of 256 codewords of 8, 4, 2 coordinates: the simplest vector code."""

    method = "product"
    rates = (1.0, 2.0, 4.0)

    def __init__(self, bits: float) -> None:
        super().__init__(bits)
        self.dsub, self.symbol_bits = int(8 // bits), 8


class ScalarCodec(CodebookCodec):
    """Each coordinate is rounded to one of 2**bits levels, dense where Gaussians are (Lloyd-Max)."""

    method = "scalar"
    rates = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)

    def __init__(self, bits: float) -> None:
        super().__init__(bits)
        self.dsub, self.symbol_bits = 1, int(bits)

    def _codebook(self) -> F32:
        """Lloyd's iteration to its end, from the levels that are best where there are many (Panter and Dite 1951)."""
        values, k = _quantiles().astype(np.float64), 1 << self.symbol_bits
        sums = np.concatenate([[0.0], np.cumsum(values)])
        levels = np.sqrt(3.0) * values[(2 * np.arange(k) + 1) * (len(values) // (2 * k))]
        for _ in range(_LLOYD_PASSES):
            ends = np.searchsorted(values, (levels[1:] + levels[:-1]) / 2)
            bounds = np.concatenate([[0], ends, [len(values)]])
            moved = np.diff(sums[bounds]) / np.diff(bounds)
            if np.array_equal(moved, levels):
                break
            levels = moved
        return levels.astype(np.float32)[:, None]


_CODECS: dict[str, type[Codec]] = {c.method: c for c in (ByteTrellisCodec, TrellisCodec, LatticeCodec, ProductCodec, ScalarCodec)}
METHODS = tuple(_CODECS)


@functools.cache
def codec(method: str, bits: float) -> Codec:
    """The codec of a name at a rate; ValueError where there is none.

    Examples
    --------
    >>> codec("trellis", 2.0).code_size(512), codec("scalar", 3.0).code_size(512)
    (128, 192)
    """
    made = _CODECS[checks.choice(method, "method", METHODS)]
    if bits not in made.rates:
        raise ValueError(f"bits: expected one of {', '.join(f'{r:g}' for r in made.rates)} for method {method!r}, got {bits:g}")
    return made(float(bits))


@functools.cache
def _quantiles() -> F32:
    """2**14 quantiles of a Gaussian, evenly spaced in probability, in units that every machine's logarithm gives alike."""
    normal, n = NormalDist(), 1 << _QUANTILE_BITS
    return np.array([round(normal.inv_cdf((i + 0.5) / n) * 2**16) / 2**16 for i in range(n)], np.float32)


@functools.cache
def _gaussian(seed: int, n: int, d: int) -> F32:
    """Gaussian rows (n, d): quantiles drawn by keys."""
    drawn = keys.bits64(seed, _STREAM, np.arange(n * d)) >> np.uint64(64 - _QUANTILE_BITS)
    return _quantiles()[drawn.astype(np.int64)].reshape(n, d)
