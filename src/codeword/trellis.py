"""The bitshift trellis code that `TrellisQuantizer` is made of: tables, allocation of bits to steps, the native coder.

A code is a circular bit string. Each step appends 1 to 6 bits and codes one coordinate, or up to eight. A
reconstruction is looked up in a table of 256 values by a linear hash of the last `window` bits, those of the step included:

    index = newest 8 bits ^ folds[8 bits before]        x̂ = values[index] * scale + mean

With the newest bit highest and values that rise with the index at first (training moves them), the branches that leave a state are
spread over the whole range, as Ungerboeck's set partitioning wants it; folds and order of values spread those that meet in one too.
Layout and metrics: TrellisCode in native/kernels.h. Tables: tools/trellis_tables.py. Measurements: docs/trellis.md.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, powers

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
I16 = NDArray[np.int16]

WINDOWS = (8, 9, 10, 12, 16)
MAX_WIDTH = 6
KINDS = (*((width, 1) for width in range(1, MAX_WIDTH + 1)), (1, 2), (1, 4), (1, 8), (3, 2), (5, 2), (3, 4))
"""Kinds of steps that there are tables for: bits, and coordinates that share them."""
UNIT = 8192
"""Table values are int16 in units of 1 / 8192 of a coordinate's scale."""
LEVELS = 1024
"""Levels that the encoder rounds a coordinate to, 64 units apart, around 0."""
LEAST_STRESS, MOST_STRESS = -24, 4
"""Of coordinates, in eighths of powers of two; above that, costs would reach 255 too soon."""
# They are multiples of 2, or of 4 where columns differ so much that there would be many grids of costs.
_FINE, _COARSE, _FEW, _MIDDLE = 2, 4, 8, -4
_FILE = Path(__file__).with_name("trellis_tables.npz")


def table_numbers(width: int, group: int) -> range:
    """Rows of `Tables.values` for the coordinates of a step of `width` bits for `group` coordinates."""
    first = sum(g for _, g in KINDS[: KINDS.index((width, group))])
    return range(first, first + group)


def table_rates() -> NDArray[np.float64]:
    """Bits a coordinate (28,) of each row of `Tables.values`."""
    return np.concatenate([np.full(group, width / group) for width, group in KINDS])


@dataclass(frozen=True)
class Tables:
    """What a decoder needs: part of the format of every file that uses them.

    Attributes
    ----------
    window : int
        Bits that an index depends on, 8 to 16.
    columns : ndarray (8,) uint8
        What the 9th, 10th, ... newest bit adds to the index (exclusive or); 0 from the window on.
    values : ndarray (28, 256) int16
        Reconstructions in units of 1 / 8192; see `table_numbers`.
    weights : ndarray (28,) float32
        What a squared error as large as the expected distortion costs in the encoder's metric of 0 to 255: the more, the finer
        it is, and the sooner it saturates. No part of the format.
    distortions : ndarray (28,) float32
        Mean squared error of each table on coordinates of variance 1. No part of the format.
    """

    window: int
    columns: U8
    values: I16
    weights: F32
    distortions: F32

    @property
    def folds(self) -> U8:
        """Exclusive or of the columns that a byte of older bits (newest highest) selects, (256,)."""
        byte = np.arange(256)
        picked = np.where(byte[:, None] >> np.arange(7, -1, -1) & 1, self.columns, 0)
        return np.asarray(np.bitwise_xor.reduce(picked, axis=1), np.uint8)


@functools.cache
def shipped(window: int) -> Tables:
    """The tables of this package for a window of 8, 9, 10, 12 or 16 bits."""
    with np.load(_FILE, allow_pickle=False) as arrays:
        return Tables(window, *(arrays[f"{name}_{window}"] for name in ("columns", "values", "weights", "distortions")))


@functools.cache
def byte_tables() -> Tables:
    """Tables for a window of 12 bits whose values are bytes times one step a kind, up to 4 bits.

    They are equal under periods (exclusive ors of the index), so that 64 rows up to 2 bits and 128 at 3 are all that
    there is to look up. Against `shipped` this costs 0 to .03 dB up to 3 bits and .07 at 4.
    """
    with np.load(_FILE, allow_pickle=False) as arrays:
        return Tables(12, *(arrays[f"{name}_bytes"] for name in ("columns", "values", "weights", "distortions")))


