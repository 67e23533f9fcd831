"""KLT: the principal axes of the data, so that coordinates are uncorrelated and few of them hold most of the variance.

    x (d,) --mean removed in float64--> axes (d_out, d) --> y (d_out,), variances falling --axes' , mean--> x̂ (d,)

Source: Karhunen 1947, Loève 1948; Huang & Schultheiss 1963, "Block quantization of correlated Gaussian random variables".
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys, registry, runtime
from codeword.base import F32, State, Transform, array
from codeword.sources import Rows
from codeword.training.moments import Grid, Moments, merge
from codeword.training.passes import Job, Selection, Task, check_cap, grid
from codeword.transforms import shrinkage as shrinking
from codeword.transforms.center import check_reach
from codeword.transforms.linear import ExactProduct, block_rows

F64 = NDArray[np.float64]
LARGEST_D = 1 << 14
_STREAM = 0x6B6C74  # "klt"
_FOLDS = 4
# With this many rows a dimension one fold is enough: it is long, and the choice hardly matters any more.
_ROWS_A_DIMENSION = 8
# Memory of a fit under a cap: chunks of products, and what a pair of columns takes in the folds' moments and in `eigh`.
_BYTES = 64 << 20
_BYTES_A_PAIR = 240


@registry.register("klt")
class KLT(Transform):
    """Rotate rows onto the principal axes of the training rows (principal component analysis).

    The covariance is exact (see `codeword.training.moments`), then shrunk: with few rows for each dimension its small eigenvalues
    are far too small and bits are spent wrongly. Products are done in exact integers (see `codeword.transforms.linear`), so that
    a saved KLT gives the same bytes on every machine. Eigenvectors come from NumPy's `eigh` and may differ in their last bits
    between two machines that fit the same rows.

    Parameters
    ----------
    d_out : int, optional
        Axes to keep, 1 to d; all of them by default.
    shrinkage : "auto" or float
        Share of a scaled identity that replaces the covariance, 0 to 1. By default the share, and whether the identity or the
        covariance's own diagonal is mixed in, are those that would code held-out rows shortest (`codeword.transforms.shrinkage`).
    seed : int
        Decides which rows are held out, 0 to 2**63 - 1; a hash of the row's number, not its place in a block.

    Attributes
    ----------
    mean : ndarray (d,) float64
    axes : ndarray (d_out, d) float32
        One axis a row, by falling eigenvalue; the component of largest magnitude is positive.
    eigenvalues : ndarray (d,) float64
        Variance along every axis, after shrinkage, falling; the first d_out belong to `axes`.
    shrinkage_ : float
    shrinkage_target_ : {"identity", "diagonal"}

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(1000, 2)) @ [[3.0, 4.0], [-0.4, 0.3]]
    >>> klt = cw.KLT(d_out=1).fit(X)
    >>> klt.axes.round(2), klt.transform(X).shape
    (array([[0.6, 0.8]], dtype=float32), (1000, 1))
    """

    mean: F64
    axes: F32
    eigenvalues: F64
    shrinkage_: float
    shrinkage_target_: str

    def __init__(self, d_out: int | None = None, shrinkage: str | float = "auto", seed: int = 0) -> None:
        self._axes_to_keep = d_out
        self.shrinkage = shrinkage
        self.seed = seed

    @property
    def d_out(self) -> int | None:
        """Axes kept; before `fit`, the parameter."""
        return self._axes_to_keep if self.d is None else len(self.axes)

    @d_out.setter
    def d_out(self, value: int | None) -> None:
        self._axes_to_keep = value

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {**super().get_params(deep), "d_out": self._axes_to_keep}

    @property
    def offset(self) -> F64:
        """The mean, float64 (d,)."""
        self._check_fitted()
        return self.mean

    def project(self, Q: NDArray[Any]) -> F64:
        return self._onto_axes(Q)

    def lift(self, Y: NDArray[Any]) -> F64:
        return self._from_axes(Y)

    def _fit(self, X: NDArray[Any], weight: F32 | None) -> None:
        d = X.shape[1]
        if d > LARGEST_D:
            raise ValueError(f"X: KLT expects at most {LARGEST_D} columns (their covariance must fit in memory), got {d}")
        kept = d if self._axes_to_keep is None else checks.integer(self._axes_to_keep, "d_out", 1, d)
        seed = checks.integer(self.seed, "seed", 0, 2**63 - 1)
        share = self._share()
        folds = _fold_moments(X, weight, seed) if share is None else [Moments.of(X, weight)]
        check_reach(X, folds[0].grid, reduce(merge, folds).mean)
        self._choose(folds, share, kept)

    def _jobs(self, rows: Rows) -> list[Job[Any]]:
        check_cap(rows, _BYTES + _BYTES_A_PAIR * rows.d**2, f"the covariance of {rows.d} columns and ")
        seed = checks.integer(self.seed, "seed", 0, 2**63 - 1)
        return [_folds_job(grid(rows), seed, _FOLDS if self._share() is None else 1)]

    def _learned(self, rows: Rows, results: list[Any]) -> None:
        kept = rows.d if self._axes_to_keep is None else checks.integer(self._axes_to_keep, "d_out", 1, rows.d)
        self._choose(results[0], self._share(), kept)

    def _choose(self, folds: list[Moments], share: float | None, kept: int) -> None:
        """The shrinkage and the axes, from the moments of the folds; `share` None is "auto"."""
        whole = reduce(merge, folds)
        if share is None:
            chosen = shrinking.choose(folds, folds if whole.n < _ROWS_A_DIMENSION * len(whole.mean) else folds[:1])
        else:
            chosen = shrinking.Shrinkage(share)
        self.eigenvalues, axes = principal_axes(chosen.applied(whole.covariance))
        self.shrinkage_, self.shrinkage_target_ = chosen.share, chosen.target
        self._set(whole.mean, axes[:kept].astype(np.float32))

    def _share(self) -> float | None:
        """The shrinkage asked for; None for "auto"."""
        if self.shrinkage == "auto":
            return None
        if isinstance(self.shrinkage, str):
            raise ValueError(f"shrinkage: expected 'auto' or a number from 0 to 1, got {self.shrinkage!r}")
        return checks.real(self.shrinkage, "shrinkage", 0, 1)

    def _set(self, mean: F64, axes: F32) -> None:
        self.mean, self.axes = mean, axes
        self._onto_axes, self._from_axes = ExactProduct(axes.T), ExactProduct(axes)

    def _forward(self, X: NDArray[Any]) -> F32:
        out = np.empty((len(X), len(self.axes)), np.float32)
        step = block_rows(X.shape[1])
        for start, _ in runtime.blocks(len(X), step, "KLT.transform"):
            block = X[start : start + step] - self.mean
            checks.check_range(block, "X", start)
            with np.errstate(over="ignore"):
                out[start : start + step] = self._onto_axes(block)
        return out

    def _inverse(self, Y: F32) -> F32:
        out = np.empty((len(Y), len(self.mean)), np.float32)
        step = block_rows(out.shape[1])
        for start, _ in runtime.blocks(len(Y), step, "KLT.inverse_transform"):
            with np.errstate(over="ignore"):
                out[start : start + step] = self._from_axes(Y[start : start + step]) + self.mean
        return out

    def _state(self) -> State:
        shrinkage = np.array([self.shrinkage_, self.shrinkage_target_ == "diagonal"], np.float64)
        return {"mean": self.mean, "axes": self.axes, "eigenvalues": self.eigenvalues, "shrinkage": shrinkage}

    def _load(self, state: State) -> None:
        assert self.d is not None
        kept = self.d if self._axes_to_keep is None else checks.integer(self._axes_to_keep, "d_out", 1, self.d)
        self.eigenvalues = array(state, "eigenvalues", np.float64, (self.d,))
        share, diagonal = array(state, "shrinkage", np.float64, (2,)).tolist()
        self.shrinkage_, self.shrinkage_target_ = share, "diagonal" if diagonal else "identity"
        self._set(array(state, "mean", np.float64, (self.d,)), array(state, "axes", np.float32, (kept, self.d)))


def principal_axes(covariance: F64) -> tuple[F64, F64]:
    """Eigenvalues (d,), falling and at least 0, and unit eigenvectors (d, d), one a row, of a covariance (d, d).

    The component of largest magnitude of each eigenvector is positive (the first of them where several are).

    Examples
    --------
    >>> values, axes = principal_axes(np.array([[1.0, 0.0], [0.0, 4.0]]))
    >>> values, axes
    (array([4., 1.]), array([[0., 1.],
           [1., 0.]]))
    """
    values, vectors = shrinking.eigen(covariance)
    return np.maximum(values[::-1], 0.0), with_fixed_signs(np.ascontiguousarray(vectors.T[::-1]))


def with_fixed_signs(axes: NDArray[Any]) -> NDArray[Any]:
    """Axes (k, d), one a row, turned so that the component of largest magnitude (the first of them) is positive."""
    largest = np.take_along_axis(axes, np.argmax(np.abs(axes), axis=1)[:, None], axis=1)
    return np.where(largest < 0, -axes, axes)


def _fold_moments(X: NDArray[Any], weight: F32 | None, seed: int) -> list[Moments]:
    """Moments of each fold, all on the grid of all rows."""
    folds = _Folds(Grid.of(X, weight), seed, _FOLDS)
    folds.see(Selection(X, weight, 0, 0))
    return folds.moments


class _Folds(Task):
    """Moments of each fold; the hash of a row's number says which fold it is in."""

    def __init__(self, grid: Grid, seed: int, folds: int) -> None:
        self.moments = [Moments(grid) for _ in range(folds)]
        self._seed = seed

    def see(self, rows: Selection) -> None:
        X, weight, first = rows.X, rows.weight, rows.numbers
        assert isinstance(first, int)
        if len(self.moments) == 1:
            self.moments[0].add(X, weight)
            return
        fold = keys.bits64(self._seed, _STREAM, np.arange(first, first + len(X))) % np.uint64(len(self.moments))
        for f, moments in enumerate(self.moments):
            held = np.flatnonzero(fold == f)
            moments.add(X[held], None if weight is None else weight[held])


def _folds_job(grid: Grid, seed: int, folds: int) -> Job[list[Moments]]:
    task = _Folds(grid, seed, folds)
    yield task
    return task.moments
