"""Figures about codes agree with their definitions, and do not depend on blocks or order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codeword as cw
from codeword import metrics
from codeword.metrics import codebook_usage, gaussian_distortion, gaussian_rate, usage

RNG = np.random.default_rng(3)
X = (RNG.standard_normal((700, 9)) * np.arange(1, 10) + 5).astype(np.float32)
X_HAT = (X + RNG.standard_normal((700, 9)) * 0.3).astype(np.float32)


def naive_db(ratio: float) -> float:
    return 10 * np.log10(ratio)


# Distortion


def test_distortion_is_its_definition() -> None:
    found = cw.distortion(X, X_HAT, rate=2)
    errors = (X.astype(np.float64) - X_HAT) ** 2
    variance = X.astype(np.float64).var(0).mean()
    assert found.mse == pytest.approx(errors.mean(), rel=1e-7)
    assert found.per_dimension == pytest.approx(errors.mean(0), rel=1e-6)
    assert found.relative == pytest.approx(errors.mean() / variance, rel=1e-6)
    assert found.snr_db == pytest.approx(-naive_db(errors.mean() / variance), abs=1e-5)
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T.astype(np.float64), bias=True))
    assert found.gaussian_gap_db == pytest.approx(naive_db(errors.mean() / gaussian_distortion(eigenvalues, 2)), abs=1e-4)
    assert (found.n, found.rate) == (700, 2)
    assert "gaussian_gap_db" in repr(found) and "rate=2" in repr(found) and "rate" not in repr(cw.distortion(X, X_HAT))
    assert cw.distortion(X, X_HAT).gaussian_gap_db is None


def test_a_round_error_has_a_round_mse() -> None:
    assert cw.distortion(np.zeros((50, 3)), np.full((50, 3), 0.3)).mse == pytest.approx(0.09, rel=1e-7)
    assert cw.distortion(np.zeros((50, 3)), np.full((50, 3), 0.5)).mse == 0.25


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(60)))
def test_distortion_ignores_the_order_of_rows(order: list[int]) -> None:
    one, other = cw.distortion(X[:60], X_HAT[:60], rate=1), cw.distortion(X[order], X_HAT[order], rate=1)
    assert one == other and (one.per_dimension == other.per_dimension).all()


def test_distortion_ignores_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer = cw.VectorQuantizer(8).fit(X)
    before = [cw.distortion(X, X_HAT, rate=1), quantizer.distortion(X)]
    monkeypatch.setattr(metrics, "_block_rows", lambda d: 13)
    after = [cw.distortion(X, X_HAT, rate=1), quantizer.distortion(X)]
    assert before == after
    assert [b.per_dimension.tobytes() for b in before] == [a.per_dimension.tobytes() for a in after]


def test_distortion_without_error_or_without_variance() -> None:
    same = cw.distortion(X, X)
    assert (same.mse, same.relative, same.snr_db) == (0, 0, np.inf)
    flat = np.ones((20, 2))
    assert cw.distortion(flat, flat, rate=1) == metrics.Distortion(0, 0, np.inf, np.zeros(2), 1, None, 20)
    assert cw.distortion(flat, flat + 1).relative == np.inf
    assert cw.distortion(X, X, rate=1).gaussian_gap_db == -np.inf
    assert cw.distortion(X[:9], X_HAT[:9], rate=1).gaussian_gap_db is None  # too few rows for a covariance


def test_distortion_compares_in_float64() -> None:
    far = 1e9 + RNG.standard_normal((100, 2))
    assert cw.distortion(far, far + 1e-3).mse == pytest.approx(1e-6, rel=1e-3)


def test_measure_is_against_the_variance_of_the_training_rows() -> None:
    quantizer = cw.VectorQuantizer(16).fit(X)
    other = X[:300] * 2
    found = quantizer.distortion(other)
    errors = (other.astype(np.float64) - quantizer.decode(quantizer.encode(other))) ** 2
    assert found.mse == pytest.approx(errors.mean(), rel=1e-7)
    assert found.relative == pytest.approx(errors.mean() / X.astype(np.float64).var(0).mean(), rel=1e-6)
    assert found.rate == quantizer.rate and found.n == 300


def test_white_rows_coded_by_lloyd_max_are_where_theory_says() -> None:
    rows = RNG.standard_normal((40_000, 4)).astype(np.float32)
    levels = np.array([-1.510, -0.4528, 0.4528, 1.510])
    coded = levels[np.abs(rows[..., None] - levels).argmin(axis=-1)]
    assert cw.distortion(rows, coded, rate=2).gaussian_gap_db == pytest.approx(naive_db(0.1175 * 16), abs=0.1)


# The Gaussian bound


def test_gaussian_distortion_in_closed_form() -> None:
    assert gaussian_distortion([2.0], 3) == 2 / 64
    assert gaussian_distortion(np.full(7, 0.5), 1.5) == pytest.approx(0.5 / 8)
    # High rate: every axis is coded, geometric mean; low rate: only the first.
    assert gaussian_distortion([4.0, 1.0], 2) == pytest.approx(np.sqrt(4 * 1) / 16)
    assert gaussian_distortion([16.0, 1.0], 0.5) == pytest.approx((4 + 1) / 2)
    assert gaussian_distortion([3.0, 1.0, 0.0], 0) == pytest.approx(4 / 3)
    assert gaussian_distortion([0.0, 0.0], 1) == 0
    assert gaussian_distortion([1.0, -1e-18], 1) == pytest.approx(0.5 * 2.0**-4)


@settings(deadline=None)
@given(
    values=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8),
    rate=st.floats(0, 12),
)
def test_gaussian_distortion_is_reverse_water_filling_and_has_an_inverse(values: list[float], rate: float) -> None:
    D = gaussian_distortion(values, rate)
    low, high = 0.0, max(values)
    for _ in range(200):  # bisection for the water level
        level = (low + high) / 2
        spent = np.mean([max(0, np.log2(v / level) / 2) if level else np.inf for v in values])
        low, high = (low, level) if spent < rate else (level, high)
    assert pytest.approx(np.mean(np.minimum(values, high)), rel=1e-9) == D
    assert gaussian_rate(values, D) == pytest.approx(rate, abs=1e-6)


def test_gaussian_rate_at_its_ends() -> None:
    assert gaussian_rate([1.0, 3.0], 2.0) == 0 and gaussian_rate([1.0, 3.0], 5.0) == 0
    assert gaussian_rate([1.0], 0) == np.inf and gaussian_rate([0.0], 0) == 0
    assert gaussian_rate([1.0, 0.0], 0.5 * 2.0**-4) == pytest.approx(1)
    for call in (gaussian_rate, gaussian_distortion):
        with pytest.raises(ValueError, match="at least 0"):
            call([1.0], -1)
        with pytest.raises(ValueError, match="eigenvalues"):
            call([], 1)


# Use of codewords


def test_usage_counts() -> None:
    found = usage(np.array([0, 0, 0, 2], np.uint8), 4)
    assert found.counts.tolist() == [3, 0, 1, 0] and found.dead.tolist() == [1, 3]
    assert found.fullest == 0.75 and found.n == 4
    assert found.perplexity == pytest.approx(2 ** (0.75 * np.log2(4 / 3) + 0.5))
    assert usage(np.arange(8), 8).perplexity == pytest.approx(8)
    assert usage(np.zeros(5, int), 3).perplexity == 1
    assert usage([], 3).n == 0
    for bad, error in (([0.5], TypeError), ([4], ValueError), ([-1], ValueError)):
        with pytest.raises(error, match="indices"):
            usage(bad, 4)


def test_usage_of_quantizers() -> None:
    pq = cw.Pipeline([cw.Center()], cw.ProductQuantizer(3, bits=4)).fit(X)
    found = codebook_usage(pq, pq.encode(X))
    assert [len(u.counts) for u in found] == [16] * 3 and all(u.n == len(X) and u.perplexity > 8 for u in found)
    vq = cw.VectorQuantizer(5).fit(X)
    assert [len(u.counts) for u in codebook_usage(vq, vq.encode(X))] == [5]
    with pytest.raises(TypeError, match="quantizer"):
        codebook_usage(cw.Center(), np.zeros((1, 1), np.uint8))


# Recall


def test_recall_is_its_definition() -> None:
    truth = np.array([RNG.permutation(50)[:10] for _ in range(20)])
    found = np.array([RNG.permutation(50)[:15] for _ in range(20)])
    for k in (1, 3, 10):
        naive = np.mean([len(set(t[:k]) & set(f[:k])) / k for t, f in zip(truth.tolist(), found.tolist(), strict=True)])
        assert cw.recall(found, truth, k) == pytest.approx(naive)


def test_recall_at_its_edges() -> None:
    truth = np.array([[1, 2], [3, 4]])
    assert cw.recall(truth, truth, 2) == 1 and cw.recall(truth[:, ::-1], truth, 2) == 1
    assert cw.recall(truth[:, ::-1], truth, 1) == 0
    assert cw.recall([[-1, -1], [3, -1]], truth, 2) == 0.25
    assert cw.recall([[1, 1], [3, 3]], truth, 2) == 0.5  # found twice counts once
    assert cw.recall(truth.astype(np.uint64), truth.astype(np.int32), 2) == 1
    big = np.array([[2**62 + 1]])
    assert cw.recall(big, big + 1, 1) == 0  # no rounding to float64 on the way


def test_recall_names_what_is_wrong() -> None:
    ok = np.zeros((2, 3), int)
    for found, truth, k, error, word in (
        (ok, ok[:1], 1, ValueError, "found"),
        (ok[:0], ok[:0], 1, ValueError, "found"),
        (ok, ok, 4, ValueError, "k"),
        (ok, ok, 0, ValueError, "k"),
        (ok, ok - 1, 1, ValueError, "truth"),
        (ok.astype(float), ok, 1, TypeError, "found"),
        (ok[0], ok, 1, ValueError, "found"),
        (ok.astype(np.uint64) + np.uint64(2**63), ok, 1, ValueError, "found"),
    ):
        with pytest.raises(error, match=word):
            cw.recall(found, truth, k)
