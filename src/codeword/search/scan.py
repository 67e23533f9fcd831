"""The loops of a search: rows of a view are scored, piece by piece, and the nearest of each query kept.

    queries (q, d), lists to look into --scorer--> rough distances --the nearest again, from the same codes--> ids, distances (q, k)

Many queries are taken list by list, so a list's codes are read once for all of them; few gather the codes of all their lists.
Neither changes what is found: scores do not depend on the batch, and the order (distance, then id or number) is total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, runtime
from codeword.search.segment import I64
from codeword.search.view import Piece, Probes, View

F32 = NDArray[np.float32]
NO_ID = 2**63 - 1
_QUERIES_A_BATCH = 256
_QUERIES_BY_LIST = 1024  # so many at once where they are taken list by list
_FEW_QUERIES = 4
_SCORES_A_BLOCK = 1 << 20
_SMALLEST_BLOCK = 4096
CANDIDATES = (3, 32)  # as many times k, and so many more, that a first pass hands on
_SPARE = 96  # of many candidates for a last stage so many more are enough
_CANDIDATES_A_BATCH = 1 << 18


@dataclass
class Counters:
    """What a search looked at, per query (q,): lists, codes, and rows that were scored again."""

    lists: I64
    codes: I64
    again: I64


@dataclass(frozen=True)
class Source:
    """Where distances come from.

    Attributes
    ----------
    scorer : callable
        A scorer of a batch of queries (q, d).
    columns : tuple of str
        What its `scores` take of each row.
    """

    scorer: Callable[[NDArray[Any]], Any]
    columns: tuple[str, ...]


@dataclass
class Nearest:
    """Lists of the k nearest of a batch of queries, as heaps until they are sorted: distances and names (q, k)."""

    distances: F32
    names: I64

    @classmethod
    def empty(cls, q: int, k: int) -> Nearest:
        return cls(np.full((q, k), np.inf, np.float32), np.full((q, k), NO_ID))

    def __getitem__(self, part: Any) -> Nearest:
        return Nearest(self.distances[part], self.names[part])


@dataclass
class Task:
    """A batch of queries and what they look into.

    Attributes
    ----------
    view : View
    source : Source
    queries : ndarray (q, d)
    probes : Probes, optional
        The lists that each query looks into; None: all.
    by_number : bool
        Rows are named by number, not by id.
    """

    view: View
    source: Source
    queries: NDArray[Any]
    probes: Probes | None
    by_number: bool = False
    progress: Any = None
    scanned: I64 = field(init=False)

    def __post_init__(self) -> None:
        self.scorer = self.source.scorer(self.queries)
        self.scanned = np.zeros(len(self.queries), np.int64)

    @property
    def two_passes(self) -> bool:
        return getattr(self.scorer, "rough", None) is not None and hasattr(self.scorer, "refine")

    def first_pass(self, wanted: int) -> Nearest | None:
        """The `wanted` nearest rows of every query, by number, of the first pass in native code; None where that cannot be."""
        first = getattr(self.scorer, "first_pass", None)
        if first is None or any(rows is not None for _, rows, _ in self.view.chosen):
            return None
        pools = _native.NearestPools(len(self.queries), wanted)
        probes, ends = (None, None) if self.probes is None else self.probes
        for number, (segment, (out, _, _)) in enumerate(zip(self.view.segments, self.view.chosen, strict=True)):
            columns = [np.ascontiguousarray(segment.columns[name]) for name in self.source.columns]
            first.search(pools, columns, out, None, int(self.view.bases[number]), segment.bounds, probes, ends)
            if probes is None or ends is None:
                self.scanned += segment.n
            else:
                counted = np.concatenate([[0], np.cumsum((segment.bounds[1:] - segment.bounds[:-1])[probes])])
                self.scanned += counted[ends[1:]] - counted[ends[:-1]]
        if self.progress is not None:
            self.progress.advance(int(self.scanned.sum()))
        return Nearest(*pools.sorted())

    def offer_all(self, lists: Nearest, rough: bool) -> None:
        """Offer the rows of every query's lists to its list of the nearest."""
        for numbers, scorer, pieces in self._work():
            method = scorer.rough if rough else scorer.scores
            scores = np.ascontiguousarray(method(*self.view.columns(self.source.columns, pieces)), np.float32)
            out = self.view.out(pieces)
            if out is not None:
                scores[:, out] = np.inf
            mine = lists if numbers is None else lists[numbers]
            self._offer(mine, scores, pieces)
            if numbers is not None:
                lists.distances[numbers], lists.names[numbers] = mine.distances, mine.names
            self._count(numbers, scores)

    def scores(self) -> Iterator[tuple[I64 | None, F32, list[Piece]]]:
        """All scores, piece by piece, with the numbers of the queries they are of; infinity: not to be returned."""
        for numbers, scorer, pieces in self._work():
            scores = np.ascontiguousarray(scorer.scores(*self.view.columns(self.source.columns, pieces)), np.float32)
            out = self.view.out(pieces)
            if out is not None:
                scores[:, out] = np.inf
            self._count(numbers, scores)
            yield numbers, scores, pieces

    def _work(self) -> Iterator[tuple[I64 | None, Any, list[Piece]]]:
        """Queries (None: all), their scorer, and pieces they all look into."""
        if self.probes is None:
            for pieces in self.view.blocks(max(_SMALLEST_BLOCK, _SCORES_A_BLOCK // max(1, len(self.queries)))):
                yield None, self.scorer, pieces
            return
        take = getattr(self.scorer, "take", None)
        if take is None or len(self.queries) < _FEW_QUERIES:
            for i in range(len(self.queries)):
                scorer = self.scorer if len(self.queries) == 1 else self.source.scorer(self.queries[i : i + 1])
                for pieces in _parts(self.view.of_lists(np.sort(self.probes.of(i)))):
                    yield np.array([i]), scorer, pieces
            return
        lists, queries = self.probes.lists, np.repeat(np.arange(len(self.queries)), self.probes.counts)
        order = np.argsort(lists, kind="stable")
        ends = np.flatnonzero(np.diff(lists[order], append=-1)) + 1
        for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            numbers = queries[order[start:stop]]
            pieces = self.view.of_lists(lists[order[start : start + 1]])
            if pieces:
                scorer = take(numbers)
                for part in _parts(pieces):
                    yield numbers, scorer, part

    def _offer(self, lists: Nearest, scores: F32, pieces: list[Piece]) -> None:
        distances, names = np.ascontiguousarray(lists.distances), np.ascontiguousarray(lists.names)
        if len(pieces) == 1 and isinstance(pieces[0].rows, slice):
            segment, rows = self.view.segments[pieces[0].segment], pieces[0].rows
            base = int(self.view.bases[pieces[0].segment]) if self.by_number else segment.first
            if base is not None:
                _native.offer_range(distances, names, scores, base + rows.start)
                return
        _native.offer(distances, names, scores, self.view.numbers(pieces) if self.by_number else self.view.ids(pieces))

    def _count(self, numbers: I64 | None, scores: F32) -> None:
        self.scanned[slice(None) if numbers is None else numbers] += scores.shape[1]
        if self.progress is not None:
            self.progress.advance(scores.size)


def nearest(
    view: View, source: Source, queries: NDArray[Any], k: int, probes: Probes | None = None, *, by_number: bool = False
) -> tuple[Nearest, Counters]:
    """The k nearest rows of a view to each query.

    Parameters
    ----------
    view : View
    source : Source
        Where its scorers have a first pass, the nearest ``3 k + 32`` by that are scored again.
    queries : ndarray (q, d)
    k : int
        Where the view has fewer rows, all of them are returned.
    probes : Probes, optional
        Lists that each query looks into, with at least min(k, view.n) rows; None: all.
    by_number : bool
        Return the rows' numbers in the view instead of ids, for a last stage; equal distances then go by number, and of large k no
        more than k + 96 are scored again.

    Returns
    -------
    Nearest
        Names and distances (q, min(k, view.n)), nearest first, equal distances by name.
    Counters

    Raises
    ------
    ValueError
        If distances are beyond float32.
    """
    k, q = min(k, view.n), len(queries)
    found = Nearest.empty(q, k)
    counters = Counters(np.zeros(q, np.int64), np.zeros(q, np.int64), np.zeros(q, np.int64))
    if not found.names.size:
        return found, counters
    wanted = min(view.n, CANDIDATES[0] * k + CANDIDATES[1], k + _SPARE if by_number else view.n)
    step = min(_QUERIES_A_BATCH if probes is None else _QUERIES_BY_LIST, max(32, _CANDIDATES_A_BATCH // wanted))
    with runtime.Progress("search", q * view.n, "distances") as progress:
        for first in range(0, q, step):
            batch = slice(first, min(q, first + step))
            mine = None if probes is None else probes.part(batch.start, batch.stop)
            task = Task(view, source, queries[batch], mine, by_number, progress)
            counters.again[batch] = _batch(task, found[batch], wanted)
            counters.codes[batch] = task.scanned
            counters.lists[batch] = len(view.list_sizes) if mine is None else mine.counts
    if int(found.names.max()) == NO_ID:
        raise ValueError("queries: some distances are no float32 numbers; scale vectors and queries down")
    return found, counters


def _batch(task: Task, found: Nearest, wanted: int) -> int | I64:
    """Fill the sorted lists of a batch; returns how many rows of each query were scored again."""
    if not task.two_passes or 2 * wanted > task.view.n:
        task.offer_all(found, rough=False)
        _native.sort_lists(found.distances, found.names)
        return 0
    by_number, task.by_number = task.by_number, True
    near = task.first_pass(wanted)
    if near is None:
        near = Nearest.empty(len(found.names), wanted)
        task.offer_all(near, rough=True)
    missing = near.names == NO_ID
    numbers = np.where(missing, 0, near.names)
    again = np.ascontiguousarray(task.scorer.refine(*task.view.at(task.source.columns, numbers)), np.float32)
    again[missing] = np.inf
    known = numbers if by_number else task.view.ids_at(numbers)
    known[missing] = NO_ID
    found.distances[:], found.names[:] = _native.nearest_of(again, known, found.names.shape[1])
    return np.asarray((~missing).sum(1))


def within(
    view: View, source: Source, queries: NDArray[Any], radius: NDArray[np.float32], probes: Probes | None = None
) -> tuple[I64, I64, F32]:
    """All rows of a view at a distance of at most `radius` (q,): bounds (q + 1,), ids and distances of all queries in turn.

    Those of query i are ``bounds[i]`` to ``bounds[i + 1]``, nearest first, equal distances by id.
    """
    parts: list[tuple[I64, I64, F32]] = []
    for first in range(0, len(queries) if view.n else 0, _QUERIES_A_BATCH):
        batch = slice(first, min(len(queries), first + _QUERIES_A_BATCH))
        task = Task(view, source, queries[batch], None if probes is None else probes.part(batch.start, batch.stop))
        for numbers, scores, pieces in task.scores():
            asked = first + (np.arange(len(scores)) if numbers is None else numbers)
            q, at = np.nonzero(scores <= radius[asked][:, None])
            parts.append((asked[q], view.ids(pieces)[at], scores[q, at]))
    if not parts:
        return np.zeros(len(queries) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    asked, ids, distances = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.lexsort((ids, distances, asked))
    bounds = np.searchsorted(asked[order], np.arange(len(queries) + 1))
    return bounds.astype(np.int64), ids[order], distances[order]


def _parts(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces in groups of a block."""
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        length = piece.rows.stop - piece.rows.start if isinstance(piece.rows, slice) else len(piece.rows)
        group.append(piece)
        size += length
        if size >= _SCORES_A_BLOCK:
            yield group
            group, size = [], 0
    if group:
        yield group
