"""Assignments equal their definition bit for bit: every instruction set, shape, kind of data, stride, thread count."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from codeword import _native, reference
from hard_rows import HARD, normal

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# Every remainder of the 4, 8 and 16 lanes of a vector, of the 2 and 4 bytes of an integer dot product, both sides of the
# change of filters, a panel larger than L1 (384), an odd one (1000), a codebook of a few panels a chunk (3072).
DIMENSIONS = [*range(1, 34), 63, 64, 65, 127, 384, 784, 1000, 3072]
# One vector, both sides of one, of the widths of a panel, of a byte, of a chunk; several chunks.
CODEWORDS = [1, 2, 15, 16, 17, 33, 63, 65, 255, 256, 257, 1024, 1025, 4096, 4097, 5000]
SHAPES = [(d, k) for d in DIMENSIONS for k in CODEWORDS if d * k < 1 << 20 or k in (2, 257, 1025)]
ROWS = 53  # more than a block of 48, less than one of 64; a last tile with too few rows to share


def assign(x: F32, *codebooks: F32) -> I32:
    labels = np.full((len(x), len(codebooks)), -1, np.int32)
    _native.Codebooks(list(codebooks)).assign(x, labels)
    return labels


@cache
def random_problem(d: int, k: int) -> tuple[F32, F32, I32]:
    rng = np.random.default_rng(1000 * d + k)
    x, codebook = normal(rng, ROWS, d), normal(rng, k, d)
    x[::5] = codebook[rng.integers(0, k, len(x[::5]))]
    n = ROWS if d * k < 1 << 18 else 9
    return x[:n], codebook, reference.assign(x[:n], codebook)


@pytest.mark.parametrize(("d", "k"), SHAPES)
def test_equals_the_definition_in_every_shape(isa: str, d: int, k: int) -> None:
    x, codebook, expected = random_problem(d, k)
    np.testing.assert_array_equal(assign(x, codebook)[:, 0], expected)


Problem = Callable[[np.random.Generator, int, int, int], tuple[F32, F32]]


@cache
def hard_problem(make: Problem, d: int, k: int) -> tuple[F32, F32, I32]:
    x, codebook = make(np.random.default_rng(d + k), ROWS, k, d)
    assert np.isfinite(x).all()
    assert np.isfinite(codebook).all()
    return x, codebook, reference.assign(x, codebook)


@pytest.mark.parametrize(("d", "k"), [(1, 16), (3, 256), (8, 256), (8, 2000), (33, 65), (130, 300)])
@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_equals_the_definition_on_hard_data(isa: str, make: Problem, d: int, k: int) -> None:
    x, codebook, expected = hard_problem(make, d, k)
    np.testing.assert_array_equal(assign(x, codebook)[:, 0], expected)


@pytest.mark.parametrize("d", [100, 101, 500])
def test_rounding_to_bytes_may_point_the_wrong_way(isa: str, d: int) -> None:
    # In units of a 127th of its largest coordinate a row is 0.47 or -0.53 almost everywhere: positive in sum, negative once
    # rounded to integers. So it is nearer to the vector of ones than to its negative by less than it then seems farther.
    rng = np.random.default_rng(d)
    x = np.full((20, d), 0.47, np.float32)
    for row in x:
        row[rng.permutation(np.arange(2, d))[: int(0.46 * d)]] -= 1
    x[:, :2] = [127, -127]
    ones = np.ones((1, d), np.float32)
    ones[:, :2] = 0
    codebook = np.concatenate([-ones, ones, np.ones((100, d), np.float32) * 50, np.ones((100, d), np.float32) * -50])
    expected = reference.assign(x, codebook)
    assert (expected == 1).all()
    np.testing.assert_array_equal(assign(x, codebook[:2])[:, 0], expected)
    np.testing.assert_array_equal(assign(x, codebook)[:, 0], expected)


def matrices(rows: int, d: int) -> st.SearchStrategy[F32]:
    some = st.sampled_from([0.0, 1.0, -1.0, 0.5, 3.0, 2.0**-126, 2.0**-149, 2.0**100, 3e38])
    values = some | st.floats(width=32, allow_nan=False, allow_infinity=False)
    return hnp.arrays(np.float32, (rows, d), elements=values, fill=some)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 40), st.integers(1, 90), st.sampled_from(_native.available_isas()))
def test_equals_the_definition_on_any_floats(data: st.DataObject, d: int, k: int, isa: str) -> None:
    x, codebook = data.draw(matrices(4, d)), data.draw(matrices(k, d))
    before = _native.isa()
    _native.set_isa(isa)
    try:
        np.testing.assert_array_equal(assign(x, codebook)[:, 0], reference.assign(x, codebook))
    finally:
        _native.set_isa(before)


def test_more_codewords_than_fit_a_chunk_of_large_vectors(isa: str) -> None:
    rng = np.random.default_rng(5)
    x, codebook = normal(rng, 7, 4096), normal(rng, 130, 4096)
    np.testing.assert_array_equal(assign(x, codebook)[:, 0], reference.assign(x, codebook))


def test_falling_scores_fill_and_prune_the_candidates(isa: str) -> None:
    # Every chunk is nearer than the one before, and within one chunk more codewords are close than are kept.
    steps = np.linspace(60, 0, 6000, dtype=np.float32)
    codebook = np.stack([steps, np.zeros_like(steps)], axis=1)
    x = np.zeros((10, 2), np.float32)
    np.testing.assert_array_equal(assign(x, codebook)[:, 0], reference.assign(x, codebook))


@pytest.mark.parametrize("d", [1, 8, 130])
@pytest.mark.parametrize("far_first", [True, False])
def test_outlying_codewords_are_compared_with_the_others(isa: str, d: int, far_first: bool) -> None:
    # Outlying codewords are prepared apart from the others. Half the rows tie between the nearest of both kinds.
    near, far = np.arange(200) % 50, 9000 + np.arange(3)
    codebook = np.zeros((203, d), np.float32)
    codebook[:, 0] = np.concatenate([far, near] if far_first else [near, far])
    x = np.zeros((100, d), np.float32)
    x[:, 0] = [(9000 + 49) / 2, *range(0, 8910, 90)]
    x[::2, 0] = x[0, 0]
    labels, distances = np.empty((100, 1), np.int32), np.empty((100, 1))
    _native.Codebooks([codebook]).assign(x, labels, distances)
    np.testing.assert_array_equal(labels[:, 0], reference.assign(x, codebook))
    np.testing.assert_array_equal(distances[:, 0], reference.lane_sqdist(x, codebook[labels[:, 0]]))


@pytest.mark.parametrize("n", [*range(14), 47, 48, 49, 63, 64, 65, 129, 1535, 1536, 1537, 3100])
def test_any_number_of_rows(isa: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x, codebook = normal(rng, n, 5), normal(rng, 40, 5)
    np.testing.assert_array_equal(assign(x, codebook)[:, 0], reference.assign(x, codebook))


@pytest.mark.parametrize("d", [8, 40])
def test_distances_equal_their_definition(isa: str, d: int) -> None:
    rng = np.random.default_rng(1)
    x, codebook = normal(rng, 100, d + 3), normal(rng, 70, d + 3)
    x *= np.ldexp(np.float32(1), rng.integers(-60, 60, (100, 1)))
    labels, distances = np.empty((100, 1), np.int32), np.empty((100, 1))
    _native.Codebooks([codebook]).assign(x, labels, distances)
    assert distances[:, 0].tobytes() == reference.lane_sqdist(x, codebook[labels[:, 0]]).tobytes()


def test_several_codebooks_take_the_columns_side_by_side(isa: str) -> None:
    rng = np.random.default_rng(2)
    widths, sizes = [1, 8, 8, 3, 40, 2], [7, 256, 300, 16, 100, 1]
    codebooks = [normal(rng, k, d) for k, d in zip(sizes, widths, strict=True)]
    x = normal(rng, 500, sum(widths))
    labels, distances = np.empty((500, 6), np.int32), np.empty((500, 6))
    _native.Codebooks(codebooks).assign(x, labels, distances)
    for j, (piece, codebook) in enumerate(zip(np.split(x, np.cumsum(widths)[:-1], axis=1), codebooks, strict=True)):
        np.testing.assert_array_equal(labels[:, j], reference.assign(piece, codebook))
        np.testing.assert_array_equal(distances[:, j], reference.lane_sqdist(piece, codebook[labels[:, j]]))


def test_rows_may_be_slices_of_wider_rows(isa: str) -> None:
    rng = np.random.default_rng(3)
    wide, codebook = normal(rng, 200, 31), normal(rng, 50, 9)
    for rows in (wide[:, 5:14], wide[::3, 1:10], wide[::-1, 22:]):
        np.testing.assert_array_equal(assign(rows, codebook), assign(rows.copy(), codebook))


def test_labels_ignore_the_number_of_threads(isa: str, keep_threads: None) -> None:
    rng = np.random.default_rng(4)
    x, codebooks = normal(rng, 5000, 24), [normal(rng, 256, 8), normal(rng, 99, 16)]
    results = []
    for threads in (1, 2, 7):
        _native.set_threads(threads)
        results.append(assign(x, *codebooks).tobytes())
    assert len(set(results)) == 1


def test_codebooks_follow_a_change_of_the_instruction_set() -> None:
    rng = np.random.default_rng(6)
    x, codebook = normal(rng, 100, 20), normal(rng, 100, 20)
    packed, before = _native.Codebooks([codebook]), _native.isa()
    expected = reference.assign(x, codebook)
    for isa in 2 * _native.available_isas():
        _native.set_isa(isa)
        labels = np.empty((100, 1), np.int32)
        packed.assign(x, labels)
        np.testing.assert_array_equal(labels[:, 0], expected)
    _native.set_isa(before)


def test_codebooks_copy_what_they_are_given() -> None:
    codebook = np.float32([[0], [1]])
    packed = _native.Codebooks([codebook])
    codebook[:] = 7
    labels, distances = np.empty((1, 1), np.int32), np.empty((1, 1))
    packed.assign(np.float32([[0.75]]), labels, distances)
    assert (labels[0, 0], distances[0, 0]) == (1, 0.0625)


def test_wrong_shapes_are_refused() -> None:
    packed = _native.Codebooks([np.zeros((4, 3), np.float32), np.zeros((2, 2), np.float32)])
    assert (packed.m, packed.d) == (2, 5)
    x, labels = np.zeros((6, 5), np.float32), np.zeros((6, 2), np.int32)
    with pytest.raises(ValueError, match=r"x: expected shape \(6, 5\), got \(6, 4\)"):
        packed.assign(x[:, :4], labels)
    with pytest.raises(ValueError, match=r"labels: expected shape \(6, 2\), got \(5, 2\)"):
        packed.assign(x, labels[:5])
    with pytest.raises(ValueError, match="adjacent"):
        packed.assign(np.zeros((6, 10), np.float32)[:, ::2], labels)
    with pytest.raises(ValueError, match="at least one"):
        _native.Codebooks([])
    with pytest.raises(TypeError):
        packed.assign(x.astype(np.float64), labels)


def _near_one_point(rng: np.random.Generator, n: int, k: int, d: int, spread: float) -> tuple[F64, F64]:
    codebook = rng.normal(size=(1, d)) + spread * rng.normal(size=(k, d))
    return codebook[rng.integers(0, k, n)] + spread * rng.normal(size=(n, d)), codebook


def _nearly_midpoints(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F64, F64]:
    codebook = np.round(2 * rng.normal(size=(k, d)))
    middle = (codebook[rng.integers(0, k, n)] + codebook[rng.integers(0, k, n)]) / 2
    return middle * (1 + 1e-15 * rng.normal(size=(n, d))), codebook


def _lengths(rng: np.random.Generator, k: int, d: int) -> F64:
    return rng.normal(size=(k, d)) * 10.0 ** rng.integers(-8, 8, (k, 1))


WIDE = {
    "plain": lambda rng, n, k, d: (rng.normal(size=(n, d)), rng.normal(size=(k, d))),
    "closer than float32 tells": lambda rng, n, k, d: _near_one_point(rng, n, k, d, 1e-9),
    "ties but for the last digits": _nearly_midpoints,
    "far from zero": lambda rng, n, k, d: (1e6 + rng.normal(size=(n, d)), 1e6 + rng.normal(size=(k, d))),
    "vanishing in float32": lambda rng, n, k, d: (1e-44 * rng.normal(size=(n, d)), 1e-44 * rng.normal(size=(k, d))),
    "of all lengths": lambda rng, n, k, d: (rng.normal(size=(n, d)) * 10.0 ** rng.integers(-30, 30, (n, 1)), _lengths(rng, k, d)),
}


@pytest.mark.parametrize("kind", WIDE)
@pytest.mark.parametrize(
    ("d", "k"), [(1, 3), (2, 17), (3, 257), (8, 16), (9, 40), (17, 300), (33, 65), (64, 1025), (130, 70), (400, 257)]
)
def test_float64_equals_its_definition(isa: str, d: int, k: int, kind: str) -> None:
    x, codebook = WIDE[kind](np.random.default_rng(1000 * d + k), 40, k, d)
    labels, squares = np.full((40, 1), -1, np.int32), np.full((40, 1), -1.0)
    _native.Codebooks([codebook]).assign(x, labels, squares)
    expected = reference.assign(x, codebook, np.float64)
    np.testing.assert_array_equal(labels[:, 0], expected)
    np.testing.assert_array_equal(squares[:, 0], reference.lane_sqdist(x, codebook[expected], np.float64))


def test_float64_pieces_and_strides() -> None:
    rng = np.random.default_rng(0)
    x, books = rng.normal(size=(3000, 30)), [rng.normal(size=(20, 3)), rng.normal(size=(300, 9))]
    labels = np.full((3000, 2), -1, np.int32)
    _native.Codebooks(books).assign(x[:, 5:17], labels)
    expected = [reference.assign(x[:, 5:8], books[0], np.float64), reference.assign(x[:, 8:17], books[1], np.float64)]
    np.testing.assert_array_equal(labels, np.stack(expected, axis=1))


def test_rows_and_codebooks_of_two_types_are_refused() -> None:
    labels = np.zeros((1, 1), np.int32)
    with pytest.raises(TypeError, match="expected the number type of the codebooks"):
        _native.Codebooks([np.zeros((2, 3), np.float32)]).assign(np.zeros((1, 3)), labels)
    with pytest.raises(TypeError, match="expected the number type of the codebooks"):
        _native.Codebooks([np.zeros((2, 3))]).assign(np.zeros((1, 3), np.float32), labels)
