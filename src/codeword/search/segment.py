"""Segments: rows of an index that never change once they are made, in memory or mapped from a file.

    columns (n, ...): codes, side data, ...;  ids (n,) or the run first, first + 1, ...;  rows in the order of their lists

Everything that changes is beside them: which rows are deleted is a mask of a `Snapshot`, and new rows are a new segment. So a search
that holds a snapshot sees the same rows until it ends, whatever a writer does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.errors import FormatError

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
LARGEST_ID = 2**63 - 2  # the largest int64 marks places of a list that nothing has taken


class Segment:
    """Rows that do not change.

    Parameters
    ----------
    n : int
    columns : mapping of str to ndarray (n, ...)
        What is kept of each row; may read a file when a column is first used.
    bounds : ndarray (lists + 1,) int64
        Rows ``bounds[l]`` to ``bounds[l + 1]`` are those of list `l`.
    first : int
        The id of row 0 where there is no column ``"ids"``: then they are ``first, first + 1, ...``.
    distortion : float
        Mean squared error of some of its rows when they were coded; 0 where it was not measured.
    """

    def __init__(
        self, n: int, columns: Mapping[str, NDArray[Any]], bounds: I64, first: int | None = None, distortion: float = 0.0
    ) -> None:
        self.n, self.columns, self.bounds, self.first = n, columns, bounds, first
        self.distortion = distortion
        self._table: _native.IdTable | None = None

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]], ids: I64, labels: I64 | None, lists: int, distortion: float = 0.0) -> Segment:
        """A segment in memory of new rows with `ids` (n,) and the list of each, `labels` (n,); None: all in list 0."""
        n = len(ids)
        if labels is None:
            bounds, kept = np.zeros(lists + 1, np.int64), dict(columns)
            bounds[1:] = n
        else:
            order = np.argsort(labels, kind="stable")
            bounds = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=lists))]).astype(np.int64)
            kept, ids = {name: a[order] for name, a in columns.items()}, ids[order]
        if n and (ids == np.arange(ids[0], ids[0] + n)).all():
            return cls(n, kept, bounds, int(ids[0]), distortion)
        return cls(n, {**kept, "ids": np.ascontiguousarray(ids)}, bounds, None, distortion)

    @property
    def ids(self) -> I64:
        """Ids (n,) of the rows."""
        if self.first is not None:
            return np.arange(self.first, self.first + self.n, dtype=np.int64)
        return self.columns["ids"]

    def ids_of(self, rows: Any) -> I64:
        """Ids of some rows, a slice or numbers of any shape."""
        if self.first is None:
            return np.asarray(self.columns["ids"][rows])
        if isinstance(rows, slice):
            return np.arange(self.first + rows.start, self.first + rows.stop, dtype=np.int64)
        return np.asarray(rows + self.first)

    @property
    def labels(self) -> I64:
        """The list (n,) of each row."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    @property
    def in_file(self) -> bool:
        """Whether its columns are mapped from a file."""
        return not isinstance(self.columns, dict)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, or of the file, that the columns take, and of the table of ids where one was made."""
        table = 0 if self._table is None else self._table.nbytes
        columns: int = getattr(self.columns, "nbytes", None) or sum(a.nbytes for a in self.columns.values())
        return columns + self.bounds.nbytes + table

    def find(self, ids: I64) -> I64:
        """Row of each id, or -1."""
        if self.first is not None:
            rows = ids - self.first
            return np.where((rows >= 0) & (rows < self.n), rows, -1)
        if self._table is None:
            held = np.ascontiguousarray(self.columns["ids"])
            ordered = np.sort(held)
            if (ordered[1:] == ordered[:-1]).any():
                raise FormatError(f"array 'ids': id {ordered[1:][ordered[1:] == ordered[:-1]][0]} occurs twice")
            table = _native.IdTable()
            table.add(held, 0)
            self._table = table
        return self._table.find(np.ascontiguousarray(self.columns["ids"]), ids)


def merged(segments: Sequence[Segment], dead: Sequence[Mask | None]) -> Segment:
    """One segment in memory of the rows of several that are not dead, in the order of segments and rows within each list."""
    alive = [slice(None) if mask is None else ~mask for mask in dead]
    labels = np.concatenate([s.labels[rows] for s, rows in zip(segments, alive, strict=True)])
    lists = len(segments[0].bounds) - 1
    ids = np.concatenate([s.ids[rows] for s, rows in zip(segments, alive, strict=True)])
    names = [name for name in segments[0].columns if name != "ids"]
    columns = {n: np.concatenate([s.columns[n][rows] for s, rows in zip(segments, alive, strict=True)]) for n in names}
    distortion = sum(s.distortion * s.n for s in segments) / max(1, sum(s.n for s in segments))
    return Segment.of(columns, ids, labels if lists > 1 else None, lists, distortion)
