"""Entropy-constrained codebooks: Lloyd's algorithm for the cost ``|x - c|² + lmbda * bits(c)``, with code lengths that fit the cells.

    codebook of k-means --assign by cost, means, code lengths from the cells, drop empty ones--> codebook, counts

An assignment by cost is an assignment in one dimension more: rows get a 0, and codeword c gets the root of its cost in bits, less that
of the cheapest. So it is exact, and as fast, like any other (`lifted`). With a target instead of `lmbda`, `lmbda` is found first on some
rows, from below (a codeword once dropped does not come back), and then steered in the passes over all rows.

Source: Chou, Lookabaugh & Gray 1989, "Entropy-constrained vector quantization".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codeword import keys, runtime
from codeword.powers import exp2, log2
from codeword.training import kmeans
from codeword.training.nearest import nearest, pack
from codeword.training.statistics import Plan, Survey
from codeword.training.sums import Total
from codeword.training.trim import trimmed

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
_PART_ROWS = 64
_PART_STREAM = 401
_CLOSE = 0.003
_TRIES = 8
_FEWEST_ROWS = 8
_FIRST_FACTOR = 1.1


@dataclass
class Design:
    """A codebook and the code lengths that go with it."""

    codebook: F32
    """(k, d) float32, the most frequent codeword first."""
    counts: F64
    """(k,) weight of the rows in each cell, above 0."""
    roots: F32
    """(k,) what a codeword's bits cost, as `lifted` takes it."""
    lmbda: float
    """Squared distance that a bit is worth."""
    entropy: float
    """Bits a vector, on the training rows."""
    history: list[tuple[float, float]]
    """Distortion (mean squared error per row and dimension) and entropy of every pass over all rows."""


def lengths(counts: F64) -> F64:
    """Ideal code lengths (k,) in bits of codewords with these counts (k,), all above 0."""
    return log2(counts.sum()) - log2(counts)


def entropy(counts: F64) -> float:
    """Mean ideal code length in bits a vector."""
    used = counts[counts > 0]
    return float((used * lengths(used)).sum() / used.sum())


def roots(counts: F64, lmbda: float) -> F32:
    """The coordinate (k,) that stands for the cost of each codeword's bits: squared, what it costs more than the cheapest."""
    bits = lengths(counts)
    return np.asarray(np.sqrt(lmbda * (bits - bits.min())), np.float32)


def lifted(rows: F32, last: F32 | None = None) -> F32:
    """Rows (n, d) with a last coordinate (n,), by default 0: (n, d + 1)."""
    out = np.zeros((len(rows), rows.shape[1] + 1), np.float32)
    out[:, :-1] = rows
    if last is not None:
        out[:, -1] = last
    return out


def design(
    X: F32, settings: kmeans.Settings, weight: F32 | None, *, lmbda: float | None, target: float | None, label: str
) -> Design:
    """Learn a codebook from rows `X` (n, d): for `lmbda`, or for `target` bits a vector."""
    with runtime.Progress(label, 2 + 2 * settings.max_iter, "passes") as progress:
        X, weight = trimmed(X, weight, settings.k, settings.trim, settings.seed, "k")
        start = kmeans.train(X, replace(settings, trim=False), weight)
        used = start.counts > 0
        run = _Run(X, weight, start.codebook[used], start.counts[used], start.history[-1])
        if target is not None and len(X) > _PART_ROWS * settings.k:
            rows = keys.sample(settings.seed, _PART_STREAM, len(X), _PART_ROWS * settings.k)
            part = _Run(X[rows], None if weight is None else weight[rows], run.codebook, run.counts, run.distortion)
            _descend(part, settings.max_iter, target, progress)
            run.codebook, run.counts, run.lmbda = part.codebook, part.counts, part.lmbda
        elif target is not None:
            _descend(run, settings.max_iter, target, progress)
        for _ in range(settings.max_iter):
            run.advance(lmbda, target)
            progress.advance(1)
        run.assign(run.lmbda, None)
        order = np.argsort(-run.counts, kind="stable")
        counts = run.counts[order]
        return Design(run.codebook[order], counts, roots(counts, run.lmbda), run.lmbda, entropy(counts), run.history)


