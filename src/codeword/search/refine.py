"""The last stage of a search: what the codes leave of a row, coded once more, or the rows themselves.

    candidates with distances from codes --those within reach of the k-th--> distances from codes and fine codes, or exact ones

`SecondCode` codes the residual ``x - x̂`` with a quantizer of its own and keeps the length of the sum of both reconstructions in two
bytes; it takes a fraction of the bytes of the rows, which `Originals` keeps. What is in reach: one and a half times an error of the
codes that two in a thousand pairs of near rows exceed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.exact import distances_of_pairs
from codeword.lanes import lane_dot
from codeword.search.scan import Nearest
from codeword.search.segment import I64
from codeword.search.view import View
from codeword.training.moments import ColumnMoments

F64 = NDArray[np.float64]
DTYPES = ("float32", "float16", "int8")
CANDIDATES = (16, 64)  # as many times k, and so many more, that are looked at
_FEWEST_QUERIES, _MOST_QUERIES, _BYTES_AT_ONCE = 16, 256, 1 << 24  # that are scored together
_ERRORS = 1.5
_LONGEST = 1e4
_TAIL = 0.998  # of the errors is what reach covers on either side


class Refiner(Protocol):
    """What an index asks of its last stage."""

    kind: str
    metric: str
    columns: tuple[str, ...]
    exact: bool
    row_bytes: int
    reach: float
    """How far, in `unit`s of the query, codes may be off."""

    def of(self, X: F32, codes: U8) -> dict[str, NDArray[Any]]:
        """Columns of the rows `X` (n, d) with their codes."""

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type, and shape of a row, of each of these columns."""

    def distances(self, view: View, queries: NDArray[Any], numbers: I64) -> F32:
        """Distances (q, c) of each query to rows of its own, by number (q, c) in the view."""

    @property
    def nbytes(self) -> int:
        """Bytes of what was learned."""

    def state(self) -> State:
        """Arrays to save."""


class Originals:
    """Rows as they came, as float32 or float16, or as int8 with a scale for each.

    Parameters
    ----------
    kind : {"float32", "float16", "int8"}
    metric : {"l2", "ip", "cosine"}
    d : int
    """

    nbytes = 0
    reach = 0.0

    def __init__(self, kind: str, metric: str, d: int) -> None:
        self.kind, self.metric = kind, metric
        self.columns: tuple[str, ...] = ("rows", "scales") if kind == "int8" else ("rows",)
        self.exact = kind == "float32"
        self._d = d
        self.row_bytes = d * np.dtype(kind).itemsize + (4 if kind == "int8" else 0)

    def of(self, X: F32, codes: U8) -> dict[str, NDArray[Any]]:
        if self.kind != "int8":
            with np.errstate(over="ignore"):
                rows = X.astype(self.kind)
            if not np.isfinite(rows).all():
                raise ValueError(f"X: numbers of row {int(np.argmin(np.isfinite(rows).all(1)))} are too large for {self.kind}")
            return {"rows": rows}
        scales = np.abs(X).max(axis=1) / np.float32(127.0)
        inverse = np.divide(1.0, scales, out=np.zeros_like(scales), where=scales > 0)
        return {"rows": np.rint(X * inverse[:, None]).astype(np.int8), "scales": scales}

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {"rows": (self.kind, (self._d,))}
        return {**shapes, "scales": ("float32", ())} if self.kind == "int8" else shapes

    def distances(self, view: View, queries: NDArray[Any], numbers: I64) -> F32:
        asked = np.repeat(np.arange(len(queries)), numbers.shape[1])
        values = view.at(self.columns, numbers.ravel())
        rows = values[0].astype(np.float32)
        if self.kind == "int8":
            rows *= values[1][:, None]
        found = distances_of_pairs(rows, queries.astype(np.float64), np.arange(len(rows)), asked, self.metric)
        return found.reshape(numbers.shape).astype(np.float32)

    def state(self) -> State:
        return {}


