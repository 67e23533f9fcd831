"""Mergeable statistics: one pass of k-means over rows that lie in any number of parts, on any number of machines.

    rows of a shard --Survey--> merge --> Plan --map(codebook, rows)--> Statistics --merge--> finish --> next codebook

A first pass surveys the columns; from that a plan fixes, for all shards alike, the grids on which rows are summed. Everything
that is summed after that is an integer, and ties go to the lowest row, so the next codebook is the same, bit for bit, for any
split into shards, any order of merging and any number of workers, and it is what `codeword.training.kmeans.lloyd` gives for all
rows in memory. Surveys, plans and statistics travel as bytes (`to_bytes`, `from_bytes`); nothing is pickled.

Source: Chu et al. 2006, "Map-reduce for machine learning on multicore"; exact sums after Neal 2015 (`codeword.training.sums`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from codeword import _native
from codeword.training import arrays, sums
from codeword.training.nearest import nearest, pack
from codeword.training.seeding import Fence
from codeword.training.sums import Total

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Ranges = tuple[tuple[int, int], ...]
"""Disjoint ranges (first row, row after the last) of global row numbers, rising; neighbours are joined."""
_VERSION = b"codeword statistics 1"


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass tells of rows: how many there are and where they lie.

    Examples
    --------
    >>> X = np.array([[1, 8], [2, 7], [3, 9]], np.float32)
    >>> whole = merge([Survey.of(X[2:], first=2), Survey.of(X[:2])])
    >>> whole.covers, whole.low, whole.high
    (((0, 3),), array([1., 7.], dtype=float32), array([3., 9.], dtype=float32))
    """

    covers: Ranges
    """Which rows it is of."""
    low: F32
    """(d,) lowest entry of each column, of rows of weight above 0; infinity where there are none."""
    high: F32
    """(d,) highest entry."""
    heaviest: float | None = None
    """Largest weight; None for rows without weights."""

    @classmethod
    def of(cls, X: F32, weight: F32 | None = None, first: int = 0) -> Survey:
        """Survey rows `X` (n, d), finite, with weights (n,), that begin at global row `first`."""
        covers = ((first, first + len(X)),) if len(X) else ()
        used = X if weight is None or weight.all() else X[weight > 0]
        if len(used):
            low, high = sums.column_range(used)
        else:
            low = np.full(X.shape[1], np.inf, np.float32)
            high = -low
        return cls(covers, low, high, None if weight is None else float(weight.max(initial=0)))

    @property
    def n(self) -> int:
        """Rows covered."""
        return sum(stop - start for start, stop in self.covers)

    def merged(self, other: Survey) -> Survey:
        """The survey of both; see `merge`."""
        covers = joined(self.covers, other.covers)
        if len(self.low) != len(other.low) or (self.heaviest is None) != (other.heaviest is None):
            raise ValueError("survey: expected shards of one width, all with weights or all without")
        heaviest = None if self.heaviest is None or other.heaviest is None else max(self.heaviest, other.heaviest)
        return Survey(covers, np.minimum(self.low, other.low), np.maximum(self.high, other.high), heaviest)

    def to_bytes(self) -> bytes:
        """As bytes, for another process."""
        heaviest = np.nan if self.heaviest is None else self.heaviest
        return arrays.to_bytes(covers=self.covers, low=self.low, high=self.high, heaviest=heaviest)

    @classmethod
    def from_bytes(cls, data: bytes) -> Survey:
        """The survey that `to_bytes` wrote."""
        A = arrays.from_bytes(data, "covers", "low", "high", "heaviest")
        return cls(_ranges(A["covers"]), A["low"], A["high"], arrays.optional(A["heaviest"]))


