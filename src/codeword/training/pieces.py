"""Rows cut into m pieces side by side, each with a codebook of its own: what product codes are trained by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, runtime
from codeword.sources import Rows
from codeword.training import kmeans, passes, streaming

F32 = NDArray[np.float32]
Pieces = list[tuple[int, int]]
LARGEST_M = 1 << 16
# Narrow pieces are densely covered with codewords and bear longer steps: the distortion that 25 plain passes reach after 8 passes
# over a quarter of the rows and 8 over all, against 0.3 % more with steps from 2 (bench/relaxation.py).
_NARROW = 32
_NARROW_RELAXATION = 2.6


def cut(d: int, m: object) -> Pieces:
    """Column ranges (start, stop) of the m pieces of a row of width d; the first ``d % m`` are one wider.

    Examples
    --------
    >>> cut(10, 4)
    [(0, 3), (3, 6), (6, 8), (8, 10)]
    """
    number = checks.integer(m, "m", 1, LARGEST_M)
    if number > d:
        raise ValueError(f"m: expected at most d = {d} pieces, got {number}")
    ends = np.cumsum([d // number + (i < d % number) for i in range(number)]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def train(
    X: F32, pieces: Pieces, settings: kmeans.Settings, weight: F32 | None, label: str, start: list[F32] | None = None
) -> list[kmeans.Training]:
    """A codebook for each piece of rows `X` (n, d); with codebooks `start`, go on from those."""
    settings = adjusted(settings, pieces)
    trained = []
    with runtime.Progress(label, len(pieces), "pieces") as progress:
        for i, (low, high) in enumerate(pieces):
            trained.append(kmeans.train(np.ascontiguousarray(X[:, low:high]), settings, weight, start=start[i] if start else None))
            progress.advance(1)
    return trained


def jobs(
    rows: Rows, pieces: Pieces, settings: kmeans.Settings, start: list[F32] | None = None
) -> tuple[list[passes.Job[Any]], int]:
    """The same for rows that are read in passes: a job for each piece, and the rows of a block."""
    budget = streaming.Budget.of(rows, settings, [high - low for low, high in pieces])
    settings = adjusted(settings, pieces)
    made = [
        streaming.kmeans_job(rows, slice(*piece), settings, budget.most_rows, start[i] if start else None)
        for i, piece in enumerate(pieces)
    ]
    return made, budget.step


def adjusted(settings: kmeans.Settings, pieces: Pieces) -> kmeans.Settings:
    """The settings, with the steps that the width of the pieces bears."""
    return replace(settings, relaxation=_NARROW_RELAXATION) if pieces[0][1] <= _NARROW else settings
