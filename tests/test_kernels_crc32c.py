"""crc32c equals its twin on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import _native, reference

# 3 * 1024 bytes is one round of the three-stream loop, 8 one instruction.
SIZES = [0, 1, 7, 8, 9, 31, 1023, 1024, 3071, 3072, 3073, 3080, 6145, 9999]


def random_bytes(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)


def test_known_value(isa: str) -> None:
    assert _native.crc32c(np.frombuffer(b"123456789", np.uint8)) == 0xE3069283


@pytest.mark.parametrize("size", SIZES)
def test_equals_twin(isa: str, size: int) -> None:
    data = random_bytes(size)
    assert _native.crc32c(data) == reference.crc32c(data.tobytes())


@pytest.mark.parametrize("offset", range(1, 8))
def test_accepts_any_alignment(isa: str, offset: int) -> None:
    data = random_bytes(4000)[offset:]
    assert _native.crc32c(data) == reference.crc32c(data.tobytes())


@pytest.mark.parametrize("cut", [0, 1, 100, 3072, 5000])
def test_continues_from_a_prefix(isa: str, cut: int) -> None:
    data = random_bytes(5000)
    assert _native.crc32c(data[cut:], _native.crc32c(data[:cut])) == _native.crc32c(data)
