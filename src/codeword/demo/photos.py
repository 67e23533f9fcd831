"""Real vectors without a download: local descriptors, and patches, of the two photographs that scikit-learn carries.

    photograph (H, W, 3) uint8 --gradients, 4 x 4 cells of 8 directions--> descriptors (n, 128) float32
                               --8 x 8 pixels--> patches (n, 192) float32 --decode, lay side by side--> photograph

Source of the descriptors: Lowe 2004 (SIFT), on a dense grid without orientation; square root: Arandjelović & Zisserman 2012.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
PATCH = 8
_CELLS = (4, 6, 8)  # pixels of a cell's side: three sizes of the same thing
_DIRECTIONS = 8
_WEAKEST = 3.0  # mean gradient, in grey levels, below which a place has nothing to describe


def load() -> list[U8]:
    """The two photographs (427, 640, 3).

    Raises
    ------
    ImportError
        Without the extra ``codeword[demo]``.
    """
    try:
        import PIL  # noqa: F401  scikit-learn only asks for it when it reads the files
        from sklearn.datasets import load_sample_images
    except ImportError as e:
        raise ImportError(
            f"the demo's photographs need scikit-learn and Pillow ({e.name} is missing): pip install 'codeword[demo]'; or give a "
            "file of your own vectors: codeword demo X.npy"
        ) from None
    return [np.asarray(image, np.uint8) for image in load_sample_images().images]


def descriptors(images: list[U8], stride: int, start: int) -> F32:
    """Descriptors (n, 128) of length 1 at every `stride`-th pixel from `start` on, in three sizes; flat places left out."""
    found: list[F32] = []
    for image in images:
        directions = _directions(image)
        # Sums over rectangles from one table of running sums (Viola & Jones 2001).
        table = np.zeros((directions.shape[0] + 1, directions.shape[1] + 1, _DIRECTIONS))
        table[1:, 1:] = directions.cumsum(0).cumsum(1)
        found.extend(_cells(table, cell, stride, start) for cell in _CELLS)
    return np.concatenate(found)


def _directions(image: U8) -> NDArray[np.float64]:
    """Strength of the gradient in each of eight directions (H, W, 8), shared between the two nearest."""
    grey = image.mean(2)
    down, right = np.gradient(grey)
    turn = np.arctan2(down, right) % (2 * np.pi) * (_DIRECTIONS / (2 * np.pi))
    low = np.floor(turn).astype(int)
    share = (turn - low)[..., None]
    eye = np.eye(_DIRECTIONS)
    spread = eye[low % _DIRECTIONS] * (1 - share) + eye[(low + 1) % _DIRECTIONS] * share
    return np.asarray(np.hypot(right, down)[..., None] * spread)


def _cells(table: NDArray[np.float64], cell: int, stride: int, start: int) -> F32:
    sums = (table[cell:, cell:] - table[:-cell, cell:] - table[cell:, :-cell] + table[:-cell, :-cell]).astype(np.float32)
    rows = np.arange(start, sums.shape[0] - 3 * cell, stride)
    columns = np.arange(start, sums.shape[1] - 3 * cell, stride)
    grid = np.empty((len(rows), len(columns), 4, 4, _DIRECTIONS), np.float32)
    for i in range(4):
        for j in range(4):
            grid[:, :, i, j] = sums[rows[:, None] + i * cell, columns + j * cell]
    flat = np.maximum(grid.reshape(-1, 16 * _DIRECTIONS), 0.0)
    total = flat.sum(1, keepdims=True)
    keep = total[:, 0] > _WEAKEST * 16 * cell * cell
    return np.asarray(np.sqrt(flat[keep] / total[keep]), np.float32)


def patches(image: U8, stride: int = PATCH) -> F32:
    """Squares of 8 x 8 pixels as rows (n, 192), row by row; with stride 8 they tile the picture (a rest is left out)."""
    windows: NDArray[Any] = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH), axis=(0, 1))[::stride, ::stride]
    return np.ascontiguousarray(windows.transpose(0, 1, 3, 4, 2), np.float32).reshape(-1, PATCH * PATCH * 3)


def picture(rows: F32, height: int, width: int) -> U8:
    """Lay tiles (n, 192) side by side again: the inverse of `patches` with stride 8."""
    grid = rows.reshape(height // PATCH, width // PATCH, PATCH, PATCH, 3).transpose(0, 2, 1, 3, 4)
    return np.clip(np.rint(grid.reshape(height // PATCH * PATCH, width // PATCH * PATCH, 3)), 0, 255).astype(np.uint8)


def psnr(a: U8, b: U8) -> float:
    """Peak signal-to-noise ratio of two pictures in dB."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def png(image: U8) -> bytes:
    """A picture as the bytes of a PNG file."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return file.getvalue()
