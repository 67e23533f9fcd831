"""Passes over rows that are not in memory: what is asked of a pass, and who asks.

    jobs (generators) --tasks--> one pass over the rows serves them all --tasks done--> jobs go on, until each returns

A job yields a task, which is shown every block of the rows in turn, and goes on when the pass is over. Jobs share passes: the codebooks of a
product quantizer are jobs of their own. What memory a job may take is checked against the cap of the rows before it starts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeword import keys, runtime
from codeword.sources import Rows
from codeword.training.moments import ColumnMoments, Grid
from codeword.training.seeding import Fence

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
T = TypeVar("T")
# What the interpreter, the allocator and each thread of the kernels need apart from the arrays that are counted.
_FIXED = 16 << 20
_A_THREAD = 2 << 20
LEAST_STEP = 1024
_CUT_BYTES = 1 << 18
_IN_MEMORY = 3
# Up to this share of the rows is picked one by one; more than that is faster in a pass.
_PICKED_SHARE = 8
_PICKED_AT_ONCE = 4096


class Selection(NamedTuple):
    """Rows of a block."""

    X: NDArray[Any]
    """(n, d)"""
    weight: F32 | None
    """(n,)"""
    numbers: int | I64
    """Of the rows, or of the first of them."""
    kept: int | I64
    """Their numbers among the rows that are kept (see `Part`), or the first of those."""


class Task(ABC):
    """Something that wants to see all rows once, or some of all."""

    shared: int | None = None
    """Tasks for which this is the same number choose the same rows of a block."""
    columns: slice | None = None
    """What it wants to see of a row; None for all."""

    def choose(self, X: NDArray[Any], weight: F32 | None, first: int) -> Selection:
        """The rows that it wants of `X` (n, its columns; all columns for tasks that choose alike), the first being row `first`."""
        return Selection(X, weight, first, first)

    @abstractmethod
    def see(self, rows: Selection) -> None:
        """See the rows that it chose."""

    def picked(self, rows: Rows) -> bool:
        """Get along without a pass, where that is possible; returns whether it was."""
        return False


Job: TypeAlias = Generator[Task, None, T]


def run(rows: Rows, jobs: Sequence[Job[Any]], step: int, label: str) -> list[Any]:
    """Run jobs to their ends, in passes of blocks of at most `step` rows that they share; returns what they return."""
    results: list[Any] = [None] * len(jobs)
    tasks: dict[int, Task] = {}

    def advance(i: int) -> None:
        try:
            tasks[i] = next(jobs[i])
        except StopIteration as end:
            results[i] = end.value
            tasks.pop(i, None)

    for i in range(len(jobs)):
        advance(i)
    passed = 0
    while tasks:
        left = [task for task in tasks.values() if not task.picked(rows)]
        if left:
            passed += 1
            for block in rows.read(step, f"{label}, pass {passed}"):
                _show(block, left)
        for i in list(tasks):
            advance(i)
    _sampled.cache_clear()
    return results


def _show(block: tuple[int, NDArray[Any], F32 | None], tasks: list[Task]) -> None:
    """Show a block of rows to tasks; those that choose alike choose once."""
    first, X, weight = block
    for shared in {task.shared for task in tasks}:
        members = [task for task in tasks if task.shared == shared]
        if shared is None:
            for task, piece in zip(members, _cut(X, members), strict=True):
                task.see(task.choose(piece, weight, first))
        else:
            chosen = members[0].choose(X, weight, first)
            if len(chosen.X):
                for task, piece in zip(members, _cut(chosen.X, members), strict=True):
                    task.see(chosen._replace(X=piece))


def _cut(X: NDArray[Any], tasks: list[Task]) -> list[NDArray[Any]]:
    """The columns of rows `X` (n, d) that each task wants.

    Several pieces are copied side by side, some rows at a time, so that a row is fetched from memory once: read one piece after the
    other from long rows, a training of 384 columns in 48 pieces takes 18 % more CPU time.
    """
    columns = [slice(0, X.shape[1]) if task.columns is None else task.columns for task in tasks]
    out = [X[:, c] for c in columns]
    narrow = [i for i, c in enumerate(columns) if c.stop - c.start < X.shape[1]]
    if len(narrow) > 1:
        for i in narrow:
            out[i] = np.empty(out[i].shape, X.dtype)
        step = max(16, _CUT_BYTES // max(1, X.shape[1] * X.itemsize))
        for start in range(0, len(X), step):
            rows = X[start : start + step]
            for i in narrow:
                out[i][start : start + step] = rows[:, columns[i]]
    return out


class Pick(Task):
    """Rows by their numbers (rising), some columns of them."""

    def __init__(self, numbers: I64, columns: slice) -> None:
        self._numbers, self._wanted, self.columns = numbers, columns, columns
        self._found: list[F32] = []

    @property
    def rows(self) -> F32:
        """What was found."""
        return self._found[0] if len(self._found) == 1 else np.concatenate(self._found)

    def picked(self, rows: Rows) -> bool:
        if rows.picks:
            self._found = [rows.pick(self._numbers, self._wanted)]
        return rows.picks

    def see(self, rows: Selection) -> None:
        assert isinstance(rows.numbers, int)
        start, stop = np.searchsorted(self._numbers, (rows.numbers, rows.numbers + len(rows.X)))
        if stop > start:
            self._found.append(np.ascontiguousarray(rows.X[self._numbers[start:stop] - rows.numbers]))


class Columns(Task):
    """Column moments of all rows."""

    def __init__(self, moments: ColumnMoments) -> None:
        self.moments = moments

    def see(self, rows: Selection) -> None:
        self.moments.add(rows.X, rows.weight)


@dataclass(frozen=True, eq=False)
class Part:
    """Which rows a level of training sees: those that are kept, or those of them with the smallest keys.

    Kept are rows of weight above 0 that are no outliers. They are numbered anew, 0 to `kept` - 1, for the keys, as in a training
    in memory, which drops the others.
    """

    columns: slice
    fence: Fence
    seed: int
    n: int
    """All rows."""
    kept: int
    size: int
    """Rows of the part."""
    stream: int
    """Of the keys."""

    @cached_property
    def largest_key(self) -> np.uint64:
        """Of the rows of the part."""
        return keys.threshold(self.seed, self.stream, self.kept, self.size)

    def holds(self, numbers: I64) -> NDArray[np.bool_]:
        """Whether the part holds the kept rows of these numbers."""
        if self.size >= self.kept:
            return np.ones(len(numbers), np.bool_)
        return keys.bits64(self.seed, self.stream, numbers) <= self.largest_key


class Chosen(Task):
    """Finds the rows of a part."""

    def __init__(self, part: Part) -> None:
        self.part, self.columns = part, part.columns
        self._kept = 0
        if part.kept == part.n:
            self.shared = part.size  # the same rows for all pieces of the columns

    def choose(self, X: F32, weight: F32 | None, first: int) -> Selection:
        part = self.part
        chosen = None
        if part.kept < part.n:
            inside = np.ones(len(X), np.bool_) if weight is None else weight > 0
            if part.fence.trims:
                inside &= part.fence.squares(X) <= part.fence.far
            chosen = np.flatnonzero(inside)
        before = first if chosen is None else self._kept
        kept: int | I64 = before
        if part.size < part.kept:
            count = len(X) if chosen is None else len(chosen)
            held = np.flatnonzero(part.holds(np.arange(before, before + count)))
            chosen, kept = held if chosen is None else chosen[held], held + before
            self._kept += count
        elif chosen is not None:
            self._kept += len(chosen)
        if chosen is None:
            return Selection(X, weight, first, kept)
        return Selection(X[chosen], None if weight is None else weight[chosen], chosen + first, kept)


class Gathered(Chosen):
    """The rows of a part, in memory."""

    def __init__(self, part: Part, weighted: bool) -> None:
        super().__init__(part)
        self.X = np.empty((part.size, part.columns.stop - part.columns.start), np.float32)
        self.weight = np.empty(part.size, np.float32) if weighted else None
        self.numbers = np.empty(part.size, np.int64)
        """Of the rows, among those kept."""
        self._filled = 0

    def see(self, rows: Selection) -> None:
        here = slice(self._filled, self._filled + len(rows.X))
        self.X[here] = rows.X
        self.numbers[here] = np.arange(rows.kept, rows.kept + len(rows.X)) if isinstance(rows.kept, int) else rows.kept
        if self.weight is not None:
            self.weight[here] = rows.weight
        self._filled = here.stop

    def picked(self, rows: Rows) -> bool:
        part = self.part
        if not rows.picks or part.kept < part.n or part.size > part.n // _PICKED_SHARE:
            return False
        self.numbers = _sampled(part.seed, part.stream, part.n, part.size)
        for start in range(0, part.size, _PICKED_AT_ONCE):
            here = slice(start, start + _PICKED_AT_ONCE)
            self.X[here] = rows.pick(self.numbers[here], part.columns)
            if self.weight is not None:
                self.weight[here] = rows.weights_at(self.numbers[here])
        return True

    def smaller(self, size: int) -> tuple[F32, F32 | None, NDArray[np.bool_]]:
        """The part of `size` rows within this one: rows, weights, and which of them may become codewords."""
        X, weight = self.X, self.weight
        if size < self.part.size:
            inside = replace(self.part, size=size).holds(self.numbers)
            X, weight = X[inside], None if weight is None else weight[inside]
        return X, weight, self.part.fence.squares(X) <= self.part.fence.near


@lru_cache(maxsize=1)
def _sampled(seed: int, stream: int, n: int, size: int) -> I64:
    """The numbers of a part of all rows: pieces of rows ask for the same ones after each other, and share them."""
    return keys.sample(seed, stream, n, size)


class Both(Task):
    """Two tasks in one pass."""

    def __init__(self, first: Task, second: Task) -> None:
        self._tasks, self.columns = (first, second), first.columns

    def see(self, rows: Selection) -> None:
        assert isinstance(rows.numbers, int)
        for task in self._tasks:
            task.see(task.choose(rows.X, rows.weight, rows.numbers))


def moments_job(moments: ColumnMoments) -> Job[ColumnMoments]:
    """Adds all rows to moments, and returns them."""
    yield Columns(moments)
    return moments


def sample_job(rows: Rows, seed: int, stream: int, size: int) -> Job[F32]:
    """The rows of weight above 0 that ``keys.sample(seed, stream, ..., size)`` draws among those."""
    used = rows.measured.used
    everywhere = Fence(np.zeros(rows.d, np.float32), np.inf)
    sample = Gathered(Part(slice(0, rows.d), everywhere, seed, rows.n, used, min(size, used), stream), False)
    yield sample
    return sample.X


def variance_job(rows: Rows) -> Job[F64]:
    """The variance of each column (d,)."""
    moments = yield from moments_job(ColumnMoments(grid(rows)))
    return moments.variance


def grid(rows: Rows) -> Grid:
    """The grid of all rows."""
    return Grid(rows.measured.low, rows.measured.high, rows.measured.heaviest)


def overhead(rows: Rows) -> int:
    """Bytes that are needed apart from arrays whose size depends on the training."""
    return _FIXED + _A_THREAD * runtime.threads() + rows.overhead


def plain_step(rows: Rows) -> int:
    """Rows of a block where nothing but the block takes memory; ValueError where the cap has no room for it."""
    least = overhead(rows) + min(rows.n, LEAST_STEP) * rows.bytes_a_row
    check_cap(rows, least, "")
    return rows.step((rows.cap - least) // 2 + min(rows.n, LEAST_STEP) * rows.bytes_a_row)


def check_cap(rows: Rows, least: int, what: str) -> None:
    """Raise ValueError that names the least cap where that of the rows is below it."""
    if rows.cap < least:
        raise ValueError(
            f"max_memory: expected at least {-(-least // 10**6)}MB for {what}{rows.n} rows of {rows.d} columns, got {rows.cap} bytes"
        )


def all_rows(rows: Rows, label: str) -> tuple[NDArray[Any], F32 | None]:
    """All rows (n, d) and weights (n,) in memory, for methods that need them so.

    Raises
    ------
    ValueError
        If the cap has no room for them and for what a training makes of them, twice as much again.
    """
    least = overhead(rows) + _IN_MEMORY * rows.n * rows.d * (8 if rows.measured.wide else 4)
    check_cap(rows, least, f"{label}, which needs all rows in memory, ")
    return rows.gather(rows.step((rows.cap - least) // 2 + _FIXED // 2), label)
