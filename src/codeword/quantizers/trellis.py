"""TrellisQuantizer: the coordinates of a row share bits along a tail-biting bitshift trellis, close to the Shannon bound.

    x (d,) --(x - mean) / scale--> Viterbi search --> a circular bit string of code_size bytes --window look-ups--> x̂ (d,)

Two ways in: `Pipeline([Rotation()], TrellisQuantizer(2.0))` knows nothing of the data but its scale, and
`Pipeline([KLT()], TrellisQuantizer(2.0, allocation="waterfill"))` learns one covariance and gives bits where variance is.

Source: Stewart, Gray & Linde 1982; Marcellin & Fischer 1990 (partitioned alphabets); Tseng et al. 2024, "QTIP" (bitshift trellises,
tail-biting in two passes). The linear hash and its encoder are ours: `codeword.trellis`, docs/trellis.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, registry, trellis, waterfill
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.sources import Rows
from codeword.training.moments import ColumnMoments
from codeword.training.passes import Job, grid, moments_job, plain_step
from codeword.trellis_scorer import ScanForm, TrellisScorer

ALLOCATIONS = ("uniform", "waterfill")
EFFORTS = ("fast", "default", "best")
MAX_STAGES = 2
_WARM = {"fast": 10, "default": 32, "best": 64}
_SHORT = 3  # bytes below which the encoder tries every first state


@dataclass(frozen=True)
class Cap:
    """A limit that the allocation ran into.

    Attributes
    ----------
    limit : str
        What the limit is.
    columns : int
        How many columns it concerns.
    loss_db : float
        What it costs, expected from the variances: dB of distortion above the same code without the limit.
    """

    limit: str
    columns: int
    loss_db: float


@registry.register("trellis")
class TrellisQuantizer(Quantizer):
    """Trellis-coded quantization of every coordinate, 0 to 6 bits each (12 with two stages), all bits of a row shared.

    Parameters
    ----------
    bits : float, or sequence of int (d,)
        Bits a coordinate on average, above 0; fractions are spread evenly, below 1 bit several coordinates share one. Or the
        bits of each column, 0 to 6 a stage. A code is ``ceil(bits * d / 8)`` bytes, all of them used.
    allocation : {"uniform", "waterfill"}
        The same bits for each column (right after `Rotation`), or whole bits by the variance of the columns (after `KLT`).
        Columns that do not vary get none.
    effort : {"fast", "default", "best"}
        Bits of the window that a coordinate is looked up by, and so the states that the encoder searches: 8 to 10, 12 or 16.
        Decoding costs the same. It is part of the code: set it before `fit`.
    stages : int
        1, or 2: a second stage codes what the first leaves of columns that it serves better (those of 5 bits and more), each
        column's bits split as loses least. Each stage takes whole bytes.

    Attributes
    ----------
    widths_ : ndarray (stages, d) float64
        Bits of each column in each stage.
    caps_ : list of Cap
        Limits that the allocation ran into, with what they cost; only after `fit` (not stored in files).

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(500, 64)).astype("f4")
    >>> tq = cw.TrellisQuantizer(2.0).fit(X)
    >>> tq.encode(X).shape, tq.rate
    ((500, 16), 2.0)
    >>> tq.distortion(X).relative < 0.075  # the bound is 1/16; a scalar quantizer reaches 0.117
    True
    """

    widths_: NDArray[np.float64]
    caps_: list[Cap]

    def __init__(self, bits: Any = 2.0, *, allocation: str = "uniform", effort: str = "default", stages: int = 1) -> None:
        self.bits = bits
        self.allocation = allocation
        self.effort = effort
        self.stages = stages

    @property
    def code_size(self) -> int:
        """Bytes per vector."""
        self._check_fitted()
        return sum(layout.code_size for layout in self._layouts)

    def _fit(self, X: F32, weight: F32 | None) -> None:
        self._learned([ColumnMoments.of(X, weight)])

    def _jobs(self, rows: Rows) -> tuple[list[Job[Any]], int]:
        return [moments_job(ColumnMoments(grid(rows)))], plain_step(rows)

    def _learned(self, results: list[Any]) -> None:
        (moments,) = results
        effort = checks.choice(self.effort, "effort", EFFORTS)
        stages = checks.integer(self.stages, "stages", 1, MAX_STAGES)
        self._mean, scale = moments.mean, np.sqrt(moments.variance)
        self.caps_ = []
        layouts = self._allocated(moments.variance, stages)
        tables = [trellis.shipped(_window(effort, layout)) for layout in layouts]
        left = [_left(table, layout, len(scale)) for table, layout in zip(tables, layouts, strict=True)]
        scales = [scale * np.sqrt(np.prod(left[:s], axis=0)) for s in range(len(layouts))]
        # What a stage leaves of a column counts as far as later ones leave it.
        stresses = [
            trellis.stresses(table, layout, scales[s] * np.sqrt(np.prod(left[s + 1 :], axis=0)))
            for s, (table, layout) in enumerate(zip(tables, layouts, strict=True))
        ]
        self._set(layouts, tables, scales, stresses)

    def _allocated(self, variance: NDArray[np.float64], stages: int) -> list[trellis.Layout]:
        """The layout of each stage."""
        d = len(variance)
        if np.ndim(self.bits) > 0:
            widths = np.array([checks.integer(b, f"bits[{i}]", 0, stages * trellis.MAX_WIDTH) for i, b in enumerate(self.bits)])
            if len(widths) != d:
                raise ValueError(f"bits: expected one width for each of the {d} columns, got {len(widths)}")
        else:
            bits = checks.real(self.bits, "bits", 0, stages * trellis.MAX_WIDTH)
            if not bits:
                raise ValueError("bits: expected more than 0, got 0")
            size = int(np.ceil(bits * d / 8))
            if checks.choice(self.allocation, "allocation", ALLOCATIONS) == "uniform":
                return self._evenly(
                    np.flatnonzero(variance > 0), [part for part in (-(-size // stages), size // stages) if part][:stages]
                )
            widths = self._waterfilled(variance, 8 * size, stages)
        first = _first_widths(stages)[widths]
        split = [first, widths - first][:stages]
        return [trellis.Layout.of_widths(part) for s, part in enumerate(split) if s == 0 or part.any()]

    def _evenly(self, live: NDArray[np.integer], sizes: list[int]) -> list[trellis.Layout]:
        layouts = [trellis.Layout.evenly(live, size) for size in sizes]
        missed, width, group = len(live) - len(layouts[0].columns), 1, 8
        if missed:
            share = 1 - missed / len(live)
            loss = 1 - share * (1 - 4.0 ** (-width / group))
            ideal = 4.0 ** (-8 * sizes[0] / len(live))
            self.caps_.append(Cap(f"at most {group} columns share a bit", missed, float(10 * np.log10(loss / ideal))))
        return layouts

    def _waterfilled(self, variance: NDArray[np.float64], total: int, stages: int) -> NDArray[np.integer]:
        most = stages * trellis.MAX_WIDTH
        one, first = _curve(), _first_widths(stages)
        curve = waterfill.convex(one[first] * one[np.arange(most + 1) - first])
        whole = waterfill.allocate(variance, total, curve)
        free = np.concatenate([curve, curve[-1] * 0.25 ** np.arange(1.0, 33.0)])
        wanted = waterfill.allocate(variance, total, free)
        if (wanted > most).any():
            loss = float(variance @ curve[whole]) / float(variance @ free[wanted])
            self.caps_.append(Cap(f"at most {most} bits a column", int((wanted > most).sum()), float(10 * np.log10(loss))))
        return whole

    def _set(
        self,
        layouts: list[trellis.Layout],
        tables: list[trellis.Tables],
        scales: list[NDArray[np.float64]],
        stresses: list[NDArray[np.int8]],
    ) -> None:
        self._layouts, self._tables, self._scales, self._stresses = layouts, tables, scales, stresses
        self._means = [self._mean, *(np.zeros_like(self._mean) for _ in layouts[1:])]
        fields = [
            trellis.arguments(table, layout, mean, scale, 0 if layout.code_size < _SHORT else _WARM[self.effort], stress)
            for table, layout, mean, scale, stress in zip(tables, layouts, self._means, scales, stresses, strict=True)
        ]
        self._coders = [_native.Trellis(**f) for f in fields]
        rates = [trellis.table_rates()[layout.tables] for layout in layouts]
        self._forms = [ScanForm(coder, f, r) for coder, f, r in zip(self._coders, fields, rates, strict=True)]
        self.widths_ = np.zeros((len(layouts), len(self._mean)))
        for row, layout in zip(self.widths_, layouts, strict=True):
            row[layout.columns] = trellis.table_rates()[layout.tables]

    def _encode(self, X: F32) -> U8:
        parts, rest = [], X
        for coder in self._coders:
            parts.append(coder.encode(rest))
            if len(parts) < len(self._coders):
                rest = rest - coder.decode(parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _decode(self, codes_: U8) -> F32:
        out, start = None, 0
        for coder in self._coders:
            part = coder.decode(np.ascontiguousarray(codes_[:, start : start + coder.code_size]))
            out = part if out is None else out + part
            start += coder.code_size
        assert out is not None
        return out

    def _scorer(self, queries: F32, metric: str) -> TrellisScorer:
        return TrellisScorer(self, self._forms, queries, metric)

    def _state(self) -> State:
        state: State = {"mean": self._mean}
        for s, (layout, tables, scale) in enumerate(zip(self._layouts, self._tables, self._scales, strict=True)):
            used = np.unique(layout.tables)
            state[f"steps_{s}"], state[f"columns_{s}"], state[f"scale_{s}"] = layout.steps, layout.columns, scale
            state[f"hash_{s}"], state[f"tables_{s}"] = tables.columns, used
            state[f"window_{s}"] = np.array([tables.window], np.uint8)
            state[f"values_{s}"], state[f"weights_{s}"] = tables.values[used], tables.weights[used]
            if self._stresses[s].any():
                state[f"stress_{s}"] = self._stresses[s]
        return state

    def _load(self, state: State) -> None:
        assert self.d is not None
        checks.choice(self.effort, "effort", EFFORTS)
        self._mean = array(state, "mean", np.float64, (self.d,))
        stages = sum(name.startswith("steps_") for name in state)
        if not 1 <= stages <= MAX_STAGES:
            raise FormatError(f"expected 1 to {MAX_STAGES} stages, got {stages}")
        self._set(
            [_loaded_layout(state, s) for s in range(stages)],
            [_loaded_tables(state, s) for s in range(stages)],
            [array(state, f"scale_{s}", np.float64, (self.d,)) for s in range(stages)],
            [_loaded_stress(state, s) for s in range(stages)],
        )


def _left(tables: trellis.Tables, layout: trellis.Layout, d: int) -> NDArray[np.float64]:
    """Share of the variance (d,) of each column that a stage leaves."""
    left = np.ones(d)
    left[layout.columns] = tables.distortions[layout.tables]
    return left


def _curve() -> NDArray[np.float64]:
    """Distortion (7,) of a coordinate of variance 1 with 0 to 6 bits."""
    distortions = trellis.shipped(12).distortions.astype(np.float64)
    return np.concatenate([[1.0], distortions[: trellis.MAX_WIDTH]])


def _first_widths(stages: int) -> NDArray[np.int64]:
    """Of 0, 1, ... bits of a column, how many the first stage gets: as loses least, all of them where a second stage gains nothing."""
    one, most = _curve(), trellis.MAX_WIDTH
    if stages == 1:
        return np.arange(most + 1)
    options = [range(min(b, most), max(0, b - most) - 1, -1) for b in range(stages * most + 1)]
    return np.array([min(first, key=lambda w: one[w] * one[b - w]) for b, first in enumerate(options)])


def _window(effort: str, layout: trellis.Layout) -> int:
    """The window of an effort; no longer than a third of the code, which the choice of the first state would else bind."""
    if effort == "best":
        wanted = 16
    elif effort == "default":
        wanted = 12
    else:
        widths = layout.steps[:, 0]
        wanted = 8 if widths.mean() <= 2 and widths.max() <= 3 else 9 if widths.mean() <= 3 and widths.max() <= 4 else 10
    longest = min(wanted, 8 * layout.code_size // 3)
    return max(w for w in trellis.WINDOWS if w <= max(longest, trellis.WINDOWS[0]))


def _loaded_layout(state: State, s: int) -> trellis.Layout:
    steps = array(state, f"steps_{s}", np.int32, (None, 3))
    columns = array(state, f"columns_{s}", np.int32, (None,))
    width, group, count = steps.T
    known = all((w, g) in trellis.KINDS for w, g in zip(width.tolist(), group.tolist(), strict=True))
    if not (len(steps) and known and (count >= 0).all() and (count <= group).all()):
        raise FormatError(f"array 'steps_{s}': expected rows of bits, group and coordinates that there are tables for")
    if (np.diff(np.flatnonzero(count == 0), append=len(count)) != 1).any():
        raise FormatError(f"array 'steps_{s}': expected steps without coordinates at the end only")
    if count.sum() != len(columns) or len(np.unique(columns)) != len(columns):
        raise FormatError(f"array 'columns_{s}': expected {count.sum()} different columns, got {len(columns)}")
    return trellis.Layout(steps, columns)


def _loaded_stress(state: State, s: int) -> NDArray[np.int8]:
    """What files of before, and codes of columns that are all alike, do without: zeros."""
    count = len(state[f"columns_{s}"])
    if f"stress_{s}" not in state:
        return np.zeros(count, np.int8)
    stress = array(state, f"stress_{s}", np.int8, (count,))
    if (stress < trellis.LEAST_STRESS).any() or (stress > trellis.MOST_STRESS).any():
        raise FormatError(f"array 'stress_{s}': expected numbers from {trellis.LEAST_STRESS} to {trellis.MOST_STRESS}")
    return stress


def _loaded_tables(state: State, s: int) -> trellis.Tables:
    """Tables with the rows that the file has; the others are never used."""
    used = array(state, f"tables_{s}", np.uint8, (None,))
    most = len(trellis.table_rates())
    if (used >= most).any():
        raise FormatError(f"array 'tables_{s}': expected numbers below {most}")
    values, weights = np.zeros((most, 256), np.int16), np.zeros(most, np.float32)
    values[used] = array(state, f"values_{s}", np.int16, (len(used), 256))
    weights[used] = array(state, f"weights_{s}", np.float32, (len(used),))
    if (weights < 0).any() or (weights > 8).any():
        raise FormatError(f"array 'weights_{s}': expected weights from 0 to 8")
    if not np.isin(_loaded_layout(state, s).tables, used).all():
        raise FormatError(f"array 'tables_{s}': a table that the steps need is missing")
    window = int(array(state, f"window_{s}", np.uint8, (1,))[0])
    columns = array(state, f"hash_{s}", np.uint8, (8,))
    if not 8 <= window <= 16 or columns[window - 8 :].any():
        raise FormatError(f"array 'hash_{s}': expected nothing beyond a window of 8 to 16 bits")
    return trellis.Tables(window, columns, values, weights, np.zeros(most, np.float32))
