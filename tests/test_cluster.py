"""KMeans, MiniBatchKMeans and BisectingKMeans are what scikit-learn's users expect, and agree with scikit-learn's where they should."""

from __future__ import annotations

import doctest
import importlib
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

sklearn = pytest.importorskip("sklearn", reason="scikit-learn comes with the extra cluster")
import sklearn.cluster as theirs  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.metrics import adjusted_rand_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from codeword import _native, cluster  # noqa: E402
from codeword.cluster import BisectingKMeans, KMeans, MiniBatchKMeans  # noqa: E402

ESTIMATORS = [KMeans, MiniBatchKMeans, BisectingKMeans]
every_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)


def mixture(n: int = 600, d: int = 5, k: int = 4, seed: int = 0, dtype: Any = np.float64) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    centres = 6 * rng.normal(size=(k, d))
    return (centres[rng.integers(0, k, n)] + rng.normal(size=(n, d))).astype(dtype)


# Also those checks that scikit-learn expects its own to fail: rows of weight 2 are rows that come twice, in any order.
@parametrize_with_checks([Estimator() for Estimator in ESTIMATORS] + [KMeans(2, n_init=2, max_iter=5, init="random")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("name", ["bisecting", "choosing", "kmeans", "minibatch", "outliers", "scaling"])
def test_examples_run(name: str) -> None:
    module = importlib.import_module(f"codeword.cluster.{name}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


@pytest.mark.parametrize("name", cluster.__all__)
def test_no_module_hides_a_public_name(name: str) -> None:
    importlib.import_module(f"codeword.cluster.{cluster._HOME[name]}")
    assert callable(getattr(cluster, name))


@every_estimator
def test_parameters_and_their_defaults_are_scikit_learns(Estimator: Any) -> None:
    assert Estimator().get_params() == getattr(theirs, Estimator.__name__)().get_params()


@every_estimator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attributes_are_scikit_learns(Estimator: Any, dtype: Any) -> None:
    X = mixture(dtype=dtype)
    ours, other = (E(3, random_state=0).fit(X) for E in (Estimator, getattr(theirs, Estimator.__name__)))
    public = {name for name in vars(other) if name.endswith("_") and not name.startswith("_")}
    assert public <= set(vars(ours))
    for name in public:
        assert np.asarray(getattr(ours, name)).shape == np.asarray(getattr(other, name)).shape, name
        if isinstance(getattr(other, name), np.ndarray):
            assert getattr(ours, name).dtype == getattr(other, name).dtype, name
    assert ours.transform(X).dtype == dtype
    assert list(ours.get_feature_names_out()) == list(other.get_feature_names_out())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "d", "k"), [(500, 3, 5), (800, 20, 12), (300, 70, 3)])
def test_labels_from_the_same_start_are_scikit_learns(n: int, d: int, k: int, dtype: Any, weighted: bool) -> None:
    X = np.random.default_rng(n + d).normal(size=(n, d)).astype(dtype)
    start, weight = X[:k] * 0.9, (np.random.default_rng(1).random(n) + 0.5 if weighted else None)
    ours = KMeans(k, init=start, n_init=1, tol=0).fit(X, sample_weight=weight)
    other = theirs.KMeans(k, init=start, n_init=1, tol=0).fit(X, sample_weight=weight)
    assert np.array_equal(ours.labels_, other.labels_)
    assert ours.n_iter_ == other.n_iter_
    close = 1e-5 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(ours.cluster_centers_, other.cluster_centers_, atol=close)
    assert ours.inertia_ == pytest.approx(other.inertia_, rel=close)


@pytest.mark.parametrize("seed", range(5))
def test_inertia_is_not_above_scikit_learns(seed: int) -> None:
    X = mixture(1500, 6, 15, seed=9)
    ours, other = KMeans(15, random_state=seed).fit(X), theirs.KMeans(15, random_state=seed).fit(X)
    assert ours.inertia_ <= other.inertia_ * (1 + 1e-9)


def test_float64_rows_are_clustered_in_float64() -> None:
    X = mixture(5000, 7, 9) + 1e3
    km = KMeans(9, random_state=0, tol=0).fit(X)
    means = np.array([X[km.labels_ == c].mean(axis=0, dtype=np.longdouble) for c in range(9)])
    np.testing.assert_allclose(km.cluster_centers_, means.astype(np.float64), rtol=4e-16)
    expected = float(((X.astype(np.longdouble) - km.cluster_centers_[km.labels_]) ** 2).sum())
    assert km.inertia_ == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("shift", [0.0, 1e8, -1e12])
@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e100])
def test_float64_labels_do_not_depend_on_place_or_scale(shift: float, scale: float) -> None:
    X = np.round(mixture(400) * 64) / 64  # steps that the shifts keep
    plain = KMeans(4, random_state=0).fit_predict(X)
    assert adjusted_rand_score(plain, KMeans(4, random_state=0).fit_predict((X + shift) * scale)) == 1.0


@every_estimator
def test_results_do_not_depend_on_threads(Estimator: Any, keep_threads: None) -> None:
    X = mixture(3000, 12, 6)
    made = []
    for threads in (1, 3):
        _native.set_threads(threads)
        made.append(Estimator(6, random_state=0).fit(X))
    assert np.array_equal(made[0].cluster_centers_, made[1].cluster_centers_)
    assert np.array_equal(made[0].labels_, made[1].labels_)


