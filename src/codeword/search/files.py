"""Columns of segments that stay in a file until they are used, and the lock of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from codeword.errors import FormatError
from codeword.io import Container

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
LOCK = "lock"


class FileColumns(Mapping[str, NDArray[Any]]):
    """The arrays of a container as columns of n rows; each is checked at its first use.

    Parameters
    ----------
    file : Container
    n : int
    shapes : mapping of str to (dtype, shape of a row)
        The columns there must be; moreover there may be ``"ids"``.
    next_id : int
        Ids must be smaller.

    Raises
    ------
    FormatError
        If a column is missing or has another type or shape.
    """

    def __init__(self, file: Container, n: int, shapes: Shapes, next_id: int) -> None:
        table = {a["name"]: a for a in file.describe()["arrays"]}
        wanted = {**shapes, **({"ids": ("int64", ())} if "ids" in table else {})}
        for name, (dtype, row) in wanted.items():
            found = (table[name]["dtype"], tuple(table[name]["shape"])) if name in table else None
            if found != (dtype, (n, *row)):
                raise FormatError(f"{file.path}: array {name!r}: expected {dtype} {(n, *row)}, got {found}")
        self.nbytes = sum(table[name]["nbytes"] for name in wanted)
        self._file, self._names, self._next_id = file, tuple(wanted), next_id
        self._used: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._used:
            if name not in self._names:
                raise KeyError(name)
            values = self._file.array(name)
            if name == "ids" and len(values) and (int(values.min()) < 0 or int(values.max()) >= self._next_id):
                raise FormatError(f"{self._file.path}: array 'ids': expected ids from 0 to below the next one")
            self._used[name] = values
        return self._used[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold the lock of a folder, waiting for whoever has it; it is let go when a process ends, however that happens."""
    handle = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
