"""BisectingKMeans: a tree of clusters, each cut in two by k-means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.cluster import engine
from codeword.cluster.estimator import CentresEstimator, Rows, at_least_zero, cells, enough, one_of, seed_of, start_of, whole
from codeword.cluster.scaled import framed
from codeword.training import sums

_CUT_STREAM = 621


class BisectingKMeans(CentresEstimator):
    """Bisecting k-means with scikit-learn's parameters and attributes: a drop-in for `sklearn.cluster.BisectingKMeans`.

    The worst cluster is cut in two until there are `n_clusters`. A row is in the cluster that its descent from the root ends in, the
    nearer of two centres at each cut: mostly, not always, that of its nearest centre.

    Parameters
    ----------
    n_clusters : int
    init : {"random", "k-means++"} or callable
        First centres of a cut; a callable is given the rows, 2 and random_state.
    n_init : int
        Cuts to choose from.
    random_state : int, RandomState or None
    max_iter : int
        Most passes of a cut.
    verbose : int
        Ignored.
    tol : float
        Passes of a cut end when the squared moves of the centres add up to `tol` times the mean variance of the columns.
    copy_x : bool
        Ignored: `X` is never changed.
    algorithm : {"lloyd", "elkan"}
        Ignored: both give what is given here.
    bisecting_strategy : {"biggest_inertia", "largest_cluster"}
        Which cluster is cut next.

    Attributes
    ----------
    cluster_centers_ : ndarray (n_clusters, d), of the dtype of X
    labels_ : ndarray (n,) int32
    inertia_ : float
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> import numpy as np
    >>> from codeword.cluster import BisectingKMeans
    >>> X = np.array([[1, 1], [10, 1], [3, 1], [10, 0], [2, 1], [10, 2], [10, 8], [10, 9], [10, 10]])
    >>> bk = BisectingKMeans(n_clusters=3, random_state=0).fit(X)
    >>> sorted(bk.cluster_centers_.round(9).tolist())
    [[2.0, 1.0], [10.0, 1.0], [10.0, 9.0]]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "random",
        n_init: int = 1,
        random_state: Any = None,
        max_iter: int = 300,
        verbose: int = 0,
        tol: float = 1e-4,
        copy_x: bool = True,
        algorithm: str = "lloyd",
        bisecting_strategy: str = "biggest_inertia",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.random_state = random_state
        self.max_iter = max_iter
        self.verbose = verbose
        self.tol = tol
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.bisecting_strategy = bisecting_strategy

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> BisectingKMeans:
        """Find the clusters of rows `X` (n, d), of weights (n,); errors as `KMeans.fit`."""
        A = self._checked(X, reset=True)
        weight = self._weights(sample_weight, A)
        k = whole(self.n_clusters, "n_clusters", 1)
        self._max_iter, self._tol = whole(self.max_iter, "max_iter", 1), at_least_zero(self.tol, "tol")
        self._runs = whole(self.n_init, "n_init", 1)
        one_of(self.algorithm, "algorithm", ("lloyd", "elkan"))
        largest = one_of(self.bisecting_strategy, "bisecting_strategy", ("biggest_inertia", "largest_cluster")) == "largest_cluster"
        enough(A, k)
        self._seed = seed_of(self.random_state)
        root = framed(A, weight)
        mean = engine.polish(root[0], root[0][:1], weight, 1, 0.0).codebook
        centres = [root[1].back(mean)[0]]
        pairs: list[Rows] = []
        parents: list[int] = []
        rows = [np.arange(len(A))]
        losses = [self._loss(A, weight, rows[0], centres[0])]
        while len(centres) < k:
            order = [float(len(r)) if largest else loss for r, loss in zip(rows, losses, strict=True)]
            cut = int(np.argmax([value if len(r) > 1 else -1.0 for value, r in zip(order, rows, strict=True)]))
            pair, right = self._cut(A, weight, rows[cut], len(pairs))
            pairs.append(pair)
            parents.append(cut)
            inside = rows[cut]
            rows[cut], centres[cut] = inside[~right], pair[0]
            rows.append(inside[right])
            centres.append(pair[1])
            losses[cut] = self._loss(A, weight, rows[cut], pair[0])
            losses.append(self._loss(A, weight, rows[-1], pair[1]))
        self.cluster_centers_: Rows = np.array(centres, A.dtype)
        self._pairs = np.array(pairs, A.dtype).reshape(-1, 2, A.shape[1])
        self._parents = np.array(parents, np.int32)
        self._label(A, weight)
        return self

    def _cut(self, A: Rows, weight: Rows | None, inside: NDArray[np.int64], number: int) -> tuple[Rows, NDArray[np.bool_]]:
        """Centres (2, d) of the two halves of the numbered rows, and which rows are in the second."""
        some, mass = A[inside], None if weight is None else weight[inside]
        if mass is not None and not mass.any():
            mass = None
        W, frame, variance = framed(some, mass)
        start = start_of(self.init, some, 2, self.random_state)
        still = self._tol * variance
        if start is None:
            seeding = "kmeans++" if self.init == "k-means++" else "random"
            own = int(keys.bits64(self._seed, _CUT_STREAM, [number])[0] >> np.uint64(1))
            made = engine.train(some, W, mass, 2, seeding, self._runs, self._max_iter, still, own)
        else:
            made = engine.polish(W, frame.into(start), mass, self._max_iter, still)
        pair = frame.back(made.codebook)
        return pair, cells(some, pair)[0] == 1

    def _loss(self, A: Rows, weight: Rows | None, rows: NDArray[np.int64], centre: Rows) -> float:
        if not len(rows):
            return 0.0
        return sums.total(cells(A[rows], centre[None])[1], None if weight is None else weight[rows])

    def _cells(self, A: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Descend the tree: cut t divides the rows of its parent, and those nearer to the second centre go to cluster t + 1."""
        labels = np.zeros(len(A), np.int32)
        for t, (parent, pair) in enumerate(zip(self._parents, self._pairs, strict=True)):
            here = np.flatnonzero(labels == parent)
            if len(here):
                labels[here[cells(A[here], pair)[0] == 1]] = t + 1
        squares = np.zeros(len(A))
        for c, centre in enumerate(self.cluster_centers_):
            here = np.flatnonzero(labels == c)
            if len(here):
                squares[here] = cells(A[here], centre[None])[1]
        return labels, squares
