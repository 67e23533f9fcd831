"""What an index would take, before it is built: bytes, time to build, queries a second, from two seconds of trying on this machine.

    n, d, sample rows --small indexes--> seconds for fixed work, a list, a code --n--> bytes, build, queries a second

Times are CPU times divided by threads: those of a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys, runtime, text
from codeword.base import Quantizer
from codeword.search.imports import default_quantizer
from codeword.search.index import Index
from codeword.search.partition import Lists, default_lists, training_rows
from codeword.search.table import Table

F32 = NDArray[np.float32]
_STREAM = 0x91A7
_TRAINING_ROWS = 20_000
_DECIDING_ROWS = 1 << 14  # most that an index looks at to decide about side data
_MOST_ROWS = 1 << 15
_FIRST_ROWS = 1 << 11
_QUERIES = 256
_K = 10
_TILES = 6
_LIST_SHARE = 0.2  # of the work that does not depend on the codes: what grows with the lists
_RARER = 0.2  # share of the lists that a recall needs falls like n ** -0.2


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
        About how long it may take. More rows are tried while there is time.

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
    made = (
        (default_quantizer() if quantizer is None else quantizer).clone() if quantizer is None or quantizer.d is None else quantizer
    )
    wanted = default_lists(n) if lists == "auto" else int(lists or 1)
    start = time.perf_counter()
    count, trial = min(len(rows), _FIRST_ROWS), None
    while trial is None or (time.perf_counter() - start < seconds / 3 and count < min(len(rows), n)):
        count = min(len(rows), n, count * 2)
        trial = _Trial(rows[:count], made, metric, min(wanted, max(1, count // 32)), refine)
    return trial.plan(n, wanted, recall)


class _Trial:
    """A small index, how long it took to make, and how long it takes to search."""

    def __init__(self, rows: F32, quantizer: Quantizer, metric: str, lists: int, refine: Quantizer | str | None) -> None:
        self.rows, self.lists = rows, lists
        self.queries, base = np.split(rows, [min(_QUERIES, len(rows) // 4)])
        self.base = base
        made = quantizer if quantizer.d is not None else quantizer.clone()
        self._learned = (0.0, 0.0) if made.d is not None else self._learning(made)
        last = refine.clone() if isinstance(refine, Quantizer) and refine.d is None else refine
        self.flat = Index(made, metric, refine=last)
        self.decide_seconds = _timed(lambda: self.flat.fit(base), 1) / len(base)
        self.index = Index(made, metric, lists=lists, refine=last).fit(base)
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

    def plan(self, n: int, lists: int, recall: float) -> Plan:
        """Extrapolated to n rows in `lists` lists."""
        index, rows = (self.index if lists > 1 and self.lists > 1 else self.flat), min(n, _TRAINING_ROWS)
        fixed, each = self._learned
        fit = fixed + each * rows + self.decide_seconds * min(rows, _DECIDING_ROWS)
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

    def _learning(self, quantizer: Quantizer) -> tuple[float, float]:
        """Seconds that learning takes, and more for each row; the quantizer is fitted."""
        half = len(self.base) // 2
        some = _timed(lambda: quantizer.clone().fit(self.base[:half]), 1)
        most = _timed(lambda: quantizer.fit(self.base), 1)
        each = max(most - some, 0.0) / (len(self.base) - half)
        return max(most - each * len(self.base), 0.0), each

    def _effort(self, n: int, lists: int, recall: float) -> int:
        """Lists for a recall: their share is that of the trial where it is as large, and falls slowly with n."""
        model = self.index.tune().model
        assert model is not None and model.coverage is not None
        share = model.coverage.effort(recall) / self.lists
        return (
            min(lists, max(1, round(share * lists * (len(self.base) / n) ** _RARER)))
            if n > len(self.base)
            else max(1, round(share * lists))
        )

    def _query_seconds(self, index: Index, n: int, lists: int, effort: int, size: int) -> float:
        """Seconds a query in batches of `size`: fixed work, and work for each list visited and each code."""
        queries, runs = self.queries[:size], 3 if size > 1 else 10
        few, many = _repeated(index, 1), _repeated(index, _TILES)
        lengths = [len(i) / self.lists if index is self.index else len(i) for i in (few, many)]
        effort_tried = max(1, self.lists // 4) if index is self.index else 1
        times = [_timed(partial(i.search, queries, _K, effort=effort_tried), runs) / len(queries) for i in (few, many)]
        slope = max(times[1] - times[0], 0.0) / ((lengths[1] - lengths[0]) * effort_tried)
        fixed = max(times[0] - slope * lengths[0] * effort_tried, 1e-7)
        if index is self.flat:
            return fixed + slope * n
        return fixed * (1 + _LIST_SHARE * (lists / self.lists - 1)) + slope * effort * n / lists


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
    least = float("inf")
    for _ in range(runs):
        start = time.process_time()
        run()
        least = min(least, time.process_time() - start)
    return max(least, 1e-7) / runtime.threads()


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
