"""Training on rows that are read in passes: what is asked of a pass, and the k-means that asks.

    jobs (generators) --tasks--> one pass over the rows serves them all --tasks done--> jobs go on, until each returns

A job yields a task, which is shown every block of the rows in turn, and gets it back when the pass is over. The codebooks of a
product quantizer are jobs of their own that share their passes. `kmeans_job` does what `codeword.training.kmeans.train` does, step
by step with the same rows, so it returns the same codebook, bit for bit; what differs is that rows are looked at again instead of
remembered. Parts of the rows that fit in memory are gathered and trained on there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeword import keys, runtime
from codeword.sources import Rows
from codeword.training import kmeans, seeding
from codeword.training.lloyd import Training, passes
from codeword.training.moments import ColumnMoments, Grid
from codeword.training.statistics import Mapper, Plan, Statistics, Survey

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
T = TypeVar("T")
# What the interpreter, the allocator and each thread of the kernels need apart from the arrays that are counted.
_FIXED = 16 << 20
_A_THREAD = 2 << 20
_LEAST_STEP = 1024
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


class Task:
    """Something that wants to see all rows once, or some of all."""

    shared: int | None = None
    """Tasks for which this is the same number choose the same rows of a block."""
    columns: slice | None = None
    """What it wants to see of a row; None for all."""

    def choose(self, X: NDArray[Any], weight: F32 | None, first: int) -> Selection:
        """The rows that it wants of `X` (n, its columns; all columns for tasks that choose alike), the first being row `first`."""
        return Selection(X, weight, first, first)

    def see(self, rows: Selection) -> None:
        """See the rows that it chose."""
        raise NotImplementedError

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


class Largest(Task):
    """The `count` largest squared distances from the median row, of rows of weight above 0; fewer where there are fewer."""

    def __init__(self, fence: seeding.Fence, columns: slice, count: int) -> None:
        self._fence, self.columns, self._count = fence, columns, count
        self._held: list[F64] = []
        self._size, self._least = 0, -1.0

    def see(self, rows: Selection) -> None:
        squares = self._fence.squares(rows.X)
        if rows.weight is not None:
            squares = squares[rows.weight > 0]
        squares = squares[squares > self._least]
        self._held.append(squares)
        self._size += len(squares)
        if self._size > 2 * self._count:
            self._cut()

    def values(self) -> F64:
        """The values, rising."""
        self._cut()
        return np.sort(self._held[0])

    def _cut(self) -> None:
        held = np.concatenate(self._held)
        if len(held) > self._count:
            held = np.partition(held, len(held) - self._count)[len(held) - self._count :]
            self._least = float(held.min())
        self._held, self._size = [held], len(held)


@dataclass(frozen=True, eq=False)
class Part:
    """Which rows a level of training sees: those that are kept, or those of them with the smallest keys.

    Kept are rows of weight above 0 that are no outliers. They are numbered anew, 0 to `kept` - 1, for the keys, as in a training
    in memory, which drops the others.
    """

    columns: slice
    fence: seeding.Fence
    seed: int
    n: int
    """All rows."""
    kept: int
    size: int
    """Rows of the part."""
    stream: int = kmeans.PART_STREAM
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


class Surveyed(Chosen):
    """The survey of the rows of a part."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self.survey: Survey | None = None

    def see(self, rows: Selection) -> None:
        if not len(rows.X):
            return
        new = Survey.of(rows.X, rows.weight, rows.kept if isinstance(rows.kept, int) else int(rows.kept[0]))
        self.survey = new if self.survey is None else self.survey.merged(new)


class Both(Task):
    """Two tasks in one pass."""

    def __init__(self, first: Task, second: Task) -> None:
        self._tasks, self.columns = (first, second), first.columns

    def see(self, rows: Selection) -> None:
        assert isinstance(rows.numbers, int)
        for task in self._tasks:
            task.see(task.choose(rows.X, rows.weight, rows.numbers))


class Assigned(Chosen):
    """The statistics of the rows of a part against a codebook."""

    def __init__(self, part: Part, plan: Plan, codebook: F32) -> None:
        super().__init__(part)
        self._mapper = Mapper(plan, codebook)

    def see(self, rows: Selection) -> None:
        if len(rows.X):
            self._mapper.add_rows(rows.X, rows.weight, rows.numbers)

    @property
    def statistics(self) -> Statistics:
        """Of what was seen."""
        return self._mapper.statistics


def moments_job(moments: ColumnMoments) -> Job[ColumnMoments]:
    """Adds all rows to moments, and returns them."""
    yield Columns(moments)
    return moments