@dataclass(frozen=True, eq=False)
class Plan:
    """What all shards agree on before they are mapped: exponents of sums and weights, and which rows count.

    Parameters
    ----------
    n : int
        Rows of all shards: they are rows 0 to n - 1.
    low, high : ndarray (d,) float32
        Range of each column, over the rows that count.
    heaviest : float, optional
        Largest weight; None for rows without weights.
    fence : Fence, optional
        Which rows are outliers, left out, and which may not become codewords. By default all rows count.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [9.0], [11.0]], np.float32)
    >>> plan = Plan.of(Survey.of(X))
    >>> codebook = X[:2]
    >>> halves = [plan.map(codebook, X[2:], first=2), plan.map(codebook, X[:2])]
    >>> plan.finish(codebook, merge(halves))
    array([[0.],
           [7.]], dtype=float32)
    >>> plan.finish(codebook, halves[0])
    Traceback (most recent call last):
    ...
    ValueError: statistics: expected those of all 4 rows, missing are rows 0 to 1
    """

    n: int
    low: F32
    high: F32
    heaviest: float | None = None
    fence: Fence | None = None
    exponents: I32 = field(init=False, repr=False)
    """(d,): column j is summed in units of ``2**-exponents[j]``."""
    weight_exponent: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        heaviest = 1.0 if self.heaviest is None else self.heaviest
        largest = np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float64) * heaviest
        exponent = 0 if self.heaviest is None else int(sums.grid(np.array([heaviest]), self.n)[0])
        object.__setattr__(self, "exponents", sums.grid(largest, self.n))
        object.__setattr__(self, "weight_exponent", exponent)

    @classmethod
    def of(cls, survey: Survey, fence: Fence | None = None) -> Plan:
        """The plan for the rows of a survey, which must be rows 0 to n - 1 without gaps.

        Raises
        ------
        ValueError
            If rows are missing, or none has a weight above 0.
        """
        missing = _missing(survey.covers, survey.covers[-1][1] if survey.covers else 1)
        if missing:
            raise ValueError(f"survey: expected rows from 0 on without gaps, missing are {missing}")
        if survey.low[0] > survey.high[0]:
            raise ValueError("survey: expected at least one row of weight above 0")
        return cls(survey.n, survey.low, survey.high, survey.heaviest, fence)

    def fingerprint(self, codebook: F32) -> bytes:
        """16 bytes that tell whether two statistics are of this plan and this codebook (k, d)."""
        digest = hashlib.blake2b(_VERSION, digest_size=16)
        fence = [] if self.fence is None else [self.fence.median, np.array([self.fence.near, self.fence.far])]
        weighted = self.heaviest is not None
        for A in (np.array([self.n, weighted, self.weight_exponent, len(codebook)]), self.exponents, self.low, self.high, *fence):
            digest.update(A.astype(A.dtype.newbyteorder("<")).tobytes())
        digest.update(np.ascontiguousarray(codebook, "<f4").data)
        return digest.digest()

    def map(self, codebook: F32, X: F32, weight: F32 | None = None, first: int = 0) -> Statistics:
        """The statistics of a shard.

        Parameters
        ----------
        codebook : ndarray (k, d) float32
        X : ndarray (n, d) float32
            Finite rows within the plan's range, as `codeword.checks.rows` returns them.
        weight : ndarray (n,) float32, optional
            At least 0 and at most the plan's heaviest; given exactly if the plan has one.
        first : int
            Global number of the shard's first row.
        """
        mapper = Mapper(self, codebook)
        mapper.add(X, weight, first)
        return replace(mapper.statistics, fingerprint=self.fingerprint(codebook))

    def finish(self, codebook: F32, statistics: Statistics, step: float = 1.0) -> F32:
        """The next codebook (k, d): each codeword `step` times the way to the mean of its rows, empty ones on far rows.

        Raises
        ------
        ValueError
            If the statistics are of another plan or codebook, or do not cover all rows.
        """
        if statistics.fingerprint != self.fingerprint(codebook):
            raise ValueError("statistics: they were taken with another plan or codebook")
        missing = _missing(statistics.covers, self.n)
        if missing:
            raise ValueError(f"statistics: expected those of all {self.n} rows, missing are {missing}")
        moved = self.step_to_means(codebook, statistics, step)
        repair(moved, statistics)
        return moved

    def counts(self, statistics: Taken) -> F64:
        """Weight of the rows of each cell (k,)."""
        return np.ldexp(statistics.mass.astype(np.float64), -self.weight_exponent)

    def distortion(self, statistics: Taken) -> float:
        """Mean squared error for each row and dimension of the codebook that the statistics were taken with."""
        weight = float(np.ldexp(float(sum(statistics.mass.tolist())), -self.weight_exponent))
        return float(statistics.loss) / weight / len(self.low)

    def step_to_means(self, codebook: F32, statistics: Taken, step: float = 1.0) -> F32:
        """Move the codewords (k, d) `step` times the way to the means of their rows, within the range of the data.

        An empty cell keeps its codeword. Rounded to the codebook's dtype once, at the end.
        """
        mass = self.counts(statistics)
        full = mass > 0
        target = np.ldexp(statistics.sums[full].astype(np.float64), -self.exponents) / mass[full, None]
        if step != 1.0:
            start = codebook[full].astype(np.float64)
            target = np.clip(start + step * (target - start), self.low, self.high)
        moved = codebook.copy()
        moved[full] = target.astype(codebook.dtype)
        return moved

    def to_bytes(self) -> bytes:
        """As bytes, for another process."""
        heaviest = np.nan if self.heaviest is None else self.heaviest
        fence = np.zeros(0) if self.fence is None else np.concatenate([[self.fence.near, self.fence.far], self.fence.median])
        return arrays.to_bytes(n=self.n, low=self.low, high=self.high, heaviest=heaviest, fence=fence)

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """The plan that `to_bytes` wrote."""
        A = arrays.from_bytes(data, "n", "low", "high", "heaviest", "fence")
        fence = A["fence"]
        made = Fence(fence[2:].astype(np.float32), float(fence[0]), float(fence[1])) if len(fence) else None
        return cls(int(A["n"]), A["low"], A["high"], arrays.optional(A["heaviest"]), made)


