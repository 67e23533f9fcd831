"""Rows and codebooks on which assignment is hard: ties, offsets, scales far apart, denormals. Tests and benchmarks share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def normal(rng: np.random.Generator, *shape: int) -> F32:
    return rng.standard_normal(shape, dtype=np.float32)


def duplicates(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    codebook = normal(rng, max(1, k // 8), d)
    return normal(rng, n, d), codebook[rng.integers(0, len(codebook), k)]


def all_alike(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return normal(rng, n, d), np.tile(normal(rng, 1, d), (k, 1))


def midpoints(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    codebook = rng.integers(-8, 8, (k, d)).astype(np.float32)
    return (codebook[rng.integers(0, k, n)] + codebook[rng.integers(0, k, n)]) / 2, codebook


def ties_with_the_origin(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return np.zeros((n, d), np.float32), rng.choice(np.float32([-1, 1]), (k, d))


def neighbours_by_one_ulp(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    codebook = np.tile(normal(rng, 1, d), (k, 1))
    steps = rng.integers(-3, 4, (k, d))
    codebook += (steps * np.spacing(codebook)).astype(np.float32)
    return codebook[rng.integers(0, k, n)] + normal(rng, n, d) * np.float32(1e-6), codebook


def offset(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    centre = np.float32(1e6) * normal(rng, d)
    return normal(rng, n, d) + centre, normal(rng, k, d) + centre


def rows_far_from_the_codebook(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    distance = np.float32(10.0) ** rng.integers(0, 38, (n, 1)).astype(np.float32)
    return normal(rng, n, d) * distance / 4, normal(rng, k, d)


def mixed_scales(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    def scales(rows: int) -> F32:
        return np.ldexp(np.float32(1), rng.integers(-60, 61, (rows, 1)))

    return normal(rng, n, d) * scales(n), normal(rng, k, d) * scales(k)


def mixed_columns(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    scales = np.ldexp(np.float32(1), rng.integers(-60, 61, d))
    return normal(rng, n, d) * scales, normal(rng, k, d) * scales


def denormals(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    tiny = np.float32(1e-41)
    return normal(rng, n, d) * tiny, normal(rng, k, d) * tiny


def denormal_differences(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    x, codebook = normal(rng, n, d) * np.float32(1e-41), normal(rng, k, d) * np.float32(1e-41)
    x[:, 0] = codebook[:, 0] = 1
    return x, codebook


def all_zero(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return np.zeros((n, d), np.float32), np.zeros((k, d), np.float32)


def signed_zeros(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return rng.choice(np.float32([-0.0, 0.0, 1]), (n, d)), rng.choice(np.float32([-0.0, 0.0, 1]), (k, d))


def near_1e18(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return normal(rng, n, d) * np.float32(1e18), normal(rng, k, d) * np.float32(1e18)


def near_the_largest_float(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    largest = np.finfo(np.float32).max
    uniform = rng.uniform(-1, 1, (n + k, d)).astype(np.float32) * largest
    uniform[::3] = np.sign(uniform[::3]) * largest
    return uniform[:n], uniform[n:]


def one_large_codeword(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    codebook = normal(rng, k, d)
    codebook[k // 2] *= np.float32(1e30)
    return normal(rng, n, d), codebook


def one_large_coordinate(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    x, codebook = normal(rng, n, d), normal(rng, k, d)
    x[:, d // 2] *= 1000
    codebook[:, d // 2] *= 1000
    return x, codebook


def heavy_tails(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return rng.standard_cauchy((n, d)).astype(np.float32), rng.standard_cauchy((k, d)).astype(np.float32)


def nonnegative_integers(rng: np.random.Generator, n: int, k: int, d: int) -> tuple[F32, F32]:
    return rng.integers(0, 256, (n, d)).astype(np.float32), rng.integers(0, 256, (k, d)).astype(np.float32)


HARD = [
    duplicates,
    all_alike,
    midpoints,
    ties_with_the_origin,
    neighbours_by_one_ulp,
    offset,
    rows_far_from_the_codebook,
    mixed_scales,
    mixed_columns,
    denormals,
    denormal_differences,
    all_zero,
    signed_zeros,
    near_1e18,
    near_the_largest_float,
    one_large_codeword,
    one_large_coordinate,
    heavy_tails,
    nonnegative_integers,
]
