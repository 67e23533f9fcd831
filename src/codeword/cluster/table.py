"""Tables as numbers: categories become numbers of categories, missing values are refused or taken note of, errors name their place.

data frame or array --> (n, d) float64: numbers as they are, categories as their number, -1 for those never seen, NaN where missing
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

F64 = NDArray[np.float64]
_MISSING = "(missing)"
MISSING_POLICIES = ("error", "median")


class Table:
    """What was learned of a table's columns: which are categorical, and how often each category came."""

    def __init__(self) -> None:
        self.counts: dict[int, dict[str, int]] = {}
        """By categorical column, by category in the order they came: rows."""

    def read(self, owner: Any, X: Any, categorical: Sequence[int | str] | None, missing: str, *, first: bool, learn: bool) -> F64:
        """The numbers (n, d) of rows `X`; with `learn`, categories are counted.

        Parameters
        ----------
        owner : estimator
            Whose number of columns and names they must have; with `first`, it is given them.
        categorical : sequence of column names or numbers, optional
            Besides the columns of a data frame that hold no numbers.

        Raises
        ------
        ValueError
            That names row and column of a value that is missing (unless that is allowed) or infinite, a text in a column of numbers, or
            an unknown column.
        """
        frame = hasattr(X, "iloc") and hasattr(X, "columns")
        if first:
            self.counts = {j: {} for j in _categorical(X, categorical, frame)}
        if frame:
            X = X.copy()
            for j in self.counts:
                if j < X.shape[1]:
                    X.isetitem(j, self._numbers(j, X.iloc[:, j], learn))
            _check_numbers(X)
        A = validate_data(owner, X, reset=first, dtype=np.float64, ensure_all_finite=False)
        if not frame:
            for j in self.counts:
                A = A.copy()
                A[:, j] = self._numbers(j, A[:, j], learn)
        _check_values(A, missing, getattr(owner, "feature_names_in_", None))
        return A  # type: ignore[no-any-return]

    def _numbers(self, j: int, values: Any, learn: bool) -> F64:
        """Numbers of categories (n,)."""
        words = [_MISSING if v is None or v != v else str(v) for v in (values.tolist() if hasattr(values, "tolist") else values)]
        known = self.counts[j]
        if learn:
            for word in words:
                known[word] = known.get(word, 0) + 1
        number = {word: i for i, word in enumerate(known)}
        return np.array([number.get(word, -1) for word in words], np.float64)

    def category(self, j: int, number: float) -> str:
        """The category of column `j` with this number."""
        return [*self.counts[j], "(new)"][int(number)]

    def to_array(self) -> NDArray[np.uint8]:
        """As bytes of JSON, for a file."""
        text = json.dumps([[j, list(words.items())] for j, words in self.counts.items()])
        return np.frombuffer(text.encode(), np.uint8).copy()

    @classmethod
    def from_array(cls, data: NDArray[np.uint8], d: int) -> Table:
        """The inverse; ValueError for anything else."""
        made = cls()
        for j, words in json.loads(data.tobytes().decode()):
            if not (isinstance(j, int) and 0 <= j < d):
                raise ValueError(f"table: expected columns 0 to {d - 1}, got {j!r}")
            made.counts[j] = {str(word): int(count) for word, count in words}
        return made


def _categorical(X: Any, named: Sequence[int | str] | None, frame: bool) -> list[int]:
    """Numbers of the categorical columns."""
    names = list(X.columns) if frame else []
    d = len(names) if frame else np.shape(X)[1] if np.ndim(X) == 2 else 0
    found = set()
    for column in named or ():
        if isinstance(column, (int, np.integer)) and 0 <= column < d:
            found.add(int(column))
        elif column in names:
            found.add(names.index(column))
        else:
            known = ", ".join(map(str, names)) if names else f"0 to {d - 1}"
            raise ValueError(f"categorical: no column {column!r}; there are {known}")
    if frame:
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        for j, dtype in enumerate(X.dtypes):
            if not (is_numeric_dtype(dtype) or is_bool_dtype(dtype)):
                found.add(j)
    return sorted(found)


def _check_numbers(X: Any) -> None:
    """ValueError that names a text in a column of a data frame that had numbers before."""
    from pandas.api.types import is_numeric_dtype

    for name, dtype in zip(X.columns, X.dtypes, strict=True):
        if not is_numeric_dtype(dtype):
            raise ValueError(f"X: expected numbers in column {name!r}, as when it was fitted, got {dtype}")


def _check_values(A: F64, missing: str, names: Any) -> None:
    bad = np.isinf(A) if missing == "median" else ~np.isfinite(A)
    if not bad.any():
        return
    i, j = (int(v) for v in np.argwhere(bad)[0])
    column = f"column {j}" if names is None else f"column {names[j]!r}"
    if np.isnan(A[i, j]):
        raise ValueError(f"X: expected numbers, found NaN in row {i}, {column}; missing='median' takes the column's median instead")
    raise ValueError(f"X: expected finite numbers, found infinity in row {i}, {column}")
