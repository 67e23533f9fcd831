"""What a codebook loses on rows that it was not learned from, measured on the way: it costs no further fit.

    part of the rows --train--> codebook --first pass over all rows--> distortion on the part | on the other rows

The other rows are worse off by about ``2 c / p`` with p rows a codeword in the part, half of which more data would win
(reference: Bartlett, Linder & Lugosi 1998; Levrard 2015, the O(1/n) rates): `c` is what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.training import sums
from codeword.training.nearest import nearest, pack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
_SEEN, _OTHER = 401, 402
_ROWS = 1 << 14


class Unseen(NamedTuple):
    """A codebook on rows that it was not learned from."""

    rows: int
    """Rows that it had been learned from then."""
    excess: float
    """Distortion on other rows, over that on these, less 1."""


class FirstLook:
    """Hands assignments on; of the first one it keeps what the rows `seen` lost."""

    def __init__(self, inner: Callable[[F32, Any], tuple[I32, F64]], weight: F32 | None, seen: I64 | None) -> None:
        self.inner, self._weight, self._seen = inner, weight, seen
        self._lost: float | None = None

    def __call__(self, codebook: F32, progress: Any) -> tuple[I32, F64]:
        labels, squares = self.inner(codebook, progress)
        if self._seen is not None and self._lost is None:
            self._lost = sums.total(squares[self._seen], None if self._weight is None else self._weight[self._seen])
        return labels, squares

    def unseen(self, mean: float, n: int) -> Unseen | None:
        """What was measured, `mean` being the mean squared distance of all n rows (weighted) at the first assignment."""
        if self._seen is None or not self._lost:
            return None
        whole, part = float(n), float(len(self._seen))
        if self._weight is not None:
            whole = sums.total(self._weight.astype(np.float64))
            part = sums.total(self._weight[self._seen].astype(np.float64))
        return Unseen(len(self._seen), (mean * whole - self._lost) / (whole - part) / (self._lost / part) - 1)


def measured(X: F32, weight: F32 | None, codebook: F32, seen: I64, seed: int) -> Unseen | None:
    """The same on some of the rows of `X` (n, d), those learned from (`seen`) and the others, drawn by key."""
    other = np.ones(len(X), np.bool_)
    other[seen] = False
    means = []
    for stream, rows in ((_SEEN, seen), (_OTHER, np.flatnonzero(other))):
        some = rows[keys.sample(seed, stream, len(rows), _ROWS)]
        _, squares = nearest(X[some], pack([codebook]), 2 * codebook.size, distances=True)
        assert squares is not None
        mass = np.ones(len(some), np.float32) if weight is None else weight[some]
        means.append(sums.total(squares[:, 0], mass) / sums.total(mass.astype(np.float64)))
    return Unseen(len(seen), means[1] / means[0] - 1) if means[0] else None
