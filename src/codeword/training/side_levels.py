"""Levels of the numbers that lie beside a code, a byte each: 256 of them, fitted to those of training rows.

Lengths and gains are positive and matter by their ratio: log_levels. Rows unlike the training rows find levels too, ever wider
spaced, beyond both ends.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# Levels on each side beyond the training rows, for rows unlike them: a 64th of their span away, then ever further, to 100 spans.
_GUARDS = np.multiply.accumulate(np.array([1 / 64, *[3.5] * 7]))
_OUTLIERS = 2000  # one training row in so many may lie among the guards


def _ends(values: F64) -> tuple[float, float]:
    """Smallest and largest value but for outliers."""
    ordered = np.sort(values)
    skip = len(ordered) // _OUTLIERS
    return float(ordered[skip]), float(ordered[len(ordered) - 1 - skip])


def linear_levels(values: F64) -> F32:
    """256 levels, rising: evenly spaced over the values, ever wider beyond them."""
    low, high = _ends(values)
    span = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-30)
    return _spread(low, span, 256).astype(np.float32)


def log_levels(values: F64) -> F32:
    """Level 0 for zero, then 255 rising ones: evenly spaced on a log scale over the values above 0, ever wider beyond them.

    Logarithms and powers are taken in decimal arithmetic, which rounds alike everywhere; those of a C library do not.
    """
    positive = values[values > 0]
    low, high = (float(Decimal(end).ln()) for end in _ends(positive)) if len(positive) else (-10.0, 10.0)
    exponents = np.clip(_spread(low, max(high - low, 1e-2), 255), -44.0, 44.0)  # within float32, squares too
    return np.array([0.0, *(float(Decimal(float(e)).exp()) for e in exponents)], np.float32)


def _spread(low: float, span: float, count: int) -> F64:
    """`count` numbers, rising, evenly spaced from `low` to ``low + span`` but for the guards on either side."""
    inside = low + span * np.linspace(0, 1, count - 2 * len(_GUARDS))
    return np.concatenate([(low - span * _GUARDS)[::-1], inside, low + span + span * _GUARDS])
