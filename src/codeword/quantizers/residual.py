"""ResidualQuantizer: each stage codes what the stages before it have left of a row.

    x (d,) --stage 1--> c_1 --x - c_1: stage 2--> c_2 ... --> m numbers of `bits` bits, packed --sum of codewords--> x̂ (d,)

Encoding keeps the `beam` best paths through the stages (Chen, Guan & Wang 2010, section III; faiss calls it beam search with look-up
tables). Training is `codeword.training.additive`; codes are scored from tables and norms (`codeword.scorers.SumScorer`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, codes, registry
from codeword.base import F32, U8, Quantizer, State, array
from codeword.training import additive

LARGEST_M = 1024
LARGEST_BITS = 12
LARGEST_BEAM = 64
# Stages that paths may differ in before the best one decides: 8, or what 256 MiB of cross products hold.
_DEPTH = 8
_CROSS_BYTES = 1 << 28


class SumQuantizer(Quantizer):
    """What quantizers share whose reconstruction is an offset plus one codeword of each of m codebooks.

    Subclasses have the parameters `m`, `bits`, `beam` and `seed`, say how many `passes` over the stages encoding takes, and
    write `_learn`.
    """

    m: int
    bits: int
    beam: int
    seed: int
    codebooks: F32
    offset: F32
    training_: additive.Training

    def indices(self, codes_: Any) -> NDArray[np.uint32]:
        """Codeword numbers (n, m) of packed codes (n, code_size)."""
        self._check_fitted()
        return codes.unpack(checks.codes(codes_, self.code_size), self._bits())

    @property
    def code_size(self) -> int:
        return codes.size(self._bits())

    def _k(self) -> int:
        return 1 << checks.integer(self.bits, "bits", 1, LARGEST_BITS)

    def _bits(self) -> NDArray[np.uint8]:
        self._k()
        return np.full(checks.integer(self.m, "m", 1, LARGEST_M), self.bits, np.uint8)

    def _search(self) -> additive.Search:
        """The search of `encode`, from checked parameters."""
        beam = checks.integer(self.beam, "beam", 1, LARGEST_BEAM)
        k, m = self._k(), len(self._bits())
        depth = max(1, min(_DEPTH, _CROSS_BYTES // (4 * m * k * k)))
        return additive.Search(beam, depth, self._passes())

    @abstractmethod
    def _passes(self) -> int:
        """Passes over the stages, from checked parameters."""

    @abstractmethod
    def _learn(self, rows: additive.Rows, search: additive.Search) -> additive.Training:
        """Codebooks for training rows."""

    def _fit(self, X: F32, weight: F32 | None) -> None:
        search, k = self._search(), self._k()
        rows = additive.Rows(X, weight, checks.integer(self.seed, "seed", 0, 2**63 - 1))
        if len(rows.X) < k:
            raise ValueError(f"X: expected at least 2**bits = {k} rows of weight above 0, got {len(rows.X)}")
        self.training_ = self._learn(rows, search)
        self._set(self.training_.codebooks, self.training_.offset)

    def _set(self, codebooks: F32, offset: F32) -> None:
        self.codebooks, self.offset = codebooks, offset
        self._coder = additive.coder(codebooks, offset, self._search().depth)
        self._tables: Any = None  # made by the first scorer

    def _encode(self, X: F32) -> U8:
        search = self._search()
        return codes.pack(self._coder.encode(np.ascontiguousarray(X), search.beam, search.passes), self._bits())

    def _decode(self, codes_: U8) -> F32:
        return self._coder.decode(codes.unpack(codes_, self._bits()))

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import SumScorer, TableScorer, prepare

        if self._tables is None:
            first = self.codebooks[0] + self.offset
            self._tables = prepare([first, *self.codebooks[1:]], self._bits(), shared=True)
        inner = TableScorer(queries, self._tables, self._bits(), "ip")
        return SumScorer(inner.scores, self._decode, queries, metric)

    def _state(self) -> State:
        return {"codebooks": self.codebooks, "offset": self.offset}

    def _load(self, state: State) -> None:
        shape = (len(self._bits()), self._k(), self.d)
        self._set(array(state, "codebooks", np.float32, shape), array(state, "offset", np.float32, (self.d,)))


@registry.register("residual")
class ResidualQuantizer(SumQuantizer):
    """m stages of 2**bits codewords, each for what the stages before it have left.

    Leads where codes are short: at a quarter of a bit a dimension on clustered data no other quantizer of the package has a
    lower distortion at so little time of encoding. A `KLT` in front helps where training rows are few.

    Parameters
    ----------
    m : int
        Stages, 1 to 1024.
    bits : int
        Bits of each stage's number, 1 to 12. Training needs at least 2**bits rows; at most 65,536 rows, drawn by key, are used.
    beam : int
        Paths kept while encoding, 1 to 64: time is proportional to it, the distortion falls slowly.
    rounds : int
        How often, at most, all codebooks are improved together, with new codes each time.
    seed : int
        Same seed, same data: same codebooks, for any threads, blocks and instruction set.

    Attributes
    ----------
    codebooks : ndarray (m, 2**bits, d) float32
    offset : ndarray (d,) float32
        Mean of the training rows, which every reconstruction starts from.
    training_ : codeword.training.additive.Training
        History of the distortion; only after `fit` (not stored in files).

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(2000, 10)).astype("f4")
    >>> rq = cw.ResidualQuantizer(4, bits=4).fit(X)
    >>> rq.codebooks.shape, rq.encode(X).shape, rq.rate
    ((4, 16, 10), (2000, 2), 1.6)
    """

    def __init__(self, m: int, bits: int = 8, *, beam: int = 8, rounds: int = 2, seed: int = 0) -> None:
        self.m = m
        self.bits = bits
        self.beam = beam
        self.rounds = rounds
        self.seed = seed

    def _passes(self) -> int:
        return 1

    def _learn(self, rows: additive.Rows, search: additive.Search) -> additive.Training:
        rounds = checks.integer(self.rounds, "rounds", 0, 1000)
        first = additive.first_codebooks(rows, len(self._bits()), self._k(), 1, search.depth, self.seed)
        return additive.improve(rows, first, search, rounds, "ResidualQuantizer.fit")
