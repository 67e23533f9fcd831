"""Training ProductQuantizer(48, 8), each library with its default passes on all rows given; distortion over all rows."""

from __future__ import annotations

from typing import Any

from common import Contender, distortion, rows

TITLE = "train product quantizer 48 x 8 bits, default passes"
DATA = ("minilm-wordnet", "minilm-wordnet, 10,000 rows")
M, BITS = 48, 8


def load(dataset: str, quick: bool) -> dict[str, Any]:
    X = rows(dataset.partition(",")[0], quick)
    return {"X": X, "training": X[:10_000] if "10,000" in dataset else X}


def judge(data: dict[str, Any], result: Any) -> dict[str, float]:
    encode, decode = result
    return {"mse": distortion(data["X"], decode(encode(data["X"])))}


def codeword(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)

    def train() -> Any:
        pq = cw.ProductQuantizer(M, BITS).fit(data["training"])
        return pq.encode, pq.decode

    return train


def faiss(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)

    def train() -> Any:
        pq = faiss.ProductQuantizer(data["X"].shape[1], M, BITS)
        pq.train(data["training"])
        return pq.compute_codes, pq.decode

    return train


def contenders() -> list[Contender]:
    return [Contender("codeword", codeword, judge, ours=True), Contender("faiss", faiss, judge)]
