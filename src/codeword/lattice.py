"""The codebooks of the lattice code, and its native coder (docs/lattice.md).

    shapes (m, 8) --one for each kind of point near 0 of the lattice E8--> leaders (m, 8) --permute, change signs--> vectors (k, 8)

A vector of E8, doubled, has eight even or eight odd numbers; sorted, without signs, it is the *shape* of all vectors that
permutations and changes of sign make of it. A codebook has the vectors of some shapes, each shape's entries replaced by the
*leader*, which is trained to Gaussian rows: vectors are closer together where rows are dense.

Source: Conway & Sloane 1982, "Voronoi regions of lattices" and "Fast quantizing and decoding algorithms for lattice quantizers";
leaders and the search among them as in permutation codes, Slepian 1965, "Permutation modulation".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.errors import FormatError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
BLOCK = 8
UNIT = 4096.0  # whole values that a standard deviation of 1 takes
_SHAPES_8 = "22000000 11111111 40000000"
_SHAPES_16 = (
    "22000000 11111111 40000000 31111111 22220000 42200000 33111111 22222200 51111111 44000000 42222000 33311111 22222222 "
    "62000000 44220000 42222220 33331111 62220000 44400000 71111111 44222222 80000000 44440000 33333331 66000000 33333333"
)
# The different entries of each leader, in 32nds of a standard deviation (tools/lattice_leaders.py).
_LEADERS_8 = "50, 27, 92"
_LEADERS_8_SECOND = "53, 27, 78"
_LEADERS_16 = (
    "24, 13, 46, 38 13, 26, 53 26, 39 14, 28, 71 14, 49, 57 28, 43 15, 28, 79 41, 59 28, 65 30, 50 15, 90 39, 67, 93 19, "
    "71 24, 106, 68, 46 7, 83, 40"
)
_LEADERS_16_SECOND = (
    "27, 16, 58, 44 15, 30, 61 29, 44 15, 32, 75 15, 52, 60 31, 46 16, 30, 88 48, 56 29, 63 28, 46 14, 83 33, 62, 77 17, "
    "63 20, 101, 65, 41 4, 82, 41"
)
# What a unit of the second stage's leaders is worth after each leader of the first, in 128ths of the first stage's unit.
_STEPS_8 = (27, 27, 28, 29, 29, 31, 31, 32, 35, 32, 35, 35, 35, 39, 39, 41, 45, 49, 52, 44, 51, 46, 67, 54, 50, 47)
_STEPS_16 = (27, 27, 28, 29, 29, 30, 30, 32, 33, 31, 33, 34, 34, 39, 36, 39, 42, 46, 48, 41, 48, 43, 62, 51, 47, 44)
# The standard deviation of a Gaussian row, in that of the leaders, which distortion is least with.
BEST_SCALE = {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.1}


@dataclass(frozen=True)
class Tables:
    """Codebooks of one stage or two.

    Attributes
    ----------
    shapes : tuple of ndarray (m, 8) uint8
    leaders : tuple of ndarray (m, 8) int8
    steps : ndarray (m,) uint8
        Of the first stage's leaders; empty where it is the only one.
    """

    shapes: tuple[NDArray[np.uint8], ...]
    leaders: tuple[NDArray[np.int8], ...]
    steps: NDArray[np.uint8]

    @property
    def longest(self) -> float:
        """The length that no block of eight whole values exceeds."""
        lengths = [np.sqrt((leaders.astype(np.float64) ** 2).sum(1)) for leaders in self.leaders]
        second = self.steps * lengths[1].max() if len(lengths) > 1 else 0.0
        return float((128.0 * lengths[0] + second).max())

    def coder(self, mean: F64, scale: F64) -> _native.Lattice:
        """The native coder for rows of these means (d,) and scales (blocks,); FormatError where the tables make no code."""
        try:
            return _native.Lattice(
                list(self.shapes),
                list(self.leaders),
                self.steps,
                np.ascontiguousarray(mean, np.float32),
                np.ascontiguousarray(scale, np.float32),
            )
        except ValueError as e:
            raise FormatError(f"lattice tables: {e}") from e


def tables(bits: int) -> Tables:
    """The codebooks of 1 to 4 bits a coordinate: 256 or 65,232 vectors, and one of them for what the other leaves."""
    first = _stage(_SHAPES_8, _LEADERS_8) if bits == 1 else _stage(_SHAPES_16, _LEADERS_16)
    if bits <= 2:
        return Tables((first[0],), (first[1],), np.zeros(0, np.uint8))
    second = _stage(_SHAPES_8, _LEADERS_8_SECOND) if bits == 3 else _stage(_SHAPES_16, _LEADERS_16_SECOND)
    steps = np.array(_STEPS_8 if bits == 3 else _STEPS_16, np.uint8)
    return Tables((first[0], second[0]), (first[1], second[1]), steps)


def _stage(shapes: str, entries: str) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    made = np.array([[int(digit) for digit in shape] for shape in shapes.split()], np.uint8)
    leaders = np.zeros(made.shape, np.int8)
    for shape, leader, text in zip(made, leaders, entries.split(","), strict=True):
        different = sorted({int(entry) for entry in shape if entry}, reverse=True)
        for entry, value in zip(different, text.split(), strict=True):
            leader[shape == entry] = int(value)
    return made, leaders
