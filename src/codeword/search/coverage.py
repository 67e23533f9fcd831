"""What share of the neighbours a search finds that looks into some of the lists only, measured on rows kept for that.

    kept rows as queries --exhaustive search--> in which lists their neighbours are --> share found, for any number of lists

The measurement is of the index as it is: it is made when a recall is first asked for, again when the index has grown or shrunk by half,
and saved with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.base import State, array
from codeword.errors import FormatError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
NEAREST = 10
_STREAM = 0xC07E
_KEPT = 256
_ERRORS = 1.0  # standard errors of the measured share that are taken off


class Coverage:
    """Kept rows, and what was measured with them.

    Parameters
    ----------
    queries : ndarray (kept, d) float16 or float32
    curve : ndarray (lists,) float64, optional
        Entry p - 1 is the share of the ten nearest that are found in p lists.
    n : int
        Rows of the index when that was measured.
    """

    def __init__(self, queries: NDArray[Any], curve: F64 | None = None, n: int = 0) -> None:
        self.queries, self.curve, self.n = queries, curve, n

    @classmethod
    def keep(cls, A: NDArray[Any]) -> Coverage:
        """Keep some of the rows `A` (n, d), in half precision where that holds them."""
        rows = A[keys.sample(0, _STREAM, len(A), _KEPT)]
        with np.errstate(over="ignore"):
            half = rows.astype(np.float16)
        return cls(half if np.isfinite(half).all() else rows.astype(np.float32))

    def fits(self, n: int) -> bool:
        """Whether what was measured is of an index of about n rows."""
        return self.curve is not None and 2 * min(n, self.n) >= max(n, self.n)

    def measured(self, ranks: I64, lists: int, n: int) -> Coverage:
        """With the ranks (q, found) of the lists that hold the nearest rows of each query."""
        found = np.bincount(ranks.ravel(), minlength=lists)
        share = np.cumsum(found) / max(1, ranks.size)
        error = np.sqrt(share * (1.0 - share) / max(1, ranks.size))
        curve = np.maximum(share - _ERRORS * error, 0.0)
        curve[-1] = 1.0
        return Coverage(self.queries, curve, n)

    def effort(self, recall: float) -> int:
        """How many lists find the share `recall`."""
        assert self.curve is not None
        return int(np.searchsorted(np.maximum.accumulate(self.curve), recall)) + 1 if recall < 1 else len(self.curve)

    def expected(self, effort: int) -> float | None:
        """What share `effort` lists find; None: not measured."""
        return None if self.curve is None else float(self.curve[min(effort, len(self.curve)) - 1])

    @property
    def nbytes(self) -> int:
        return self.queries.nbytes + (0 if self.curve is None else self.curve.nbytes)

    def state(self) -> State:
        curve = {} if self.curve is None else {"curve": self.curve, "measured": np.array([self.n])}
        return {"queries": self.queries, **curve}

    @classmethod
    def from_state(cls, d: int, lists: int, state: Mapping[str, Any]) -> Coverage:
        """Rebuild from `state()`; FormatError where it does not fit."""
        queries = array(state, "queries", state["queries"].dtype, (None, d))
        if queries.dtype not in (np.float16, np.float32) or not np.isfinite(queries).all():
            raise FormatError("coverage: expected finite float16 or float32 rows")
        if "curve" not in state:
            return cls(queries)
        curve = array(state, "curve", np.float64, (lists,))
        n = int(array(state, "measured", np.int64, (1,))[0])
        if n < 0 or not ((curve >= 0) & (curve <= 1)).all():
            raise FormatError("coverage: expected shares from 0 to 1")
        return cls(queries, curve, n)
