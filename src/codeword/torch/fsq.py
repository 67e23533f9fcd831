"""FSQ: every number of a vector is squashed and rounded to one of a few levels; the product of the levels is the codebook.

    x (n, d) --tanh--> bounded (n, d) in [-1, 1] --nearest level, ties to the lower--> digits (n, d) --mixed radix--> indices (n,)

Source: Mentzer, Minnen, Agustsson & Tschannen 2023, "Finite scalar quantization: VQ-VAE made simple".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codeword import checks
from codeword.torch import export, gradient, sync
from codeword.torch.layer import Layer, Rows
from codeword.torch.usage import Float32Module, UsageMeter, count
from codeword.training.levels import thresholds

LARGEST_LEVELS = 256
LARGEST_K = 1 << 24
# How much of the outermost steps the squashing leaves reachable: without it the end levels would need infinite inputs.
_MARGIN = 1e-3
# So many levels are compared with one by one; more are searched.
_FEW_LEVELS = 16


class Grid(Float32Module):
    """The levels of each number, what it is squashed by, and the thresholds between levels."""

    reach: Tensor
    offset: Tensor
    shift: Tensor
    levels: Tensor
    width: Tensor
    thresholds: Tensor
    radix: Tensor
    counts: Tensor

    def __init__(self, counts: list[int]) -> None:
        super().__init__()
        L = np.array(counts, np.float64)
        half = (L - 1) * (1 + _MARGIN) / 2
        offset = np.where(L % 2 == 0, 0.5, 0.0)
        width = L // 2
        table = np.minimum(np.arange(max(counts)), L[:, None] - 1) - width[:, None]  # beyond a number's own levels: its last
        levels = (table / width[:, None]).astype(np.float32)
        bounds = np.where(np.arange(max(counts) - 1) < L[:, None] - 1, thresholds(levels)[:, : max(counts) - 1], np.inf)
        numbers = {
            "reach": half / width,
            "offset": offset / width,
            "shift": np.arctanh(offset / half),
            "levels": levels,
            "width": width,
        }
        for name, values in (*numbers.items(), ("thresholds", bounds)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        radix = np.cumprod([1, *counts[:-1]])
        self.register_buffer("radix", torch.tensor(radix, dtype=torch.int64), persistent=False)
        self.register_buffer("counts", torch.tensor(counts, dtype=torch.int64), persistent=False)


class FSQ(Layer):
    """Finite scalar quantization: no codebook to learn, none to collapse.

    Parameters
    ----------
    levels : sequence of int
        Levels of each number, 2 to 256: their product is the size of the codebook. (8, 6, 5) is about 8 bits, (8, 5, 5, 5) about 10.
    grad : {"ste", "rotation", "nsvq", "diveq"}
        How gradients pass the rounding, see `codeword.torch.gradient`.
    sync : bool
        Count the usage of all processes of `torch.distributed` while training.
    dim : int
        Which dimension of x holds the len(levels) numbers.

    Examples
    --------
    >>> import torch
    >>> from codeword.torch import FSQ
    >>> fsq = FSQ((8, 6, 5))
    >>> out = fsq(torch.randn(4, 10, 3))
    >>> out.indices.shape, bool((fsq.decode(out.indices) == out.quantized).all())
    (torch.Size([4, 10]), True)
    """

    def __init__(self, levels: Sequence[int], *, grad: str = "ste", sync: bool = True, dim: int = -1) -> None:
        self.levels = tuple(checks.integer(n, f"levels[{i}]", 2, LARGEST_LEVELS) for i, n in enumerate(levels))
        super().__init__(len(self.levels), dim)
        self.k = checks.integer(math.prod(self.levels), "levels: their product", 2, LARGEST_K)
        self.grad = gradient.check(grad)
        self.sync = checks.flag(sync, "sync")
        self.grid = Grid(list(self.levels))
        self.meters = nn.ModuleList([UsageMeter(self.k)])

    def bounded(self, x: Tensor) -> Tensor:
        """What is rounded: `x` squashed to [-1, 1], float32 along `dim` (for even levels a little beyond -1)."""
        return self._bounded(self._moved(x).float()).movedim(-1, self.dim)

    def to_quantizer(self) -> Any:
        """A `codeword.ScalarQuantizer` for rows of bounded numbers: ``encode(layer.bounded(x))`` has the layer's digits."""
        return export.scalar(export.array(self.grid.levels), self.levels)

    def digits(self, indices: Tensor) -> Tensor:
        """Level numbers (..., d) of indices (...), the digits of a number whose first is the lowest."""
        return indices.unsqueeze(-1) // self.grid.radix % self.grid.counts

    def _bounded(self, rows: Tensor) -> Tensor:
        g = self.grid
        return torch.tanh(rows + g.shift) * g.reach - g.offset

    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        bounded = self._bounded(rows)
        digits = self._digits(bounded)
        indices = self._indices(digits)
        out = gradient.passed(bounded, self._values(digits), self.grad, self.training)
        counts = count(indices if mask is None else torch.where(mask, indices, self.k), self.k)
        if self.sync and self.training:
            (counts,) = sync.summed([counts])
        (meter,) = self.meters
        return Rows(out, indices, rows.new_zeros(()), *meter.add(counts))

    def _digits(self, bounded: Tensor) -> Tensor:
        """Level numbers (n, d) float32: how many thresholds lie below."""
        columns = bounded.detach().T.contiguous()
        if max(self.levels) > _FEW_LEVELS:
            return torch.searchsorted(self.grid.thresholds, columns).T.float()
        # Thresholds outermost: comparing and adding then go along whole columns.
        return (columns > self.grid.thresholds.T.unsqueeze(2)).view(torch.uint8).sum(0, dtype=torch.uint8).T.float()

    def _values(self, digits: Tensor) -> Tensor:
        """Levels (n, d) of their numbers, rounded as `Grid.levels` are."""
        return (digits - self.grid.width) / self.grid.width

    def _indices(self, digits: Tensor) -> Tensor:
        return (digits @ self.grid.radix.float()).long()  # exact, as all are below 2**24

    def _encode(self, rows: Tensor) -> Tensor:
        return self._indices(self._digits(self._bounded(rows)))

    def _decode(self, indices: Tensor) -> Tensor:
        return self._values(self.digits(indices).float())
