"""What searches return: ids, distances with their meaning, error bars, and what was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.search.bars import ErrorBars
from codeword.search.scan import Counters

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
UNITS = {"l2": "squared Euclidean distance", "ip": "negative inner product", "cosine": "one minus cosine similarity"}


@dataclass(frozen=True)
class SearchResult:
    """What `Index.search` found; unpacks into ids and distances.

    Attributes
    ----------
    ids : ndarray (q, k) int64, or object where ids are strings
        Nearest first, equal distances by id (of strings: by when they were added).
    distances : ndarray (q, k) float32
        Smaller is closer: squared Euclidean distance ("l2"), negative inner product ("ip"), one minus cosine similarity ("cosine").
    metric : str
    bars : ErrorBars or None
        Where the exact distances lie, in 95 % of cases; there if the index is calibrated (`Index.calibrate`).
    estimated : bool
        Whether distances are computed from codes; False where rows kept as they came were compared with the query.
    expected_recall : float or None
        Share of what an exhaustive search of the same index would have found, as foreseen for this effort; None: exhaustive, or not
        known.
    counters : Counters or None
        Lists and codes looked at, and rows scored again, per query (q,).
    guarantees : ndarray (q,) of str, or None
        With ``certify=True``: "proven" where no other vector can be nearer than those found; "95 %" where error bars lie apart; else
        "not known".
    """

    ids: NDArray[Any]
    distances: F32
    metric: str
    bars: ErrorBars | None = None
    estimated: bool = True
    expected_recall: float | None = None
    counters: Counters | None = None
    guarantees: NDArray[Any] | None = None

    @property
    def scores(self) -> F32:
        """Similarities (q, k) float32, larger is closer: inner product ("ip"), cosine ("cosine"), minus the squared distance ("l2")."""
        return np.float32(1.0) - self.distances if self.metric == "cosine" else np.float32(0.0) - self.distances

    @property
    def units(self) -> str:
        """What a distance is."""
        return f"{'estimated ' if self.estimated else ''}{UNITS[self.metric]}"

    def __iter__(self) -> Iterator[Any]:
        return iter((self.ids, self.distances))


@dataclass(frozen=True)
class RangeResult:
    """What `Index.range_search` found: for each query all vectors within its radius. Has a length and gives (ids, distances) of query i.

    Attributes
    ----------
    bounds : ndarray (q + 1,) int64
        Query i has ``ids[bounds[i] : bounds[i + 1]]`` and the distances there, nearest first.
    ids : ndarray (found,) int64, or object where ids are strings
    distances : ndarray (found,) float32
    metric : str
    counters : Counters or None
        Lists and codes looked at, per query (q,); None: the index was empty.
    """

    bounds: I64
    ids: NDArray[Any]
    distances: F32
    metric: str
    counters: Counters | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, i: int) -> tuple[NDArray[Any], F32]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"query {i} of {len(self)}")
        part = slice(*self.bounds[i % len(self) :][:2].tolist())
        return self.ids[part], self.distances[part]
