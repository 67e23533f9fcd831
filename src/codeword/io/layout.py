"""Where every byte of a container lies, and what its header may say; shared by the writer and the parser.

    prefix (32) | header JSON, zeros to 64 | data: arrays, each from a multiple of 64 | block checksums | tail checksum

The normative text is `docs/format.md`. All sizes are Python integers, which do not overflow.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from codeword._native import crc32c as crc32c

MAGIC = b"\x89CWF\r\n\x1a\n"
"""As in PNG: not text, and damaged by whatever rewrites line ends or stops at a control character."""
MAJOR, MINOR = 1, 0

# magic, major, minor, bytes of JSON, bytes of the file, checksum of the header; the checksum of these 28 bytes follows.
PREFIX = struct.Struct("<8sHHIQI")
CHECKSUM = struct.Struct("<I")
PREFIX_NBYTES = PREFIX.size + CHECKSUM.size

ALIGNMENT = 64
BLOCK = 1 << 20
"""Bytes of data behind one checksum; a multiple of the alignment, so that no gap between arrays spans two blocks."""

MAX_HEADER = 1 << 24
MAX_DATA = 1 << 44
"""Bounds the table of checksums, which is read at open, by 64 MiB, even where a sparse file claims more."""
MAX_DEPTH = 64
MAX_NDIM = 32
MAX_NAME = 255
INTEGERS = range(-(1 << 63), 1 << 64)

# bool, integers and floats, little-endian, spelled as in NumPy.
ITEMSIZE = {"|b1": 1, "|i1": 1, "|u1": 1} | {f"<{kind}{n}": n for kind in "fiu" for n in (2, 4, 8)}

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)


class Entry(NamedTuple):
    """One array: `offset` counts from the start of the data, a multiple of 64."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class Layout(NamedTuple):
    """A container without its data."""

    version: tuple[int, int]
    kind: str
    header: dict[str, Any]
    entries: tuple[Entry, ...]
    data_offset: int
    data_nbytes: int
    table: bytes
    """Checksums of the blocks, uint32 little-endian."""


def align(n: int) -> int:
    """`n` rounded up to a multiple of 64."""
    return -(-n // ALIGNMENT) * ALIGNMENT


def block_count(data_nbytes: int) -> int:
    """Number of blocks, the last of which may be short."""
    return -(-data_nbytes // BLOCK)


def is_name(name: object) -> bool:
    """Whether `name` may name an array or a kind: letters, digits, ``_`` and ``-``, in parts joined by dots."""
    return isinstance(name, str) and len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def place(specs: Iterable[tuple[str, str, tuple[int, ...]]]) -> tuple[Entry, ...]:
    """Lay out arrays given as (name, dtype, shape): in their order, each at the next multiple of 64.

    The layout follows from names, dtypes and shapes alone, so a reader can insist on it, and equal content is equal bytes.

    Raises
    ------
    ValueError
        For a bad or repeated name, names out of order, a dtype that is not stored, or a shape too large.
    """
    entries: list[Entry] = []
    offset = 0
    for name, dtype, shape in specs:
        if not is_name(name):
            raise ValueError(f"{short(name)} is no name: letters, digits, '_' and '-' in parts joined by dots")
        if entries and name <= entries[-1].name:
            raise ValueError(f"array {name!r} is repeated or out of order after {entries[-1].name!r}")
        if dtype not in ITEMSIZE:
            raise ValueError(f"array {name!r}: dtype {short(dtype)} is not one of {', '.join(ITEMSIZE)}")
        # A zero counts as one: (0, 2**62) holds nothing, and still is no shape that every program can handle.
        if len(shape) > MAX_NDIM or math.prod(max(n, 1) for n in shape) * ITEMSIZE[dtype] > MAX_DATA:
            raise ValueError(f"array {name!r}: shape {short(shape)} exceeds {MAX_NDIM} dimensions or {MAX_DATA} bytes")
        entries.append(Entry(name, dtype, shape, offset, math.prod(shape) * ITEMSIZE[dtype]))
        offset = align(offset + entries[-1].nbytes)
    if offset > MAX_DATA:
        raise ValueError(f"the arrays take {offset} bytes, more than {MAX_DATA}")
    return tuple(entries)


def data_nbytes(entries: tuple[Entry, ...]) -> int:
    """Bytes of the data, the gap after the last array included."""
    return align(entries[-1].offset + entries[-1].nbytes) if entries else 0


def check_json(root: object) -> None:
    """Refuse what JSON, or a reader in another language, could not give back as it was.

    Raises
    ------
    TypeError
        For values other than None, bool, int, float, str, list, tuple and dict, and keys other than str.
    ValueError
        For nesting deeper than `MAX_DEPTH`, integers outside int64 and uint64, NaN, infinities and lone surrogates.
    """
    todo: list[tuple[Any, int]] = [(root, 1)]
    while todo:  # no recursion: a header must not be able to exhaust the stack
        value, depth = todo.pop()
        if isinstance(value, (dict, list, tuple)):
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
            if isinstance(value, dict):
                if not all(isinstance(key, str) for key in value):
                    raise TypeError("a key that is not a string")
                todo.extend((key, depth + 1) for key in value)
                value = value.values()
            todo.extend((item, depth + 1) for item in value)
        elif isinstance(value, str):
            value.encode()  # UnicodeEncodeError, a ValueError, for a lone surrogate
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"{value} is not a number that JSON has")
        elif isinstance(value, int):
            if not isinstance(value, bool) and value not in INTEGERS:
                raise ValueError("an integer outside -2**63 .. 2**64 - 1")
        elif value is not None:
            raise TypeError(f"{type(value).__name__} is not a type that JSON has")


def short(value: object) -> str:
    """`value` for an error message, however long a hostile file made it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
