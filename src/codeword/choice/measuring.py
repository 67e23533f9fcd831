"""Trying candidates on held-out rows, within a budget of time.

X (n, d) --hash of the row number--> rows to fit | rows to code and search | queries --candidate, size--> Trial
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.base import Quantizer
from codeword.bootstrap import Bootstrap
from codeword.choice.candidates import Candidate
from codeword.choice.frontier import Trial
from codeword.exact import exact_search
from codeword.lanes import lane_sum
from codeword.search import flat
from codeword.training.moments import ColumnMoments

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_STREAM = 0x6175746F  # "auto"
_MOST_CODED, _MOST_QUERIES, _MOST_FITTED = 8192, 512, 1 << 16
LEAST_ROWS = 256
_PRIOR_SECONDS, _MEMORY = 0.2, 0.7
_SCANNED_A_SECOND = 5e9  # coordinates, roughly


class Split(NamedTuple):
    """Rows to fit (n, d), rows to code and search (r, d), queries (q, d)."""

    fitted: NDArray[Any]
    coded: NDArray[Any]
    queries: NDArray[Any]


class Figures(NamedTuple):
    """What a trial measured row by row: squared error over the mean squared spread (r,), recall of each query (q,)."""

    errors: F64
    recalls: F64


def split(X: NDArray[Any], seed: int) -> Split:
    """A quarter of the rows (8,192 at most) to code, a sixteenth (512) as queries, 65,536 of the others to fit, by hash."""
    order = np.argsort(keys.bits64(seed, _STREAM, np.arange(len(X))), kind="stable")
    q, r = min(_MOST_QUERIES, len(X) // 16), min(_MOST_CODED, len(X) // 4)
    parts = (order[q + r : q + r + _MOST_FITTED], order[q : q + r], order[:q])
    return Split(*(np.ascontiguousarray(X[np.sort(rows)]) for rows in parts))


class Measuring:
    """Measures candidates and keeps what it measured.

    Parameters
    ----------
    X : ndarray (n, d)
        Checked rows.
    metric, k, seed, seconds
        As in `codeword.auto`.
    """

    def __init__(self, X: NDArray[Any], metric: str, k: int, seed: int, seconds: float) -> None:
        self._start = time.perf_counter()
        self.rows = split(X, seed)
        self.d = int(X.shape[1])
        self.trials: list[Trial] = []
        self.budget = seconds
        self._metric, self._k, self._seed = metric, k, seed
        self._refit = len(X) / len(self.rows.fitted)
        # Seconds taken and expected, those of late trials more than those of early ones: how fast the machine is, and how busy.
        self._taken, self._expected = _PRIOR_SECONDS, _PRIOR_SECONDS
        self._figures: dict[tuple[str, int], Figures] = {}
        moments = ColumnMoments.of(self.rows.fitted)
        self._variance = float(moments.variance.mean())
        self._truth: I64 = exact_search(self.rows.coded, self.rows.queries, k, metric)[0]
        self.of_rows = Bootstrap(len(self.rows.coded), seed)
        self.of_queries = Bootstrap(len(self.rows.queries), seed + 1)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def figures(self, trial: Trial) -> Figures:
        """Row by row, what a measured trial measured."""
        return self._figures[trial.name, trial.size]

    def known(self, name: str, size: int) -> Trial | None:
        """The trial of this candidate at this size, if there was one."""
        return next((t for t in self.trials if (t.name, t.size) == (name, size)), None)

    def seconds(self, candidate: Candidate, size: int) -> float:
        """Expected time of a trial, as fast as the machine has been so far."""
        return self._taken / self._expected * self._model(candidate, size)

    def measure(self, candidate: Candidate, size: int, *, first: bool = False, leader: Trial | None = None) -> Trial:
        """Try a candidate at a size, unless the time does not suffice; the very first is tried in any case.

        Time is kept back for fitting it to all rows, or the `leader` in case that this wins.
        """
        trial = self.known(candidate.name, size)
        if trial is None or (trial.status == "skipped" and first):
            trial = self._tried(candidate, size, first, leader)
            self.trials.append(trial)
        return trial

    def skip(self, candidate: Candidate, size: int, why: str) -> None:
        """Note that a candidate was not tried."""
        if self.known(candidate.name, size) is None:
            self.trials.append(Trial(candidate.name, size, "skipped", why))

    def _model(self, candidate: Candidate, size: int) -> float:
        n, r = len(self.rows.fitted), len(self.rows.coded)
        return candidate.seconds(n, r, self.d, size) + r * len(self.rows.queries) * self.d / _SCANNED_A_SECOND

    def _tried(self, candidate: Candidate, size: int, first: bool, leader: Trial | None) -> Trial:
        quantizer = candidate.make(self.d, size, self._seed)
        if quantizer is None:
            return Trial(candidate.name, size, "cannot", "no codes of this size")
        needed = self.seconds(candidate, size)
        last = self._refit * max(needed, leader.fit_seconds if leader else 0.0)
        left = self.budget - self.elapsed
        if not first and needed + last > left:
            note = f"would take about {needed:.2g} s, and the last fit {last:.2g} s; {max(left, 0.0):.2g} s are left"
            return Trial(candidate.name, size, "skipped", note)
        began = time.perf_counter()
        try:
            trial = self._measured(candidate.name, size, quantizer)
        except ValueError as e:  # too few rows for so many codewords, rows far from zero, ...
            return Trial(candidate.name, size, "cannot", str(e))
        self._taken = _MEMORY * self._taken + time.perf_counter() - began
        self._expected = _MEMORY * self._expected + self._model(candidate, size)
        return trial

    def _measured(self, name: str, size: int, quantizer: Quantizer) -> Trial:
        coded = self.rows.coded
        began = time.perf_counter()
        quantizer.fit(self.rows.fitted)
        fit_seconds = time.perf_counter() - began
        began = time.perf_counter()
        if quantizer.code_size > size:
            raise ValueError(f"codes take {quantizer.code_size} bytes")
        codes = quantizer.encode(coded)
        encode_rate = len(coded) / max(time.perf_counter() - began, 1e-9)
        error = coded.astype(np.float64) - quantizer.decode(codes)
        errors = lane_sum(error * error) / (self.d * self._variance if self._variance > 0 else 1.0)
        found, _ = flat.scan(quantizer, codes, self.rows.queries, self._k, self._metric)
        recalls = np.count_nonzero((found[:, :, None] == self._truth[:, None, :]).any(2), axis=1) / self._k
        self._figures[name, size] = Figures(errors, recalls)
        return Trial(
            name,
            size,
            "measured",
            "",
            quantizer.code_size,
            quantizer.model_bytes,
            float(errors.mean()),
            self.of_rows.mean(errors),
            float(recalls.mean()),
            self.of_queries.mean(recalls),
            fit_seconds,
            encode_rate,
        )
