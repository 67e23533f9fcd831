"""Packed: a matrix as codes, a scale, and seeds; and how a matrix becomes one.

    W (rows, columns) float32 --pack--> Packed --unpack--> Ŵ (rows, columns) float32

The error that `pack` keeps small is `tr(G D H D')`, D = Ŵ - W, for the second moments H (columns, columns) of what the matrix is
multiplied with, and what its outputs matter, a diagonal G (rows,). Both may be unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codeword.nn import feedback
from codeword.nn.codecs import codec
from codeword.nn.feedback import Tiling
from codeword.nn.incoherence import rotate_columns, scale_bytes, scales, unrotate_columns

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
DAMPING = 0.01
_HEADROOM = 1.03  # feedback adds to what is rounded: the best scale is a little above the deviation of the entries


@dataclass
class Importance:
    """What errors of a matrix cost.

    Attributes
    ----------
    inputs : ndarray (columns, columns) float64, optional
        Second moments of what the matrix is multiplied with. None: all alike.
    outputs : ndarray (rows,) float64, optional
        Mean squared derivative by each output. None: all alike.
    """

    inputs: F64 | None = None
    outputs: F64 | None = None

    def error(self, D: F32) -> float:
        """``tr(G D H D')``."""
        weighted = D if self.inputs is None else D @ self.inputs.astype(np.float32)
        rows = np.einsum("ij,ij->i", weighted, D, dtype=np.float64)
        return float(rows.sum() if self.outputs is None else rows @ self.outputs)


@dataclass(frozen=True)
class Packed:
    """A matrix (rows, columns) as codes.

    Attributes
    ----------
    shape : tuple of int
    method, bits : str, float
        Of the codec.
    seed : int
        Of the rotations: `seed` of the columns' side, `seed` + 1 of the rows'.
    both : bool
        Whether the rows' side is rotated too: where rows are looked up one by one, it is not.
    codes : ndarray (bands, blocks, code_size) uint8
        Of the pieces (`feedback.Tiling`).
    scale : float
        float32: of the codec's unit.
    row_bytes : ndarray (rows,) uint8
        Scales that rows were multiplied by (`incoherence.scales`).
    """

    shape: tuple[int, int]
    method: str
    bits: float
    seed: int
    both: bool
    codes: U8 = field(repr=False)
    scale: float
    row_bytes: U8 = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is stored."""
        return self.codes.nbytes + 4 + self.row_bytes.nbytes

    def rotated(self) -> F32:
        """The matrix (rows, columns) between its rotations, in units of the scale."""
        tiling = Tiling.of(*self.shape)
        made = codec(self.method, self.bits).decode(self.codes.reshape(-1, self.codes.shape[2]), tiling.width)
        return tiling.matrix(made.reshape(tiling.bands, tiling.blocks, tiling.width))

    def unpack(self) -> F32:
        """The matrix (rows, columns) float32."""
        W = unrotate_columns(self.rotated(), self.seed)
        if self.both:
            W = np.ascontiguousarray(unrotate_columns(np.ascontiguousarray(W.T), self.seed + 1).T)
        W *= (np.float32(1) / scales(self.row_bytes))[:, None]
        W *= np.float32(self.scale)
        return W


def pack(
    W: F32, bits: float, *, method: str = "trellis8", importance: Importance | None = None, both: bool = True, seed: int = 0
) -> Packed:
    """Codes of a matrix.

    Parameters
    ----------
    W : ndarray (rows, columns) float32
    bits : float
        A rate of the codec.
    method : str
        A codec's name.
    importance : Importance, optional
        What errors cost.
    both : bool
        Rotate both sides.
    seed : int

    Examples
    --------
    >>> W = np.random.default_rng(0).normal(size=(96, 64)).astype("f4")
    >>> packed = pack(W, 2.0)
    >>> packed.codes.shape, float(np.mean((packed.unpack() - W) ** 2)) < 0.08
    ((1, 16, 96), True)
    """
    importance = importance or Importance()
    H = importance.inputs
    row_bytes = _row_bytes(W, importance.outputs, both)
    V = np.ascontiguousarray(rotate_columns(W * scales(row_bytes)[:, None], seed).T)
    if both:
        V = rotate_columns(V, seed + 1)
    U = None if H is None else feedback.factor(_rotated_moments(H, seed), DAMPING)
    unit = float(np.sqrt(np.mean(V * V, dtype=np.float64))) or 1.0
    unit = np.float32(unit * (1.0 if U is None else _HEADROOM)).item()
    made = codec(method, bits)
    codes = feedback.encode(V, U, made, unit)
    return Packed((W.shape[0], W.shape[1]), method, made.bits, seed, both, codes, unit, row_bytes)


def _row_bytes(work: F32, outputs: F64 | None, both: bool) -> U8:
    """Scales of the rows. Where rows are not mixed, their norms are made equal, since the codec has one unit for all of them."""
    norms = np.sqrt(np.einsum("ij,ij->i", work, work, dtype=np.float64))
    if not both:
        return scale_bytes(1.0 / (norms + 1e-4 * norms.mean() + 1e-30) ** 2, norms)
    return scale_bytes(np.ones(len(work)) if outputs is None else outputs, norms)


def _rotated_moments(H: F64, seed: int) -> F64:
    half = rotate_columns(H.astype(np.float32), seed)
    whole = rotate_columns(np.ascontiguousarray(half.T), seed).astype(np.float64)
    return (whole + whole.T) / 2
