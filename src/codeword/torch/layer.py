"""What all layers share: tensors of any layout in, a `Quantized` out.

x (..., d, ...) --rows (n, d), float32--> quantized, indices, loss, perplexity, usage, in the layout and dtype of x
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from codeword import checks
from codeword.metrics import Usage
from codeword.torch.usage import UsageMeter


class Quantized(NamedTuple):
    """What a layer returns.

    Attributes
    ----------
    quantized : Tensor
        Like x, in its dtype: for the decoder.
    indices : Tensor int64
        Like x without the dimension of the vectors; residual layers append one of their stages.
    loss : Tensor
        Scalar float32, weighted: add it to the loss.
    perplexity, usage : Tensor
        Of this batch, of all processes while training: 2 to the entropy of the codewords' use, and the share of codewords in
        use. Scalars, or one for each stage. Of an epoch: `Layer.usage`.
    """

    quantized: Tensor
    indices: Tensor
    loss: Tensor
    perplexity: Tensor
    usage: Tensor


class Rows(NamedTuple):
    """The same of rows: what a subclass returns."""

    quantized: Tensor
    indices: Tensor
    loss: Tensor
    perplexity: Tensor
    usage: Tensor


class Layer(nn.Module, ABC):
    """A quantizer with a gradient. Subclasses write `_forward`, `_decode` and `to_quantizer`, and have `meters`.

    Parameters
    ----------
    d : int
        Width of a vector.
    dim : int
        The dimension of x that holds vectors: -1 (channels last), 1 for feature maps (b, d, h, w) and signals (b, d, t).
    """

    meters: nn.ModuleList

    def __init__(self, d: int, dim: int) -> None:
        super().__init__()
        self.d = checks.integer(d, "d", 1, checks.MAX_DIM)
        self.dim = checks.integer(dim, "dim", -64, 63)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Quantized:
        """Quantize the vectors of `x`; in training mode, learn from them.

        Parameters
        ----------
        x : Tensor of floating point
            Vectors along dimension `dim`.
        mask : Tensor of bool, optional
            Shape of x without that dimension; False where a vector is padding, which neither loss, codebook nor usage count.

        Returns
        -------
        Quantized

        Raises
        ------
        TypeError, ValueError
            For another width, dtype or shape.
        """
        moved = self._moved(x)
        shape = moved.shape
        if mask is not None and (mask.shape != shape[:-1] or mask.dtype != torch.bool):
            raise ValueError(f"mask: expected bool {tuple(shape[:-1])}, got {mask.dtype} {tuple(mask.shape)}")
        flat = None if mask is None else mask.reshape(-1)
        rows = moved.reshape(-1, self.d).float()
        if torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):  # sums of squares do not fit in half precision
                made = self._forward(rows, flat)
        else:
            made = self._forward(rows, flat)
        quantized = made.quantized.reshape(shape).movedim(-1, self.dim).to(x.dtype)
        return Quantized(quantized, made.indices.reshape(shape[:-1] + made.indices.shape[1:]), *made[2:])

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Indices of the vectors of `x`; learns and counts nothing."""
        moved = self._moved(x)
        with torch.autocast(x.device.type, enabled=False):
            indices = self._encode(moved.reshape(-1, self.d).float())
        return indices.reshape(moved.shape[:-1] + indices.shape[1:])

    def decode(self, indices: Tensor) -> Tensor:
        """Vectors (float32, along `dim`) of indices as `forward` and `encode` return them."""
        lead = indices.shape if not self._index_shape else indices.shape[: -len(self._index_shape)]
        return self._decode(indices.reshape(-1, *self._index_shape)).view(*lead, self.d).movedim(-1, self.dim)

    def usage(self) -> Any:
        """`codeword.metrics.Usage` of all vectors since the start or `reset_usage`; a list of them where there are stages."""
        reports: list[Usage] = [m.report() for m in self.meters]
        return reports if self._index_shape else reports[0]

    def reset_usage(self) -> None:
        """Count usage anew, as at the start of an epoch."""
        for meter in self.meters:
            assert isinstance(meter, UsageMeter)
            meter.reset()

    @abstractmethod
    def to_quantizer(self) -> Any:
        """The same code as a quantizer of this package, for NumPy arrays (n, d): its codes name what the layer's indices name."""

    @property
    def _index_shape(self) -> tuple[int, ...]:
        """Shape of the indices of one vector."""
        return ()

    @abstractmethod
    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        """Quantize checked rows (n, d) float32."""

    @abstractmethod
    def _encode(self, rows: Tensor) -> Tensor:
        """Indices (n, ...) of rows (n, d) float32."""

    @abstractmethod
    def _decode(self, indices: Tensor) -> Tensor:
        """Vectors (n, d) of indices (n, ...)."""

    def _moved(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise TypeError(f"x: expected a tensor of floating point, got {getattr(x, 'dtype', type(x).__name__)}")
        if not -x.ndim <= self.dim < x.ndim or x.shape[self.dim] != self.d:
            raise ValueError(f"x: expected width {self.d} in dimension {self.dim}, got shape {tuple(x.shape)}")
        return x.movedim(self.dim, -1)


def shares(n: int, mask: Tensor | None, like: Tensor) -> Tensor:
    """Weight (n,) of each row in a mean over those that count."""
    if mask is None:
        return torch.full((n,), 1 / max(n, 1), device=like.device)
    return mask / mask.sum().clamp_min(1)
