"""The module that ann-benchmarks asks for: `Codeword` has its `BaseANN`'s methods (Aumüller, Bernhardsson & Faithfull 2020).

In its `config.yml`: ``constructor: Codeword``, ``module: codeword.search.ann_benchmarks``, ``args: ["@metric", 2.0, "float16"]`` and
``query_args: [[0.5, 0.9, 0.95, 0.99]]``, the recalls that are asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.pipeline import Pipeline
from codeword.quantizers.trellis import TrellisQuantizer
from codeword.search.index import Index
from codeword.transforms.klt import KLT

METRICS = {"euclidean": "l2", "angular": "cosine"}


class Codeword:
    """An index behind ann-benchmarks' names.

    Parameters
    ----------
    metric : {"euclidean", "angular"}
    bits : float
        Bits a dimension of the trellis code.
    refine : str, optional
        As in `Index`.

    Examples
    --------
    >>> import numpy as np
    >>> made = Codeword("euclidean", 4.0)
    >>> X = np.random.default_rng(0).normal(size=(1000, 16)).astype("f4")
    >>> made.fit(X)
    >>> made.set_query_arguments(0.95)
    >>> made.batch_query(X[:2], 3)
    >>> made.query(X[7], 3)[0], made.get_batch_results()[:, 0].tolist()
    (7, [0, 1])
    """

    def __init__(self, metric: str, bits: float = 2.0, refine: str | None = None) -> None:
        if metric not in METRICS:
            raise ValueError(f"metric: expected one of {', '.join(METRICS)}, got {metric!r}")
        self._metric, self._bits, self._refine, self._recall = METRICS[metric], float(bits), refine, 0.95
        self.name = f"codeword(bits={bits}, refine={refine})"

    def fit(self, X: NDArray[Any]) -> None:
        """Build the index of rows `X` (n, d)."""
        quantizer = Pipeline([KLT()], TrellisQuantizer(self._bits, allocation="waterfill"))
        self._index = Index(quantizer, self._metric, lists="auto", refine=self._refine).fit(X).add(X).tune()

    def set_query_arguments(self, recall: float) -> None:
        """What share of the neighbours the next queries ask for."""
        self._recall = float(recall)

    def query(self, v: NDArray[Any], n: int) -> list[int]:
        """Ids of the n nearest rows to `v` (d,)."""
        ids: list[int] = self._index.search(np.asarray(v)[None], n, recall=self._recall).ids[0].tolist()
        return ids

    def batch_query(self, X: NDArray[Any], n: int) -> None:
        """Answer queries `X` (q, d) at once, for `get_batch_results`."""
        self._found = self._index.search(X, n, recall=self._recall).ids

    def get_batch_results(self) -> NDArray[np.int64]:
        """Ids (q, n) of the last batch."""
        return np.asarray(self._found)

    def get_memory_usage(self) -> float:
        """KiB that the index takes."""
        return float((self._index.stats()["nbytes"] + self._index.model_bytes) / 1024)

    def done(self) -> None:
        """Nothing is left to be closed."""

    def __str__(self) -> str:
        return self.name
