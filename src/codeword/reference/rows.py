"""Twins of the kernels on rows of numbers: distances, assignments, exact sums, the Hadamard transform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def _lane_order_sum(terms: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sum of (..., 8) pieces in lane order (ARCHITECTURE.md, Exactness): lane by lane, then across lanes in a fixed order."""
    lanes: NDArray[np.float64] | None = None
    for term in terms:
        lanes = term if lanes is None else lanes + term
    assert lanes is not None
    halves = lanes[..., :4] + lanes[..., 4:]
    pairs = halves[..., :2] + halves[..., 2:]
    return np.asarray(pairs[..., 0] + pairs[..., 1])


def _pieces_of_8(x: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.float64]:
    """``x`` (..., d) of ``dtype`` as (ceil(d / 8), ..., 8) float64, filled up with zeros."""
    x = np.asarray(x, dtype=dtype).astype(np.float64)
    padded = np.concatenate([x, np.zeros((*x.shape[:-1], -x.shape[-1] % 8))], axis=-1)
    return np.moveaxis(padded.reshape(*x.shape[:-1], -1, 8), -2, 0)


def lane_dot(a: ArrayLike, b: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.float64]:
    """Inner products of vectors ``a`` (..., d) and ``b`` (..., d) of ``dtype``, summed in float64 in lane order.

    Examples
    --------
    >>> lane_dot([1, 2, 3], [[1, 1, 1], [1, 0, -1]])
    array([ 6., -2.])
    """
    return _lane_order_sum(x * y for x, y in zip(_pieces_of_8(a, dtype), _pieces_of_8(b, dtype), strict=True))


def lane_sqdist(a: ArrayLike, b: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.float64]:
    """Squared distances of vectors ``a`` (..., d) and ``b`` (..., d) of ``dtype``, in float64 in lane order.

    Examples
    --------
    >>> lane_sqdist([1, 2, 3], [[1, 1, 1], [1, 0, -1]])
    array([ 5., 20.])
    """
    return _lane_order_sum((x - y) * (x - y) for x, y in zip(_pieces_of_8(a, dtype), _pieces_of_8(b, dtype), strict=True))


def assign_prepare(codebook: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.float64]:
    """Squared norms (k,) of the codewords (k, d), the part of every score that does not depend on the row.

    Examples
    --------
    >>> assign_prepare([[3, 4], [0, 2]])
    array([25.,  4.])
    """
    return lane_dot(codebook, codebook, dtype)


def assign(x: ArrayLike, codebook: ArrayLike, dtype: DTypeLike = np.float32) -> NDArray[np.int32]:
    """Number (n,) of the nearest codeword (k, d) of each row of ``x`` (n, d): least ``<c, c> - 2 <x, c>``, first of equals.

    Rows and codewords are of ``dtype``, float32 or float64.

    Examples
    --------
    >>> assign([[0, 0], [3, 3], [1, 1]], [[2, 2], [0, 0]])
    array([1, 0, 0], dtype=int32)
    """
    norms, codebook = assign_prepare(codebook, dtype), np.asarray(codebook, dtype=dtype)
    scores = [norms - 2 * lane_dot(row, codebook, dtype) for row in np.asarray(x, dtype=dtype)]
    return np.array([np.argmin(row) for row in scores], dtype=np.int32)


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
    single = None if weights is None else np.asarray(weights, dtype=np.float32)
    return accumulate_wide(np.asarray(x, dtype=np.float32), labels, exponents, k, single)


def accumulate_wide(
    x: ArrayLike, labels: ArrayLike, exponents: ArrayLike, k: int, weights: ArrayLike | None = None
) -> NDArray[np.int64]:
    """The same of float64 rows and weights, whose product is rounded to float64 first.

    Examples
    --------
    >>> accumulate_wide([[0.5], [1.25], [-1]], [1, 1, 0], [2], 2)
    array([[-4],
           [ 7]])
    """
    rows = np.asarray(x, dtype=np.float64)
    if weights is not None:
        rows = rows * np.asarray(weights, dtype=np.float64)[:, None]
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


def rotate_rows(
    rows: ArrayLike, steps: Sequence[tuple[ArrayLike | None, Sequence[tuple[int, ArrayLike]]]], inverse: bool = False
) -> NDArray[np.float32]:
    """Rows (n, d) after steps of a permutation (d,) or None and windows, each a start and signs (2^p,).

    Examples
    --------
    >>> rotate_rows([[1, 2, 3]], [([2, 0, 1], [(1, [1, -1])])])
    array([[ 3., -1.,  3.]], dtype=float32)
    """
    out = np.array(rows, np.float32)
    for permutation, windows in reversed(steps) if inverse else steps:
        if permutation is not None and not inverse:
            out = out[:, np.asarray(permutation)]
        for start, signs in reversed(windows) if inverse else windows:
            s = np.asarray(signs, np.float32)
            part = out[:, start : start + len(s)]
            out[:, start : start + len(s)] = hadamard(part) * s if inverse else hadamard(part * s)
        if permutation is not None and inverse:
            out = out[:, np.argsort(np.asarray(permutation))]
    return out


def round_rows(x: ArrayLike) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Finite rows (n, d) float32 as bytes, in units of their largest / 127; the units (n,) and the sums (n,) of the bytes.

    Examples
    --------
    >>> round_rows([[1, -0.5]])[0]
    array([[127, -64]], dtype=int8)
    """
    X = np.asarray(x, np.float32)
    most = np.abs(X).max(axis=1, initial=0)
    inverse = np.divide(np.float32(127), most, out=np.zeros_like(most), where=most >= 2.0**-100)
    bytes_ = np.rint(X * inverse[:, None]).astype(np.int8)
    return bytes_, most * np.float32(1 / 127), bytes_.sum(axis=1, dtype=np.int32)
