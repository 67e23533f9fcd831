"""pairwise_dot and pairwise_sqdist equal their twins bit for bit on every ISA."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import _native, reference

# 1 and 7: less than the eight lanes; 8, 9: one piece and a tail of one; 31 to 384: several pieces with and without a tail.
DIMENSIONS = (1, 7, 8, 9, 31, 33, 100, 384)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("name", ["pairwise_dot", "pairwise_sqdist"])
def test_pairs_equal_the_twin_bit_for_bit(isa: str, name: str, d: int) -> None:
    random = np.random.default_rng(d)
    a, b = (random.normal(size=(n, d)).astype(np.float32) for n in (6, 11))
    assert np.array_equal(getattr(_native, name)(a, b), getattr(reference, name)(a, b))


def test_different_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 columns"):
        _native.pairwise_dot(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32))
