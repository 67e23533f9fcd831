"""hadamard gives the bytes of its twin on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import _native, reference

# Below, at and above each vector width, the radix-4 passes, and the L1 block of 4096.
LENGTHS = [2**p for p in range(15)]


def random_rows(n: int, length: int) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((n, length), dtype=np.float32)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_equals_twin_bit_for_bit(isa: str, n: int, length: int) -> None:
    rows = random_rows(n, length)
    expected = reference.hadamard(rows) if n else rows
    _native.hadamard(rows)
    assert rows.tobytes() == expected.tobytes()


def test_twice_is_length_times_the_row(isa: str) -> None:
    rows = np.random.default_rng(0).integers(-100, 100, (5, 256)).astype(np.float32)
    twice = rows.copy()
    _native.hadamard(twice)
    _native.hadamard(twice)
    np.testing.assert_array_equal(twice, 256 * rows)


def test_accepts_rows_off_vector_alignment(isa: str) -> None:
    rows = np.zeros(4 * 128 + 1, dtype=np.float32)[1:].reshape(4, 128)
    rows[:] = random_rows(4, 128)
    expected = reference.hadamard(rows)
    _native.hadamard(rows)
    assert rows.tobytes() == expected.tobytes()


@pytest.mark.parametrize("length", [0, 3, 96])
def test_refuses_a_length_that_is_no_power_of_two(length: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        _native.hadamard(np.zeros((2, length), dtype=np.float32))


def test_refuses_float64_and_read_only_rows() -> None:
    rows = np.zeros((2, 4), dtype=np.float32)
    rows.flags.writeable = False
    for bad in (rows, np.zeros((2, 4))):
        with pytest.raises(TypeError):
            _native.hadamard(bad)
