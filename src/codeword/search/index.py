"""Index: codes with ids, searched by scanning all of them.

    X (n, d), ids --quantizer, estimator--> codes (n, code_size) + side data --scan(queries)--> ids, distances (q, k)

Nothing is decoded and no row kept: a vector takes `code_size` bytes, side data included, and its id where ids were given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys
from codeword.base import METRICS, U8, Quantizer
from codeword.errors import NotFittedError
from codeword.search import bars, flat
from codeword.search import estimator as estimators
from codeword.search.bars import Calibration, ErrorBars
from codeword.search.estimator import SIDE_BYTES, Estimator
from codeword.search.rows import LARGEST_ID, Rows

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
_STREAM = 0x1DE7
_SAMPLE_ROWS = 1 << 15


@dataclass(frozen=True)
class SearchResult:
    """What `Index.search` found; unpacks into ids and distances.

    Attributes
    ----------
    ids : ndarray (q, k) int64
        Nearest first, equal distances by id.
    distances : ndarray (q, k) float32
        Smaller is closer: squared Euclidean distance ("l2"), negative inner product ("ip"), one minus cosine similarity ("cosine").
    metric : str
    bars : ErrorBars or None
        Where the exact distances lie, in 95 % of cases; there if the index is calibrated (`Index.calibrate`).
    """

    ids: I64
    distances: F32
    metric: str
    bars: ErrorBars | None = None

    @property
    def scores(self) -> F32:
        """Similarities (q, k) float32, larger is closer: inner product ("ip"), cosine ("cosine"), minus the squared distance ("l2")."""
        return np.float32(1.0) - self.distances if self.metric == "cosine" else np.float32(0.0) - self.distances

    def __iter__(self) -> Iterator[Any]:
        return iter((self.ids, self.distances))


class Index:
    """Compressed vectors with ids: add, search, remove, replace, save.

    Parameters
    ----------
    quantizer : Quantizer
        Fitted, or fitted by `fit`.
    metric : {"l2", "ip", "cosine"}
        What is near: see `SearchResult`.
    factors : {"auto"}, True or False
        Whether two bytes of side data are kept with each code, from which distances are estimated (see
        `codeword.search.estimator`). "auto" measures on held-out rows of `fit`, or of the first `add`, whether that finds more
        than two more bytes of code would, and does without where there are fewer than 1,000. Quantizers that keep side data of their
        own (`Quantizer.estimates`) get none.

    Attributes
    ----------
    estimator : Estimator or None
        What gives side data and distances; None where there are no side data, or it is not decided yet.
    calibration : Calibration or None
        What error bars are made from, once `calibrate` was called.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(5000, 16)).astype("f4")
    >>> index = cw.Index(cw.ProductQuantizer(8)).fit(X)
    >>> index.add(X[:100])
    <Index of 100 vectors, ProductQuantizer(8), l2, 8 bytes each>
    >>> found = index.search(X[:2], k=3)
    >>> found.ids[:, 0].tolist(), found.distances.shape
    ([0, 1], (2, 3))
    >>> len(index.remove([0, 50])), 50 in index
    (98, False)
    """

    def __init__(self, quantizer: Quantizer, metric: str = "l2", *, factors: bool | str = "auto") -> None:
        if not isinstance(quantizer, Quantizer):
            raise TypeError(f"quantizer: expected a quantizer, got {quantizer!r}")
        if factors is not True and factors is not False and not (isinstance(factors, str) and factors == "auto"):
            raise ValueError(f"factors: expected True, False or 'auto', got {factors!r}")
        self.quantizer = quantizer
        self.metric = checks.choice(metric, "metric", METRICS)
        self.factors = factors
        self.estimator: Estimator | None = None
        self.calibration: Calibration | None = None
        self._rows: Rows | None = None  # None until it is decided what a row holds

    def fit(self, X: Any) -> Index:
        """Fit the quantizer, if it is not fitted, and the estimator to training rows `X` (n, d), which are not added.

        Raises
        ------
        ValueError
            If the index holds vectors: their codes would mean something else.
        """
        if len(self):
            raise ValueError(f"fit: expected an empty index, got one of {len(self)} vectors; make a new one")
        A = checks.training_rows(X, wide=True)
        if self.quantizer.d is None:
            self.quantizer.fit(A)
        checks.check_shape(A, "X", self.quantizer.d, False)
        self._decide(A)
        return self

    def calibrate(self, X: Any) -> Index:
        """Learn error bars from rows `X` (n, d), at least 1,000, like those of the index and like the queries to come.

        1,024 of them are kept with the index, exactly: searches compare their estimated distances with the exact ones. Best are
        rows that the quantizer was not fitted on. `search` then says where exact distances lie (`SearchResult.bars`).

        Raises
        ------
        NotFittedError
            If the quantizer is not fitted.
        ValueError
            For fewer rows.

        Examples
        --------
        >>> import numpy as np, codeword as cw
        >>> X = np.random.default_rng(0).normal(size=(3000, 16)).astype("f4")
        >>> index = cw.Index(cw.ScalarQuantizer(2)).fit(X).add(X[:500]).calibrate(X[500:])
        >>> found = index.search(X[:100], k=10)
        >>> exact = ((X[:100, None] - X[found.ids]) ** 2).sum(2)
        >>> bool(np.mean((found.bars.low <= exact) & (exact <= found.bars.high)) > 0.9)
        True
        """
        self._check_fitted()
        A = checks.rows(X, d=self.quantizer.d, wide=True)
        if len(A) < bars.FEWEST_ROWS:
            raise ValueError(f"X: expected at least {bars.FEWEST_ROWS} rows to calibrate on, got {len(A)}")
        A = A[keys.sample(0, _STREAM + 1, len(A), _SAMPLE_ROWS // 2)]
        codes, side = self._encode(A)
        rows = checks.narrow(A, "X") if A.dtype == np.float64 else A
        self.calibration = Calibration.fit(self.metric, rows, codes, side, self._score)
        return self

    def add(self, X: Any, ids: Any = None) -> Index:
        """Add rows.

        Parameters
        ----------
        X : array_like (n, d)
        ids : array_like (n,) of int, optional
            At least 0, each once and none in the index; by default they go on from the largest there ever was.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the quantizer is not fitted.
        TypeError, ValueError
            For rows or ids that cannot be used; nothing is added then.
        """
        self._check_fitted()
        A = checks.to_array(X, "X")
        checks.check_shape(A, "X", self.quantizer.d, True)
        names = None if ids is None else _checked_ids(ids, len(A))
        if names is not None and self._rows is not None:
            there = self._rows.find(names) >= 0
            if there.any():
                raise ValueError(f"ids: {names[np.argmax(there)]} is in the index; upsert replaces vectors")
        if names is None and self._rows is not None and self._rows.next_id > LARGEST_ID + 1 - len(A):
            raise ValueError(f"ids: expected ids, as none are left after {self._rows.next_id - 1}")
        if len(A):
            codes, side = self._encode(A)
            self._stored().append(codes, side, names)
        return self

    def upsert(self, X: Any, ids: Any) -> Index:
        """Add rows `X` (n, d) under `ids` (n,), replacing those that are in the index; otherwise like `add`."""
        self._check_fitted()
        A = checks.to_array(X, "X")
        checks.check_shape(A, "X", self.quantizer.d, True)
        names = _checked_ids(ids, len(A))
        if not len(A):
            return self
        codes, side = self._encode(A)
        rows = self._stored()
        at = rows.find(names)
        old, new = at >= 0, at < 0
        rows.replace(at[old], codes[old], side[old])
        rows.append(codes[new], side[new], names[new])
        return self

    def remove(self, ids: Any) -> Index:
        """Remove the vectors with `ids`, an int or array_like (n,).

        Raises
        ------
        ValueError
            If one is not in the index, or named twice; nothing is removed then.
        """
        names = _checked_ids(np.atleast_1d(np.asarray(ids)), None)
        at = np.full(len(names), -1) if self._rows is None else self._rows.find(names)
        if (at < 0).any():
            raise ValueError(f"ids: {names[np.argmax(at < 0)]} is not in the index")
        if self._rows is not None:
            self._rows.remove(at)
        return self

    def search(self, queries: Any, k: int = 10) -> SearchResult:
        """The k nearest vectors of each query.

        Parameters
        ----------
        queries : array_like (q, d)
        k : int
            Where the index holds fewer vectors, all of them are returned.

        Returns
        -------
        SearchResult
            ids (q, min(k, n)) int64 and distances float32; the same for any number of threads and instruction set.
        """
        self._check_fitted()
        k = checks.integer(k, "k", 1, 2**31 - 1)
        Q = checks.rows(queries, "queries", d=self.quantizer.d, wide=True, empty=True)
        rows = self._rows
        if rows is None:
            return SearchResult(np.zeros((len(Q), 0), np.int64), np.zeros((len(Q), 0), np.float32), self.metric)
        ids, distances = flat.nearest(self._scores_of, len(rows.codes), Q, k, rows.ids)
        error_bars = None if self.calibration is None else self.calibration.bars(Q, distances, self._score)
        return SearchResult(ids, distances, self.metric, error_bars)

    def __len__(self) -> int:
        return 0 if self._rows is None else self._rows.n

    def __contains__(self, ids: Any) -> bool:
        """Whether the vector with this id, or all of several, are in the index."""
        names = np.atleast_1d(np.asarray(ids))
        if names.dtype.kind not in "iu" or not len(self):
            return False
        assert self._rows is not None
        return bool((self._rows.find(np.ascontiguousarray(names.ravel(), np.int64)) >= 0).all())

    @property
    def ids(self) -> I64:
        """Ids (n,) int64 of all vectors, in no order that lasts."""
        return np.zeros(0, np.int64) if self._rows is None else self._rows.all_ids().copy()

    @property
    def code_size(self) -> int:
        """Bytes per vector: the code, and the side data where there are any."""
        return self.quantizer.code_size + (SIDE_BYTES if self.estimator is not None else 0)

    @property
    def model_bytes(self) -> int:
        """Bytes of what is stored once for all vectors."""
        return self.quantizer.model_bytes + sum(part.nbytes for part in (self.estimator, self.calibration) if part is not None)

    def stats(self) -> dict[str, Any]:
        """What is in the index, as JSON: counts, metric, bytes."""
        return {
            "n": len(self),
            "d": self.quantizer.d,
            "metric": self.metric,
            "quantizer": repr(self.quantizer),
            "factors": self.estimator is not None if self._rows is not None else None,
            "code_size": self.code_size,
            "side_bytes": SIDE_BYTES if self.estimator is not None else 0,
            "rate": None if self.quantizer.d is None else 8 * self.code_size / self.quantizer.d,
            "model_bytes": self.model_bytes,
            "nbytes": 0 if self._rows is None else self._rows.nbytes,
            "calibrated": self.calibration is not None,
            "memory_mapped": self._rows is not None and self._rows.memory_mapped,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the index to the file `path`, replacing it; after any failure the old file stays. `open_index` opens it.

        Raises
        ------
        NotFittedError
            If the quantizer is not fitted.
        """
        from codeword.search.persist import save

        self._check_fitted()
        save(self, path)

    def __repr__(self) -> str:
        size = f", {self.code_size} bytes each" if self.quantizer.d is not None else ""
        return f"<Index of {len(self)} vectors, {self.quantizer!r}, {self.metric}{size}>"

    def _check_fitted(self) -> None:
        if self.quantizer.d is None:
            raise NotFittedError(
                f"Index: {type(self.quantizer).__name__} is not fitted; call index.fit(X) or fit the quantizer first"
            )

    def _decide(self, A: NDArray[Any]) -> None:
        """Decide what a row holds, from rows `A` (n, d) like those to come."""
        sample = A[keys.sample(0, _STREAM, len(A), _SAMPLE_ROWS)]
        rows = checks.rows(sample, d=self.quantizer.d, wide=True)
        self.estimator = estimators.fitted(self.quantizer, self.metric, rows, self.factors)
        self._rows = Rows(self.quantizer.code_size, SIDE_BYTES if self.estimator is not None else 0)

    def _stored(self) -> Rows:
        assert self._rows is not None
        return self._rows

    def _encode(self, A: NDArray[Any]) -> tuple[U8, U8]:
        """Codes and side data of checked rows; the first ones decide about side data."""
        codes = self.quantizer.encode(A)
        if self._rows is None:
            self._decide(A)
        if self.estimator is None:
            return codes, np.empty((len(codes), 0), np.uint8)
        side = np.empty((len(codes), SIDE_BYTES), np.uint8)
        for start, stop in self.quantizer._blocks(len(codes), "side data"):
            block = checks.rows(A[start:stop], d=self.quantizer.d, first=start)
            side[start:stop] = self.estimator.side(block, codes[start:stop])
        return codes, side

    def _score(self, Q: NDArray[Any], codes: U8, side: U8) -> F32:
        """Distances (q, n) from queries to rows with these codes and side data."""
        if self.estimator is None:
            return np.asarray(self.quantizer.scorer(Q, self.metric).scores(codes))
        return self.estimator.scorer(Q).scores(codes, side)

    def _scores_of(self, Q: NDArray[Any]) -> flat.Scores:
        """Distances from a batch of queries to rows."""
        codes, side = self._stored().codes, self._stored().side
        if self.estimator is None:
            return flat.Scores.of(self.quantizer.scorer(Q, self.metric), codes)
        return flat.Scores.of(self.estimator.scorer(Q), codes, side)


