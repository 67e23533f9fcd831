"""Training ProductQuantizer(48, 8) with 25 passes a piece on all rows; distortion over all rows."""

from __future__ import annotations

from typing import Any

from common import Contender, distortion, rows

TITLE = "train product quantizer 48 x 8 bits, 25 passes"
DATA = ("minilm-wordnet",)
M, BITS, PASSES = 48, 8, 25


def load(dataset: str, quick: bool) -> dict[str, Any]:
    return {"X": rows(dataset, quick)}


def judge(data: dict[str, Any], result: Any) -> dict[str, float]:
    encode, decode = result
    return {"mse": distortion(data["X"], decode(encode(data["X"])))}


def codeword(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)

    def train() -> Any:
        pq = cw.ProductQuantizer(M, BITS, max_iter=PASSES, tol=0.0).fit(data["X"])
        return pq.encode, pq.decode

    return train


def faiss(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)

    def train() -> Any:
        pq = faiss.ProductQuantizer(data["X"].shape[1], M, BITS)
        pq.cp.niter, pq.cp.max_points_per_centroid = PASSES, 1 << 30
        pq.train(data["X"])
        return pq.compute_codes, pq.decode

    return train


def contenders() -> list[Contender]:
    return [Contender("codeword", codeword, judge, ours=True), Contender("faiss", faiss, judge)]
