"""Ids that are strings: each gets a number the first time it comes, and keeps it; the index itself knows numbers only.

strings (n,) <--> numbers (n,) int64: 0, 1, 2, ... in the order in which they first came
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.errors import FormatError
from codeword.search.segment import I64
from codeword.search.table import Snapshot


class Names:
    """Strings by number, and numbers by string.

    Examples
    --------
    >>> names = Names()
    >>> names.add(["b", "a"])
    >>> names.find(["a", "c"]), names.strings(np.array([[1, 0]]))
    (array([ 1, -1]), array([['a', 'b']], dtype=object))
    """

    def __init__(self) -> None:
        self._strings: list[str] = []
        self._numbers: dict[str, int] = {}
        self._held = 0  # bytes of the strings and numbers themselves

    def __len__(self) -> int:
        return len(self._strings)

    def add(self, strings: Sequence[str]) -> None:
        """Give numbers to those of `strings` that have none."""
        for string in strings:
            number = len(self._strings)
            if self._numbers.setdefault(string, number) == number:
                self._strings.append(string)
                self._held += _allocated(string) + _allocated(number)

    def find(self, strings: Sequence[str]) -> I64:
        """Number of each string, or -1."""
        return np.array([self._numbers.get(string, -1) for string in strings], np.int64)

    def strings(self, numbers: I64) -> NDArray[Any]:
        """The strings (dtype object) of numbers of any shape."""
        out = np.empty(numbers.shape, object)
        out.ravel()[:] = [self._strings[number] for number in numbers.ravel().tolist()]
        return out

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._held + getsizeof(self._numbers) + getsizeof(self._strings)

    def arrays(self, first: int) -> dict[str, NDArray[Any]]:
        """Strings from number `first` on: ``text``, their UTF-8 bytes, and ``ends`` (n,), where each ends in it."""
        encoded = [string.encode() for string in self._strings[first:]]
        ends = np.cumsum([len(e) for e in encoded], dtype=np.int64) if encoded else np.zeros(0, np.int64)
        return {"text": np.frombuffer(b"".join(encoded), np.uint8), "ends": ends}

    def extend(self, text: NDArray[Any], ends: NDArray[Any]) -> None:
        """Add what `arrays` gave.

        Raises
        ------
        FormatError
            If it is not that, or a string comes twice.
        """
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        if text.dtype != np.uint8 or ends.dtype != np.int64 or (ends < starts).any() or (len(ends) and ends[-1] != len(text)):
            raise FormatError("names: expected UTF-8 bytes and where each string ends")
        raw, wanted = text.tobytes(), len(self) + len(ends)
        try:
            self.add([raw[a:b].decode() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
        except UnicodeDecodeError as e:
            raise FormatError(f"names: {e}") from None
        if len(self) != wanted:
            raise FormatError("names: a string occurs twice")


def _allocated(value: object) -> int:
    """Bytes that Python takes for a value: whole units of 16."""
    return -(-getsizeof(value) // 16) * 16


class Identity:
    """What the vectors of an index are called: numbers, or strings that have numbers."""

    def __init__(self, names: Names | None = None) -> None:
        self.names = names

    def check_kind(self, ids: I64 | list[str] | None, snapshot: Snapshot) -> None:
        """TypeError where `ids` (None: none given) are not of the kind of those there were before."""
        words = isinstance(ids, list)
        if words and snapshot.next_id > 0 and self.names is None:
            raise TypeError("ids: expected integers like those of the index, got strings")
        if not words and self.names is not None and (ids is None or len(ids)):
            raise TypeError(f"ids: expected strings like those of the index, got {'none' if ids is None else 'integers'}")

    def to_write(self, ids: I64 | list[str] | None, how: str, snapshot: Snapshot) -> I64 | None:
        """The numbers of ids to "add", "upsert" or "update", new ones for new strings; ValueError where that cannot be done."""
        if not isinstance(ids, list):
            if how == "update" and ids is not None:
                _all_there(ids, snapshot.find(ids)[0])
            return ids
        names = self.names or Names()
        there = snapshot.find(names.find(ids))[0]
        if how == "update":
            _all_there(ids, there)
        if how == "add" and (there >= 0).any():
            raise ValueError(f"ids: {ids[int(np.argmax(there >= 0))]!r} is in the index; upsert replaces vectors")
        names.add(ids)
        self.names = names
        return names.find(ids)

    def numbers(self, ids: I64 | list[str]) -> I64:
        """The numbers of ids, -1 for strings that were never there."""
        if not isinstance(ids, list):
            return np.asarray(ids, np.int64)
        return np.full(len(ids), -1) if self.names is None else self.names.find(ids)

    def known(self, ids: I64 | list[str], snapshot: Snapshot) -> I64:
        """The numbers of ids; ValueError where one is not in the index."""
        numbers = self.numbers(ids)
        _all_there(ids, snapshot.find(numbers)[0])
        return numbers

    def shown(self, numbers: I64) -> NDArray[Any]:
        """Ids as the user knows them."""
        return numbers if self.names is None else self.names.strings(numbers)

    def where(self, where: Any) -> Any:
        """A filter of ids as one of numbers."""
        names = self.names
        if names is None:
            return where
        if callable(where):
            return lambda numbers: where(names.strings(numbers))
        if isinstance(where, np.ndarray) and where.dtype == np.bool_:
            raise TypeError("where: expected strings or a callable, as ids are strings, got bools")
        numbers = names.find([str(x) for x in where])
        return numbers[numbers >= 0]


def _all_there(ids: Any, where: I64) -> None:
    if (where < 0).any():
        missing = ids[int(np.argmax(where < 0))]
        raise ValueError(f"ids: {repr(missing) if isinstance(missing, str) else missing} is not in the index")


def checked_ids(ids: Any, n: int | None, largest: int) -> I64 | list[str]:
    """Ids (n,) int64 from 0 to `largest`, or strings, each once."""
    if isinstance(ids, str):
        ids = [ids]
    A = np.asarray(ids)
    words = A.dtype.kind in "UT" or (A.dtype.kind == "O" and A.size > 0 and all(isinstance(x, str) for x in A.ravel()))
    if not words and A.dtype.kind not in "iu" and A.size:
        raise TypeError(f"ids: expected integers or strings, got dtype {A.dtype}")
    if A.ndim != 1 or (n is not None and len(A) != n):
        wanted = "(n,)" if n is None else f"({n},), one id a row"
        raise ValueError(f"ids: expected shape {wanted}, got {A.shape}")
    if words:
        strings = [str(x) for x in A.tolist()]
        if len(set(strings)) < len(strings):
            raise ValueError(f"ids: expected each id once, got {max(strings, key=strings.count)!r} twice")
        for row, string in enumerate(strings):
            if any("\ud800" <= c <= "\udfff" for c in string):
                raise ValueError(f"ids: expected text, got {string!r} with a lone surrogate in row {row}")
        return strings
    bad = (A < 0) | (largest < A)
    if bad.any():
        raise ValueError(f"ids: expected integers from 0 to 2**63 - 2, got {A[np.argmax(bad)]} in row {int(np.argmax(bad))}")
    numbers = np.ascontiguousarray(A, np.int64)
    ordered = np.sort(numbers)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise ValueError(f"ids: expected each id once, got {twice[0]} twice")
    return numbers
