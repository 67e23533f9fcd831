"""Operations on packed weights that PyTorch knows by name, so that they can be differentiated, compiled and exported.

    codeword::weight      codes --decode, rotate back--> the matrix, but for its scale
    codeword::rows        codes, row numbers --> these rows of it
    codeword::multiply    x, codes --rotate x, decode, multiply, rotate back--> x W', with no matrix rotated

Codes are decoded on the CPU; where a model is on another device, what comes out is moved there.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codeword import _native
from codeword.nn.codecs import TrellisCodec, codec
from codeword.nn.feedback import Tiling
from codeword.nn.incoherence import rotate_columns, rotation, scales, unrotate_columns
from codeword.nn.matrix import F32, U8, Packed

_MOST_COLUMNS = 1 << 17  # sums of bytes stay below 2^31


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
    wanted = numbers.detach().cpu().numpy()
    if wanted.size and not 0 <= wanted.min() <= wanted.max() < rows:
        raise IndexError(f"numbers: expected 0 to {rows - 1}, got {wanted.min()} to {wanted.max()}")
    out = unrotate_columns(_rotated_rows(wanted, codes.detach().cpu().numpy(), Tiling.of(rows, columns), method, bits), seed)
    out *= (np.float32(1) / scales(row_bytes.detach().cpu().numpy()[wanted]))[:, None]
    return torch.from_numpy(out).to(codes.device)


def _rotated_rows(wanted: NDArray[np.int64], codes: U8, tiling: Tiling, method: str, bits: float) -> F32:
    made = codec(method, bits)
    if isinstance(made, TrellisCodec):
        return made.coder(tiling.width).gather(codes, wanted.astype(np.int64), tiling.tile, tiling.columns)
    bands, inverse = np.unique(wanted // tiling.height, return_inverse=True)
    pieces = made.decode(codes[bands].reshape(-1, codes.shape[2]), tiling.width)
    grid = pieces.reshape(len(bands), tiling.blocks, tiling.height, tiling.tile)
    chosen = grid[inverse.reshape(-1), :, wanted % tiling.height].reshape(len(wanted), tiling.blocks * tiling.tile)
    return np.ascontiguousarray(chosen[:, : tiling.columns])


@rows.register_fake
def _(numbers: Tensor, codes: Tensor, row_bytes: Tensor, rows: int, columns: int, method: str, bits: float, seed: int) -> Tensor:
    return codes.new_empty((numbers.shape[0], columns), dtype=torch.float32)


def product(
    x: Tensor,
    codes: Tensor,
    row_bytes: Tensor,
    rows: int,
    columns: int,
    method: str,
    bits: float,
    seed: int,
    both: bool,
    exact: bool,
) -> Tensor:
    """x (n, columns) float32 times the matrix, transposed, in units of its scale: (n, rows).

    Unless `exact`, rotated rows of x are rounded to 8 bits over a scale of their own and values of the matrix to bytes, where there
    is native code for that: results are then off by about 1 % of the root mean square of a row of them (docs/networks.md).
    """
    factors = np.float32(1) / scales(row_bytes.detach().cpu().numpy())
    rest, coded = x.detach().cpu().numpy(), codes.detach().cpu().numpy()
    if not exact and has_native(method, bits, rows, columns):
        matrix, unit = native(method, bits, rows, columns)
        y = matrix.multiply(coded, rest, rotation(seed, columns).native(columns), _output(seed, rows, both), unit, factors)
        return torch.from_numpy(y).to(x.device)
    packed = Packed((rows, columns), method, bits, seed, both, coded, 1.0, row_bytes.detach().cpu().numpy())
    turned = torch.from_numpy(rotate_columns(rest, seed))
    y = (turned @ torch.from_numpy(packed.rotated()).T).numpy()
    if both:
        y = unrotate_columns(y, seed + 1)
    return torch.from_numpy(y * factors).to(x.device)


def _output(seed: int, rows: int, both: bool) -> _native.Rotation | None:
    return rotation(seed + 1, rows).native(rows) if both else None


def has_native(method: str, bits: float, rows: int, columns: int) -> bool:
    """Whether there is native code that multiplies with codes as they are."""
    return isinstance(codec(method, bits), TrellisCodec) and Tiling.of(rows, columns).tile == 4 and columns <= _MOST_COLUMNS


@functools.lru_cache(maxsize=256)
def native(method: str, bits: float, rows: int, columns: int) -> tuple[_native.PackedMatrix, float]:
    """It, and the unit of its levels."""
    made = codec(method, bits)
    assert isinstance(made, TrellisCodec)
    return made.matrix(rows, columns, Tiling.of(rows, columns).width)


multiply = torch.library.custom_op("codeword::multiply", product, mutates_args=())


@multiply.register_fake
def _(
    x: Tensor,
    codes: Tensor,
    row_bytes: Tensor,
    rows: int,
    columns: int,
    method: str,
    bits: float,
    seed: int,
    both: bool,
    exact: bool,
) -> Tensor:
    return x.new_empty((x.shape[0], rows))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1], inputs[2])
    ctx.options = inputs[3:-1]


def _by_input(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    codes, row_bytes = ctx.saved_tensors
    return gradient @ weight(codes, row_bytes, *ctx.options), *[None] * 9


multiply.register_autograd(_by_input, setup_context=_remember)
