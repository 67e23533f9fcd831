"""Partitions: how an index divides its rows, so that a search looks at some of them only.

    rows (n, d) --labels--> the list of each;   queries (q, d), effort --probes--> the lists to look into

`Undivided` has one list. `Lists` has one for each codeword of a coarse codebook: a row is in that of the nearest. Another way to
find candidates, a graph over the codes say, is a class with the same four methods.

Source: Jégou, Douze & Schmid 2011, "Product quantization for nearest neighbor search" (the inverted file).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.base import State
from codeword.lanes import lane_dot
from codeword.scorers import planes, whole_weights
from codeword.search.segment import I64
from codeword.search.view import Probes, View
from codeword.training.nearest import nearest, pack

F32 = NDArray[np.float32]
_ROWS_A_LIST = 64  # most that training looks at
_FEWEST_ROWS = 20_000  # with fewer, scanning all is as fast
_NO_ID = 2**63 - 1
_BITS, _TOP = 8, 255


class Partition(Protocol):
    """What an index asks of a partition; `lists` is how many there are."""

    lists: int

    def labels(self, X: F32) -> I64 | None:
        """The list (n,) of each of the rows `X` (n, d); None: all are in list 0."""

    def probes(self, queries: NDArray[Any], effort: int, view: View, least: int) -> Probes | None:
        """The lists that each of `queries` (q, d) looks into: `effort` of them, or more until they have `least` rows; None: all."""

    @property
    def nbytes(self) -> int:
        """Bytes of what was learned."""

    def state(self) -> State:
        """Arrays to save."""


class Undivided:
    """All rows in one list."""

    lists = 1
    nbytes = 0

    def labels(self, X: F32) -> I64 | None:
        return None

    def probes(self, queries: NDArray[Any], effort: int, view: View, least: int) -> Probes | None:
        return None

    def state(self) -> State:
        return {}


class Lists:
    """Inverted lists on a coarse codebook.

    Parameters
    ----------
    metric : {"l2", "ip", "cosine"}
        By "cosine" rows and queries are scaled to length 1 first; by "ip" a row is in the list of the nearest codeword, and queries look
        into those of the largest inner products.
    codebook : ndarray (lists, d) float32
    """

    def __init__(self, metric: str, codebook: F32) -> None:
        self.metric, self.codebook, self.lists = metric, codebook, len(codebook)
        self._packed = pack([codebook])
        self._rough = _Rough(codebook, norms=metric != "ip")

    @classmethod
    def fit(cls, metric: str, lists: int, X: F32) -> Lists:
        """A partition into `lists` lists for rows like `X` (n, d)."""
        from codeword.quantizers.vector import VectorQuantizer

        rows = _units(X) if metric == "cosine" else X
        return cls(metric, VectorQuantizer(min(lists, len(X)), effort="fast").fit(rows).codebook)

    def labels(self, X: F32) -> I64 | None:
        rows = _units(X) if self.metric == "cosine" else X
        labels, _ = nearest(np.ascontiguousarray(rows), self._packed, 2 * self.codebook.size)
        return labels[:, 0].astype(np.int64)

    def probes(self, queries: NDArray[Any], effort: int, view: View, least: int) -> Probes | None:
        if effort >= self.lists:
            return None
        chosen = self._nearest(queries, effort)
        enough = view.list_sizes[chosen].sum(axis=1) >= least
        if enough.all():
            return Probes(chosen.ravel(), np.arange(0, chosen.size + 1, effort))
        lists, short = list(chosen), np.flatnonzero(~enough)
        for i, order in zip(short.tolist(), self._nearest(queries[short], self.lists), strict=True):
            lists[i] = order[: int(np.searchsorted(np.cumsum(view.list_sizes[order]), least)) + 1]
        return Probes(np.concatenate(lists), np.cumsum([0, *(len(part) for part in lists)]))

    def ranks(self, queries: NDArray[Any], lists: I64) -> I64:
        """How many lists each query (q,) would look into before it came to each of `lists` (q, k)."""
        rank = np.empty((len(queries), self.lists), np.int64)
        np.put_along_axis(rank, self._nearest(queries, self.lists), np.arange(self.lists)[None], axis=1)
        return np.take_along_axis(rank, lists, axis=1)

    @property
    def nbytes(self) -> int:
        return self.codebook.nbytes

    def state(self) -> State:
        return {"codebook": self.codebook}

    def _nearest(self, queries: NDArray[Any], count: int) -> I64:
        """The `count` nearest lists (q, count) of each query, ties to the lower number."""
        away = self._rough.scores(_units(queries) if self.metric == "cosine" else queries)
        distances, lists = np.full((len(away), count), np.inf, np.float32), np.full((len(away), count), _NO_ID)
        _native.offer_range(distances, lists, away, 0)
        _native.sort_lists(distances, lists)
        return lists


class _Rough:
    """Codewords with 8 bits a coordinate: which are near a query is decided by sums of integers, the same on every machine.

    The error is a 500th of a coordinate's range, next to which distances between codewords are large.
    """

    def __init__(self, codebook: F32, norms: bool) -> None:
        wide = codebook.astype(np.float64)
        self._low = wide.min(axis=0)
        self._step = (wide.max(axis=0) - self._low) / _TOP
        inverse = np.divide(1.0, self._step, out=np.zeros_like(self._step), where=self._step > 0)
        self._codes = np.rint((wide - self._low) * inverse).astype(np.uint8)
        self._norms = lane_dot(wide, wide).astype(np.float32) if norms else None

    def scores(self, queries: NDArray[Any]) -> F32:
        """Squared distances, less the query's own norm, or negative inner products (q, codewords) float32."""
        Q = queries.astype(np.float64)
        weights, unit = whole_weights(Q * self._step, _TOP)
        factor = -1.0 if self._norms is None else -2.0
        bias = factor * np.add.accumulate(Q * self._low, axis=1)[:, -1]
        scale, bias32 = (factor * unit).astype(np.float32), bias.astype(np.float32)
        scores = _native.scan_fields(self._codes, planes(weights, _BITS), scale, bias32)
        return scores if self._norms is None else scores + self._norms


def default_lists(n: int) -> int:
    """Lists for n rows: the power of two next to ``2 sqrt(n)``, 1 where scanning all rows is as fast."""
    return 1 if n < _FEWEST_ROWS else 1 << int(np.log2(2.0 * n**0.5) + 0.5)


def training_rows(lists: int) -> int:
    """How many rows training wants."""
    return lists * _ROWS_A_LIST


def _units(X: NDArray[Any]) -> F32:
    """Rows at length 1; rows of zeros stay."""
    wide = X.astype(np.float64)
    lengths = np.sqrt(lane_dot(wide, wide))[:, None]
    return np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0).astype(np.float32)
