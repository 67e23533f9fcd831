"""The nearest codeword of every row, as one operator that PyTorch can trace: native kernels on CPUs, plain PyTorch elsewhere.

    x (n, d), codebook (k, d) --argmin |c|² - 2 <x, c>, ties to the lowest--> labels (n,) int64, squared distances (n,) float32

The definition is that of the package (ARCHITECTURE.md, Exactness): float32 numbers, sums in float64 in lane order. So a layer names
the codewords that its exported quantizer names.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codeword.training.nearest import nearest as native_nearest
from codeword.training.nearest import pack

# Codewords of a row that rough scores leave to the exact form.
_CANDIDATES = 8
_LANES = 8
# Scores that a block of rows may have in memory at once.
_BLOCK_SCORES = 1 << 24


@torch.library.custom_op("codeword::nearest", mutates_args=())
def _nearest(x: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    if x.device.type != "cpu":
        return plain_nearest(x, codebook)
    X, C = np.ascontiguousarray(x.numpy()), codebook.numpy()
    # Kernels trust that numbers are finite.
    if not _finite(C) and not np.isfinite(C).all():
        return torch.zeros(len(x), dtype=torch.int64), x.new_full((len(x),), float("nan"))
    bad = None if _finite(X) else ~np.isfinite(X).all(1)
    if bad is not None:
        X = np.where(bad[:, None], np.float32(0), X)
    labels, squares = native_nearest(X, pack([C]), 2 * codebook.numel(), distances=True)
    assert squares is not None
    if bad is not None:
        squares[bad] = np.nan
    return torch.from_numpy(labels[:, 0].astype(np.int64)), torch.from_numpy(squares[:, 0].astype(np.float32))


def _finite(A: NDArray[np.float32]) -> bool:
    """Whether all numbers are finite; False too if their squares add up to more than float32 holds."""
    return bool(np.isfinite(np.dot(A.ravel(), A.ravel())))


@_nearest.register_fake
def _(x: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(len(x), dtype=torch.int64), x.new_empty(len(x))


def nearest(x: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest codewords of rows; gives no gradients.

    Parameters
    ----------
    x : Tensor (n, d) float32
        A row that is not finite gets some codeword, at distance NaN.
    codebook : Tensor (k, d) float32
        On the same device.

    Returns
    -------
    labels : Tensor (n,) int64
        Ties go to the lowest number.
    squares : Tensor (n,) float32
        Squared distances.

    Examples
    --------
    >>> nearest(torch.tensor([[0.0], [0.9], [0.5]]), torch.tensor([[0.0], [1.0], [1.0]]))[0].tolist()
    [0, 1, 0]
    """
    labels, squares = _nearest(x.detach(), codebook.detach())
    return labels, squares


def plain_nearest(x: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    """What `nearest` does where there is no native kernel: rough float32 scores, then the exact form for the best few.

    A codeword that is not among the 8 of least rough score is not looked at: more than 8 codewords within rounding of float32 (or of
    TF32, where that is on) may end in another of them.
    """
    step = max(1, _BLOCK_SCORES // len(codebook))
    parts = [_plain_block(x[i : i + step], codebook) for i in range(0, len(x), step)] or [_plain_block(x, codebook)]
    return torch.cat([labels for labels, _ in parts]), torch.cat([squares for _, squares in parts])


def _plain_block(x: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    # Rough scores are as good as their numbers are small: both are taken from the mean codeword.
    centre = codebook.mean(0)
    y, z = x - centre, codebook - centre
    rough = torch.addmm(z.square().sum(1), y, z.T, alpha=-2)
    best = torch.topk(rough, min(_CANDIDATES, len(codebook)), dim=1, largest=False, sorted=False).indices
    numbers = torch.sort(best, dim=1).values  # argmin takes the first of equals, so the lowest comes first
    few = codebook[numbers].double()  # (n, c, d)
    wide = x.double().unsqueeze(1)
    scores = _lane_sum(few * few) - 2 * _lane_sum(wide * few)
    at = scores.argmin(1, keepdim=True)
    chosen = few.gather(1, at.unsqueeze(2).expand(-1, -1, few.shape[2]))[:, 0]
    squares = _lane_sum((wide[:, 0] - chosen).square()).float()
    return numbers.gather(1, at)[:, 0], squares


def _lane_sum(products: Tensor) -> Tensor:
    """Sums over the last dimension, float64, in lane order (`codeword.lanes`)."""
    d = products.shape[-1]
    padded = torch.nn.functional.pad(products, (0, -d % _LANES))
    a = padded[..., :_LANES]
    for start in range(_LANES, padded.shape[-1], _LANES):
        a = a + padded[..., start : start + _LANES]
    b = a[..., :4] + a[..., 4:]
    c = b[..., :2] + b[..., 2:]
    return c[..., 0] + c[..., 1]
