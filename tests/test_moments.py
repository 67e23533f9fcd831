"""Moments are exact up to the grid, and the same bits for any blocks, shards and order of rows."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeword.training import moments
from codeword.training.moments import ColumnMoments, Grid, Moments, merge

RNG = np.random.default_rng(0)


def figures(m: ColumnMoments) -> list[bytes]:
    found = [m.mean, m.variance, m.mean_square, np.array([m.weight, m.n])]
    return [a.tobytes() for a in ([*found, m.covariance] if isinstance(m, Moments) else found)]


@st.composite
def weighted_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray | None]:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    width = 32 if dtype == np.float32 else 64
    limit = float(np.float32(1e30))
    values = st.floats(-limit, limit, width=width) | st.sampled_from([0.0, 1.0, -1.0, 1e9, 1e-40])
    shape = (draw(st.integers(2, 40)), draw(st.integers(1, 4)))
    X = draw(hnp.arrays(dtype, shape, elements=values))
    weights = hnp.arrays(np.float32, shape[0], elements=st.floats(0, 1e6, width=32))
    weight = draw(st.none() | weights)
    if weight is not None:
        weight[draw(st.integers(0, shape[0] - 1))] = 2.5  # one at least counts
    return X, weight


@pytest.mark.parametrize("kind", [ColumnMoments, Moments])
@settings(deadline=None, max_examples=60)
@given(data=weighted_rows(), draw=st.data())
def test_result_ignores_blocks_shards_and_order(kind: type, data: tuple, draw: st.DataObject) -> None:
    X, weight = data
    whole = kind.of(X, weight)
    order = draw.draw(st.permutations(range(len(X))))
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(X)), max_size=4)))
    shards = np.split(np.array(order), cuts)
    used = [s for s in shards if len(s) and (weight is None or weight[s].any())]
    grid = reduce(Grid.union, [Grid.of(X[s], None if weight is None else weight[s]) for s in used])
    parts = [kind.of(X[s], None if weight is None else weight[s], grid=grid) for s in shards]
    assert figures(reduce(merge, parts)) == figures(whole)
    streamed = kind(grid)
    for s in shards:
        streamed.add(X[s], None if weight is None else weight[s])
    assert figures(streamed) == figures(whole)


@pytest.mark.parametrize("weighted", [False, True])
def test_result_ignores_chunk_sizes(monkeypatch: pytest.MonkeyPatch, weighted: bool) -> None:
    X = RNG.standard_normal((3000, 7), dtype=np.float32)
    weight = RNG.random(3000, dtype=np.float32) if weighted else None
    before = figures(Moments.of(X, weight))
    for name, value in (("_COLUMN_CHUNK", 90), ("_PRODUCT_CHUNK", 50), ("_COLUMN_ROWS", 11), ("_PRODUCT_ROWS", 130)):
        monkeypatch.setattr(moments, name, value)
    assert figures(Moments.of(X, weight)) == before


def test_sums_are_exact_at_the_largest_integers_and_chunks() -> None:
    X = np.where(RNG.random((20000, 3)) < 0.5, -1.0, 1.0)
    X[:, 1:] *= 1 - 2.0**-26  # the largest odd integers of the grid
    weight = np.full(20000, np.float32(1 - 2.0**-24))
    for w in (None, weight):
        found = Moments.of(X, w)
        Y = np.rint(X * 2.0**found.grid.exponent).astype(np.int64).astype(object)
        units = 1 if w is None else (2**32 - 2**8)
        assert found._second.integers() == [units * int(s) for s in (Y * Y).sum(0)]
        coarse = np.rint(X * 2.0**found.grid.exponent / 64).astype(np.int64).astype(object)
        exact = units * (coarse.T @ coarse)
        found._product._carry()
        mine = found._product.high.astype(object) * 2**48 + found._product.low.astype(object)
        assert (mine == exact).all()


def test_equals_exact_fractions_to_the_grid() -> None:
    X = RNG.standard_normal((50, 3)).astype(np.float32)
    found = ColumnMoments.of(X)
    for j in range(3):
        column = [Fraction(float(x)) for x in X[:, j]]
        mean = sum(column) / 50
        variance = sum((x - mean) ** 2 for x in column) / 50
        assert found.mean[j] == pytest.approx(float(mean), abs=1e-7)
        assert found.variance[j] == pytest.approx(float(variance), rel=5e-8)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_ordinary_rows_are_right_to_1e_8(offset: float) -> None:
    X = RNG.standard_normal((20000, 8)) * np.logspace(-3, 3, 8)
    found = Moments.of(X + offset)
    shifted = X + offset - offset  # what rounding to float64 left
    assert np.allclose(found.variance, shifted.var(0), rtol=1e-8)
    assert np.allclose(found.mean - offset, shifted.mean(0), atol=1e-8 * np.maximum(X.std(0), offset / 1e9 * 1e2))
    scale = np.sqrt(np.outer(X.var(0), X.var(0)))
    assert (abs(found.covariance - np.cov(shifted.T, bias=True)) < 1e-6 * scale).all()


def test_two_values_that_no_grid_holds_are_right_to_1e_7() -> None:
    X = np.tile(np.array([[0.0], [0.3]]), (500, 1))
    assert ColumnMoments.of(X).variance[0] == pytest.approx(0.0225, rel=1e-7)
    about_zero = ColumnMoments.of(0 * X + 0.3, grid=Grid(np.array([-0.3]), np.array([0.3])))
    assert about_zero.mean_square[0] == pytest.approx(0.09, rel=1e-7)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 3e38, 1e-45])
def test_constant_columns_have_no_variance_at_all(value: float) -> None:
    X = np.column_stack([np.full(1000, value, np.float32), RNG.random(1000, dtype=np.float32)])
    for weight in (None, RNG.random(1000, dtype=np.float32) + np.float32(0.1)):
        found = Moments.of(X, weight)
        assert found.variance[0] == 0 and found.mean[0] == np.float32(value)
        assert (found.covariance[0] == 0).all() and (found.covariance[:, 0] == 0).all()


def test_a_whole_weight_is_the_row_so_many_times() -> None:
    X = RNG.standard_normal((300, 5), dtype=np.float32)
    weight = RNG.integers(0, 5, 300).astype(np.float32)
    counted, repeated = Moments.of(X, weight), Moments.of(np.repeat(X, weight.astype(int), axis=0))
    for name in ("mean", "variance", "covariance"):
        assert getattr(counted, name).tobytes() == getattr(repeated, name).tobytes(), name
    assert counted.weight == weight.sum()


def test_weights_agree_with_numpy() -> None:
    X, weight = RNG.standard_normal((4000, 6), dtype=np.float32), RNG.random(4000, dtype=np.float32) ** 8
    found = Moments.of(X, weight)
    expected = np.cov(X.T.astype(np.float64), bias=True, aweights=weight)
    assert np.allclose(found.variance, np.diag(expected), rtol=1e-7)
    assert np.allclose(found.covariance, expected, atol=1e-6)


def test_covariance_is_symmetric_and_of_its_rank() -> None:
    X = RNG.standard_normal((30, 40), dtype=np.float32)
    S = Moments.of(X).covariance
    assert (S == S.T).all()
    values = np.linalg.eigvalsh(S)
    assert abs(values[:11]).max() < 1e-12 * values[-1] and values[11] > 1e-4 * values[-1]


@pytest.mark.parametrize("scale", [1e300, 1e150, 1e-150, 1e-300, 5e-324])
def test_extreme_scales_pass_without_a_warning(scale: float) -> None:
    found = Moments.of(np.array([[-1.0, 1.0], [0.5, 2.0], [1.0, 1.0]]) * scale)
    assert np.isfinite(found.mean).all()
    assert np.allclose(found.variance, [13 / 18 * scale * scale, 2 / 9 * scale * scale], rtol=1e-6)


def test_outside_the_grid_is_refused() -> None:
    grid = Grid.of(np.array([[0.0], [1.0]]))
    with pytest.raises(ValueError, match="column 0"):
        ColumnMoments(grid).add(np.array([[1.5]]))
    with pytest.raises(ValueError, match="weight"):
        ColumnMoments(grid).add(np.array([[0.5]]), np.ones(1, np.float32))
    with pytest.raises(ValueError, match="grid"):
        merge(ColumnMoments(grid), ColumnMoments(Grid.of(np.array([[0.0], [2.0]]))))
    with pytest.raises(ValueError, match="no rows"):
        _ = ColumnMoments(grid).mean
