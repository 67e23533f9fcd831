"""Twins of the kernels on codes of numbers and codewords: levels, tables, scans, lists of the nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codeword.reference.bits import unpack_bits
from codeword.reference.rows import lane_dot, pairwise_dot


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
