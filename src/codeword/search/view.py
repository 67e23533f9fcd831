"""Views: the rows of a snapshot that a search may return, by segment and list, and what they hold.

    snapshot, where= --> per segment: all rows, all but a few that are masked, or the numbers of those wanted

A row's *number* counts through the segments: ``bases[s] + row``. What a filter excludes is not scanned where it is more than an eighth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword.search.segment import I64, Mask, Segment
from codeword.search.table import Snapshot

_MASKED_SHARE = 8  # masks are scanned over while fewer than an eighth of a segment's rows are out


class Piece(NamedTuple):
    """Rows of one segment: a run of them, or some by number (rising)."""

    segment: int
    rows: slice | I64


class Chosen(NamedTuple):
    """What may be returned of one segment: all rows but those of `out`, or `rows` (None: all)."""

    out: Mask | None
    rows: I64 | None
    n: int


class Probes(NamedTuple):
    """Which lists each query looks into: query i into ``lists[ends[i]:ends[i + 1]]``."""

    lists: I64
    ends: I64

    def of(self, query: int) -> I64:
        """The lists of one query."""
        return self.lists[self.ends[query] : self.ends[query + 1]]

    def part(self, first: int, last: int) -> Probes:
        """Those of some of the queries."""
        ends = self.ends[first : last + 1]
        return Probes(self.lists[ends[0] : ends[-1]], ends - ends[0])

    @property
    def counts(self) -> I64:
        """How many lists each query looks into (q,)."""
        return self.ends[1:] - self.ends[:-1]


class View:
    """Rows that a search may return.

    Parameters
    ----------
    segments : sequence of Segment
    chosen : sequence of Chosen
    """

    def __init__(self, segments: Sequence[Segment], chosen: Sequence[Chosen]) -> None:
        self.segments, self.chosen = segments, chosen
        self.n = sum(c.n for c in chosen)
        self.bases = np.concatenate([[0], np.cumsum([s.n for s in segments])]).astype(np.int64)

    @cached_property
    def list_sizes(self) -> I64:
        """Rows of each list (lists,) that may be returned."""
        total = np.zeros(len(self.segments[0].bounds) - 1 if self.segments else 1, np.int64)
        for segment, (out, rows, _) in zip(self.segments, self.chosen, strict=True):
            if rows is not None:
                total += np.diff(np.searchsorted(rows, segment.bounds))
                continue
            total += np.diff(segment.bounds)
            if out is not None:
                total -= np.diff(np.searchsorted(np.flatnonzero(out), segment.bounds))
        return total

    def blocks(self, step: int) -> Iterator[list[Piece]]:
        """All rows, at most `step` at a time."""
        for number, (segment, (_, rows, _)) in enumerate(zip(self.segments, self.chosen, strict=True)):
            count = segment.n if rows is None else len(rows)
            for start in range(0, count, step):
                part = slice(start, min(count, start + step))
                yield [Piece(number, part if rows is None else rows[part])]

    def of_lists(self, lists: I64) -> list[Piece]:
        """The rows of some lists."""
        pieces = []
        for number, (segment, (_, rows, _)) in enumerate(zip(self.segments, self.chosen, strict=True)):
            starts, stops = segment.bounds[lists], segment.bounds[lists + 1]
            if rows is not None:
                starts, stops = np.searchsorted(rows, starts), np.searchsorted(rows, stops)
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
                if stop > start:
                    part = slice(start, stop)
                    pieces.append(Piece(number, part if rows is None else rows[part]))
        return pieces

    def columns(self, names: Sequence[str], pieces: Sequence[Piece]) -> list[NDArray[Any]]:
        """Columns of the rows of pieces, one after another; a view where there is one run."""
        out = []
        for name in names:
            parts = [self.segments[p.segment].columns[name][p.rows] for p in pieces]
            out.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return out

    def numbers(self, pieces: Sequence[Piece]) -> I64:
        """Numbers of the rows of pieces."""
        return np.concatenate([self.bases[s] + (np.arange(r.start, r.stop) if isinstance(r, slice) else r) for s, r in pieces])

    def ids(self, pieces: Sequence[Piece]) -> I64:
        """Ids of the rows of pieces."""
        return np.ascontiguousarray(np.concatenate([self.segments[p.segment].ids_of(p.rows) for p in pieces]), np.int64)

    def out(self, pieces: Sequence[Piece]) -> I64 | None:
        """Which rows of pieces, counted through them, must not be returned; None: none."""
        masks, any_out = [], False
        for p in pieces:
            out = self.chosen[p.segment].out
            length = p.rows.stop - p.rows.start if isinstance(p.rows, slice) else len(p.rows)
            masks.append(np.zeros(length, np.bool_) if out is None or not isinstance(p.rows, slice) else out[p.rows])
            any_out |= out is not None
        return np.flatnonzero(np.concatenate(masks)) if any_out else None

    def at(self, names: Sequence[str], numbers: I64) -> list[NDArray[Any]]:
        """Columns of the rows with `numbers`, of any shape."""
        return [self._gathered(numbers, partial(_column, name)) for name in names]

    def ids_at(self, numbers: I64) -> I64:
        """Ids of the rows with `numbers`, of any shape."""
        return np.ascontiguousarray(self._gathered(numbers, Segment.ids_of), np.int64)

    def _gathered(self, numbers: I64, get: Callable[[Segment, I64], Any]) -> NDArray[Any]:
        if len(self.segments) == 1:
            return np.asarray(get(self.segments[0], numbers))
        where = np.searchsorted(self.bases, numbers, side="right") - 1
        out: NDArray[Any] | None = None
        for number in np.unique(where):
            mine = where == number
            values = get(self.segments[number], numbers[mine] - self.bases[number])
            if out is None:
                out = np.empty((*numbers.shape, *values.shape[1:]), values.dtype)
            out[mine] = values
        if out is None:
            empty = get(self.segments[0], np.zeros(0, np.int64))
            return np.empty((*numbers.shape, *empty.shape[1:]), empty.dtype)
        return out


def _column(name: str, segment: Segment, rows: I64) -> NDArray[Any]:
    return np.asarray(segment.columns[name][rows])


def view(snapshot: Snapshot, where: Any = None) -> View:
    """The rows of `snapshot` that `where` lets through.

    Parameters
    ----------
    snapshot : Snapshot
    where : optional
        Ids (array, list, set; those that are not there do not matter), a bool array (m,) that says for each id from 0 to m - 1
        whether it may be returned (larger ones may not), or a callable that takes ids (n,) int64 and returns bools (n,).

    Raises
    ------
    TypeError, ValueError
        For another `where`, or a callable that returns something else.
    """
    pairs = list(zip(snapshot.segments, snapshot.dead, strict=True))
    if where is None:
        return View(snapshot.segments, [_masked(s.n, mask) for s, mask in pairs])
    if callable(where):
        return View(snapshot.segments, [_filtered(s, mask, lambda ids: _answer(where, ids)) for s, mask in pairs])
    wanted = np.asarray(sorted(where) if isinstance(where, (set, frozenset)) else where)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iub"):
        raise TypeError(f"where: expected ids, bools or a callable, got {wanted.dtype} of shape {wanted.shape}")
    if wanted.dtype.kind == "b":
        return View(snapshot.segments, [_filtered(s, mask, lambda ids: _looked_up(wanted, ids)) for s, mask in pairs])
    segment, row = snapshot.find(np.unique(wanted.astype(np.int64)))
    rows = [np.sort(row[segment == number]) for number in range(len(pairs))]
    return View(snapshot.segments, [Chosen(None, r, len(r)) for r in rows])


def _answer(where: Callable[[I64], Any], ids: I64) -> Mask:
    answer = np.asarray(where(ids))
    if answer.dtype != np.bool_ or answer.shape != ids.shape:
        raise ValueError(f"where: expected bools of shape {ids.shape} from it, got {answer.dtype} of shape {answer.shape}")
    return answer


def _looked_up(bitmap: Mask, ids: I64) -> Mask:
    inside = ids < len(bitmap)
    out = np.zeros(len(ids), np.bool_)
    out[inside] = bitmap[ids[inside]]
    return out


def _filtered(segment: Segment, dead: Mask | None, allowed: Callable[[I64], Mask]) -> Chosen:
    """Only rows that are not deleted are asked about."""
    if dead is None:
        return _masked(segment.n, ~allowed(segment.ids))
    rows = np.flatnonzero(~dead)
    rows = rows[allowed(segment.ids_of(rows))]
    return Chosen(None, rows, len(rows))


def _masked(n: int, out: Mask | None) -> Chosen:
    gone = 0 if out is None else int(np.count_nonzero(out))
    if not gone or out is None:
        return Chosen(None, None, n)
    if gone * _MASKED_SHARE <= n:
        return Chosen(out, None, n - gone)
    return Chosen(None, np.flatnonzero(~out), n - gone)
