"""Random numbers as a pure function of (seed, number): the same row draws the same key in any block, shard or process.

Source: SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), used as a hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_AT_ONCE = 1 << 18
_BUCKET_BITS = 14
_MIX2 = np.uint64(0x94D049BB133111EB)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return z ^ (z >> np.uint64(31))


def bits64(seed: int, stream: int, numbers: Any) -> NDArray[np.uint64]:
    """Sixty-four random bits for each number.

    Parameters
    ----------
    seed : int
        The user's seed, 0 to 2**63 - 1.
    stream : int
        Which use of the seed this is, so that two uses never share keys.
    numbers : array_like of int
        Global row numbers (or draw numbers), any shape.

    Returns
    -------
    ndarray of uint64
        Same shape as `numbers`.
    """
    base = np.array([seed % 2**64, stream % 2**64], np.uint64)
    start = _mix(_mix(base[:1] + _GOLDEN) ^ (base[1:] * _MIX2 + _GOLDEN))
    return _mix(start + (np.asarray(numbers, np.uint64) + np.uint64(1)) * _GOLDEN)


def uniform(seed: int, stream: int, numbers: Any) -> NDArray[np.float64]:
    """A number in [0, 1), a multiple of 2**-53, for each of `numbers` (see `bits64`)."""
    return (bits64(seed, stream, numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def sample(seed: int, stream: int, n: int, size: int) -> NDArray[np.int64]:
    """Rows drawn without replacement: the `size` rows of 0..n-1 with the smallest keys, in rising order."""
    if size >= n:
        return np.arange(n, dtype=np.int64)
    if n <= _AT_ONCE:
        keys = bits64(seed, stream, np.arange(n, dtype=np.uint64))
        return np.sort(np.argpartition(keys, size)[:size]).astype(np.int64)
    largest = threshold(seed, stream, n, size)
    chosen = [np.flatnonzero(keys <= largest) + start for start, keys in _chunks(seed, stream, n)]
    return np.concatenate(chosen).astype(np.int64)


@lru_cache(maxsize=64)
def threshold(seed: int, stream: int, n: int, size: int) -> np.uint64:
    """The largest key of ``sample(seed, stream, n, size)``, for 0 < size <= n: a row is drawn exactly if its key is at most that.

    Keys of different numbers differ, since the hash can be undone. Found in two passes over them, in little memory.

    Examples
    --------
    >>> bool((bits64(1, 2, sample(1, 2, 1000, 10)) <= threshold(1, 2, 1000, 10)).all())
    True
    """
    shift = np.uint64(64 - _BUCKET_BITS)
    counts = np.zeros(1 << _BUCKET_BITS, np.int64)
    for _, keys in _chunks(seed, stream, n):
        counts += np.bincount((keys >> shift).astype(np.int64), minlength=len(counts))
    upto = np.cumsum(counts)
    bucket = int(np.searchsorted(upto, size))
    inside = [keys[keys >> shift == np.uint64(bucket)] for _, keys in _chunks(seed, stream, n)]
    return np.uint64(np.sort(np.concatenate(inside))[size - int(upto[bucket] - counts[bucket]) - 1])


def _chunks(seed: int, stream: int, n: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    for start in range(0, n, _AT_ONCE):
        yield start, bits64(seed, stream, np.arange(start, min(n, start + _AT_ONCE), dtype=np.uint64))
