"""KMeans: scikit-learn's estimator on our trainer."""

from __future__ import annotations

from typing import Any

from codeword.cluster import engine
from codeword.cluster.estimator import (
    CentresEstimator,
    Rows,
    at_least_zero,
    enough,
    one_of,
    runs_of,
    seed_of,
    start_of,
    whole,
)
from codeword.cluster.scaled import framed


class KMeans(CentresEstimator):
    """k-means with scikit-learn's parameters and attributes: a drop-in for `sklearn.cluster.KMeans`.

    float32 rows are clustered in float32, float64 rows in float64, exactly: the same labels for any threads and instruction set. From
    given centres (`init` an array) passes and their end are those of scikit-learn, and so are the labels. From a word the
    way is shorter: candidates are trained on some of the rows, with over-relaxed passes, and the best goes over all rows. No row is
    left out, however far out it lies.

    Parameters
    ----------
    n_clusters : int
    init : {"k-means++", "random"}, array_like (n_clusters, d) or callable
        A callable is given X, n_clusters and random_state, and returns centres.
    n_init : "auto" or int
        Candidates to choose from; "auto" is 1 for "k-means++", 10 for "random". Given centres are one.
    max_iter : int
        Most passes over the rows.
    tol : float
        Passes end when the squared moves of the centres add up to `tol` times the mean variance of the columns.
    verbose : int
        Ignored: long work shows progress on a terminal.
    random_state : int, RandomState or None
    copy_x : bool
        Ignored: `X` is never changed.
    algorithm : {"lloyd", "elkan"}
        Ignored: both give what is given here.

    Attributes
    ----------
    cluster_centers_ : ndarray (n_clusters, d), of the dtype of X
    labels_ : ndarray (n,) int32
    inertia_ : float
        Weighted sum of the squared distances to the centres.
    n_iter_ : int
        Passes over all rows.
    n_features_in_, feature_names_in_

    Notes
    -----
    Sparse input is accepted and made dense.

    Examples
    --------
    >>> import numpy as np
    >>> from codeword.cluster import KMeans
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> km = KMeans(n_clusters=2, random_state=0).fit(X)
    >>> sorted(km.cluster_centers_.tolist()), km.inertia_
    ([[1.0, 2.0], [10.0, 2.0]], 16.0)
    >>> bool(km.predict([[0, 0]])[0] == km.labels_[0])
    True
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: Any = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: Any = None,
        copy_x: bool = True,
        algorithm: str = "lloyd",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> KMeans:
        """Find the centres of rows `X` (n, d), of weights (n,).

        Raises
        ------
        ValueError
            For rows that are not finite numbers, fewer rows than clusters, or a bad parameter, which it names.
        """
        A = self._checked(X, reset=True)
        weight = self._weights(sample_weight, A)
        k, max_iter = whole(self.n_clusters, "n_clusters", 1), whole(self.max_iter, "max_iter", 1)
        tol = at_least_zero(self.tol, "tol")
        one_of(self.algorithm, "algorithm", ("lloyd", "elkan"))
        runs = runs_of(self.n_init, self.init)
        enough(A, k)
        start = start_of(self.init, A, k, self.random_state)
        W, frame, variance = framed(A, weight)
        still = tol * variance
        if start is None:
            seeding = "kmeans++" if self.init == "k-means++" else "random"
            made = engine.train(A, W, weight, k, seeding, runs, max_iter, still, seed_of(self.random_state))
        else:
            made = engine.polish(W, frame.into(start), weight, max_iter, still)
        self.cluster_centers_: Rows = frame.back(made.codebook)
        self.n_iter_ = made.passes
        self._label(A, weight)
        return self
