"""What segments are like, in the units of the table: quartiles of each column, sizes, value, all customers beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """k segments by d columns."""

    counts: NDArray[np.int64]
    """(k,) customers."""
    quartiles: F64
    """(k, d, 3) lower quartile, median, upper quartile."""
    overall: F64
    """(d, 3) the same of all customers."""
    standing: F64
    """(k, d) share of all customers that are below the median of a segment, those level with it by half."""
    values: F64 | None
    """(k,) what the customers of a segment are worth together; None where the table does not say."""
    categories: dict[str, dict[str, list[float]]]
    """Column, content: its share of each segment (k), and last of all."""

    @property
    def shares(self) -> F64:
        """Share of the customers (k,)."""
        return np.asarray(self.counts / max(1, self.counts.sum()))

    @property
    def value_shares(self) -> F64 | None:
        """Share of the value (k,); None where it is not known or its sum is not above 0."""
        if self.values is None or self.values.sum() <= 0:
            return None
        return np.asarray(self.values / self.values.sum())


def measure(X: F64, labels: NDArray[np.int32], k: int, value: F64 | None, categories: dict[str, NDArray[Any]]) -> Profile:
    """The profile of customers (n, d) with labels (n,) 0 to k - 1, each of which somebody has."""
    d = X.shape[1]
    counts = np.bincount(labels, minlength=k)
    quartiles, standing = np.empty((k, d, 3)), np.empty((k, d))
    ordered = np.sort(X, axis=0)
    for c in range(k):
        quartiles[c] = _quartiles(X[labels == c])
        for j in range(d):
            standing[c, j] = _below(ordered[:, j], quartiles[c, j, 1])
    worth = None if value is None else np.bincount(labels, value, k).astype(np.float64)
    shown = {name: _shares(column, labels, counts) for name, column in categories.items()}
    return Profile(counts, quartiles, _quartiles(X), standing, worth, shown)


def _quartiles(X: F64) -> F64:
    return np.quantile(X, [0.25, 0.5, 0.75], axis=0).T


def _below(ordered: F64, value: float) -> float:
    ends = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
    return float(sum(ends) / 2 / len(ordered))


def _shares(column: NDArray[Any], labels: NDArray[np.int32], counts: NDArray[np.int64]) -> dict[str, list[float]]:
    return {
        str(content): [
            *(np.bincount(labels[column == content], minlength=len(counts)) / np.maximum(1, counts)).tolist(),
            float(np.mean(column == content)),
        ]
        for content in sorted(set(column.tolist()), key=str)
    }
