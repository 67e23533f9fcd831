"""Nearest codewords where there are very many: rows look only among the codewords near their group, and the loss is measured.

    codewords (k, d) --k-means on some--> about 2 sqrt(k) coarse cells --> each codeword listed in its cell and those near it
    rows (n, d) --nearest coarse cell--> groups --exact assignment among the codewords listed there--> labels, squares

A codeword is listed in every coarse cell whose border is within `_REACH` root mean squared errors of it: a row beyond a border
that far away is hardly ever nearest to it, since its error would have to point straight there. What the rows of a group had
before is listed as well, so that no row loses what was found for it, and every look cuts the space anew: what one border hides
the next shows. Looks go on until the loss against exact assignment, measured on rows drawn by key, is at most a stated share.

A look costs O(n sqrt(k) d) instead of O(n k d). All of it is exact arithmetic on keyed draws: the same for any threads and blocks.
Source: multi-probe inverted lists (Jégou, Douze & Schmid 2011) turned round: the codewords spill over (Liu, Moore, Gray & Yang
2004, "An investigation of practical approximate nearest neighbor algorithms"), each row probes one list.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, keys
from codeword.training import seeding, sums
from codeword.training.lloyd import Cells, Pass, Training, exactly, lloyd
from codeword.training.nearest import nearest, pack
from codeword.training.statistics import Plan, repair

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]
SAMPLE_ROWS = 4096
_REACH = 0.25
_WIDENING = 1.25  # of the reach, from look to look of one assignment
_MOST_LOOKS = 24
_MOST_REPAIRS = 16
_NEIGHBOURS = 96
_COARSE_ROWS, _COARSE_PASSES = 64, 4  # a coarse codebook is learned from this many rows a cell
_FEW = 256  # codewords that are compared with every row
_SAMPLE, _COARSE, _ROWS, _DRAWS = 301, 302, 303, 1 << 40


class Grouped:
    """Finds the cell of each row of `X` (n, d) for one codebook after another; what was found for one helps with the next.

    Parameters
    ----------
    X : ndarray (n, d) float32
    weight : ndarray (n,) float32 or None
        Of the rows, in the measured loss.
    seed : int
    limit : float
        Largest loss: ``distortion of the cells found / of the exact cells - 1``, on at most `SAMPLE_ROWS` rows.

    Attributes
    ----------
    labels : ndarray (n,) int32 or None
        Of the last assignment.
    loss : float
        Of the last assignment.
    looks : int
        Partitions that were looked through so far.
    """

    def __init__(self, X: F32, weight: F32 | None, seed: int, limit: float) -> None:
        self._X, self._seed, self._limit = X, seed, limit
        self._sample = keys.sample(seed, _SAMPLE, len(X), SAMPLE_ROWS)
        self._sample_weight = None if weight is None else weight[self._sample]
        self.labels: I32 | None = None
        self.loss = 0.0
        self.looks = 0

    def __call__(self, codebook: F32, progress: Any = None) -> tuple[I32, F64]:
        """Labels (n,) int32 and squared distances (n,) float64, for a codebook (k, d) that goes on from the one before."""
        if len(codebook) < _FEW:
            self.labels, squares = _nearest(self._X, codebook)
            self.loss = 0.0
        else:
            squares = self._found(codebook)
        if progress is not None:
            progress.advance(len(self._X))
        assert self.labels is not None
        return self.labels, squares

    def _found(self, codebook: F32) -> F64:
        """Look until the loss is small enough; returns squared distances and keeps the labels."""
        _, exact = _nearest(self._X[self._sample], codebook)
        least, weight = sums.total(exact, self._sample_weight), self._sample_weight
        share = len(exact) if weight is None else sums.total(weight.astype(np.float64))
        reach = _REACH * math.sqrt(least / max(share, 1e-300))
        for _ in range(_MOST_LOOKS):
            self.labels, squares = self._look(codebook, reach)
            excess = sums.total(squares[self._sample], weight) - least
            self.loss = max(0.0, excess / least) if least > 0 else float(excess > 0)
            if self.loss <= self._limit:
                return squares
            reach *= _WIDENING
        self.labels, squares = _nearest(self._X, codebook)  # rows that no borders part well
        self.loss = 0.0
        return squares

    def _look(self, codebook: F32, reach: float) -> tuple[I32, F64]:
        coarse = self._coarse(codebook)
        lists = _listed(codebook, coarse, reach)
        labels, squares = np.empty(len(self._X), np.int32), np.empty(len(self._X))
        for cell, rows in groups(self._X, coarse):
            found = lists[cell] if self.labels is None else np.concatenate([lists[cell], self.labels[rows]])
            listed = np.unique(found)
            best, squares[rows] = _nearest(self._X[rows], codebook[listed])
            labels[rows] = listed[best]
        self.looks += 1
        return labels, squares

    def _coarse(self, codebook: F32) -> F32:
        """A coarse codebook learned from some of the codewords, other ones each time."""
        k = cells_for(len(codebook))
        some = codebook[keys.sample(self._seed, _COARSE + (self.looks << 8), len(codebook), _COARSE_ROWS * k)]
        start = some[keys.sample(self._seed, _ROWS + (self.looks << 8), len(some), k)]
        return lloyd(some, start, None, _COARSE_PASSES, 0.0, np.ones(len(some), np.bool_)).codebook


def _nearest(X: F32, codebook: F32) -> tuple[I32, F64]:
    """Nearest codeword of each row, and its squared distance: exactly."""
    return exactly(X)(codebook, None)


def cells_for(k: int) -> int:
    """Coarse cells for k codewords: about as many as a list is long, as most codewords are listed several times."""
    return math.isqrt(4 * k)


def groups(X: F32, coarse: F32) -> Iterator[tuple[int, I64]]:
    """The rows (rising) nearest to each of the coarse codewords that has any."""
    labels, _ = nearest(X, pack([coarse]), 2 * coarse.size)
    yield from _members(labels[:, 0], len(coarse))


def _members(labels: I32, k: int) -> Iterator[tuple[int, I64]]:
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=k))
    for cell, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        if end > start:
            yield cell, order[start:end]


def _listed(codebook: F32, coarse: F32, reach: float) -> list[I64]:
    """The codewords that are looked at in each coarse cell: those in it or near its border, at least one."""
    homes, own = _nearest(codebook, coarse)
    at_least, _ = _nearest(coarse, codebook)
    lists: list[list[I64]] = [[at_least[c : c + 1].astype(np.int64)] for c in range(len(coarse))]
    between = _native.pairwise_sqdist(coarse, coarse)
    for cell, members in _members(homes, len(coarse)):
        lists[cell].append(members)
        near = np.argsort(between[cell], kind="stable")[:_NEIGHBOURS]
        near = near[between[cell, near] > 0]
        to_near = _native.pairwise_sqdist(np.ascontiguousarray(coarse[near]), np.ascontiguousarray(codebook[members]))
        # (|c - b|² - |c - a|²) / (2 |a - b|) is how far codeword c of cell a is from the border to cell b.
        inside = to_near - own[members] <= 2 * reach * np.sqrt(between[cell, near])[:, None]
        for i in np.flatnonzero(inside.any(1)):
            lists[near[i]].append(members[inside[i]])
    return [np.concatenate(parts) for parts in lists]


def first_of_many(X: F32, k: int, weight: F32 | None, eligible: Bools, seed: int) -> F32:
    """k rows drawn by D² sampling in groups: each group gets codewords in proportion to its distortion about its centre.

    That is how many of them D² sampling over all rows would draw there; within a group it is exact. O(n sqrt(k) d).
    """
    mass = np.where(eligible, 1.0 if weight is None else weight.astype(np.float64), 0.0)
    coarse, squares = _centres(X, k, np.flatnonzero(mass), seed)
    draws, loss = [], []
    for cell, rows in groups(X, coarse):
        members = rows[mass[rows] > 0]
        draws.append((members, seeding.Draw(X, mass[members], seed, cell * _DRAWS, members)))
        loss.append(sums.total(squares[members] * mass[members]))
    missing = k
    while missing > 0 and any(loss):
        room = np.array([len(rows) - len(draw.chosen) for rows, draw in draws])
        for (_, draw), more in zip(draws, _shares(missing, np.array(loss), room), strict=True):
            draw.extend(more)
        loss = [draw.potential() if len(draw.chosen) else old for (_, draw), old in zip(draws, loss, strict=True)]
        missing = k - sum(len(draw.chosen) for _, draw in draws)
    chosen = [rows[draw.chosen] for rows, draw in draws]
    if missing > 0:
        usable = np.ones(len(X), np.bool_) if weight is None else weight > 0
        chosen.append(seeding.fill(missing, squares, eligible, usable, seed))
    return X[np.concatenate(chosen)]


def _centres(X: F32, k: int, usable: I64, seed: int) -> tuple[F32, F64]:
    """Coarse codewords learned from some of the usable rows, and the squared distance of every row to its nearest one."""
    some = X[usable[keys.sample(seed, _ROWS, len(usable), _COARSE_ROWS * cells_for(k))]]
    every = np.ones(len(some), np.bool_)
    first = seeding.kmeans_plus_plus(some, min(cells_for(k), len(some)), None, every, seed)
    coarse = lloyd(some, first, None, _COARSE_PASSES, 0.0, every).codebook
    return coarse, _nearest(X, coarse)[1]


def _shares(whole: int, loss: F64, room: I64) -> I64:
    """`whole` as integers in proportion to `loss`, none above its `room`: fewer in all where that is little."""
    wanted = np.where(room > 0, loss, 0.0)
    if not wanted.any():
        return np.zeros(len(loss), np.int64)
    exact = wanted / sums.total(wanted) * whole
    share = np.floor(exact).astype(np.int64)
    order = np.lexsort((np.arange(len(loss)), share - exact))
    share[order[: whole - int(share.sum())]] += 1
    share[room <= 0] = 0
    return np.minimum(share, room)


def settle(result: Training, find: Grouped, X: F32, weight: F32 | None, eligible: Bools, plan: Plan) -> Pass:
    """Assign rows `X` (n, d) once more and give empty cells far rows, until no cell is empty that could have one.

    Afterwards counts, distortion and loss are those of the codebook itself, not of the one before the last step.
    """
    start = time.perf_counter()
    cells = Cells(X, len(result.codebook), weight, plan)
    cells.eligible = eligible
    before, mended = find.labels, False
    for _ in range(_MOST_REPAIRS):
        labels, squares = find(result.codebook)
        cells.take(labels, squares)
        repaired = repair(result.codebook, cells)
        if not repaired:
            cells.eligible = None  # a row far out rather than an empty cell
            repaired = repair(result.codebook, cells)
        result.repaired += repaired
        if not repaired and not mended:
            break
        if not repaired:
            result.codebook = plan.step_to_means(result.codebook, cells)
        mended = repaired > 0
    result.counts = plan.counts(cells)
    result.history.append(plan.distortion(cells))
    result.assignment_loss, result.looks = find.loss, find.looks
    moved = len(X) if before is None else int(np.count_nonzero(labels != before))
    return Pass(len(X), result.history[-1], moved, time.perf_counter() - start)
