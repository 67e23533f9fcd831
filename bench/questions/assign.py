"""Nearest of 1,024 codewords for every row: the step that training and encoding spend their time in."""

from __future__ import annotations

from typing import Any

from common import Contender, mean_squared_error, rows

TITLE = "assign rows to 1,024 codewords"
DATA = ("minilm-wordnet", "sift-kodak")
K = 1024


def load(dataset: str, quick: bool) -> dict[str, Any]:
    X = rows(dataset, quick)
    return {"X": X, "codebook": X[:: len(X) // K][:K].copy()}


def judge(data: dict[str, Any], labels: Any) -> dict[str, float]:
    X, codebook = data["X"], data["codebook"]
    return {"Gop": 2e-9 * X.size * K, "mse": mean_squared_error(X, codebook, labels)}


def codeword(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)
    vq = cw.VectorQuantizer.from_codebook(data["codebook"])
    return lambda: vq.indices(vq.encode(data["X"]))[:, 0]


def faiss(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(data["X"].shape[1])
    index.add(data["codebook"])
    return lambda: index.search(data["X"], 1)[1][:, 0]


def sklearn(data: dict[str, Any], threads: int) -> Any:
    from sklearn.metrics import pairwise_distances_argmin

    return lambda: pairwise_distances_argmin(data["X"], data["codebook"])


def scipy(data: dict[str, Any], threads: int) -> Any:
    from scipy.cluster.vq import vq

    return lambda: vq(data["X"], data["codebook"])[0]


def contenders() -> list[Contender]:
    return [
        Contender("codeword", codeword, judge, ours=True),
        Contender("faiss IndexFlatL2", faiss, judge),
        Contender("scikit-learn", sklearn, judge),
        Contender("SciPy vq", scipy, judge),
    ]
