"""Twins of the kernels on bits: checksums, packed integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C (Castagnoli) of ``data``, continued from the CRC of what came before.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def pack_bits(indices: ArrayLike, bits: ArrayLike) -> NDArray[np.uint8]:
    """Pack the low ``bits[j]`` bits of column j of ``indices`` (n, m) into (n, code_size) uint8.

    A row is one little-endian bit string: column 0 first, lowest bit first, spare bits zero,
    ``code_size = ceil(sum(bits) / 8)``.

    Examples
    --------
    >>> pack_bits([[1, 2, 3]], [4, 4, 4])
    array([[33,  3]], dtype=uint8)
    """
    columns = np.asarray(indices, dtype=np.uint32)
    planes = [columns[:, j] >> np.uint32(b) & 1 for j, b in _positions(bits)]
    if not planes:
        return np.zeros((len(columns), 0), dtype=np.uint8)
    return np.packbits(np.stack(planes, axis=1).astype(np.uint8), axis=1, bitorder="little")


def unpack_bits(codes: ArrayLike, bits: ArrayLike) -> NDArray[np.uint32]:
    """Inverse of `pack_bits`: ``codes`` (n, code_size) uint8 to (n, m) uint32.

    Examples
    --------
    >>> unpack_bits([[33, 3]], [4, 4, 4])
    array([[1, 2, 3]], dtype=uint32)
    """
    planes = np.unpackbits(np.asarray(codes, dtype=np.uint8), axis=1, bitorder="little")
    indices = np.zeros((len(planes), len(np.asarray(bits))), dtype=np.uint32)
    for position, (j, b) in enumerate(_positions(bits)):
        indices[:, j] |= planes[:, position].astype(np.uint32) << np.uint32(b)
    return indices


def _positions(bits: ArrayLike) -> list[tuple[int, int]]:
    """(column, bit of its symbol) of every bit of a packed row, in order."""
    return [(j, b) for j, width in enumerate(np.asarray(bits)) for b in range(int(width))]
