"""Ranges and sums of columns equal their twins on every instruction set, for any rows, widths, strides and threads."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import _native, reference
from codeword.training.moments import Grid

WIDTHS = [1, 3, 7, 8, 9, 15, 16, 17, 33, 100]


def rows(n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(1000 * n + d)
    return (rng.standard_normal((n, d)) * np.exp(3 * rng.standard_normal(d)) + 5).astype(np.float32)


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("n", [1, 2, 50, 3000])
def test_range_equals_twin(isa: str, n: int, d: int) -> None:
    x = rows(n, d)
    for found, expected in zip(_native.column_range(x), reference.column_range(x), strict=True):
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("n", [1, 2, 50, 3000])
def test_sums_equal_twin(isa: str, n: int, d: int) -> None:
    x = rows(n, d)
    grid = Grid.of(x)
    scale = np.ldexp(1.0, grid.exponent)
    found = _native.column_sums(x, grid.shift, scale)
    np.testing.assert_array_equal(found, reference.column_sums(x, grid.shift, scale))
    assert np.abs(found[0]).max() <= n << 26


def test_halves_of_squares_round_ties_to_even(isa: str) -> None:
    # y = 2**12.5 is no integer; the squares of these are odd multiples of 2**25: halfway between multiples of 2**26.
    y = np.array([[2.0**13 * 3], [2.0**25], [2.0**25 + 2**12], [-(2.0**26)]], np.float32)
    one, zero = np.ones(1), np.zeros(1)
    for row in y:
        np.testing.assert_array_equal(_native.column_sums(row[None], zero, one), reference.column_sums(row[None], zero, one))


def test_rows_may_be_slices_of_wider_rows(isa: str) -> None:
    x = rows(700, 40)
    part = x[3:, 5:30]
    for found, expected in zip(_native.column_range(part), reference.column_range(part), strict=True):
        np.testing.assert_array_equal(found, expected)
    grid = Grid.of(part)
    scale = np.ldexp(1.0, grid.exponent)
    np.testing.assert_array_equal(_native.column_sums(part, grid.shift, scale), reference.column_sums(part, grid.shift, scale))


def test_zeros_of_a_range_have_no_sign(isa: str) -> None:
    x = np.array([[-0.0, 0.0], [0.0, -0.0]] * 20, np.float32)
    for found in _native.column_range(x):
        assert not np.signbit(found).any()


def test_threads_change_nothing(isa: str, keep_threads: None) -> None:
    x = rows(20_000, 20)
    grid = Grid.of(x)
    scale = np.ldexp(1.0, grid.exponent)
    seen = set()
    for threads in (1, 2, 7):
        _native.set_threads(threads)
        low, high = _native.column_range(x)
        seen.add(low.tobytes() + high.tobytes() + _native.column_sums(x, grid.shift, scale).tobytes())
    assert len(seen) == 1


def test_wrong_shapes_are_refused() -> None:
    x = rows(4, 3)
    with pytest.raises(ValueError, match="n, d >= 1"):
        _native.column_range(x[:0])
    with pytest.raises(ValueError, match="adjacent"):
        _native.column_range(x[:, ::2])
    with pytest.raises(ValueError, match="one a column"):
        _native.column_sums(x, np.zeros(2), np.ones(3))
