"""Model: what an index has learned, and so what it keeps of a row and how it is searched.

rows (n, d) --quantizer, estimator, partition, refiner--> columns (n, ...) and the list of each
queries (q, d) --lists to look into--> rough distances --> distances from codes --> those of the last stage
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys
from codeword.base import F32, U8, Quantizer
from codeword.lanes import lane_dot
from codeword.search import certify, refine, scan
from codeword.search import estimator as estimators
from codeword.search.coverage import NEAREST, Coverage
from codeword.search.estimator import SIDE_BYTES, Estimator
from codeword.search.partition import Lists, Partition, Undivided, default_lists, training_rows
from codeword.search.refine import DTYPES, Originals, Refiner, SecondCode
from codeword.search.scan import Counters, Nearest, Source
from codeword.search.segment import I64, Segment
from codeword.search.view import Chosen, Probes, View

_STREAM = 0x1DE7
_SAMPLE_ROWS = 1 << 15
_REACH_ROWS, _REACH_QUERIES, _REACH_NEAR = 1 << 13, 128, 100
_BLOCK_ELEMENTS = 1 << 22
_WATCHED_ROWS = 1 << 10


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: see `Index`."""

    lists: int | str | None
    factors: bool | str
    refine: Quantizer | str | None
    certify: bool = False


