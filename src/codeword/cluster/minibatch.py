"""MiniBatchKMeans: codewords that follow rows drawn a batch at a time, or a stream."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.cluster import engine
from codeword.cluster.estimator import (
    CentresEstimator,
    Rows,
    at_least_zero,
    cells,
    enough,
    runs_of,
    seed_of,
    start_of,
    whole,
)
from codeword.cluster.scaled import framed
from codeword.training import online, sums
from codeword.training.lloyd import Cells
from codeword.training.statistics import repair

_BATCH_STREAM = 631


class MiniBatchKMeans(CentresEstimator):
    """k-means on batches, with scikit-learn's parameters and attributes: a drop-in for `sklearn.cluster.MiniBatchKMeans`.

    Each centre is the mean of all the rows it ever took (MacQueen 1967, a batch at a time), and one that takes hardly any is moved to
    a row far from its own. `fit` draws batches; `partial_fit` takes them as they come. Where the rows fit in memory, `KMeans` is
    mostly as quick, and better.

    Parameters
    ----------
    n_clusters : int
    init : {"k-means++", "random"}, array_like (n_clusters, d) or callable
    max_iter : int
        Most times over the rows.
    batch_size : int
    verbose : int
        Ignored.
    compute_labels : bool
        Whether `fit` sets `labels_` and `inertia_`.
    random_state : int, RandomState or None
    tol : float
        Batches end when a smoothed mean of the squared moves is below `tol` times the mean variance of the columns; 0: not for that.
    max_no_improvement : int or None
        Batches end when the smoothed inertia has not fallen for so many.
    init_size : int or None
        Rows that the first centres are drawn from; None: three batches, at least three for each cluster.
    n_init : "auto" or int
        Candidates for the first centres; "auto" is 1 for "k-means++", 3 for "random".
    reassignment_ratio : float
        Centres with fewer rows than this share of the fullest one's are moved.

    Attributes
    ----------
    cluster_centers_ : ndarray (n_clusters, d), of the dtype of X
    labels_ : ndarray (n,) int32
    inertia_ : float
    n_iter_ : int
        Times over the rows, begun.
    n_steps_ : int
        Batches.
    counts_ : ndarray (n_clusters,)
        Weight of the rows that each centre is the mean of.
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> import numpy as np
    >>> from codeword.cluster import MiniBatchKMeans
    >>> X = np.random.default_rng(0).normal(size=(600, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 200, axis=0)
    >>> mb = MiniBatchKMeans(n_clusters=3, batch_size=100, random_state=0)
    >>> for block in np.array_split(np.random.default_rng(1).permutation(X), 6):
    ...     mb = mb.partial_fit(block)
    >>> mb.n_steps_, np.bincount(mb.predict(X)).tolist()
    (6, [200, 200, 200])
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        max_iter: int = 100,
        batch_size: int = 1024,
        verbose: int = 0,
        compute_labels: bool = True,
        random_state: Any = None,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        init_size: int | None = None,
        n_init: Any = "auto",
        reassignment_ratio: float = 0.01,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.compute_labels = compute_labels
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MiniBatchKMeans:
        """Find the centres of rows `X` (n, d), of weights (n,), in batches drawn with replacement; errors as `KMeans.fit`.

        Rows that fit in one batch are all of every batch.
        """
        A = self._checked(X, reset=True)
        weight = self._weights(sample_weight, A)
        k, max_iter, batch = whole(self.n_clusters, "n_clusters", 1), whole(self.max_iter, "max_iter", 1), self._batch()
        tol = at_least_zero(self.tol, "tol")
        patience = None if self.max_no_improvement is None else whole(self.max_no_improvement, "max_no_improvement", 0)
        enough(A, k)
        seed = seed_of(self.random_state)
        self._begin(A, weight, k, batch, seed)
        steps = max_iter * -(-len(A) // batch)
        stop = _Stop(len(A), batch, tol * framed(A, weight)[2] if tol else 0.0, patience)
        for step in range(steps):
            drawn = _drawn(len(A), batch, seed, step)
            before = self.cluster_centers_
            loss = self._follow(A[drawn], None if weight is None else weight[drawn])
            if stop.now(loss, float(((self.cluster_centers_ - before) ** 2).sum(dtype=np.float64))):
                break
        self.n_iter_ = -(-self.n_steps_ * batch // len(A))
        if self.compute_labels:
            self._label(A, weight)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> MiniBatchKMeans:
        """Learn from the next batch of rows `X` (n, d); the first must have at least `n_clusters` of them."""
        first = not hasattr(self, "cluster_centers_")
        A = self._checked(X, reset=first)
        weight = self._weights(sample_weight, A)
        if first:
            k = whole(self.n_clusters, "n_clusters", 1)
            enough(A, k)
            self._begin(A, weight, k, self._batch(), seed_of(self.random_state))
        self._follow(A, weight)
        if self.compute_labels:
            self._label(A, weight)
        return self

    def _batch(self) -> int:
        at_least_zero(self.reassignment_ratio, "reassignment_ratio")
        return whole(self.batch_size, "batch_size", 1)

    def _begin(self, A: Rows, weight: Rows | None, k: int, batch: int, seed: int) -> None:
        """First centres, no rows."""
        size = 3 * max(batch, k) if self.init_size is None else max(k, whole(self.init_size, "init_size", 1))
        runs = runs_of(self.n_init, self.init, of_random=3)
        start = start_of(self.init, A, k, self.random_state)
        if start is None:
            chosen = keys.sample(seed, _BATCH_STREAM, len(A), size)
            some, mass = A[chosen], None if weight is None else weight[chosen]
            if mass is not None and not mass.any():
                some, mass = A, weight
            W, frame, _ = framed(some, mass)
            seeding = "kmeans++" if self.init == "k-means++" else "random"
            start = frame.back(engine.train(some, W, mass, k, seeding, runs, 1, 0.0, seed).codebook)
        self.cluster_centers_: Rows = start
        self.counts_: NDArray[np.float64] = np.zeros(k)
        self.n_steps_ = 0

    def _follow(self, B: Rows, weight: Rows | None) -> float:
        """Average a batch in; returns its inertia before."""
        labels, squares = cells(B, self.cluster_centers_)
        self.n_steps_ += 1
        if weight is not None and not weight.any():
            return 0.0
        loss = sums.total(squares, weight)
        batch = Cells(B, len(self.cluster_centers_), weight).take(labels, squares)
        self.cluster_centers_, self.counts_ = online.average(self.cluster_centers_, self.counts_, batch)
        few = self.counts_ < self.reassignment_ratio * self.counts_.max()
        if few.any() and self.n_steps_ % 10 == 1:
            batch.mass = np.where(few, 0, 1)  # what `repair` takes for empty
            moved = np.flatnonzero(few)[: repair(self.cluster_centers_, batch)]
            self.counts_[moved] = self.counts_[~few].min()
        return loss


def _drawn(n: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Numbers of the rows of a batch."""
    if n <= batch:
        return np.arange(n)
    return (keys.bits64(seed, _BATCH_STREAM, step * batch + np.arange(batch)) % np.uint64(n)).astype(np.int64)


class _Stop:
    """Whether batches have come to an end, as scikit-learn decides it: by exponentially weighted means."""

    def __init__(self, n: int, batch: int, still: float, patience: int | None) -> None:
        self._share = min(1.0, 2.0 * batch / (n + 1))
        self._still, self._patience = still, patience
        self._steps, self._waited = 0, 0
        self._loss = self._move = self._least = np.inf

    def now(self, loss: float, move: float) -> bool:
        """After a batch of inertia `loss` that moved the centres by squares that add up to `move`."""
        self._steps += 1
        if self._steps == 1:  # its loss is that of the first centres on rows that they were made from
            return False
        self._loss = loss if np.isinf(self._loss) else (1 - self._share) * self._loss + self._share * loss
        self._move = move if np.isinf(self._move) else (1 - self._share) * self._move + self._share * move
        if self._still and self._move <= self._still:
            return True
        self._waited = 0 if self._loss < self._least else self._waited + 1
        self._least = min(self._least, self._loss)
        return self._patience is not None and self._waited >= self._patience
