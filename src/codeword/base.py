"""The contract: what a Component, a Transform and a Quantizer are (numcodecs' identity by configuration, scikit-learn's manners).

    X (n, d) --fit--> codebook --encode--> codes (n, code_size) uint8 --decode--> X̂ (n, d)

A subclass stores its parameters in `__init__` and writes `_fit`, `_encode`, `_decode`, `_state`, `_load`; input checks, blocks,
progress, persistence and scoring come from here. `codeword.testing.check_quantizer` tests all of it for any subclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from codeword import checks, runtime
from codeword.component import F32 as F32
from codeword.component import U8 as U8
from codeword.component import Component as Component
from codeword.component import State as State
from codeword.component import array as array

if TYPE_CHECKING:
    from codeword.choice.frontier import Frontier
    from codeword.metrics import Distortion
    from codeword.sources import Rows
    from codeword.training.passes import Job

METRICS = ("l2", "ip", "cosine")
_BLOCK_ELEMENTS = 1 << 22
SelfTransform = TypeVar("SelfTransform", bound="Transform")
SelfQuantizer = TypeVar("SelfQuantizer", bound="Quantizer")


class Transform(Component, ABC):
    """A map of rows in front of a quantizer, (n, d) to (n, d_out), whose inverse is affine: ``x̂ = A ŷ + offset``, A orthonormal.

    Subclasses write `_fit`, `_forward`, `_inverse`, and `project`, `lift`
    and `offset` where A or the offset is not trivial.
    """

    d_out: int | None = None
    """Width of what `transform` returns; None before `fit`."""

    def fit(self: SelfTransform, X: Any, sample_weight: Any = None, *, max_memory: int | str | None = None) -> SelfTransform:
        """Learn from rows `X` (n, d), optionally weighted; see `Quantizer.fit`."""
        if max_memory is not None:
            from codeword.sources import open_rows

            with open_rows(X, sample_weight, max_memory) as rows:
                self._fit_rows(rows)
            return self
        A = checks.training_rows(X, wide=True)
        self._fit(A, checks.weights(sample_weight, len(A)))
        self.d = A.shape[1]
        return self

    def transform(self, X: Any) -> F32:
        """Map rows `X` (n, d) to float32 (n, d_out)."""
        self._check_fitted()
        return self._forward(checks.rows(X, d=self.d, wide=True, empty=True))

    def inverse_transform(self, Y: Any) -> F32:
        """Map rows `Y` (n, d_out) back to float32 (n, d)."""
        self._check_fitted()
        return self._inverse(checks.rows(Y, "Y", d=self.d_out, empty=True))

    def fit_transform(self, X: Any, sample_weight: Any = None) -> F32:
        """`fit`, then `transform`."""
        return self.fit(X, sample_weight).transform(X)

    @property
    def offset(self) -> NDArray[np.float64] | None:
        """The constant part (d,) of the inverse, or None where it is zero."""
        return None

    def project(self, Q: NDArray[Any]) -> NDArray[Any]:
        """The linear part applied to queries: rows of ``Q A`` (q, d_out), for scoring codes without decoding them."""
        return Q

    def lift(self, Y: NDArray[Any]) -> NDArray[Any]:
        """The linear part of the inverse: rows of ``Y Aᵀ`` (n, d) for rows `Y` (n, d_out), the offset left out."""
        return Y

    @abstractmethod
    def _fit(self, X: NDArray[Any], weight: F32 | None) -> None:
        """Learn, and set `d_out`."""

    def _jobs(self, rows: Rows) -> list[Job[Any]] | None:
        """What learns from rows that are read in passes (see `codeword.training.passes`); None where it needs all in memory."""
        return None

    def _learned(self, rows: Rows, results: list[Any]) -> None:
        """Take what the jobs return, and set `d_out`; goes with `_jobs`."""
        raise TypeError(f"{type(self).__name__} has _jobs and must have _learned")

    def _fit_rows(self, rows: Rows) -> None:
        """Learn from rows under a cap of memory."""
        from codeword.training import passes

        label = f"{type(self).__name__}.fit"
        jobs = self._jobs(rows)
        if jobs is None:
            self._fit(*passes.all_rows(rows, label))
        else:
            self._learned(rows, passes.run(rows, jobs, passes.plain_step(rows), label))
        self.d = rows.d

    @abstractmethod
    def _forward(self, X: NDArray[Any]) -> F32:
        """Checked rows (n, d) mapped to (n, d_out)."""

    @abstractmethod
    def _inverse(self, Y: F32) -> F32:
        """Checked rows (n, d_out) mapped back to (n, d)."""


class Quantizer(Component, ABC):
    """Learns a codebook, replaces rows by packed codes and codes by rows.

    Subclasses write `_fit`, `_encode`, `_decode`, `code_size`, `_state` and `_load`; `_scorer` where codes can be scored
    faster than by decoding them.
    """

    frontier: Frontier | None = None
    """What `codeword.auto` measured before it chose this quantizer; None otherwise."""
    _spread: F32
    _variance: NDArray[np.float64]

    def fit(self: SelfQuantizer, X: Any, sample_weight: Any = None, *, max_memory: int | str | None = None) -> SelfQuantizer:
        """Learn from training rows.

        Parameters
        ----------
        X : array_like (n, d), iterable of row blocks (n_i, d), or Arrow stream
            See `codeword.checks` for the types accepted. Without `max_memory`, blocks are gathered in memory in their order.
        sample_weight : array_like (n,), optional
            Weight of each row, at least 0; rows of weight 0 do not count.
        max_memory : int or str, optional
            Most memory that fitting may take beyond what `X` takes already: bytes, or as in "1GB", "512MiB". Rows are then read
            block by block, about as often as `max_iter` says, from an array or memory map where it lies, from an iterable by
            iterating it again; what can be iterated only once (a generator, a reader of Arrow batches) is first written to a
            temporary file in the directory of `tempfile.gettempdir()`, which is removed in any case. What is learned is the same,
            bit for bit.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            For input that cannot be used; the message names the argument, what was expected, what came and the first bad row.
            Also if `max_memory` is less than the codebooks need, or less than all rows where the method needs them in memory.
        """
        if max_memory is not None:
            from codeword.sources import open_rows

            with open_rows(X, sample_weight, max_memory) as rows:
                self._fit_rows(rows)
            return self
        A = checks.training_rows(X)
        weight = checks.weights(sample_weight, len(A))
        spread, variance = column_statistics(A, weight)
        self._fit(A, weight)
        self._spread, self._variance = spread, variance
        self.d = A.shape[1]
        return self

    def partial_fit(self: SelfQuantizer, X: Any) -> SelfQuantizer:
        """Learn from the next block of rows (n, d), where the method allows it.

        Raises
        ------
        TypeError
            If this quantizer cannot learn from one block at a time.
        """
        raise TypeError(f"{type(self).__name__} cannot learn block by block; use fit, which also takes an iterable of blocks")

    def encode(self, X: Any) -> U8:
        """Replace rows `X` (n, d) by codes: uint8 (n, code_size), C-contiguous."""
        self._check_fitted()
        A = checks.to_array(X, "X")
        checks.check_shape(A, "X", self.d, True)
        out = np.empty((len(A), self.code_size), np.uint8)
        for start, stop in self._blocks(len(A), "encode"):
            block = checks.rows(A[start:stop], d=self.d, spread=self._spread, first=start)
            out[start:stop] = self._encode(block)
        return out

    def decode(self, codes: Any) -> F32:
        """Replace `codes` (n, code_size) by reconstructed rows: float32 (n, d).

        Raises
        ------
        ValueError
            For a wrong width, or a code that names no codeword (with its row).
        """
        self._check_fitted()
        C = checks.codes(codes, self.code_size)
        assert self.d is not None
        out = np.empty((len(C), self.d), np.float32)
        for start, stop in self._blocks(len(C), "decode"):
            out[start:stop] = self._decode(C[start:stop])
        return out

    def scorer(self, queries: Any, metric: str = "l2") -> Any:
        """An object that scores packed codes against a batch of queries, without decoding them where the method allows it.

        Parameters
        ----------
        queries : array_like (q, d)
        metric : {"l2", "ip", "cosine"}
            Squared Euclidean distance; negative inner product; one minus cosine similarity. Smaller is closer.

        Returns
        -------
        object with ``scores(codes (n, code_size)) -> float32 (q, n)``
        """
        self._check_fitted()
        checks.choice(metric, "metric", METRICS)
        Q = checks.rows(queries, "queries", d=self.d, spread=self._spread, empty=True)
        return self._scorer(Q, metric)

    def distortion(self, X: Any) -> Distortion:
        """Measure encoding and decoding of rows `X` (n, d), against the variance of the training data.

        Returns
        -------
        Distortion
            mse, relative, snr_db, per_dimension, rate and the distance to the Gaussian reference.
        """
        from codeword.metrics import measure

        self._check_fitted()
        return measure(self, X)

    @property
    @abstractmethod
    def code_size(self) -> int:
        """Bytes per vector."""

    @property
    def estimates(self) -> bool:
        """Whether scores estimate distances to the rows themselves, by side data in the code, rather than to their reconstructions."""
        return False

    @property
    def rate(self) -> float:
        """Bits per dimension of the codes, everything that is stored per vector counted."""
        self._check_fitted()
        assert self.d is not None
        return 8 * self.code_size / self.d

    @property
    def model_bytes(self) -> int:
        """Bytes of the learned arrays that decoding needs, stored once for all vectors."""
        self._check_fitted()
        return sum(a.nbytes for a in self._state().values())

    def transform(self, X: Any) -> U8:
        """The same as `encode`, for scikit-learn pipelines."""
        return self.encode(X)

    def inverse_transform(self, codes: Any) -> F32:
        """The same as `decode`, for scikit-learn pipelines."""
        return self.decode(codes)

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> U8:
        """`fit`, then `encode`."""
        return self.fit(X, sample_weight).encode(X)

    def state(self) -> State:
        self._check_fitted()
        return {**self._state(), "column_spread": self._spread, "column_variance": self._variance}

    @classmethod
    def from_config(cls: type[SelfQuantizer], config: Mapping[str, Any], state: Mapping[str, Any]) -> SelfQuantizer:
        made = super().from_config(config, state)
        if made.d is not None:
            made._spread = array(state, "column_spread", np.float32, (made.d,))
            made._variance = array(state, "column_variance", np.float64, (made.d,))
        return made

    # What a subclass writes

    @abstractmethod
    def _fit(self, X: F32, weight: F32 | None) -> None:
        """Learn from checked rows; parameters are checked here too."""

    def _jobs(self, rows: Rows) -> tuple[list[Job[Any]], int] | None:
        """What learns from rows that are read in passes (see `codeword.training.passes`), and the rows of a block.

        None for a method that needs all rows in memory.
        """
        return None

    def _learned(self, results: list[Any]) -> None:
        """Take what the jobs return; goes with `_jobs`."""
        raise TypeError(f"{type(self).__name__} has _jobs and must have _learned")

    def _fit_rows(self, rows: Rows) -> None:
        """Learn from rows under a cap of memory."""
        from codeword.training import passes

        label = f"{type(self).__name__}.fit"
        rows = rows.narrowed()
        work = self._jobs(rows)
        if work is None:
            A, weight = passes.all_rows(rows, label)
            variance = column_statistics(A, weight)[1]
            self._fit(A, weight)
        else:
            jobs, step = work
            *results, variance = passes.run(rows, [*jobs, passes.variance_job(rows)], step, label)
            self._learned(results)
        self._spread, self._variance, self.d = rows.spread, variance, rows.d

    @abstractmethod
    def _encode(self, X: F32) -> U8:
        """Codes of a checked block of rows."""

    @abstractmethod
    def _decode(self, codes: U8) -> F32:
        """Rows of a checked block of codes."""

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import DecodingScorer

        return DecodingScorer(self, queries, metric)

    def _blocks(self, n: int, label: str) -> Iterator[tuple[int, int]]:
        assert self.d is not None
        return runtime.blocks(n, max(64, _BLOCK_ELEMENTS // self.d), f"{type(self).__name__}.{label}")


def column_statistics(X: F32, weight: F32 | None) -> tuple[F32, NDArray[np.float64]]:
    """Spread (maximum minus minimum, float32) and variance (float64) of each column of `X` (n, d); rows of weight 0 left out."""
    from codeword.training.moments import ColumnMoments

    moments = ColumnMoments.of(X, weight)
    return (moments.grid.high - moments.grid.low).astype(np.float32), moments.variance
