"""Spherical k-means: codewords of length 1, each row in the cell of the codeword that it makes the smallest angle with.

    rows (n, d) --/ length--> directions --Lloyd, every codeword at length 1 when cells are found--> codebook (k, d)

For unit vectors ``|u - c|² = 2 - 2 cos``, so these are Lloyd's passes with another assignment. Rows count with their squared length
where it is the rows, not their directions, that are to be reconstructed: an angle costs its square times that.

Source: Dhillon & Modha 2001, "Concept decompositions for large sparse text data using clustering".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, keys
from codeword.training import kmeans
from codeword.training.nearest import nearest, pack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
_PART_STREAM = 501
_BLOCK_ELEMENTS = 1 << 15  # within the cache


def directions(X: F32) -> F32:
    """The rows of `X` (n, d) at length 1, rounded once to float32; rows of zeros stay."""
    lengths = np.sqrt(_native.centred_sums(X, X, np.zeros(X.shape[1]))[:, :1])  # squares of float32 fit float64
    lengths[lengths == 0] = 1.0
    out = np.empty(X.shape, np.float32)
    step = max(16, _BLOCK_ELEMENTS // X.shape[1])
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        np.divide(X[rows], lengths[rows], out=out[rows], dtype=np.float64, casting="same_kind")
    return out


def train(U: F32, settings: kmeans.Settings, weight: F32 | None, label: str) -> kmeans.Training:
    """Learn k unit codewords from directions `U` (n, d) of length 1, n at least k; outliers there are none."""
    result: kmeans.Training | None = None
    everything = np.ones(len(U), np.bool_)
    sizes = kmeans.part_sizes(len(U), settings)
    for size in sizes:
        rows = slice(None) if size >= len(U) else keys.sample(settings.seed, _PART_STREAM, len(U), size)
        some, mass = U[rows], None if weight is None else weight[rows]
        if result is None:
            few = keys.sample(settings.seed, _PART_STREAM, len(some), settings.effort.seed_rows * settings.k)
            start = kmeans.first_codebook(some[few], None if mass is None else mass[few], everything[: len(few)], settings)
        else:
            start = result.codebook
        passes = kmeans.passes_a_level(sizes, settings)
        assign = _by_angle(some)
        result = kmeans.lloyd(some, start, mass, passes, settings.tol, everything[: len(some)], label, settings.relaxation, assign)
    assert result is not None
    result.codebook = directions(result.codebook)
    return result


def _by_angle(U: F32) -> kmeans.Assign:
    def assign(codebook: F32, progress: Any = None) -> tuple[I32, F64]:
        packed = pack([directions(codebook)])
        labels, squares = nearest(U, packed, 2 * codebook.size, distances=True, progress=progress)
        assert squares is not None
        return labels[:, 0], squares[:, 0]

    return assign
