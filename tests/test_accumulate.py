"""Sums by label equal their definition and do not depend on order, threads, blocks or the way rows came to their cells."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from codeword import _native, reference

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


def accumulate(
    x: F32,
    labels: NDArray[np.int32],
    k: int,
    exponents: NDArray[np.int32],
    weights: F32 | None = None,
    into: tuple[I64, I64] | None = None,
    old_labels: NDArray[np.int32] | None = None,
) -> tuple[I64, I64]:
    sums, counts = into or (np.zeros((k, x.shape[1]), np.int64), np.zeros(k, np.int64))
    _native.accumulate(x, labels, exponents, 20, sums, counts, weights, old_labels)
    return sums, counts


def problem(n: int, d: int, k: int) -> tuple[F32, NDArray[np.int32], NDArray[np.int32], F32]:
    rng = np.random.default_rng(n + d + k)
    x = rng.standard_normal((n, d), dtype=np.float32) * np.ldexp(np.float32(1), rng.integers(-20, 20, d))
    exponents = (45 - np.frexp(np.abs(x).max(0, initial=1))[1]).astype(np.int32)
    return x, rng.integers(0, k, n, dtype=np.int32), exponents, rng.random(n, dtype=np.float32)


# Remainders of eight lanes; one stripe of columns, several; few columns and many rows, which threads share by rows.
@pytest.mark.parametrize(("n", "d", "k"), [(0, 3, 2), (50, 1, 1), (1000, 7, 3), (3000, 8, 5), (60, 100, 9), (40, 400, 2000)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_equals_the_definition(isa: str, keep_threads: None, n: int, d: int, k: int, weighted: bool, threads: int) -> None:
    _native.set_threads(threads)
    x, labels, exponents, weights = problem(n, d, k)
    sums, counts = accumulate(x, labels, k, exponents, weights if weighted else None)
    np.testing.assert_array_equal(sums, reference.accumulate(x, labels, exponents, k, weights if weighted else None))
    grains = np.rint(np.ldexp(weights.astype(np.float64), 20)) if weighted else np.ones(n)
    np.testing.assert_array_equal(counts, np.bincount(labels, grains, k).astype(np.int64))


def test_values_are_rounded_to_nearest_ties_to_even(isa: str) -> None:
    halves = np.float32([[-2.5], [-1.5], [-0.5], [0.5], [1.5], [2.5]])
    sums, _ = accumulate(halves, np.arange(6, dtype=np.int32), 6, np.zeros(1, np.int32))
    assert sums[:, 0].tolist() == [-2, -2, 0, 0, 2, 2]


@pytest.mark.parametrize("weighted", [False, True])
def test_moving_rows_gives_the_sums_of_their_new_cells(isa: str, weighted: bool) -> None:
    x, labels, exponents, weights = problem(700, 21, 11)
    chosen = weights if weighted else None
    state = accumulate(x, labels, 11, exponents, chosen)
    moved = labels.copy()
    moved[::3] = 4
    accumulate(x, moved, 11, exponents, chosen, state, labels)
    for got, expected in zip(state, accumulate(x, moved, 11, exponents, chosen), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_blocks_and_order_do_not_matter(isa: str) -> None:
    x, labels, exponents, weights = problem(500, 13, 6)
    whole = accumulate(x, labels, 6, exponents, weights)
    order = np.random.default_rng(0).permutation(500)
    state = None
    for rows in np.array_split(order, 7):
        state = accumulate(x[rows], labels[rows], 6, exponents, weights[rows], state)
    assert state is not None
    for got, expected in zip(state, whole, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_rows_may_be_slices_of_wider_rows(isa: str) -> None:
    x, labels, exponents, _ = problem(90, 40, 6)
    for columns in (slice(3, 20), slice(17, 40)):
        got = accumulate(x[:, columns], labels, 6, exponents[columns])
        np.testing.assert_array_equal(got[0], accumulate(x, labels, 6, exponents)[0][:, columns])


def test_wrong_arguments_are_refused() -> None:
    x, labels, exponents, _ = problem(10, 4, 3)
    with pytest.raises(ValueError, match="labels: expected labels from 0 to k - 1"):
        accumulate(x, labels + 1, 3, exponents)
    with pytest.raises(ValueError, match="exponents: expected -1000 to 1000"):
        accumulate(x, labels, 3, exponents + 2000)
    with pytest.raises(ValueError, match="labels: expected one a row"):
        accumulate(x, labels[:9], 3, exponents)


def test_the_farthest_row_of_each_label_is_kept_ties_to_the_first() -> None:
    labels = np.int32([0, 1, 0, 1, 2, 0])
    losses = np.float64([3, 1, 5, 1, 0, 5])
    largest, farthest = np.float64([0, 0, 0, 9]), np.full(4, -1)
    _native.keep_farthest(labels, losses, 100, largest, farthest)
    assert largest.tolist() == [5, 1, 0, 9] and farthest.tolist() == [102, 101, -1, -1]
    _native.keep_farthest(labels[:1], np.float64([5]), 200, largest, farthest)
    assert farthest[0] == 102
    with pytest.raises(ValueError, match="labels from 0 to k - 1"):
        _native.keep_farthest(labels + 2, losses, 0, largest, farthest)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "d", "k"), [(0, 3, 2), (1000, 7, 3), (60, 100, 9)])
def test_float64_equals_its_definition(isa: str, n: int, d: int, k: int, weighted: bool) -> None:
    x32, labels, exponents, w32 = problem(n, d, k)
    rng = np.random.default_rng(0)
    x = x32 * (1 + 1e-9 * rng.normal(size=x32.shape))
    weights = w32 * (1 + 1e-9 * rng.normal(size=n)) if weighted else None
    sums, counts = np.zeros((k, d), np.int64), np.zeros(k, np.int64)
    _native.accumulate(x, labels, exponents, 20, sums, counts, weights, None)
    np.testing.assert_array_equal(sums, reference.accumulate_wide(x, labels, exponents, k, weights))
    grains = np.ones(n) if weights is None else np.rint(np.ldexp(weights, 20))
    np.testing.assert_array_equal(counts, np.bincount(labels, grains, k).astype(np.int64))
