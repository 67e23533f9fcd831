"""Writing a container in one pass from front to back: every size is known from the shapes before the first byte."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codeword.io import layout
from codeword.io.layout import BLOCK, CHECKSUM, ITEMSIZE, PREFIX, PREFIX_NBYTES, Entry, crc32c
from codeword.io.replace import replacing


def write(
    path: str | os.PathLike[str],
    kind: str,
    header: Mapping[str, Any],
    arrays: Mapping[str, ArrayLike],
) -> None:
    """Write a container, in the place of what is at `path`; after any failure the old file is still there.

    Parameters
    ----------
    path : str or path-like
    kind : str
        What the file holds: a name, as of an array.
    header : dict
        JSON: None, bool, int (64 bits), finite float, str, list (a tuple becomes one) and dict with string keys.
    arrays : mapping of str to array_like
        Bool, integer or float of any shape, byte order and strides; stored little-endian and in C order. Memory-mapped
        arrays may be larger than memory: they are read one block of 1 MiB at a time.

    Raises
    ------
    TypeError, ValueError
        For a kind, header, name, dtype or shape that the format does not hold.
    OSError
        If a step of writing fails.

    Notes
    -----
    The same kind, header and arrays give the same bytes.
    """
    sources = {name: np.asarray(arrays[name]) for name in _sorted(arrays)}
    specs = [(name, _dtype(name, a), a.shape) for name, a in sources.items()]
    entries = layout.place(specs)
    front = _front(kind, header, entries)
    with replacing(path) as file:
        file.write(front)
        table = _write_blocks(file, _data(entries, sources))
        (prefix_crc,) = CHECKSUM.unpack_from(front, PREFIX.size)
        file.write(table)
        file.write(CHECKSUM.pack(crc32c(np.frombuffer(table, np.uint8), prefix_crc)))


def _sorted(arrays: Mapping[str, ArrayLike]) -> list[str]:
    for name in arrays:
        if not isinstance(name, str):
            raise TypeError(f"arrays: expected names that are strings, got {layout.short(name)}")
    return sorted(arrays)


def _dtype(name: str, a: NDArray[Any]) -> str:
    stored = a.dtype.newbyteorder("<").str
    if stored not in ITEMSIZE:
        raise TypeError(f"array {name!r}: dtype {a.dtype} is not stored; expected bool, an integer or a float up to 64 bits")
    return stored


def _front(kind: str, header: Mapping[str, Any], entries: tuple[Entry, ...]) -> bytes:
    """Prefix and header, with the zeros that follow it."""
    import json  # here, so that importing the package stays light

    if not layout.is_name(kind):
        raise ValueError(f"kind: {layout.short(kind)} is no name")
    if not isinstance(header, Mapping):
        raise TypeError(f"header: expected a dict, got {type(header).__name__}")
    table = [{**e._asdict(), "shape": list(e.shape)} for e in entries]
    root = {"arrays": table, "header": dict(header), "kind": kind}
    try:
        layout.check_json(root)
    except (TypeError, ValueError) as e:
        raise type(e)(f"header: {e}") if type(e) in (TypeError, ValueError) else ValueError(f"header: {e}") from None
    text = json.dumps(root, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    if len(text) > layout.MAX_HEADER:
        raise ValueError(f"header: {len(text)} bytes of JSON, more than {layout.MAX_HEADER}")
    padded = text.ljust(layout.align(PREFIX_NBYTES + len(text)) - PREFIX_NBYTES, b"\0")
    data_nbytes = layout.data_nbytes(entries)
    file_nbytes = PREFIX_NBYTES + len(padded) + data_nbytes + CHECKSUM.size * (layout.block_count(data_nbytes) + 1)
    prefix = PREFIX.pack(layout.MAGIC, layout.MAJOR, layout.MINOR, len(text), file_nbytes, _crc(padded))
    return prefix + CHECKSUM.pack(_crc(prefix)) + padded


def _crc(data: bytes) -> int:
    return crc32c(np.frombuffer(data, np.uint8), 0)


def _data(entries: tuple[Entry, ...], sources: Mapping[str, NDArray[Any]]) -> Iterator[NDArray[np.uint8]]:
    """The data in order, in pieces of at most a block: arrays, and the zeros after each."""
    for entry in entries:
        yield from _array_bytes(sources[entry.name], entry.dtype)
        stop = entry.offset + entry.nbytes
        yield np.zeros(layout.align(stop) - stop, np.uint8)


def _array_bytes(a: NDArray[Any], dtype: str) -> Iterator[NDArray[np.uint8]]:
    """The bytes of `a` as stored; only a piece is copied, and only where its order or byte order differs."""
    if not a.flags.c_contiguous and a[0].size * ITEMSIZE[dtype] > BLOCK:
        for part in a:
            yield from _array_bytes(part, dtype)
        return
    rows = a.reshape(-1) if a.flags.c_contiguous else a
    count = BLOCK // (rows[:1].size * ITEMSIZE[dtype]) if rows.size else 1
    for start in range(0, len(rows), count):
        yield np.ascontiguousarray(rows[start : start + count], dtype=dtype).reshape(-1).view(np.uint8)


def _write_blocks(file: BinaryIO, pieces: Iterator[NDArray[np.uint8]]) -> bytes:
    """Write `pieces` and return the checksums of the blocks they form together."""
    table = bytearray()
    crc, room = 0, BLOCK
    for piece in pieces:
        while len(piece):
            part, piece = piece[:room], piece[room:]
            file.write(part.data)
            crc = crc32c(part, crc)
            room -= len(part)
            if not room:
                table += CHECKSUM.pack(crc)
                crc, room = 0, BLOCK
    if room < BLOCK:
        table += CHECKSUM.pack(crc)
    return bytes(table)
