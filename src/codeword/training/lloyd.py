"""Lloyd's algorithm, over-relaxed, with exact statistics, empty-cell repair and weights.

Each pass assigns every row (exactly: see `nearest`), then moves each codeword towards the weighted mean of its rows. Sums are
integers (`sums`), so passes after the first only touch rows that changed cell, and the codebook is the same for any threads and
blocks. A codeword goes `step` times the way to its mean, with a step of 2.4 at first that shrinks to 1, faster where a pass goes
up: twelve such passes reach what 25 plain ones do, and 25 end up to 0.9 % lower, since the large steps leave shallow minima
(`python bench/relaxation.py`).
What a pass must know of the rows is in `statistics`, so rows that do not fit in memory are trained on by the same `passes`.
Source: Lloyd 1957/1982; Linde, Buzo & Gray 1980; Lee, Baek & Sung 1997, "A modified k-means algorithm for vector quantizer design".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import _native, runtime
from codeword.training.nearest import nearest, pack
from codeword.training.statistics import Farthest, Plan, Survey, Taken, keep_farthest, repair
from codeword.training.sums import Total
from codeword.training.unseen import Unseen

if TYPE_CHECKING:
    from codeword.training.balance import Balance

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
# From a codebook (k, d) and a progress to the cell of each row (n,) int32 and its squared distance (n,) float64.
Assign = Callable[[F32, Any], tuple[I32, F64]]
RELAXATION = 2.4
# Of the step beyond 1, after a pass that went up: long runs on wide rows do not bear the longest steps.
_DAMPING = 0.8


class Pass(NamedTuple):
    """One pass of a level of training."""

    rows: int
    """Rows of the level."""
    distortion: float
    """Of the codebook that the pass began with."""
    moved: int | None
    """Rows that changed cell; all of them in the first pass of a level; None where the rows were not in memory."""
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
    rows: int = 0
    """Rows that were given (of weight above 0), outliers included; the last of `levels` says how many were trained on."""
    unseen: Unseen | None = None
    """What the codebook of a part lost on other rows, measured on the way; None where no rows were unseen at any time."""
    assignment_loss: float = 0.0
    """How far the cells found at the last assignment are from exact ones, as a share of the distortion, measured on rows drawn by key
    (`hierarchy.SAMPLE_ROWS`); 0 where assignments are exact."""
    balance: Balance | None = None
    """The cells of limited size, where a limit was asked for; `counts` are theirs."""
    looks: int = 0
    """Partitions that hierarchical assignments looked through; 0 where assignments are exact."""
    converged: bool = False
    """Whether the last relative improvement was at most `tol` (or no row moved)."""


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
    plan: Plan | None = None,
    still: float | None = None,
) -> Training:
    """Improve a codebook (k, d) by at most `max_iter` passes over `X` (n, d); `relaxation` 1 is plain Lloyd.

    It ends early when a plain pass changes no cell or improves by at most the share `tol`; an over-relaxed pass that does so is the
    last one of its kind. `assign` finds the cells, exactly unless given; `plan` is that of the rows which `X` is a part of.
    Rows and codebook of float64 are trained in float64.

    With `still`, passes end as scikit-learn's do instead: when a plain pass changes no cell, or moves the codewords by squared
    distances that add up to at most that.
    """
    cells = Cells(X, len(codebook), weight, plan)
    cells.eligible = eligible
    assign = assign or exactly(X)
    dialogue = passes(cells.plan, codebook, len(X), max_iter, tol, relaxation, still)
    with runtime.Progress(label, max(1, max_iter) * len(X)) as progress:
        try:
            asked = next(dialogue)
            while True:
                asked = dialogue.send(cells.take(*assign(asked, progress)))
        except StopIteration as end:
            result: Training = end.value
    if X.dtype == np.float64 and relaxation <= 1:
        result.codebook = cells.refined(result.codebook)
    return result


def passes(
    plan: Plan, codebook: F32, rows: int, max_iter: int, tol: float, relaxation: float, still: float | None = None
) -> Generator[F32, Taken, Training]:
    """The passes of `lloyd` as a dialogue: for each codebook that it yields it wants the statistics of all the rows."""
    result = Training(codebook, np.zeros(len(codebook)))
    relaxed = relaxation > 1
    before: tuple[I64, I64] | None = None
    repaired = 0
    for i in range(max_iter):
        start = time.perf_counter()
        taken = yield result.codebook
        result.counts = plan.counts(taken)
        result.history.append(plan.distortion(taken))
        result.passes.append(Pass(rows, result.history[-1], taken.moved, time.perf_counter() - start))
        # Sums tell, not labels: statistics of shards have none.
        mended = still is not None and repaired > 0
        same = not mended and before is not None and np.array_equal(before[0], taken.mass) and np.array_equal(before[1], taken.sums)
        before = taken.mass, taken.sums
        if relaxed and i > 1 and result.history[-1] > result.history[-2]:
            relaxation = 1.0 + (relaxation - 1.0) * _DAMPING
        elif _settled(result.history, same, tol if still is None else -1.0):
            if not relaxed:
                result.converged = True
                break
            relaxed = False
        step = _step(i, max_iter, relaxation) if relaxed else 1.0
        last, result.codebook = result.codebook, plan.step_to_means(result.codebook, taken, step)
        repaired = repair(result.codebook, taken)
        result.repaired += repaired
        if still is not None and step == 1.0 and i > 0:
            moved = float(((result.codebook - last) ** 2).sum(dtype=np.float64))
            if moved == 0.0 or (moved <= still and not repaired):
                result.converged = True
                break
    return result


def exactly(X: F32) -> Assign:
    """The exact assignment of rows `X` (n, d)."""

    def assign(codebook: F32, progress: Any = None) -> tuple[I32, F64]:
        labels, squares = nearest(X, pack([codebook], X.dtype), 2 * codebook.size, distances=True, progress=progress)
        assert squares is not None
        return labels[:, 0], squares[:, 0]

    return assign


def _settled(history: list[float], same: bool, tol: float) -> bool:
    if same or history[-1] == 0.0:
        return True
    return len(history) > 1 and history[-2] - history[-1] <= tol * history[-2]


def _step(i: int, max_iter: int, relaxation: float) -> float:
    """Step of pass `i`: 1 for the first, whose codewords are single rows; then from `relaxation` down to 1 at the last."""
    return 1.0 if i == 0 else 1.0 + (relaxation - 1.0) * (1.0 - (i / max(1, max_iter - 1)) ** 2)


class Cells:
    """Statistics of rows in memory, kept up to date by the rows that move from cell to cell (see `statistics.Taken`)."""

    def __init__(self, X: F32, k: int, weight: F32 | None, plan: Plan | None = None) -> None:
        self.plan = Plan.of(Survey.of(X, weight)) if plan is None else plan
        self.eligible: NDArray[np.bool_] | None = None
        """Which rows (n,) may become codewords; None for all."""
        self.sums = np.zeros((k, X.shape[1]), np.int64)
        self.mass = np.zeros(k, np.int64)
        self.loss = Total()
        self.moved = 0
        self._X, self._weight = X, weight
        self._labels: I32 | None = None
        self._squares: F64 = np.zeros(0)

    def take(self, labels: I32, squares: F64) -> Cells:
        """Put each row in the cell that `labels` (n,) says, at the squared distance `squares` (n,); returns itself."""
        self.sums, self.mass = self.sums.copy(), self.mass.copy()  # whoever holds the last ones compares
        self.move(labels)
        self.loss = Total().add(squares, self._weight)
        self._squares = squares
        return self

    def move(self, labels: I32) -> int:
        """Put each row in the cell that `labels` (n,) says; returns how many changed cell."""
        labels = np.ascontiguousarray(labels)
        self.moved = len(labels) if self._labels is None else int(np.count_nonzero(labels != self._labels))
        plan = self.plan
        _native.accumulate(self._X, labels, plan.exponents, plan.weight_exponent, self.sums, self.mass, self._weight, self._labels)
        self._labels = labels
        return self.moved

    @property
    def farthest(self) -> Farthest:
        """The farthest eligible row of each cell."""
        assert self._labels is not None
        loss = self._squares if self._weight is None else self._squares * self._weight
        far = Farthest.none(*self.sums.shape, self._X.dtype)
        loss = loss if self.eligible is None else np.where(self.eligible, loss, 0.0)
        keep_farthest(far, self._X, self._labels, loss, 0, None)
        return far

    def refined(self, codebook: NDArray[Any]) -> NDArray[Any]:
        """Codewords (k, d) near the means of their rows, moved there on the finer grid of what the rows are off by."""
        assert self._labels is not None
        off = self._X - codebook[self._labels]
        finer = Cells(off, len(codebook), self._weight)
        finer.move(self._labels)
        return codebook + finer.step_to_means(np.zeros_like(codebook))

    def counts(self) -> F64:
        """Weight in each cell (k,)."""
        return self.plan.counts(self)

    def step_to_means(self, codebook: F32) -> F32:
        """Move the codewords (k, d) to the means of their rows."""
        return self.plan.step_to_means(codebook, self)
