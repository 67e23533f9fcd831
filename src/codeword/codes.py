"""Packed codes: one row of bytes a vector, symbols in order, least significant bit first, the last byte padded with zeros.

    indices (n, m) --pack(bits)--> codes (n, code_size) uint8 --unpack(bits)--> indices (n, m)

`bits` is one width for all m symbols or one width each (0 to 32); ``code_size = ceil(sum(bits) / 8)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native


def size(bits: NDArray[np.uint8]) -> int:
    """Bytes of one packed code whose symbols are `bits` (m,) wide."""
    return (int(bits.sum(dtype=np.int64)) + 7) // 8


def pack(indices: Any, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack `indices` (n, m), each below 2**bits, into uint8 (n, code_size)."""
    return _native.pack_bits(np.ascontiguousarray(indices, np.uint32), bits)


def unpack(codes: NDArray[np.uint8], bits: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Unpack `codes` (n, code_size) into indices uint32 (n, m)."""
    return _native.unpack_bits(codes, bits)


def check_below(indices: NDArray[Any], k: Any, first: int = 0) -> None:
    """Raise ValueError naming the row if an index is not below `k` (one number, or one for each column)."""
    bad = indices >= np.asarray(k)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        limit = int(np.broadcast_to(k, indices.shape)[row, column])
        raise ValueError(
            f"codes: row {first + row} names codeword {indices[row, column]} of {limit}; these codes are damaged or from another quantizer"
        )
