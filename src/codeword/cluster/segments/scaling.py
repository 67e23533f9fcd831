"""Columns of any spread and skewness on one scale: logarithm or ranks where skewed, then over the spread of the middle half.

X (n, d) float64, original units --log, ranks or as it is--> - median, / quartile range --clipped--> (n, d) float32
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
WAYS = ("as it is", "logarithm", "ranks")
_SKEWED = 1.0
_STILL_SKEWED = 1.5
_KNOTS = 129
# Of a Gaussian, the quartiles are 1.349 standard deviations apart.
_QUARTILES = 1.349
_CLIP = 3.5


@dataclass(frozen=True)
class Scaling:
    """How each of d columns is scaled."""

    ways: tuple[str, ...]
    floor: F64
    """(d,) smallest value of the data, below which a logarithm does not go."""
    offset: F64
    """(d,) added before a logarithm."""
    knots: F64
    """(d, 129) quantiles of the data, which ranks are read from."""
    centre: F64
    spread: F64
    """(d,) median and spread of what the first step gives."""

    def apply(self, X: F64) -> F32:
        """Rows (n, d) in original units, scaled; a row depends on itself alone."""
        out = np.empty(X.shape, np.float32)
        for j, way in enumerate(self.ways):
            bent = _bend(X[:, j], way, self.floor[j], self.offset[j], self.knots[j])
            out[:, j] = np.clip((bent - self.centre[j]) / self.spread[j], -_CLIP, _CLIP)
        return out

    def sentence(self, names: Sequence[str]) -> str:
        """What is done, in words."""
        by_way = [(way, [n for n, w in zip(names, self.ways, strict=True) if w == way]) for way in WAYS]
        said = [
            f"{', '.join(some)} {'as a' if way == 'logarithm' else 'by' if way == 'ranks' else ''} {way}"
            for way, some in by_way
            if some
        ]
        return f"Before comparing: {'; '.join(' '.join(s.split()) for s in said)}. Then each over the spread of its middle half."


def fit(X: F64) -> Scaling:
    """Choose how to scale the columns of rows (n, d)."""
    d = X.shape[1]
    ways, floor, offset, centre, spread = [], X.min(axis=0), np.zeros(d), np.zeros(d), np.ones(d)
    knots = np.quantile(X, np.linspace(0, 1, _KNOTS), axis=0).T
    for j in range(d):
        x = X[:, j]
        if floor[j] == 0 and x.max() > 0:
            offset[j] = np.quantile(x[x > 0], 0.1)
        way = _way(x, float(floor[j]), float(offset[j]))
        bent = _bend(x, way, floor[j], offset[j], knots[j])
        low, middle, high = np.quantile(bent, [0.25, 0.5, 0.75])
        ways.append(way)
        centre[j] = middle
        spread[j] = (high - low) / _QUARTILES or bent.std() or 1.0
    return Scaling(tuple(ways), floor, offset, np.ascontiguousarray(knots), centre, spread)


def _way(x: F64, floor: float, offset: float) -> str:
    if abs(_skewness(x)) <= _SKEWED:
        return "as it is"
    if floor >= 0 and floor + offset > 0 and abs(_skewness(np.log(x + offset))) <= _STILL_SKEWED:
        return "logarithm"
    return "ranks"


def _bend(x: F64, way: str, floor: Any, offset: Any, knots: F64) -> F64:
    if way == "logarithm":
        return np.asarray(np.log(np.maximum(x, floor) + offset))
    if way == "ranks":
        levels = np.linspace(0, 1, len(knots))
        # Equal values are many knots: their rank is the middle of those.
        upper = np.interp(x, *_distinct(knots, levels, last=True))
        return np.asarray((np.interp(x, *_distinct(knots, levels, last=False)) + upper) / 2)
    return x


def _distinct(knots: F64, levels: F64, last: bool) -> tuple[F64, F64]:
    """Knots without repetitions, each with its last or first level."""
    rises = np.diff(knots) > 0
    keep = np.append(rises, True) if last else np.append(True, rises)
    return knots[keep], levels[keep]


def _skewness(x: F64) -> float:
    centred = x - x.mean()
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**3)) / variance**1.5 if variance > 0 else 0.0
