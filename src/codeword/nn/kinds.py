"""What `compress` knows of layers: how a weight is a matrix, what that matrix is multiplied with, what its outputs matter.

Linear (out, in)                          rows: outputs
Conv1d, 2d, 3d (out, in / groups, ...)    rows: outputs; columns: the inputs under the kernel, moments averaged over groups
ConvTranspose1d, 2d, 3d (in, out, ...)    rows: outputs at each place of the kernel; columns: inputs
Embedding (number, d)                     rows: what is looked up; columns matter as the derivatives by them say
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

MOST_PATCHES = 1 << 14
"""Patches of a batch that the moments of a convolution are taken from, evenly spaced."""


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes
    ----------
    name : str
        As files have it.
    matrix : function
        The weight as a matrix (rows, columns).
    weight : function
        Its inverse, for a weight of a given shape.
    inputs : function
        Of a layer and what it is called with: rows (n, columns) that the matrix is multiplied with; None for embeddings.
    outputs : function
        Of a layer and derivatives by its output: rows (n, rows), (n, columns) for embeddings.
    """

    name: str
    matrix: Callable[[Tensor], Tensor]
    weight: Callable[[Tensor, tuple[int, ...]], Tensor]
    inputs: Callable[[nn.Module, Tensor], Tensor] | None
    outputs: Callable[[nn.Module, Tensor], Tensor]


def _patches(layer: nn.Module, x: Tensor) -> Tensor:
    """Inputs under the kernel (n, in / groups * places) of convolutions of any dimension."""
    assert isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    if x.dim() == layer.weight.dim() - 1:
        x = x[None]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    for i, (size, stride, dilation) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)):
        x = x.unfold(2 + i, dilation * (size - 1) + 1, stride)[..., ::dilation]
    spatial = layer.weight.dim() - 2
    n, channels = x.shape[:2]
    x = x.reshape(n, layer.groups, channels // layer.groups, *x.shape[2:])
    order = [0, *range(3, 3 + spatial), 1, 2, *range(3 + spatial, 3 + 2 * spatial)]
    x = x.permute(order)
    rows = x.reshape(math.prod(x.shape[: 1 + spatial]), layer.groups, -1)
    return rows[:: -(-len(rows) // MOST_PATCHES)].reshape(-1, rows.shape[2])


def _channels_last(_: nn.Module, x: Tensor) -> Tensor:
    """(n, channels) of (batch, channels, ...) of convolutions."""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def _transposed_outputs(layer: nn.Module, gradient: Tensor) -> Tensor:
    """Derivatives (n, out / groups * places) by outputs of transposed convolutions: each place of the kernel leads to all of them."""
    assert isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
    rows = _channels_last(layer, gradient).reshape(-1, layer.weight.shape[1])
    return rows.repeat_interleave(layer.weight[0, 0].numel(), dim=1)


def _last(_: nn.Module, x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def _same(weight: Tensor) -> Tensor:
    return weight.reshape(len(weight), -1)


def _transposed(weight: Tensor) -> Tensor:
    return weight.reshape(len(weight), -1).T.contiguous()


def _reshaped(matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    return matrix.reshape(shape)


def _back(matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    return matrix.T.reshape(shape)


LINEAR = Kind("linear", _same, _reshaped, _last, _last)
CONV = Kind("conv", _same, _reshaped, _patches, _channels_last)
CONV_TRANSPOSE = Kind("conv_transpose", _transposed, _back, _channels_last, _transposed_outputs)
EMBEDDING = Kind("embedding", _same, _reshaped, None, _last)
KINDS = {kind.name: kind for kind in (LINEAR, CONV, CONV_TRANSPOSE, EMBEDDING)}


def kind_of(layer: nn.Module) -> Kind | None:
    """The kind of a layer, or None."""
    if isinstance(layer, nn.Linear):
        return LINEAR
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return CONV
    if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        return CONV_TRANSPOSE
    return EMBEDDING if isinstance(layer, nn.Embedding) else None


def effective_weight(layer: nn.Module) -> Tensor:
    """The weight as it is used: parametrisations and weight norms applied."""
    for hook in layer._forward_pre_hooks.values():  # torch.nn.utils.weight_norm and spectral_norm write `weight` in one
        if hasattr(hook, "compute_weight"):
            return hook.compute_weight(layer) if _takes_one(hook) else hook.compute_weight(layer, do_power_iteration=False)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight


def _takes_one(hook: object) -> bool:
    return type(hook).__name__ == "WeightNorm"


def strip_parametrization(layer: nn.Module) -> None:
    """Make the weight of a layer a plain parameter, whatever computed it."""
    if parametrize.is_parametrized(layer, "weight"):
        parametrize.remove_parametrizations(layer, "weight")
    hook: Any
    for key, hook in list(layer._forward_pre_hooks.items()):
        if hasattr(hook, "compute_weight"):
            hook.remove(layer)
            del layer._forward_pre_hooks[key]
