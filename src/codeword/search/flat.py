"""Flat search: every code is scored, block by block, and the k nearest of each query are kept.

codes (n, code_size), queries (q, d) --scorer, block by block--> ids, distances (q, k)

`nearest` is the loop that an `Index` runs; `scan` searches codes that lie somewhere else, in a file or an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, runtime

if TYPE_CHECKING:
    from codeword.base import Quantizer

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
NO_ID = 2**63 - 1
_QUERIES_A_BATCH = 256
_SCORES_A_BLOCK = 1 << 20
_SMALLEST_BLOCK = 4096


def nearest(
    scores_of: Callable[[NDArray[Any]], Callable[[slice], Any]], n: int, queries: NDArray[Any], k: int, ids: I64 | None = None
) -> tuple[I64, F32]:
    """The k nearest of n rows to each query.

    Parameters
    ----------
    scores_of : callable
        Gives, for a batch of queries (q, d), a function from a slice of the rows to their distances (q, rows).
    n : int
    queries : ndarray (q, d)
    k : int
        Where there are fewer rows, all of them are returned.
    ids : ndarray (n,) int64, optional
        By default the rows' numbers.

    Returns
    -------
    ids : ndarray (q, min(k, n)) int64
        Nearest first; equal distances by id.
    distances : ndarray (q, min(k, n)) float32

    Raises
    ------
    ValueError
        If distances are beyond float32.
    """
    k = min(k, n)
    distances, names = np.full((len(queries), k), np.inf, np.float32), np.full((len(queries), k), NO_ID)
    if not names.size:
        return names, distances
    with runtime.Progress("search", len(queries) * n, "distances") as progress:
        for first in range(0, len(queries), _QUERIES_A_BATCH):
            batch = slice(first, first + _QUERIES_A_BATCH)
            score = scores_of(queries[batch])
            step = max(_SMALLEST_BLOCK, _SCORES_A_BLOCK // len(queries[batch]))
            for start in range(0, n, step):
                part = slice(start, min(n, start + step))
                scores = np.ascontiguousarray(score(part), np.float32)
                if ids is None:
                    _native.offer_range(distances[batch], names[batch], scores, start)
                else:
                    _native.offer(distances[batch], names[batch], scores, np.ascontiguousarray(ids[part]))
                progress.advance(scores.size)
    if int(names.max()) == NO_ID:
        raise ValueError("queries: some distances are no float32 numbers; scale vectors and queries down")
    _native.sort_lists(distances, names)
    return names, distances


def scan(quantizer: Quantizer, codes: Any, queries: Any, k: int = 10, metric: str = "l2") -> tuple[I64, F32]:
    """The k nearest of `codes` to each query, by distances from the codes alone.

    Parameters
    ----------
    quantizer : Quantizer
        Fitted; what made the codes.
    codes : array_like (n, code_size) uint8
        May be a memory map.
    queries : array_like (q, d)
    k : int
        Where there are fewer codes, all of them are returned.
    metric : {"l2", "ip", "cosine"}

    Returns
    -------
    ids : ndarray (q, min(k, n)) int64
        Row numbers of the codes, nearest first; equal distances by number.
    distances : ndarray (q, min(k, n)) float32
        Smaller is closer.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> from codeword.search import flat
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype("f4")
    >>> sq = cw.ScalarQuantizer(bits=8).fit(X)
    >>> ids, distances = flat.scan(sq, sq.encode(X), X[:3], k=2)
    >>> ids[:, 0].tolist()
    [0, 1, 2]
    """
    C = checks.codes(codes, quantizer.code_size)
    k = checks.integer(k, "k", 1, 2**31 - 1)
    Q = checks.rows(queries, "queries", d=quantizer.d, wide=True, empty=True)

    def scores_of(batch: NDArray[Any]) -> Callable[[slice], Any]:
        scorer = quantizer.scorer(batch, metric)
        return lambda part: scorer.scores(C[part])

    return nearest(scores_of, len(C), Q, k)
