"""Operations on packed weights that PyTorch knows by name, so that they can be differentiated, compiled and exported.

    codeword::weight      codes --decode, rotate back--> the matrix, but for its scale
    codeword::rows        codes, row numbers --> these rows of it
    codeword::multiply    x, codes --rotate x, decode, multiply, rotate back--> x W', with no matrix rotated

Codes are decoded on the CPU; where a model is on another device, what comes out is moved there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from codeword.nn.codecs import codec
from codeword.nn.feedback import Tiling
from codeword.nn.incoherence import rotate_columns, scales, unrotate_columns
from codeword.nn.matrix import Packed


@torch.library.custom_op("codeword::weight", mutates_args=())
def weight(codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int, both: bool) -> Tensor:
    """The matrix (rows, columns) float32 in units of its scale."""
    packed = Packed((rows, columns), method, bits, seed, both, codes.detach().cpu().numpy(), 1.0, row_bytes.detach().cpu().numpy())
    return torch.from_numpy(packed.unpack()).to(codes.device)


@weight.register_fake
def _(codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int, both: bool) -> Tensor:
    return codes.new_empty((rows, columns), dtype=torch.float32)


@torch.library.custom_op("codeword::rows", mutates_args=())
def rows(numbers: Tensor, codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int) -> Tensor:
    """Rows (n, columns) float32, in units of the scale, of a matrix whose rows are not rotated; numbers (n,)."""
    tiling = Tiling.of(rows, columns)
    wanted = numbers.detach().cpu().numpy()
    if wanted.size and not 0 <= wanted.min() <= wanted.max() < rows:
        raise IndexError(f"numbers: expected 0 to {rows - 1}, got {wanted.min()} to {wanted.max()}")
    bands, inverse = np.unique(wanted // tiling.height, return_inverse=True)
    packed = codes.detach().cpu().numpy()[bands]
    pieces = codec(method, bits).decode(packed.reshape(-1, packed.shape[2]), tiling.width)
    grid = pieces.reshape(len(bands), tiling.blocks, tiling.height, tiling.tile)
    chosen = grid[inverse.reshape(-1), :, wanted % tiling.height].reshape(len(wanted), tiling.blocks * tiling.tile)
    out = unrotate_columns(np.ascontiguousarray(chosen[:, :columns]), seed)
    out *= (np.float32(1) / scales(row_bytes.detach().cpu().numpy()[wanted]))[:, None]
    return torch.from_numpy(out).to(codes.device)


@rows.register_fake
def _(numbers: Tensor, codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int) -> Tensor:
    return codes.new_empty((numbers.shape[0], columns), dtype=torch.float32)


@torch.library.custom_op("codeword::multiply", mutates_args=())
def multiply(
    x: Tensor, codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int, both: bool
) -> Tensor:
    """x (n, columns) float32 times the matrix, transposed, in units of its scale: (n, rows)."""
    packed = Packed((rows, columns), method, bits, seed, both, codes.detach().cpu().numpy(), 1.0, row_bytes.detach().cpu().numpy())
    turned = torch.from_numpy(rotate_columns(x.detach().cpu().numpy(), seed))
    y = (turned @ torch.from_numpy(packed.rotated()).T).numpy()
    if both:
        y = unrotate_columns(y, seed + 1)
    return torch.from_numpy(y * (np.float32(1) / scales(packed.row_bytes))).to(x.device)


@multiply.register_fake
def _(
    x: Tensor, codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int, both: bool
) -> Tensor:
    return x.new_empty((x.shape[0], rows))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1], inputs[2])
    ctx.options = inputs[3:]


def _by_input(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    codes, row_bytes = ctx.saved_tensors
    return gradient @ weight(codes, row_bytes, *ctx.options), *[None] * 8


multiply.register_autograd(_by_input, setup_context=_remember)
