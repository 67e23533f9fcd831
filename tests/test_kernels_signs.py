"""Sign codes, their scans and codes nearest in angle give their twins' bytes on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codeword import _native, reference

ONES = np.ones(256, np.float32)


def rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)
    made[n // 2 :: 5] = 0
    made[n // 3 :: 7] = -0.0
    return made


def coded(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes = np.full((len(x), (x.shape[1] + 7) // 8 + 2), 3, np.uint8)
    return codes, _native.sign_codes(x, codes)


@pytest.mark.parametrize("d", [1, 7, 8, 9, 63, 64, 65, 200])
def test_signs_and_norms_equal_their_twin(isa: str, d: int) -> None:
    x = rows(20, d)
    codes, sums = coded(x)
    bits, wanted = reference.sign_codes(x)
    assert np.array_equal(codes[:, :-2], bits)
    assert (codes[:, -2:] == 3).all()
    assert np.array_equal(sums, wanted)


# Queries one by one, a group that is not full, whole groups; code bytes on either side of what is looked up at once.
@pytest.mark.parametrize("q", [0, 1, 13, 14, 33, 64, 65, 80])
@pytest.mark.parametrize("d", [1, 9, 64, 71, 384, 520])
def test_sums_over_set_bits_equal_their_twin(isa: str, q: int, d: int) -> None:
    codes, _ = coded(rows(37, d))
    weights = np.random.default_rng(1).integers(-15, 16, (q, d)).astype(np.int8)
    zeros = np.zeros(q, np.float32)
    out = _native.Signs(weights).scan(codes, zeros + 1, zeros, zeros, ONES, ONES, 0 * ONES, -np.inf)
    assert np.array_equal(out, reference.scan_signs(codes, weights))


@pytest.mark.parametrize("q", [1, 64])
def test_sums_of_the_largest_weights_do_not_overflow(isa: str, q: int) -> None:
    """So many bytes at their largest that 16 bits hold a part of them only."""
    d = 8 * 700
    weights = np.tile(np.array([16, 16, 16, 16, 16, 16, 16, 15], np.int8), (q, d // 8))
    weights[q // 2 :] *= -1
    codes = np.full((3, d // 8 + 2), 255, np.uint8)
    zeros = np.zeros(q, np.float32)
    out = _native.Signs(weights).scan(codes, zeros + 1, zeros, zeros, ONES, ONES, 0 * ONES, -np.inf)
    assert np.array_equal(out, reference.scan_signs(codes, weights))


def test_side_bytes_select_factor_and_term(isa: str) -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 256, (5000, 5), dtype=np.uint8)
    weights = rng.integers(-9, 10, (70, 24)).astype(np.int8)
    scale, bias, after = rng.standard_normal((3, 70), dtype=np.float32)
    first, second, terms = rng.standard_normal((3, 256), dtype=np.float32)
    out = _native.Signs(weights).scan(codes, scale, bias, after, first, second, terms, -2.0)
    scores = reference.scan_finish(reference.scan_signs(codes, weights), scale, bias)
    factor, term = first[codes[:, 3]] * second[codes[:, 4]], terms[codes[:, 3]]
    wanted = np.maximum((scores + np.float32(0)) * factor + term + after[:, None], np.float32(-2))
    assert np.array_equal(out, wanted)


def test_weights_that_bytes_cannot_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="127"):
        _native.Signs(np.full((1, 9), 16, np.int8))


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
@pytest.mark.parametrize("d", [1, 2, 12, 65])
def test_codes_nearest_in_angle_equal_their_twin(isa: str, bits: int, d: int) -> None:
    x = rows(15, d)
    x[1] = 1
    x[2] = np.arange(d)
    x[3, d // 2 :] *= 1e-5
    x[4] *= np.float32(1e-42)
    x[5] *= np.float32(1e38)
    indices, sums = _native.grid_codes(x, bits)
    wanted, wanted_sums = reference.grid_codes(x, bits)
    assert np.array_equal(indices, wanted)
    assert np.array_equal(sums, wanted_sums)


@given(hnp.arrays(np.float32, st.integers(1, 9), elements=st.integers(-6, 6).map(float)), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_ties_between_coordinates_are_broken_as_by_the_twin(x: np.ndarray, bits: int) -> None:
    assert np.array_equal(_native.grid_codes(x[None], bits)[0], reference.grid_codes(x[None], bits)[0])


@pytest.mark.parametrize("bits", [2, 3])
def test_no_direction_of_the_grid_is_nearer(bits: int) -> None:
    """Every code of three coordinates is tried."""
    x = np.abs(rows(40, 3, seed=3)) + np.float32(1e-3)
    odd = np.arange(1, 2**bits, 2, dtype=float)
    grid = np.stack(np.meshgrid(odd, odd, odd), axis=-1).reshape(-1, 3)
    cosines = x @ (grid / np.linalg.norm(grid, axis=1, keepdims=True)).T
    indices, sums = _native.grid_codes(x, bits)
    u = 2.0 * indices + 1 - 2**bits
    found = (x * u).sum(1) / np.linalg.norm(u, axis=1)
    assert np.allclose(found, cosines.max(1), rtol=1e-5)
    assert np.allclose(sums[:, 1], (x * u).sum(1))
