"""Layers whose weights stay codes: VQLinear, VQConv, VQConvTranspose, VQEmbedding.

They are ordinary modules: codes, scale and bias are in `state_dict`, can be copied, moved and pickled, and derivatives go through to
inputs, biases and scales. `weight` is the dense weight, made anew each time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codeword.nn import ops
from codeword.nn.kinds import CONV, CONV_TRANSPOSE, EMBEDDING, LINEAR, Kind
from codeword.nn.matrix import Packed


class PackedWeight(nn.Module):
    """A `Packed` matrix as a module; several layers may have the same."""

    codes: Tensor
    scale: Tensor
    row_bytes: Tensor

    def __init__(self, packed: Packed) -> None:
        super().__init__()
        self.register_buffer("codes", torch.from_numpy(packed.codes.copy()))
        self.register_buffer("scale", torch.tensor(packed.scale, dtype=torch.float32))
        self.register_buffer("row_bytes", torch.from_numpy(packed.row_bytes.copy()))
        self.shape, self.method, self.bits = packed.shape, packed.method, packed.bits
        self.seed, self.both = packed.seed, packed.both

    def packed(self) -> Packed:
        """The matrix in NumPy's terms."""
        return Packed(
            self.shape,
            self.method,
            self.bits,
            self.seed,
            self.both,
            self.codes.detach().cpu().numpy(),
            float(self.scale),
            self.row_bytes.detach().cpu().numpy(),
        )

    def matrix(self) -> Tensor:
        """The matrix (rows, columns)."""
        made = ops.weight(self.codes, self.row_bytes, *self.shape, self.method, self.bits, self.seed, self.both)
        return made * self.scale

    def multiplied(self, x: Tensor) -> Tensor:
        """x (..., columns) float32 times the matrix, transposed: (..., rows)."""
        flat = x.reshape(-1, self.shape[1])
        made = ops.multiply(flat, self.codes, self.row_bytes, *self.shape, self.method, self.bits, self.seed, self.both)
        return (made * self.scale).reshape(*x.shape[:-1], self.shape[0])

    def rows(self, numbers: Tensor) -> Tensor:
        """Rows (..., columns) of a matrix whose rows are not mixed."""
        made = ops.rows(numbers.reshape(-1), self.codes, self.row_bytes, *self.shape, self.method, self.bits, self.seed)
        return (made * self.scale).reshape(*numbers.shape, self.shape[1])


class VQModule(nn.Module):
    """What the layers share.

    Parameters
    ----------
    layer : Module
        The layer whose place this one takes; its options and bias are kept, its weight is not.
    packed : PackedWeight
        Its weight.
    """

    kind: Kind

    def __init__(self, layer: nn.Module, packed: PackedWeight) -> None:
        super().__init__()
        self.packed = packed
        weight, bias = layer.weight, getattr(layer, "bias", None)
        assert isinstance(weight, Tensor)
        self.weight_shape = tuple(weight.shape)
        self.dtype = weight.dtype
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        self.train(layer.training)

    @property
    def weight(self) -> Tensor:
        """The dense weight, in the shape and number type of the original."""
        return self.kind.weight(self.packed.matrix(), self.weight_shape).to(self.dtype)

    def extra_repr(self) -> str:
        return f"{list(self.weight_shape)}, {self.packed.method}, bits={self.packed.bits:g}, bias={self.bias is not None}"


class VQLinear(VQModule):
    """A linear layer of codes."""

    kind = LINEAR

    def __init__(self, layer: nn.Module, packed: PackedWeight) -> None:
        super().__init__(layer, packed)
        self.out_features, self.in_features = packed.shape

    def forward(self, x: Tensor) -> Tensor:
        """``x W' + bias``. Few rows are rotated to meet the codes; for more, the weight is rotated back once."""
        rows, columns = self.packed.shape
        if x.dtype == torch.float32 and x.numel() // columns < 3 * rows * columns // (rows + columns):
            y = self.packed.multiplied(x)
            return y if self.bias is None else y + self.bias
        return F.linear(x, self.weight.to(x.dtype), self.bias)


class VQConv(VQModule):
    """A convolution of codes, in one to three dimensions."""

    kind = CONV

    def __init__(self, layer: nn.Module, packed: PackedWeight) -> None:
        super().__init__(layer, packed)
        assert isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        self._padding_mode = layer.padding_mode
        self._pad = list(layer._reversed_padding_repeated_twice)
        self._options: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "dilation", "groups")}
        if layer.padding_mode == "zeros":
            self._options["padding"] = layer.padding

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of `x` with the weight."""
        if self._padding_mode != "zeros":
            x = F.pad(x, self._pad, mode=self._padding_mode)
        convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[len(self.weight_shape) - 3]
        out: Tensor = convolve(x, self.weight.to(x.dtype), self.bias, **self._options)
        return out


class VQConvTranspose(VQModule):
    """A transposed convolution of codes, in one to three dimensions."""

    kind = CONV_TRANSPOSE

    def __init__(self, layer: nn.Module, packed: PackedWeight) -> None:
        super().__init__(layer, packed)
        assert isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
        names = ("stride", "padding", "output_padding", "groups", "dilation")
        self._options: dict[str, Any] = {name: getattr(layer, name) for name in names}

    def forward(self, x: Tensor) -> Tensor:
        """The transposed convolution of `x` with the weight."""
        convolve: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(self.weight_shape) - 3]
        out: Tensor = convolve(x, self.weight.to(x.dtype), self.bias, **self._options)
        return out


class VQEmbedding(VQModule):
    """A table of which only the rows that are looked up are decoded."""

    kind = EMBEDDING

    def __init__(self, layer: nn.Module, packed: PackedWeight) -> None:
        super().__init__(layer, packed)
        self.num_embeddings, self.embedding_dim = packed.shape
        self.padding_idx = getattr(layer, "padding_idx", None)

    def forward(self, numbers: Tensor) -> Tensor:
        """Rows (..., d) of numbers (...)."""
        return self.packed.rows(numbers).to(self.dtype)


_LAYERS: dict[str, type[VQModule]] = {cls.kind.name: cls for cls in (VQLinear, VQConv, VQConvTranspose, VQEmbedding)}


def module_for(layer: nn.Module, kind: Kind, packed: PackedWeight) -> VQModule:
    """The compressed layer in place of `layer`."""
    return _LAYERS[kind.name](layer, packed)


def replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put `layer` at a dotted name of `model`."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
