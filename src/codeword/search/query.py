"""What searches of an `Index` do, and what they need measured: recall by effort, error bars.

queries (q, d), where --view--> rows that may be returned;   effort or recall --coverage--> lists to look into
rows, lists --model--> ids, distances (q, k);   --calibration, certify--> how sure they are
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys
from codeword.search import bars, scan
from codeword.search import certify as certificates
from codeword.search.bars import Calibration
from codeword.search.coverage import Coverage
from codeword.search.partition import Lists
from codeword.search.result import RangeResult, SearchResult
from codeword.search.scan import Counters
from codeword.search.view import Probes, View

if TYPE_CHECKING:
    from codeword.search.index import Index

_STREAM = 0x1DE8
_CALIBRATION_ROWS = 1 << 14
_DEFAULT_RECALL = 0.95


def search(index: Index, queries: Any, k: int, effort: int | None, recall: float | None, where: Any, certify: bool) -> SearchResult:
    """See `Index.search`."""
    k = checks.integer(k, "k", 1, 2**31 - 1)
    Q = _checked(index, queries)
    rows, model = index._view(where), index.model
    if model is None or not rows.n:
        nothing = np.zeros((len(Q), 0), np.int64)
        return SearchResult(index._identity.shown(nothing), np.zeros((len(Q), 0), np.float32), index.metric)
    lists = lists_to_search(index, effort, recall)
    found, counters = model.search(rows, Q, k, lists)
    last, calibration = model.refiner, index.calibration
    error_bars = None if calibration is None or last is not None else calibration.bars(Q, found.distances, index._score)
    expected = None if lists is None or model.coverage is None else model.coverage.expected(lists)
    exact = last is not None and last.exact
    sure = certificates.guarantees(model, calibration, rows, Q, found, lists) if certify else None
    ids = index._identity.shown(found.names)
    return SearchResult(ids, found.distances, index.metric, error_bars, not exact, expected, counters, sure)


def within(index: Index, queries: Any, radius: Any, effort: int | None, recall: float | None, where: Any) -> RangeResult:
    """See `Index.range_search`."""
    Q = _checked(index, queries)
    radii = np.asarray(radius, np.float64)
    if radii.shape not in ((), (len(Q),)) or not np.isfinite(radii).all():
        raise ValueError(f"radius: expected a finite number or {len(Q)} of them, got {radius!r}")
    rows, model = index._view(where), index.model
    near = np.broadcast_to(np.minimum(radii, np.finfo(np.float32).max).astype(np.float32), (len(Q),))
    if model is None or not rows.n:
        nothing = index._identity.shown(np.zeros(0, np.int64))
        return RangeResult(np.zeros(len(Q) + 1, np.int64), nothing, np.zeros(0, np.float32), index.metric)
    probes = model.probes(Q, rows, 1, lists_to_search(index, effort, recall))
    bounds, ids, distances = scan.within(rows, model.source, Q, near, probes)
    return RangeResult(bounds, index._identity.shown(ids), distances, index.metric, _looked_at(rows, len(Q), probes))


def lists_to_search(index: Index, effort: int | None, recall: float | None) -> int | None:
    """How many lists to look into; None: all."""
    if effort is not None and recall is not None:
        raise ValueError("effort, recall: expected one of them, got both")
    if recall is not None and (isinstance(recall, bool) or not isinstance(recall, (int, float)) or not 0 < recall <= 1):
        raise ValueError(f"recall: expected a number above 0, at most 1, got {recall!r}")
    looked = None if effort is None else checks.integer(effort, "effort", 1, 2**31 - 1)
    model = index.model
    if model is None or model.coverage is None or recall == 1:
        return None
    if looked is None:
        if not model.coverage.fits(len(index)):
            tune(index, None)
        looked = model.coverage.effort(_DEFAULT_RECALL if recall is None else float(recall))
    return None if looked >= model.partition.lists else looked


def tune(index: Index, queries: Any) -> None:
    """See `Index.tune`."""
    with index._table.lock:
        model = index.model
        if model is None or not isinstance(model.partition, Lists) or not len(index):
            return
        asked = model.coverage if queries is None else Coverage.keep(checks.rows(queries, "queries", d=index.quantizer.d))
        assert asked is not None
        model.coverage = model.measured(asked, index._view(), own=queries is None)


def calibrate(index: Index, X: Any) -> None:
    """See `Index.calibrate`."""
    A = checks.rows(X, d=index.quantizer.d, wide=True)
    if len(A) < bars.FEWEST_ROWS:
        raise ValueError(f"X: expected at least {bars.FEWEST_ROWS} rows to calibrate on, got {len(A)}")
    A = A[keys.sample(0, _STREAM, len(A), _CALIBRATION_ROWS)]
    codes, side = index._encode(A)
    rows = checks.narrow(A, "X") if A.dtype == np.float64 else A
    index.calibration = Calibration.fit(index.metric, rows, codes, side, index._score)


def _looked_at(rows: View, q: int, probes: Probes | None) -> Counters:
    """What a search of `probes` (None: all lists) compares: rows that are masked are compared too."""
    sizes = np.zeros(len(rows.list_sizes), np.int64)
    for segment, (_, chosen, _) in zip(rows.segments, rows.chosen, strict=True):
        sizes += np.diff(segment.bounds if chosen is None else np.searchsorted(chosen, segment.bounds))
    if probes is None:
        return Counters(np.full(q, len(sizes)), np.full(q, sizes.sum()), np.zeros(q, np.int64))
    codes = np.concatenate([[0], np.cumsum(sizes[probes.lists])])
    return Counters(probes.counts, codes[probes.ends[1:]] - codes[probes.ends[:-1]], np.zeros(q, np.int64))


def _checked(index: Index, queries: Any) -> NDArray[Any]:
    return checks.rows(queries, "queries", d=index.quantizer.d, wide=True, empty=True)
