"""Exact assignment of many rows, in pieces short enough that Ctrl-C works between them.

The definition is `reference.assign`; the work is done by `_native.Codebooks`, which holds m packed codebooks (m = 1: plain).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from codeword import _native

F32 = NDArray[np.float32]
Rows = NDArray[Any]  # float32 or float64
I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
_OPERATIONS_A_CALL = 1 << 34


def pack(codebooks: Sequence[Rows], dtype: DTypeLike = np.float32) -> Any:
    """Pack codebooks (k_i, d_i), which cover the columns of a row side by side, for `nearest` of rows of `dtype`."""
    return _native.Codebooks([np.ascontiguousarray(c, dtype) for c in codebooks])


def nearest(
    X: Rows, packed: Any, operations_a_row: int, *, distances: bool = False, progress: Any = None
) -> tuple[I32, F64 | None]:
    """Nearest codeword of each row, ties to the lowest number.

    Parameters
    ----------
    X : ndarray (n, d) float32 or float64
        Of float64 (in the range of float32) the assignment is that of float64 arithmetic, at nearly the speed of float32.
    packed : the result of `pack` for m codebooks, of the same dtype
    operations_a_row : int
        About ``2 * sum(k_i * d_i)``; decides how many rows one native call takes.
    distances : bool
        Also return squared distances.
    progress : runtime.Progress, optional
        Advanced by the rows done.

    Returns
    -------
    labels : ndarray (n, m) int32
    squared distances : ndarray (n, m) float64, or None
    """
    n, m = len(X), packed.m
    labels = np.empty((n, m), np.int32)
    squares = np.empty((n, m), np.float64) if distances else None
    step = max(64, _OPERATIONS_A_CALL // max(1, operations_a_row) // 64 * 64)
    for start in range(0, n, step):
        stop = min(n, start + step)
        packed.assign(X[start:stop], labels[start:stop], None if squares is None else squares[start:stop])
        if progress is not None:
            progress.advance(stop - start)
    return labels, squares
