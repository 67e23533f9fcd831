"""FirstPass: a batch of queries in the form in which native code scores lists of codes and keeps what is near.

    distance = max(((score + before) * factor + term) + after, floor)

`score` is a `_native.RowScorer`'s. A row's factor and term are levels that its two bytes of side data name; or they come from squares of
the reconstruction, which scorers of one query give: 1 and that, or by cosine 1 / its root and 1; else they are 1 and 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class FirstPass:
    """Distances of a batch of queries.

    Attributes
    ----------
    scorer : RowScorer
        Of the batch.
    before, after : ndarray (q,) float32
    floor : float
    levels : pair of ndarray (256,) float32, optional
        Factors and terms that the bytes of side data name.
    squares : list of RowScorer
        Of one query each.
    cosine : bool
    """

    scorer: _native.TrellisQueries
    before: F32
    after: F32
    floor: float = -np.inf
    levels: tuple[F32, F32] | None = None
    squares: tuple[_native.TrellisQueries, ...] = ()
    cosine: bool = False

    def plus(self, constant: NDArray[np.float64]) -> FirstPass:
        """The same with `constant` (q,) added to all scores."""
        before = (self.before + constant).astype(np.float32)
        return FirstPass(self.scorer, before, self.after, self.floor, self.levels, self.squares, self.cosine)

    def scores(self, codes: U8, side: U8 | None = None) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size), with their `side` data (n, 2) where there are levels."""
        codes = np.ascontiguousarray(codes)
        out = self.scorer.scan(codes)
        ones, nothing = np.ones(len(codes), np.float32), np.zeros(len(codes), np.float32)
        factor, term = ones, nothing
        if self.levels is not None:
            assert side is not None
            factor, term = self.levels[0][side[:, 0]], self.levels[1][side[:, 1]]
        for scorer in self.squares:
            term = term + scorer.scan(codes)[0]
        if self.cosine:
            wide = term.astype(np.float64)
            inverse = np.divide(1.0, np.sqrt(wide, where=wide > 0, out=np.ones_like(wide)), where=wide > 0, out=np.zeros_like(wide))
            factor, term = inverse.astype(np.float32), ones
        _native.rescale(out, self.before, factor, term, self.after, self.floor)
        return out

    def search(
        self,
        pools: _native.NearestPools,
        columns: list[NDArray[Any]],
        out: NDArray[np.bool_] | None,
        ids: I64 | None,
        first: int,
        bounds: I64,
        probes: I64 | None,
        ends: I64 | None,
    ) -> None:
        """Offer rows of a segment to the pools of the queries that look into their lists: see `_native.search_lists`."""
        codes, *side = columns
        factors, terms = (None, None) if self.levels is None else self.levels
        _native.search_lists(
            pools, self.scorer, codes, side[0] if side else None, out, ids, first, bounds, probes, ends,
            self.before, self.after, self.floor, factors, terms, list(self.squares), self.cosine,
        )  # fmt: skip
