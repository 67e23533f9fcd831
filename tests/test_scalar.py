"""ScalarQuantizer: codes are nearest levels, fits are good and depend on nothing but the values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import codeword as cw
from codeword.testing import check_quantizer
from codeword.training import levels as fitting
from data import load

LEVELS = ["uniform", "lloyd-max"]
FLOATS = st.floats(-1e6, 1e6, width=32)
# Distortion of the best levels for a Gaussian of variance 1, Max 1960, tables I (free) and II (evenly spaced).
GAUSSIAN = {"uniform": {1: 0.3634, 2: 0.1188, 3: 0.03744, 4: 0.01154}, "lloyd-max": {1: 0.3634, 2: 0.1175, 3: 0.03454, 4: 0.009497}}


@pytest.mark.parametrize(
    "quantizer",
    [
        cw.ScalarQuantizer(),
        cw.ScalarQuantizer(1),
        cw.ScalarQuantizer(2),
        cw.ScalarQuantizer(3),
        cw.ScalarQuantizer(4),
        cw.ScalarQuantizer([0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 1]),
        cw.ScalarQuantizer(3, levels="lloyd-max"),
        cw.ScalarQuantizer(8, levels="lloyd-max"),
        cw.ScalarQuantizer([8, 0, 1, 2, 4, 4, 4, 4, 1, 1, 5, 2], levels="lloyd-max"),
    ],
    ids=repr,
)
def test_every_form_keeps_the_contract(quantizer: cw.ScalarQuantizer) -> None:
    check_quantizer(quantizer)


@pytest.mark.parametrize("levels", LEVELS)
@settings(max_examples=60, deadline=None)
@given(X=hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=FLOATS), bits=st.integers(1, 4))
def test_a_code_is_the_lowest_of_the_nearest_levels(levels: str, X: np.ndarray, bits: int) -> None:
    sq = cw.ScalarQuantizer(bits, levels=levels).fit(X)
    rows = np.concatenate([X, X[::-1] * 2, (X + X[::-1]) / 2])
    indices = sq.indices(sq.encode(rows))
    for (i, j), value in np.ndenumerate(rows):
        gaps = [abs(Fraction(float(value)) - Fraction(float(level))) for level in sq.levels_[j]]
        assert indices[i, j] == gaps.index(min(gaps))


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_a_gaussian_is_coded_as_well_as_the_theory_says(levels: str, bits: int) -> None:
    X = np.random.default_rng(0).standard_normal((40_000, 4), dtype=np.float32)
    assert cw.ScalarQuantizer(bits, levels=levels).fit(X).distortion(X).relative == pytest.approx(GAUSSIAN[levels][bits], rel=0.03)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_free_levels_are_no_worse_than_even_ones(bits: int) -> None:
    X = load("minilm-wordnet")[:8000, :24]
    even, free = (cw.ScalarQuantizer(bits, levels=how).fit(X).distortion(X).mse for how in LEVELS)
    assert free <= even * (1 + 1e-6)


def test_even_levels_clip_outliers_only_where_that_pays() -> None:
    X = np.random.default_rng(0).standard_normal((4000, 1), dtype=np.float32)
    X[0] = 30
    few, many = cw.ScalarQuantizer(2).fit(X), cw.ScalarQuantizer(8).fit(np.linspace(-1, 1, 4000, dtype=np.float32)[:, None])
    assert few.levels_.max() < 10
    assert many.levels_.min() == pytest.approx(-1, abs=0.05)
    assert many.levels_.max() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("levels", LEVELS)
def test_the_fit_does_not_depend_on_the_order_of_the_rows(levels: str) -> None:
    random = np.random.default_rng(1)
    X = np.round(random.standard_normal((500, 3)), 1).astype(np.float32)  # many equal values
    weight = random.random(500).astype(np.float32)
    order = random.permutation(500)
    for w, shuffled in ((None, None), (weight, weight[order])):
        first, second = cw.ScalarQuantizer(3, levels=levels).fit(X, w), cw.ScalarQuantizer(3, levels=levels).fit(X[order], shuffled)
        assert first.levels_.tobytes() == second.levels_.tobytes()


@pytest.mark.parametrize("levels", LEVELS)
def test_weights_count_as_repeated_rows(levels: str) -> None:
    random = np.random.default_rng(2)
    X = random.standard_normal((4000, 2)).astype(np.float32)
    times = random.integers(0, 4, 4000)
    rows = np.repeat(X, times, axis=0)
    fits = [cw.ScalarQuantizer(3, levels=levels).fit(*a) for a in ((X, times), (rows,), (X, times * 1e-3))]
    weighted, repeated, scaled = (sq.distortion(rows).mse for sq in fits)
    assert weighted == pytest.approx(repeated, rel=0.01)
    assert weighted == pytest.approx(scaled, rel=1e-3)


@pytest.mark.parametrize("levels", LEVELS)
def test_levels_serve_rows_to_come(levels: str) -> None:
    """Fitted to few rows, the levels reach beyond them: no more is lost on others than a third above what is lost on all."""
    X = load("minilm-wordnet")[:, :48]
    few, all_of_them = cw.ScalarQuantizer(8, levels=levels).fit(X[:2000]), cw.ScalarQuantizer(8, levels=levels).fit(X)
    assert few.distortion(X[2000:]).mse < 1.4 * all_of_them.distortion(X[2000:]).mse


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_few_distinct_values_are_kept_exactly(levels: str, bits: int) -> None:
    X = np.repeat(np.array([[5, 7, 1e30], [5, 9, -1e30]], np.float32), 20, axis=0)
    sq = cw.ScalarQuantizer(bits, levels=levels).fit(X)
    assert np.array_equal(sq.decode(sq.encode(X)), X)


@pytest.mark.parametrize("levels", LEVELS)
def test_bytes_lose_nothing_in_8_bits(levels: str) -> None:
    random = np.random.default_rng(4)
    X = np.minimum(random.geometric(0.02, (3000, 3)), 255).astype(np.uint8)
    X[:, 1] = 40 + X[:, 1] % 100 // 3 * 3
    sq = cw.ScalarQuantizer(8, levels=levels).fit(X)
    assert np.array_equal(sq.decode(sq.encode(X)), X)


@pytest.mark.parametrize("levels", LEVELS)
def test_one_row_is_enough(levels: str) -> None:
    X = np.array([[1, -2, 3]], np.float32)
    sq = cw.ScalarQuantizer(4, levels=levels).fit(X)
    assert np.array_equal(sq.decode(sq.encode(X)), X)
    assert np.array_equal(sq.decode(sq.encode(X + 100)), X)


@pytest.mark.parametrize("levels", LEVELS)
def test_columns_far_from_zero_are_coded(levels: str) -> None:
    X = (1e6 + np.arange(16)[:, None] / 16).astype(np.float32)  # a step of float32 apart
    sq = cw.ScalarQuantizer(4, levels=levels).fit(X)
    assert np.array_equal(sq.decode(sq.encode(X)), X)


def test_a_column_of_0_bits_becomes_its_mean() -> None:
    X = np.random.default_rng(0).standard_normal((100, 3), dtype=np.float32)
    sq = cw.ScalarQuantizer([0, 4, 0]).fit(X)
    assert sq.code_size == 1
    assert np.allclose(sq.decode(sq.encode(X))[:, [0, 2]], X[:, [0, 2]].mean(0), atol=1e-6)


def test_lloyd_max_has_converged() -> None:
    """Every level is the mean of its cell, every boundary half way."""
    column = fitting.Column(np.random.default_rng(3).standard_normal(3000).astype(np.float32), None)
    levels = fitting.free(column, 8) - column.origin
    weight, total, _ = column.cells((levels[:-1] + levels[1:]) / 2)
    np.testing.assert_allclose(levels, total / weight, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bits": 9}, "1 to 8"),
        ({"bits": 0}, "1 to 8"),
        ({"bits": [4, 9, 1]}, r"bits\[1\]"),
        ({"bits": [4, 4]}, "3 columns"),
        ({"bits": [0, 0, 0]}, "above 0"),
        ({"levels": "free"}, "levels"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        cw.ScalarQuantizer(**arguments).fit(np.eye(3))


def test_damaged_state_is_refused() -> None:
    X = np.random.default_rng(0).standard_normal((50, 2), dtype=np.float32)
    for sq, name, value in (
        (cw.ScalarQuantizer(4), "step", np.array([1.0, -1.0])),
        (cw.ScalarQuantizer(4), "low", np.array([1e39, 0.0])),
        (cw.ScalarQuantizer(2, levels="lloyd-max"), "levels", np.array([[0, 1, 3, 2], [0, 1, 2, 3]], np.float32)),
    ):
        fitted = sq.fit(X)
        with pytest.raises(cw.FormatError):
            cw.ScalarQuantizer.from_config(fitted.config(), {**fitted.state(), name: value})


def test_models_of_even_levels_are_small() -> None:
    X = np.random.default_rng(0).standard_normal((50, 64), dtype=np.float32)
    assert cw.ScalarQuantizer(8).fit(X).model_bytes == 64 * 16
    assert cw.ScalarQuantizer(8, levels="lloyd-max").fit(X).model_bytes == 64 * 256 * 4
