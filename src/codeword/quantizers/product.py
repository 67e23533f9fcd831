"""ProductQuantizer: a row is cut into m pieces, each with a codebook of its own.

    x (d,) --cut--> m pieces --argmin |piece - c|²--> m numbers of `bits` bits, packed --codebooks--> x̂ (d,)

Source: Jégou, Douze & Schmid 2011, "Product quantization for nearest neighbor search".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, codes, registry
from codeword.base import F32, U8, Quantizer, State, array
from codeword.sources import Rows
from codeword.training import kmeans, pieces
from codeword.training.nearest import nearest, pack
from codeword.training.passes import Job

if TYPE_CHECKING:
    from codeword.training_report import TrainingReport


@registry.register("product")
class ProductQuantizer(Quantizer):
    """m codebooks of 2**bits codewords, one for each piece of a row.

    Parameters
    ----------
    m : int
        Pieces, 1 to d. Where m does not divide d, the first ``d % m`` pieces are one dimension longer.
    bits : int
        Bits of each piece's number, 1 to 16. Training needs at least 2**bits rows.
    effort, seeding, max_iter, tol, seed, trim
        As in `VectorQuantizer`, for each piece; 12 passes at default effort.

    Attributes
    ----------
    codebooks : list of m ndarrays (2**bits, dsub) float32
    training_ : list of kmeans.Training
        One for each piece; only after `fit` (not stored in files).

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(2000, 10)).astype("f4")
    >>> pq = cw.ProductQuantizer(4, bits=4).fit(X)
    >>> [c.shape for c in pq.codebooks]
    [(16, 3), (16, 3), (16, 2), (16, 2)]
    >>> pq.encode(X).shape, pq.rate
    ((2000, 2), 1.6)
    """

    codebooks: list[F32]
    _start: list[F32] | None = None

    def __init__(
        self,
        m: int,
        bits: int = 8,
        *,
        effort: str = "default",
        seeding: str = "kmeans++",
        max_iter: int | None = None,
        tol: float | None = None,
        seed: int = 0,
        trim: bool = True,
    ) -> None:
        self.m = m
        self.bits = bits
        self.effort = effort
        self.seeding = seeding
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed
        self.trim = trim

    def fit(self, X: Any, sample_weight: Any = None, *, max_memory: int | str | None = None, start: Any = None) -> ProductQuantizer:
        """Learn from training rows, as `Quantizer.fit` says.

        Parameters
        ----------
        X, sample_weight, max_memory
            See `Quantizer.fit`.
        start : sequence of m arrays (2**bits, dsub), or fitted ProductQuantizer, optional
            Codebooks to go on from, instead of ones drawn from the rows: all passes then go over all rows.
        """
        if start is not None:
            given = start.codebooks if isinstance(start, ProductQuantizer) else start
            self._start = [checks.rows(C, f"start[{i}]") for i, C in enumerate(given)]
        try:
            return super().fit(X, sample_weight, max_memory=max_memory)
        finally:
            self._start = None

    def report(self, X: Any = None) -> TrainingReport:
        """How the last `fit` went: passes, use of codewords, what more rows would gain, and a verdict (print it, or `to_dict`).

        Parameters
        ----------
        X : array_like (n, d), optional
            Rows that it was not fitted on: the distortion on those is then measured instead of estimated.

        Raises
        ------
        NotFittedError
            Before `fit`, and after `load`: files do not keep the history.
        """
        from codeword.training_report import TrainingReport

        return TrainingReport.of(self, X)

    def indices(self, codes_: Any) -> NDArray[np.uint32]:
        """Codeword numbers (n, m) of packed codes (n, code_size)."""
        self._check_fitted()
        return codes.unpack(checks.codes(codes_, self.code_size), self._bits())

    @property
    def code_size(self) -> int:
        return codes.size(self._bits())

    def _k(self) -> int:
        return 1 << checks.integer(self.bits, "bits", 1, 16)

    def _bits(self) -> NDArray[np.uint8]:
        self._k()
        return np.full(checks.integer(self.m, "m", 1, pieces.LARGEST_M), self.bits, np.uint8)

    def _settings(self) -> kmeans.Settings:
        k = self._k()
        return kmeans.Settings.checked(
            k, self.seeding, self.max_iter, self.tol, self.seed, self.trim, k, effort=self.effort, passes=12
        )

    def _cut(self, d: int) -> pieces.Pieces:
        """Column ranges of the pieces; codebooks to start from must fit them."""
        k, cut = self._k(), pieces.cut(d, self.m)
        shapes = [(k, stop - start) for start, stop in cut]
        if self._start is not None and [C.shape for C in self._start] != shapes:
            raise ValueError(f"start: expected codebooks of shapes {shapes}, got {[C.shape for C in self._start]}")
        return cut

    def _fit(self, X: F32, weight: F32 | None) -> None:
        settings, cut = self._settings(), self._cut(X.shape[1])
        self._learned(pieces.train(X, cut, settings, weight, "ProductQuantizer.fit", self._start))

    def _jobs(self, rows: Rows) -> tuple[list[Job[Any]], int]:
        return pieces.jobs(rows, self._cut(rows.d), self._settings(), self._start)

    def _learned(self, results: list[Any]) -> None:
        self.training_: list[kmeans.Training] = results
        self._set([t.codebook for t in self.training_])

    def _set(self, codebooks: list[F32]) -> None:
        self.codebooks = codebooks
        self._packed = pack(codebooks)
        self._tables: Any = None  # made by the first scorer

    def _encode(self, X: F32) -> U8:
        labels, _ = nearest(X, self._packed, 2 * self._k() * X.shape[1])
        return codes.pack(labels, self._bits())

    def _decode(self, codes_: U8) -> F32:
        indices = codes.unpack(codes_, self._bits())
        return np.concatenate([c[indices[:, i]] for i, c in enumerate(self.codebooks)], axis=1)

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import TableScorer, prepare

        if self._tables is None:
            self._tables = prepare(self.codebooks, self._bits())
        return TableScorer(queries, self._tables, self._bits(), metric)

    def _state(self) -> State:
        return {"codebooks": np.concatenate(self.codebooks, axis=1)}

    def _load(self, state: State) -> None:
        assert self.d is not None
        whole = array(state, "codebooks", np.float32, (self._k(), self.d))
        self._set([np.ascontiguousarray(whole[:, start:stop]) for start, stop in pieces.cut(self.d, self.m)])
