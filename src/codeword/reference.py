"""Slow NumPy twins of the native kernels: their definition in a few lines, and the oracle of their tests.

Each function here has the name of a kernel in ``native/kernels.def`` and gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codeword.reference_additive import additive_decode as additive_decode
from codeword.reference_additive import additive_encode as additive_encode
from codeword.reference_additive import additive_products as additive_products
from codeword.reference_lattice import dot_values as dot_values
from codeword.reference_lattice import orbit_encode as orbit_encode
from codeword.reference_lattice import orbit_values as orbit_values
from codeword.reference_lattice import value_norms as value_norms
from codeword.reference_lattice import whole_blocks as whole_blocks
from codeword.reference_signs import grid_codes as grid_codes
from codeword.reference_signs import scan_signs as scan_signs
from codeword.reference_signs import scan_signs_one as scan_signs_one
from codeword.reference_signs import sign_codes as sign_codes
from codeword.reference_trellis import trellis_decode as trellis_decode
from codeword.reference_trellis import trellis_dot as trellis_dot
from codeword.reference_trellis import trellis_encode as trellis_encode
from codeword.reference_trellis import trellis_scan as trellis_scan
from codeword.reference_trellis import trellis_scan_prepare as trellis_scan_prepare


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


def descend(x: ArrayLike, codewords: ArrayLike, children: ArrayLike, first: ArrayLike | None = None) -> NDArray[np.int32]:
    """Where the descent of each row of ``x`` (n, d) ends in binary trees of ``codewords`` (2 pairs, d), labels (n,) int32.

    A row starts at the pair that ``first`` (n,) names, or pair 0, and takes the right codeword where `assign` would, the left one of
    equals too; ``children`` (2 pairs,) is the pair below each codeword, or the complement ``~label``.

    Examples
    --------
    >>> descend([[1], [4], [7]], [[2], [6], [5], [7]], [~0, 1, ~1, ~2])
    array([0, 0, 2], dtype=int32)
    """
    rows, words = (np.asarray(a, dtype=np.float32) for a in (x, codewords))
    below = np.asarray(children, dtype=np.int32)
    labels = []
    for row, start in zip(rows, np.zeros(len(rows), np.int32) if first is None else np.asarray(first), strict=True):
        pair = int(start)
        while pair >= 0:
            two = words[2 * pair : 2 * pair + 2]
            left, right = lane_dot(two, two) - 2 * lane_dot(row, two)
            pair = int(below[2 * pair + int(right < left)])
        labels.append(~pair)
    return np.array(labels, np.int32)


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


def column_range(x: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest value (d,) of each column of ``x`` (n, d); a zero is +0.

    Examples
    --------
    >>> column_range([[1, 5], [3, 4]])
    (array([1., 4.], dtype=float32), array([3., 5.], dtype=float32))
    """
    rows = np.asarray(x, dtype=np.float32)
    return rows.min(axis=0) + np.float32(0), rows.max(axis=0) + np.float32(0)


def column_sums(x: ArrayLike, shift: ArrayLike, scale: ArrayLike) -> NDArray[np.float64]:
    """Sums (3, d) over the rows of ``x`` (n, d) of y, u and v: y is ``(x - shift) * scale`` rounded, ``y**2 = 2**26 u + v``.

    ``|y|`` is at most 2**26, u is ``y**2 / 2**26`` rounded to an integer; ties go to even.

    Examples
    --------
    >>> column_sums([[1.5], [3.0]], [1.0], [2.0])
    array([[ 5.],
           [ 0.],
           [17.]])
    """
    rows = np.asarray(x, dtype=np.float32).astype(np.float64)
    y = np.rint((rows - np.asarray(shift)) * np.asarray(scale))
    upper = np.rint(np.ldexp(y * y, -26))
    return np.stack([y.sum(axis=0), upper.sum(axis=0), (y * y - np.ldexp(upper, 26)).sum(axis=0)])


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


def products(query: ArrayLike, codebook: ArrayLike) -> NDArray[np.float64]:
    """Inner products (k,) of ``query`` (d,) with the rows of ``codebook`` (k, d), in lane order.

    Examples
    --------
    >>> products([1, 2], [[3, 4], [0, 1]])
    array([11.,  2.])
    """
    return lane_dot(query, codebook)


