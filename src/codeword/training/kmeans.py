"""Lloyd's algorithm, over-relaxed, with exact statistics, empty-cell repair and weights.

Each pass assigns every row (exactly: see `nearest`), then moves each codeword towards the weighted mean of its rows. Sums are
integers (`sums`), so passes after the first only touch rows that changed cell, and the codebook is the same for any threads and
blocks. A codeword goes `step` times the way to its mean, with a step near 2 at first that shrinks to 1: twelve such passes reach
what 25 plain ones do, and 25 end up to 0.9 % lower, since the large steps leave shallow minima (`python bench/relaxation.py`).
Source: Lloyd 1957/1982; Linde, Buzo & Gray 1980; Lee, Baek & Sung 1997, "A modified k-means algorithm for vector quantizer design".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, keys, runtime
from codeword.training import seeding, sums
from codeword.training.nearest import nearest, pack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
# From a codebook (k, d) and a progress to the cell of each row (n,) int32 and its squared distance (n,) float64.
Assign = Callable[[F32, Any], tuple[I32, F64]]
SEEDINGS = ("kmeans++", "random", "lbg")
RELAXATION = 2.0
# The first codebook is drawn from this many rows a codeword: from 8 up the distortion in the end does not depend on it.
_SEED_ROWS = 16
_PART_ROWS = 32
_PART_STREAM = 201
_LBG_PASSES = 3
_LBG_STEP = np.float32(0.02)


@dataclass(frozen=True)
class Settings:
    """How to train: checked parameters of a quantizer that uses k-means."""

    k: int
    seeding: str = "kmeans++"
    max_iter: int = 16
    tol: float = 1e-4
    seed: int = 0
    trim: bool = True
    relaxation: float = RELAXATION

    @classmethod
    def checked(
        cls, k: object, seeding: object, max_iter: object, tol: object, seed: object, trim: object, largest_k: int
    ) -> Settings:
        """Build from unchecked parameters; errors name the parameter."""
        return cls(
            checks.integer(k, "k", 1, largest_k),
            checks.choice(seeding, "seeding", SEEDINGS),
            checks.integer(max_iter, "max_iter", 0, 100_000),
            checks.real(tol, "tol", 0.0, 1.0),
            checks.integer(seed, "seed", 0, 2**63 - 1),
            checks.flag(trim, "trim"),
        )


class Pass(NamedTuple):
    """One pass of a level of training."""

    rows: int
    """Rows of the level."""
    distortion: float
    """Of the codebook that the pass began with."""
    moved: int
    """Rows that changed cell; all of them in the first pass of a level."""
    seconds: float
    """Wall clock."""


@dataclass
class Training:
    """What a training run did."""

    codebook: F32
    """(k, d) float32."""
    counts: F64
    """(k,) weight of the rows in each cell at the last assignment."""
    history: list[float] = field(default_factory=list)
    """Distortion (mean squared error per row and dimension) of the codebook that each pass began with."""
    not_seeded: int = 0
    """Rows that could not become codewords because they are among the farthest out."""
    trimmed: int = 0
    """Outliers that were left out altogether."""
    repaired: int = 0
    """Empty cells that were given a far row of a crowded cell."""
    levels: list[tuple[int, int]] = field(default_factory=list)
    """Rows and passes of each level of training: nested parts of the rows, then all of them. `history` is the last level's."""
    passes: list[Pass] = field(default_factory=list)
    """Every pass of every level."""
    converged: bool = False
    """Whether the last relative improvement was at most `tol` (or no row moved)."""


def train(X: F32, settings: Settings, weight: F32 | None = None, label: str = "k-means") -> Training:
    """Learn a codebook from rows `X` (n, d), n at least k.

    Raises
    ------
    ValueError
        If there are fewer rows (of weight above 0) than codewords.
    """
    n = len(X) if weight is None else int((weight > 0).sum())
    if n < settings.k:
        raise ValueError(f"X: expected at least k = {settings.k} rows{'' if weight is None else ' of weight above 0'}, got {n}")
    eligible, outlier = seeding.split_rows(X, weight, settings.seed)
    trimmed = int(outlier.sum()) if settings.trim and n - outlier.sum() >= settings.k else 0
    if trimmed or n < len(X):
        kept = ~outlier if trimmed else np.ones(len(X), np.bool_)
        kept &= True if weight is None else weight > 0
        X, eligible, weight = X[kept], eligible[kept], None if weight is None else weight[kept]
    result = _widening(X, settings, weight, eligible, label)
    result.not_seeded, result.trimmed = n - int(eligible.sum()), trimmed
    return result