@dataclass(eq=False)
class Farthest:
    """The row of each cell that adds most to the distortion, of those that may become codewords; ties go to the lowest."""

    loss: F64
    """(k,) weighted squared distance; 0 where there is no such row."""
    row: I64
    """(k,) global row numbers."""
    values: F32
    """(k, d) the rows themselves."""

    @classmethod
    def none(cls, k: int, d: int, dtype: DTypeLike = np.float32) -> Farthest:
        """No row yet."""
        return cls(np.zeros(k), np.zeros(k, np.int64), np.zeros((k, d), dtype))

    def merged(self, other: Farthest) -> Farthest:
        """The farther row of each cell."""
        theirs = (other.loss > self.loss) | ((other.loss == self.loss) & (other.row < self.row))
        loss, row = np.where(theirs, other.loss, self.loss), np.where(theirs, other.row, self.row)
        return Farthest(loss, row, np.where(theirs[:, None], other.values, self.values))


class Taken(Protocol):
    """What the next codebook is made from: `Statistics`, or the cells of rows in memory, which find far rows on demand."""

    @property
    def sums(self) -> I64: ...
    @property
    def mass(self) -> I64: ...
    @property
    def loss(self) -> Total: ...
    @property
    def farthest(self) -> Farthest: ...
    @property
    def moved(self) -> int | None:
        """Rows that changed cell; None where that is not known."""


