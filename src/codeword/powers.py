"""Logarithms and powers of two that have the same bits on every machine: multiplications and square roots only.

NumPy's own differ in the last bit between instruction sets; what a codebook depends on must not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_BITS = 40
_ROOT_OF_HALF, _LOG_OF_2, _LAST_TERM = 0.7071067811865476, 0.6931471805599453, 17


def log2(x: Any) -> F64:
    """Binary logarithm of positive numbers, a multiple of 2**-40, at most 2**-37 off.

    The bits of the fraction come one by one: squaring doubles the logarithm.

    Examples
    --------
    >>> log2([1.0, 8.0, 0.5, 3.0]).round(9)
    array([ 0.       ,  3.       , -1.       ,  1.5849625])
    """
    fraction, exponent = np.frexp(np.asarray(x, np.float64))
    fraction = 2.0 * fraction  # from 1 up to 2
    digits = np.zeros(np.shape(fraction), np.int64)
    for _ in range(_BITS):
        fraction = fraction * fraction
        carry = fraction >= 2.0
        fraction = np.where(carry, 0.5 * fraction, fraction)
        digits = 2 * digits + carry
    return np.asarray(exponent - 1.0 + np.ldexp(digits.astype(np.float64), -_BITS))


def log(x: Any) -> F64:
    """Natural logarithm of positive numbers, within 2**-43 of it or of its size: ten operations where `log2` takes 160.

    Of a power of two and a mantissa from sqrt(1/2) up, whose logarithm is ``2 artanh((m - 1) / (m + 1))``: a series in at most 0.172,
    cut off at 2**-45.

    Examples
    --------
    >>> log([1.0, 3.0, 1e300]).round(11)
    array([  0.        ,   1.09861229, 690.7755279 ])
    """
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    low = mantissa < _ROOT_OF_HALF
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = np.full(np.shape(square), 1.0 / _LAST_TERM)
    for odd in range(_LAST_TERM - 2, 0, -2):
        series = series * square + 1.0 / odd
    return np.asarray(2.0 * ratio * series + (exponent - low) * _LOG_OF_2)


def exp2(x: Any) -> F64:
    """Two to the power of `x`, at most 2**-38 off in proportion: a square root for each bit of the fraction.

    Examples
    --------
    >>> exp2([0.0, -3.0, 0.5]).round(9)
    array([1.        , 0.125     , 1.41421356])
    """
    whole = np.floor(np.asarray(x, np.float64))
    digits = np.rint(np.ldexp(np.asarray(x, np.float64) - whole, _BITS)).astype(np.int64)
    power = np.ones(np.shape(whole))
    root = 2.0
    for bit in range(_BITS - 1, -1, -1):
        root = float(np.sqrt(root))
        power = np.where(digits >> bit & 1, power * root, power)
    power = np.where(digits >> _BITS & 1, 2.0, power)  # the fraction was rounded up to 1
    return np.asarray(np.ldexp(power, whole.astype(np.int64)))
