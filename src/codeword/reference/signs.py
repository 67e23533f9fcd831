"""Twins of the kernels of sign codes and of codes nearest in angle: plain NumPy, their definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codeword.lanes import lane_dot


def sign_codes(x: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A bit for each coordinate of `x` (n, d), set where it is at least 0, and <x, x> and the sum of |x| (n, 2)."""
    rows = np.asarray(x, np.float32)
    sizes = np.abs(rows)
    sums = np.stack([lane_dot(rows, rows), lane_dot(sizes, np.ones_like(sizes))], axis=1)
    return np.packbits(rows >= 0, axis=1, bitorder="little"), sums


def scan_signs(codes: ArrayLike, weights: ArrayLike) -> NDArray[np.int32]:
    """Sums (q, n) of the weights (q, d) over the bits that are set in `codes` (n, at least d / 8)."""
    w = np.asarray(weights, np.int64)
    bits = np.unpackbits(np.asarray(codes, np.uint8), axis=1, bitorder="little")[:, : w.shape[1]]
    return (w @ bits.T.astype(np.int64)).astype(np.int32)


scan_signs_one = scan_signs


def grid_codes(x: ArrayLike, bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Indices (n, d) of the odd integers nearest in angle to each row of `x` (n, d), and <x, x> and <x, u> (n, 2)."""
    rows = np.asarray(x, np.float32)
    indices = np.stack([_grid_row(row, bits) for row in rows]) if len(rows) else np.zeros(rows.shape, np.uint8)
    u = (2.0 * indices + 1 - 2**bits).astype(np.float32)
    return indices, np.stack([lane_dot(rows, rows), lane_dot(rows, u)], axis=1)


def _grid_row(x: NDArray[np.float32], bits: int) -> NDArray[np.uint8]:
    half = 2 ** (bits - 1)
    largest = float(np.abs(x).max())
    y = (np.abs(x).astype(np.float64) * (65535.0 / largest if largest else 0.0) + 0.5).astype(np.int64)
    live, k = np.flatnonzero(y), np.arange(1, half)
    t = k / y[live, None]
    j, k = (a.ravel() for a in np.broadcast_arrays(live[:, None], k))
    order = np.lexsort((j, t.ravel()))
    s = np.cumsum(np.concatenate([[y.sum()], 2 * y[j[order]]])).astype(np.float64)
    n = np.cumsum(np.concatenate([[len(y)], 8 * k[order]])).astype(np.float64)
    done = order[: int(np.argmax(s * s / n))] if largest else order[:0]
    c = np.bincount(j[done], minlength=len(y))
    return np.asarray(np.where(x >= 0, half + c, half - 1 - c), np.uint8)
