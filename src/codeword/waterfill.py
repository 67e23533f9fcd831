"""Whole bits for every coordinate: reverse water-filling with the distortions that a quantizer really has.

Each bit goes where it lowers the squared error most. The distortion of a coordinate falls by less with every bit it gets, so taking
the largest gains in turn is the best allocation there is.

Source: Fox 1966, "Discrete optimization via marginal analysis"; Cover & Thomas 2006, section 10.3.3 for the ideal one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def allocate(variance: F64, total: int, curve: F64) -> NDArray[np.uint8]:
    """Bits (d,) of each coordinate, `total` in all or as many as help.

    Parameters
    ----------
    variance : ndarray (d,) float64
        Of each coordinate; those of 0 get no bits.
    total : int
        Bits to give.
    curve : ndarray (most + 1,) float64
        Distortion of a coordinate of variance 1 with 0, 1, ... bits, falling ever more slowly; ``curve[0]`` is 1.

    Examples
    --------
    >>> allocate(np.array([16.0, 1.0, 0.01]), 4, 0.25 ** np.arange(7))
    array([3, 1, 0], dtype=uint8)
    """
    gains = variance[:, None] * -np.diff(curve)
    order = np.argsort(-gains, axis=None, kind="stable")[: max(total, 0)]
    order = order[gains.ravel()[order] > 0]
    return np.bincount(order // gains.shape[1], minlength=len(variance)).astype(np.uint8)


def convex(curve: F64) -> F64:
    """The curve with gains that never rise: later ones lowered to earlier ones.

    Examples
    --------
    >>> convex(np.array([1.0, 0.5, 0.25, -0.25]))
    array([1.  , 0.5 , 0.25, 0.  ])
    """
    gains = np.minimum.accumulate(-np.diff(curve))
    return np.concatenate([curve[:1], curve[0] - np.cumsum(gains)])