def _descend(run: _Run, passes: int, target: float, progress: runtime.Progress) -> None:
    """Lower the entropy to `target` in even steps."""
    first = entropy(run.counts)
    for i in range(1, passes + 1):
        run.advance(None, max(target, first + (target - first) * i / passes))
        progress.advance(1)


class _Run:
    """Rows and a codebook that passes improve."""

    def __init__(self, X: F32, weight: F32 | None, codebook: F32, counts: F64, distortion: float) -> None:
        self.codebook, self.counts, self.lmbda, self.distortion = codebook, counts, 0.0, distortion
        self.history: list[tuple[float, float]] = []
        self._X, self._weight, self._lifted = X, weight, lifted(X)
        self._plan = Plan.of(Survey.of(X, weight))
        self._total = float(len(X)) if weight is None else float(weight.sum(dtype=np.float64))

    def advance(self, lmbda: float | None, target: float | None) -> None:
        """Assign for `lmbda`, or for `target` bits a vector, and move the codewords to the means of their cells."""
        cells, members = self.assign(lmbda, target)
        self.codebook = self._plan.step_to_means(self.codebook, cells)
        # Codewords of a few rows fit those rows only: their bits are lost on rows to come (bench/designs.py).
        cells_wanted = len(members) if target is None else float(exp2(target))
        kept = members >= min(_FEWEST_ROWS, len(self._X) / (2 * cells_wanted))
        kept[np.argmax(members)] = True
        self.codebook, self.counts = self.codebook[kept], self.counts[kept]

    def assign(self, lmbda: float | None, target: float | None) -> tuple[kmeans.Cells, I64]:
        """Assign by cost; drop the codewords that no row takes. How many rows take each of the others (k,) comes with the cells."""
        if target is None:
            assert lmbda is not None
            self.lmbda, cell, squares = lmbda, *self._cells(lmbda)
        else:
            self.lmbda, cell, squares = self._steered(target)
        last = roots(self.counts, self.lmbda).astype(np.float64)
        error = np.maximum(squares - last[cell] ** 2, 0.0)
        used, number, members = np.unique(cell, return_inverse=True, return_counts=True)
        cells = kmeans.Cells(self._X, len(used), self._weight, self._plan)
        cells.move(number.astype(np.int32))
        self.codebook, self.counts = self.codebook[used], cells.counts()
        self.distortion = float(Total().add(error, self._weight)) / self._total / self._X.shape[1]
        self.history.append((self.distortion, entropy(self.counts)))
        return cells, members.astype(np.int64)

    def _cells(self, lmbda: float) -> tuple[I32, F64]:
        packed = pack([lifted(self.codebook, roots(self.counts, lmbda))])
        labels, squares = nearest(self._lifted, packed, 2 * self.codebook.size, distances=True)
        assert squares is not None
        return labels[:, 0], squares[:, 0]

    def _steered(self, target: float) -> tuple[float, I32, F64]:
        """The `lmbda` near the last one for which the assignment has about `target` bits a vector, and that assignment."""
        low, high, factor = 0.0, np.inf, _FIRST_FACTOR
        guess = self.lmbda or self.distortion
        tried = []
        for _ in range(_TRIES):
            cell, squares = self._cells(guess)
            bits = entropy(np.bincount(cell, self._weight, len(self.codebook)).astype(np.float64))
            tried.append((abs(bits - target), guess, cell, squares))
            if tried[-1][0] <= _CLOSE * target:
                break
            low, high = (guess, high) if bits > target else (low, guess)
            if low > 0 and high < np.inf:
                guess = float(np.sqrt(low * high))
            else:
                guess = low * factor if low > 0 else high / factor
                factor *= factor
        return min(tried, key=lambda t: t[0])[1:]
