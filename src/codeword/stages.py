"""Stages of quantizers: each codes what the ones before it have left of a row. Itself a Quantizer.

    x --first--> x̂_1 --x - x̂_1: second--> x̂_2 ...;  the code is all their codes, the reconstruction the sum x̂_1 + x̂_2 + ...

Source: Juang & Gray 1982, "Multiple stage vector quantization for speech coding".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys, registry
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError

_FOLD_STREAM = 0x53544147
# With fewer rows than this, halves would say less of fresh rows than all rows do.
_FEWEST_ROWS = 64


@registry.register("stages")
class Stages(Quantizer):
    """A list of quantizers, each for the residual of those before it.

    A later stage should know the residuals of fresh rows, and those of the rows that the earlier stages were trained on are smaller. So it
    learns from residuals of rows that were held out: the earlier stages are trained on either half for the other one, and on all
    rows in the end.

    On sentence embeddings (384 numbers, 20,000 to learn from) at 48 bytes, 24 residual stages and a trellis for the rest, both behind a
    `KLT`, leave .137 of the variance of fresh rows; the trellis alone leaves .146, 48 stages alone .152 (`bench/residual.py`).

    Parameters
    ----------
    quantizers : sequence of Quantizer
        At least one; pipelines too.

    Examples
    --------
    A rough code with few bits, then a fine one for the rest:

    >>> import numpy as np, codeword as cw
    >>> random = np.random.default_rng(0)
    >>> X = (random.normal(size=(16, 24))[random.integers(0, 16, 2000)] * 4 + random.normal(size=(2000, 24))).astype("f4")
    >>> stages = cw.Stages([cw.VectorQuantizer(16), cw.TrellisQuantizer(1.0)]).fit(X)
    >>> stages.code_size, stages.encode(X).shape
    (4, (2000, 4))
    >>> stages.distortion(X).mse < cw.VectorQuantizer(16).fit(X).distortion(X).mse / 2
    True
    """

    quantizers: list[Quantizer]

    def __init__(self, quantizers: Any) -> None:
        self.quantizers = quantizers

    @property
    def code_size(self) -> int:
        return sum(q.code_size for q in self.quantizers)

    @property
    def model_bytes(self) -> int:
        self._check_fitted()
        return sum(q.model_bytes for q in self.quantizers)

    def config(self) -> dict[str, Any]:
        return {"id": self.id, "d": self.d, "quantizers": [q.config() for q in self.quantizers]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> Stages:
        d, parts = config.get("d"), config.get("quantizers")
        if not isinstance(parts, list) or not (d is None or (type(d) is int and 0 < d <= checks.MAX_DIM)):
            raise FormatError(f"Stages: 'quantizers' must be a list and 'd' a width, got {parts!r} and {d!r}")

        def part(prefix: str, config: Any) -> Any:
            return registry.from_config(config, {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})

        made = cls([part(f"quantizers.{i}.", c) for i, c in enumerate(parts)])
        try:
            made._check_parts()
        except (TypeError, ValueError) as e:
            raise FormatError(f"Stages: {e}") from e
        if d is not None:
            if any(q.d != d for q in made.quantizers):
                raise FormatError(f"Stages: expected stages of width {d}, got {[q.d for q in made.quantizers]}")
            made._spread = array(state, "column_spread", np.float32, (d,))
            made._variance = array(state, "column_variance", np.float64, (d,))
        made.d = d
        return made

    def clone(self) -> Stages:
        return type(self)([q.clone() for q in self.quantizers])

    def _fit(self, X: F32, weight: F32 | None) -> None:
        self._check_parts()
        R = X
        for i, quantizer in enumerate(self.quantizers):
            quantizer.fit(R, weight)
            if i + 1 < len(self.quantizers):
                R = self._fresh_residuals(i, R, weight)

    def _fresh_residuals(self, i: int, R: F32, weight: F32 | None) -> F32:
        """What stage `i` would leave of the rows `R` (n, d) that it learned from, had it not."""
        quantizer, n = self.quantizers[i], len(R)
        used = np.arange(n) if weight is None else np.flatnonzero(weight > 0)
        first = used[keys.sample(0, _FOLD_STREAM + i, len(used), len(used) // 2)]
        fold = np.zeros(n, np.bool_)
        fold[first] = True
        left = R - quantizer.decode(quantizer.encode(R))
        if len(used) < _FEWEST_ROWS:
            return left
        for rows in (fold, ~fold):
            try:
                twin = quantizer.clone().fit(R[~rows], None if weight is None else weight[~rows])
            except ValueError:  # it needs more rows than half of them
                return left
            left[rows] = R[rows] - twin.decode(twin.encode(R[rows]))
        return left

    def _encode(self, X: F32) -> U8:
        parts = []
        for quantizer in self.quantizers:
            parts.append(quantizer.encode(X))
            X = X - quantizer.decode(parts[-1])
        return np.concatenate(parts, axis=1)

    def _decode(self, codes: U8) -> F32:
        total: F32 | None = None
        for quantizer, part in self._parts(codes):
            rows = quantizer.decode(part)
            total = rows if total is None else total + rows
        assert total is not None
        return total

    def _scorer(self, queries: F32, metric: str) -> Any:
        from codeword.scorers import SumScorer

        if any(q.estimates for q in self.quantizers):
            return super()._scorer(queries, metric)  # an estimate of the row plus a product with a reconstruction is neither

        scorers = [q.scorer(queries, "ip") for q in self.quantizers]

        def products(codes: U8) -> F32:
            scores: list[NDArray[np.float32]] = [s.scores(part) for s, (_, part) in zip(scorers, self._parts(codes), strict=True)]
            total = scores[0]
            for more in scores[1:]:
                total = total + more
            return total

        return SumScorer(products, self._decode, queries, metric)

    def _parts(self, codes: U8) -> Iterator[tuple[Quantizer, U8]]:
        """Each stage with its columns of `codes` (n, code_size)."""
        start = 0
        for quantizer in self.quantizers:
            stop = start + quantizer.code_size
            yield quantizer, np.ascontiguousarray(codes[:, start:stop])
            start = stop

    def _state(self) -> State:
        return {f"quantizers.{i}.{key}": a for i, q in enumerate(self.quantizers) for key, a in q.state().items()}

    def _check_parts(self) -> None:
        if not isinstance(self.quantizers, (list, tuple)) or not all(isinstance(q, Quantizer) for q in self.quantizers):
            raise TypeError(f"quantizers: expected a list of quantizers, got {self.quantizers!r}")
        if not self.quantizers:
            raise ValueError("quantizers: expected at least one quantizer, got none")
