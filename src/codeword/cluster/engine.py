"""k-means for the estimators: the trainer, on all rows, in the rows' own dtype.

    rows (n, d) --sample in an order of their own--> candidates --lloyd, over-relaxed--> the best --lloyd on all rows--> codebook (k, d)

The sample is put in the order of its contents and equal rows become one of their summed weight, so that up to `sample_size` rows the
result is the same for rows in any order, and for a row of weight 2 or twice the row. Nothing is ever trimmed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.training import kmeans
from codeword.training.kmeans import Settings
from codeword.training.lloyd import lloyd
from codeword.training.nearest import nearest, pack
from codeword.training.swaps import improved

F32 = NDArray[np.float32]
Rows = NDArray[Any]
_SAMPLE_STREAM, _CONTENT_STREAM = 601, 602
_SAMPLE_ROWS = 8192
_SAMPLE_A_CODEWORD = 64
_RELAXED_PASSES = 32
_RELAXED_TOL = 1e-5
_SWAPS = 4
# All rows about the codebook of the sample, over the sample's own: far rows that the sample lacks.
_UNLIKE = 1.1


class Fit(NamedTuple):
    """What a training gave."""

    codebook: Rows
    """(k, d), of the rows' dtype."""
    passes: int
    """Over all rows."""
    converged: bool


def train(A: Rows, W: Rows, weight: Rows | None, k: int, seeding: str, runs: int, max_iter: int, still: float, seed: int) -> Fit:
    """Learn a codebook (k, d) for rows (n, d) float32 or float64, weights (n,) of the same dtype.

    Parameters
    ----------
    A, W : ndarray (n, d)
        The rows as they came, which give them their order, and in the frame they are trained in (see `scaled`).
    seeding : {"kmeans++", "random"}
    runs : int
        Candidates that are trained on the sample; the best goes on.
    max_iter : int
        Most passes over all rows.
    still : float
        Passes end when the squared moves of the codewords add up to this.
    """
    X = W.astype(np.float32, copy=False)
    mass = None if weight is None else weight.astype(np.float32, copy=False)
    chosen, some = sample(A, weight, k, seed)
    rows = X[chosen]
    settings = Settings(k, seeding, min(max_iter, _RELAXED_PASSES), _RELAXED_TOL, every_row=True)
    best, least = rows[:k], np.inf
    for run in range(runs):
        # The bits of a hash, 63 of them: a seed for each run that no other seed's runs share.
        own = int(keys.bits64(seed, _SAMPLE_STREAM, [run])[0] >> np.uint64(1))
        trained = kmeans.train(rows, replace(settings, seed=own), some, "KMeans.fit")
        codebook, loss = improved(rows, trained.codebook, some, _SWAPS)
        if loss < least:
            best, least = codebook, loss
    codebook, done, eligible = best, 0, np.ones(len(X), np.bool_)
    if len(X) > sample_size(k):
        wide = lloyd(X, codebook, mass, min(max_iter, _RELAXED_PASSES), _RELAXED_TOL, eligible, "KMeans.fit")
        codebook, done = wide.codebook, len(wide.history)
        weighed = float(len(rows)) if some is None else float(some.sum(dtype=np.float64))
        if wide.history[0] * X.shape[1] * weighed > _UNLIKE * least:
            codebook = improved(X, codebook, mass, _SWAPS)[0]
    last = polish(W, codebook, weight, max(1, max_iter - done), still)
    return last._replace(passes=done + last.passes)


def polish(W: Rows, codebook: Rows, weight: Rows | None, max_iter: int, still: float) -> Fit:
    """Plain passes of Lloyd's algorithm over rows `W` (n, d) from a codebook (k, d), as scikit-learn makes them."""
    eligible = np.ones(len(W), np.bool_) if weight is None else weight > 0
    result = lloyd(W, codebook.astype(W.dtype), weight, max_iter, 0.0, eligible, "KMeans.fit", relaxation=1.0, still=still)
    return Fit(result.codebook, len(result.history), result.converged)


def sample_size(k: int) -> int:
    """Rows that candidates are trained on."""
    return max(_SAMPLE_ROWS, _SAMPLE_A_CODEWORD * k)


def sample(A: Rows, weight: Rows | None, k: int, seed: int) -> tuple[NDArray[np.int64], F32 | None]:
    """Numbers of different rows of `A` (n, d), at most `sample_size`, in the order of their contents, and their summed weights.

    Where there are fewer different rows than `k`, some come twice.
    """
    mass = np.ones(len(A)) if weight is None else weight.astype(np.float64)
    chosen = np.flatnonzero(mass > 0)
    size = sample_size(k)
    if len(chosen) > size:
        chosen = chosen[keys.sample(seed, _SAMPLE_STREAM, len(chosen), size)]
    hashes = contents(A[chosen], seed)
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    merged = np.bincount(which, mass[chosen], len(first))
    if len(first) < k:
        first, merged = np.resize(first, k), np.resize(merged, k)
    if weight is None and (merged == 1).all():
        return chosen[first], None
    return chosen[first], (merged / merged.max()).astype(np.float32)


def contents(A: Rows, seed: int) -> NDArray[np.uint64]:
    """64 bits (n,) for the contents of each row of `A` (n, d) float32 or float64."""
    A = A + A.dtype.type(0)  # -0 becomes 0
    if A.dtype == np.float32 and A.shape[1] % 2:
        A = np.concatenate([A, np.zeros((len(A), 1), np.float32)], axis=1)
    words = A.view(np.uint64)
    odd = keys.bits64(seed, _CONTENT_STREAM, np.arange(words.shape[1])) | np.uint64(1)
    return keys.bits64(seed, _CONTENT_STREAM, words @ odd)


def assign(W: Rows, codebook: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nearest codeword of each row of `W` (n, d) and its squared distance."""
    labels, squares = nearest(W, pack([codebook], W.dtype), 2 * codebook.size, distances=True)
    assert squares is not None
    return labels[:, 0], squares[:, 0]
