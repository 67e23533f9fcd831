"""The rows of an index: codes, side data and ids in arrays that grow by half, or lie in a file until they are changed.

Ids 0, 1, 2, ... in order take no memory. Which row an id has is found through a hash table of row numbers (about 9 bytes a
row), made when it is first needed: removing and replacing rows takes time for those rows only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.errors import FormatError

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
LARGEST_ID = 2**63 - 2  # the largest int64 marks places of a list that nothing has taken


class Rows:
    """n rows of ``codes`` (n, code_size), ``side`` (n, side_bytes) and ids.

    Parameters
    ----------
    code_size, side_bytes : int
    """

    def __init__(self, code_size: int, side_bytes: int) -> None:
        self.n = 0
        self.next_id = 0
        """The id that the next row without one gets: one more than the largest there ever was."""
        self._codes: U8 = np.empty((0, code_size), np.uint8)
        self._side: U8 = np.empty((0, side_bytes), np.uint8)
        self._ids: I64 | None = None  # None: 0, 1, 2, ...
        self._table: _native.IdTable | None = None
        self._fetch: Callable[[], tuple[Any, Any, Any]] | None = None

    @classmethod
    def from_file(
        cls, n: int, next_id: int, code_size: int, side_bytes: int, fetch: Callable[[], tuple[U8, U8, I64 | None]]
    ) -> Rows:
        """Rows whose codes, side data and ids (or None) `fetch` gives when they are first used."""
        made = cls(code_size, side_bytes)
        made.n, made.next_id, made._fetch = n, next_id, fetch
        return made

    @property
    def codes(self) -> U8:
        """Codes (n, code_size), not to be changed."""
        self._load()
        return self._codes[: self.n]

    @property
    def side(self) -> U8:
        """Side data (n, side_bytes), not to be changed."""
        self._load()
        return self._side[: self.n]

    @property
    def ids(self) -> I64 | None:
        """Ids (n,), not to be changed; None where they are 0, 1, 2, ..."""
        self._load()
        return None if self._ids is None else self._ids[: self.n]

    def all_ids(self) -> I64:
        """Ids (n,) of the rows in their order."""
        ids = self.ids
        return np.arange(self.n, dtype=np.int64) if ids is None else ids

    @property
    def memory_mapped(self) -> bool:
        """Whether the codes lie in a file."""
        return self._fetch is not None or not self._codes.flags.writeable

    @property
    def nbytes(self) -> int:
        """Bytes of memory or file that the rows take, ids and their table included."""
        ids = 0 if self.ids is None else 8
        table = 0 if self._table is None else self._table.nbytes
        return self.n * int(self._codes.shape[1] + self._side.shape[1] + ids) + table

    def find(self, ids: I64) -> I64:
        """Row of each id, or -1."""
        if self.ids is None:
            return np.where((ids >= 0) & (ids < self.n), ids, -1)
        table = self._known()
        assert self._ids is not None
        return table.find(self._ids, ids)

    def append(self, codes: U8, side: U8, ids: I64 | None) -> None:
        """Add rows at the end; `ids` must be new, None goes on from `next_id`."""
        first, last = self.n, self.n + len(codes)
        if ids is None:
            ids = np.arange(self.next_id, self.next_id + len(codes), dtype=np.int64)
        in_order = self.ids is None and bool((ids == np.arange(first, last)).all())
        self._reserve(last, ids=not in_order)
        self._codes[first:last], self._side[first:last] = codes, side
        self.n = last
        if self._ids is not None:
            self._ids[first:last] = ids
            if self._table is not None:
                self._table.add(self._ids[:last], first)
        self.next_id = max(self.next_id, int(ids.max(initial=-1)) + 1)

    def replace(self, rows: I64, codes: U8, side: U8) -> None:
        """Give rows other codes."""
        self._reserve(self.n)
        self._codes[rows], self._side[rows] = codes, side

    def remove(self, rows: I64) -> None:
        """Remove rows, each named once; the last rows take their places."""
        if not len(rows):
            return
        self._reserve(self.n, ids=True)
        assert self._ids is not None
        table = self._known()
        table.erase(self._ids, rows)
        left = self.n - len(rows)
        gone = np.zeros(len(rows), bool)
        gone[rows[rows >= left] - left] = True
        holes, fillers = np.sort(rows[rows < left]), np.flatnonzero(~gone) + left
        table.move(self._ids, fillers, holes)
        for a in (self._codes, self._side, self._ids):
            a[holes] = a[fillers]
        self.n = left

    def _load(self) -> None:
        """Take the arrays of the file."""
        if self._fetch is None:
            return
        codes, side, ids = self._fetch()
        if ids is not None and self.n and (int(ids.min()) < 0 or int(ids.max()) >= self.next_id):
            raise FormatError("array 'ids': expected ids from 0 to below the next one")
        self._codes, self._side, self._ids, self._fetch = codes, side, ids, None

    def _known(self) -> _native.IdTable:
        """The table of the rows' ids."""
        assert self._ids is not None
        if self._table is None:
            ordered = np.sort(self._ids[: self.n])
            if (ordered[1:] == ordered[:-1]).any():
                raise FormatError(f"array 'ids': id {ordered[1:][ordered[1:] == ordered[:-1]][0]} occurs twice")
            self._table = _native.IdTable()
            self._table.add(np.ascontiguousarray(self._ids[: self.n]), 0)
        return self._table

    def _reserve(self, n: int, *, ids: bool = False) -> None:
        """Make the arrays writable and long enough for n rows; with `ids`, have ids."""
        self._load()
        if ids and self._ids is None:
            self._ids = np.arange(self.n, dtype=np.int64)
        if n > len(self._codes) or not self._codes.flags.writeable:
            room = max(n, self.n + self.n // 2 if n > self.n else n)
            self._codes, self._side = _grown(self._codes, self.n, room), _grown(self._side, self.n, room)
        if self._ids is not None and (len(self._ids) < n or not self._ids.flags.writeable):
            self._ids = _grown(self._ids, self.n, len(self._codes))


def _grown(a: NDArray[Any], n: int, room: int) -> NDArray[Any]:
    """The first n rows of `a` in a new array with room for `room`."""
    out = np.empty((room, *a.shape[1:]), a.dtype)
    out[:n] = a[:n]
    return out
