"""Layers whose weights stay codes: VQLinear, VQConv, VQConvTranspose, VQEmbedding.

They are ordinary modules: codes, scale and bias are in `state_dict`, can be copied, moved and pickled, and derivatives go through to
inputs, biases and scales. `weight` is the dense weight, made anew each time.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codeword import checks
from codeword.nn import ops
from codeword.nn.kinds import CONV, CONV_TRANSPOSE, EMBEDDING, LINEAR, Kind
from codeword.nn.matrix import Packed

Activations = Literal["int8", "float32"]


class PackedWeight(nn.Module):
    """A `Packed` matrix as a module; several layers may have the same.

    Attributes
    ----------
    activations : {"int8", "float32"}
        What native code multiplies codes with on a CPU: rows rounded to 8 bits, or none, as everywhere else
        (`set_activations`).
    """

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
        self.activations: Activations = "int8"
        self._has_native = ops.has_native(self.method, self.bits, *self.shape)

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
        if torch.compiler.is_compiling() or (x.requires_grad and torch.is_grad_enabled()):
            made: Tensor = ops.multiply(flat, *self._arguments())
        else:
            made = ops.product(flat.contiguous(), *self._arguments())  # the same, without an operator's overhead
        return (made * self.scale).reshape(*x.shape[:-1], self.shape[0])

    @property
    def native(self) -> bool:
        """Whether a CPU multiplies with the codes as they are."""
        return self._has_native and self.activations == "int8"

    def few(self, rows: int) -> bool:
        """Whether so many rows are rotated in less time than the matrix."""
        return rows < 3 * self.shape[0] * self.shape[1] // (self.shape[0] + self.shape[1])

    def _arguments(self) -> tuple[Any, ...]:
        exact = self.activations != "int8"
        return self.codes, self.row_bytes, *self.shape, self.method, self.bits, self.seed, self.both, exact

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
        """``x W' + bias``. Rows are rotated to meet the codes; without native code, the weight is rotated back for many."""
        native = x.device.type == "cpu" and self.packed.native
        if x.dtype == torch.float32 and (native or self.packed.few(x.numel() // self.in_features)):
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
        size = self._few_patches(x)
        if size:
            options = {name: self._options[name] for name in ("stride", "dilation")}
            patches = F.unfold(x, self.weight_shape[2:], padding=self._options.get("padding", 0), **options)
            y = self.packed.multiplied(patches.transpose(1, 2))
            y = y if self.bias is None else y + self.bias
            return y.transpose(1, 2).reshape(x.shape[0], -1, *size)
        convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[len(self.weight_shape) - 3]
        out: Tensor = convolve(x, self.weight.to(x.dtype), self.bias, **self._options)
        return out

    def _few_patches(self, x: Tensor) -> list[int]:
        """Height and width of the output where native code multiplies its patches in less time than the weight is decoded."""
        padding = self._options.get("padding", (0, 0))
        if x.dim() != 4 or isinstance(padding, str) or self._options["groups"] > 1 or x.dtype != torch.float32:
            return []
        if x.device.type != "cpu" or not self.packed.native:
            return []
        sides = zip(x.shape[2:], self.weight_shape[2:], padding, self._options["dilation"], self._options["stride"], strict=True)
        size = [(length + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for length, kernel, pad, dilation, stride in sides]
        return size if self.packed.few(x.shape[0] * size[0] * size[1]) else []


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


def set_activations(model: nn.Module, activations: Activations) -> None:
    """Say how the compressed layers of a model multiply on a CPU.

    Parameters
    ----------
    model : Module
    activations : {"int8", "float32"}
        ``"int8"`` rounds rotated activations to 8 bits and is the fastest, with an error of about 1 % of a row's root mean square;
        ``"float32"`` agrees with the dense weight to rounding.
    """
    checks.choice(activations, "activations", ("int8", "float32"))
    for module in model.modules():
        if isinstance(module, PackedWeight):
            module.activations = activations


def module_for(layer: nn.Module, kind: Kind, packed: PackedWeight) -> VQModule:
    """The compressed layer in place of `layer`."""
    return _LAYERS[kind.name](layer, packed)


def replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put `layer` at a dotted name of `model`."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
