"""pack_bits and unpack_bits equal their twins on every instruction set, for any widths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeword import _native, reference

WIDTHS = [*range(1, 18), 24, 31, 32]
# 1 and 2 columns; either side of 8, 16 and 32 symbols a vector; odd, so that rows end within a byte and a word.
COLUMNS = [1, 2, 7, 8, 9, 15, 17, 31, 33, 70]


def random_indices(n: int, m: int) -> np.ndarray:
    """Full 32-bit values: a kernel must drop the bits above a symbol's width."""
    return np.random.default_rng(1000 * n + m).integers(0, 2**32, (n, m), dtype=np.uint32)


def check_both_ways(indices: np.ndarray, bits: np.ndarray) -> None:
    codes = _native.pack_bits(indices, bits)
    np.testing.assert_array_equal(codes, reference.pack_bits(indices, bits))
    unpacked = _native.unpack_bits(codes, bits)
    np.testing.assert_array_equal(unpacked, reference.unpack_bits(codes, bits))
    masks = (np.uint64(1) << bits.astype(np.uint64)) - np.uint64(1)
    np.testing.assert_array_equal(unpacked, indices & masks)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("m", COLUMNS)
def test_one_width_equals_twin(isa: str, width: int, m: int) -> None:
    check_both_ways(random_indices(5, m), np.full(m, width, dtype=np.uint8))


@pytest.mark.parametrize("m", COLUMNS)
def test_mixed_widths_equal_twin(isa: str, m: int) -> None:
    bits = np.random.default_rng(m).integers(1, 33, m, dtype=np.uint8)
    check_both_ways(random_indices(7, m), bits)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(bits=st.lists(st.integers(1, 32), min_size=1, max_size=40), n=st.integers(0, 4))
def test_any_widths_equal_twin(isa: str, bits: list[int], n: int) -> None:
    check_both_ways(random_indices(n, len(bits)), np.array(bits, dtype=np.uint8))


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("width", [4, 8, 11, 16])
def test_result_ignores_thread_count(keep_threads: None, threads: int, width: int) -> None:
    indices = random_indices(20_000, 17)
    bits = np.full(17, width, dtype=np.uint8)
    _native.set_threads(threads)
    codes = _native.pack_bits(indices, bits)
    np.testing.assert_array_equal(codes, reference.pack_bits(indices, bits))
    np.testing.assert_array_equal(_native.unpack_bits(codes, bits), indices & (2**width - 1))


def test_no_columns_make_empty_codes() -> None:
    bits = np.zeros(0, dtype=np.uint8)
    codes = _native.pack_bits(np.zeros((3, 0), dtype=np.uint32), bits)
    assert codes.shape == (3, 0)
    assert _native.unpack_bits(codes, bits).shape == (3, 0)


@pytest.mark.parametrize("width", [0, 33, 255])
def test_refuses_impossible_widths(width: int) -> None:
    bits = np.array([8, width], dtype=np.uint8)
    with pytest.raises(ValueError, match=f"got {width} for column 1"):
        _native.pack_bits(np.zeros((1, 2), dtype=np.uint32), bits)
    with pytest.raises(ValueError, match=f"got {width} for column 1"):
        _native.unpack_bits(np.zeros((1, 2), dtype=np.uint8), bits)


def test_refuses_shapes_that_do_not_match() -> None:
    bits = np.full(3, 8, dtype=np.uint8)
    with pytest.raises(ValueError, match="one entry a column of indices, 4, got 3"):
        _native.pack_bits(np.zeros((2, 4), dtype=np.uint32), bits)
    with pytest.raises(ValueError, match="3 bytes a row for these bits, got 4"):
        _native.unpack_bits(np.zeros((2, 4), dtype=np.uint8), bits)