def centred_sums(x: ArrayLike, y: ArrayLike, mean: ArrayLike) -> NDArray[np.float64]:
    """``<a, a>``, ``<a, b>``, ``<x, x>`` (n, 3), in lane order, for rows ``x``, ``y`` (n, d), ``a = x - mean``, ``b = y - mean``.

    Examples
    --------
    >>> centred_sums([[1, 3]], [[2, 2]], [1, 1])
    array([[ 4.,  2., 10.]])
    """
    d = np.asarray(mean).size
    padded = np.concatenate([np.asarray(mean, dtype=np.float64), np.zeros(-d % 8)]).reshape(-1, 1, 8)
    X, Y = _pieces_of_8(x), _pieces_of_8(y)
    A, B = X - padded, Y - padded
    return np.stack([_lane_order_sum(P * Q for P, Q in zip(U, V, strict=True)) for U, V in ((A, A), (A, B), (X, X))], axis=-1)


def nearest_even(x: ArrayLike, thresholds: ArrayLike) -> NDArray[np.uint8]:
    """How many ``thresholds`` (d, t) of its coordinate are below each entry of ``x`` (n, d): the index of the nearest level.

    Examples
    --------
    >>> nearest_even([[0.5, 0.6]], [[0.5, 1.5], [0.5, 1.5]])
    array([[0, 1]], dtype=uint8)
    """
    rows, limits = np.asarray(x, dtype=np.float32), np.asarray(thresholds, dtype=np.float32)
    return np.asarray((rows[:, :, None] > limits[None]).sum(2), dtype=np.uint8)


def nearest_sorted(x: ArrayLike, thresholds: ArrayLike) -> NDArray[np.uint8]:
    """The same as `nearest_even`: the two kernels have one definition.

    Examples
    --------
    >>> nearest_sorted([[0.5, 0.6]], [[0.5, 1.5], [0.5, 1.5]])
    array([[0, 1]], dtype=uint8)
    """
    return nearest_even(x, thresholds)


def scan_bytes(codes: ArrayLike, tables: ArrayLike) -> NDArray[np.int32]:
    """Sums (q, n) of the entries of ``tables`` (q, t, 256) uint16 that the bytes of ``codes`` (n, t) select.

    Examples
    --------
    >>> scan_bytes([[1, 255]], np.arange(512).reshape(1, 2, 256))
    array([[512]], dtype=int32)
    """
    codes, tables = np.asarray(codes), np.asarray(tables)
    return sum(tables[:, t].astype(np.int32)[:, codes[:, t]] for t in range(codes.shape[1]))  # type: ignore[return-value]


def scan_finish(sums: ArrayLike, scale: ArrayLike, bias: ArrayLike) -> NDArray[np.float32]:
    """Distances (q, n): ``float32(sums) * scale + bias``, each step rounded.

    Examples
    --------
    >>> scan_finish([[2, 3]], [0.5], [1.0])
    array([[2. , 2.5]], dtype=float32)
    """
    scale, bias = (np.asarray(a, dtype=np.float32)[:, None] for a in (scale, bias))
    return np.asarray(sums).astype(np.float32) * scale + bias


