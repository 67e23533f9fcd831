"""k-means on rows that are read in passes.

`kmeans_job` does what `codeword.training.kmeans.train` does, step by step with the same rows, so it returns the same codebook, bit for
bit; what differs is that rows are looked at again instead of remembered. Parts of the rows that fit in memory are gathered and
trained on there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codeword.sources import Rows
from codeword.training import kmeans, seeding
from codeword.training.lloyd import Training, passes
from codeword.training.passes import LEAST_STEP, Both, Chosen, Gathered, Job, Part, Pick, Selection, Task, check_cap, overhead
from codeword.training.statistics import Mapper, Plan, Statistics, Survey

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


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
        rows, Part(columns, fence, settings.seed, n, used - trimmed, used - trimmed, kmeans.PART_STREAM), settings, most_rows, start
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
        least = fixed + seeds * held + min(n, LEAST_STEP) * block
        check_cap(rows, least, f"{m} codebook{'s' if m > 1 else ''} of {k} codewords and ")
        room = rows.cap - fixed
        step = rows.step(max((room - seeds * held) // 3, min(n, LEAST_STEP) * block), block - rows.bytes_a_row)
        room -= step * block
        copy = 4 * max(widths)  # of the seeds, or of a part, a quarter of what is held
        return cls(step, max(seeds, min((room - seeds * copy) // held, room // (held + copy // 4))))