def _widening(X: F32, settings: Settings, weight: F32 | None, eligible: NDArray[np.bool_], label: str) -> Training:
    """Seed and improve on nested parts of the rows, then on all of them: half the passes each, where there are parts.

    A codebook of a part with some dozens of rows a codeword is close to that of the whole and far cheaper; the passes over all rows
    then only have to finish it.
    """
    sizes = part_sizes(len(X), settings)
    passes = settings.max_iter if len(sizes) == 1 else (settings.max_iter + 1) // 2

    def part(size: int) -> tuple[F32, F32 | None, NDArray[np.bool_]]:
        rows = slice(None) if size >= len(X) else keys.sample(settings.seed, _PART_STREAM, len(X), size)
        return X[rows], None if weight is None else weight[rows], eligible[rows]

    codebook = first_codebook(*part(_SEED_ROWS * settings.k), settings)
    levels: list[tuple[int, int]] = []
    done: list[Pass] = []
    for size in sizes:
        some, mass, inside = part(size)
        result = lloyd(some, codebook, mass, passes, settings.tol, inside, label, settings.relaxation)
        codebook = result.codebook
        levels.append((size, len(result.history)))
        done += result.passes
    result.levels, result.passes = levels, done
    return result


def part_sizes(n: int, settings: Settings) -> list[int]:
    """Rows of each level of training, rising to n: every fourth, while a part has at least `_PART_ROWS` rows a codeword."""
    sizes = [n]
    while settings.max_iter > 1 and sizes[0] // 4 >= _PART_ROWS * settings.k:
        sizes.insert(0, sizes[0] // 4)
    return sizes


def first_codebook(X: F32, weight: F32 | None, eligible: NDArray[np.bool_], settings: Settings) -> F32:
    """The codebook (k, d) that Lloyd's passes start from."""
    if settings.seeding == "random":
        return seeding.random_rows(X, settings.k, weight, eligible, settings.seed)
    if settings.seeding == "lbg":
        return split(X, settings.k, weight, eligible)
    return seeding.kmeans_plus_plus(X, settings.k, weight, eligible, settings.seed)


def lloyd(
    X: F32,
    codebook: F32,
    weight: F32 | None,
    max_iter: int,
    tol: float,
    eligible: NDArray[np.bool_],
    label: str = "k-means",
    relaxation: float = RELAXATION,
    assign: Assign | None = None,
) -> Training:
    """Improve a codebook (k, d) by at most `max_iter` passes over `X` (n, d); `relaxation` 1 is plain Lloyd.

    `assign` finds the cells, exactly unless given. It ends early when a plain pass moves no row or improves by at most the share `tol`; an over-relaxed pass that does so is the
    last one of its kind.
    """
    cells = Cells(X, len(codebook), weight)
    result = Training(codebook, cells.counts())
    assign = assign or exactly(X)
    relaxed = relaxation > 1
    with runtime.Progress(label, max(1, max_iter) * len(X)) as progress:
        for i in range(max_iter):
            start = time.perf_counter()
            labels, squares = assign(result.codebook, progress)
            moved = cells.move(labels)
            result.counts = cells.counts()
            result.history.append(sums.total(squares, weight) / cells.total_weight / X.shape[1])
            result.passes.append(Pass(len(X), result.history[-1], moved, time.perf_counter() - start))
            if _settled(result.history, moved, tol):
                if not relaxed:
                    result.converged = True
                    break
                relaxed = False
            step = _step(i, max_iter, relaxation) if relaxed else 1.0
            result.codebook = cells.step_to_means(result.codebook, step)
            result.repaired += repair(X, result, labels, squares, weight, eligible)
    return result


def exactly(X: F32) -> Assign:
    """The exact assignment of rows `X` (n, d)."""

    def assign(codebook: F32, progress: Any = None) -> tuple[I32, F64]:
        labels, squares = nearest(X, pack([codebook]), 2 * codebook.size, distances=True, progress=progress)
        assert squares is not None
        return labels[:, 0], squares[:, 0]

    return assign


def _settled(history: list[float], moved: int, tol: float) -> bool:
    if moved == 0 or history[-1] == 0.0:
        return True
    return len(history) > 1 and history[-2] - history[-1] <= tol * history[-2]


def _step(i: int, max_iter: int, relaxation: float) -> float:
    """Step of pass `i`: 1 for the first, whose codewords are single rows; then from `relaxation` down to 1 at the last."""
    return 1.0 if i == 0 else 1.0 + (relaxation - 1.0) * (1.0 - (i / max(1, max_iter - 1)) ** 2)


class Cells:
    """Exact sums and weights of the rows in each cell, kept up to date by the rows that move."""

    def __init__(self, X: F32, k: int, weight: F32 | None) -> None:
        n, d = X.shape
        heaviest = 1.0 if weight is None else float(weight.max())
        self._low, self._high = sums.column_range(X)
        largest = np.maximum(np.abs(self._low), np.abs(self._high)).astype(np.float64) * heaviest
        self._X, self._weight = X, weight
        self._exponents = sums.grid(largest, n)
        self._weight_exponent = 0 if weight is None else int(sums.grid(np.array([heaviest]), n)[0])
        self._sums = np.zeros((k, d), np.int64)
        self._mass = np.zeros(k, np.int64)
        self._labels: NDArray[np.int32] | None = None
        self.total_weight = float(n) if weight is None else sums.total(weight.astype(np.float64))

    def move(self, labels: NDArray[np.int32]) -> int:
        """Put each row in the cell `labels` (n,) says; returns how many changed cell."""
        labels = np.ascontiguousarray(labels)
        moved = len(labels) if self._labels is None else int(np.count_nonzero(labels != self._labels))
        _native.accumulate(
            self._X, labels, self._exponents, self._weight_exponent, self._sums, self._mass, self._weight, self._labels
        )
        self._labels = labels
        return moved

    def counts(self) -> F64:
        """Weight in each cell (k,)."""
        return np.ldexp(self._mass.astype(np.float64), -self._weight_exponent)

    def step_to_means(self, codebook: F32, step: float = 1.0) -> F32:
        """Move the codewords (k, d) `step` times the way to the means of their rows, within the range of the data.

        An empty cell keeps its codeword. Rounded to float32 once, at the end.
        """
        mass = self.counts()
        full = mass > 0
        target = np.ldexp(self._sums[full].astype(np.float64), -self._exponents) / mass[full, None]
        if step != 1.0:
            start = codebook[full].astype(np.float64)
            target = np.clip(start + step * (target - start), self._low, self._high)
        moved = codebook.copy()
        moved[full] = target.astype(np.float32)
        return moved


def repair(
    X: F32, result: Training, labels: NDArray[np.int32], squares: F64, weight: F32 | None, eligible: NDArray[np.bool_]
) -> int:
    """Move the codewords of empty cells onto rows far from theirs, at most one row from each other cell; returns how many.

    Only rows that are not outliers and lie off their codeword can be taken, so with fewer different rows than codewords the
    rest stay unused (and are reported as dead).
    """
    empty = np.flatnonzero(result.counts == 0)
    if not len(empty):
        return 0
    loss = np.where(eligible, squares if weight is None else squares * weight, 0.0)
    candidates = np.flatnonzero(loss > 0)
    order = candidates[np.lexsort((candidates, -loss[candidates]))]
    _, first_of_cell = np.unique(labels[order], return_index=True)
    rows = order[np.sort(first_of_cell)][: len(empty)]
    result.codebook[empty[: len(rows)]] = X[rows]
    return len(rows)


def split(X: F32, k: int, weight: F32 | None, eligible: NDArray[np.bool_]) -> F32:
    """LBG: start from the mean, split the cells of largest distortion in two, improve, until there are k."""
    codebook = lloyd(X, np.zeros((1, X.shape[1]), np.float32), weight, 1, 0.0, eligible).codebook
    while len(codebook) < k:
        labels, squares = nearest(X, pack([codebook]), 2 * codebook.size, distances=True)
        assert squares is not None
        loss = _loss_of_cells(labels[:, 0], squares[:, 0], weight, len(codebook))
        parents = np.lexsort((np.arange(len(loss)), -loss))[: k - len(codebook)]
        far = X[_farthest_rows(labels[:, 0], np.where(eligible, squares[:, 0], -1.0), len(codebook))[parents]]
        step = _LBG_STEP * (far - codebook[parents])
        codebook = np.concatenate([codebook, codebook[parents] + step])
        codebook[parents] -= step
        codebook = lloyd(X, codebook, weight, _LBG_PASSES, 0.0, eligible).codebook
    return codebook


def _loss_of_cells(labels: NDArray[np.int32], squares: F64, weight: F32 | None, k: int) -> F64:
    loss = squares if weight is None else squares * weight
    shift = int(sums.grid(np.array([loss.max()]), len(loss))[0])
    fixed = np.rint(np.ldexp(loss, shift)).astype(np.int64)
    out = np.zeros(k, np.int64)
    np.add.at(out, labels, fixed)
    return out.astype(np.float64)


def _farthest_rows(labels: NDArray[np.int32], squares: F64, k: int) -> I64:
    """The farthest row of each cell, ties to the lowest; an empty cell takes row 0."""
    order = np.lexsort((np.arange(len(labels)), -squares))
    cells, first = np.unique(labels[order], return_index=True)
    far = np.zeros(k, np.int64)
    far[cells] = order[first]
    return far
