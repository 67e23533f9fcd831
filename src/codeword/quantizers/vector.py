"""VectorQuantizer: one codebook for whole rows (k-means / LBG).

    x (d,) --argmin |x - c|²--> codeword number, ceil(log2(k)) bits, in whole bytes --codebook--> x̂ (d,)

Source: Linde, Buzo & Gray 1980; Lloyd 1982. Training is `codeword.training.kmeans`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, codes, registry
from codeword.base import F32, U8, State, array
from codeword.quantizers.single import SingleCodebook
from codeword.sources import Rows
from codeword.training import kmeans, online
from codeword.training.nearest import nearest, pack
from codeword.training.passes import Job
from codeword.training.streaming import Budget, kmeans_job

if TYPE_CHECKING:
    from codeword.training_report import TrainingReport

LARGEST_K = 1 << 30


@registry.register("vector")
class VectorQuantizer(SingleCodebook):
    """A codebook of k codewords; a row's code is the number of the nearest one, ties to the lowest.

    Parameters
    ----------
    k : int
        Codewords, 1 to 2**30. Training needs at least k rows; 39 k and more train well (`training_` tells).
    effort : {"fast", "default", "best"}
        How long to train. "default" passes over all rows. "fast" takes half the passes, and at most 128 k rows drawn by key:
        `training_.unseen` is then what rows left out lose. "best" takes three times the passes and draws the first codebook
        from more rows: mostly worth less than 1 %.
    seeding : {"kmeans++", "random", "lbg"}
        First codebook: D² sampling (Arthur & Vassilvitskii 2007), random rows, or splitting (Linde, Buzo & Gray 1980). On
        most rows they end within 0.3 % of each other; where lengths differ by orders of magnitude random rows are up to 40 % worse and
        splitting is up to 3 % better (`bench/designs.py`). Splitting takes up to a fifth more time. The
        farthest 1 % of rows from the median are never drawn, so outliers cannot waste codewords. It is drawn from at most 16 k rows
        (chosen by key); all rows count afterwards.
    assignment : {"auto", "exact", "hierarchical"}
        How rows find their codewords during training. "hierarchical" looks only among those nearby (`training.hierarchy`), which
        for k = 2**18 takes a thirtieth of the time; the distortion it loses to exact assignment is measured, at most 1 %
        (0.1 % at best effort), and stated as `training_.assignment_loss`. "auto" does so from k = 2**15 on. `encode` is always exact.
    balance : float, optional
        No cell of the training has more than this times n / k rows (1.2, say), outliers not counted: `training_.balance` has the
        cells and what that costs: little where cells are nearly even anyway, much where clusters differ many-fold in size. `encode`
        still names the nearest codeword, so its cells are more even than without, not limited.
    max_iter : int, optional
        Most passes over the rows; 16 at default effort. With 128 k rows and more, half as many go over a quarter of the rows (a quarter
        of that again, while it has 32 k rows) and half over all of them: `training_.levels` lists them.
    tol : float, optional
        Stop when a pass lowers the distortion by at most this share; 1e-4 at default effort, 1e-3 at fast, 1e-6 at best.
    seed : int
        Same seed, same data: same codebook, for any threads, blocks and instruction set.
    trim : bool
        Leave out of the training rows more than four times as far from the median row as 99 % of the rows (never more than 1 %).

    half_life : float, optional
        For `partial_fit`: so many rows later, a row counts half. None: all rows count alike, and the longer the stream, the slower the
        codebook moves. Codewords whose rows have faded (five half-lives, for one of average weight) are moved to where rows are far
        from theirs. `fit` does not look at it.

    Attributes
    ----------
    codebook : ndarray (k, d) float32
    counts : ndarray (k,) float64
        Weight of the training rows in each cell; 0 is a dead codeword. `partial_fit` goes on from it.
    training_ : kmeans.Training
        History of the distortion, repaired cells, convergence; only after `fit` (not stored in files).

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(2000, 8)).astype("f4")
    >>> vq = cw.VectorQuantizer(64).fit(X)
    >>> codes = vq.encode(X)
    >>> codes.shape, vq.rate
    ((2000, 1), 1.0)
    >>> round(vq.distortion(X).relative, 1)
    0.4
    """

    counts: NDArray[np.float64]
    _gathered: tuple[F32, F32] | None = None
    _start: F32 | None = None

    def __init__(
        self,
        k: int,
        *,
        effort: str = "default",
        seeding: str = "kmeans++",
        assignment: str = "auto",
        balance: float | None = None,
        half_life: float | None = None,
        max_iter: int | None = None,
        tol: float | None = None,
        seed: int = 0,
        trim: bool = True,
    ) -> None:
        self.k = k
        self.effort = effort
        self.seeding = seeding
        self.assignment = assignment
        self.balance = balance
        self.half_life = half_life
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed
        self.trim = trim

    @classmethod
    def from_codebook(cls, codebook: Any) -> VectorQuantizer:
        """A fitted quantizer with a given codebook (k, d), of which the codewords count as the training data."""
        C = checks.rows(codebook, "codebook")
        made = cls(len(C))
        made._set(C, np.ones(len(C)))
        made._spread = (C.max(0).astype(np.float64) - C.min(0)).astype(np.float32)
        made._variance = C.var(0, dtype=np.float64)
        return made

    def fit(self, X: Any, sample_weight: Any = None, *, max_memory: int | str | None = None, start: Any = None) -> VectorQuantizer:
        """Learn from training rows, as `Quantizer.fit` says.

        Parameters
        ----------
        X, sample_weight, max_memory
            See `Quantizer.fit`. Hierarchical assignment and `balance` need all rows in memory.
        start : array_like (k, d) or fitted VectorQuantizer, optional
            A codebook to go on from, instead of one drawn from the rows: all passes then go over all rows.

        Examples
        --------
        >>> import numpy as np, codeword as cw
        >>> X = np.random.default_rng(0).normal(size=(2000, 8)).astype("f4")
        >>> old = cw.VectorQuantizer(64).fit(X[:1000])
        >>> new = cw.VectorQuantizer(64, max_iter=4).fit(X, start=old)
        >>> new.distortion(X).mse < old.distortion(X).mse
        True
        """
        if start is not None:
            k = self._settings().k
            self._start = checks.rows(start.codebook if isinstance(start, VectorQuantizer) else start, "start")
            if len(self._start) != k:
                raise ValueError(f"start: expected k = {k} codewords, got {len(self._start)}")
        try:
            return super().fit(X, sample_weight, max_memory=max_memory)
        finally:
            self._start = None

    def report(self, X: Any = None) -> TrainingReport:
        """How the last `fit` went: passes, use of codewords, what more rows would gain, and a verdict (print it, or `to_dict`).

        Parameters
        ----------
        X : array_like (n, d), optional
            Rows that it was not fitted on: the distortion on those is then measured instead of estimated.

        Raises
        ------
        NotFittedError
            Before `fit`, and after `load`: files do not keep the history.
        """
        from codeword.training_report import TrainingReport

        return TrainingReport.of(self, X)

    def partial_fit(self, X: Any, sample_weight: Any = None) -> VectorQuantizer:
        """Learn from the next block of rows (n, d): each codeword moves to the mean of all the rows it ever took.

        The first 4 k rows are gathered, and from k rows on a codebook is fitted on what was gathered; blocks after that are
        assigned once and averaged in (MacQueen 1967, a block at a time). With `half_life`, rows count the less the more rows came
        after them, so that the codebook follows data that change; it is then also a matter of the order of the rows.
        """
        half_life = None if self.half_life is None else checks.real(self.half_life, "half_life", 1.0, 1e15)
        width = self.d if self._gathered is None else self._gathered[0].shape[1]
        seen = self.d is not None and self._gathered is None
        A = checks.rows(X, d=width, spread=self._spread if seen else None)
        weight = checks.weights(sample_weight, len(A))
        if not seen:
            return self._gather(A, np.ones(len(A), np.float32) if weight is None else weight)
        now = online.follow(online.Stream(self.codebook, self.counts, self._variance), A, weight, half_life)
        self._set(now.codebook, now.counts)
        self._variance, self._spread = now.variance, np.maximum(self._spread, A.max(0) - A.min(0))
        return self

    def _gather(self, A: F32, weight: F32) -> VectorQuantizer:
        """Keep the first rows of a stream, and fit on them as soon as there are enough."""
        k = self._settings().k
        if self._gathered is not None:
            A, weight = np.concatenate([self._gathered[0], A]), np.concatenate([self._gathered[1], weight])
        if (weight > 0).sum() >= k:
            self.fit(A, None if (weight == 1).all() else weight)
        self._gathered = (A, weight) if len(A) < 4 * k else None
        return self

    def _settings(self) -> kmeans.Settings:
        return kmeans.Settings.checked(
            self.k,
            self.seeding,
            self.max_iter,
            self.tol,
            self.seed,
            self.trim,
            LARGEST_K,
            effort=self.effort,
            assignment=self.assignment,
            balance=self.balance,
        )

    def _widths(self) -> U8:
        k = checks.integer(self.k, "k", 1, LARGEST_K)
        return np.array([max(1, (k - 1).bit_length())], np.uint8)

    def _fit(self, X: F32, weight: F32 | None) -> None:
        self._check_start(X.shape[1])
        self._learned([kmeans.train(X, self._settings(), weight, "VectorQuantizer.fit", self._start)])

    def _jobs(self, rows: Rows) -> tuple[list[Job[Any]], int] | None:
        settings = self._settings()
        if settings.hierarchical or settings.balance is not None:
            return None  # groups and limited cells remember where each row was
        self._check_start(rows.d)
        budget = Budget.of(rows, settings, [rows.d])
        return [kmeans_job(rows, slice(0, rows.d), settings, budget.most_rows, self._start)], budget.step

    def _check_start(self, d: int) -> None:
        if self._start is not None and self._start.shape[1] != d:
            raise ValueError(f"start: expected codewords of d = {d} dimensions like X, got {self._start.shape[1]}")

    def _learned(self, results: list[Any]) -> None:
        self._gathered = None
        self.training_: kmeans.Training = results[0]
        self._set(self.training_.codebook, self.training_.counts)

    def _set(self, codebook: F32, counts: NDArray[np.float64]) -> None:
        self._set_codebook(codebook)
        self.counts, self._packed = counts, pack([codebook])

    def _encode(self, X: F32) -> U8:
        labels, _ = nearest(X, self._packed, 2 * self.codebook.size)
        return codes.pack(labels, self._widths())

    def _state(self) -> State:
        return {"codebook": self.codebook, "counts": self.counts}

    def _load(self, state: State) -> None:
        k = checks.integer(self.k, "k", 1, LARGEST_K)
        self._set(array(state, "codebook", np.float32, (k, self.d)), array(state, "counts", np.float64, (k,)))
