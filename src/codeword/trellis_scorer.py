"""TrellisScorer: distances from queries to trellis codes that are never decoded to floats, in two passes.

    queries (q, d) --weights of the coordinates--> rough: int8 weights, 8-bit values;  scores, refine: 16 bits of both

Sums are integers on every instruction set. The first pass gives each block of 64 coordinates a scale of its own, a power of two by
the size of its columns, and tables of fewer rows where that loses little; what it finds nearest is scored again from the same codes
with 16-bit weights and values.

Source: two planes of an integer query as in Gao & Long 2024, "RaBitQ"; power-of-two block scales as in OCP's microscaling formats.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native
from codeword.first_pass import FirstPass
from codeword.scorers import inverse_roots, squared_norms
from codeword.trellis import UNIT

if TYPE_CHECKING:
    from codeword.base import Quantizer

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
_BLOCK = 64
_MOST_RISE = 2000  # of the powers of two of all blocks: 64 * 128 * 127 times their sum stays below 2**31
# How far merging rows of a table may move values, by the fourth moment: as a part of what the values are, and of the code's error.
# Where columns have unequal rates, those with the most bits vary most and make up distances.
_MERGED, _MERGED_UNEVEN, _MERGED_EVEN = 0.15, 0.75, 1.6
_NEGLIGIBLE = 1e-4  # spread, as part of the norm, that column means may add to it before the first pass counts that


class ScanForm:
    """What scorers need of one stage of a quantizer, made once.

    Parameters
    ----------
    coder : Trellis
    fields : dict
        What it was made of: `codeword.trellis.arguments`.
    rates : ndarray (coordinates,) float64
        Bits of each coordinate.
    """

    def __init__(self, coder: _native.Trellis, fields: dict[str, Any], rates: F64) -> None:
        self.coder = coder
        self.columns, self._tables = fields["columns"], fields["tables"]
        self.scales, self.means = fields["scales"].astype(np.float64), fields["means"].astype(np.float64)
        self._fill = fields["fill"].astype(np.float64)
        self._fill[self.columns] = 0.0
        self._values = fields["values"].reshape(-1, 256).astype(np.int64)
        self._merged = _Merged(self._values, rates[np.unique(self._tables, return_index=True)[1]])
        values = self._merged.means(self._values)
        largest = np.abs(values).max(axis=1, initial=1.0)
        self._narrow = np.rint(values * (127.0 / largest)[:, None]).astype(np.int64) + 128
        self._units = (largest / 127.0)[self._tables]
        self._blocks = _Blocks(self.scales * self._units)

    def constants(self, Q: F64) -> F64:
        """What <q, x̂> (q,) has beside the coordinates' values."""
        return _row_sums(Q[:, self.columns] * self.means) + _row_sums(Q * self._fill)

    def weights(self, Q: F64) -> tuple[NDArray[np.int16], F64]:
        """16-bit weights (q, coordinates) of the values, and their units (q,)."""
        W = Q[:, self.columns] * self.scales
        unit = np.abs(W).max(axis=1, initial=0.0) / 32767.0
        return np.ascontiguousarray(np.rint(W * _inverse(unit)[:, None]), np.int16), unit

    def narrow(self, Q: F64) -> tuple[NDArray[np.int8], F64]:
        """8-bit weights (q, coordinates) of the values, and their units (q,)."""
        return self._blocks.narrow(Q[:, self.columns] * (self.scales * self._units))

    def queries(self, weights: NDArray[np.int8], scale: F64, bias: F64) -> _native.TrellisQueries:
        """8-bit weights in the form that scans codes: ``sum * scale + bias``."""
        return _native.TrellisQueries(self._scanned, weights, scale.astype(np.float32), bias.astype(np.float32))

    @cached_property
    def squares(self) -> tuple[_native.TrellisQueries, ...]:
        """What squared norms of the reconstructions are the sum of, from 8-bit squares."""
        squares = self._merged.means(self._values * self._values)
        largest = squares.max(axis=1, initial=1.0)
        table = np.rint(squares * (255.0 / largest)[:, None]).astype(np.int64)
        sizes = self.scales * self.scales * (largest / 255.0)[self._tables]
        blocks = _Blocks(sizes)
        weights, unit = blocks.narrow(sizes[None])
        zero = 128.0 * float((weights.astype(np.int64) << blocks.rise[np.arange(len(sizes)) // _BLOCK]).sum()) * unit
        constant = zero + float(_row_sums((self.means * self.means)[None])[0] + _row_sums((self._fill * self._fill)[None])[0])
        tables = self._tables_of(table, blocks)
        curved = _native.TrellisQueries(tables, weights, unit.astype(np.float32), constant.astype(np.float32))
        spread, line = self.scales * UNIT, np.zeros((1, len(self._fill)))
        line[0, self.columns] = 2.0 * self.means
        added = _row_sums((line[:, self.columns] * spread) ** 2)[0]
        if added <= (_NEGLIGIBLE * _row_sums((spread * spread)[None])[0]) ** 2:
            return (curved,)
        weights, step = self.narrow(line)
        return curved, self.queries(weights, step, np.zeros(1))

    @cached_property
    def _scanned(self) -> _native.TrellisTables:
        return self._tables_of(self._narrow, self._blocks)

    def _tables_of(self, values: NDArray[np.int64], blocks: _Blocks) -> _native.TrellisTables:
        periods = self._merged.periods
        return _native.TrellisTables(self.coder, values.astype(np.uint8).ravel(), periods, blocks.order, blocks.rise)


class _Merged:
    """Which indices of the tables the first pass takes for one: those that differ by a period, an exclusive or.

    The window's hash gives all tables about the same order, so there are periods under which values hardly change: 128 rows are
    within 0.0015 of the variance, 64 within 0.005. The largest values move most, and rows with those are what searches by inner
    product find: hence the fourth moment. Tables of 1 and 2 bits become 64 rows, of 3 bits 128, of 4 bits too where all columns are alike.

    Parameters
    ----------
    values : ndarray (tables, 256) int64
    rates : ndarray (tables,) float64
        Bits of the coordinates of each table.

    Attributes
    ----------
    periods : ndarray (2,) uint8
    """

    def __init__(self, values: NDArray[np.int64], rates: F64) -> None:
        index = np.arange(256)
        means, self.periods = values.astype(np.float64), np.zeros(2, np.uint8)
        self._halvings = np.zeros(len(values), np.int64)
        error = (_MERGED_UNEVEN if len(values) > 1 else _MERGED_EVEN) * 2.0**-rates * UNIT
        allowed = np.minimum(error, _MERGED * np.sqrt((values.astype(np.float64) ** 2).mean(axis=1))) ** 4
        for k in range(2 if len(values) else 0):
            likeness = np.einsum("ti,tip->p", means, means[:, index[:, None] ^ index])
            likeness[[0, self.periods[0]]] = -np.inf
            self.periods[k] = np.argmax(likeness)
            means = (means + means[:, index ^ self.periods[k]]) / 2
            fits = ((values - means) ** 4).mean(axis=1) <= allowed
            self._halvings += fits & (self._halvings == k)

    def means(self, values: NDArray[np.int64]) -> F64:
        """Of the `values` (tables, 256) of indices that are taken for one."""
        out, index = values.astype(np.float64), np.arange(256)
        for k, period in enumerate(self.periods):
            out = np.where((self._halvings > k)[:, None], (out + out[:, index ^ period]) / 2, out)
        return out


class _Blocks:
    """Scales of blocks of 64 coordinates for weights that are about as large as `sizes` (coordinates,): ``2**rise`` units."""

    def __init__(self, sizes: F64) -> None:
        padded = np.zeros(-(-len(sizes) // _BLOCK) * _BLOCK)
        padded[: len(sizes)] = sizes
        largest = padded.reshape(-1, _BLOCK).max(axis=1)
        ratio = largest / max(float(largest.max(initial=0.0)), 1e-300)
        exponents = np.maximum(np.frexp(ratio * np.sqrt(2.0))[1].astype(np.int64) - 1, -30)
        exponents -= exponents.max(initial=-30)
        rise = np.zeros(len(largest), np.int64)
        for most in range(31 if len(largest) else 0):
            raised = np.maximum(exponents + most, 0)
            raised -= raised.min()
            if (1 << raised).sum() <= _MOST_RISE:
                rise = raised
        self.rise = rise.astype(np.uint8)
        self.order = np.argsort(-rise, kind="stable").astype(np.int32)
        self._factors = 2.0 ** -rise[np.arange(len(sizes)) // _BLOCK]
        self._largest = min(127.0, 2.0**31 * 0.99 / (_BLOCK * 128.0 * max(int((1 << rise).sum()), 1)))

    def narrow(self, W: F64) -> tuple[NDArray[np.int8], F64]:
        """Weights (q, coordinates) as int8 in units of ``unit[l] * 2**rise``, and the units (q,)."""
        scaled = W * self._factors
        unit = np.abs(scaled).max(axis=1, initial=0.0) / self._largest
        return np.ascontiguousarray(np.rint(scaled * _inverse(unit)[:, None]), np.int8), unit


class TrellisScorer:
    """Distances to the reconstructions of trellis codes.

    `scores` and `refine` use 16 bits of query and table: the error of ``<q, x̂>`` is about ``|q| |x̂|`` times 1e-5. `rough` uses 8
    of each and shorter tables, with errors around a two-hundredth of ``|q| |x̂|`` for 100 columns, less for more, and takes a tenth of
    the time; a search takes the candidates from it and scores those again.

    Parameters
    ----------
    quantizer : TrellisQuantizer
        Fitted; its `_decode` gives the rows whose norms are wanted.
    forms : list of ScanForm
        Of its stages.
    queries : ndarray (q, d) float32
    metric : {"l2", "ip", "cosine"}

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(500, 64)).astype("f4")
    >>> tq = cw.TrellisQuantizer(2.0).fit(X)
    >>> codes = tq.encode(X)
    >>> scorer = tq.scorer(X[:1], "l2")
    >>> wanted = ((tq.decode(codes) - X[0]) ** 2).sum(1)
    >>> bool(np.abs(scorer.scores(codes)[0] - wanted).max() < 0.01), bool(np.abs(scorer.rough(codes)[0] - wanted).max() < 3)
    (True, True)
    """

    def __init__(self, quantizer: Quantizer, forms: list[ScanForm], queries: F32, metric: str) -> None:
        self.metric = metric
        self._quantizer, self._forms = quantizer, forms
        Q = queries.astype(np.float64)
        self._weights = [form.weights(Q) for form in forms]
        self._constants = np.asarray(sum(form.constants(Q) for form in forms))
        self._squares = np.zeros(len(Q)) if metric == "ip" else squared_norms(queries)
        self._inverse_norms = inverse_roots(self._squares) if metric == "cosine" else self._squares
        self._narrow: list[tuple[NDArray[np.int8], F64, F64]] = []
        if metric != "ip" and len(forms) > 1:
            return
        factor = -self._inverse_norms if metric == "cosine" else np.full(len(Q), -2.0 if metric == "l2" else -1.0)
        bias = factor * self._constants + (self._squares if metric == "l2" else 0.0)
        for form in forms:
            narrow, unit = form.narrow(Q)
            self._narrow.append((narrow, factor * unit, bias))
            bias = np.zeros(len(Q))

    @property
    def rough(self) -> Callable[[U8], F32] | None:
        """``rough(codes (n, code_size)) -> float32 (q, n)``; None for distances that need norms of a code of two stages."""
        return self._rough if self._narrow else None

    @cached_property
    def first_pass(self) -> FirstPass | None:
        """What gives the same, for codes of one stage."""
        if len(self._narrow) != 1:
            return None
        nothing = np.zeros(len(self._constants), np.float32)
        ip = self.metric == "ip"
        squares = () if ip else self._forms[0].squares
        return FirstPass(self._prepared[0], nothing, nothing, -np.inf if ip else 0.0, None, squares, self.metric == "cosine")

    @cached_property
    def _prepared(self) -> list[_native.TrellisQueries]:
        return [form.queries(*narrow) for form, narrow in zip(self._forms, self._narrow, strict=True)]

    def take(self, numbers: NDArray[np.int64]) -> TrellisScorer:
        """The scorer of some of the queries, by number."""
        made = copy(self)
        made._weights = [(weights[numbers], unit[numbers]) for weights, unit in self._weights]
        made._constants, made._squares = self._constants[numbers], self._squares[numbers]
        made._inverse_norms = self._inverse_norms[numbers]
        made._narrow = [(narrow[numbers], factor[numbers], bias[numbers]) for narrow, factor, bias in self._narrow]
        for made_once in ("first_pass", "_prepared"):
            made.__dict__.pop(made_once, None)
        return made

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size)."""
        codes = np.ascontiguousarray(codes)
        products = self._products(codes, lambda form, part, weights: form.coder.dot(part, weights))
        return self._distances(products, lambda: self._norms(codes)[None])

    def refine(self, codes: U8) -> F32:
        """Distances float32 (q, c) of codes (q, c, code_size): each query's own."""
        codes = np.ascontiguousarray(codes)
        products = self._products(codes, lambda form, part, weights: form.coder.dot_each(part, weights))
        return self._distances(products, lambda: self._norms(codes.reshape(-1, codes.shape[-1])).reshape(codes.shape[:-1]))

    def _products(self, codes: U8, dot: Callable[[ScanForm, U8, NDArray[np.int16]], NDArray[np.int64]]) -> F64:
        """Inner products (q, n) of the queries with the reconstructions."""
        out = self._constants[:, None]
        for form, part, (weights, unit) in zip(self._forms, self._parts(codes), self._weights, strict=True):
            out = out + unit[:, None] * dot(form, part, weights)
        return out

    def _parts(self, codes: U8) -> list[U8]:
        """The codes of each stage."""
        if len(self._forms) == 1:
            return [codes]
        ends = np.cumsum([form.coder.code_size for form in self._forms])[:-1]
        return [np.ascontiguousarray(part) for part in np.split(codes, ends, axis=-1)]

    def _norms(self, codes: U8) -> F64:
        return squared_norms(self._quantizer._decode(codes))

    def _distances(self, products: F64, norms: Callable[[], F64]) -> F32:
        if self.metric == "ip":
            return (0.0 - products).astype(np.float32)
        if self.metric == "l2":
            return np.maximum(self._squares[:, None] - 2.0 * products + norms(), 0.0).astype(np.float32)
        cosines = products * self._inverse_norms[:, None] * inverse_roots(norms())
        return (1.0 - np.clip(cosines, -1.0, 1.0)).astype(np.float32)

    def _rough(self, codes: U8) -> F32:
        if self.first_pass is not None:
            return self.first_pass.scores(codes)
        first, second = (q.scan(part) for q, part in zip(self._prepared, self._parts(np.ascontiguousarray(codes)), strict=True))
        return np.asarray(first + second)


def _row_sums(A: F64) -> F64:
    """Sum of each row, in the order of the columns: the same on every machine."""
    return np.asarray(np.add.accumulate(A, axis=1)[:, -1]) if A.shape[1] else np.zeros(len(A))


def _inverse(units: F64) -> F64:
    """``1 / units``, and 0 where that is no number."""
    return np.divide(1.0, units, out=np.zeros_like(units), where=units > 1e-300)
