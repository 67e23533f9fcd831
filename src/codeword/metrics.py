"""How good codes are: distortion, its distance to what is possible, use of codewords, recall.

Distortion is the mean squared error over rows and dimensions. Sums over rows are exact (see `codeword.training.moments`), so a
figure does not depend on blocks or on the order of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, runtime
from codeword.exact import exact_search as exact_search
from codeword.gaussian import gaussian_distortion as gaussian_distortion
from codeword.gaussian import gaussian_rate as gaussian_rate
from codeword.training.moments import ColumnMoments, Grid, Moments

if TYPE_CHECKING:
    from codeword.base import Quantizer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Pairs = Callable[[], Iterator[tuple[NDArray[Any], NDArray[Any]]]]
_BLOCK_ELEMENTS = 1 << 22
_RECALL_ELEMENTS = 1 << 22
# The covariance behind `gaussian_gap_db` costs n d**2; beyond this width it is left out.
_LARGEST_COVARIANCE = 2048


@dataclass(frozen=True)
class Distortion:
    """What coding did to n rows.

    Attributes
    ----------
    mse : float
        Mean squared error over rows and dimensions, in the data's units squared.
    relative : float
        `mse` divided by the mean variance of a column: of the training data if measured through a quantizer, else of X.
    snr_db : float
        ``-10 log10(relative)``; infinite without error.
    per_dimension : ndarray (d,) float64
        Mean squared error of each dimension.
    rate : float or None
        Bits per dimension, if known.
    gaussian_gap_db : float or None
        `mse` over the least distortion that any code of this rate has on Gaussian rows of X's covariance, in dB
        (`gaussian_distortion`). Real data can be below 0. None without a rate, where that bound is 0, where X has no more
        rows than dimensions (its covariance would be too small), and beyond 2048 dimensions.
    n : int
        Rows measured.
    """

    mse: float
    relative: float
    snr_db: float
    per_dimension: F64 = field(compare=False)
    rate: float | None
    gaussian_gap_db: float | None
    n: int

    def __repr__(self) -> str:
        rate = "" if self.rate is None else f", rate={self.rate:.4g}"
        gap = "" if self.gaussian_gap_db is None else f", gaussian_gap_db={self.gaussian_gap_db:.2f}"
        return f"Distortion(mse={self.mse:.4g}, relative={self.relative:.4g}, snr_db={self.snr_db:.2f}{rate}{gap}, n={self.n})"


def distortion(X: Any, X_hat: Any, *, rate: float | None = None) -> Distortion:
    """Compare rows with their reconstructions.

    Parameters
    ----------
    X, X_hat : array_like (n, d)
        Compared in float64.
    rate : float, optional
        Bits per dimension that the codes took, for the distance to the Gaussian bound.

    Returns
    -------
    Distortion
        `relative` is to the variance of X.

    Raises
    ------
    TypeError, ValueError
        For input that cannot be used, or of two shapes; the message names the argument.

    Examples
    --------
    >>> distortion([[0.0, 2.0], [2.0, 4.0]], [[0.5, 2.0], [1.5, 4.0]])
    Distortion(mse=0.125, relative=0.125, snr_db=9.03, n=2)
    """
    A = checks.rows(X, wide=True)
    B = checks.rows(X_hat, "X_hat", d=A.shape[1], wide=True)
    if len(A) != len(B):
        raise ValueError(f"X_hat: expected {len(A)} rows like X, got {len(B)}")
    for rows, name in ((A, "X"), (B, "X_hat")):
        if rows.dtype == np.float64:
            checks.check_range(rows, name)
    rate = None if rate is None else checks.real(rate, "rate", 0, 64)

    def pairs() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for start, stop in runtime.blocks(len(A), _block_rows(A.shape[1]), "distortion"):
            yield A[start:stop], B[start:stop]

    return _measure(pairs, rate, None, *A.shape)


def measure(quantizer: Quantizer, X: Any) -> Distortion:
    """Encode and decode rows `X` (n, d) and compare: what `Quantizer.distortion` returns.

    Codes are held in memory, reconstructions a block at a time (they are made twice: once for the grid of the exact sums).
    """
    A = checks.to_array(X, "X")
    checks.check_shape(A, "X", quantizer.d, False)
    codes = quantizer.encode(A)
    d = A.shape[1]

    def pairs() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for start, stop in runtime.blocks(len(A), _block_rows(d), f"{type(quantizer).__name__}.distortion"):
            rows = checks.rows(A[start:stop], d=d, wide=True, first=start)
            yield rows, quantizer.decode(codes[start:stop])

    return _measure(pairs, quantizer.rate, quantizer._variance, len(A), d)


def _measure(pairs: Pairs, rate: float | None, variance: F64 | None, n: int, d: int) -> Distortion:
    """Distortion of rows and reconstructions that come in blocks, gone through twice: for the grids, then for the sums."""
    grid, largest = _grids(pairs, d)
    kind = Moments if rate is not None and n > d <= _LARGEST_COVARIANCE else ColumnMoments
    rows = kind(grid) if variance is None or kind is Moments else None
    errors = ColumnMoments(Grid(-largest, largest))
    for X, X_hat in pairs():
        errors.add(np.subtract(X, X_hat, dtype=np.float64))
        if rows is not None:
            rows.add(X)
    per_dimension = errors.mean_square
    mse = float(per_dimension.mean())
    if variance is None:
        assert rows is not None
        variance = rows.variance
    total = float(variance.mean())
    relative = mse / total if total > 0 else (0.0 if mse == 0 else np.inf)
    gap = None
    if rate is not None and isinstance(rows, Moments):
        bound = gaussian_distortion(np.linalg.eigvalsh(rows.covariance), rate)
        gap = _decibel(mse / bound) if bound > 0 else None
    return Distortion(mse, relative, -_decibel(relative), per_dimension, rate, gap, n)


def _grids(pairs: Pairs, d: int) -> tuple[Grid, F64]:
    """The grid of the rows, and the largest magnitude (d,) of the error in each column."""
    low, high, largest = np.full(d, np.inf), np.full(d, -np.inf), np.zeros(d)
    for X, X_hat in pairs():
        np.minimum(low, X.min(0), out=low)
        np.maximum(high, X.max(0), out=high)
        error = np.subtract(X, X_hat, dtype=np.float64)
        np.maximum(largest, np.maximum(error.max(0), -error.min(0)), out=largest)
    return Grid(low, high), largest


def _decibel(ratio: float) -> float:
    return 10.0 * float(np.log10(ratio)) if ratio > 0 else -np.inf


def _block_rows(d: int) -> int:
    return max(64, _BLOCK_ELEMENTS // d)


@dataclass(frozen=True)
class Usage:
    """How often each codeword of one codebook is used.

    Attributes
    ----------
    counts : ndarray (k,) int64
    n : int
        Codes counted.
    perplexity : float
        ``2 ** entropy``: as many codewords, used equally, would hold as much. k at best, 1 if one codeword has all.
    dead : ndarray int64
        Codewords that no code names.
    fullest : float
        Share of the codes that name the most frequent codeword.
    """

    counts: I64 = field(compare=False)
    n: int
    perplexity: float
    dead: I64 = field(compare=False)
    fullest: float

    def __repr__(self) -> str:
        k = len(self.counts)
        return f"Usage(k={k}, n={self.n}, perplexity={self.perplexity:.1f}, dead={len(self.dead)}, fullest={self.fullest:.3g})"


def usage(indices: Any, k: int) -> Usage:
    """Count how often each of k codewords is used.

    Parameters
    ----------
    indices : array_like of int, any shape
        Codeword numbers, 0 to k - 1.
    k : int
        Codewords in the codebook.

    Raises
    ------
    TypeError, ValueError
        If `indices` are not integers below k.

    Examples
    --------
    >>> usage([0, 0, 1, 1, 3], 4)
    Usage(k=4, n=5, perplexity=2.9, dead=1, fullest=0.4)
    """
    numbers = checks.to_array(indices, "indices")
    if numbers.dtype.kind not in "iu" and numbers.size:
        raise TypeError(f"indices: expected integers, got dtype {numbers.dtype}")
    k = checks.integer(k, "k", 1, 1 << 32)
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= k):
        raise ValueError(f"indices: expected numbers from 0 to {k - 1}, got {numbers.min()} to {numbers.max()}")
    return usage_of_counts(np.bincount(numbers.ravel().astype(np.int64), minlength=k))


def usage_of_counts(counts: NDArray[Any]) -> Usage:
    """`Usage` of codewords that were counted already: integers (k,)."""
    counts = counts.astype(np.int64)
    n = int(counts.sum())
    shares = counts[counts > 0] / max(n, 1)
    perplexity = float(np.exp2(-np.sum(shares * np.log2(shares)))) if n else 0.0
    return Usage(counts, n, perplexity, np.flatnonzero(counts == 0), float(counts.max()) / max(n, 1))


def codebook_usage(quantizer: Any, codes: Any) -> list[Usage]:
    """`usage` of each codebook of a quantizer that has ``indices(codes)`` (or of the quantizer of a pipeline).

    Parameters
    ----------
    quantizer : Quantizer
        Fitted, with ``codebooks`` (m arrays), one ``codebook``, or symbols of ``bits`` bits.
    codes : ndarray (n, code_size) uint8

    Raises
    ------
    TypeError
        If the quantizer has no codewords to count.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(500, 6)).astype("f4")
    >>> pq = cw.ProductQuantizer(2, bits=2).fit(X)
    >>> [len(u.counts) for u in codebook_usage(pq, pq.encode(X))]
    [4, 4]
    """
    inner = getattr(quantizer, "quantizer", quantizer)
    if not hasattr(inner, "indices"):
        raise TypeError(f"quantizer: expected one with indices(codes), got {type(inner).__name__}")
    indices = inner.indices(codes)
    if hasattr(inner, "codebooks"):
        sizes = [len(codebook) for codebook in inner.codebooks]
    elif hasattr(inner, "codebook"):
        sizes = [len(inner.codebook)]
    else:
        sizes = [1 << int(b) for b in np.broadcast_to(inner.bits, indices.shape[1])]
    return [usage(indices[:, i], k) for i, k in enumerate(sizes)]


def recall(found: Any, truth: Any, k: int) -> float:
    """Share of the true k nearest that are among the first k found, mean over queries.

    Parameters
    ----------
    found : array_like of int (q, at least k)
        Ids found, nearest first; -1 (nothing found) never counts.
    truth : array_like of int (q, at least k)
        Ids of the true nearest, nearest first, all at least 0. Ties get no special treatment.
    k : int

    Raises
    ------
    TypeError, ValueError
        If the two are not ids of the same queries, at least k each.

    Examples
    --------
    >>> recall([[1, 5, 2]], [[1, 2, 3]], 3)
    0.6666666666666666
    >>> recall([[1, 5, 2]], [[1, 2, 3]], 1)
    1.0
    """
    F, T = _ids(found, "found"), _ids(truth, "truth")
    if len(F) != len(T) or not len(F):
        raise ValueError(f"found, truth: expected ids of the same queries, at least one, got {len(F)} and {len(T)} rows")
    k = checks.integer(k, "k", 1, 1 << 31)
    if k > min(F.shape[1], T.shape[1]):
        raise ValueError(f"k: expected at most the {F.shape[1]} ids found and the {T.shape[1]} true ones, got {k}")
    F, T = F[:, :k], T[:, :k]
    if (T < 0).any():
        raise ValueError(f"truth: expected ids of at least 0, got {T.min()} in row {int(np.argmax((T < 0).any(axis=1)))}")
    hits = 0
    step = max(1, _RECALL_ELEMENTS // (k * k))
    for start in range(0, len(T), step):
        same = T[start : start + step, :, None] == F[start : start + step, None, :]
        hits += int(np.count_nonzero(same.any(axis=2)))
    return hits / T.size


def _ids(ids: Any, name: str) -> I64:
    A = checks.to_array(ids, name)
    if A.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer ids, got dtype {A.dtype}")
    if A.ndim != 2:
        raise ValueError(f"{name}: expected shape (q, k), got {A.shape}")
    if A.dtype == np.uint64 and A.size and int(A.max()) >= 1 << 63:
        raise ValueError(f"{name}: expected ids below 2**63, got {A.max()}")
    return A.astype(np.int64)
