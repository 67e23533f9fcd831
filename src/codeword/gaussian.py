"""The least distortion that any code of a given rate can have on Gaussian rows: reverse water-filling.

A Gaussian row with eigenvalues ``l_j`` of its covariance is coded best by giving each principal axis the distortion
``min(level, l_j)`` and the rate ``max(0, log2(l_j / level) / 2)`` bits, one level for all.

Source: Kolmogorov 1956; Cover & Thomas 2006, "Elements of information theory", section 10.3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def gaussian_distortion(eigenvalues: Any, rate: float) -> float:
    """Distortion-rate function of a Gaussian vector, mean squared error per dimension.

    Parameters
    ----------
    eigenvalues : array_like (d,)
        Of the covariance, in any order; negative ones (rounding) count as 0.
    rate : float
        Bits per dimension, at least 0.

    Returns
    -------
    float
        Least mean squared error per dimension of any code of ``d * rate`` bits a row, in the limit of long blocks of rows.

    Examples
    --------
    >>> gaussian_distortion([1.0, 1.0], 2)
    0.0625
    >>> gaussian_distortion([4.0, 0.25], 1)  # two bits, both for the first axis
    0.25
    """
    values = _falling(eigenvalues)
    if not rate >= 0:
        raise ValueError(f"rate: expected bits of at least 0, got {rate}")
    positive = values[values > 0]
    if not len(positive) or rate == 0:
        return float(values.mean())
    bits = np.log2(positive)
    number = np.arange(1, len(bits) + 1)
    total = np.cumsum(bits)
    # With the level at the j-th eigenvalue the j first take (total[j] - j bits[j]) / 2 bits, more with every j: the axes
    # above the level are those for which that is less than all there is.
    active = int(np.count_nonzero(total - number * bits < 2 * rate * len(values)))
    level = float(np.exp2((total[active - 1] - 2 * rate * len(values)) / active))
    return (active * level + float(positive[active:].sum())) / len(values)


def gaussian_rate(eigenvalues: Any, distortion: float) -> float:
    """Rate-distortion function of a Gaussian vector, bits per dimension: the inverse of `gaussian_distortion`.

    Parameters
    ----------
    eigenvalues : array_like (d,)
    distortion : float
        Mean squared error per dimension, at least 0.

    Returns
    -------
    float
        0 from the mean eigenvalue on; infinite at distortion 0 (unless all eigenvalues are 0).

    Examples
    --------
    >>> gaussian_rate([1.0, 1.0], 0.0625)
    2.0
    """
    values = _falling(eigenvalues)
    if not distortion >= 0:
        raise ValueError(f"distortion: expected at least 0, got {distortion}")
    budget = distortion * len(values)
    if budget >= values.sum():
        return 0.0
    if distortion == 0:
        return np.inf
    positive = values[values > 0]
    rest = np.append(np.cumsum(positive[::-1])[::-1], 0.0)[1:]  # sum of the eigenvalues after the j-th
    number = np.arange(1, len(positive) + 1)
    # With the level at the j-th eigenvalue the distortion is number[j] * positive[j] + rest[j], less with every j.
    active = max(1, int(np.count_nonzero(number * positive + rest > budget)))
    level = (budget - float(rest[active - 1])) / active
    return float(np.sum(np.log2(positive[:active] / level))) / (2 * len(values))


def _falling(eigenvalues: Any) -> F64:
    values = np.maximum(np.asarray(eigenvalues, np.float64).ravel(), 0.0)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"eigenvalues: expected at least one finite number, got shape {np.shape(eigenvalues)}")
    return np.sort(values)[::-1]
