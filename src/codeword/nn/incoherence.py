"""Both sides of a matrix rotated at random, so that its entries are about Gaussian and none matters more than others.

    W (rows, columns) --times a scale a row--> S W --rotations of both sides--> V;   y = W x:  x --rotate--V--rotate back--1 / S--> y

Scales even out what rows matter: where they matter g and are of norm r, S = (g / r^2)^(1/4) minimises the weighted error that a
quantizer of equal error everywhere leaves (Cauchy-Schwarz). Only seeds and a byte a row are kept. Scales of columns would cost as much as they gain: there are none.

Source: Chee et al. 2023, "QuIP" (incoherence, rescaling); Tseng et al. 2024, "QuIP#" (randomised Hadamard on both sides). The rotation is
`codeword.Rotation`, which takes any width.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from codeword.powers import exp2, log2
from codeword.transforms.rotation import Rotation

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
STEPS = 8
"""Scales are powers of 2^(1/8): a byte e stands for 2^((e - 128) / 8)."""


@functools.lru_cache(maxsize=64)
def rotation(seed: int, d: int) -> Rotation:
    """The rotation of d coordinates."""
    made = Rotation(seed=seed)
    made.fit(np.zeros((1, d), np.float32))
    return made


def rotate_columns(A: F32, seed: int) -> F32:
    """A (n, d) with its rows rotated."""
    return rotation(seed, A.shape[1])._forward(A)


def unrotate_columns(A: F32, seed: int) -> F32:
    """The inverse of `rotate_columns`."""
    return rotation(seed, A.shape[1])._inverse(A)


def scale_bytes(importance: F64, norms: F64) -> U8:
    """Bytes of the scales (d,) for what coordinates matter and the norms of their rows.

    Examples
    --------
    >>> scale_bytes(np.array([1.0, 16.0]), np.array([1.0, 1.0]))
    array([124, 132], dtype=uint8)
    """
    floor_g, floor_r = 1e-4 * importance.mean() + 1e-30, 1e-4 * norms.mean() + 1e-30
    wanted = log2((importance + floor_g) / (norms + floor_r) ** 2) / 4
    return np.asarray(np.clip(np.rint(STEPS * (wanted - wanted.mean())) + 128, 0, 255), np.uint8)


def scales(bytes_: U8) -> F32:
    """The scales (d,) of their bytes."""
    return _table()[bytes_]


@functools.cache
def _table() -> F32:
    return np.asarray(exp2((np.arange(256) - 128) / STEPS), np.float32)
