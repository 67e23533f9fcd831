"""How much of a covariance of few rows to believe: the share that would code held-out rows shortest.

A sample covariance of n rows has eigenvalues too far apart: of 200 rows in 384 dimensions 185 are zero. It is mixed with a
target that has none of that: ``(1 - share) S + share T``, T the identity times the mean variance, or the diagonal of S.

The share is judged on rows that S does not know. Coding a row to a distortion of `floor` in each coordinate, with a code made
for a Gaussian of covariance S', costs ``log det(S' + floor I) + <(S' + floor I)^-1, H + floor I>`` (twice the nats, less a
constant), H the second moment of the held-out rows about the training mean. The floor keeps directions that no code will
ever spend bits on from deciding. Both targets commute with S in some basis, so one eigendecomposition serves all shares.

Source: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices" (targets); Hoffbeck &
Landgrebe 1996, "Covariance matrix estimation and classification with limited training data" (left-out likelihood).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from codeword.training.moments import Moments, merge

F64 = NDArray[np.float64]
# 24 dB below the mean variance: what 4 bits a dimension reach on white data.
_FLOOR = 2.0**-8
_SHARES = np.concatenate([[0.0], 2.0 ** np.arange(-10.0, 0.25, 0.5)])


@dataclass(frozen=True)
class Shrinkage:
    """A share (0 to 1) of a target, "identity" (times the mean variance) or "diagonal" (the covariance's own), to mix in."""

    share: float
    target: str = "identity"

    def applied(self, covariance: F64) -> F64:
        """The shrunk covariance, float64 (d, d).

        Examples
        --------
        >>> Shrinkage(0.5).applied(np.array([[3.0, 1.0], [1.0, 1.0]]))
        array([[2.5, 0.5],
               [0.5, 1.5]])
        """
        variances = covariance.diagonal()
        if self.target == "identity":
            variances = np.full(len(variances), variances.mean())
        return (1.0 - self.share) * covariance + self.share * np.diag(variances)


def choose(folds: list[Moments], held: list[Moments]) -> Shrinkage:
    """The shrinkage that codes the rows of each of `held` shortest, given those of the other `folds`.

    Parameters
    ----------
    folds : list of Moments
        All rows, in parts, on one grid.
    held : list of Moments
        Those of the folds to hold out in turn.

    Returns
    -------
    Shrinkage
        For all rows: its share is smaller than the best for a part of the rows by the ratio of their numbers.
        All identity where there are too few rows to hold some out.
    """
    lengths = {"identity": np.zeros(len(_SHARES)), "diagonal": np.zeros(len(_SHARES))}
    tried = 0.0
    part = 0.0
    for fold in held:
        rest = [f for f in folds if f is not fold and f.weight > 0]
        if not rest or fold.weight == 0:
            continue
        known = reduce(merge, rest)
        if not known.variance.any():
            continue
        for target, length in code_lengths(known, fold).items():
            lengths[target] += fold.weight * length
        tried += fold.weight
        part += fold.weight * known.weight / (known.weight + fold.weight)
    if tried == 0:
        return Shrinkage(1.0)
    target = min(lengths, key=lambda t: float(lengths[t].min()))
    share = float(_SHARES[int(np.argmin(lengths[target]))])
    # The error of S falls as 1 / n, so the odds of the target do.
    ratio = part / tried
    return Shrinkage(share * ratio / (1.0 - share + share * ratio), target)


def code_lengths(known: Moments, held: Moments) -> dict[str, F64]:
    """Length of the code of the held-out rows for each of the shares, by target (mean of a coordinate, less a constant)."""
    S = known.covariance
    variances = S.diagonal()
    off = held.mean - known.mean
    floor = _FLOOR * float(variances.mean())
    H = held.covariance + np.multiply.outer(off, off)
    H[np.diag_indices_from(H)] += floor
    S[np.diag_indices_from(S)] += floor
    values, axes = eigen(S)
    white = float(variances.mean())
    lengths = {"identity": _lengths(values, _along(axes, H), white)}
    scale = 1.0 / np.sqrt(variances)  # the floor is in: `variances` is a view of S
    scaled = np.multiply.outer(scale, scale)
    values, axes = eigen(S * scaled)
    lengths["diagonal"] = _lengths(values, _along(axes, H * scaled), 1.0) - 2.0 * float(np.mean(np.log(scale)))
    return lengths


def _lengths(values: F64, held: F64, target: float) -> F64:
    """Mean of ``log(v) + held / v``, v the eigenvalues mixed with `target` (both with the floor in), for each of the shares."""
    mixed = np.multiply.outer(1.0 - _SHARES, np.maximum(values, 0.0)) + _SHARES[:, None] * target
    mixed = np.maximum(mixed, np.finfo(np.float64).tiny)
    return np.asarray(np.mean(np.log(mixed) + held / mixed, axis=1))


def _along(axes: F64, H: F64) -> F64:
    """Second moments of the held-out rows along each column of `axes`."""
    return np.asarray(np.einsum("ij,ij->j", axes, H @ axes))


def eigen(S: F64) -> tuple[F64, F64]:
    """Eigenvalues (rising) and eigenvectors (columns) of a symmetric matrix, scaled by a power of two first against overflow."""
    largest = float(np.max(np.abs(S)))
    exponent = int(np.frexp(largest)[1])
    values, vectors = np.linalg.eigh(np.ldexp(S, -exponent))
    return np.ldexp(values, exponent), vectors
