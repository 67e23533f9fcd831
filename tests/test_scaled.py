"""A scale of its own for each row: sizes of rows differ as they like, the code behind it sees rows of one size."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword.quantizers.scaled import EFFORTS

RNG = np.random.default_rng(4)


def rows(n: int, sigma: float) -> np.ndarray:
    """Normal columns of falling variance, times a scale for each row."""
    return (RNG.standard_normal((n, 24)) * 0.9 ** np.arange(24) * RNG.lognormal(sigma=sigma, size=(n, 1)) + 1).astype(np.float32)


X, NEW = rows(4000, 1.0), rows(1000, 1.0)


def scaled(size: int, **options: str) -> cw.Pipeline:
    return cw.Pipeline([cw.KLT()], cw.ScaledQuantizer(cw.TrellisQuantizer(8 * (size - 1) / 24, allocation="waterfill"), **options))


def test_it_loses_less_where_sizes_differ_at_the_same_bytes() -> None:
    plain = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(3.0, allocation="waterfill")).fit(X)
    ours = scaled(9).fit(X)
    assert ours.code_size == plain.code_size == 9
    assert ours.distortion(NEW).mse < 0.5 * plain.distortion(NEW).mse


def test_the_loss_is_in_proportion_to_the_size_of_a_row() -> None:
    quantizer = scaled(9).fit(X)
    small, large = ((row := (NEW - 1) * factor + 1) - quantizer.decode(quantizer.encode(row)) for factor in (0.2, 5.0))
    assert np.square(large).sum() == pytest.approx(625 * np.square(small).sum(), rel=0.3)


def test_more_effort_loses_no_more() -> None:
    quantizer = scaled(7).fit(X)
    losses = []
    for effort in EFFORTS:
        quantizer.quantizer.set_params(effort=effort)
        error = NEW - quantizer.decode(quantizer.encode(NEW))
        losses.append(np.square(error, dtype=np.float64).sum(axis=1))
    assert (losses[1] <= losses[0] * (1 + 1e-6)).all() and losses[1].sum() < losses[0].sum()
    assert (losses[2] <= losses[1] * (1 + 1e-6)).all() and losses[2].sum() < losses[1].sum()


def test_a_row_at_the_mean_is_the_mean() -> None:
    quantizer = cw.ScaledQuantizer(cw.TrellisQuantizer(2.0)).fit(np.concatenate([X - X.mean(0), X.mean(0) - X]))
    middle = quantizer.mean[None]
    codes = quantizer.encode(middle)
    assert quantizer.scales(codes)[0] == 0
    assert np.array_equal(quantizer.decode(codes), middle)


def test_rows_that_are_all_alike_are_kept() -> None:
    same = np.full((20, 5), 3.5, np.float32)
    assert np.array_equal((q := cw.ScaledQuantizer(cw.TrellisQuantizer(2.0)).fit(same)).decode(q.encode(same)), same)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_scores_are_distances_to_the_reconstructions(metric: str) -> None:
    quantizer = scaled(9).fit(X)
    codes = quantizer.encode(NEW[:200])
    scores = quantizer.scorer(NEW[200:220], metric).scores(codes)
    Q, R = NEW[200:220].astype(np.float64), quantizer.decode(codes).astype(np.float64)
    exact = {
        "l2": ((Q[:, None] - R) ** 2).sum(axis=2),
        "ip": -Q @ R.T,
        "cosine": 1 - Q @ R.T / np.linalg.norm(Q, axis=1)[:, None] / np.linalg.norm(R, axis=1),
    }[metric]
    assert np.abs(scores - exact).max() < 2e-3 * np.abs(exact).max()


def test_inner_products_have_the_passes_of_what_is_inside() -> None:
    quantizer = scaled(9).fit(X)
    codes, queries = quantizer.encode(NEW[:200]), NEW[200:220]
    scorer = quantizer.scorer(queries, "ip")
    exact, rough = scorer.scores(codes), scorer.rough(codes)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(quantizer.decode(codes), axis=1)
    assert np.abs(rough - exact).max() > 0 and (np.abs(rough - exact) <= 0.07 * lengths).all()
    chosen = np.arange(60).reshape(20, 3)
    np.testing.assert_allclose(scorer.refine(codes[chosen]), np.take_along_axis(exact, chosen, axis=1), rtol=1e-4, atol=1e-3)
    some = np.array([3, 17])
    np.testing.assert_array_equal(scorer.take(some).rough(codes), rough[some])
    plain = cw.ScaledQuantizer(cw.ProductQuantizer(4, bits=4)).fit(X).scorer(queries, "ip")
    assert plain.rough is None and plain.take is None


def test_weights_repeat_rows() -> None:
    mass = RNG.integers(0, 3, 500).astype(np.float32)
    once, often = (cw.ScaledQuantizer(cw.TrellisQuantizer(2.0)) for _ in range(2))
    once.fit(X[:500], mass)
    often.fit(np.repeat(X[:500], mass.astype(int), axis=0))
    assert np.allclose(once.mean, often.mean) and np.allclose(once.spread, often.spread)
