"""MixtureQuantizer: rows fall into cells, and every cell has a quantizer of its own.

    x (d,) --nearest few of k centres--> quantizer of each --least |x - x̂|²--> number of the cell | its code --> x̂ (d,)

A KLT in each cell follows the shape of the data where they are: one KLT for all of them sees only a blur. `bench/rate_distortion.py`
has mixtures of KLT and trellis beside a single one.

Source: Dony & Haykin 1995, "Optimally adaptive transform coding"; Kambhatla & Leen 1997, "Dimension reduction by local principal
component analysis"; Subramaniam & Rao 2003, "PDF optimized parametric vector quantization of speech line spectral frequencies"
(choice of the cell by what it loses); Friedman 1989, "Regularized discriminant analysis" (cells lean on each other).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, codes, keys, registry, runtime
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.lanes import lane_sum
from codeword.training import kmeans
from codeword.training.moments import ColumnMoments
from codeword.training.nearest import nearest, pack

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
LARGEST_K = 1 << 16
EFFORTS = ("fast", "default", "best")
_TRIES = {"fast": 1, "default": 4, "best": 8}
_ROUNDS = {"fast": 0, "default": 1, "best": 3}
_STREAM, _LENT_STREAM = 0x6D6978, 0x6D69786C00000000  # "mix", "mixl"
# Rows a cell that are learned from: 2,048, and four for each dimension.
_ROWS_A_CELL, _ROWS_A_DIMENSION = 2048, 4
_FEWEST_ROWS = 8
# A cell's quantizer also sees rows of the others, moved to its centre: two for each dimension, with the weight of 0.3 rows together.
_LENT_ROWS, _LENT_WEIGHT = 2, 0.3


@registry.register("mixture")
class MixtureQuantizer(Quantizer):
    """k cells, each with its own copy of a quantizer; a code is the number of the cell, in whole bytes, and the cell's code.

    Parameters
    ----------
    k : int
        Cells, 1 to 65,536; up to 256 take one byte of the code. Some hundred rows a cell to learn from, or a few for each dimension,
        should be there. Cells with hardly any rows are left out.
    quantizer : Quantizer
        What codes the rows of a cell; copied, not changed. `Pipeline([KLT()], TrellisQuantizer(..., allocation="waterfill"))` is what
        gains most.
    effort : {"fast", "default", "best"}
        Cells that a row is tried in: the nearest 1, 4 or 8; and how often cells are learned again from the rows that they suit
        best: never, once, three times. Encoding takes as many times as long as with one quantizer, decoding takes the same.
    seed : int

    Attributes
    ----------
    centers : ndarray (cells, d) float32
        Means of the rows of each cell.
    cells : list of Quantizer
        Fitted.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(4000, 8)) * np.where(random.random(4000) < 0.5, 1, 0)[:, None] * [4, 4, 4, 4, 0, 0, 0, 0]
    >>> X += random.normal(size=(4000, 8)) * [0, 0, 0, 0, 1, 1, 1, 1] + np.where(X[:, :1] != 0, 20, 0)
    >>> one = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill"))
    >>> two = cw.MixtureQuantizer(2, cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(1.0, allocation="waterfill"))).fit(X)
    >>> two.code_size, bool(two.distortion(X).mse < one.fit(X).distortion(X).mse)
    (2, True)
    """

    centers: F32
    cells: list[Quantizer]

    def __init__(self, k: int, quantizer: Quantizer, *, effort: str = "default", seed: int = 0) -> None:
        self.k = k
        self.quantizer = quantizer
        self.effort = effort
        self.seed = seed

    @property
    def estimates(self) -> bool:
        return self.quantizer.estimates

    @property
    def code_size(self) -> int:
        self._check_fitted()
        return self._head + max(c.code_size for c in self.cells)

    @property
    def model_bytes(self) -> int:
        self._check_fitted()
        return self.centers.nbytes + sum(c.model_bytes for c in self.cells)

    def cell_numbers(self, codes_: Any) -> I64:
        """The cell (n,) that each of `codes` (n, code_size) names."""
        self._check_fitted()
        return self._cells_of(checks.codes(codes_, self.code_size))

    def config(self) -> dict[str, Any]:
        params = {"k": self.k, "effort": self.effort, "seed": self.seed}
        cells = [] if self.d is None else [c.config() for c in self.cells]
        return {"id": self.id, "d": self.d, "params": params, "quantizer": self.quantizer.config(), "cells": cells}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> MixtureQuantizer:
        params, parts = config.get("params"), config.get("cells")
        if not isinstance(params, Mapping) or not isinstance(parts, list):
            raise FormatError(f"MixtureQuantizer: 'params' must be a mapping and 'cells' a list, got {params!r} and {parts!r}")
        template = registry.from_config(config.get("quantizer", {}), {})
        made = super().from_config({**config, "params": {**params, "quantizer": template}}, state)
        if made.d is None:
            return made
        made._check_quantizer()
        for i, part in enumerate(parts):
            prefix = f"cells.{i}."
            cell = registry.from_config(part, {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
            if not isinstance(cell, Quantizer) or cell.d != made.d:
                raise FormatError(f"MixtureQuantizer: cell {i} is no quantizer of rows of width {made.d}")
            made.cells.append(cell)
        if len(parts) != len(made.centers):
            raise FormatError(f"MixtureQuantizer: expected {len(made.centers)} cells, got {len(parts)}")
        return made

    def _check_quantizer(self) -> None:
        if not isinstance(self.quantizer, Quantizer):
            raise TypeError(f"quantizer: expected a quantizer, got {self.quantizer!r}")

    @property
    def _head(self) -> int:
        """Bytes of a cell's number."""
        return 1 if len(self.centers) <= 256 else 2

    def _fit(self, X: F32, weight: F32 | None) -> None:
        k = checks.integer(self.k, "k", 1, LARGEST_K)
        effort = checks.choice(self.effort, "effort", EFFORTS)
        seed = checks.integer(self.seed, "seed", 0, 2**63 - 1)
        self._check_quantizer()
        usable = np.arange(len(X)) if weight is None else np.flatnonzero(weight > 0)
        most = k * max(_ROWS_A_CELL, _ROWS_A_DIMENSION * X.shape[1])
        rows = usable[keys.sample(seed, _STREAM, len(usable), most)]
        X, weight = np.ascontiguousarray(X[rows]), None if weight is None else weight[rows]
        self.centers = kmeans.train(X, kmeans.Settings(k, seed=seed), weight, "MixtureQuantizer.fit").codebook
        labels = self._nearest(X, 1)[:, 0]
        rounds = _ROUNDS[effort]
        with runtime.Progress("MixtureQuantizer.fit", rounds + 1, "rounds") as progress:
            self._learn(X, weight, labels, seed)
            progress.advance(1)
            for _ in range(rounds):
                self._learn(X, weight, self._coded(X)[0], seed)
                progress.advance(1)

    def _learn(self, X: F32, weight: F32 | None, labels: I64, seed: int) -> None:
        """Centres and quantizers of the cells that `labels` (n,) put the rows in; cells with hardly any rows end."""
        sizes = np.bincount(labels, minlength=len(self.centers))
        kept = np.flatnonzero(sizes >= min(_FEWEST_ROWS, int(sizes.max())))
        if len(kept) < len(self.centers):
            self.centers = self.centers[kept]
            labels = self._nearest(X, 1)[:, 0]
        of_cell = [np.flatnonzero(labels == c) for c in range(len(self.centers))]
        some = [None if weight is None else weight[rows] for rows in of_cell]
        means = [ColumnMoments.of(X[rows], w).mean for rows, w in zip(of_cell, some, strict=True)]
        self.centers = np.stack(means).astype(np.float32)
        away = X - self.centers[labels]
        self.cells = []
        for c, (rows, w) in enumerate(zip(of_cell, some, strict=True)):
            others = np.flatnonzero(labels != c)
            lent = others[keys.sample(seed, _LENT_STREAM + c, len(others), _LENT_ROWS * X.shape[1])]
            mass = np.ones(len(rows), np.float32) if w is None else w
            light = np.full(len(lent), _LENT_WEIGHT * X.shape[1] / max(1, len(lent)), np.float32)
            both = np.concatenate([X[rows], away[lent] + self.centers[c]])
            self.cells.append(self.quantizer.clone().fit(both, np.concatenate([mass, light])))

    def _nearest(self, X: F32, tries: int) -> I64:
        """The nearest cells (n, tries) of each row, nearest first."""
        if tries == 1 or len(self.centers) == 1:
            labels, _ = nearest(X, pack([self.centers]), 2 * self.centers.size)
            return labels.astype(np.int64)
        squares = _native.pairwise_sqdist(np.ascontiguousarray(X), self.centers)
        return np.argsort(squares, axis=1, kind="stable")[:, :tries]

    def _coded(self, X: F32) -> tuple[I64, U8]:
        """The cell (n,) of each row that loses least of those tried, and the code (n, code_size) it gives."""
        tried = self._nearest(X, _TRIES[self.effort])
        labels, least = tried[:, 0].copy(), np.full(len(X), np.inf)
        size = max(c.code_size for c in self.cells)
        inner = np.zeros((len(X), size), np.uint8)
        for c, cell in enumerate(self.cells):
            rows = np.flatnonzero((tried == c).any(axis=1))
            if not len(rows):
                continue
            made = cell.encode(X[rows])
            error = X[rows].astype(np.float64) - cell.decode(made)
            loss = lane_sum(error * error)
            # Ties go to the lower cell, as cells come in order.
            better = loss < least[rows]
            won = rows[better]
            labels[won], least[won] = c, loss[better]
            inner[won] = 0
            inner[won, : made.shape[1]] = made[better]
        return labels, inner

    def _encode(self, X: F32) -> U8:
        checks.choice(self.effort, "effort", EFFORTS)
        labels, inner = self._coded(X)
        head = labels.astype("<u2").view(np.uint8).reshape(-1, 2)[:, : self._head]
        return np.concatenate([head, inner], axis=1)

    def _cells_of(self, codes_: U8) -> I64:
        numbers = codes_[:, 0].astype(np.int64)
        if self._head == 2:
            numbers += codes_[:, 1].astype(np.int64) << 8
        codes.check_below(numbers[:, None], len(self.centers))
        return numbers

    def _parts(self, codes_: U8) -> list[tuple[int, I64, U8]]:
        """Cell, rows and inner codes of every cell that occurs."""
        numbers = self._cells_of(codes_)
        parts = []
        for c in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == c)
            stop = self._head + self.cells[c].code_size
            parts.append((c, rows, np.ascontiguousarray(codes_[rows, self._head : stop])))
        return parts

    def _decode(self, codes_: U8) -> F32:
        out = np.empty((len(codes_), self.centers.shape[1]), np.float32)
        for c, rows, inner in self._parts(codes_):
            out[rows] = self.cells[c].decode(inner)
        return out

    def _scorer(self, queries: F32, metric: str) -> Any:
        return MixtureScorer(self, queries, metric)

    def _state(self) -> State:
        inner = {f"cells.{i}.{key}": a for i, cell in enumerate(self.cells) for key, a in cell.state().items()}
        return {"centers": self.centers, **inner}

    def _load(self, state: State) -> None:
        checks.choice(self.effort, "effort", EFFORTS)
        self.centers = array(state, "centers", np.float32, (None, self.d))
        if not 1 <= len(self.centers) <= LARGEST_K:
            raise FormatError(f"array 'centers': expected 1 to {LARGEST_K} cells, got {len(self.centers)}")
        self.cells = []


class MixtureScorer:
    """Scores of every cell's own scorer, for the codes that name it."""

    def __init__(self, mixture: MixtureQuantizer, queries: F32, metric: str) -> None:
        self.metric = metric
        self._mixture, self._q = mixture, len(queries)
        self._scorers = [cell.scorer(queries, metric) for cell in mixture.cells]

    def scores(self, codes_: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size); smaller is closer."""
        out = np.empty((self._q, len(codes_)), np.float32)
        for c, rows, inner in self._mixture._parts(np.ascontiguousarray(codes_)):
            out[:, rows] = self._scorers[c].scores(inner)
        return out
