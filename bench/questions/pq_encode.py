"""Encoding with ProductQuantizer(48, 8): each library encodes with a codebook that it trained itself on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Contender, distortion, rows

TITLE = "encode with product quantizer 48 x 8 bits"
DATA = ("minilm-wordnet",)
M, BITS = 48, 8
TRAINING_ROWS = 10_000


def load(dataset: str, quick: bool) -> dict[str, Any]:
    return {"X": rows(dataset, quick)}


def judge(data: dict[str, Any], result: Any) -> dict[str, float]:
    codes, decode = result
    return {"mse": distortion(data["X"], decode(codes))}


def codeword(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)
    pq = cw.ProductQuantizer(M, BITS).fit(data["X"][:TRAINING_ROWS])
    return lambda: (pq.encode(data["X"]), pq.decode)


def faiss(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    pq = faiss.ProductQuantizer(data["X"].shape[1], M, BITS)
    pq.train(data["X"][:TRAINING_ROWS])
    return lambda: (pq.compute_codes(data["X"]), pq.decode)


def scipy(data: dict[str, Any], threads: int) -> Any:
    """SciPy has no product quantizer: its vq on each piece, with our codebooks."""
    from scipy.cluster.vq import vq

    import codeword as cw

    pieces = cw.ProductQuantizer(M, BITS).fit(data["X"][:TRAINING_ROWS]).codebooks
    width = data["X"].shape[1] // M

    def encode() -> Any:
        X = data["X"]
        codes = np.stack([vq(X[:, i * width : (i + 1) * width], c)[0] for i, c in enumerate(pieces)], axis=1)
        return codes, lambda codes: np.concatenate([c[codes[:, i]] for i, c in enumerate(pieces)], axis=1)

    return encode


def contenders() -> list[Contender]:
    return [
        Contender("codeword", codeword, judge, ours=True),
        Contender("faiss", faiss, judge),
        Contender("SciPy vq by piece", scipy, judge),
    ]
