"""`quantize_embeddings`: what sentence-transformers' function of that name gives, and codes of any quantizer.

    embeddings (n, d) --ranges or a fitted quantizer--> int8, uint8 (n, d), bits (n, ceil(d / 8)), codes (n, code_size)

The bytes of its precisions are those of sentence-transformers 6. Ranges are never taken from a few embeddings, where most numbers would
be an end of a range: that is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.base import F32, Quantizer
from codeword.errors import NotFittedError

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
FEWEST_ROWS = 100  # that ranges are taken from


def quantize_embeddings(
    embeddings: Any, precision: str | Quantizer, ranges: Any = None, calibration_embeddings: Any = None
) -> NDArray[Any]:
    """Embeddings in fewer bytes.

    Parameters
    ----------
    embeddings : array_like (n, d)
        Of finite floating-point numbers, torch tensors too.
    precision : {"float32", "int8", "uint8", "binary", "ubinary"} or Quantizer
        "int8" and "uint8": 256 steps in the range of each dimension. "binary" and "ubinary": a bit for each dimension, 1 where it is
        above 0, eight in a byte from the highest bit on, padded with 0; less 128 for "binary". A quantizer: its codes; one that is not
        fitted is fitted to `calibration_embeddings`, and stays so.
    ranges : array_like (2, d), optional
        Lowest and highest number of each dimension, for "int8" and "uint8".
    calibration_embeddings : array_like (m, d), optional
        Where `ranges` are taken from, at least 100; without, and without `ranges`, from `embeddings`.

    Returns
    -------
    ndarray
        (n, d) float32, int8 or uint8; (n, ceil(d / 8)) int8 or uint8; or codes (n, code_size) uint8.

    Raises
    ------
    NotFittedError
        For a quantizer that is not fitted, without `calibration_embeddings`.
    TypeError
        For embeddings that are integers, quantized already.
    ValueError
        For an unknown precision, NaN or infinity, ranges that do not rise, or fewer than 100 embeddings to take them from.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> from codeword.embeddings import quantize_embeddings
    >>> X = np.random.default_rng(0).normal(size=(1000, 64)).astype("f4")
    >>> quantize_embeddings(X[:1], "int8", calibration_embeddings=X).shape, quantize_embeddings(X, "ubinary").shape
    ((1, 64), (1000, 8))
    >>> trellis = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2))
    >>> quantize_embeddings(X[:1], trellis, calibration_embeddings=X).shape, trellis.decode(trellis.encode(X[:1])).shape
    ((1, 16), (1, 64))
    """
    if isinstance(precision, Quantizer):
        if precision.d is None:
            if calibration_embeddings is None:
                raise NotFittedError(
                    f"precision: {precision!r} is not fitted, and there are no calibration_embeddings to fit it to"
                )
            precision.fit(_floats(calibration_embeddings, "calibration_embeddings", None))
        codes: NDArray[Any] = precision.encode(_floats(embeddings, "embeddings", precision.d))
        return codes
    checks.choice(precision, "precision", PRECISIONS)
    rows = _floats(embeddings, "embeddings", None)
    if precision == "float32":
        return rows
    if precision in ("binary", "ubinary"):
        bits = np.packbits(rows > 0, axis=1)
        return bits if precision == "ubinary" else _less_128(bits)
    low, high = _ranges(rows, ranges, calibration_embeddings)
    steps = (high - low) / np.float32(255)
    numbers = np.clip(np.floor((rows - low) / np.where(steps > 0, steps, np.float32(1))), 0, 255).astype(np.uint8)
    return numbers if precision == "uint8" else _less_128(numbers)


def _less_128(numbers: NDArray[np.uint8]) -> NDArray[np.int8]:
    return (numbers ^ np.uint8(128)).view(np.int8)


def _floats(embeddings: Any, name: str, d: int | None) -> F32:
    A = checks.to_array(embeddings, name)
    if A.dtype.kind in "iub":
        raise TypeError(f"{name}: expected floating-point numbers, got {A.dtype}: they are quantized already")
    return np.asarray(checks.rows(A, name, d=d), np.float32)


def _ranges(rows: F32, ranges: Any, calibration: Any) -> tuple[F32, F32]:
    """Lowest and highest number (d,) of each dimension."""
    d = rows.shape[1]
    if ranges is not None:
        ends = np.asarray(checks.rows(ranges, "ranges", d=d), np.float32)
        if len(ends) != 2 or (ends[0] > ends[1]).any():
            raise ValueError(f"ranges: expected the lowest and then the highest number of each dimension (2, {d}), got other rows")
        return ends[0], ends[1]
    known = rows if calibration is None else _floats(calibration, "calibration_embeddings", d)
    if len(known) < FEWEST_ROWS:
        raise ValueError(
            f"calibration_embeddings: expected at least {FEWEST_ROWS} to take ranges from, got {len(known)}; give ranges, or more of them"
        )
    return known.min(axis=0), known.max(axis=0)