class Model:
    """What an index has learned.

    Parameters
    ----------
    quantizer : Quantizer
        Fitted.
    metric : {"l2", "ip", "cosine"}
    estimator : Estimator or None
    partition : Partition
    refiner : Refiner or None
    coverage : Coverage or None
        What recall is foreseen from, where there are lists.
    distortion : float
        Mean squared error of rows like those it learned from.
    certified : bool
        Whether the length of what codes leave of a row is kept.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        metric: str,
        estimator: Estimator | None,
        partition: Partition,
        refiner: Refiner | None,
        coverage: Coverage | None = None,
        distortion: float = 0.0,
        certified: bool = False,
    ) -> None:
        self.quantizer, self.metric = quantizer, metric
        self.estimator, self.partition, self.refiner, self.coverage = estimator, partition, refiner, coverage
        self.distortion, self.certified = distortion, certified

    @classmethod
    def fit(cls, quantizer: Quantizer, metric: str, wanted: Wanted, A: NDArray[Any]) -> Model:
        """Decide what a row holds, from rows `A` (n, d) like those to come."""

        def drawn(stream: int, size: int) -> NDArray[Any]:
            return A[keys.sample(0, _STREAM + stream, len(A), size)]

        rows = checks.rows(drawn(0, _SAMPLE_ROWS), d=quantizer.d, wide=True)
        made = cls(quantizer, metric, estimators.fitted(quantizer, metric, rows, wanted.factors), Undivided(), None)
        made.distortion = made.distortion_of(rows, quantizer.encode(rows))
        made.certified = wanted.certify
        lists = default_lists(len(A)) if wanted.lists == "auto" else int(wanted.lists or 1)
        if wanted.refine is not None:
            made.refiner = _refiner(wanted.refine, quantizer, metric, checks.rows(rows, d=quantizer.d))
            made._measure_reach(checks.rows(rows[: _REACH_ROWS + _REACH_QUERIES], d=quantizer.d))
        if lists > 1:
            made.partition = Lists.fit(metric, lists, checks.rows(drawn(2, training_rows(lists)), d=quantizer.d))
            made.coverage = Coverage.keep(A)
        return made

    @property
    def row_bytes(self) -> int:
        """Bytes of a row: the code, the side data and what the last stage keeps; the id apart."""
        side = SIDE_BYTES if self.estimator is not None else 0
        more = 0 if self.refiner is None else self.refiner.row_bytes
        return self.quantizer.code_size + side + more + (certify.BYTES if self.certified else 0)

    @property
    def nbytes(self) -> int:
        """Bytes of what was learned."""
        parts = (self.estimator, self.partition, self.refiner, self.coverage)
        return self.quantizer.model_bytes + sum(part.nbytes for part in parts if part is not None)

    def encode(self, A: NDArray[Any]) -> tuple[U8, U8]:
        """Codes (n, code_size) and side data (n, 0 or 2) of checked rows."""
        codes = self.quantizer.encode(A)
        side = np.empty((len(codes), SIDE_BYTES if self.estimator is not None else 0), np.uint8)
        if self.estimator is not None:
            for start, stop, rows in self._narrow_blocks(A):
                side[start:stop] = self.estimator.side(rows, codes[start:stop])
        return codes, side

    def columns(self, A: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], I64 | None]:
        """What is kept of checked rows `A` (n, d), and the list (n,) of each (None: all in list 0)."""
        codes, side = self.encode(A)
        columns: dict[str, NDArray[Any]] = {"codes": codes}
        if self.estimator is not None:
            columns["side"] = side
        if self.refiner is None and self.partition.lists == 1 and not self.certified:
            return columns, None
        parts = [(self.partition.labels(rows), self._refined(rows, codes[a:b])) for a, b, rows in self._narrow_blocks(A)]
        labels = [part for part, _ in parts if part is not None]
        for name in parts[0][1] if parts else ():
            columns[name] = np.concatenate([more[name] for _, more in parts])
        return columns, np.concatenate(labels) if labels else None

    def distortion_of(self, A: NDArray[Any], codes: U8) -> float:
        """Mean squared error of some of the rows `A` (n, d), from their codes: what tells that rows are not what was learned from."""
        some = keys.sample(0, _STREAM + 3, len(A), _WATCHED_ROWS)
        error = A[some].astype(np.float64) - self.quantizer.decode(codes[some])
        return float(np.add.accumulate(lane_dot(error, error))[-1]) / error.size if len(some) else 0.0

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type, and shape of a row, of each column."""
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {"codes": ("uint8", (self.quantizer.code_size,))}
        if self.estimator is not None:
            shapes["side"] = ("uint8", (SIDE_BYTES,))
        if self.refiner is not None:
            shapes |= self.refiner.shapes()
        return {**shapes, certify.COLUMN: ("float16", ())} if self.certified else shapes

    def score(self, Q: NDArray[Any], codes: U8, side: U8) -> F32:
        """Distances (q, n) from queries to rows with these codes and side data."""
        columns = (codes,) if self.estimator is None else (codes, side)
        return np.asarray(self.source.scorer(Q).scores(*columns), np.float32)

    @property
    def source(self) -> Source:
        """Where distances from codes come from."""
        if self.estimator is None:
            return Source(lambda batch: self.quantizer.scorer(batch, self.metric), ("codes",))
        return Source(self.estimator.scorer, ("codes", "side"))

    def probes(self, Q: NDArray[Any], view: View, k: int, effort: int | None) -> Probes | None:
        """The lists that each query looks into; with at least the candidates that are wanted."""
        return None if effort is None else self.partition.probes(Q, effort, view, min(self._candidates(k), view.n))

    def search(self, view: View, Q: NDArray[Any], k: int, effort: int | None) -> tuple[Nearest, Counters]:
        """The min(k, view.n) nearest rows, by id, looking into `effort` lists (None: all)."""
        k = min(k, view.n)
        probes = self.probes(Q, view, k, effort) if k else None
        if self.refiner is None or not k:
            return scan.nearest(view, self.source, Q, k, probes)
        near, counters = scan.nearest(view, self.source, Q, self._candidates(k), probes, by_number=True)
        found, counters.again = refine.refined(self.refiner, view, Q, near, k)
        return found, counters

    def measured(self, asked: Coverage, view: View, own: bool) -> Coverage:
        """What share of the neighbours lists hold, measured with kept rows; of rows of its `own` the nearest is the row itself."""
        assert isinstance(self.partition, Lists)
        Q = asked.queries.astype(np.float32)
        found, _ = scan.nearest(view, self.source, Q, NEAREST + 1, by_number=True)
        numbers = found.names[:, 1:] if own and found.names.shape[1] > 1 else found.names
        lists = np.concatenate([segment.labels for segment in view.segments])[numbers]
        return asked.measured(self.partition.ranks(Q, lists), self.partition.lists, view.n)

    def proven(self, view: View, Q: NDArray[Any], found: Nearest) -> NDArray[np.bool_]:
        """For which queries (q,) what was found is proven to be the nearest of the view."""
        names, decode = self._finest
        exact = found.distances[:, -1].astype(np.float64) if self.refiner is not None and self.refiner.exact else None
        return certify.proven(decode, names, self.metric, view, Q.astype(np.float32), found.names, exact)

    def _candidates(self, k: int) -> int:
        times, more = scan.CANDIDATES if self.refiner is None else refine.CANDIDATES
        return times * k + more

    def _refined(self, rows: F32, codes: U8) -> dict[str, NDArray[Any]]:
        columns = {} if self.refiner is None else self.refiner.of(rows, codes)
        if self.certified:
            names, decode = self._finest
            columns[certify.COLUMN] = certify.left(rows, decode(*({"codes": codes, **columns}[name] for name in names)))
        return columns

    @property
    def _finest(self) -> tuple[tuple[str, ...], Callable[..., F32]]:
        """The columns of the finest code, and what decodes them."""
        second = self.refiner
        if isinstance(second, SecondCode):
            return ("codes", "fine"), lambda codes, fine: self.quantizer.decode(codes) + second.second.decode(fine)
        return ("codes",), self.quantizer.decode

    def _narrow_blocks(self, A: NDArray[Any]) -> Iterator[tuple[int, int, F32]]:
        step = max(64, _BLOCK_ELEMENTS // A.shape[1])
        for start in range(0, len(A), step):
            stop = min(len(A), start + step)
            yield start, stop, checks.rows(A[start:stop], d=self.quantizer.d, first=start)

    def _measure_reach(self, rows: F32) -> None:
        """Let the last stage know how far codes are off, on near rows of some of `rows` as queries."""
        assert self.refiner is not None
        queries, rest = np.split(rows, [min(_REACH_QUERIES, len(rows) // 4)])
        if not len(queries):
            return
        columns, _ = self.columns(rest)
        view = View((Segment(len(rest), columns, np.array([0, len(rest)]), 0),), [Chosen(None, None, len(rest))])
        near, _ = scan.nearest(view, self.source, queries, _REACH_NEAR, by_number=True)
        self.refiner.reach = refine.measured_reach(self.refiner, view, queries, near)


def _refiner(wanted: Quantizer | str, quantizer: Quantizer, metric: str, rows: F32) -> Refiner:
    if isinstance(wanted, Quantizer):
        return SecondCode.fit(quantizer, wanted, metric, rows)
    return Originals(checks.choice(wanted, "refine", DTYPES), metric, rows.shape[1])