def tables(
    queries: ArrayLike, codebooks: Sequence[ArrayLike], bits: ArrayLike, values: str
) -> tuple[NDArray[np.uint16], NDArray[np.float64], NDArray[np.float64]]:
    """Entries (q, t, 256), step (q,) and bias (q,) of the tables of ``native/core/tables.h``, where no symbol is over 8 bits.

    ``values`` says what a codeword counts: "sqdist" ``|c|² - 2 <q, c>``, "negative_dot" ``-<q, c>``, "square" ``|c|²``.

    Examples
    --------
    >>> entries, step, bias = tables([[1, 0]], [[[1], [2]], [[0], [4]]], [1, 1], "square")
    >>> entries[0, 0, :4].tolist(), bias.tolist()
    ([0, 10348, 55187, 65535], [1.0])
    """
    queries = np.asarray(queries, dtype=np.float32)
    widths = [int(b) for b in np.asarray(bits)]
    offsets = np.cumsum([0, *widths])
    aligned = all(o % 8 + b <= 8 for o, b in zip(offsets, widths, strict=False))
    bytes_ = np.arange(256)
    raw = np.zeros((len(queries), -(-int(offsets[-1]) // 8) if aligned else len(widths), 256))
    column = 0
    for j, (book, width) in enumerate(zip(codebooks, widths, strict=True)):
        book = np.asarray(book, dtype=np.float32)
        dots = pairwise_dot(queries[:, column : column + book.shape[1]], book)
        squares = np.broadcast_to(lane_dot(book, book), dots.shape)
        value = {"sqdist": squares - 2 * dots, "negative_dot": 0 - dots, "square": squares}[values]
        value = np.concatenate([value, np.repeat(value.max(1, keepdims=True), (1 << width) - len(book), axis=1)], axis=1)
        t, shift = (offsets[j] // 8, offsets[j] % 8) if aligned else (j, 0)
        raw[:, t] += value[:, bytes_ >> shift & (1 << width) - 1]
        column += book.shape[1]
    low, high = raw.min(2), raw.max(2)
    ranges = (high - low).max(1)
    limit = min(65535, (2**31 - 1) // raw.shape[1])
    inverse = np.divide(limit, ranges, out=np.zeros_like(ranges), where=ranges > 0)
    entries = np.rint((raw - low[:, :, None]) * inverse[:, None, None]).astype(np.uint16)
    return entries, ranges / limit, np.add.accumulate(low, axis=1)[:, -1]


def scan_fields(codes: ArrayLike, weights: ArrayLike, bits: int) -> NDArray[np.int32]:
    """Sums (q, n) of ``weights`` (q, d) times the symbols of ``bits`` bits of ``codes`` (n, code_size).

    Examples
    --------
    >>> scan_fields([[0x21]], [[1, 10]], 4)
    array([[21]], dtype=int32)
    """
    weights = np.asarray(weights, dtype=np.int64)
    symbols = unpack_bits(codes, [bits] * weights.shape[1]).astype(np.int64)
    return (weights @ symbols.T).astype(np.int32)


def scan_squares(codes: ArrayLike, linear: ArrayLike, curved: ArrayLike, bits: int) -> NDArray[np.int64]:
    """Sums (n, 2) of ``linear`` (d,) times c and of ``curved`` (d,) times ``c (2**bits - 1 - c)`` over the symbols c.

    Examples
    --------
    >>> scan_squares([[0x21]], [1, 10], [1, 1], 4)
    array([[21, 40]])
    """
    linear, curved = np.asarray(linear, dtype=np.int64), np.asarray(curved, dtype=np.int64)
    c = unpack_bits(codes, [bits] * len(linear)).astype(np.int64)
    return np.stack([(c * linear).sum(1), (c * ((1 << bits) - 1 - c) * curved).sum(1)], axis=1)


def below(values: ArrayLike, limit: float) -> NDArray[np.int32]:
    """Positions, rising, of the ``values`` (n,) that are at most ``limit``.

    Examples
    --------
    >>> below([3, 1, 2], 2)
    array([1, 2], dtype=int32)
    """
    return np.flatnonzero(np.asarray(values, dtype=np.float32) <= np.float32(limit)).astype(np.int32)


def rescale(
    values: ArrayLike, before: ArrayLike, factor: ArrayLike, term: ArrayLike, after: ArrayLike, floor: float
) -> NDArray[np.float32]:
    """``max(((values + before) * factor + term) + after, floor)`` for values (q, n); before, after (q,), factor, term (n,).

    Examples
    --------
    >>> rescale([[1, 2]], [1], [2, 0], [0, -3], [1], 0)
    array([[5., 0.]], dtype=float32)
    """
    V, b, f, t, a = (np.asarray(x, dtype=np.float32) for x in (values, before, factor, term, after))
    return np.asarray(np.maximum(((V + b[:, None]) * f + t) + a[:, None], np.float32(floor)))
