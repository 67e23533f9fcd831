"""ScaledQuantizer: a row's distance from the mean, in spreads of the columns, in a byte; the row over that, by any quantizer.

    x (d,) --s = root of mean_j (x_j - mean_j)² / spread_j², nearest level--> (x - mean) / s --quantizer--> code
    byte of s | code --> x̂ = mean + s ŷ (d,)

A quantizer that knows the variance of its columns serves rows of an ordinary size; where sizes differ, small rows waste its range and
large ones leave it. Columns that vary rarely but then much are tamed with the rows that do it.

Source: Wainwright & Simoncelli 2000, "Scale mixtures of Gaussians" (data as a Gaussian times a scale of its own); Sabin & Gray 1984
(gain and shape; here the gain is known before the shape is chosen, so that any quantizer can code it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, registry
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.lanes import lane_dot, lane_sum
from codeword.training.levels import thresholds
from codeword.training.moments import ColumnMoments
from codeword.training.side_levels import log_levels

F64 = NDArray[np.float64]
EFFORTS = ("fast", "default", "best")
# Scales that are tried, by the one that the row's size suggests.
_TRIES = {"fast": (1.0,), "default": (1.0, 1.25, 0.8), "best": (1.0, 1.25, 0.8, 1.12, 0.89, 1.5)}
# Columns with less variance than this share of the mean variance count no more than if they had it: they are noise.
_LEAST_SPREAD = 0.01
_ONE_BYTE = np.array([8], np.uint8)


@registry.register("scaled")
class ScaledQuantizer(Quantizer):
    """One byte for the scale of a row, then a quantizer for the row divided by it.

    On pixels of digits (784 numbers) at 4 bits a dimension, trellis codes behind a `KLT` leave a fifth of what they leave without the
    byte (`python bench/rate_distortion.py --members --data mnist784 --rates 4 --only "KLT +"`). Where all rows have about the same size in spreads, the byte is better spent in the code.

    Parameters
    ----------
    quantizer : Quantizer
        What codes the scaled rows; `fit` fits it. A `KLT` belongs in front of this quantizer, so that columns can be told apart:
        ``Pipeline([KLT()], ScaledQuantizer(TrellisQuantizer(2.0, allocation="waterfill")))``.
    effort : {"fast", "default", "best"}
        Scales that are tried for each row, 1, 3 or 6 of them: the one that loses least is kept. Encoding takes as many times as long,
        decoding the same.

    Attributes
    ----------
    mean, spread : ndarray (d,) float32
        Of the columns.
    levels : ndarray (256,) float32
        Scales that a byte can name, rising.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(4000, 32)) * random.lognormal(sigma=1.0, size=(4000, 1))
    >>> plain, scaled = cw.TrellisQuantizer(2.25).fit(X), cw.ScaledQuantizer(cw.TrellisQuantizer(2.0)).fit(X)
    >>> plain.code_size, scaled.code_size
    (9, 9)
    >>> bool(scaled.distortion(X).mse < 0.7 * plain.distortion(X).mse)
    True
    """

    mean: F32
    spread: F32
    levels: F32

    def __init__(self, quantizer: Quantizer, *, effort: str = "default") -> None:
        self.quantizer = quantizer
        self.effort = effort

    @property
    def code_size(self) -> int:
        return 1 + self.quantizer.code_size

    @property
    def model_bytes(self) -> int:
        self._check_fitted()
        return self.mean.nbytes + self.spread.nbytes + self.levels.nbytes + self.quantizer.model_bytes

    def scales(self, codes_: Any) -> F32:
        """The scales (n,) float32 that `codes` (n, code_size) name."""
        self._check_fitted()
        return self.levels[checks.codes(codes_, self.code_size)[:, 0]]

    def config(self) -> dict[str, Any]:
        return {"id": self.id, "d": self.d, "params": {"effort": self.effort}, "quantizer": self.quantizer.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> ScaledQuantizer:
        params = config.get("params")
        if not isinstance(params, Mapping):
            raise FormatError(f"ScaledQuantizer: 'params' must be a mapping, got {params!r}")
        inner = registry.from_config(
            config.get("quantizer", {}), {k.partition(".")[2]: v for k, v in state.items() if k.startswith("quantizer.")}
        )
        made = super().from_config({**config, "params": {**params, "quantizer": inner}}, state)
        if not isinstance(inner, Quantizer) or inner.d != made.d:
            raise FormatError(f"ScaledQuantizer: expected a quantizer of rows of width {made.d}, got {inner!r}")
        return made

    def _fit(self, X: F32, weight: F32 | None) -> None:
        checks.choice(self.effort, "effort", EFFORTS)
        if not isinstance(self.quantizer, Quantizer):
            raise TypeError(f"quantizer: expected a quantizer, got {self.quantizer!r}")
        moments = ColumnMoments.of(X, weight)
        least = _LEAST_SPREAD * float(lane_sum(moments.variance[None])[0]) / len(moments.variance)
        variance = np.maximum(moments.variance, least)
        spread = np.sqrt(np.where(variance > 0, variance, 1.0)).astype(np.float32)
        self._set(moments.mean.astype(np.float32), spread, np.ones(256, np.float32))
        sizes = self._sizes(X)
        self._set(self.mean, spread, log_levels(sizes if weight is None else sizes[weight > 0]))
        scales = self.levels[self._numbers(sizes)]
        # An error counts by the square of the scale that multiplies it.
        mass = scales * scales if weight is None else scales * scales * weight
        if not mass.any():
            mass = np.ones(len(X), np.float32) if weight is None else weight
        self.quantizer.fit(self._scaled(X, scales), (mass / mass.max()).astype(np.float32))

    def _set(self, mean: F32, spread: F32, levels: F32) -> None:
        self.mean, self.spread, self.levels = mean, spread, levels
        self._thresholds = thresholds(levels[None])

    def _sizes(self, X: F32) -> F64:
        """Root mean square (n,) of the columns of the rows `X` (n, d), each over its spread."""
        Y = np.ascontiguousarray((X - self.mean) / self.spread)
        sizes: F64 = np.sqrt(lane_dot(Y, Y) / X.shape[1])
        return sizes

    def _numbers(self, sizes: F64) -> U8:
        """Numbers (n,) of the levels nearest to `sizes` (n,)."""
        return _native.encode_levels(np.ascontiguousarray(sizes[:, None], np.float32), _ONE_BYTE, self._thresholds)[:, 0]

    def _scaled(self, X: F32, scales: F32) -> F32:
        inverse = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=scales > 0)
        return np.ascontiguousarray((X - self.mean) * inverse[:, None])

    def _encode(self, X: F32) -> U8:
        sizes = self._sizes(X)
        codes = np.zeros((len(X), self.code_size), np.uint8)
        least = np.full(len(X), np.inf)
        for factor in _TRIES[checks.choice(self.effort, "effort", EFFORTS)]:
            numbers = self._numbers(sizes * factor)
            tried = np.concatenate([numbers[:, None], self.quantizer.encode(self._scaled(X, self.levels[numbers]))], axis=1)
            error = X - self._decode(tried)
            loss = lane_dot(error, error)
            better = loss < least
            codes[better], least[better] = tried[better], loss[better]
        return codes

    def _decode(self, codes_: U8) -> F32:
        rows = self.quantizer.decode(np.ascontiguousarray(codes_[:, 1:]))
        return np.asarray(self.mean + rows * self.levels[codes_[:, 0], None], np.float32)

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import SumScorer

        if self.quantizer.estimates:
            return super()._scorer(queries, metric)  # scores of its own estimates are no inner products of reconstructions
        along = lane_dot(queries, self.mean[None]).astype(np.float32)
        products = ScaledScorer(self.quantizer.scorer(queries, "ip"), self.levels, along)
        return products if metric == "ip" else SumScorer(products.scores, self._decode, queries, metric)

    def _state(self) -> State:
        inner = {f"quantizer.{key}": a for key, a in self.quantizer.state().items()}
        return {"mean": self.mean, "spread": self.spread, "levels": self.levels, **inner}

    def _load(self, state: State) -> None:
        checks.choice(self.effort, "effort", EFFORTS)
        shape = (self.d,)
        mean, spread = array(state, "mean", np.float32, shape), array(state, "spread", np.float32, shape)
        levels = array(state, "levels", np.float32, (256,))
        if (spread <= 0).any() or levels[0] < 0 or (np.diff(levels) < 0).any():
            raise FormatError("expected spreads above 0 and levels of at least 0 that rise")
        self._set(mean, spread, levels)


class ScaledScorer:
    """Inner products with rows over a scale, ``-<q, x̂> = -s <q, ŷ> - <q, mean>``, in as many passes as the inner scorer has.

    Other distances need norms of reconstructions, which cost more than a first pass saves; an index with side data needs none.

    Parameters
    ----------
    inner : object
        Scorer of the scaled rows, for "ip".
    levels : ndarray (256,) float32
    along : ndarray (q,) float32
        Inner products of the queries with the mean.
    """

    metric = "ip"

    def __init__(self, inner: Any, levels: F32, along: F32) -> None:
        self._inner, self._levels, self._along = inner, levels, along

    @property
    def rough(self) -> Callable[[U8], F32] | None:
        """The first pass, where the inner scorer has one; then `refine` works too."""
        return None if getattr(self._inner, "rough", None) is None else self._rough

    @property
    def take(self) -> Callable[[NDArray[np.int64]], ScaledScorer] | None:
        """Gives the scorer of some of the queries, by number, where the inner scorer does."""
        return None if getattr(self._inner, "take", None) is None else self._take

    def scores(self, codes: U8) -> F32:
        """Distances float32 (q, n) of `codes` (n, code_size)."""
        return self._finished(self._inner.scores, codes)

    def refine(self, codes: U8) -> F32:
        """Distances float32 (q, c) of codes (q, c, code_size): each query's own."""
        return self._finished(self._inner.refine, codes)

    def _rough(self, codes: U8) -> F32:
        return self._finished(self._inner.rough, codes)

    def _take(self, numbers: NDArray[np.int64]) -> ScaledScorer:
        return ScaledScorer(self._inner.take(numbers), self._levels, self._along[numbers])

    def _finished(self, score: Callable[[U8], F32], codes: U8) -> F32:
        scores = score(np.ascontiguousarray(codes[..., 1:]))
        return np.asarray(scores * self._levels[codes[..., 0]] - self._along[:, None], np.float32)
