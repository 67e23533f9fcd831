"""Swaps of codewords lead out of bad minima and never to worse ones."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import powers
from codeword.metrics import distortion
from codeword.training.kmeans import exactly
from codeword.training.swaps import improved


def loss(X: np.ndarray, codebook: np.ndarray) -> float:
    return distortion(X, codebook[exactly(X)(codebook, None)[0]]).mse * X.size


@pytest.mark.parametrize("weighted", [False, True])
def test_a_cluster_without_a_codeword_gets_one(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    centres = np.float32([[0, 0], [10, 0], [0, 10], [10, 10], [30, 30]])
    X = (np.repeat(centres, 60, axis=0) + rng.normal(size=(300, 2))).astype(np.float32)
    bad = np.concatenate([centres[:3], centres[:1] + 0.1, centres[3:4] + 10]).astype(np.float32)  # two in one, one for two
    made, total = improved(X, bad, np.full(300, 2, np.float32) if weighted else None, 4)
    assert np.abs(np.sort(made[:, 0]) - np.sort(centres[:, 0])).max() < 0.6
    assert total == pytest.approx(loss(X, made) * (2 if weighted else 1), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_distortion_never_rises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = (rng.standard_t(2, size=(500, 3))).astype(np.float32)
    start = X[:20]
    before = improved(X, start, None, 0)[1]
    for rounds in range(4):
        made, total = improved(X, start, None, rounds)
        assert total <= before
        assert total == pytest.approx(loss(X, made), rel=1e-6)
        before = total


@pytest.mark.parametrize("k", [1, 2])
def test_one_or_two_codewords_stay(k: int) -> None:
    X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    assert np.array_equal(improved(X, X[:k], None, 3)[0], X[:k])


def test_logarithms_are_right_to_twelve_digits() -> None:
    x = np.concatenate([np.geomspace(1e-300, 1e300, 5001), 1 + np.linspace(-0.4, 0.6, 1001), np.ldexp(1.0, np.arange(-20, 20))])
    assert np.abs(powers.log(x) - np.log(x)).max() < 1e-12 * 700
    near = 1 + np.linspace(-0.2, 0.2, 2001)
    assert np.abs(powers.log(near) - np.log(near)).max() < 2.0**-43
