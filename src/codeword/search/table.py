"""The rows of an index: segments, and masks of what was deleted from them. One writer at a time, any number of readers.

    add, remove, replace --lock--> a new `Snapshot`, put in the place of the old one in one step

Segments grow like a number in binary: a new one is merged with those before it while they are less than twice as large, so n rows
added one by one are copied about log2(n) times, and there are about as many segments. Merging leaves deleted rows out.

Source: O'Neil, Cheng, Gawlick & O'Neil 1996, "The log-structured merge-tree".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.search.segment import I64, LARGEST_ID, Mask, Segment, merged

_MERGED_ROWS = 1 << 18  # larger segments are merged only where that leaves them an eighth of all rows
_DEAD_SHARE = 4  # a segment in memory with more than a fourth of its rows deleted is written anew


@dataclass(frozen=True)
class Snapshot:
    """The rows at one moment.

    Attributes
    ----------
    segments : tuple of Segment
    dead : tuple of ndarray (n,) bool or None
        Which rows of each segment are deleted; None: none.
    next_id : int
        The id that the next row without one gets: one more than the largest there ever was.
    version : int
        Counts changes.
    """

    segments: tuple[Segment, ...] = ()
    dead: tuple[Mask | None, ...] = ()
    next_id: int = 0
    version: int = 0

    @cached_property
    def n(self) -> int:
        """Rows that are not deleted."""
        gone = sum(int(np.count_nonzero(mask)) for mask in self.dead if mask is not None)
        return sum(segment.n for segment in self.segments) - gone

    def find(self, ids: I64) -> tuple[I64, I64]:
        """Segment and row of each id, or -1."""
        where, at = np.full(len(ids), -1), np.full(len(ids), -1)
        for number, (segment, mask) in enumerate(zip(self.segments, self.dead, strict=True)):
            rows = segment.find(ids)
            found = rows >= 0
            if mask is not None:
                found &= ~mask[rows]
            where[found], at[found] = number, rows[found]
        return where, at

    def ids(self) -> I64:
        """Ids (n,) of all rows."""
        pairs = zip(self.segments, self.dead, strict=True)
        parts = [s.ids if mask is None else s.ids[~mask] for s, mask in pairs]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


class Table:
    """What is written to: `snapshot` is what readers take.

    Parameters
    ----------
    lists : int
        Lists that every segment is divided into.
    snapshot : Snapshot, optional
        Rows to start with.
    """

    def __init__(self, lists: int = 1, snapshot: Snapshot | None = None) -> None:
        self.lists = lists
        self.snapshot = Snapshot() if snapshot is None else snapshot
        self.lock = threading.RLock()

    def append(
        self,
        columns: Mapping[str, NDArray[Any]],
        ids: I64 | None,
        labels: I64 | None,
        *,
        replacing: bool = False,
        distortion: float = 0.0,
    ) -> None:
        """Add rows with `ids`, or going on from `next_id`; ``replacing`` those that have the ids, which must else be new.

        Raises
        ------
        ValueError
            If an id is there and not to be replaced, or none is left to go on with; nothing is added then.
        """
        count = len(next(iter(columns.values())))
        with self.lock:
            now = self.snapshot
            if ids is None:
                if now.next_id > LARGEST_ID + 1 - count:
                    raise ValueError(f"ids: expected ids, as none are left after {now.next_id - 1}")
                ids = np.arange(now.next_id, now.next_id + count, dtype=np.int64)
            else:
                where, at = now.find(ids)
                if not replacing and (where >= 0).any():
                    raise ValueError(f"ids: {ids[np.argmax(where >= 0)]} is in the index; upsert replaces vectors")
                now = _without(now, where, at)
            if not count:
                return
            next_id = max(now.next_id, int(ids.max()) + 1)
            segments = (*now.segments, Segment.of(columns, ids, labels, self.lists, distortion))
            self._set(replace(now, segments=segments, dead=(*now.dead, None), next_id=next_id))

    def remove(self, ids: I64) -> None:
        """Remove the rows with `ids`.

        Raises
        ------
        ValueError
            If one is not there; nothing is removed then.
        """
        with self.lock:
            where, at = self.snapshot.find(ids)
            if (where < 0).any():
                raise ValueError(f"ids: {ids[np.argmax(where < 0)]} is not in the index")
            if len(ids):
                self._set(_without(self.snapshot, where, at))

    def vacuum(self) -> None:
        """Merge all rows into one segment, which leaves out what is deleted."""
        with self.lock:
            now = self.snapshot
            if len(now.segments) > 1 or any(mask is not None for mask in now.dead):
                segments = (merged(now.segments, now.dead),) if now.n else ()
                self._set(replace(now, segments=segments, dead=(None,) * len(segments)))

    def _set(self, new: Snapshot) -> None:
        self.snapshot = replace(_tidied(new), version=self.snapshot.version + 1)


def _without(now: Snapshot, where: I64, at: I64) -> Snapshot:
    """The snapshot without rows `at` of segments `where`; -1 is no row."""
    dead = list(now.dead)
    for number in np.unique(where[where >= 0]):
        old = dead[number]
        mask = np.zeros(now.segments[number].n, np.bool_) if old is None else old.copy()
        mask[at[where == number]] = True
        dead[number] = mask
    return replace(now, dead=tuple(dead))


def _tidied(now: Snapshot) -> Snapshot:
    """Segments without rows are left out, small neighbours merged, and those with many deleted rows written anew."""
    kept: list[tuple[Segment, Mask | None]] = []
    most = max(_MERGED_ROWS, sum(s.n for s in now.segments) // 8)
    for segment, mask in zip(now.segments, now.dead, strict=True):
        gone = 0 if mask is None else int(np.count_nonzero(mask))
        if gone == segment.n:
            continue
        if gone * _DEAD_SHARE > segment.n and not segment.in_file:
            segment, mask = merged([segment], [mask]), None
        while kept and kept[-1][0].n < 2 * segment.n and kept[-1][0].n + segment.n <= most:
            earlier, deleted = kept.pop()
            segment, mask = merged([earlier, segment], [deleted, mask]), None
        kept.append((segment, mask))
    return replace(now, segments=tuple(s for s, _ in kept), dead=tuple(m for _, m in kept))