class SecondCode:
    """Codes of residuals.

    Parameters
    ----------
    first, second : Quantizer
        Of the rows and of what it leaves of them, fitted.
    metric : {"l2", "ip", "cosine"}
    mean : ndarray (d,) float64
        About which lengths are taken ("l2").
    unit : float
        The mean length, which lengths are stored in.
    """

    kind = "code"
    exact = False

    def __init__(self, first: Quantizer, second: Quantizer, metric: str, mean: F64, unit: float) -> None:
        self.first, self.second, self.metric, self.reach = first, second, metric, 0.0
        self._mean, self._unit = mean, unit
        self.columns: tuple[str, ...] = ("codes", "fine") if metric == "ip" else ("codes", "fine", "lengths")
        self.row_bytes = second.code_size + (0 if metric == "ip" else 2)

    @classmethod
    def fit(cls, first: Quantizer, second: Quantizer, metric: str, X: F32) -> SecondCode:
        """Fit `second`, unless it is fitted, to what `first` leaves of rows `X` (n, d)."""
        if second.d is None:
            second.fit(X - first.decode(first.encode(X)))
        if second.d != X.shape[1]:
            raise ValueError(f"refine: expected a quantizer for rows of width {X.shape[1]}, got {second.d}")
        mean = ColumnMoments.of(X).mean if metric == "l2" else np.zeros(X.shape[1])
        wide = X - mean
        return cls(first, second, metric, mean, max(float(np.sqrt(lane_dot(wide, wide)).max()), 1e-30))

    def of(self, X: F32, codes: U8) -> dict[str, NDArray[Any]]:
        rough = self.first.decode(codes)
        columns: dict[str, NDArray[Any]] = {"fine": self.second.encode(X - rough)}
        if self.metric != "ip":
            wide = (rough + self.second.decode(columns["fine"])) - self._mean
            share = np.sqrt(lane_dot(wide, wide)) / self._unit
            columns["lengths"] = (np.minimum(share, _LONGEST) - 1.0).astype(np.float16)
        return columns

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {"fine": ("uint8", (self.second.code_size,))}
        return shapes if self.metric == "ip" else {**shapes, "lengths": ("float16", ())}

    def distances(self, view: View, queries: NDArray[Any], numbers: I64) -> F32:
        codes, fine, *lengths = view.at(self.columns, numbers)
        Q = queries.astype(np.float64) - self._mean
        products = -(each(self.first, Q, codes).astype(np.float64) + each(self.second, Q, fine))
        if self.metric == "ip":
            return (0.0 - products).astype(np.float32)
        length = (lengths[0].astype(np.float64) + 1.0) * self._unit
        if self.metric == "l2":
            products -= lane_dot(Q, self._mean[None])[:, None]
            return np.maximum(lane_dot(Q, Q)[:, None] + length * length - 2.0 * products, 0.0).astype(np.float32)
        norms = np.sqrt(lane_dot(Q, Q))[:, None] * length
        cosines = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
        return (1.0 - np.clip(cosines, -1.0, 1.0)).astype(np.float32)

    @property
    def nbytes(self) -> int:
        return self.second.model_bytes + self._mean.nbytes

    def state(self) -> State:
        second = {f"second.{name}": a for name, a in self.second.state().items()}
        return {**second, "mean": self._mean, "unit": np.array([self._unit])}

    @classmethod
    def from_state(cls, first: Quantizer, second: Quantizer, metric: str, state: Mapping[str, Any]) -> SecondCode:
        """Rebuild from `state()`; FormatError where it does not fit."""
        mean, unit = array(state, "mean", np.float64, (first.d,)), array(state, "unit", np.float64, (1,))
        if second.d != first.d or not unit[0] > 0:
            raise FormatError("refine: expected a quantizer of the same width and a unit above 0")
        return cls(first, second, metric, mean, float(unit[0]))


def each(quantizer: Quantizer, Q: F64, codes: U8) -> F32:
    """``-<q, x̂>`` (q, c) of each query with codes (q, c, code_size) of its own."""
    narrow = Q.astype(np.float32)
    scorer = quantizer.scorer(narrow, "ip")
    if hasattr(scorer, "refine"):
        return np.asarray(scorer.refine(codes), np.float32)
    rows = [quantizer.scorer(narrow[i : i + 1], "ip").scores(np.ascontiguousarray(codes[i]))[0] for i in range(len(Q))]
    return np.stack(rows) if rows else np.zeros(codes.shape[:2], np.float32)


def units(metric: str, queries: NDArray[Any], distances: F32) -> F64:
    """What errors of distances about as large as `distances` (q,) grow with, for each query (q,)."""
    if metric == "l2":
        return np.sqrt(np.maximum(distances, 0.0).astype(np.float64))
    if metric == "ip":
        wide = queries.astype(np.float64)
        return np.sqrt(lane_dot(wide, wide))
    return np.ones(len(queries))


def refined(refiner: Refiner, view: View, queries: NDArray[Any], near: Nearest, k: int) -> tuple[Nearest, I64]:
    """The k nearest of candidates (q, c), nearest first and named by number, by distances of the last stage; and how many it scored.

    Only candidates whose errors, if they are as large as any, could bring them among the k nearest are scored.
    """
    found, scored = Nearest.empty(len(queries), k), np.zeros(len(queries), np.int64)
    step = min(_MOST_QUERIES, max(_FEWEST_QUERIES, _BYTES_AT_ONCE // max(1, refiner.row_bytes * near.names.shape[1])))
    for first in range(0, len(queries), step):
        part = slice(first, first + step)
        Q, numbers, distances = queries[part], near.names[part], near.distances[part]
        limit = distances[:, k - 1] + _ERRORS * refiner.reach * units(refiner.metric, Q, distances[:, k - 1])
        inside = distances <= limit[:, None]
        scored[part] = inside.sum(1)
        c = int(scored[part].max())
        again = np.where(inside[:, :c], refiner.distances(view, Q, numbers[:, :c]), np.float32(np.inf))
        found.distances[part], found.names[part] = _native.nearest_of(again, view.ids_at(numbers[:, :c]), k)
    return found, scored


def measured_reach(refiner: Refiner, view: View, queries: NDArray[Any], near: Nearest) -> float:
    """How far, in units, distances from codes (q, c) are off, a few errors in a thousand left out."""
    exact = refiner.distances(view, queries, near.names).astype(np.float64)
    unit = units(refiner.metric, queries, near.distances[:, -1])[:, None]
    errors = np.divide(np.abs(exact - near.distances), unit, out=np.zeros_like(exact), where=unit > 0)
    ordered = np.sort(errors, axis=None)
    return float(ordered[int(_TAIL * (len(ordered) - 1))]) if len(ordered) else 0.0
