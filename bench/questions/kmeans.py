"""k-means with 1,024 codewords and 20 passes over all rows, seeding included; distortion over all rows."""

from __future__ import annotations

from typing import Any

from common import Contender, mean_squared_error, rows

TITLE = "k-means, k = 1,024, 20 passes"
DATA = ("minilm-wordnet", "sift-kodak")
K, PASSES = 1024, 20


def load(dataset: str, quick: bool) -> dict[str, Any]:
    return {"X": rows(dataset, quick)}


def judge(data: dict[str, Any], codebook: Any) -> dict[str, float]:
    import codeword as cw

    vq = cw.VectorQuantizer.from_codebook(codebook)
    return {"mse": mean_squared_error(data["X"], vq.codebook, vq.indices(vq.encode(data["X"]))[:, 0])}


def codeword(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)
    return lambda: cw.VectorQuantizer(K, max_iter=PASSES, tol=0.0).fit(data["X"]).codebook


def codeword_random(data: dict[str, Any], threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)
    return lambda: cw.VectorQuantizer(K, max_iter=PASSES, tol=0.0, seeding="random").fit(data["X"]).codebook


def faiss(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    d = data["X"].shape[1]

    def train() -> Any:
        kmeans = faiss.Kmeans(d, K, niter=PASSES, max_points_per_centroid=1 << 30, min_points_per_centroid=1)
        kmeans.train(data["X"])
        return kmeans.centroids

    return train


def sklearn(data: dict[str, Any], threads: int) -> Any:
    from sklearn.cluster import KMeans

    def train() -> Any:
        return KMeans(K, init="random", n_init=1, max_iter=PASSES, tol=0.0, random_state=0).fit(data["X"]).cluster_centers_

    return train


def contenders() -> list[Contender]:
    return [
        Contender("codeword", codeword, judge, ours=True),
        Contender("codeword, random seeding", codeword_random, judge),
        Contender("faiss Kmeans", faiss, judge),
        Contender("scikit-learn KMeans, random", sklearn, judge),
    ]
