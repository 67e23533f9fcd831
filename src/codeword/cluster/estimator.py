"""What the k-means estimators share: checked input, predicting, transforming, scoring."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from codeword.cluster import engine
from codeword.cluster.scaled import Frame
from codeword.training import sums

Rows = NDArray[Any]
# Of the lengths of row and centre: below that, a distance from their squares has lost half its digits.
_CANCELLED = 1e-3
_BLOCK_ELEMENTS = 1 << 22


class CentresEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A clusterer whose clusters are the cells of `cluster_centers_` (k, d)."""

    cluster_centers_: Rows
    labels_: NDArray[np.int32]
    inertia_: float

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int32]:
        """Fit, and return the cluster of each row, `labels_` (n,) int32."""
        return self.fit(X, sample_weight=sample_weight).labels_  # type: ignore[no-any-return]

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, and return the distances of the rows to all centres (n, k)."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    def predict(self, X: Any) -> NDArray[np.int32]:
        """The cluster of each row of `X` (n, d): its nearest centre, ties to the lowest; int32 (n,)."""
        check_is_fitted(self)
        return self._cells(self._checked(X))[0]

    def transform(self, X: Any) -> Any:
        """Distances of the rows of `X` (n, d) to all centres (n, k)."""
        check_is_fitted(self)
        return distances(self._checked(X), self.cluster_centers_)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The negative inertia of rows `X` (n, d)."""
        check_is_fitted(self)
        A = self._checked(X)
        return -self._inertia(self._cells(A)[1], self._weights(sample_weight, A))

    def _checked(self, X: Any, reset: bool = False) -> Rows:
        """Rows of float32 or float64, finite, dense."""
        dtype = [np.float64, np.float32] if reset else self.cluster_centers_.dtype
        A = validate_data(self, X, accept_sparse="csr", reset=reset, dtype=dtype, order="C", accept_large_sparse=False)
        return A if isinstance(A, np.ndarray) else A.toarray()

    def _weights(self, sample_weight: Any, A: Rows) -> Rows | None:
        if sample_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, A, dtype=A.dtype, ensure_non_negative=True)
        if not weight.any():  # newer scikit-learn has raised already
            raise ValueError("sample_weight: expected at least one weight above 0, all are 0")
        return weight  # type: ignore[no-any-return]

    def _cells(self, A: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Clusters of checked rows (n,) and squared distances (n,) to their centres."""
        return cells(A, self.cluster_centers_)

    def _inertia(self, squares: NDArray[np.float64], weight: Rows | None) -> float:
        return sums.total(squares, weight)

    def _label(self, A: Rows, weight: Rows | None) -> None:
        """Set `labels_` and `inertia_`; warn where clusters are empty."""
        self.labels_, squares = self._cells(A)
        self.inertia_ = self._inertia(squares, weight)
        used, k = len(np.unique(self.labels_)), len(self.cluster_centers_)
        if used < k:
            distinct = len(np.unique(A, axis=0)) if len(A) <= 4096 else k
            if distinct < k:
                warnings.warn(
                    f"Number of distinct clusters ({distinct}) found smaller than n_clusters ({k}). "
                    "Possibly due to duplicate points in X.",
                    ConvergenceWarning,
                    stacklevel=3,
                )


def cells(A: Rows, centres: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nearest of `centres` (k, d) for each row of `A` (n, d), of one dtype, and its squared distance.

    A row's cell depends on the row and the centres alone.
    """
    if A.dtype == np.float32:
        return engine.assign(A, centres)
    frame = Frame.about(np.average(centres / 2, axis=0) * 2, A, centres)
    labels, squares = engine.assign(frame.into(A), frame.into(centres))
    return labels, np.ldexp(squares, 2 * frame.exponent)


def distances(A: Rows, centres: Rows) -> Rows:
    """Distances of rows `A` (n, d) to `centres` (k, d), of their dtype (n, k); short ones are not differences of long ones."""
    middle = np.average(centres / 2, axis=0) * 2
    A, centres = A - middle.astype(A.dtype), centres - middle.astype(A.dtype)
    out: Rows = euclidean_distances(A, centres)
    reach = _CANCELLED * (np.linalg.norm(A, axis=1)[:, None] + np.linalg.norm(centres, axis=1))
    i, j = np.nonzero(out <= reach)
    step = max(1, _BLOCK_ELEMENTS // A.shape[1])
    for start in range(0, len(i), step):
        a, b = i[start : start + step], j[start : start + step]
        out[a, b] = np.linalg.norm(A[a] - centres[b], axis=1)
    return out


def seed_of(random_state: Any) -> int:
    """A seed of ours from scikit-learn's `random_state`."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def whole(value: Any, name: str, least: int) -> int:
    """An integer parameter of at least `least`, or ValueError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return int(value)


def at_least_zero(value: Any, name: str) -> float:
    """A real parameter of at least 0, or ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < np.inf:
        raise ValueError(f"{name}: expected a number of at least 0, got {value!r}")
    return float(value)


def one_of(value: Any, name: str, words: tuple[str, ...]) -> str:
    """A parameter that is one of several words, or ValueError."""
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, words))}, got {value!r}")
    return value


def enough(A: Rows, k: int, weight: Rows | None = None) -> None:
    """ValueError where there are fewer rows than clusters."""
    if len(A) < k:
        raise ValueError(f"X: n_samples={len(A)} should be >= n_clusters={k}")


def start_of(init: Any, A: Rows, k: int, random_state: Any) -> Rows | None:
    """The centres (k, d) that an array or a callable gives; None for a word."""
    if isinstance(init, str):
        one_of(init, "init", ("k-means++", "random"))
        return None
    made = init(A, k, random_state=check_random_state(random_state)) if callable(init) else init
    C = np.array(made, A.dtype, order="C")
    if C.shape != (k, A.shape[1]):
        raise ValueError(f"init: expected centres of shape ({k}, {A.shape[1]}), got {C.shape}")
    if not np.isfinite(C).all():
        raise ValueError("init: expected finite numbers, found NaN or infinity")
    return C


def runs_of(n_init: Any, init: Any, of_random: int = 10) -> int:
    """How many candidates to train; `of_random` is what "auto" means for random ones."""
    if isinstance(n_init, str):
        one_of(n_init, "n_init", ("auto",))
        return of_random if isinstance(init, str) and init == "random" else 1
    return whole(n_init, "n_init", 1)