@dataclass(eq=False)
class Statistics:
    """All that the next codebook depends on, of the rows of one or more shards."""

    covers: Ranges
    sums: I64
    """(k, d) sums of weighted rows, in the plan's units."""
    mass: I64
    """(k,) weights, in the plan's units."""
    loss: Total
    """Sum of the weighted squared distances."""
    farthest: Farthest
    fingerprint: bytes = b""
    """`Plan.fingerprint` of what they were taken with; empty while they are in the making."""
    moved: ClassVar[None] = None

    def merged(self, other: Statistics) -> Statistics:
        """The statistics of the rows of both; see `merge`."""
        if self.fingerprint != other.fingerprint or self.sums.shape != other.sums.shape:
            raise ValueError("statistics: the two were taken with different plans or codebooks and cannot be merged")
        return Statistics(
            joined(self.covers, other.covers),
            self.sums + other.sums,
            self.mass + other.mass,
            self.loss.plus(other.loss),
            self.farthest.merged(other.farthest),
            self.fingerprint,
        )

    def to_bytes(self) -> bytes:
        """As bytes, for another process."""
        far = self.farthest
        return arrays.to_bytes(
            covers=self.covers,
            sums=self.sums,
            mass=self.mass,
            loss=self.loss.digits,
            far_loss=far.loss,
            far_row=far.row,
            far_values=far.values,
            fingerprint=np.frombuffer(self.fingerprint, np.uint8),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Statistics:
        """The statistics that `to_bytes` wrote."""
        names = ("covers", "sums", "mass", "loss", "far_loss", "far_row", "far_values", "fingerprint")
        A = arrays.from_bytes(data, *names)
        far = Farthest(A["far_loss"], A["far_row"], A["far_values"])
        loss = Total()
        loss.digits = A["loss"]
        return cls(_ranges(A["covers"]), A["sums"], A["mass"], loss, far, A["fingerprint"].tobytes())


class Mapper:
    """Takes the statistics of rows that come in blocks, in the order of their numbers."""

    def __init__(self, plan: Plan, codebook: F32) -> None:
        self._plan = plan
        self._packed = pack([codebook])
        self._operations = 2 * codebook.size
        k, d = codebook.shape
        self.statistics = Statistics((), np.zeros((k, d), np.int64), np.zeros(k, np.int64), Total(), Farthest.none(k, d))

    def add(self, X: F32, weight: F32 | None, first: int) -> None:
        """Add rows `X` (n, d), which begin at global row `first`; outliers are left out."""
        fence = self._plan.fence
        if len(X):
            self.statistics.covers = joined(self.statistics.covers, ((first, first + len(X)),))
        if fence is None or not fence.trims:
            self.add_rows(X, weight, first)
            return
        kept = np.flatnonzero(fence.squares(X) <= fence.far)
        self.add_rows(X[kept], None if weight is None else weight[kept], kept + first)

    def add_rows(self, X: F32, weight: F32 | None, numbers: int | I64) -> None:
        """Add rows `X` (n, d) without looking for outliers; `numbers` (n,) or the first of them are their global numbers."""
        plan, to = self._plan, self.statistics
        labels, squares = nearest(X, self._packed, self._operations, distances=True)
        assert squares is not None
        labels, squares = labels[:, 0], squares[:, 0]
        _native.accumulate(X, labels, plan.exponents, plan.weight_exponent, to.sums, to.mass, weight, None)
        loss = squares if weight is None else squares * weight
        to.loss.add(loss)
        keep_farthest(to.farthest, X, labels, loss, numbers, plan.fence)


def keep_farthest(far: Farthest, X: F32, labels: I32, loss: F64, numbers: int | I64, fence: Fence | None) -> None:
    """Take farther rows of `X` (n, d) into `far`; their numbers rise and are above those of the rows before."""
    candidates: I64 | None = None
    if fence is not None:
        candidates = np.flatnonzero(loss > far.loss[labels])
        candidates = candidates[fence.squares(X[candidates]) <= fence.near]
        labels, loss = labels[candidates], loss[candidates]
    found = np.full(len(far.loss), -1)
    _native.keep_farthest(np.ascontiguousarray(labels), np.ascontiguousarray(loss), 0, far.loss, found)
    cells = np.flatnonzero(found >= 0)
    if len(cells):
        rows = found[cells] if candidates is None else candidates[found[cells]]
        far.values[cells] = X[rows]
        far.row[cells] = rows + numbers if isinstance(numbers, int) else numbers[rows]


def repair(codebook: F32, statistics: Taken) -> int:
    """Move the codewords (k, d) of empty cells onto rows far from theirs, at most one row from each other cell; returns how many.

    Only rows that are not outliers and lie off their codeword can be taken, so with fewer different rows than codewords the
    rest stay unused (and are reported as dead).
    """
    empty = np.flatnonzero(statistics.mass == 0)
    if not len(empty):
        return 0
    far = statistics.farthest
    cells = np.flatnonzero(far.loss > 0)
    cells = cells[np.lexsort((far.row[cells], -far.loss[cells]))][: len(empty)]
    codebook[empty[: len(cells)]] = far.values[cells]
    return len(cells)


S = TypeVar("S", Survey, Statistics)


def merge(parts: Iterable[S]) -> S:
    """Merge surveys, or statistics, of different rows, in any order; the parts are left as they are.

    Raises
    ------
    ValueError
        If there are none, if a row is in two of them (a shard that came twice, say), or if they were taken with different plans
        or codebooks.
    """
    all_parts: list[Any] = list(parts)
    if not all_parts:
        raise ValueError("parts: expected at least one to merge")
    merged: S = reduce(lambda a, b: a.merged(b), all_parts)
    return merged


def joined(a: Ranges, b: Ranges) -> Ranges:
    """Both sets of rows, neighbours joined; ValueError where they overlap."""
    out: list[tuple[int, int]] = []
    for start, stop in sorted(a + b):
        if out and start < out[-1][1]:
            raise ValueError(f"shards: rows {start} to {min(stop, out[-1][1]) - 1} are in two of them")
        if out and start == out[-1][1]:
            out[-1] = (out[-1][0], stop)
        else:
            out.append((start, stop))
    return tuple(out)


def _missing(covers: Ranges, n: int) -> str:
    """The rows of 0 to n - 1 that are not covered, in words; empty where none are."""
    gaps = []
    at = 0
    for start, stop in (*covers, (n, n)):
        if at < min(start, n):
            gaps.append(f"rows {at} to {min(start, n) - 1}")
        at = max(at, stop)
    return ", ".join(gaps)


def _ranges(A: NDArray[Any]) -> Ranges:
    return tuple((int(start), int(stop)) for start, stop in A.reshape(-1, 2))
