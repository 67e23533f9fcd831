"""From the bytes of a container to its Layout, every number checked before it is used.

One parser serves every path (opening, `verify`), so that no second reader can lack the first one's checks. A product of
sizes is never trusted: where the format says a number twice, both must agree.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.errors import FormatError
from codeword.io import layout
from codeword.io.layout import CHECKSUM, PREFIX, PREFIX_NBYTES, Layout, short

_MIN_NBYTES = layout.ALIGNMENT + CHECKSUM.size
_TOP_KEYS = ("kind", "header", "arrays")
_ARRAY_KEYS = ("name", "dtype", "shape", "offset", "nbytes")


def parse(data: NDArray[np.uint8]) -> Layout:
    """Read prefix, header and tables of a whole file `data` (nbytes,).

    Raises
    ------
    FormatError
        For anything but a sound container of a version that this release reads; the data blocks are not looked at.
    """
    version, json_nbytes, header_crc, prefix_crc = _prefix(data)
    data_offset = layout.align(PREFIX_NBYTES + json_nbytes)
    if not 0 < json_nbytes <= layout.MAX_HEADER or data_offset + CHECKSUM.size > len(data):
        raise FormatError(f"the header claims {json_nbytes} bytes, more than the file or the format allows")
    padded = data[PREFIX_NBYTES:data_offset]
    if layout.crc32c(padded, 0) != header_crc:
        raise FormatError("the header does not match its checksum")
    if padded[json_nbytes:].any():
        raise FormatError("the header is followed by bytes that are not zero")
    root = _json(padded[:json_nbytes].tobytes())
    newer = version[1] > layout.MINOR
    kind, header, table = _fields(root, _TOP_KEYS, newer, "the header")
    if not layout.is_name(kind):
        raise FormatError(f"kind {short(kind)} is no name")
    if type(header) is not dict:
        raise FormatError("'header' is not an object")
    entries = _entries(table, newer)
    data_nbytes = layout.data_nbytes(entries)
    checksums = _checksums(data, data_offset + data_nbytes, layout.block_count(data_nbytes), prefix_crc)
    return Layout(version, kind, header, entries, data_offset, data_nbytes, checksums)


def _prefix(data: NDArray[np.uint8]) -> tuple[tuple[int, int], int, int, int]:
    """Version, bytes of JSON, checksum of the header, checksum of the prefix itself."""
    start = data[:PREFIX_NBYTES].tobytes()
    if start[: len(layout.MAGIC)] != layout.MAGIC[: len(start)] or not start:
        raise FormatError("it is not a codeword file: the first 8 bytes are not its signature")
    if len(data) < _MIN_NBYTES:
        raise FormatError(f"truncated: {len(data)} bytes, and no container is shorter than {_MIN_NBYTES}")
    _, major, minor, json_nbytes, file_nbytes, header_crc = PREFIX.unpack_from(start)
    (prefix_crc,) = CHECKSUM.unpack_from(start, PREFIX.size)
    sound = layout.crc32c(data[: PREFIX.size], 0) == prefix_crc
    if sound and major > layout.MAJOR:
        raise FormatError(
            f"it has format version {major}.{minor}, and this release reads versions up to {layout.MAJOR}.x: "
            "a newer release of codeword is needed"
        )
    if not sound:
        # Another major version may check its prefix in another way, so a version is named where it is not ours.
        hint = "" if major == layout.MAJOR else f" (or it has format version {major}.{minor}, which is not known)"
        raise FormatError(f"the first {PREFIX_NBYTES} bytes do not match their checksum{hint}")
    if major != layout.MAJOR:
        raise FormatError(f"format version {major}.{minor} does not exist")
    if len(data) < file_nbytes:
        raise FormatError(f"truncated: {len(data)} of {file_nbytes} bytes are there")
    if len(data) > file_nbytes:
        raise FormatError(f"{len(data) - file_nbytes} bytes follow the end of the container at {file_nbytes}")
    return (major, minor), json_nbytes, header_crc, prefix_crc


def _json(raw: bytes) -> Any:
    import json  # here, so that importing the package stays light

    try:
        root = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
        )
        layout.check_json(root)
    except RecursionError:
        raise FormatError(f"the header is nested deeper than {layout.MAX_DEPTH} levels") from None
    except (ValueError, MemoryError) as e:
        raise FormatError(f"the header is not acceptable JSON: {short(str(e))[1:-1]}") from None
    return root


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"key {short(name)} is repeated")
        made[name] = value
    return made


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number too large for float64")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:  # the longest are -2**63 and 2**64 - 1; more digits cost quadratic time
        raise ValueError("an integer outside -2**63 .. 2**64 - 1")
    return int(text)


def _fields(item: Any, keys: tuple[str, ...], newer: bool, where: str) -> list[Any]:
    """The values of `keys` in their order; more keys than these pass only in a newer minor version."""
    missing = type(item) is not dict or not item.keys() >= set(keys)
    if missing or (len(item) > len(keys) and not newer):
        raise FormatError(f"{where}: expected an object with {', '.join(keys)}, got {short(item)}")
    return [item[key] for key in keys]


def _entries(table: Any, newer: bool) -> tuple[layout.Entry, ...]:
    if type(table) is not list:
        raise FormatError("'arrays' is not a list")
    specs, said = [], []
    for i, item in enumerate(table):
        name, dtype, shape, offset, nbytes = _fields(item, _ARRAY_KEYS, newer, f"array {i} of the table")
        if type(shape) is not list or not all(type(n) is int and n >= 0 for n in shape):
            raise FormatError(f"array {short(name)}: {short(shape)} is no shape")
        if type(dtype) is not str:
            raise FormatError(f"array {short(name)}: dtype {short(dtype)} is not a string")
        specs.append((name, dtype, tuple(shape)))
        said.append((offset, nbytes))
    try:
        entries = layout.place(specs)
    except ValueError as e:
        raise FormatError(str(e)) from None
    for entry, (offset, nbytes) in zip(entries, said, strict=True):
        if (type(offset), type(nbytes)) != (int, int) or (offset, nbytes) != entry[3:]:
            raise FormatError(
                f"array {entry.name!r}: its shape needs {entry.nbytes} bytes at offset {entry.offset}, "
                f"the table says {short(nbytes)} at {short(offset)}"
            )
    return entries


def _checksums(data: NDArray[np.uint8], start: int, blocks: int, prefix_crc: int) -> bytes:
    """The table of `blocks` checksums that starts at `start` and is the end of the file, with its own checksum."""
    stop = start + CHECKSUM.size * blocks
    if stop + CHECKSUM.size != len(data):
        raise FormatError(f"its arrays need a file of {stop + CHECKSUM.size} bytes, it has {len(data)}")
    # Continued from the prefix's checksum, which covers the header's: a header with another file's data is noticed.
    if layout.crc32c(data[start:stop], prefix_crc) != CHECKSUM.unpack(data[stop:].tobytes())[0]:
        raise FormatError("the table of block checksums does not match its checksum")
    return data[start:stop].tobytes()