def sample_job(rows: Rows, seed: int, stream: int, size: int) -> Job[F32]:
    """The rows of weight above 0 that ``keys.sample(seed, stream, ..., size)`` draws among those."""
    used = rows.measured.used
    everywhere = seeding.Fence(np.zeros(rows.d, np.float32), np.inf)
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
    least = overhead(rows) + min(rows.n, _LEAST_STEP) * rows.bytes_a_row
    check_cap(rows, least, "")
    return rows.step((rows.cap - least) // 2 + min(rows.n, _LEAST_STEP) * rows.bytes_a_row)


def check_cap(rows: Rows, least: int, what: str) -> None:
    """Raise ValueError that names the least cap where that of the rows is below it."""
    if rows.cap < least:
        raise ValueError(
            f"max_memory: expected at least {-(-least // 10**6)}MB for {what}{rows.n} rows of {rows.d} columns, got {rows.cap} bytes"
        )


def kmeans_job(rows: Rows, columns: slice, settings: kmeans.Settings, most_rows: int, start: F32 | None = None) -> Job[Training]:
    """Learn a codebook of some columns of the rows, with at most `most_rows` of them in memory; with a codebook, go on from that.

    What rows outside a part lose (`Training.unseen`) is not measured.

    Raises
    ------
    ValueError
        If there are fewer rows (of weight above 0) than codewords.
    """
    n, used = rows.measured.n, rows.measured.used
    kmeans.check_enough(used, settings.k, rows.measured.heaviest is not None)
    sample = Pick(seeding.median_sample(n, settings.seed), columns)
    yield sample
    median = seeding.median_row(sample.rows)
    largest = Largest(seeding.Fence(median, np.inf), columns, used - seeding.rows_within(used) + 1)
    yield largest
    tail = largest.values()
    near, far = float(tail[0]), seeding.OUTLIER_FACTOR**2 * float(tail[0])
    outliers = int((tail > far).sum())
    trimmed = outliers if settings.trim and used - outliers >= settings.k else 0
    fence = seeding.Fence(median, near, far if trimmed else np.inf)
    result = yield from _levels(
        rows, Part(columns, fence, settings.seed, n, used - trimmed, used - trimmed), settings, most_rows, start
    )
    result.rows, result.not_seeded, result.trimmed = used, int((tail > near).sum()), trimmed
    return result


def _levels(rows: Rows, whole: Part, settings: kmeans.Settings, most_rows: int, codebook: F32 | None) -> Job[Training]:
    """Seed, then train level by level, as `kmeans.train` does: in memory while that has room, in passes over the rows after that."""
    sizes = kmeans.level_sizes(whole.kept, settings, codebook is not None)
    seeds = 0 if codebook is not None else min(sizes[-1], settings.effort.seed_rows * settings.k)
    in_memory = max([seeds or 1, *(size for size in sizes if size <= most_rows)])
    most_passes = kmeans.passes_a_level(sizes, settings)
    gathered: Gathered | None = Gathered(replace(whole, size=in_memory), rows.measured.heaviest is not None)
    assert gathered is not None
    plan = yield from _plan(rows, whole, gathered)
    if codebook is None:
        codebook = kmeans.first_codebook(*gathered.smaller(seeds), settings, plan)
    levels: list[tuple[int, int]] = []
    done: list[kmeans.Pass] = []
    for size in sizes:
        if gathered is not None and size <= in_memory:
            X, weight, inside = gathered.smaller(size)
            result = kmeans.lloyd(X, codebook, weight, most_passes, settings.tol, inside, relaxation=settings.relaxation, plan=plan)
            del X
        else:
            gathered = None
            result = yield from _passes(replace(whole, size=size), plan, codebook, most_passes, settings)
        codebook = result.codebook
        levels.append((size, len(result.history)))
        done += result.passes
    result.levels, result.passes = levels, done
    return result


def _plan(rows: Rows, whole: Part, gathered: Gathered) -> Job[Plan]:
    """Gather, and find the plan for the rows that are kept."""
    columns, measured = whole.columns, rows.measured
    low, high = measured.low[columns].astype(np.float32), measured.high[columns].astype(np.float32)
    heaviest = measured.heaviest
    if whole.fence.trims:
        surveyed = Surveyed(whole)
        yield Both(gathered, surveyed)
        assert surveyed.survey is not None
        low, high, heaviest = surveyed.survey.low, surveyed.survey.high, surveyed.survey.heaviest
    else:
        yield gathered
    return Plan(whole.n, low, high, heaviest, whole.fence)


def _passes(part: Part, plan: Plan, codebook: F32, most: int, settings: kmeans.Settings) -> Job[Training]:
    """Lloyd's passes over the rows of a part."""
    dialogue = passes(plan, codebook, part.size, most, settings.tol, settings.relaxation)
    try:
        asked = next(dialogue)
        while True:
            task = Assigned(part, plan, asked)
            yield task
            asked = dialogue.send(task.statistics)
    except StopIteration as end:
        trained: Training = end.value
        return trained


@dataclass(frozen=True)
class Budget:
    """How a cap is spent."""

    step: int
    """Rows of a block."""
    most_rows: int
    """Rows to hold in memory for the first levels of training."""

    @classmethod
    def of(cls, rows: Rows, settings: kmeans.Settings, widths: list[int]) -> Budget:
        """For m codebooks of these widths (m,).

        Raises
        ------
        ValueError
            If the cap is too small; the message names the least.
        """
        n, m, d, k = rows.n, len(widths), sum(widths), settings.k
        # A codebook, packed for two filters, its sums and those of the pass before, far rows; twice float64 for one step.
        model = 52 * k * d + 40 * k * max(widths) + 8 * min(k, 1200) ** 2
        tails = 40 * m * (n // 100 + 2)
        fixed = overhead(rows) + model + tails
        # Rows of all pieces with their numbers, and labels, distances and keys of the piece that is being trained.
        held = 4 * d + 8 * m + 128
        # A part of half the rows, all pieces side by side, and what one of them needs.
        block = rows.bytes_a_row + (6 * d if m > 1 else 2 * d) + 4 * max(widths) + 96
        seeds = min(n, settings.effort.seed_rows * k)
        least = fixed + seeds * held + min(n, _LEAST_STEP) * block
        check_cap(rows, least, f"{m} codebook{'s' if m > 1 else ''} of {k} codewords and ")
        room = rows.cap - fixed
        step = rows.step(max((room - seeds * held) // 3, min(n, _LEAST_STEP) * block), block - rows.bytes_a_row)
        room -= step * block
        copy = 4 * max(widths)  # of the seeds, or of a part, a quarter of what is held
        return cls(step, max(seeds, min((room - seeds * copy) // held, room // (held + copy // 4))))


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
