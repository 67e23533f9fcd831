"""Index: compressed vectors with ids, to add to, change, search and save.

    X (n, d), ids --model--> columns, lists --table--> segments;   queries --view, model--> ids, distances (q, k)

Nothing is decoded and, unless asked for, no row kept: a vector takes `code_size` bytes and its id.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.base import METRICS, U8, Quantizer
from codeword.errors import NotFittedError
from codeword.search import change, query
from codeword.search.bars import Calibration
from codeword.search.estimator import Estimator
from codeword.search.model import Model, Wanted
from codeword.search.names import Identity, checked_ids
from codeword.search.refine import DTYPES
from codeword.search.result import RangeResult, SearchResult
from codeword.search.segment import LARGEST_ID
from codeword.search.table import Snapshot, Table
from codeword.search.view import View, view

F32 = NDArray[np.float32]


class Index:
    """Compressed vectors with ids: add, search, remove, replace, save.

    Any number of threads may search while one changes the index: each search sees the vectors as they were when it began.

    Parameters
    ----------
    quantizer : Quantizer
        Fitted, or fitted by `fit`.
    metric : {"l2", "ip", "cosine"}
        What is near: see `SearchResult`.
    lists : int or {"auto"}, optional
        Into how many lists the vectors are divided, of which a search looks at a few; None: not at all. "auto": about ``2 sqrt(n)`` for
        the n rows of `fit`, or of the first `add`; 1 for fewer than 20,000.
    factors : {"auto"}, True or False
        Whether two bytes of side data are kept with each code, from which distances are estimated (see
        `codeword.search.estimator`). "auto" measures on held-out rows of `fit`, or of the first `add`, whether that finds more
        than two more bytes of code would, and does without where there are fewer than 1,000. Quantizers that keep side data of their
        own (`Quantizer.estimates`) get none.
    refine : Quantizer or {"float32", "float16", "int8"}, optional
        What candidates are compared by in the end: a second code, of what the first has left of a vector (the quantizer is fitted to
        that, unless it is fitted), or the vectors themselves (`codeword.search.refine`).
    certify : bool
        Keep, in two bytes, the length of what a vector's codes leave of it, so that `search` can prove what it found.

    Attributes
    ----------
    model : Model or None
        What was learned; None while it is not decided what a row holds.
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

    def __init__(
        self,
        quantizer: Quantizer,
        metric: str = "l2",
        *,
        lists: int | str | None = None,
        factors: bool | str = "auto",
        refine: Quantizer | str | None = None,
        certify: bool = False,
    ) -> None:
        if not isinstance(quantizer, Quantizer):
            raise TypeError(f"quantizer: expected a quantizer, got {quantizer!r}")
        if factors is not True and factors is not False and not (isinstance(factors, str) and factors == "auto"):
            raise ValueError(f"factors: expected True, False or 'auto', got {factors!r}")
        if not (lists is None or (isinstance(lists, str) and lists == "auto")):
            lists = checks.integer(lists, "lists", 1, 1 << 24)
        if not (refine is None or isinstance(refine, Quantizer)):
            checks.choice(refine, "refine", DTYPES)
        self.quantizer = quantizer
        self.metric = checks.choice(metric, "metric", METRICS)
        self.wanted = Wanted(lists, factors, refine, bool(certify))
        self.model: Model | None = None
        self.calibration: Calibration | None = None
        self._table = Table()
        self._identity = Identity()
        self._seen: tuple[Snapshot, View] | None = None
        self._stored: Any = None  # where it was saved or opened: codeword.search.store.Stored
        self._saving = threading.Lock()

    # Making

    @classmethod
    def from_numpy(
        cls, X: Any, quantizer: Quantizer | None = None, *, ids: Any = None, metric: str = "l2", **options: Any
    ) -> Index:
        """An index of rows `X` (n, d), fitted to them; by default by a trellis code of 2 bits a dimension behind a `KLT`."""
        from codeword.search.imports import from_numpy

        return from_numpy(X, quantizer, ids, metric, options)

    @classmethod
    def from_arrow(
        cls,
        table: Any,
        quantizer: Quantizer | None = None,
        *,
        column: str | None = None,
        ids: str | None = None,
        metric: str = "l2",
        **options: Any,
    ) -> Index:
        """An index of the rows in a `column` of lists of anything with ``__arrow_c_stream__``, named by the column `ids`."""
        from codeword.search.imports import from_arrow

        return from_arrow(table, column, ids, quantizer, metric, options)

    @classmethod
    def from_faiss(cls, faiss_index: Any, quantizer: Quantizer | None = None, **options: Any) -> Index:
        """An index of the vectors that an index of faiss holds, or of what its codes give back, with its ids and metric."""
        from codeword.search.imports import from_faiss

        return from_faiss(faiss_index, quantizer, options)

    # Learning

    def fit(self, X: Any) -> Index:
        """Fit the quantizer, if it is not fitted, and what else is learned to training rows `X` (n, d), which are not added.

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
        with self._table.lock:
            change.decide(self, A)
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
        >>> index = cw.Index(cw.ScalarQuantizer(4)).fit(X).add(X[:500]).calibrate(X[500:])
        >>> found = index.search(X[-100:], k=10)
        >>> exact = ((X[-100:, None] - X[found.ids]) ** 2).sum(2)
        >>> bool(np.mean((found.bars.low <= exact) & (exact <= found.bars.high)) > 0.85)
        True
        """
        self._check_fitted()
        query.calibrate(self, X)
        return self

    def tune(self, queries: Any = None) -> Index:
        """Measure how many lists find which share of the neighbours, on `queries` (q, d) or on rows kept for that.

        A search that is asked for a recall does so itself where the index has grown or shrunk by half since.
        """
        self._check_fitted()
        query.tune(self, queries)
        return self

    # Changing

    def add(self, X: Any, ids: Any = None) -> Index:
        """Add rows.

        Parameters
        ----------
        X : array_like (n, d)
        ids : array_like (n,) of int or str, optional
            Each once and none in the index; numbers from 0. By default they go on from the largest number there ever was. The first
            rows decide whether ids are numbers or strings.

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
        return change.put(self, X, ids, "add")

    def upsert(self, X: Any, ids: Any) -> Index:
        """Add rows `X` (n, d) under `ids` (n,), replacing those that are in the index; otherwise like `add`."""
        return change.put(self, X, ids, "upsert")

    def update(self, X: Any, ids: Any) -> Index:
        """Replace the vectors with `ids` (n,), all of which must be in the index, by rows `X` (n, d)."""
        return change.put(self, X, ids, "update")

    def remove(self, ids: Any) -> Index:
        """Remove the vectors with `ids`, one id or array_like (n,).

        Raises
        ------
        ValueError
            If one is not in the index, or named twice; nothing is removed then.
        """
        return change.remove(self, ids)

    def vacuum(self) -> Index:
        """Give back what removed and replaced vectors still take, and lay the rest out for the fastest search."""
        self._table.vacuum()
        return self

    # Searching

    def search(
        self,
        queries: Any,
        k: int = 10,
        *,
        effort: int | None = None,
        recall: float | None = None,
        where: Any = None,
        certify: bool = False,
    ) -> SearchResult:
        """The k nearest vectors of each query.

        Parameters
        ----------
        queries : array_like (q, d)
            Of finite numbers. By cosine all vectors are at distance 1 from a query of length 0.
        k : int
            Where there are fewer vectors to return, all of them are.
        effort : int, optional
            How many lists to look into; more where they hold too few vectors.
        recall : float, optional
            Or: which share of what an exhaustive search of the index would find, 0 to 1; .95 if neither is given. 1: all lists.
        where : array_like of ids, array of bool, or callable, optional
            Which vectors may be returned: their ids; an array (m,) that says it for ids 0 to m - 1, no others; or what says it for an
            array of ids. As many as match and k allows are returned, exactly; what does not match is not scanned where it is more than
            an eighth. With few matches all of them are.
        certify : bool
            Say for each query whether what was found is proven to be the nearest (`SearchResult.guarantees`); takes as long as comparing
            all vectors exactly. The index must keep what that needs (`certify` of `Index`), or be calibrated.

        Returns
        -------
        SearchResult
            ids (q, min(k, matching)) and distances float32; the same for any number of threads and instruction set.
        """
        self._check_fitted()
        return query.search(self, queries, k, effort, recall, where, certify)

    def range_search(
        self, queries: Any, radius: Any, *, effort: int | None = None, recall: float | None = None, where: Any = None
    ) -> RangeResult:
        """All vectors at a distance, computed from codes, of at most `radius`, a number or one a query (q,); see `search`."""
        self._check_fitted()
        return query.within(self, queries, radius, effort, recall, where)

    # What is in it

    def __len__(self) -> int:
        return self._table.snapshot.n

    def __contains__(self, ids: Any) -> bool:
        """Whether the vector with this id, or all of several, are in the index."""
        try:
            names = np.atleast_1d(np.asarray(ids)).ravel()
            checked = checked_ids(list(dict.fromkeys(names.tolist())), None, LARGEST_ID) if names.size else names
            return len(self) > 0 and bool((self._table.snapshot.find(self._identity.numbers(checked))[0] >= 0).all())
        except (TypeError, ValueError):
            return False

    @property
    def ids(self) -> NDArray[Any]:
        """Ids (n,) of all vectors, int64 or object, in no order that lasts."""
        return self._identity.shown(self._table.snapshot.ids())

    @property
    def estimator(self) -> Estimator | None:
        """What gives side data and distances; None where there are no side data, or it is not decided yet."""
        return None if self.model is None else self.model.estimator

    @property
    def code_size(self) -> int:
        """Bytes per vector: the code, the side data where there are any, and what the last stage keeps."""
        return self.quantizer.code_size if self.model is None else self.model.row_bytes

    @property
    def model_bytes(self) -> int:
        """Bytes of what is stored once for all vectors."""
        learned = self.quantizer.model_bytes if self.model is None else self.model.nbytes
        return learned + (0 if self.calibration is None else self.calibration.nbytes)

    def stats(self) -> dict[str, Any]:
        """What is in the index, as JSON: counts, metric, bytes, segments, lists, what recall is foreseen from."""
        from codeword.search.stats import stats

        return stats(self)

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Save to the folder `path`, or where it was opened or saved last; what is there already is not written again.

        When this returns the index is on the disk; after any failure the folder holds what it held before. `open_index` opens it.

        Raises
        ------
        NotFittedError
            If the quantizer is not fitted.
        ValueError
            If there is no folder to save to, or another writer has changed it since.
        """
        from codeword.search.store import save

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

    def _view(self, where: Any = None) -> View:
        snapshot, seen = self._table.snapshot, self._seen
        if where is None:
            if seen is None or seen[0] is not snapshot:
                self._seen = seen = (snapshot, view(snapshot))
            return seen[1]
        return view(snapshot, self._identity.where(where))

    def _encode(self, A: NDArray[Any]) -> tuple[U8, U8]:
        """Codes and side data of checked rows; the first ones decide about side data."""
        with self._table.lock:
            model = self.model or change.decide(self, A)
        return model.encode(A)

    def _score(self, Q: NDArray[Any], codes: U8, side: U8) -> F32:
        """Distances (q, n) from queries to rows with these codes and side data."""
        assert self.model is not None
        return self.model.score(Q, codes, side)
