"""descend equals its twin bit for bit on every instruction set: any width, ties, near ties, scales, offsets, starts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeword import _native, reference

# Either side of the 4, 8 and 16 lanes of a vector, of two of them, and a row longer than what is fetched ahead.
DIMENSIONS = (1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 100, 300)
DEPTH = 5


def run(x: np.ndarray, codewords: np.ndarray, children: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
    labels = np.full(len(x), -1, np.int32)
    _native.Descent(codewords, children).run(x, labels, first)
    return labels


def balanced(depth: int) -> np.ndarray:
    """Children of a balanced tree whose pair p has the pairs 2 p + 1 and 2 p + 2 below."""
    slots = np.arange(2 * (2**depth - 1), dtype=np.int32)
    return np.where(slots + 1 < 2**depth - 1, slots + 1, ~slots).astype(np.int32)


def problem(d: int, seed: int, scale: float = 1.0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    children = balanced(DEPTH)
    codewords = rng.normal(size=(len(children), d)).astype(np.float32)
    codewords[5] = codewords[4]  # a tie at every row that comes there
    x = rng.normal(size=(70, d)).astype(np.float32)
    x[::3] = ((codewords[0:1].astype(float) + codewords[1:2]) / 2 + 1e-8 * x[::3]).astype(np.float32)  # nearly ties
    return (x * scale + offset).astype(np.float32), (codewords * scale + offset).astype(np.float32), children


@pytest.mark.parametrize("d", DIMENSIONS)
def test_equals_the_twin_at_any_width(isa: str, d: int) -> None:
    x, codewords, children = problem(d, d)
    assert np.array_equal(run(x, codewords, children), reference.descend(x, codewords, children))


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e7])
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-20, 1.0, 1e15, 1e19, 1e30, 5e37])
def test_equals_the_twin_at_any_scale_and_offset(isa: str, scale: float, offset: float) -> None:
    x, codewords, children = problem(24, 3, scale, scale * offset if scale < 1e20 else 0.0)
    assert np.array_equal(run(x, codewords, children), reference.descend(x, codewords, children))


def test_rows_start_where_they_are_told_and_say_how_far_they_end(isa: str) -> None:
    x, codewords, children = problem(20, 9)
    first = np.random.default_rng(1).integers(len(children) // 2, size=len(x)).astype(np.int32)
    labels, squares = np.empty(len(x), np.int32), np.empty(len(x))
    _native.Descent(codewords, children).run(x, labels, first, squares)
    assert np.array_equal(labels, reference.descend(x, codewords, children, first))
    last = codewords[labels]  # in these trees a label is the number of the codeword taken last
    assert np.array_equal(squares, np.array([_native.pairwise_sqdist(x[i : i + 1], last[i : i + 1])[0, 0] for i in range(len(x))]))


@given(st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from([-2.0, 0.0, 1.0, 3.0]))
@settings(max_examples=40, deadline=None)
def test_small_integers_with_many_ties_equal_the_twin(d: int, seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    children = balanced(3)
    codewords = (rng.integers(-1, 2, (len(children), d)) + offset).astype(np.float32)
    x = (rng.integers(-1, 2, (40, d)) + offset).astype(np.float32)
    assert np.array_equal(run(x, codewords, children), reference.descend(x, codewords, children))


def test_rows_may_be_a_slice_of_wider_ones() -> None:
    x, codewords, children = problem(20, 4)
    wide = np.zeros((len(x), 50), np.float32)
    wide[:, 10:30] = x
    assert np.array_equal(run(wide[:, 10:30], codewords, children), run(x, codewords, children))


@pytest.mark.parametrize("children", [[0, -1, -1, -1], [2, -1, -1, -1], [1, -1, 1, -1], [-1, -1, -1]])
def test_trees_that_do_not_end_are_refused(children: list[int]) -> None:
    with pytest.raises(ValueError, match="children"):
        _native.Descent(np.zeros((4, 2), np.float32), np.array(children, np.int32))


def test_arguments_of_wrong_shapes_are_refused() -> None:
    descent = _native.Descent(np.zeros((2, 3), np.float32), np.array([-1, -2], np.int32))
    labels = np.empty(4, np.int32)
    with pytest.raises(ValueError, match="columns"):
        descent.run(np.zeros((4, 2), np.float32), labels)
    with pytest.raises(ValueError, match="labels"):
        descent.run(np.zeros((5, 3), np.float32), labels)
    with pytest.raises(ValueError, match="first"):
        descent.run(np.zeros((4, 3), np.float32), labels, np.array([0, 0, 0, 1], np.int32))
