"""k-means of every library for bench/training.py: `train(X, k, passes, seed, threads)` gives a codebook (k, d).

Each is asked for all rows and the given passes, without early stops, unless its name says otherwise. Add one: a function and a line
in `TRAINERS`, with the passes it is asked for: several, so that the time at which it reaches a distortion can be read off.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

ALL_ROWS = 1 << 30


class Trainer(NamedTuple):
    """One library's way; `narrowest` is the least d that it takes."""

    train: Callable[[Any, int, int, int, int], Any]
    passes: tuple[int, ...]
    ours: bool = False
    narrowest: int = 1


def codeword(X: Any, k: int, passes: int, seed: int, threads: int) -> Any:
    import codeword as cw

    cw.set_threads(threads)
    return cw.VectorQuantizer(k, max_iter=passes, tol=0.0, seed=seed).fit(X).codebook


def faiss(X: Any, k: int, passes: int, seed: int, threads: int, kind: str = "Kmeans", **options: Any) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    kmeans = getattr(faiss, kind)(X.shape[1], k, niter=passes, seed=seed + 1, **options)
    kmeans.train(X)
    return kmeans.centroids


def faiss_all(*arguments: Any) -> Any:
    return faiss(*arguments, max_points_per_centroid=ALL_ROWS, min_points_per_centroid=1)


def faiss_super(*arguments: Any) -> Any:
    return faiss(*arguments, kind="SuperKmeans", max_points_per_centroid=ALL_ROWS)


def superkmeans(X: Any, k: int, passes: int, seed: int, threads: int, hierarchical: bool = False) -> Any:
    from superkmeans import SuperKMeans

    how = {"iters": passes}
    if hierarchical:
        how = {"iters_mesoclustering": 3, "iters_fineclustering": 5, "iters_refinement": passes}
    return SuperKMeans(
        k,
        X.shape[1],
        hierarchical=hierarchical,
        quantizer="f32",
        sampling_fraction=1.0,
        max_points_per_cluster=ALL_ROWS,
        n_threads=threads,
        seed=seed + 1,
        early_termination=False,
        **how,
    ).train(X)


def superkmeans_hierarchical(*arguments: Any) -> Any:
    return superkmeans(*arguments, hierarchical=True)


def rabitqlib(X: Any, k: int, passes: int, seed: int, threads: int, kind: str = "RaBitQKMeans") -> Any:
    import numpy as np
    import rabitqlib as library

    kmeans = getattr(library, kind)(X.shape[1], k, niter=passes, num_threads=threads, seed=seed + 1)
    kmeans.train(X)
    return np.array(kmeans.centroids)


def rabitqlib_graph(*arguments: Any) -> Any:
    return rabitqlib(*arguments, kind="QGKMeans")


def sklearn(X: Any, k: int, passes: int, seed: int, threads: int) -> Any:
    from sklearn.cluster import KMeans

    warnings.simplefilter("ignore")  # of passes that do not converge
    return KMeans(k, init="random", n_init=1, max_iter=passes, tol=0, random_state=seed).fit(X).cluster_centers_


def fastkmeans(X: Any, k: int, passes: int, seed: int, threads: int) -> Any:
    import torch
    from fastkmeans import FastKMeans

    torch.set_num_threads(threads)
    kmeans = FastKMeans(
        X.shape[1],
        k,
        niter=passes,
        gpu=False,
        device="cpu",
        use_triton=False,
        pin_gpu_memory=False,
        seed=seed,
        tol=0,
        max_points_per_centroid=None,
    )
    kmeans.train(X)
    return kmeans.centroids


TRAINERS = {
    "codeword": Trainer(codeword, (2, 3, 4, 6, 8, 10, 12, 14, 16, 20), ours=True),
    "faiss Kmeans, all rows": Trainer(faiss_all, (5, 10, 20)),
    "faiss Kmeans, 256 rows a codeword": Trainer(faiss, (20,)),
    "faiss SuperKmeans": Trainer(faiss_super, (10, 20), narrowest=32),
    "superkmeans": Trainer(superkmeans, (5, 10, 20)),
    "superkmeans, hierarchical": Trainer(superkmeans_hierarchical, (2, 5, 10, 20)),
    "rabitqlib RaBitQKMeans": Trainer(rabitqlib, (10, 20), narrowest=64),
    "rabitqlib QGKMeans": Trainer(rabitqlib_graph, (10, 20), narrowest=64),
    "scikit-learn KMeans": Trainer(sklearn, (10, 20)),
    "fastkmeans": Trainer(fastkmeans, (10, 20)),
}
