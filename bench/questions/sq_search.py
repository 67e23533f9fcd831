"""Scalar codes of 8 and 4 bits a dimension: encoding 40,000 rows and exhaustive search of 1,000 queries, 10 neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from common import Contender, data_folder, rows

TITLE = "encode and search scalar codes, k = 10"
DATA = ("minilm-wordnet",)
K = 10
TRAINING_ROWS = 10_000


def load(dataset: str, quick: bool) -> dict[str, Any]:
    truth = np.load(data_folder() / dataset / "gt_l2.npy")[:, :K]
    return {"X": rows(dataset, False), "Q": rows(dataset, quick, "queries"), "truth": truth}


def judge(data: dict[str, Any], ids: Any) -> dict[str, float]:
    found = [len(set(a) & set(b)) for a, b in zip(ids, data["truth"], strict=True)]
    return {"recall@10": float(np.mean(found)) / K}


def codeword(bits: int, factors: bool) -> Any:
    def prepare(data: dict[str, Any], threads: int) -> Any:
        import codeword as cw

        cw.set_threads(threads)
        sq = cw.ScalarQuantizer(bits).fit(data["X"][:TRAINING_ROWS])

        def run() -> Any:
            return cw.Index(sq, factors=factors).add(data["X"]).search(data["Q"], K).ids

        return run

    return prepare


def faiss(bits: int) -> Any:
    def prepare(data: dict[str, Any], threads: int) -> Any:
        import faiss

        faiss.omp_set_num_threads(threads)
        kind = {8: faiss.ScalarQuantizer.QT_8bit, 4: faiss.ScalarQuantizer.QT_4bit}[bits]
        index = faiss.IndexScalarQuantizer(data["X"].shape[1], kind)
        index.train(data["X"][:TRAINING_ROWS])

        def run() -> Any:
            index.reset()
            index.add(data["X"])
            return index.search(data["Q"], K)[1]

        return run

    return prepare


def contenders() -> list[Contender]:
    return [
        Contender("codeword, 8 bits", codeword(8, False), judge, ours=True),
        Contender("faiss SQ8", faiss(8), judge),
        Contender("codeword, 4 bits", codeword(4, False), judge),
        Contender("codeword, 4 bits with factors", codeword(4, True), judge),
        Contender("faiss SQ4", faiss(4), judge),
    ]
