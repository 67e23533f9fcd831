"""Training a codebook: outliers are left out, a first codebook is drawn, Lloyd's passes improve it on nested parts of the rows.

    rows (n, d) --trim--> parts, rising to all rows --seed on the smallest--> codebook (k, d) --lloyd on each part--> Training

Source: Linde, Buzo & Gray 1980 (splitting); see `codeword.training.lloyd` and `codeword.training.seeding` for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys
from codeword.training import seeding, sums
from codeword.training.balance import balanced, most_rows
from codeword.training.effort import EFFORTS, WORDS, Effort
from codeword.training.hierarchy import Grouped, first_of_many, settle
from codeword.training.lloyd import RELAXATION
from codeword.training.lloyd import Assign as Assign
from codeword.training.lloyd import Cells as Cells
from codeword.training.lloyd import Pass as Pass
from codeword.training.lloyd import Training as Training
from codeword.training.lloyd import exactly as exactly
from codeword.training.lloyd import lloyd as lloyd
from codeword.training.statistics import Plan, Survey
from codeword.training.unseen import FirstLook, measured

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
SEEDINGS = ("kmeans++", "random", "lbg")
ASSIGNMENTS = ("auto", "exact", "hierarchical")
# From this many codewords on "auto" is hierarchical: a fifth of the time of exact passes there, a thirtieth at 2**18.
_MANY = 1 << 15
_PART_ROWS = 32
PART_STREAM = 201
# Two passes from half way to the farthest row find what three from 0.02 do, in three quarters of the time.
_LBG_PASSES = 2
_LBG_STEP = np.float32(0.5)


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
    effort: Effort = EFFORTS["default"]
    assignment: str = "auto"
    balance: float | None = None
    every_row: bool = False
    """Whether also rows far out may become codewords, and none is left out."""

    @classmethod
    def checked(
        cls,
        k: object,
        seeding: object,
        max_iter: object,
        tol: object,
        seed: object,
        trim: object,
        largest_k: int,
        *,
        effort: object = "default",
        assignment: object = "auto",
        balance: object = None,
        passes: int = 16,
    ) -> Settings:
        """Build from unchecked parameters; errors name the parameter. `passes` is what `max_iter` None means at default effort."""
        words = EFFORTS[checks.choice(effort, "effort", WORDS)]
        return cls(
            checks.integer(k, "k", 1, largest_k),
            checks.choice(seeding, "seeding", SEEDINGS),
            round(passes * words.passes) if max_iter is None else checks.integer(max_iter, "max_iter", 0, 100_000),
            words.tol if tol is None else checks.real(tol, "tol", 0.0, 1.0),
            checks.integer(seed, "seed", 0, 2**63 - 1),
            checks.flag(trim, "trim"),
            effort=words,
            assignment=checks.choice(assignment, "assignment", ASSIGNMENTS),
            balance=None if balance is None else checks.real(balance, "balance", 1.0, float(largest_k)),
        )

    @property
    def hierarchical(self) -> bool:
        """Whether rows look for their cells in groups."""
        return self.assignment == "hierarchical" or (self.assignment == "auto" and self.k >= _MANY)


def train(X: F32, settings: Settings, weight: F32 | None = None, label: str = "k-means", start: F32 | None = None) -> Training:
    """Learn a codebook from rows `X` (n, d), n at least k; with a codebook `start` (k, d), go on from that.

    Raises
    ------
    ValueError
        If there are fewer rows (of weight above 0) than codewords.
    """
    n = len(X) if weight is None else int((weight > 0).sum())
    check_enough(n, settings.k, weight is not None)
    if settings.balance is not None and weight is not None:
        raise ValueError("balance: cells are limited in rows, which have no weights here; leave out sample_weight")
    rows = len(X)
    if settings.every_row:
        eligible, outlier = np.ones(rows, np.bool_) if weight is None else weight > 0, np.zeros(rows, np.bool_)
    else:
        eligible, outlier = seeding.split_rows(X, weight, settings.seed)
    trimmed = int(outlier.sum()) if settings.trim and n - outlier.sum() >= settings.k else 0
    kept = ~outlier if trimmed else np.ones(len(X), np.bool_)
    kept &= True if weight is None else weight > 0
    if trimmed or n < len(X):
        X, eligible, weight = X[kept], eligible[kept], None if weight is None else weight[kept]
    plan = replace(Plan.of(Survey.of(X, weight)), n=rows)
    result = _widening(X, settings, weight, eligible, label, plan, start)
    if settings.balance is not None:
        limit = most_rows(len(X), settings.k, settings.balance)
        made = balanced(X, result, eligible, limit, settings.tol, partial(_finder, settings), plan, label)
        labels = np.full(rows, -1, np.int32)
        labels[kept] = made.labels
        result.balance = replace(made, labels=labels)
    result.rows, result.not_seeded, result.trimmed = n, n - int(eligible.sum()), trimmed
    return result


def check_enough(n: int, k: int, weighted: bool) -> None:
    """Raise ValueError where n rows (of weight above 0) are fewer than k codewords."""
    if n < k:
        raise ValueError(f"X: expected at least k = {k} rows{' of weight above 0' if weighted else ''}, got {n}")


def _widening(
    X: F32, settings: Settings, weight: F32 | None, eligible: NDArray[np.bool_], label: str, plan: Plan, start: F32 | None
) -> Training:
    """Seed and improve on nested parts of the rows, then on all of them: half the passes each, where there are parts.

    A codebook of a part with some dozens of rows a codeword is close to that of the whole and far cheaper; the passes over all rows
    then only have to finish it. What the rows of a part and those outside it lose at first tells how far the part was too small.
    """
    sizes = level_sizes(len(X), settings, start is not None)
    largest, passes = sizes[-1], passes_a_level(sizes, settings)

    def part(rows: I64 | slice) -> tuple[F32, F32 | None, NDArray[np.bool_]]:
        return X[rows], None if weight is None else weight[rows], eligible[rows]

    def rows_of(size: int) -> I64 | slice:
        return slice(None) if size >= len(X) else keys.sample(settings.seed, PART_STREAM, len(X), size)

    if start is None:
        codebook = first_codebook(*part(rows_of(min(largest, settings.effort.seed_rows * settings.k))), settings, plan)
    else:
        codebook = start
    levels: list[tuple[int, int]] = []
    done: list[Pass] = []
    seen: I64 | slice = slice(0)
    for size in sizes:
        rows = rows_of(size)
        some, mass, inside = part(rows)
        find = _finder(settings, some, mass)
        look = FirstLook(find, mass, _places(seen, rows) if levels else None)
        result = lloyd(some, codebook, mass, passes, settings.tol, inside, label, settings.relaxation, look, plan)
        codebook, seen = result.codebook, rows
        levels.append((size, len(result.history)))
        done += result.passes
    if result.history:
        result.unseen = look.unseen(result.history[0] * X.shape[1], largest)
    if isinstance(find, Grouped):
        done.append(settle(result, find, some, mass, inside, plan))
    if isinstance(seen, np.ndarray):
        result.unseen = measured(X, weight, result.codebook, seen, settings.seed)
    result.levels, result.passes = levels, done
    return result


def _finder(settings: Settings, X: F32, weight: F32 | None = None) -> Assign | Grouped:
    """The assignment of rows `X` (n, d) that is asked for; few rows are quicker assigned exactly."""
    if settings.hierarchical and len(X) > settings.k // 8:
        return Grouped(X, weight, settings.seed, settings.effort.loss)
    return exactly(X)


def _places(some: I64 | slice, rows: I64 | slice) -> I64:
    """Where rows `some` are among `rows`, both rising."""
    assert isinstance(some, np.ndarray)
    return np.searchsorted(rows, some) if isinstance(rows, np.ndarray) else some


def level_sizes(n: int, settings: Settings, started: bool) -> list[int]:
    """Rows of each level of training, rising to all n or as many as the effort takes; one level where there is a start."""
    most = settings.effort.most_rows
    largest = n if most is None else min(n, most * settings.k)
    return [largest] if started else part_sizes(largest, settings)


def passes_a_level(sizes: list[int], settings: Settings) -> int:
    """Most passes of each level of training: half of all where there are several."""
    return settings.max_iter if len(sizes) == 1 else (settings.max_iter + 1) // 2


def part_sizes(n: int, settings: Settings) -> list[int]:
    """Rows of each level of training, rising to n: every fourth, while a part has at least `_PART_ROWS` rows a codeword."""
    sizes = [n]
    while settings.max_iter > 1 and sizes[0] // 4 >= _PART_ROWS * settings.k:
        sizes.insert(0, sizes[0] // 4)
    return sizes


def first_codebook(X: F32, weight: F32 | None, eligible: NDArray[np.bool_], settings: Settings, plan: Plan | None = None) -> F32:
    """The codebook (k, d) that Lloyd's passes start from."""
    if settings.seeding == "random":
        return seeding.random_rows(X, settings.k, weight, eligible, settings.seed)
    if settings.seeding == "lbg":
        return split(
            X, settings.k, weight, eligible, plan, Grouped(X, weight, settings.seed, 0.01) if settings.hierarchical else None
        )
    if settings.hierarchical:
        return first_of_many(X, settings.k, weight, eligible, settings.seed)
    return seeding.kmeans_plus_plus(X, settings.k, weight, eligible, settings.seed)


def split(
    X: F32, k: int, weight: F32 | None, eligible: NDArray[np.bool_], plan: Plan | None = None, assign: Assign | None = None
) -> F32:
    """LBG: start from the mean, split the cells of largest distortion in two, improve, until there are k."""
    assign = assign or exactly(X)
    codebook = lloyd(X, np.zeros((1, X.shape[1]), np.float32), weight, 1, 0.0, eligible, plan=plan).codebook
    while len(codebook) < k:
        labels, squares = assign(codebook, None)
        loss = _loss_of_cells(labels, squares, weight, len(codebook))
        parents = np.lexsort((np.arange(len(loss)), -loss))[: k - len(codebook)]
        far = X[_farthest_rows(labels, np.where(eligible, squares, -1.0), len(codebook))[parents]]
        step = _LBG_STEP * (far - codebook[parents])
        codebook = np.concatenate([codebook, codebook[parents] + step])
        codebook[parents] -= step
        codebook = lloyd(X, codebook, weight, _LBG_PASSES, 0.0, eligible, assign=assign, plan=plan).codebook
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
