"""Would a graph over our codes beat lists of them? How many codes each compares for a recall of what an exhaustive search of them finds.

python bench/graph.py [--rows 100000] [--data minilm-wordnet]

The graph is faiss's HNSW on the vectors that the codes give back, its searches counted by faiss; the lists are those of an `Index`.
`pip install faiss-cpu`. Comparisons of a list are of neighbours in memory, 64 bytes after 64 bytes; those of a graph are each somewhere else.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("CODEWORD_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from common import rows
from grow import grown

import codeword as cw

K, QUERIES, ALONE = 10, 500, 50
BUILD = 100  # width of the search that the graph is built by


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--data", default="minilm-wordnet")
    parser.add_argument("--links", type=int, nargs="*", default=[16, 32])
    options = parser.parse_args()
    X = np.ascontiguousarray(grown(options.data, max(options.rows, 1_000_000))[: options.rows])
    queries = rows(options.data, False, "queries")[:QUERIES]
    quantizer = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill", effort="fast")).fit(X[::5])
    index = cw.Index(quantizer, lists="auto", factors=False).fit(X).add(X)
    truth = index.search(queries, K, recall=1).ids
    print(
        f"{len(X):,} vectors in {index.stats()['lists']['count']} lists; codes compared a query, CPU us a query in a batch and alone"
    )
    for effort in (2, 4, 8, 12, 16, 24, 32, 48, 64, 96):
        (taken, found), alone = _timed(lambda Q, e=effort: index.search(Q, K, effort=e), queries)
        _show(f"lists, {effort} looked into", cw.recall(found.ids, truth, K), float(found.counters.codes.mean()), taken, alone)
    if options.links:
        _graphs(quantizer.decode(quantizer.encode(X)), queries, truth, options.links)


def _graphs(vectors: Any, queries: Any, truth: Any, numbers: list[int]) -> None:
    import faiss

    faiss.omp_set_num_threads(1)
    for links in numbers:
        graph = faiss.IndexHNSWFlat(vectors.shape[1], links)
        graph.hnsw.efConstruction = BUILD
        start = time.process_time()
        graph.add(vectors)
        print(f"graph of {links} links built in {time.process_time() - start:.0f} s of CPU", flush=True)
        for width in (10, 20, 40, 80, 160, 320):
            graph.hnsw.efSearch = width
            stats = faiss.cvar.hnsw_stats
            stats.reset()
            graph.search(queries, K)
            compared = stats.ndis / len(queries)
            (taken, found), alone = _timed(lambda Q, g=graph: g.search(Q, K), queries)
            _show(f"graph, {links} links, width {width}", cw.recall(found[1], truth, K), compared, taken, alone)


def _timed(run: Callable[[Any], Any], queries: Any) -> tuple[tuple[float, Any], float]:
    """Microseconds of CPU a query in a batch, with what was found, and for some queries one at a time."""
    start = time.process_time()
    found = run(queries)
    batch = time.process_time()
    for i in range(ALONE):
        run(queries[i : i + 1])
    return ((batch - start) / len(queries) * 1e6, found), (time.process_time() - batch) / ALONE * 1e6


def _show(name: str, recall: float, codes: float, batch: float, alone: float) -> None:
    print(f"  {name:28s} recall {recall:.4f} {codes:10,.0f} {batch:9.0f} {alone:9.0f}", flush=True)


if __name__ == "__main__":
    main()
