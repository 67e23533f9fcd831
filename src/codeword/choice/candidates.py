"""What `codeword.auto` tries, in one table. A new quantizer is one more line here.

Names are what the frontier shows. `make` gives an unfitted quantizer whose codes take `size` bytes for rows of width d, or None
where there is none. `strong` is the range of rates (bits a dimension) at which it has led, or come close, in
`bench/rate_distortion.py`: there it is tried first, in the order of the table. `seconds` is what fitting n rows and encoding r
rows takes one core, roughly: it only decides what waits for what is quicker, and what is skipped for lack of time. `kin` says what
kind of code it is: where a quick one of a kind leads, slow ones of its kind are tried before others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codeword.base import Quantizer
from codeword.pipeline import Pipeline
from codeword.quantizers.additive import AdditiveQuantizer
from codeword.quantizers.binary import BinaryQuantizer
from codeword.quantizers.lattice import LatticeQuantizer
from codeword.quantizers.mixture import MixtureQuantizer
from codeword.quantizers.product import ProductQuantizer
from codeword.quantizers.residual import ResidualQuantizer
from codeword.quantizers.scalar import ScalarQuantizer
from codeword.quantizers.scaled import ScaledQuantizer
from codeword.quantizers.trellis import TrellisQuantizer
from codeword.stages import Stages
from codeword.transforms.center import Center
from codeword.transforms.klt import KLT
from codeword.transforms.opq import OPQ
from codeword.transforms.rotation import Rotation

_CELLS = 16
# Rows wider than this lose the axes that no bit would reach before each cell gets a KLT, which takes the cube of its width.
_WIDE = 512
Make = Callable[[int, int, int], "Quantizer | None"]
Seconds = Callable[[int, int, int, int], float]


@dataclass(frozen=True)
class Candidate:
    """One way to code rows.

    Attributes
    ----------
    name : str
    make : callable
        ``make(d, size, seed)``: a quantizer, not fitted, or None.
    strong : (float, float)
        Least and most bits a dimension at which it is tried early.
    seconds : callable
        ``seconds(n, r, d, size)``: expected time of fitting n rows and encoding r.
    kin : {"trellis", "codebook", "scalar"}
        What carries most of the bits.
    """

    name: str
    make: Make
    strong: tuple[float, float]
    seconds: Seconds
    kin: str = "trellis"

    def leads(self, d: int, size: int) -> bool:
        """Whether it is among those that lead at this rate."""
        return self.strong[0] <= 8 * size / d <= self.strong[1]


def ordered(d: int, size: int) -> list[Candidate]:
    """The candidates for codes of `size` bytes, most promising first."""
    return sorted(CANDIDATES, key=lambda c: not c.leads(d, size))


def _bits(d: int, size: int) -> float:
    """The bits a coordinate of which the trellis makes `size` bytes, rounding included."""
    bits = 8 * size / d
    return bits if np.ceil(bits * d / 8) == size else float(np.nextafter(bits, 0))


def _trellis(d: int, size: int, *, stages: int = 1, effort: str = "default") -> Quantizer | None:
    if size < stages:
        return None
    bits = _bits(d, size - stages + 1)  # every stage is rounded up to whole bytes
    return TrellisQuantizer(bits, allocation="waterfill", stages=stages, effort=effort) if bits <= 6 * stages else None


def _behind(transform: KLT, quantizer: Quantizer | None) -> Quantizer | None:
    return None if quantizer is None else Pipeline([transform], quantizer)


def _rotated_trellis(d: int, size: int, seed: int) -> Quantizer | None:
    bits = _bits(d, size)
    return Pipeline([Center(), Rotation(seed=seed)], TrellisQuantizer(bits)) if bits <= 6 else None


def _product(d: int, size: int, seed: int) -> Quantizer | None:
    return Pipeline([Center()], ProductQuantizer(size, seed=seed)) if size <= d else None


def _rotated_product(d: int, size: int, seed: int) -> Quantizer | None:
    return Pipeline([OPQ(size, seed=seed)], ProductQuantizer(size, seed=seed)) if size <= d else None


def _scalar(d: int, size: int, seed: int) -> Quantizer | None:
    bits = min(8, 8 * size // d)
    return Pipeline([Center()], ScalarQuantizer(bits, levels="lloyd-max")) if bits else None


def _binary(d: int, size: int, seed: int) -> Quantizer | None:
    bits = min(8, 8 * (size - 2) // d)
    return Pipeline([Center(), Rotation(seed=seed)], BinaryQuantizer(bits)) if bits > 0 else None


def _lattice(d: int, size: int, seed: int) -> Quantizer | None:
    bits = min(4, size // -(-d // 8))
    return Pipeline([Center(), Rotation(seed=seed)], LatticeQuantizer(bits)) if bits else None


def _staged(front: int) -> Make:
    """A few residual stages for the clusters, then the trellis for what they leave, which is nearer to normal."""

    def make(d: int, size: int, seed: int) -> Quantizer | None:
        rest = _behind(KLT(seed=seed), _trellis(d, size - front))
        return None if rest is None else Stages([ResidualQuantizer(front, seed=seed), rest])

    return make


def _scaled(d: int, size: int, seed: int) -> Quantizer | None:
    inner = _trellis(d, size - 1, stages=2)
    return None if inner is None else Pipeline([KLT(seed=seed)], ScaledQuantizer(inner))


def _mixture_of(inner: Quantizer | None, seed: int, axes: int | None = None) -> Quantizer | None:
    front = Center() if axes is None else KLT(axes, seed=seed)
    return None if inner is None else Pipeline([front], MixtureQuantizer(_CELLS, inner, seed=seed))


def _mixture_width(d: int, size: int) -> int:
    """Columns that the cells see."""
    return d if d <= _WIDE else min(d, 8 * size)


def _mixture(d: int, size: int, seed: int) -> Quantizer | None:
    """Cells of which the number takes a byte. Two stages behind them lose 5 to 8 % at 2 and 4 bits on SIFT: they are not tried."""
    width = _mixture_width(d, size)
    return _mixture_of(_behind(KLT(seed=seed), _trellis(width, size - 1)), seed, width if width < d else None)


# Seconds on one core of a recent machine.


def _klt_seconds(n: int, r: int, d: int) -> float:
    """Moments of folds, then for each that is held out two eigendecompositions, and one of all rows."""
    return (n + r) * d * d * 2e-10 + (3 if n >= 8 * d else 9) * d**3 * 1.6e-10 + 0.02


def _trellis_seconds(speed: float) -> Seconds:
    """Of a trellis behind a KLT that encodes so many coordinates a second."""
    return lambda n, r, d, size: _klt_seconds(n, r, d) + r * d / speed


def _product_seconds(n: int, r: int, d: int, size: int) -> float:
    return (12 * n + r) * d * 512 / 6e10


def _opq_seconds(n: int, r: int, d: int, size: int) -> float:
    rows = min(n, 1 << 14)
    turns = 8 * (2 * rows * d * d / 1e10 + d**3 / 1e9)
    return 3 * _product_seconds(rows, 0, d, size) + _product_seconds(n, r, d, size) + turns + 0.3


def _mixture_seconds(n: int, r: int, d: int, size: int) -> float:
    """Cells are learned twice, each from its rows and two for each column from others; a row is coded in four of them."""
    width = _mixture_width(d, size)
    rows = min(n, _CELLS * max(2048, 4 * width))
    cells = 2 * _CELLS * _klt_seconds(rows // _CELLS + 2 * width, 0, width)
    return cells + 4 * (r + rows) * width * (1e-7 + 2 * width / 2e10) + (n + r) * d * width * 2e-10


def _scaled_seconds(n: int, r: int, d: int, size: int) -> float:
    return _klt_seconds(n, r, d) + 6 * r * d / 1e7


def _sum_seconds(passes: int, rounds: float) -> Seconds:
    """Of a beam of 8 paths, with 8-bit numbers; all rounds of learning and the updates between them are `rounds` encodings."""
    return lambda n, r, d, size: (rounds * min(n, 1 << 16) + r) * size * (passes * (1e-6 + size * 3.2e-8) + d * 9e-9)


def _staged_seconds(front: int) -> Seconds:
    """Residual stages are fitted to all rows and to either half of them."""
    stages, rest = _sum_seconds(1, 3.5), _trellis_seconds(1e7)
    return lambda n, r, d, size: stages(2 * n, r, d, front) + rest(n, n + r, d, size)


# The first is tried whatever the time: it must be quick.
CANDIDATES = (
    Candidate("KLT + trellis", lambda d, size, seed: _behind(KLT(seed=seed), _trellis(d, size)), (0, 16), _trellis_seconds(1e7)),
    Candidate("2 residual stages, KLT + trellis", _staged(2), (0, 1), _staged_seconds(2)),
    Candidate("4 residual stages, KLT + trellis", _staged(4), (0, 4), _staged_seconds(4)),
    Candidate("mixture of KLT + trellis", _mixture, (0.1, 6), _mixture_seconds),
    Candidate(
        "residual",
        lambda d, size, seed: ResidualQuantizer(size, seed=seed) if size <= 256 else None,
        (0, 0.5),
        _sum_seconds(1, 3.5),
        "codebook",
    ),
    Candidate(
        "additive",
        lambda d, size, seed: AdditiveQuantizer(size, seed=seed) if size <= 256 else None,
        (0, 2.5),
        _sum_seconds(4, 8),
        "codebook",
    ),
    Candidate(
        "KLT + trellis in two stages",
        lambda d, size, seed: _behind(KLT(seed=seed), _trellis(d, size, stages=2)),
        (1.5, 16),
        _trellis_seconds(1e7),
    ),
    Candidate("KLT + scaled trellis", _scaled, (1, 16), _scaled_seconds),
    Candidate(
        "mixture of KLT + scaled trellis",
        lambda d, size, seed: _mixture_of(_scaled(d, size - 1, seed), seed),
        (2.5, 8),
        lambda n, r, d, size: 4 * _mixture_seconds(n, r, d, size),
    ),
    Candidate("OPQ + product", _rotated_product, (0, 8), _opq_seconds, "codebook"),
    Candidate(
        "KLT + trellis, best effort",
        lambda d, size, seed: _behind(KLT(seed=seed), _trellis(d, size, effort="best")),
        (0.5, 6),
        _trellis_seconds(7e5),
    ),
    Candidate("product", _product, (0, 1), _product_seconds, "codebook"),
    Candidate("rotation + trellis", _rotated_trellis, (4, 6), _trellis_seconds(1e7)),
    Candidate("rotation + binary", _binary, (6, 8), lambda n, r, d, size: (min(n, 1 << 14) + r) * d / 1e7, "scalar"),
    Candidate("rotation + lattice", _lattice, (4, 4), lambda n, r, d, size: (min(n, 1 << 15) + r) * d / 1e8, "scalar"),
    Candidate("scalar", _scalar, (7, 8), lambda n, r, d, size: n * d / 1e7, "scalar"),
)
