"""How sure a mean is: paired percentile bootstrap, the same numbers every time.

Rows are drawn again with replacement, the same draws for everything that is compared, so that what rows have in common cancels.
Draws are hashed from a seed and sums are exact integers: no interval depends on a BLAS or a clock.

Source: Efron 1979, "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import keys

F64 = NDArray[np.float64]
_STREAM = 0x626F6F74  # "boot"
RESAMPLES = 400
_LEVEL = 0.95
# Values of 26 bits and counts that add up to fewer than 2**27 rows: sums of 53 bits.
_VALUE_BITS = 26


class Bootstrap:
    """Draws of n rows, for means and ratios of means over them.

    Parameters
    ----------
    n : int
        Rows, fewer than 2**27.
    seed : int
    resamples : int

    Examples
    --------
    >>> boot = Bootstrap(1000, seed=0)
    >>> low, high = boot.mean(np.arange(1000.0))
    >>> bool(low < 499.5 < high), round(high - low)
    (True, 35)
    >>> low, high = boot.ratio(1.1 * np.arange(1000.0), np.arange(1000.0))
    >>> bool(abs(low - 1.1) < 1e-5 and abs(high - 1.1) < 1e-5)
    True
    """

    def __init__(self, n: int, seed: int = 0, resamples: int = RESAMPLES) -> None:
        drawn = keys.bits64(seed, _STREAM, np.arange(resamples * n)) % np.uint64(n)
        drawn += np.repeat(np.arange(resamples, dtype=np.uint64) * np.uint64(n), n)
        self._counts = np.bincount(drawn.astype(np.int64), minlength=resamples * n).reshape(resamples, n).astype(np.float64)

    def mean(self, values: NDArray[Any]) -> tuple[float, float]:
        """Ends of the 95 % interval of the mean of `values` (n,)."""
        return _ends(self._means(values))

    def ratio(self, values: NDArray[Any], others: NDArray[Any]) -> tuple[float, float]:
        """Ends of the 95 % interval of the mean of `values` (n,) over that of `others` (n,), both at least 0."""
        above, below = self._means(values), self._means(others)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _ends(np.where(above == below, 1.0, above / below))

    def difference(self, values: NDArray[Any], others: NDArray[Any]) -> tuple[float, float]:
        """Ends of the 95 % interval of the mean of `values` less `others` (n,)."""
        return _ends(self._means(np.asarray(values, np.float64) - others))

    def _means(self, values: NDArray[Any]) -> F64:
        A = np.asarray(values, np.float64)
        exponent = _VALUE_BITS - int(np.frexp(np.max(np.abs(A), initial=0.0))[1])
        sums: F64 = self._counts @ np.rint(np.ldexp(A, exponent))
        return np.ldexp(sums, -exponent) / len(A)


def _ends(means: F64) -> tuple[float, float]:
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return float(low), float(high)