def costs(values: I16, rate: float, group: int, weight: float) -> U8:
    """Cost (1024, 256) uint8 of each index for each level of a coordinate, indices with their bits reversed.

    ``min(255, weight (e² - min e²) / D)`` rounded, with the distortion ``D = group * 4**-rate`` of a step; integers throughout.
    """
    levels = (np.arange(LEVELS, dtype=np.int64) - LEVELS // 2) * (UNIT // 128)
    error = (levels[:, None] - values.astype(np.int64)) ** 2
    error -= error.min(axis=1, keepdims=True)
    factor = round(weight * 4.0**rate / group * 2**14)  # error < 2^33, factor < 2^29 as weight <= 8
    cost = np.minimum((error * factor + 2**39) >> 40, 255).astype(np.uint8)
    return np.ascontiguousarray(cost[:, reversed_bytes()])


def reversed_bytes() -> NDArray[np.int64]:
    """Each byte (256,) with its bits in the other order."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    return np.asarray((bits << np.arange(7, -1, -1)).sum(axis=1))


@dataclass(frozen=True)
class Layout:
    """Which step codes which coordinates with how many bits.

    Attributes
    ----------
    steps : ndarray (steps, 3) int32
        Bits of the step, 1 to 6; its group: both a kind of `KINDS`; its coordinates, at most its group, 0 for spare bits.
        The bits together are a whole number of bytes.
    columns : ndarray (coordinates,) int32
        Column of each coordinate, step by step.
    """

    steps: NDArray[np.int32]
    columns: NDArray[np.int32]

    @classmethod
    def of_widths(cls, widths: NDArray[np.integer]) -> Layout:
        """One coordinate a step for each column (d,) of more than 0 bits, in order; then spare bits up to a whole byte."""
        columns = np.flatnonzero(widths)
        steps = [(int(widths[j]), 1, 1) for j in columns]
        total = int(widths.sum())
        return cls._padded(steps, columns, max(1, -(-total // 8)))

    @classmethod
    def evenly(cls, columns: NDArray[np.integer], code_size: int) -> Layout:
        """The bits of `code_size` bytes for `columns`: steps of the two kinds whose rates are nearest, spread evenly.

        Above 1 bit these have whole bits: where errors of both cost the same, taking turns loses less than 3 or 5 bits for two. At
        1.5 bits, 3 bits for two lose no more, and are found in half the time.
        """
        n, total = len(columns), 8 * code_size
        fit = [(w, g) for w, g in KINDS if g == 1 or w < g or ((w, g) == (3, 2) and w * n == g * total)]
        kinds = sorted(fit, key=lambda kind: kind[0] / kind[1])
        at = max((i for i, (w, g) in enumerate(kinds) if w * n <= g * total), default=0)
        (w1, g1), (w2, g2) = kinds[at], kinds[min(at + 1, len(kinds) - 1)]
        more = min((total * g1 - w1 * n) // (w2 * g1 - w1 * g2), -(-n // g2)) if (w1, g1) != (w2, g2) and w1 * n < g1 * total else 0
        while True:
            fewer = -(-max(n - more * g2, 0) // g1)
            if fewer * w1 + more * w2 <= total or more == 0:
                break
            more -= 1
        fewer = min(fewer, (total - more * w2) // w1)
        second = spread(more, fewer + more)
        groups = np.where(second, g2, g1)
        counts = np.minimum(groups, np.maximum(n - np.cumsum(groups) + groups, 0))
        steps = list(zip(np.where(second, w2, w1).tolist(), groups.tolist(), counts.tolist(), strict=True))
        return cls._padded(steps, columns[: int(counts.sum())], code_size)

    @classmethod
    def _padded(cls, steps: list[tuple[int, int, int]], columns: NDArray[np.integer], code_size: int) -> Layout:
        spare = 8 * code_size - sum(width for width, _, _ in steps)
        padded = [*steps, *[(1, 1, 0)] * spare]
        return cls(np.array(padded, np.int32).reshape(-1, 3), columns.astype(np.int32))

    @property
    def code_size(self) -> int:
        """Bytes of a code."""
        return int(self.steps[:, 0].sum()) // 8

    @property
    def tables(self) -> U8:
        """Row of `Tables.values` of each coordinate."""
        return np.array([t for w, g, c in self.steps.tolist() for t in table_numbers(w, g)[:c]], np.uint8)


def spread(ones: int, n: int) -> NDArray[np.bool_]:
    """`ones` true entries among `n`, evenly spaced."""
    marks = np.arange(n + 1) * ones // max(n, 1)
    return marks[1:] > marks[:-1]


def stresses(tables: Tables, layout: Layout, scale: NDArray[np.float64]) -> NDArray[np.int8]:
    """How much more errors of each coordinate (coordinates,) count in the search than its table's weight says: ``2**(stress / 8)``.

    A table's own weight holds an error against what is usual at its rate. Where rates or scales differ that is not what errors are
    worth: equal squared errors of rows are to cost the same in all columns, so the squares of the scales decide.
    """
    kinds = np.array([kind for kind in KINDS for _ in range(kind[1])])[layout.tables]
    own = tables.weights[layout.tables].astype(np.float64) * 4.0 ** table_rates()[layout.tables] / kinds[:, 1]
    wanted = scale[layout.columns] ** 2
    ratio = 8.0 * powers.log2(np.where(wanted > 0, wanted, 1.0) / own)
    if not len(ratio) or ratio.max() - ratio.min() < 1.0:
        return np.zeros(len(ratio), np.int8)
    step = _FINE if len(np.unique(np.rint(ratio / _FINE))) <= _FEW else _COARSE
    ratio += _MIDDLE - np.add.accumulate(ratio)[-1] / len(ratio)
    return np.asarray(np.clip(step * np.rint(ratio / step), LEAST_STRESS, MOST_STRESS), np.int8)


def coder(tables: Tables, layout: Layout, mean: NDArray[np.float64], scale: NDArray[np.float64], warm: int) -> _native.Trellis:
    """The native coder of rows (n, d) with columns of this `mean` and `scale` (d,)."""
    return _native.Trellis(**arguments(tables, layout, mean, scale, warm))


def arguments(
    tables: Tables,
    layout: Layout,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    warm: int,
    stress: NDArray[np.int8] | None = None,
) -> dict[str, Any]:
    """The fields of a TrellisCode (native/kernels.h), which the native coder and its twin in `reference` are made with.

    `stress` (coordinates,) is that of `stresses`; without it errors count as the tables say.
    """
    used, numbers = np.unique(layout.tables, return_inverse=True)
    stress = np.zeros(len(layout.columns), np.int8) if stress is None else stress
    pairs, grids = np.unique(np.stack([layout.tables.astype(np.int64), stress]), axis=1, return_inverse=True)
    grid = [_cached_costs(tables.values[t].tobytes(), t, float(tables.weights[t]), s) for t, s in pairs.T.tolist()]
    scales = scale[layout.columns].astype(np.float32)
    inverses = np.zeros_like(scales)
    np.divide(128.0, scales, out=inverses, where=scales > 1e-30)
    return {
        "folds": tables.folds,
        "widths": layout.steps[:, 0].astype(np.uint8),
        "firsts": np.concatenate([[0], np.cumsum(layout.steps[:, 2])]).astype(np.int32),
        "columns": layout.columns,
        "tables": numbers.astype(np.uint8),
        "grids": grids.astype(np.uint8).ravel(),
        "means": mean[layout.columns].astype(np.float32),
        "inverses": inverses,
        "scales": scales / np.float32(UNIT),
        "fill": mean.astype(np.float32),
        "values": tables.values[used].ravel(),
        "costs": np.concatenate(grid or [np.zeros(0, np.uint8)]),
        "window": tables.window,
        "warm": warm,
    }


@functools.lru_cache(maxsize=64)
def _cached_costs(values: bytes, table: int, weight: float, stress: int) -> U8:
    width, group = [kind for kind in KINDS for _ in range(kind[1])][table]
    stressed = weight * float(powers.exp2(stress / 8))
    return costs(np.frombuffer(values, np.int16), width / group, group, min(stressed, 8.0)).ravel()
