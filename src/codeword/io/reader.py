"""Opening a container: memory-mapped, read-only, checked when the caller asks for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword.errors import FormatError
from codeword.io.layout import BLOCK, CHECKSUM, MAGIC, Entry, Layout, align, crc32c
from codeword.io.parse import parse

if TYPE_CHECKING:
    from types import TracebackType

VERIFY = ("open", "touch", "off")


def open_container(path: str | os.PathLike[str], verify: str = "touch") -> Container:
    """Open a container and check its header and tables; the arrays stay in the file until they are used.

    Parameters
    ----------
    path : str or path-like
    verify : {"touch", "open", "off"}
        When the blocks of an array are compared with their checksums: at its first access, all of them now, or never.

    Returns
    -------
    Container

    Raises
    ------
    FormatError
        If the file is no sound container, or of a newer major version.
    OSError
        If it cannot be read.

    Notes
    -----
    Arrays are views of a memory map. Replace a file that may be open (as `write` does); never change it in place.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> from codeword.io import open_container, write
    >>> path = os.path.join(tempfile.mkdtemp(), "words.cw")
    >>> write(path, "example", {"k": 2}, {"codebook": np.eye(2, dtype=np.float32)})
    >>> with open_container(path) as file:
    ...     file.kind, file.header, file.array("codebook")
    ('example', {'k': 2}, array([[1., 0.],
           [0., 1.]], dtype=float32))
    """
    if verify not in VERIFY:
        raise ValueError(f"verify: expected one of {', '.join(VERIFY)}, got {verify!r}")
    name = os.fsdecode(path)
    data = _map(name)
    container = Container(name, data, _parse(name, data), verify)
    if verify == "open":
        container.verify()
    return container


class Container:
    """An open container; made by `open_container`, safe to use from several threads.

    Attributes
    ----------
    path : str
    kind : str
        What the file holds, such as ``"model"``.
    header : dict
        What the writer gave as header.
    names : tuple of str
        Names of the arrays, sorted.
    """

    def __init__(self, path: str, data: NDArray[np.uint8], layout: Layout, verify: str) -> None:
        import threading  # here, so that importing the package stays light

        self.path = path
        self.kind = layout.kind
        self.header = layout.header
        self.names = tuple(entry.name for entry in layout.entries)
        self._data: NDArray[np.uint8] | None = data
        self._layout = layout
        self._verify = verify
        self._entries = {entry.name: entry for entry in layout.entries}
        self._sound_blocks: set[int] = set()
        self._sound_arrays: set[str] = set()
        self._lock = threading.Lock()

    def array(self, name: str) -> NDArray[Any]:
        """The array `name`: a read-only view of the file, checked now if this is its first use and `verify` is ``"touch"``.

        Raises
        ------
        FormatError
            If there is no such array, or a block of it is damaged.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise FormatError(f"{self.path}: there is no array {name!r}; there are: {', '.join(self.names) or 'none'}")
        if self._verify != "off" and name not in self._sound_arrays:
            with self._lock:
                if name not in self._sound_arrays:
                    self._check(entry, self._sound_blocks)
                    self._sound_arrays.add(name)
        return self._view(entry)

    def verify(self) -> None:
        """Read the whole file again and compare every byte of it with the checksums, whatever was checked before.

        Raises
        ------
        FormatError
            For the first damage that is found.
        """
        if _parse(self.path, self._bytes()) != self._layout:
            raise FormatError(f"{self.path}: its header was changed after it was opened")
        seen: set[int] = set()
        for entry in self._layout.entries:
            self._check(entry, seen)
        with self._lock:
            self._sound_blocks |= seen
            self._sound_arrays.update(self.names)

    def describe(self) -> dict[str, Any]:
        """What is in the file, as JSON: version, kind, sizes, header and the table of arrays."""
        arrays = [
            {"name": e.name, "dtype": np.dtype(e.dtype).name, "shape": list(e.shape), "nbytes": e.nbytes}
            for e in self._layout.entries
        ]
        return {
            "path": self.path,
            "kind": self.kind,
            "format_version": ".".join(map(str, self._layout.version)),
            "file_nbytes": len(self._bytes()),
            "array_nbytes": sum(e.nbytes for e in self._layout.entries),
            "header": self.header,
            "arrays": arrays,
        }

    def close(self) -> None:
        """Let go of the file; arrays that were handed out stay valid and keep it mapped."""
        self._data = None

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Container {self.path!r}, {self.kind}: {', '.join(self.names) or 'no arrays'}>"

    def _bytes(self) -> NDArray[np.uint8]:
        if self._data is None:
            raise ValueError(f"{self.path}: the container is closed")
        return self._data

    def _raw(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Bytes `start` to `stop` of the data."""
        base = self._layout.data_offset
        return self._bytes()[base + start : base + stop]

    def _view(self, entry: Entry) -> NDArray[Any]:
        raw = self._raw(entry.offset, entry.offset + entry.nbytes)
        return raw.view(np.dtype(entry.dtype)).reshape(entry.shape)

    def _check(self, entry: Entry, seen: set[int]) -> None:
        """Check the blocks of an array that are not in `seen`, and add them; then what checksums cannot know."""
        stop = entry.offset + entry.nbytes
        for block in range(entry.offset // BLOCK, -(-stop // BLOCK) if entry.nbytes else 0):
            if block not in seen:
                self._check_block(block, entry.name)
                seen.add(block)
        if self._raw(stop, align(stop)).any():
            raise FormatError(f"{self.path}: array {entry.name!r} is followed by bytes that are not zero")
        # NumPy assumes that a bool is 0 or 1; others make its kernels disagree with each other.
        if entry.dtype == "|b1" and entry.nbytes and int(self._raw(entry.offset, stop).max()) > 1:
            raise FormatError(f"{self.path}: array {entry.name!r} holds a bool that is neither 0 nor 1")

    def _check_block(self, block: int, name: str) -> None:
        start, stop = block * BLOCK, min((block + 1) * BLOCK, self._layout.data_nbytes)
        (expected,) = CHECKSUM.unpack_from(self._layout.table, CHECKSUM.size * block)
        if crc32c(self._raw(start, stop), 0) != expected:
            base = self._layout.data_offset
            raise FormatError(
                f"{self.path}: array {name!r}: block {block} of the data (bytes {base + start} to {base + stop} "
                "of the file) does not match its checksum"
            )


def _parse(path: str, data: NDArray[np.uint8]) -> Layout:
    try:
        return parse(data)
    except FormatError as e:
        raise FormatError(f"{path}: {e}") from None


def _map(path: str) -> NDArray[np.uint8]:
    """The bytes of a file, read-only and mapped, not read. The map lives as long as an array refers to it."""
    import mmap  # here, so that importing the package stays light
    import stat

    if not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISDIR(mode):
        raise FormatError(f"{path}: it is not a regular file")  # opening a pipe would wait for a writer
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < len(MAGIC):
            return np.frombuffer(file.read(len(MAGIC)), np.uint8)  # an empty file cannot be mapped
        try:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        except (ValueError, OverflowError) as e:
            raise FormatError(f"{path}: it is too large to be mapped on this machine: {e}") from None
