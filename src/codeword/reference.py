"""Slow NumPy twins of the native kernels: their definition in a few lines, and the oracle of their tests.

Each function here has the name of a kernel in ``native/kernels.def`` and gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator

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


def hadamard(x: ArrayLike) -> NDArray[np.float32]:
    """Walsh-Hadamard transform of the rows of ``x`` (n, 2**p) float32, unnormalised.

    Stages at distance 1, 2, 4, ... turn each pair ``(a, b)`` into ``(a + b, a - b)``, rounded to float32.

    Examples
    --------
    >>> hadamard([[1, 2, 3, 4]])
    array([[10., -2., -4.,  0.]], dtype=float32)
    """
    rows = np.array(x, dtype=np.float32)
    n, length = rows.shape
    distance = 1
    while distance < length:
        pairs = rows.reshape(n, length // (2 * distance), 2, distance)
        low, high = pairs[:, :, 0], pairs[:, :, 1]
        rows = np.stack([low + high, low - high], axis=2).reshape(n, length)
        distance *= 2
    return rows


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


def _lane_order_sum(terms: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sum of (..., 8) pieces in lane order (ARCHITECTURE.md, Exactness): lane by lane, then across lanes in a fixed order."""
    lanes: NDArray[np.float64] | None = None
    for term in terms:
        lanes = term if lanes is None else lanes + term
    assert lanes is not None
    halves = lanes[..., :4] + lanes[..., 4:]
    pairs = halves[..., :2] + halves[..., 2:]
    return np.asarray(pairs[..., 0] + pairs[..., 1])


def _pieces_of_8(x: ArrayLike) -> NDArray[np.float64]:
    """``x`` (..., d) float32 as (ceil(d / 8), ..., 8) float64, filled up with zeros."""
    x = np.asarray(x, dtype=np.float32).astype(np.float64)
    padded = np.concatenate([x, np.zeros((*x.shape[:-1], -x.shape[-1] % 8))], axis=-1)
    return np.moveaxis(padded.reshape(*x.shape[:-1], -1, 8), -2, 0)


def lane_dot(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Inner products of float32 vectors ``a`` (..., d) and ``b`` (..., d), summed in float64 in lane order.

    Examples
    --------
    >>> lane_dot([1, 2, 3], [[1, 1, 1], [1, 0, -1]])
    array([ 6., -2.])
    """
    return _lane_order_sum(x * y for x, y in zip(_pieces_of_8(a), _pieces_of_8(b), strict=True))


def lane_sqdist(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Squared distances of float32 vectors ``a`` (..., d) and ``b`` (..., d), in float64 in lane order.

    Examples
    --------
    >>> lane_sqdist([1, 2, 3], [[1, 1, 1], [1, 0, -1]])
    array([ 5., 20.])
    """
    return _lane_order_sum((x - y) * (x - y) for x, y in zip(_pieces_of_8(a), _pieces_of_8(b), strict=True))


def assign_prepare(codebook: ArrayLike) -> NDArray[np.float64]:
    """Squared norms (k,) of the codewords (k, d), the part of every score that does not depend on the row.

    Examples
    --------
    >>> assign_prepare([[3, 4], [0, 2]])
    array([25.,  4.])
    """
    return lane_dot(codebook, codebook)


def assign(x: ArrayLike, codebook: ArrayLike) -> NDArray[np.int32]:
    """Number (n,) of the nearest codeword (k, d) of each row of ``x`` (n, d): least ``<c, c> - 2 <x, c>``, first of equals.

    Examples
    --------
    >>> assign([[0, 0], [3, 3], [1, 1]], [[2, 2], [0, 0]])
    array([1, 0, 0], dtype=int32)
    """
    norms, codebook = assign_prepare(codebook), np.asarray(codebook, dtype=np.float32)
    scores = [norms - 2 * lane_dot(row, codebook) for row in np.asarray(x, dtype=np.float32)]
    return np.array([np.argmin(row) for row in scores], dtype=np.int32)


def accumulate(
    x: ArrayLike, labels: ArrayLike, exponents: ArrayLike, k: int, weights: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Sums (k, d) int64 of the rows of ``x`` (n, d) by label, column j in units of ``2**-exponents[j]``.

    Each product with the weight (n,) is rounded once, to the nearest integer, ties to even.

    Examples
    --------
    >>> accumulate([[0.5], [1.25], [-1]], [1, 1, 0], [2], 2)
    array([[-4],
           [ 7]])
    """
    rows = np.asarray(x, dtype=np.float32).astype(np.float64)
    if weights is not None:
        rows = rows * np.asarray(weights, dtype=np.float32).astype(np.float64)[:, None]
    sums = np.zeros((k, rows.shape[1]), dtype=np.int64)
    np.add.at(sums, np.asarray(labels), np.rint(np.ldexp(rows, np.asarray(exponents))).astype(np.int64))
    return sums


def pairwise_dot(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Inner products (n, k) of the rows of ``a`` (n, d) and ``b`` (k, d), in lane order.

    Examples
    --------
    >>> pairwise_dot([[1, 2]], [[3, 4], [0, 1]])
    array([[11.,  2.]])
    """
    return lane_dot(np.asarray(a, dtype=np.float32)[:, None], np.asarray(b, dtype=np.float32)[None])


def pairwise_sqdist(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Squared distances (n, k) of the rows of ``a`` (n, d) and ``b`` (k, d), in lane order.

    Examples
    --------
    >>> pairwise_sqdist([[1, 2]], [[3, 4], [0, 1]])
    array([[8., 2.]])
    """
    return lane_sqdist(np.asarray(a, dtype=np.float32)[:, None], np.asarray(b, dtype=np.float32)[None])
