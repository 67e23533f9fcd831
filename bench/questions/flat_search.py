"""Exhaustive search of 48-byte codes: recall and speed of a flat index, 1,000 queries at once, 10 neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Contender, data_folder, rows

TITLE = "flat search of product codes, 48 x 8 bits, k = 10"
DATA = ("minilm-wordnet",)
M, BITS, K = 48, 8, 10


def load(dataset: str, quick: bool) -> dict[str, Any]:
    truth = np.load(data_folder() / dataset / "gt_l2.npy")[:, :K]
    return {"X": rows(dataset, False), "Q": rows(dataset, quick, "queries"), "truth": truth}


def judge(data: dict[str, Any], ids: Any) -> dict[str, float]:
    found = [len(set(a) & set(b)) for a, b in zip(ids, data["truth"], strict=True)]
    return {"recall@10": float(np.mean(found)) / K}


def codeword(factors: bool) -> Any:
    def prepare(data: dict[str, Any], threads: int) -> Any:
        import codeword as cw

        cw.set_threads(threads)
        index = cw.Index(cw.ProductQuantizer(M, BITS).fit(data["X"]), factors=factors)
        index.add(data["X"])
        return lambda: index.search(data["Q"], K).ids

    return prepare


def exact(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw
    from codeword.metrics import exact_search

    cw.set_threads(threads)
    return lambda: exact_search(data["X"], data["Q"], K)[0]


def faiss_pq(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexPQ(data["X"].shape[1], M, BITS)
    index.train(data["X"])
    index.add(data["X"])
    return lambda: index.search(data["Q"], K)[1]


def faiss_flat(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(data["X"].shape[1])
    index.add(data["X"])
    return lambda: index.search(data["Q"], K)[1]


def contenders() -> list[Contender]:
    return [
        Contender("codeword, 48 B", codeword(False), judge, ours=True),
        Contender("codeword, 50 B with factors", codeword(True), judge),
        Contender("faiss IndexPQ, 48 B", faiss_pq, judge),
        Contender("codeword exact_search, 1536 B", exact, judge),
        Contender("faiss IndexFlatL2, 1536 B", faiss_flat, judge),
    ]
