"""First codebooks for k-means: k-means++ by rejection, random rows, or LBG splitting.

k-means++ (Arthur & Vassilvitskii 2007) draws each codeword with probability proportional to the squared distance D² to the
ones before it. Drawn one by one that is a pass over the data a codeword. Here candidates are drawn from D² as it was at the last
refresh, which can only have shrunk since, and accepted with probability D²_now / D²_then: the same distribution exactly
(rejection sampling; Cohen-Addad et al. 2020 use the idea with approximate distances), while D² is refreshed for many new
codewords at once by the blocked assignment kernel.

D² sampling prefers outliers, so rows far from the centre are not eligible (`split_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codeword import _native, keys
from codeword.training.nearest import nearest, pack
from codeword.training.sums import grid, total

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]
TRIMMED_SHARE = 0.01
OUTLIER_FACTOR = 4.0
_MEDIAN_ROWS = 2048
_LARGEST_BATCH = 1024
# Streams of random keys (see keys.bits64).
_FIRST, _DRAW, _ACCEPT, _MEDIAN, _FILL = range(101, 106)


@dataclass(frozen=True, eq=False)
class Fence:
    """Which rows lie too far out, by their squared distance from the median row."""

    median: F32
    """(d,)"""
    near: float
    """Rows farther than this never become codewords."""
    far: float = np.inf
    """Rows farther than this are outliers, left out of the training."""

    @property
    def trims(self) -> bool:
        """Whether any row can be an outlier."""
        return self.far < np.inf

    def squares(self, X: F32) -> F64:
        """Squared distances (n,) of rows `X` (n, d) from the median row."""
        return _squares_to(X, self.median[None])


def median_row(X: F32) -> F32:
    """The median of each column (d,) of the rows that `median_sample` names."""
    return np.median(X, axis=0).astype(np.float32)


def median_sample(n: int, seed: int) -> I64:
    """Numbers of the rows, of n, that the median row is taken of: at most 2,048, by key."""
    return keys.sample(seed, _MEDIAN, n, _MEDIAN_ROWS)


def rows_within(n: int) -> int:
    """How many of n rows are near: all but `TRIMMED_SHARE` of them."""
    return max(1, int(np.ceil(n * (1 - TRIMMED_SHARE))))


def split_rows(X: F32, weight: F32 | None, seed: int) -> tuple[Bools, Bools]:
    """Which rows (n,) may become codewords, and which are outliers.

    Distance from the median row decides. Eligible: rows of weight above 0, not among the farthest `TRIMMED_SHARE`. Outliers: rows
    more than `OUTLIER_FACTOR` times as far as the nearest ``1 - TRIMMED_SHARE`` of the rows, so at most that share can be.
    The median (per column) is taken over at most 2,048 rows chosen by key; ties at a threshold stay in.
    """
    used = np.ones(len(X), np.bool_) if weight is None else weight > 0
    far = _squares_to(X, median_row(X[median_sample(len(X), seed)])[None])
    keep = rows_within(int(used.sum()))
    threshold = np.partition(far[used], keep - 1)[keep - 1]
    return used & (far <= threshold), used & (far > OUTLIER_FACTOR**2 * threshold)


def random_rows(X: F32, k: int, weight: F32 | None, eligible: Bools, seed: int) -> F32:
    """k different eligible rows, uniformly; rows that are not eligible are used only when there are too few."""
    order = keys.bits64(seed, _FIRST, np.arange(len(X)))
    chosen = _smallest(order, np.flatnonzero(eligible), k)
    if len(chosen) < k:
        others = ~eligible if weight is None else ~eligible & (weight > 0)
        chosen = np.concatenate([chosen, _smallest(order, np.flatnonzero(others), k - len(chosen))])
    return X[np.sort(chosen)]


def _smallest(order: NDArray[np.uint64], rows: I64, k: int) -> I64:
    if len(rows) <= k:
        return rows
    return rows[np.argpartition(order[rows], k)[:k]]


def kmeans_plus_plus(X: F32, k: int, weight: F32 | None, eligible: Bools, seed: int) -> F32:
    """k rows drawn by exact D² sampling among the eligible ones, in the order drawn."""
    draw = Draw(X, np.where(eligible, 1.0 if weight is None else weight.astype(np.float64), 0.0), seed)
    draw.extend(k)
    chosen = draw.chosen
    if len(chosen) < k:
        usable = np.ones(len(X), np.bool_) if weight is None else weight > 0
        chosen = np.concatenate([chosen, fill(k - len(chosen), draw.nearest_square, eligible, usable, seed)])
    return X[chosen]


class Draw:
    """Exact D² sampling among rows of the given `mass` (n,), some rows at a time; `first_key` tells draws apart.

    The rows are `X` (n, d), or those of them that `rows` (n,) names, of which no copy is kept.
    """

    def __init__(self, X: F32, mass: F64, seed: int, first_key: int = 0, rows: I64 | None = None) -> None:
        self._all, self._rows, self.mass, self._seed, self._next = X, rows, mass, seed, first_key
        self.chosen: I64 = np.zeros(0, np.int64)
        """Numbers of the rows drawn, of 0 to n - 1, in their order."""
        self.nearest_square: F64 = np.full(len(mass), np.inf)
        """Squared distance of each row to the nearest one drawn."""

    def potential(self) -> float:
        """What is left to draw from: the distortion of the rows about those drawn."""
        return total(self.nearest_square * self.mass)

    def extend(self, more: int) -> None:
        """Draw up to `more` rows, fewer where every row of any mass lies on a drawn one."""
        k = len(self.chosen) + more
        X = self._all if self._rows is None else self._all[self._rows]
        if not len(self.chosen) and more > 0:
            self._take(X, _draw(self.mass, keys.bits64(self._seed, _FIRST, [self._next])))
        while len(self.chosen) < k:
            potential = self.nearest_square * self.mass
            if not potential.any():
                break
            batch = min(_LARGEST_BATCH, max(16, len(self.chosen)), k - len(self.chosen) + 8)
            numbers = self._next + np.arange(batch)
            self._next += batch
            candidates = _draw(potential, keys.bits64(self._seed, _DRAW, numbers))
            luck = keys.uniform(self._seed, _ACCEPT, numbers)
            stale = self.nearest_square[candidates]
            self._take(X, candidates[_accept(X[candidates], stale, luck, k - len(self.chosen))])

    def _take(self, X: F32, rows: I64) -> None:
        self.chosen = np.concatenate([self.chosen, rows])
        self.nearest_square = np.minimum(self.nearest_square, _squares_to(X, X[rows]))


def _draw(mass: F64, bits: NDArray[np.uint64]) -> I64:
    """Rows drawn with probability proportional to `mass`, from 64 random bits each; integers, so the order of sums is nothing."""
    shift = int(grid(np.array([mass.max()]), len(mass))[0])
    cumulative = np.cumsum(np.rint(np.ldexp(mass, shift)).astype(np.int64))
    whole = int(cumulative[-1])
    targets = np.array([(int(b) * whole) >> 64 for b in bits], np.int64)
    return np.searchsorted(cumulative, targets, side="right").astype(np.int64)


def _accept(rows: F32, stale: F64, luck: F64, most: int) -> I64:
    """Which candidates stand: each against the D² that those accepted before it leave (the first always does)."""
    between = _native.pairwise_sqdist(rows, rows)
    now = stale.copy()
    accepted: list[int] = []
    for i in range(len(rows)):
        if luck[i] * stale[i] < now[i] and len(accepted) < most:
            accepted.append(i)
            now = np.minimum(now, between[i])
    return np.array(accepted, np.int64)


def _squares_to(X: F32, codebook: F32) -> F64:
    _, squares = nearest(X, pack([codebook]), 2 * codebook.size, distances=True)
    assert squares is not None
    return squares[:, 0]


def fill(missing: int, nearest_square: F64, eligible: Bools, usable: Bools, seed: int) -> I64:
    """Every eligible row lies on a codeword already: take the farthest other rows, then any (their codewords stay unused)."""
    order = keys.bits64(seed, _FILL, np.arange(len(usable)))
    return np.lexsort((order, -nearest_square, eligible, ~usable))[:missing]
