"""Rounding with feedback: the error of each block of columns is made good by the columns that are still to come.

    V (columns, rows), H (columns, columns) --block by block: encode, spread the error over the rest--> codes

The blocks' pieces are of `tile` columns and some 128 rows, interleaved (row by row, its columns side by side), so that one code holds a few
columns only and feedback is nearly as fine as column by column.

Source: Frantar et al. 2022, "GPTQ", and Chee et al. 2023, "QuIP" (LDLQ), for blocks of columns as in Tseng et al. 2024, "QTIP". With
H^-1 = U' U (U upper triangular), the error E of block b is compensated by adding E U_bb^-1 U_br to the columns r that remain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword.nn.codecs import MIN_WIDTH, Codec

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
_ROWS = 128
_GROUP = 64  # columns whose errors reach the rest in one matrix product


class Tiling(NamedTuple):
    """How a matrix (rows, columns) is cut into pieces: `bands` of `height` rows, `blocks` of `tile` columns; zeros beyond its ends."""

    rows: int
    columns: int
    bands: int
    height: int
    blocks: int
    tile: int

    @classmethod
    def of(cls, rows: int, columns: int) -> Tiling:
        """The tiling of every matrix of this shape: part of the format.

        Examples
        --------
        >>> Tiling.of(384, 1536)
        Tiling(rows=384, columns=1536, bands=3, height=128, blocks=384, tile=4)
        >>> Tiling.of(10, 64)
        Tiling(rows=10, columns=64, bands=1, height=10, blocks=8, tile=8)
        """
        bands = -(-rows // _ROWS)
        height = -(-rows // bands)
        tile = 4 * max(1, -(-MIN_WIDTH // (4 * height)))
        return cls(rows, columns, bands, height, -(-columns // tile), tile)

    @property
    def width(self) -> int:
        """Coordinates of a piece."""
        return self.height * self.tile

    def pieces(self, block: F32) -> F32:
        """Pieces (bands, width) of a block (tile, bands * height) of columns."""
        return np.ascontiguousarray(block.T).reshape(self.bands, self.width)

    def block(self, pieces: F32) -> F32:
        """The inverse of `pieces`."""
        return np.ascontiguousarray(pieces.reshape(self.bands * self.height, self.tile).T)

    def matrix(self, pieces: F32) -> F32:
        """The matrix (rows, columns) of the pieces (bands, blocks, width) of all its blocks."""
        chunks = pieces.view(np.complex128)  # four floats that stay together are moved as one number
        grid = chunks.reshape(self.bands, self.blocks, self.height, self.tile // 4).transpose(0, 2, 1, 3)
        whole = np.ascontiguousarray(grid).view(np.float32).reshape(self.bands * self.height, -1)
        return np.ascontiguousarray(whole[: self.rows, : self.columns])


def factor(H: F64, damping: float) -> F64:
    """U, upper triangular, with U' U the inverse of H after `damping` times its mean diagonal is added to its diagonal."""
    A = H + (damping * float(np.trace(H)) / len(H) + 1e-30) * np.eye(len(H))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(A[::-1, ::-1])[::-1, ::-1]))


def encode(V: F32, U: F64 | None, codec: Codec, unit: float) -> U8:
    """Codes (bands, blocks, code_size) of V (columns, rows) in multiples of `unit`.

    U is the `factor` of what columns matter; None: all alike, and nothing is fed back.
    """
    columns, rows = V.shape
    tiling = Tiling.of(rows, columns)
    target = np.zeros((tiling.blocks * tiling.tile, tiling.bands * tiling.height), np.float32)
    target[:columns, :rows] = V / np.float32(unit)
    size = codec.code_size(tiling.width)
    if U is None:
        grid = target.reshape(tiling.blocks, tiling.tile, tiling.bands, tiling.height).transpose(2, 0, 3, 1)
        return codec.encode(np.ascontiguousarray(grid).reshape(-1, tiling.width)).reshape(tiling.bands, tiling.blocks, size)
    codes = np.zeros((tiling.bands, tiling.blocks, size), np.uint8)
    _feed_back(target, U, tiling, codec, codes)
    return codes


def _feed_back(target: F32, U: F64, tiling: Tiling, codec: Codec, codes: U8) -> None:
    """Fills `codes` block by block; `target` (columns, rows) takes the feedback."""
    columns, tile = tiling.columns, tiling.tile
    upper = U.astype(np.float32)
    group = _GROUP // tile * tile or tile
    for start in range(0, columns, group):
        stop = min(start + group, columns)
        spread = np.zeros((stop - start, target.shape[1]), np.float32)
        for first in range(start, stop, tile):
            last = min(first + tile, columns)
            b = first // tile
            coded = codec.encode(tiling.pieces(target[first : first + tile]))
            codes[:, b] = coded
            rounded = tiling.block(codec.decode(coded, tiling.width))
            error = rounded[: last - first] - target[first:last]
            own = np.linalg.inv(U[first:last, first:last]).T.astype(np.float32) @ error
            spread[first - start : last - start] = own
            target[last:stop] += upper[first:last, last:stop].T @ own
        target[stop:columns] += upper[start:stop, stop:].T @ spread
