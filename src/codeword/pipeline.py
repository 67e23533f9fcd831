"""Transforms in front of a quantizer, itself a Quantizer.

X (n, d) --transforms--> Y (n, d_out) --quantizer--> codes --quantizer--> Ŷ --inverse transforms--> X̂
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, registry
from codeword.base import F32, METRICS, U8, Quantizer, State, Transform, array, column_statistics
from codeword.errors import FormatError
from codeword.first_pass import FirstPass
from codeword.lanes import lane_dot
from codeword.sources import Rows
from codeword.training import passes


@registry.register("pipeline")
class Pipeline(Quantizer):
    """A list of transforms, then a quantizer.

    Parameters
    ----------
    transforms : sequence of Transform
        Applied in order. Float64 input reaches them in float64, so that `Center` or `KLT` in front subtracts the mean before
        anything is rounded to float32.
    quantizer : Quantizer
        Codes what comes out of the last transform.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = 1e9 + np.random.default_rng(0).normal(size=(1000, 16))
    >>> pq = cw.Pipeline([cw.Center(), cw.Rotation(seed=1)], cw.ProductQuantizer(4, bits=4)).fit(X)
    >>> pq.encode(X).shape
    (1000, 2)
    """

    quantizer: Quantizer

    def __init__(self, transforms: Any, quantizer: Quantizer) -> None:
        self.transforms = transforms
        self.quantizer = quantizer

    def fit(self, X: Any, sample_weight: Any = None, *, max_memory: int | str | None = None) -> Pipeline:
        """Fit each transform on what the ones before it return, then the quantizer; see `Quantizer.fit`.

        Under `max_memory` rows are transformed anew in each pass over them.
        """
        self._check_parts()
        if max_memory is not None:
            super().fit(X, sample_weight, max_memory=max_memory)
            return self
        A = checks.training_rows(X, wide=True)
        weight = checks.weights(sample_weight, len(A))
        d = A.shape[1]
        self._fit(A, weight)
        self._spread, self._variance = column_statistics(A, weight)
        self.d = d
        return self

    def _fit(self, X: NDArray[Any], weight: F32 | None) -> None:
        for transform in self.transforms:
            X = transform.fit(X, weight).transform(X)
        self.quantizer.fit(X, weight)

    def _fit_rows(self, rows: Rows) -> None:
        (variance,) = passes.run(rows, [passes.variance_job(rows)], passes.plain_step(rows), "Pipeline.fit")
        moved = rows
        for transform in self.transforms:
            transform._fit_rows(moved)
            assert transform.d_out is not None
            moved = moved.mapped(transform._forward, transform.d_out)
        self.quantizer._fit_rows(moved)
        self._spread, self._variance, self.d = rows.spread, variance, rows.d

    def partial_fit(self, X: Any) -> Pipeline:
        """Fit the transforms on the first block (n, d), then pass every block on to the quantizer's `partial_fit`."""
        self._check_parts()
        A = checks.training_rows(X, wide=True)
        fitted = all(t.d is not None for t in self.transforms)
        Y = A
        for transform in self.transforms:
            Y = (transform if fitted else transform.fit(Y)).transform(Y)
        self.quantizer.partial_fit(Y)
        if not fitted or not hasattr(self, "_spread"):
            self._spread, self._variance = column_statistics(A, None)
        self.d = A.shape[1] if self.quantizer.d is not None else None
        return self

    def encode(self, X: Any) -> U8:
        self._check_fitted()
        A = checks.to_array(X, "X")
        checks.check_shape(A, "X", self.d, True)
        out = np.empty((len(A), self.code_size), np.uint8)
        for start, stop in self._blocks(len(A), "encode"):
            block = checks.rows(A[start:stop], d=self.d, wide=True, first=start)
            if not self.transforms and block.dtype == np.float64:
                block = checks.narrow(block, "X", self._spread, start)
            out[start:stop] = self._encode(block)
        return out

    def _encode(self, X: NDArray[Any]) -> U8:
        for transform in self.transforms:
            X = transform._forward(X)
        return self.quantizer._encode(X)

    def _offset(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """b (d,) of ``x̂ = A ŷ + b``, and ``Aᵀ b`` (1, d_out); kept until a transform is fitted anew."""
        parts = [t.offset for t in self.transforms]
        kept, offset, along = self.__dict__.get("_kept_offset", (None, None, None))
        if kept is None or len(kept) != len(parts) or any(a is not b for a, b in zip(kept, parts, strict=True)):
            assert self.d is not None
            offset = _affine_offset(self.transforms, self.d)
            along = _project(self.transforms, offset[None]).astype(np.float32)
            self._kept_offset = (parts, offset, along)
        assert offset is not None and along is not None
        return offset, along

    def indices(self, codes: Any) -> NDArray[np.uint32]:
        """Codeword numbers of `codes`: see the quantizer's `indices`."""
        return self.quantizer.indices(codes)  # type: ignore[attr-defined, no-any-return]

    def scorer(self, queries: Any, metric: str = "l2") -> Any:
        self._check_fitted()
        checks.choice(metric, "metric", METRICS)
        return self._scorer(checks.rows(queries, "queries", d=self.d, wide=True, empty=True), metric)

    def _scorer(self, queries: NDArray[Any], metric: str) -> PipelineScorer:
        return PipelineScorer(self, queries, metric)

    @property
    def estimates(self) -> bool:
        return self.quantizer.estimates

    @property
    def code_size(self) -> int:
        return self.quantizer.code_size

    @property
    def model_bytes(self) -> int:
        self._check_fitted()
        moved: int = sum(a.nbytes for t in self.transforms for a in t._state().values())
        return moved + self.quantizer.model_bytes

    def config(self) -> dict[str, Any]:
        parts = [t.config() for t in self.transforms]
        return {"id": self.id, "d": self.d, "transforms": parts, "quantizer": self.quantizer.config()}

    def state(self) -> State:
        self._check_fitted()
        named = [(f"transforms.{i}", t) for i, t in enumerate(self.transforms)] + [("quantizer", self.quantizer)]
        state = {f"{prefix}.{key}": a for prefix, part in named for key, a in part.state().items()}
        return {**state, "column_spread": self._spread, "column_variance": self._variance}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> Pipeline:
        d, parts = config.get("d"), config.get("transforms")
        if not isinstance(parts, list) or not (d is None or (type(d) is int and 0 < d <= checks.MAX_DIM)):
            raise FormatError(f"Pipeline: 'transforms' must be a list and 'd' a width, got {parts!r} and {d!r}")

        def part(prefix: str, config: Any) -> Any:
            inner = {k[len(prefix) + 1 :]: v for k, v in state.items() if k.startswith(prefix + ".")}
            return registry.from_config(config, inner)

        made = cls([part(f"transforms.{i}", c) for i, c in enumerate(parts)], part("quantizer", config.get("quantizer")))
        try:
            made._check_parts()
        except TypeError as e:
            raise FormatError(f"Pipeline: {e}") from e
        if d is not None:
            made._check_widths(d)
            made._spread = array(state, "column_spread", np.float32, (d,))
            made._variance = array(state, "column_variance", np.float64, (d,))
        made.d = d
        return made

    def clone(self) -> Pipeline:
        return type(self)([t.clone() for t in self.transforms], self.quantizer.clone())

    def _decode(self, codes: U8) -> F32:
        Y = self.quantizer._decode(codes)
        for transform in reversed(self.transforms):
            Y = transform._inverse(Y)
        return Y

    def _state(self) -> State:
        return {k: v for k, v in self.state().items() if not k.startswith("column_")}

    def _check_parts(self) -> None:
        if not isinstance(self.transforms, (list, tuple)) or not all(isinstance(t, Transform) for t in self.transforms):
            raise TypeError(f"transforms: expected a list of transforms, got {self.transforms!r}")
        if not isinstance(self.quantizer, Quantizer):
            raise TypeError(f"quantizer: expected a quantizer, got {self.quantizer!r}")

    def _check_widths(self, d: int) -> None:
        width: int | None = d
        for part in self.transforms:
            if part.d != width or part.d_out is None:
                raise FormatError(f"Pipeline: {part!r} was fitted on width {part.d}, expected {width}")
            width = part.d_out
        if self.quantizer.d != width:
            raise FormatError(f"Pipeline: {self.quantizer!r} was fitted on width {self.quantizer.d}, expected {width}")


class PipelineScorer:
    """Scores of the quantizer behind the transforms: ``x̂ = A ŷ + b`` with orthonormal A, so queries are moved, codes are not.

    l2: ``|q - x̂|² = |Aᵀ(q - b) - ŷ|² + |q - b|² - |Aᵀ(q - b)|²``. ip: ``<q, x̂> = <Aᵀq, ŷ> + <q, b>``.
    cosine: the two, and ``|x̂|² = |ŷ|² + 2 <Aᵀb, ŷ> + |b|²`` from the same codes.
    """

    def __init__(self, pipeline: Pipeline, queries: NDArray[Any], metric: str) -> None:
        self.metric = metric
        Q = queries.astype(np.float64)
        d = Q.shape[1]
        b, along = pipeline._offset()
        if metric == "l2":
            inside = _project(pipeline.transforms, Q - b)
            left = lane_dot(Q - b, Q - b) - lane_dot(inside, inside)
            self._constant = left if inside.shape[1] < d else np.zeros(len(Q))
            self._inner = pipeline.quantizer._scorer(inside.astype(np.float32), "l2")
            return
        self._constant = -lane_dot(Q, b[None])
        moved: F32 = _project(pipeline.transforms, Q).astype(np.float32)
        if metric == "ip":
            self._inner = pipeline.quantizer._scorer(moved, "ip")
            return
        self._norms = np.sqrt(lane_dot(Q, Q))
        self._offset_square = float(lane_dot(b[None], b[None])[0])
        self._inner = pipeline.quantizer._scorer(moved, "ip")
        self._lengths = pipeline.quantizer._scorer(np.zeros((1, moved.shape[1]), np.float32), "l2")
        self._along = pipeline.quantizer._scorer(along, "ip") if along.any() else None

    @property
    def take(self) -> Callable[[NDArray[np.int64]], PipelineScorer] | None:
        """Gives the scorer of some of the queries, by number, where the quantizer's scorer does."""
        return None if getattr(self._inner, "take", None) is None else self._take

    @property
    def rough(self) -> Callable[[U8], F32] | None:
        """The first pass, where the quantizer's scorer has one."""
        scorers = [self._inner, *([self._lengths] if self.metric == "cosine" else [])]
        return self._rough if all(getattr(s, "rough", None) is not None for s in scorers) else None

    @property
    def first_pass(self) -> FirstPass | None:
        """What gives the same for lists of codes, where the quantizer's scorer has that."""
        inner: FirstPass | None = getattr(self._inner, "first_pass", None)
        return None if inner is None or self.metric == "cosine" else inner.plus(self._constant)

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size); smaller is closer."""
        inner: F32 = self._inner.scores(codes)
        return self._finished(inner, lambda: self._squares(codes)[None])

    def refine(self, codes: U8) -> F32:
        """Distances float32 (q, c) of codes (q, c, code_size): each query's own."""
        inner: F32 = self._inner.refine(codes)
        return self._finished(inner, lambda: self._squares(codes.reshape(-1, codes.shape[2])).reshape(codes.shape[:2]))

    def error_bars(self, codes: U8, confidence: float = 0.95) -> F32:
        """How far scores may be from the distances to what was coded, float32 (q, n), where the quantizer's scorer knows.

        What a transform in front loses, such as a KLT that drops coordinates, is not in them.

        Raises
        ------
        TypeError
            If the quantizer's scorer knows nothing of its error.
        """
        if not hasattr(self._inner, "error_bars"):
            raise TypeError(f"{type(self._inner).__name__} knows no error bars; a BinaryQuantizer's scorer does")
        bars: F32 = self._inner.error_bars(codes, confidence)
        if self.metric != "cosine":
            return bars
        squares = np.maximum(self._squares(codes), 0.0)
        of_squares = self._lengths.error_bars(codes, confidence)[0]
        if self._along is not None:
            of_squares = of_squares + 2.0 * self._along.error_bars(codes, confidence)[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine = bars / (self._norms[:, None] * np.sqrt(squares)) + of_squares / (2.0 * squares)
        return np.where(np.isfinite(cosine), np.minimum(cosine, 2.0), 2.0).astype(np.float32)

    def _take(self, numbers: NDArray[np.int64]) -> PipelineScorer:
        made = copy(self)
        made._inner, made._constant = self._inner.take(numbers), self._constant[numbers]
        if self.metric == "cosine":
            made._norms = self._norms[numbers]
        return made

    def _rough(self, codes: U8) -> F32:
        if (first := self.first_pass) is not None:
            return first.scores(codes)
        inner: F32 = self._inner.rough(codes)
        return self._finished(inner, lambda: self._squares(codes, rough=True)[None])

    def _squares(self, codes: U8, rough: bool = False) -> F32:
        """Squared norms (n,) of the reconstructions."""
        lengths, *along = [(s.rough if rough else s.scores)(codes)[0] for s in (self._lengths, self._along) if s is not None]
        square: F32 = lengths + np.float32(self._offset_square)
        return square if not along else lengths - 2.0 * along[0] + np.float32(self._offset_square)

    def _finished(self, inner: F32, squares: Callable[[], F32]) -> F32:
        if self.metric != "cosine":
            if not self._constant.any():
                return inner
            return (inner + self._constant[:, None]).astype(np.float32)
        ip = -(inner + self._constant[:, None])
        lengths = np.sqrt(np.maximum(squares(), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine = ip / (self._norms[:, None] * lengths)
        return np.where(np.isfinite(cosine), 1.0 - np.clip(cosine, -1.0, 1.0), 1.0).astype(np.float32)


def _affine_offset(transforms: Any, d: int) -> NDArray[np.float64]:
    """b of ``x̂ = A ŷ + b`` for the whole chain: ``b = A_1 (A_2 (... + b_2)) + b_1``."""
    b = np.zeros(transforms[-1].d_out if transforms else d)
    for transform in reversed(transforms):
        b = transform.lift(b[None])[0].astype(np.float64)
        if transform.offset is not None:
            b = b + transform.offset
    return b


def _project(transforms: Any, Q: NDArray[np.float64]) -> NDArray[np.float64]:
    for transform in transforms:
        Q = transform.project(Q).astype(np.float64)
    return Q
