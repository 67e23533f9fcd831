"""What an index would take, before it is built: bytes, time to build, queries a second, from two seconds of trying on this machine.

    n, d, sample rows --small indexes--> seconds for fixed work, a list, a code --n--> bytes, build, queries a second

Times are CPU times divided by threads: those of a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys, runtime, text
from codeword.base import Quantizer
from codeword.search.coverage import Coverage
from codeword.search.imports import default_quantizer
from codeword.search.index import Index
from codeword.search.partition import Lists, default_lists, training_rows
from codeword.search.table import Table

F32 = NDArray[np.float32]
_STREAM = 0x91A7
_TRAINING_ROWS = 20_000
_DECIDING_ROWS = 1 << 14  # with as many, deciding what a row holds takes as long as with any more
_MOST_ROWS = 1 << 15
_FIRST_ROWS = 1 << 11
_QUERIES = 256
_K = 10
_TILES = 8  # most copies of the trial's rows that searches are timed on
_PART = 4
_RUNS = 4


@dataclass(frozen=True)
class Plan:
    """What an index of n vectors would take.

    Attributes
    ----------
    n, d : int
    quantizer : str
    bytes_per_vector : int
        The id, of 8 bytes where ids do not run on or there are lists, not counted.
    nbytes : int
        All vectors, their ids where there are lists, and what is stored once.
    lists, effort : int
        Lists, and how many of them a search looks into; 1 and 1: all vectors.
    fit_seconds, build_seconds : float
        Learning from 20,000 rows; and all of it, coding n rows included.
    queries_per_second, single_queries_per_second : float
        In batches of 256, and one at a time.
    rows : int
        Rows that this was measured on.
    """

    n: int
    d: int
    quantizer: str
    bytes_per_vector: int
    nbytes: int
    lists: int
    effort: int
    fit_seconds: float
    build_seconds: float
    queries_per_second: float
    single_queries_per_second: float
    rows: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def __str__(self) -> str:
        looked = "all vectors" if self.lists == 1 else f"{self.effort} of {self.lists} lists"
        pairs = [
            ("vectors", f"{text.count(self.n)} of {self.d} dimensions, {self.quantizer}"),
            ("bytes", f"{self.bytes_per_vector} a vector, {text.size(self.nbytes)} in all"),
            ("build", f"{text.seconds(self.build_seconds)}, of which {text.seconds(self.fit_seconds)} learning"),
            ("search", f"{looked}; {text.digits(self.queries_per_second)} queries a second in batches"),
            ("", f"{text.digits(self.single_queries_per_second)} one at a time"),
        ]
        return "\n".join(f"{name:8s} {value}" for name, value in pairs)


def plan(
    n: int,
    d: int | None = None,
    *,
    sample: Any = None,
    quantizer: Quantizer | None = None,
    metric: str = "l2",
    lists: int | str | None = "auto",
    refine: Quantizer | str | None = None,
    recall: float = 0.95,
    seconds: float = 2.0,
) -> Plan:
    """Foresee what an index of n vectors takes, by building small ones here.

    Parameters
    ----------
    n : int
    d : int, optional
        Dimensions; those of `sample` by default.
    sample : array_like (m, d), optional
        Rows like those to come, thousands: how many lists a recall needs depends on the data. Without, Gaussian rows with few directions of
        much variance stand in, which tells bytes and times, and little of lists.
    quantizer : Quantizer, optional
        Not fitted, or fitted: then learning takes no time. By default a trellis code of 2 bits a dimension behind a `KLT`.
    metric, lists, refine
        As in `Index`.
    recall : float
        Share of what an exhaustive search of the index finds.
    seconds : float
        About how long it may take, if nothing else runs. More rows are tried while there is time.

    Returns
    -------
    Plan

    Examples
    --------
    >>> import codeword as cw
    >>> made = cw.plan(1_000_000, 32, quantizer=cw.ScalarQuantizer(4), seconds=0.5)
    >>> made.bytes_per_vector, made.lists, made.queries_per_second > 0
    (16, 2048, True)
    """
    n = checks.integer(n, "n", 1, 2**40)
    rows = _sample(n, d, sample)
    wanted = default_lists(n) if lists == "auto" else int(lists or 1)
    made = default_quantizer() if quantizer is None else quantizer
    made, learning = _learned(rows, made, seconds / 4) if made.d is None else (made, (0.0, 0.0))
    last = refine.clone() if isinstance(refine, Quantizer) and refine.d is None else refine
    deciding = Index(made, metric, refine=last)
    some = rows[: max(_FIRST_ROWS, int(min(1.0, seconds) * _DECIDING_ROWS))]
    decide = _timed(lambda: deciding.fit(some), 1)
    encode = _timed(lambda: made.encode(rows[:_FIRST_ROWS]), 1) / min(_FIRST_ROWS, len(rows))
    count = min(len(rows), max(2 * _FIRST_ROWS, int(seconds / 4 / encode)))
    options = {"refine": last, "factors": deciding.estimator is not None}
    return _Trial(rows[:count], made, metric, min(wanted, max(1, count // 32)), options).plan(n, wanted, recall, learning, decide)


def _learned(rows: F32, quantizer: Quantizer, seconds: float) -> tuple[Quantizer, tuple[float, float]]:
    """A quantizer fitted to as many rows as there is time for, and the seconds that this takes: always, and for each row more."""
    start, most = time.process_time(), seconds * runtime.threads()  # of CPU: a busy machine must not make it measure less
    count, taken = min(len(rows), _FIRST_ROWS) // 2, 0.0
    while True:
        fewer, earlier, count = count, taken, min(len(rows), 2 * count)
        made = quantizer.clone()
        taken = _timed(partial(made.fit, rows[:count]), 1)
        enough = count == len(rows) or time.process_time() - start > most
        if enough and earlier:
            each = max(taken - earlier, 0.0) / (count - fewer) if count > fewer else 0.0
            return made, (max(taken - each * count, 0.0), each)
        if count == len(rows):
            return made, (0.0, taken / count)


class _Trial:
    """A small index, how long it took to make, and how long it takes to search."""

    def __init__(self, rows: F32, quantizer: Quantizer, metric: str, lists: int, options: dict[str, Any]) -> None:
        self.rows, self.lists = rows, lists
        self.queries, base = np.split(rows, [min(_QUERIES, len(rows) // 4)])
        self.base = base
        self.flat = Index(quantizer, metric, **options).fit(base)
        self.index = Index(quantizer, metric, lists=lists, **options).fit(base)
        self.add_seconds = _timed(lambda: self.flat.add(base), 1) / len(base)
        self.index.add(base)
        if lists > 1:
            partition = self.index.model.partition if self.index.model is not None else None
            assert isinstance(partition, Lists)
            some = base[: min(len(base), training_rows(lists))]
            half, whole = (_timed(partial(Lists.fit, metric, lists // k, some[: len(some) // k]), 1) for k in (2, 1))
            self.list_seconds = max(whole - half, 0.0) / (0.75 * len(some) * lists)
            self.list_seconds_fixed = max(whole - self.list_seconds * len(some) * lists, 0.0)
            self.label_seconds = _timed(partial(partition.labels, base), 2) / (len(base) * lists)

    def plan(self, n: int, lists: int, recall: float, learning: tuple[float, float], decide: float) -> Plan:
        """Extrapolated to n rows in `lists` lists, with seconds of learning, always and for each row, and of deciding."""
        index, rows = (self.index if lists > 1 and self.lists > 1 else self.flat), min(n, _TRAINING_ROWS)
        fit = learning[0] + learning[1] * rows + decide
        build = fit + self.add_seconds * n
        effort = 1
        if index is self.index:
            build += (
                self.list_seconds_fixed + self.list_seconds * min(n, training_rows(lists)) * lists + self.label_seconds * n * lists
            )
            effort = self._effort(n, lists, recall)
        batch, single = (self._query_seconds(index, n, lists, effort, size) for size in (len(self.queries), 1))
        ids = 8 * n if lists > 1 else 0
        return Plan(
            n,
            self.rows.shape[1],
            repr(index.quantizer),
            index.code_size,
            n * index.code_size + ids + index.model_bytes + (lists - self.lists) * 4 * self.rows.shape[1] * (lists > 1),
            lists,
            effort,
            fit,
            build,
            1.0 / batch,
            1.0 / single,
            len(self.rows),
        )

    def _effort(self, n: int, lists: int, recall: float) -> int:
        """Lists for a recall: the share of them falls with n as it does from a part of the trial's rows to all of them."""
        model = self.index.model
        assert model is not None
        asked, shares = Coverage.keep(self.queries), []
        for step in (_PART, 1):
            rows = self.index._view(np.arange(0, len(self.base), step))
            shares.append(model.measured(asked, rows, own=False).effort(recall) / self.lists)
        falls = min(max(float(np.log(shares[0] / shares[1])) / np.log(_PART), 0.0), 1.0)
        share = shares[1] * (len(self.base) / max(n, len(self.base))) ** falls
        return int(min(lists, max(1, round(share * lists))))

    def _query_seconds(self, index: Index, n: int, lists: int, effort: int, size: int) -> float:
        """Seconds a query in batches of `size`, searched for as it will be: as many lists, as long ones, as many queries for each."""
        divided = index is self.index
        tried = min(effort, self.lists) if divided else 1
        count = max(1, min(size, round(size * self.lists / lists))) if divided else size
        times = (n / lists) / (len(self.base) / self.lists) if divided else n / len(self.base)
        most = min(_TILES, max(2, round(times)))
        searches = [partial(_repeated(index, t).search, self.queries[:count], _K, effort=tried) for t in (1, most)]
        taken = [least / count for least in _least(searches, _RUNS if size > 1 else 3 * _RUNS)]
        each = max(taken[1] - taken[0], 0.0) / (most - 1)
        return float(max(taken[0] + each * (times - 1), 1e-7) * (effort / tried))


