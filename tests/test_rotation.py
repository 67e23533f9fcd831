"""Rotation is orthogonal, mixes like a Haar rotation, and never changes its bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import codeword as cw
from codeword import set_threads

WIDTHS = [1, 2, 3, 4, 5, 7, 8, 16, 48, 63, 64, 65, 100, 128, 384, 768, 1000]


@pytest.mark.parametrize("d", WIDTHS)
def test_is_orthogonal_up_to_rounding(d: int) -> None:
    rotation = cw.Rotation(seed=d).fit(np.eye(d, dtype=np.float32))
    R = rotation.transform(np.eye(d)).astype(np.float64)
    assert abs(R @ R.T - np.eye(d)).max() < 1e-6
    assert abs(rotation.inverse_transform(np.eye(d)) - R.T).max() < 1e-6


def test_seeds_and_rounds_differ_and_repeat() -> None:
    E = np.eye(3, 48, dtype=np.float32)
    made = [cw.Rotation(s, r).fit(E).transform(E) for s in (0, 1, 2**63 - 1) for r in (None, 1, 5)]
    assert len({m.tobytes() for m in made}) == len(made)
    assert cw.Rotation(0).fit(E).transform(E).tobytes() == made[0].tobytes()
    for bad in ({"seed": -1}, {"seed": 1 << 63}, {"rounds": 0}, {"rounds": 17}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            cw.Rotation(**bad).fit(E)


# Codes and files depend on these bytes: they must never change.
GOLDEN = {
    100: "1a50d74678835c7655af2e06b3fa6e9825eae60837599aaee2df6b2530d979ee",
    128: "a7cb8e272cddffae1501c5d17717367f961da516a5c887876cfbdd2c40d457f0",
}


@pytest.mark.parametrize("d", GOLDEN)
def test_bytes_never_change(isa: str, keep_threads: None, d: int) -> None:
    X = (np.arange(2000 * d, dtype=np.int64) * 7919 % 1009 - 504).astype(np.float32).reshape(2000, d)
    rotation = cw.Rotation(seed=42).fit(X)
    for threads in (1, 3):
        set_threads(threads)
        Y = rotation.transform(X)
        both = Y.tobytes() + rotation.inverse_transform(Y).tobytes()
        assert hashlib.sha256(both).hexdigest() == GOLDEN[d]


def cells(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels and borders of the Lloyd-Max quantizer of a normal variable."""
    x = np.sort(np.random.default_rng(0).standard_normal(200_000))
    levels = np.quantile(x, (np.arange(2**bits) + 0.5) / 2**bits)
    for _ in range(100):
        borders = (levels[1:] + levels[:-1]) / 2
        levels = np.array([part.mean() for part in np.split(x, np.searchsorted(x, borders))])
    return levels, (levels[1:] + levels[:-1]) / 2


CELLS = {bits: cells(bits) for bits in (2, 4)}


def distortion(Y: np.ndarray, bits: int) -> float:
    """Of unit rows `Y` (n, d), quantized as normal variables of variance 1 / d."""
    levels, borders = CELLS[bits]
    y = Y.astype(np.float64) * np.sqrt(Y.shape[1])
    return float(np.mean((y - levels[np.searchsorted(borders, y)]) ** 2))


def rows(kind: str, d: int, n: int, rng: np.random.Generator) -> np.ndarray:
    X = np.zeros((n, d), np.float32)
    if kind == "constant":
        X[:] = d**-0.5
        return X[:1]
    first = rng.integers(0, d, n)
    X[np.arange(n), first] = 1
    if kind == "two-sparse":
        X[np.arange(n), (first + rng.integers(1, d, n)) % d] = rng.choice([-1, 1], n)
        X *= np.float32(0.5**0.5)
    return X


@pytest.mark.parametrize("d", [12, 16, 32, 48, 100, 128, 384, 768, 1000])
def test_rows_with_structure_come_out_as_after_a_haar_rotation(d: int) -> None:
    rng = np.random.default_rng(d)
    haar = rng.standard_normal((1_500_000 // d, d))
    haar /= np.linalg.norm(haar, axis=1, keepdims=True)
    # The constant row is one row a seed, so it takes many seeds; wide rows average more by themselves.
    for kind, seeds, n in (("one-hot", 100, 2000 // d + 1), ("two-sparse", 100, 4000 // d + 1), ("constant", 60_000 // d + 200, 1)):
        images = [cw.Rotation(seed).fit(haar[:1]).transform(rows(kind, d, n, rng)) for seed in range(seeds)]
        for bits in (2, 4):
            ratio = distortion(np.concatenate(images), bits) / distortion(haar, bits)
            assert abs(ratio - 1) < 0.02, (kind, bits, ratio)
