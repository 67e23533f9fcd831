"""GainShapeQuantizer: shapes of length 1 by angle, gains by projection, spherical k-means at its fixed point."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import lanes
from codeword.training import kmeans, spherical

rng = np.random.default_rng(21)
ROWS = (rng.normal(size=(3000, 6)) * rng.lognormal(size=(3000, 1))).astype(np.float32)


def unit(A: np.ndarray) -> np.ndarray:
    return A.astype(np.float64) / np.linalg.norm(A.astype(np.float64), axis=1, keepdims=True)


def test_the_shape_has_the_smallest_angle_and_the_gain_is_the_level_nearest_to_the_projection(isa: str) -> None:
    q = cw.GainShapeQuantizer(50, 3).fit(ROWS)
    codes = q.encode(ROWS[:300])
    shapes, gains = q.indices(codes)[:, 0], q.gains(codes)
    cosines = unit(ROWS[:300]) @ q.codebook.astype(float).T
    assert (cosines.max(1) - cosines[np.arange(300), shapes] < 1e-6).all()
    projections = (ROWS[:300].astype(float) * q.codebook[shapes]).sum(1)
    away = np.abs(projections[:, None] - q.gains_)
    assert (np.abs(projections - gains) <= away.min(1) * (1 + 1e-6) + 1e-9).all()
    np.testing.assert_allclose(q.decode(codes), gains[:, None] * q.codebook[shapes])


def test_no_other_pair_of_shape_and_gain_is_nearer() -> None:
    q = cw.GainShapeQuantizer(20, 2).fit(ROWS)
    X = ROWS[:200].astype(float)
    pairs = (q.gains_[:, None, None] * q.codebook).reshape(-1, 6).astype(float)
    best = ((X[:, None] - pairs) ** 2).sum(-1).min(1)
    got = ((X - q.decode(q.encode(ROWS[:200]))) ** 2).sum(1)
    assert (got <= best * (1 + 1e-5)).all()


def test_shapes_have_length_one() -> None:
    lengths = np.linalg.norm(cw.GainShapeQuantizer(64).fit(ROWS).codebook.astype(float), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_the_length_of_a_row_does_not_change_its_shape() -> None:
    q = cw.GainShapeQuantizer(64).fit(ROWS)
    shapes = q.indices(q.encode(ROWS))
    for factor in (2.0**-100, 2.0**-3, 2.0**60):
        assert np.array_equal(q.indices(q.encode(ROWS * np.float32(factor))), shapes)


def test_at_convergence_a_shape_is_the_mean_direction_of_its_rows() -> None:
    U = spherical.directions(ROWS)
    result = spherical.train(U, kmeans.Settings(12, max_iter=300, tol=0.0), None, "test")
    assert result.converged
    labels = (U.astype(float) @ result.codebook.astype(float).T).argmax(1)
    for cell in range(12):
        mean = U[labels == cell].astype(float).sum(0)
        np.testing.assert_allclose(result.codebook[cell], mean / np.linalg.norm(mean), atol=1e-5)


def test_rows_of_length_one_are_coded_as_well_as_by_k_means_with_no_bits_for_gains() -> None:
    U = spherical.directions(ROWS)
    shapes = cw.GainShapeQuantizer(64, 0).fit(U)
    assert shapes.gains_.shape == (1,) and shapes.code_size == 1
    assert shapes.distortion(U).mse < 1.02 * cw.VectorQuantizer(64).fit(U).distortion(U).mse


def test_at_a_high_rate_it_beats_k_means_on_rows_of_many_lengths() -> None:
    X = (rng.normal(size=(12_000, 3)) * rng.lognormal(sigma=1.5, size=(12_000, 1))).astype(np.float32)
    both = cw.GainShapeQuantizer(64, 4).fit(X[:10_000])
    assert both.distortion(X[10_000:]).mse < cw.VectorQuantizer(1024).fit(X[:10_000]).distortion(X[10_000:]).mse


def test_every_further_bit_of_gain_helps() -> None:
    errors = [cw.GainShapeQuantizer(64, bits).fit(ROWS).distortion(ROWS).mse for bits in (0, 1, 2, 4, 8)]
    assert errors == sorted(errors, reverse=True)


def test_rows_of_zeros_are_taken() -> None:
    X = ROWS.copy()
    X[::10] = 0
    q = cw.GainShapeQuantizer(16, 5).fit(X)
    zero = q.decode(q.encode(np.zeros((1, 6), np.float32)))
    assert np.linalg.norm(zero) == pytest.approx(np.abs(q.gains_).min(), rel=1e-5)
    nothing = cw.GainShapeQuantizer(4, 1).fit(np.zeros((40, 3), np.float32))
    assert nothing.distortion(np.zeros((5, 3), np.float32)).mse == 0


def test_integer_weights_act_like_repeated_rows() -> None:
    weight = rng.integers(0, 4, len(ROWS)).astype(np.float32)
    heavy = np.repeat(ROWS, weight.astype(int), axis=0)
    weighted, repeated = cw.GainShapeQuantizer(32, trim=False).fit(ROWS, weight), cw.GainShapeQuantizer(32, trim=False).fit(heavy)
    assert weighted.distortion(heavy).mse == pytest.approx(repeated.distortion(heavy).mse, rel=0.1)


def test_falling_gains_in_a_file_are_refused() -> None:
    q = cw.GainShapeQuantizer(8, 2).fit(ROWS)
    state = q.state()
    state["gains"] = state["gains"][::-1].copy()
    with pytest.raises(cw.FormatError, match="gains"):
        cw.GainShapeQuantizer.from_config(q.config(), state)


def test_directions_are_rows_over_their_lengths_at_any_scale(isa: str) -> None:
    X = (rng.normal(size=(500, 7)) * 2.0 ** rng.integers(-140, 120, (500, 1))).astype(np.float32)
    X[3] = 0
    assert np.array_equal(spherical.directions(X), lanes.unit_rows(X).astype(np.float32))