def test_results_do_not_depend_on_the_isa(isa: str) -> None:
    X = mixture(3000, 12, 6)
    assert KMeans(6, random_state=0).fit(X).inertia_ == _inertia_on_the_first_isa(X)


def _inertia_on_the_first_isa(X: NDArray[Any]) -> float:
    before = _native.isa()
    _native.set_isa(_native.available_isas()[0])
    try:
        return float(KMeans(6, random_state=0).fit(X).inertia_)
    finally:
        _native.set_isa(before)


def test_the_order_of_the_rows_does_not_matter() -> None:
    X = mixture(2000, 4, 7)
    shuffled = X[np.random.default_rng(0).permutation(len(X))]
    ours, other = KMeans(7, random_state=3).fit(X), KMeans(7, random_state=3).fit(shuffled)
    assert np.array_equal(ours.cluster_centers_, other.cluster_centers_)


def test_no_row_is_left_out() -> None:
    X = np.concatenate([mixture(500, 2, 1), [[1e6, 1e6]]])
    km = KMeans(2, random_state=0).fit(X)
    assert np.bincount(km.labels_).min() == 1
    assert any(np.array_equal(c, [1e6, 1e6]) for c in km.cluster_centers_)


@every_estimator
def test_the_labels_are_what_predict_says(Estimator: Any) -> None:
    X = mixture(1000, 3, 6)
    made = Estimator(6, random_state=1).fit(X)
    assert np.array_equal(made.labels_, made.predict(X))
    assert made.score(X) == pytest.approx(-made.inertia_)


@every_estimator
def test_pickles_clones_pipelines_and_data_frames(Estimator: Any) -> None:
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(mixture(300, 3), columns=["a", "b", "c"])
    pipe = make_pipeline(StandardScaler(), Estimator(3, random_state=0)).fit(X)
    assert np.array_equal(pickle.loads(pickle.dumps(pipe)).predict(X), pipe.predict(X))
    assert np.array_equal(clone(pipe).fit(X).predict(X), pipe.predict(X))
    frame = Estimator(3, random_state=0).set_output(transform="pandas").fit(X).transform(X)
    assert list(frame.columns) == [f"{Estimator.__name__.lower()}{i}" for i in range(3)]


@every_estimator
def test_sparse_rows_are_clustered_like_dense_ones(Estimator: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X = np.where(np.random.default_rng(0).random((200, 8)) < 0.7, 0.0, mixture(200, 8))
    ours = Estimator(3, random_state=0).fit(sparse.csr_matrix(X))
    assert np.array_equal(ours.labels_, Estimator(3, random_state=0).fit(X).labels_)


def test_short_distances_are_exact_far_from_zero() -> None:
    X = np.array([[1e8, 1e8], [1e8 + 1, 1e8], [1e8, 1e8 + 3]])
    km = KMeans(3, random_state=0).fit(X)
    expected = np.linalg.norm(X[:, None] - km.cluster_centers_, axis=2)
    np.testing.assert_allclose(km.transform(X), expected, rtol=1e-12)


def test_a_centre_that_loses_its_rows_is_moved_in_a_stream() -> None:
    rng = np.random.default_rng(0)
    mb = MiniBatchKMeans(2, init=np.array([[0.0], [1e3]]), random_state=0)
    for _ in range(30):
        mb.partial_fit(np.concatenate([rng.normal(size=(50, 1)), 20 + rng.normal(size=(50, 1))]))
    assert sorted(np.round(mb.cluster_centers_[:, 0], -1).tolist()) == [0.0, 20.0]


@every_estimator
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_clusters": 0}, "n_clusters: expected an integer of at least 1, got 0"),
        ({"n_clusters": 2.5}, "n_clusters: expected an integer"),
        ({"n_clusters": True}, "n_clusters: expected an integer"),
        ({"max_iter": 0}, "max_iter: expected an integer of at least 1"),
        ({"tol": -1.0}, "tol: expected a number of at least 0"),
        ({"tol": float("nan")}, "tol: expected a number of at least 0"),
        ({"init": "best"}, "init: expected one of 'k-means\\+\\+', 'random', got 'best'"),
        ({"n_init": 0}, "n_init: expected an integer of at least 1"),
        ({"init": lambda X, k, random_state: X[:1]}, "init: expected centres of shape"),
    ],
)
def test_bad_parameters_are_named(Estimator: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Estimator(**{"n_clusters": 2, **change}).fit(mixture(50))


@every_estimator
def test_bad_rows_and_weights_are_refused(Estimator: Any) -> None:
    X = mixture(50)
    with pytest.raises(ValueError, match="n_samples=5 should be >= n_clusters=8"):
        Estimator(8).fit(X[:5])
    with pytest.raises(ValueError, match="NaN"):
        Estimator(2).fit(np.where(X > 5, np.nan, X))
    with pytest.raises(ValueError, match="at least one"):
        Estimator(2).fit(X, sample_weight=np.zeros(50))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        Estimator(2).fit(X, sample_weight=-np.ones(50))


def test_fewer_different_rows_than_clusters_is_a_warning() -> None:
    X = np.repeat([[0.0, 1.0], [2.0, 3.0]], 10, axis=0)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match=r"distinct clusters \(2\) found smaller than n_clusters \(5\)"):
        km = KMeans(5, random_state=0).fit(X)
    assert km.inertia_ == 0.0
