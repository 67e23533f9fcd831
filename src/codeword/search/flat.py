"""Flat search: every code is scored, block by block, and the k nearest of each query are kept.

codes (n, code_size), queries (q, d) --scorer, block by block--> ids, distances (q, k)

`nearest` is the loop that an `Index` runs; `scan` searches codes that lie somewhere else, in a file or an array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
_CANDIDATES = (3, 32)  # as many times k, and so many more, that a first pass hands on
_CANDIDATES_A_BATCH = 1 << 18


@dataclass(frozen=True)
class Scores:
    """Distances of one batch of queries to rows, by number.

    Attributes
    ----------
    scores : callable
        Distances (q, rows) float32 for a slice of the rows.
    rough : callable, optional
        The same, quickly and nearly.
    refine : callable, optional
        Distances (q, c) as in `scores` for numbers (q, c) of rows; there if `rough` is.
    """

    scores: Callable[[slice], Any]
    rough: Callable[[slice], Any] | None = None
    refine: Callable[[I64], Any] | None = None

    @classmethod
    def of(cls, scorer: Any, codes: NDArray[np.uint8], *side: NDArray[np.uint8]) -> Scores:
        """Of a scorer and the rows' codes, with their side data where the scorer takes any."""
        arrays = (codes, *side)
        if getattr(scorer, "rough", None) is None:
            return cls(lambda part: scorer.scores(*(a[part] for a in arrays)))
        return cls(
            lambda part: scorer.scores(*(a[part] for a in arrays)),
            lambda part: scorer.rough(*(a[part] for a in arrays)),
            lambda rows: scorer.refine(*(a[rows] for a in arrays)),
        )


def nearest(
    scores_of: Callable[[NDArray[Any]], Scores], n: int, queries: NDArray[Any], k: int, ids: I64 | None = None
) -> tuple[I64, F32]:
    """The k nearest of n rows to each query.

    Parameters
    ----------
    scores_of : callable
        Gives the `Scores` of a batch of queries (q, d). Where they have a first pass, the nearest ``3 k + 32`` by that are scored
        again, and the k nearest of those returned.
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
    wanted = min(n, _CANDIDATES[0] * k + _CANDIDATES[1])
    step = min(_QUERIES_A_BATCH, max(32, _CANDIDATES_A_BATCH // wanted))
    with runtime.Progress("search", len(queries) * n, "distances") as progress:
        for first in range(0, len(queries), step):
            batch = slice(first, first + step)
            score = scores_of(queries[batch])
            if score.rough is None or score.refine is None or 2 * wanted > n:
                _offer_all(score.scores, n, distances[batch], names[batch], ids, progress)
                continue
            near, rows = np.full((len(queries[batch]), wanted), np.inf, np.float32), np.full((len(queries[batch]), wanted), NO_ID)
            _offer_all(score.rough, n, near, rows, None, progress)
            _pick(score.refine, rows, ids, distances[batch], names[batch])
    if int(names.max()) == NO_ID:
        raise ValueError("queries: some distances are no float32 numbers; scale vectors and queries down")
    _native.sort_lists(distances, names)
    return names, distances


def _offer_all(
    score: Callable[[slice], Any], n: int, distances: F32, names: I64, ids: I64 | None, progress: runtime.Progress
) -> None:
    """Offer all rows, block by block, to the lists of a batch of queries."""
    step = max(_SMALLEST_BLOCK, _SCORES_A_BLOCK // len(names))
    for start in range(0, n, step):
        part = slice(start, min(n, start + step))
        scores = np.ascontiguousarray(score(part), np.float32)
        if ids is None:
            _native.offer_range(distances, names, scores, start)
        else:
            _native.offer(distances, names, scores, np.ascontiguousarray(ids[part]))
        progress.advance(scores.size)


def _pick(refine: Callable[[I64], Any], rows: I64, ids: I64 | None, distances: F32, names: I64) -> None:
    """Score candidates `rows` (q, c) again and fill the lists with the nearest, equal distances by id."""
    if int(rows.max()) == NO_ID:
        return  # distances beyond float32: `nearest` says so
    again = np.ascontiguousarray(refine(rows), np.float32)
    known = rows if ids is None else ids[rows]
    # Farthest first: a heap, as the lists are before they are sorted.
    order = np.lexsort((known, again), axis=1)[:, names.shape[1] - 1 :: -1]
    names[:] = np.take_along_axis(known, order, axis=1)
    distances[:] = np.take_along_axis(again, order, axis=1)


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

    return nearest(lambda batch: Scores.of(quantizer.scorer(batch, metric), C), len(C), Q, k)
