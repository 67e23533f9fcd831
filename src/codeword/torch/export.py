"""Learned codebooks as quantizers of this package: NumPy arrays in, packed codes out, files, scans, an index.

Where a quantizer wants to know spread and variance of its training rows, the codewords stand for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from codeword.base import Quantizer
from codeword.pipeline import Pipeline
from codeword.quantizers.residual import ResidualQuantizer
from codeword.quantizers.scalar import ScalarQuantizer
from codeword.quantizers.vector import VectorQuantizer
from codeword.stages import Stages
from codeword.transforms.normalize import Normalize

F32 = NDArray[np.float32]


def array(codewords: Tensor) -> F32:
    """Codewords as a NumPy array of their own."""
    return np.array(codewords.detach().cpu().numpy(), np.float32)


def vector(codewords: Tensor, cosine: bool) -> VectorQuantizer | Pipeline:
    """One codebook (k, d); `cosine`: of unit vectors, which rows are scaled to first."""
    words = array(codewords)
    quantizer = VectorQuantizer.from_codebook(words)
    if not cosine:
        return quantizer
    parts = Pipeline([Normalize().fit(words)], quantizer)
    config = {**parts.config(), "d": words.shape[1]}
    state = {f"quantizer.{key}": a for key, a in quantizer.state().items()}
    return Pipeline.from_config(config, {**state, **_columns([quantizer])})


def stages(codebooks: Sequence[F32]) -> Stages:
    """Codebooks (k, d) one after another, each for what those before it have left."""
    quantizers = [VectorQuantizer.from_codebook(c) for c in codebooks]
    config = {**Stages(quantizers).config(), "d": codebooks[0].shape[1]}
    state = {f"quantizers.{i}.{key}": a for i, q in enumerate(quantizers) for key, a in q.state().items()}
    return Stages.from_config(config, {**state, **_columns(quantizers)})


def residual(codebooks: Sequence[F32], beam: int) -> ResidualQuantizer:
    """The same with a search of `beam` paths, for 2**bits codewords a stage, bits at most 12."""
    m, (k, d) = len(codebooks), codebooks[0].shape
    if k & (k - 1) or not 2 <= k <= 4096:
        raise ValueError(f"beam: expected stages of 2**bits codewords, bits from 1 to 12, to search several paths; got k = {k}")
    config = {**ResidualQuantizer(m, bits=k.bit_length() - 1, beam=beam).config(), "d": d}
    state = {"codebooks": np.stack(codebooks), "offset": np.zeros(d, np.float32)}
    return ResidualQuantizer.from_config(config, {**state, **_columns([VectorQuantizer.from_codebook(c) for c in codebooks])})


def scalar(levels: F32, counts: Sequence[int]) -> ScalarQuantizer:
    """Levels (d, most) of each coordinate, of which the first `counts` are its own, in whole bits a coordinate."""
    widths = [max(1, (n - 1).bit_length()) for n in counts]
    last = np.array(counts)[:, None] - 1
    table = np.take_along_axis(levels, np.minimum(np.arange(1 << max(widths)), last), axis=1)
    config = {**ScalarQuantizer(widths, levels="lloyd-max").config(), "d": len(levels)}
    spread = table.max(1) - table.min(1)
    variance = np.array([table[j, :n].var(dtype=np.float64) for j, n in enumerate(counts)])
    return ScalarQuantizer.from_config(config, {"levels": table, "column_spread": spread, "column_variance": variance})


def _columns(parts: Sequence[Quantizer]) -> dict[str, Any]:
    """Spread and variance (d,) of sums of one codeword of each part."""
    spread = np.sum([q._spread for q in parts], axis=0, dtype=np.float64).astype(np.float32)
    return {"column_spread": spread, "column_variance": np.sum([q._variance for q in parts], axis=0)}
