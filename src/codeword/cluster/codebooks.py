"""Scores of rows by an ensemble of random codebooks: how far from the nearest codeword, and how few rows are there.

    rows (n, d) --half that lie closest--> draws of 8, 16 and 32 rows, 20 each --> codebooks
    score(x) = mean over codebooks of log(1 + |x - c| / typical distance of codewords) - w log(share of the rows in the cell of c)

A row far from other rows is far from the nearest of a few of them in nearly every draw: no codebook is trained, so none can spend
codewords on the outliers. Codewords come only from the half of the rows that a first, smaller ensemble finds closest. A row of the
sample is not scored by the codebooks that it is a codeword of.

Sources: Sugiyama & Borgwardt 2013, "Rapid distance-based outlier detection via sampling"; Bandaragoda et al. 2018, "Isolation-based
anomaly detection using nearest-neighbor ensembles"; Aggarwal & Sathe 2015 (ensembles of subsamples).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import _native, keys
from codeword.powers import log
from codeword.training.nearest import nearest, pack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
SIZES = (8, 16, 32)
DRAWS = 20
_FIRST_DRAWS = 8
_TRUSTED_SHARE = 0.5
_DENSITY_WEIGHT = 0.15
# Distances a product of factors 1 + r is taken over before it could overflow: each is below 2**60.
_FACTORS_AT_ONCE = 16
_LARGEST_RATIO = 2.0**60


class Codebook(NamedTuple):
    """A draw of rows."""

    words: F32
    """(k, d)"""
    typical: float
    """Median distance of a codeword to the nearest other one."""
    rare: F64
    """(k,) what the density of each cell adds to a score."""


class Ensemble:
    """Codebooks drawn from rows, and the scores that they give."""

    def __init__(self, books: list[Codebook]) -> None:
        self.books = books
        self._packed = [pack([book.words]) for book in books]

    def __getstate__(self) -> list[Codebook]:
        return self.books

    def __setstate__(self, books: list[Codebook]) -> None:
        self.__init__(books)  # type: ignore[misc]

    def scores(self, V: F32, members: list[I64] | None = None) -> F64:
        """Scores (n,) of rows `V` (n, d); `members` are the rows of `V` that each codebook was drawn from, which it does not score."""
        total, counted = np.zeros(len(V)), np.zeros(len(V))
        product, exponents = np.ones(len(V)), np.zeros(len(V), np.int64)
        for i, (book, packed) in enumerate(zip(self.books, self._packed, strict=True)):
            labels, distances = _distances(V, packed, book)
            factor, rare = 1.0 + np.minimum(distances / book.typical, _LARGEST_RATIO), book.rare[labels]
            if members is not None:
                factor[members[i]], rare[members[i]] = 1.0, 0.0
                counted[members[i]] -= 1
            product *= factor
            total += rare
            if i % _FACTORS_AT_ONCE == _FACTORS_AT_ONCE - 1:
                product, exponent = np.frexp(product)
                exponents += exponent
        total += log(product) + exponents * _LOG_OF_2
        return np.asarray(total / np.maximum(counted + len(self.books), 1.0))

    def shares(self, V: F32) -> F64:
        """The scores of rows `V` (n, d) shared out among the columns (n, d), each codebook's by the squares that make up its distance."""
        out = np.zeros(V.shape)
        for book, packed in zip(self.books, self._packed, strict=True):
            labels, distances = _distances(V, packed, book)
            squares = (V.astype(np.float64) - book.words[labels]) ** 2
            whole = squares.sum(axis=1, keepdims=True)
            part = np.where(whole > 0, squares / np.where(whole > 0, whole, 1.0), 1.0 / V.shape[1])
            term = log(1.0 + np.minimum(distances / book.typical, _LARGEST_RATIO)) + book.rare[labels]
            out += part * term[:, None]
        return out / len(self.books)


_LOG_OF_2 = 0.6931471805599453


def _distances(V: F32, packed: Any, book: Codebook) -> tuple[NDArray[np.int32], F64]:
    labels, squares = nearest(V, packed, 2 * book.words.size, distances=True)
    assert squares is not None
    return labels[:, 0], np.sqrt(squares[:, 0])


def trusted(V: F32, seed: int, stream: int) -> I64:
    """Numbers of the half of the rows `V` (n, d) that lie closest to rows of random codebooks, rising."""
    everyone = np.arange(len(V))
    first, members = draw(V, everyone, seed, stream, _FIRST_DRAWS)
    order = np.lexsort((everyone, first.scores(V, members)))
    return np.sort(order[: max(2, int(np.ceil(_TRUSTED_SHARE * len(V))))])


def draw(V: F32, pool: I64, seed: int, stream: int, draws: int = DRAWS) -> tuple[Ensemble, list[I64]]:
    """`draws` codebooks of each size from the rows of `V` (n, d) that `pool` numbers, and which rows each is made of."""
    books, members = [], []
    inside = V[pool]
    for i, size in enumerate(size for size in SIZES for _ in range(draws)):
        chosen = pool[keys.sample(seed, stream + i, len(pool), max(2, min(size, len(pool) // 2)))]
        books.append(_codebook(V[chosen], inside))
        members.append(chosen)
    return Ensemble(books), members


def _codebook(words: F32, inside: F32) -> Codebook:
    between = _native.pairwise_sqdist(words, words)
    np.fill_diagonal(between, np.inf)
    apart = np.sort(np.sqrt(between.min(axis=1)))
    some = apart[apart > 0]
    typical = float(np.median(apart)) or (float(some[0]) if len(some) else 1.0)
    labels, _ = nearest(inside, pack([words]), 2 * words.size)
    share = (np.bincount(labels[:, 0], minlength=len(words)) + 0.5) / len(inside) * len(words)
    return Codebook(words, typical, -_DENSITY_WEIGHT * log(share))