def _repeated(index: Index, times: int) -> Index:
    """An index of each row so many times: as much to scan, and nothing to code."""
    made = Index(index.quantizer, index.metric)
    made.model = index.model
    segment = index._table.snapshot.segments[0]
    made._table = Table(index._table.lists)
    columns = {name: np.concatenate([a] * times) for name, a in segment.columns.items() if name != "ids"}
    made._table.append(columns, None, np.tile(segment.labels, times) if index._table.lists > 1 else None)
    return made


def _timed(run: Callable[[], Any], runs: int) -> float:
    """Least CPU seconds of some runs, for each thread."""
    return _least([run], runs)[0]


def _least(what: Sequence[Callable[[], Any]], runs: int) -> list[float]:
    """Least CPU seconds of some runs of each, in turns: machines get slower and faster."""
    least = [float("inf")] * len(what)
    for _ in range(runs):
        for number, run in enumerate(what):
            start = time.process_time()
            run()
            least[number] = min(least[number], time.process_time() - start)
    return [max(taken, 1e-7) / runtime.threads() for taken in least]


def _sample(n: int, d: int | None, sample: Any) -> F32:
    """Rows to try on."""
    if sample is not None:
        rows = checks.rows(sample, "sample", d=d)
        return np.ascontiguousarray(rows[keys.sample(0, _STREAM, len(rows), _MOST_ROWS)])
    if d is None:
        raise ValueError("d: expected dimensions, or a sample that has them")
    d = checks.integer(d, "d", 1, checks.MAX_DIM)
    random, count = np.random.default_rng(_STREAM), min(max(n, 1024), _MOST_ROWS)
    centres = random.standard_normal((64, d))
    rows = (centres[random.integers(0, 64, count)] + random.standard_normal((count, d))) * np.arange(1, d + 1) ** -0.5
    return rows.astype(np.float32)