def _checked_ids(ids: Any, n: int | None) -> I64:
    """Ids (n,) int64 of at least 0, each once."""
    A = np.asarray(ids)
    if A.dtype.kind not in "iu" and A.size:
        raise TypeError(f"ids: expected integers, got dtype {A.dtype}")
    if A.ndim != 1 or (n is not None and len(A) != n):
        wanted = "(n,)" if n is None else f"({n},), one id a row"
        raise ValueError(f"ids: expected shape {wanted}, got {A.shape}")
    bad = (A < 0) | (A > LARGEST_ID)
    if bad.any():
        raise ValueError(f"ids: expected integers from 0 to 2**63 - 2, got {A[np.argmax(bad)]} in row {int(np.argmax(bad))}")
    names = np.ascontiguousarray(A, np.int64)
    ordered = np.sort(names)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise ValueError(f"ids: expected each id once, got {twice[0]} twice")
    return names


def open_index(path: str | os.PathLike[str], verify: str = "touch") -> Index:
    """Open an index that `Index.save` wrote; codes stay in the file, memory-mapped, until they are changed.

    Parameters
    ----------
    path : str or path-like
    verify : {"touch", "open", "off"}
        When codes are compared with their checksums: at the first search or change, now, or never.

    Returns
    -------
    Index

    Raises
    ------
    FormatError
        If the file is damaged or holds something else.

    Examples
    --------
    >>> import os, tempfile, numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(500, 8)).astype("f4")
    >>> path = os.path.join(tempfile.mkdtemp(), "vectors.cw")
    >>> cw.Index(cw.ScalarQuantizer(4).fit(X)).add(X).save(path)
    >>> len(cw.open_index(path))
    500
    """
    from codeword.search.persist import open_file

    return open_file(path, verify)
