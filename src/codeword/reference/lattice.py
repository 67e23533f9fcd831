"""Twins of the kernels of lattice codes: plain NumPy, their definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codeword.lanes import lane_sum


def orbit_words(shapes: ArrayLike, leaders: ArrayLike) -> NDArray[np.int8]:
    """Vectors (k, 8) int8 of leaders (m, 8), in the order of their numbers.

    Leader by leader; then by the places of the largest of the shape's different entries, as the number whose bits they are, then
    those of the next among the places left, and so on; then by signs, a bit for each coordinate that is not 0, the first lowest,
    set for minus. Odd shapes have 7 of them: half the sum of the entries is even, which gives the sign of the last.
    """
    return np.concatenate([_orbit(s, c) for s, c in zip(np.asarray(shapes), np.asarray(leaders), strict=True)])


def _orbit(shape: NDArray[np.uint8], leader: NDArray[np.int8]) -> NDArray[np.int8]:
    groups = [np.flatnonzero(shape == entry) for entry in sorted(set(shape.tolist()), reverse=True)]
    made = []
    for places in _arrangements([len(g) for g in groups], list(range(8))):
        entries, word = np.zeros(8, np.int64), np.zeros(8, np.int64)
        for group, at in zip(groups, places, strict=True):
            entries[list(at)], word[list(at)] = shape[group[0]], leader[group[0]]
        odd = shape[0] % 2 == 1
        signed = np.arange(7) if odd else np.flatnonzero(entries)
        for number in range(2 ** len(signed)):
            signs = np.ones(8, np.int64)
            signs[signed] = 1 - 2 * (number >> np.arange(len(signed)) & 1)
            if odd and (entries * signs).sum() % 4:
                signs[7] = -1
            made.append(word * signs)
    return np.array(made, np.int8)


def _arrangements(sizes: list[int], free: list[int]) -> list[list[tuple[int, ...]]]:
    if not sizes:
        return [[]]
    chosen = sorted(combinations(free, sizes[0]), key=lambda places: sum(1 << p for p in places))
    return [[at, *rest] for at in chosen for rest in _arrangements(sizes[1:], [f for f in free if f not in at])]


def whole_blocks(x: ArrayLike, mean: ArrayLike, inverse: ArrayLike) -> NDArray[np.int32]:
    """The integers nearest to ``(x - mean) * inverse`` for rows x (n, d), from -32767 to 32767: (n, d rounded up to 8).

    The columns of a begun block stand in it as often as they fit, then zeros.
    """
    largest = np.float32(3e38)
    with np.errstate(over="ignore"):
        from_mean = np.clip(np.asarray(x, np.float32) - np.asarray(mean, np.float32), -largest, largest)
        scaled = from_mean * np.asarray(inverse, np.float32)
    y = np.rint(np.clip(scaled, -32767, 32767)).astype(np.int32)
    begun = y.shape[1] % 8
    last = y[:, y.shape[1] - begun :]
    return np.concatenate([y, *[last] * (8 // begun - 1), np.zeros((len(y), 8 % begun), np.int32)], axis=1) if begun else y


def orbit_encode(shapes: ArrayLike, leaders: ArrayLike, y: ArrayLike, steps: ArrayLike) -> NDArray[np.uint16]:
    """Numbers (n,) of the vectors with the least ``|y - 2 step c|`` for blocks y (n, 8) and steps (n,).

    Ties go to the first leader. Among the vectors of one leader, larger entries go to larger coordinates, to the first of equals;
    signs are those of y, 0 counting as plus; where that is no vector of an odd shape, the coordinate that has the smallest entry
    changes its sign.
    """
    blocks, steps = np.asarray(y, np.int64), np.asarray(steps, np.int64)
    shapes, leaders = np.asarray(shapes, np.int64), np.asarray(leaders, np.int64)
    order = np.argsort(-np.abs(blocks), axis=1, kind="stable")
    a = np.take_along_axis(np.abs(blocks), order, 1)
    minus = (blocks < 0).sum(1)
    scores, flips = [], []
    for shape, leader in zip(shapes, leaders, strict=True):
        flip = (shape[0] % 2 == 1) & ((shape.sum() // 2 + minus) % 2 == 1)
        scores.append(a @ leader - steps * (leader @ leader) - flip * 2 * a[:, 7] * leader[7])
        flips.append(flip)
    best = np.argmax(scores, axis=0)
    words = orbit_words(shapes, leaders)
    numbers = {word.tobytes(): number for number, word in reversed(list(enumerate(words)))}
    entries = np.zeros_like(blocks)
    np.put_along_axis(entries, order, leaders[best], 1)
    signs = np.where(blocks < 0, -1, 1)
    flipped = np.array(flips)[best, np.arange(len(best))]
    signs[np.arange(len(best)), order[:, 7]] *= np.where(flipped, -1, 1)
    return np.array([numbers[word.tobytes()] for word in (entries * signs).astype(np.int8)], np.uint16)


def orbit_values(words: list[NDArray[np.int8]], steps: ArrayLike, symbols: list[NDArray[np.uint16]]) -> NDArray[np.int16]:
    """Whole values (n, 8 * blocks) of symbols (n, blocks) a stage; steps (k,) of every vector of the first."""
    values = 128 * words[0][symbols[0]].astype(np.int64)
    if len(words) > 1:
        values += np.asarray(steps, np.int64)[symbols[0]][:, :, None] * words[1][symbols[1]]
    return values.reshape(len(symbols[0]), -1).astype(np.int16)


def dot_values(values: ArrayLike, weights: ArrayLike) -> NDArray[np.int32]:
    """Inner products (n, q) of rows of int16 values (n, width) with int16 weights (q, width)."""
    return (np.asarray(values, np.int64) @ np.asarray(weights, np.int64).T).astype(np.int32)


def value_norms(values: ArrayLike, line: ArrayLike, square: ArrayLike) -> NDArray[np.float64]:
    """Sums over the columns of ``v * (line + square * v)`` for values v (n, width), float64 in lane order."""
    v = np.asarray(values, np.float64)
    return lane_sum(v * (np.asarray(line, np.float64) + np.asarray(square, np.float64) * v))
