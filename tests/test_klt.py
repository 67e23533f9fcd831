"""KLT finds the principal axes, removes the mean in float64, and with few rows believes its covariance only so far."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import metrics
from codeword.training.moments import Moments
from codeword.transforms.linear import ExactProduct
from codeword.transforms.shrinkage import Shrinkage
from data import load

RNG = np.random.default_rng(2)
SCALES = np.array([5.0, 3.0, 2.0, 1.0, 0.5, 0.1])
MIX = np.linalg.qr(RNG.standard_normal((6, 6)))[0]
X = (RNG.standard_normal((2000, 6)) * SCALES @ MIX + 10).astype(np.float32)


def test_axes_are_orthonormal_sorted_and_have_fixed_signs() -> None:
    klt = cw.KLT().fit(X)
    assert klt.axes.dtype == np.float32 and klt.axes.shape == (6, 6)
    assert abs(klt.axes @ klt.axes.T.astype(np.float64) - np.eye(6)).max() < 1e-6
    assert (np.diff(klt.eigenvalues) <= 0).all()
    assert (klt.axes[np.arange(6), abs(klt.axes).argmax(axis=1)] > 0).all()
    flipped = cw.KLT(shrinkage=0).fit(-X)
    assert np.allclose(flipped.axes, cw.KLT(shrinkage=0).fit(X).axes, atol=1e-6)


def test_coordinates_are_uncorrelated_and_have_the_eigenvalues_as_variances() -> None:
    klt = cw.KLT(shrinkage=0).fit(X)
    Y = klt.transform(X).astype(np.float64)
    assert np.allclose(np.cov(Y.T, bias=True), np.diag(klt.eigenvalues), atol=1e-4)
    assert np.allclose(klt.eigenvalues, np.linalg.eigvalsh(np.cov(X.T.astype(np.float64), bias=True))[::-1], rtol=1e-5)
    assert abs(Y.mean(0)).max() < 1e-5


def test_fewer_axes_lose_what_the_dropped_eigenvalues_say() -> None:
    klt = cw.KLT(4, shrinkage=0).fit(X)
    assert klt.d_out == 4 and klt.eigenvalues.shape == (6,) and klt.get_params()["d_out"] == 4
    back = klt.inverse_transform(klt.transform(X))
    lost = np.mean(np.sum((X.astype(np.float64) - back) ** 2, axis=1))
    assert lost == pytest.approx(klt.eigenvalues[4:].sum(), rel=1e-4)
    assert np.allclose(klt.axes, cw.KLT(shrinkage=0).fit(X).axes[:4])


def test_whole_weights_are_repeated_rows() -> None:
    weight = RNG.integers(0, 3, len(X))
    assert cw.KLT(shrinkage=0.01).fit(X, weight) == cw.KLT(shrinkage=0.01).fit(np.repeat(X, weight, axis=0))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("shrinkage", ["auto", 0, 0.3, 1])
def test_fewer_rows_than_dimensions_pass_without_a_warning(n: int, shrinkage: str | float) -> None:
    wide = RNG.standard_normal((n, 40))
    klt = cw.KLT(shrinkage=shrinkage).fit(wide)
    assert np.allclose(klt.inverse_transform(klt.transform(wide)), wide, atol=1e-5)
    assert 0 <= klt.shrinkage_ <= 1 and (klt.eigenvalues >= 0).all()


def test_constant_columns_and_scales_pass_without_a_warning() -> None:
    for scale in (1e-30, 1e-18, 1.0, 1e15):
        A = np.column_stack([X * scale, np.full(len(X), 7.0)])
        klt = cw.KLT().fit(A)
        assert np.allclose(klt.eigenvalues[:6] / scale**2, cw.KLT().fit(X).eigenvalues, rtol=1e-2, atol=1e-3)
    assert cw.KLT().fit(np.ones((50, 3))).transform(np.ones((2, 3))).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_many_rows_are_believed_and_few_are_not() -> None:
    spectrum = 0.9 ** np.arange(60)
    rows = RNG.standard_normal((20_000, 60)) * np.sqrt(spectrum) @ np.linalg.qr(RNG.standard_normal((60, 60)))[0]
    shares = [cw.KLT().fit(rows[:n]).shrinkage_ for n in (30, 100, 1000, 20_000)]
    assert shares[0] >= shares[1] > shares[2] > shares[3] and shares[3] < 0.002 and shares[1] > 0.03


def test_white_rows_of_different_scale_shrink_to_the_diagonal() -> None:
    rows = RNG.standard_normal((60, 30)) * np.logspace(0, 3, 30)
    klt = cw.KLT().fit(rows)
    assert klt.shrinkage_target_ == "diagonal" and klt.shrinkage_ > 0.5
    assert cw.KLT().fit(rows / np.logspace(0, 3, 30)).shrinkage_ > 0.5


def held_out_code_length(klt: cw.KLT, held: np.ndarray) -> float:
    """Ideal rate at a distortion of 2**-6 of the variance, bits a dimension, for a Gaussian of the fitted eigenvalues."""
    Y = klt.transform(held).astype(np.float64)
    level = held.var(0).mean() / 64
    model = klt.eigenvalues + level
    return float(np.mean(np.log2(model / level) + (np.mean(Y * Y, axis=0) + level) / model / np.log(2)) / 2)


@pytest.mark.parametrize(
    ("name", "n"),
    [("minilm-wordnet", 200), ("minilm-wordnet", 3000), ("sift-kodak", 200), ("sift-kodak", 1000), ("mnist784", 200)],
)
def test_automatic_shrinkage_is_near_the_best_share_on_real_rows(name: str, n: int) -> None:
    base = load(name)
    held = base[-3000:]
    auto = held_out_code_length(cw.KLT().fit(base[:n]), held)
    fixed = [held_out_code_length(cw.KLT(shrinkage=s).fit(base[:n]), held) for s in (0.0, 0.03, 0.1, 0.3)]
    assert auto < min(fixed) * 1.02
    if n == 200:
        assert auto < fixed[0] * 0.9


def test_covariance_of_real_rows_is_that_of_numpy() -> None:
    base = load("sift-kodak")[:5000]
    found = Moments.of(base).covariance
    expected = np.cov(base.T.astype(np.float64), bias=True)
    assert abs(found - expected).max() < 1e-6 * abs(expected).max()


def test_bad_parameters_are_named() -> None:
    for params, word in (
        ({"d_out": 7}, "d_out"),
        ({"d_out": 0}, "d_out"),
        ({"shrinkage": 1.5}, "shrinkage"),
        ({"shrinkage": "ledoit"}, "shrinkage"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ValueError, match=word):
            cw.KLT(**params).fit(X)
    with pytest.raises(TypeError, match="d_out"):
        cw.KLT(2.5).fit(X)


def test_damaged_state_is_a_format_error() -> None:
    klt = cw.KLT(3).fit(X)
    for name, value in (("axes", klt.axes[:2]), ("mean", klt.mean[:5]), ("eigenvalues", klt.eigenvalues * np.nan)):
        with pytest.raises(cw.FormatError, match=name):
            cw.KLT.from_config(klt.config(), {**klt.state(), name: value})


def test_eigenvalues_give_the_rate_that_the_rows_need() -> None:
    klt = cw.KLT(shrinkage=0).fit(X)
    D = metrics.gaussian_distortion(klt.eigenvalues, 2)
    assert 0 < D < klt.eigenvalues.mean() / 16
    assert metrics.gaussian_rate(klt.eigenvalues, D) == pytest.approx(2)


# The exact product


def test_exact_product_is_the_product_of_what_was_rounded() -> None:
    A = RNG.standard_normal((50, 30))
    product = ExactProduct(A)
    rows = RNG.standard_normal((20, 50)).astype(np.float32)
    got = product(rows)
    exact = product._integers.astype(np.int64).astype(object)
    for x, y in zip(rows, got, strict=True):
        shift = 24 - int(np.frexp(abs(x).max())[1])
        integers = np.rint(np.ldexp(x.astype(np.float64), shift)).astype(np.int64).astype(object)
        assert [float(v) for v in integers @ exact] == np.ldexp(y, shift + product._bits).tolist()
    lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(A, axis=0)
    assert (abs(got - rows @ A) < 2.0**-24 * lengths).all()
    assert np.abs(product._integers).sum(0).max() <= 2.0**29


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1.0, 1e30, 1e300])
def test_exact_product_of_any_scale(scale: float) -> None:
    A = np.eye(5) / 3
    rows = np.full((2, 5), scale)
    assert np.allclose(ExactProduct(A)(rows), scale / 3, rtol=1e-6, atol=0)
    assert (ExactProduct(A)(np.zeros((2, 5))) == 0).all()


def test_shrinkage_keeps_the_trace() -> None:
    S = np.cov(X.T)
    for target in ("identity", "diagonal"):
        assert np.trace(Shrinkage(0.3, target).applied(S)) == pytest.approx(np.trace(S))
