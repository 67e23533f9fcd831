"""Flat search: codes that lie somewhere, in an array or a file, are scanned all.

codes (n, code_size), queries (q, d) --scorer, block by block--> ids, distances (q, k)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.search.scan import Source, nearest
from codeword.search.segment import I64, Segment
from codeword.search.view import Chosen, View

if TYPE_CHECKING:
    from codeword.base import Quantizer

F32 = NDArray[np.float32]


def search(source: Source, columns: tuple[NDArray[Any], ...], queries: NDArray[Any], k: int) -> tuple[I64, F32]:
    """The k nearest rows, by number, of those that `columns` (n, ...) hold what `source` scores."""
    n = len(columns[0])
    segment = Segment(n, dict(zip(source.columns, columns, strict=True)), np.array([0, n]), 0)
    found, _ = nearest(View((segment,), [Chosen(None, None, n)]), source, queries, k)
    return found.names, found.distances


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
    return search(Source(lambda batch: quantizer.scorer(batch, metric), ("codes",)), (C,), Q, k)
