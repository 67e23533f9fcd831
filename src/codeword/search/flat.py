"""Flat search of codes that lie somewhere else, in a file or an array, without an index.

codes (n, code_size), queries (q, d) --scorer, block by block--> ids (row numbers), distances (q, k)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, runtime
from codeword.search import estimator

if TYPE_CHECKING:
    from codeword.base import Quantizer

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
_QUERIES_A_BATCH = 256
_SCORES_A_BLOCK = 1 << 20
_SMALLEST_BLOCK = 4096


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
    k = min(checks.integer(k, "k", 1, 2**31 - 1), len(C))
    Q = checks.rows(queries, "queries", d=quantizer.d, wide=True, empty=True)
    distances, ids = estimator.empty_lists(len(Q), k)
    with runtime.Progress("search", len(Q) * len(C), "distances") as progress:
        for first in range(0, len(Q) if k else 0, _QUERIES_A_BATCH):
            batch = slice(first, first + _QUERIES_A_BATCH)
            scorer = quantizer.scorer(Q[batch], metric)
            step = max(_SMALLEST_BLOCK, _SCORES_A_BLOCK // len(Q[batch]))
            for start in range(0, len(C), step):
                scores = np.ascontiguousarray(scorer.scores(C[start : start + step]), np.float32)
                _native.offer_range(distances[batch], ids[batch], scores, start)
                progress.advance(scores.size)
    _native.sort_lists(distances, ids)
    return ids, distances
