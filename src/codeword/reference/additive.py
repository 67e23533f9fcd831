"""Twins of the additive kernels (``native/kernels/additive.h``): what `AdditiveCode` in ``native/kernels.h`` means, row by row.

Everything happens in units of `scale`; `scaled` gives codebooks and offset in them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
_FARTHEST = np.float32(2.0**40)
_LARGEST_EXPONENT = 60


def _lane_dot(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    from codeword.reference.rows import lane_dot

    return lane_dot(a, b)


def _norm_exponent(square: float) -> int:
    """The least e with ``square < 4**e``."""
    return int(np.frexp(square)[1] + 1) >> 1


def scaled(codebooks: ArrayLike, offset: ArrayLike) -> tuple[F32, F32, np.float32]:
    """Codebooks (m, k, d) and offset (d,) in units that make the longest norm about 1, and what they were multiplied by."""
    codebooks, offset = np.asarray(codebooks, np.float32), np.asarray(offset, np.float32)
    largest = float(_lane_dot(codebooks, codebooks).max())
    scale = np.float32(np.ldexp(1.0, int(np.clip(-_norm_exponent(largest) if largest > 0 else 0, -126, 126))))
    return codebooks * scale, offset * scale, scale


def _rounded(rows: ArrayLike, square: float) -> tuple[NDArray[np.int64], int]:
    """`rows` in units of ``2**-e``, e such that a norm of ``sqrt(square)`` becomes at most 2**15."""
    e = min(15 - _norm_exponent(square), _LARGEST_EXPONENT) if square > 0 else _LARGEST_EXPONENT
    return np.rint(np.asarray(rows, np.float32) * np.float32(2.0**e)).astype(np.int64), e


def additive_products(y: ArrayLike, codebook: ArrayLike) -> F32:
    """``2 <y, c>`` (n, k) of rows `y` (n, d) and a codebook (k, d), both rounded to int16 first.

    Examples
    --------
    >>> additive_products([[1, 2]], [[3, 4], [0, 1]])
    array([[22.,  4.]], dtype=float32)
    """
    y, codebook = np.asarray(y, np.float32), np.asarray(codebook, np.float32)
    C, f = _rounded(codebook, float(_lane_dot(codebook, codebook).max()))
    out = np.empty((len(y), len(codebook)), np.float32)
    for i, row in enumerate(y):
        words, e = _rounded(row, float(_lane_dot(row, row)))
        out[i] = (C @ words).astype(np.float32) * np.float32(2.0 ** (1 - e - f))
    return out


def additive_encode(
    x: ArrayLike, codebooks: ArrayLike, offset: ArrayLike, depth: int, beam: int = 1, passes: int = 1, start: Any = None
) -> NDArray[np.uint32]:
    """Codeword numbers (n, m) of rows `x` (n, d) in codebooks (m, k, d).

    A path is a choice for the stages since `first`, before which all paths agree; y is the row less what is decided. A path is
    scored by ``|y - its codewords|²`` up to a constant: ``|c|² - 2 <y, c>`` of the new codeword c plus products with the path's
    own. The `beam` best paths go on; stages more than `depth` back are decided as in the best one. In a further pass, and with
    numbers to `start` from (n, m), stages to come count as they were.

    Examples
    --------
    >>> additive_encode([[4, 1]], [[[0, 0], [4, 0]], [[0, 0], [0, 1]]], [0, 0], 1)
    array([[1, 1]], dtype=uint32)
    """
    codebooks, offset, scale = scaled(codebooks, offset)
    m = len(codebooks)
    squares = _lane_dot(codebooks, codebooks).astype(np.float32)
    cross = {(j, s): additive_products(codebooks[s], codebooks[j]) for j in range(m) for s in range(max(0, j - depth), j)}
    indices = np.zeros((len(np.asarray(x)), m), np.uint32) if start is None else np.array(start, np.uint32)
    for row, out in zip(np.asarray(x, np.float32), indices, strict=True):
        y = np.clip(row * scale - offset, -_FARTHEST, _FARTHEST)
        for j in range(0 if start is None else m):
            y = y - codebooks[j][out[j]]
        for number in range(passes):
            y = _pass(codebooks, squares, cross, depth, beam, y, out, number > 0 or start is not None)
    return indices


def _pass(codebooks: F32, squares: F32, cross: Any, depth: int, beam: int, y: F32, out: NDArray[np.uint32], again: bool) -> F32:
    """One pass over the stages: fills `out` (m,), returns what is left of the row."""
    first = 0
    paths: list[tuple[Any, tuple[int, ...]]] = [(np.float32(0), ())]  # score, numbers of the stages from `first` on
    for j, codebook in enumerate(codebooks):
        if again:
            old = int(out[j])
            y = y + codebook[old]
            paths = [(_less(score, cross, j, first, path, old), path) for score, path in paths]
        values = squares[j] - additive_products(y[None], codebook)[0]
        found = []
        for parent, (score, path) in enumerate(paths):
            sums = values + score
            for s, number in enumerate(path, first):
                sums = sums + cross[j, s][number]
            found += [(sums[v], parent, v) for v in range(len(codebook))]
        found.sort(key=lambda f: f[0])  # stable: of equals, the first
        best = found[0][0]
        paths = [(score - best, (*paths[parent][1], v)) for score, parent, v in found[:beam]]
        if j == len(codebooks) - 1:
            paths = paths[:1]
        while first <= j:
            choice = paths[0][1][0]
            if any(path[0] != choice for _, path in paths) and j + 1 - first <= depth:
                break
            paths = [(score, path[1:]) for score, path in paths if path[0] == choice]
            out[first] = choice
            y = y - codebooks[first][choice]
            first += 1
    return y


def _less(score: Any, cross: Any, j: int, first: int, path: tuple[int, ...], old: int) -> Any:
    for s, number in enumerate(path, first):
        score = score - cross[j, s][number][old]
    return score


def additive_decode(indices: ArrayLike, codebooks: ArrayLike, offset: ArrayLike) -> F32:
    """Rows (n, d): the codewords that `indices` (n, m) name, added in order, plus the offset.

    Examples
    --------
    >>> additive_decode([[1, 1]], [[[0, 0], [4, 0]], [[0, 0], [0, 1]]], [0.5, 0])
    array([[4.5, 1. ]], dtype=float32)
    """
    codebooks, offset, scale = scaled(codebooks, offset)
    indices = np.asarray(indices)
    total = codebooks[0][indices[:, 0]]
    for j in range(1, len(codebooks)):
        total = total + codebooks[j][indices[:, j]]
    return np.asarray(total / scale + offset / scale, np.float32)
