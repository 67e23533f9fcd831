"""Which rows a codebook is learned from: those of weight above 0 that are no outliers (`seeding.split_rows`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codeword.training import seeding

F32 = NDArray[np.float32]


def trimmed(X: F32, weight: F32 | None, k: int, trim: bool, seed: int, what: str) -> tuple[F32, F32 | None]:
    """The rows (n, d) and weights (n,) to train k codewords on; with `trim`, without outliers where enough other rows are left.

    Raises
    ------
    ValueError
        If there are fewer than k rows (of weight above 0); `what` is k, for the message.
    """
    kept = np.ones(len(X), np.bool_) if weight is None else weight > 0
    n = int(kept.sum())
    if n < k:
        raise ValueError(f"X: expected at least {what} = {k} rows{'' if weight is None else ' of weight above 0'}, got {n}")
    if trim:
        _, outlier = seeding.split_rows(X, weight, seed)
        kept = kept & ~outlier if n - int(outlier.sum()) >= k else kept
    return (X, weight) if kept.all() else (X[kept], None if weight is None else weight[kept])
