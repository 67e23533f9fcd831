"""Levels of coordinates: both encoders give the definition's codes on every instruction set, decoding the levels."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import _native, codes, reference
from codeword.quantizers.scalar import _affine
from codeword.training.levels import thresholds

# Below, at and above four vectors of each ISA, and the chunks of 64.
WIDTHS = [1, 5, 16, 17, 32, 63, 64, 65, 200]


def padded(limits: np.ndarray) -> np.ndarray:
    return np.pad(limits, ((0, 0), (0, 256 - limits.shape[1])), constant_values=np.inf)


def rows_around(levels: np.ndarray, n: int) -> np.ndarray:
    """Rows that hit levels and midpoints exactly, the floats beside them, and far ones."""
    random = np.random.default_rng(len(levels))
    d, k = levels.shape
    picks = random.integers(0, k, (n, d)), random.integers(0, k, (n, d))
    a, b = (np.take_along_axis(levels.T, p, 0) for p in picks)
    x = np.where(random.random((n, d)) < 0.5, a, a / 2 + b / 2).astype(np.float32)
    x = np.where(random.random((n, d)) < 0.3, np.nextafter(x, np.float32(np.inf)), x)
    x = np.where(random.random((n, d)) < 0.3, np.nextafter(x, np.float32(-np.inf)), x)
    return np.where(random.random((n, d)) < 0.05, np.float32(3e38) * random.choice([-1, 1], (n, d)), x).astype(np.float32)


def nearest(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The definition: the lowest index among the nearest levels, in exact arithmetic (long integers)."""
    from fractions import Fraction

    out = np.zeros(x.shape, np.uint32)
    for (i, j), value in np.ndenumerate(x):
        gaps = [abs(Fraction(float(value)) - Fraction(float(level))) for level in levels[j]]
        out[i, j] = gaps.index(min(gaps))
    return out


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("bits", [1, 4, 5, 8])
def test_free_levels_equal_the_twin(isa: str, d: int, bits: int) -> None:
    levels = np.sort(np.random.default_rng(d).standard_normal((d, 1 << bits), dtype=np.float32), axis=1)
    x, limits = rows_around(levels, 30), thresholds(levels)
    widths = np.full(d, bits, np.uint8)
    got = codes.unpack(_native.encode_levels(x, widths, padded(limits)), widths)
    assert np.array_equal(got, reference.nearest_sorted(x, limits))


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("bits", [1, 4, 5, 8])
@pytest.mark.parametrize("offset", [0.0, 30.0, 1e7])
def test_even_levels_equal_the_twin(isa: str, d: int, bits: int, offset: float) -> None:
    random = np.random.default_rng(d)
    low, step = offset + random.standard_normal(d), random.random(d) * (random.random(d) < 0.9)
    top = np.full(d, (1 << bits) - 1)
    levels = (low[:, None] + step[:, None] * np.arange(1 << bits)).astype(np.float32)
    x, limits = rows_around(levels, 30), thresholds(levels)
    widths = np.full(d, bits, np.uint8)
    got = codes.unpack(_native.encode_levels(x, widths, padded(limits), _affine(low, step, top, levels)), widths)
    assert np.array_equal(got, reference.nearest_even(x, limits))


def test_thresholds_are_the_definition() -> None:
    levels = np.array([[0, 1, 1, 1, 4], [-3, -3, 0.1, 0.3, 0.3], [7, 7, 7, 7, 7], [1e-45, 2e-45, 1, 1e30, 3e38]], np.float32)
    x = np.concatenate([rows_around(levels, 60), levels.T])
    assert np.array_equal(reference.nearest_sorted(x, thresholds(levels)), nearest(x, levels))


@pytest.mark.parametrize("bits", [[0, 3, 0, 8, 1], [5, 2, 7], [1, 1, 1], [4, 4, 4, 4, 4]])
def test_widths_may_differ_and_be_zero(isa: str, bits: list[int]) -> None:
    widths = np.array(bits, np.uint8)
    levels = np.sort(np.random.default_rng(0).standard_normal((len(bits), 256), dtype=np.float32), axis=1)
    levels = np.where(
        np.arange(256) < 1 << widths[:, None].astype(int), levels, levels[np.arange(len(bits)), (1 << widths.astype(int)) - 1, None]
    )
    x, limits = rows_around(levels, 100), thresholds(levels)
    packed = _native.encode_levels(x, widths, limits)
    indices = reference.nearest_sorted(x, limits)
    assert packed.tobytes() == codes.pack(indices[:, widths > 0], widths[widths > 0]).tobytes()
    assert np.array_equal(_native.decode_levels(packed, widths, levels), np.take_along_axis(levels, indices.T.astype(int), 1).T)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("d", [1, 7, 9])
def test_decoding_looks_levels_up(isa: str, bits: int, d: int) -> None:
    levels = np.random.default_rng(0).standard_normal((d, 1 << bits), dtype=np.float32)
    widths = np.full(d, bits, np.uint8)
    indices = np.random.default_rng(1).integers(0, 1 << bits, (50, d), dtype=np.uint32)
    got = _native.decode_levels(codes.pack(indices, widths), widths, levels)
    assert np.array_equal(got, np.take_along_axis(levels, indices.T.astype(int), 1).T)
