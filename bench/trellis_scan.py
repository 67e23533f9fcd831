"""How fast trellis codes are scanned, beside faiss' PQ4 fast scan and turbovec: one core, process time, best of interleaved runs.

    python bench/trellis_scan.py [--d 384] [--runs 7] [--isa avx2] [--json FILE]

ns a vector and query, of codes in the cache (2,000 rows) and in memory (100,000): our first pass alone (`rough`), and whole searches
for the 10 nearest by inner product (of 2,000 rows a search scores 62 again: most of its time). Peers that are not installed are left out. Rows are Gaussian: nothing here depends on data.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codeword as cw
from codeword import _native, runtime
from codeword.search import flat

F32 = NDArray[np.float32]
K = 10


def ours(X: F32, Q: F32, bits: int) -> dict[str, Callable[[], object]]:
    quantizer = cw.TrellisQuantizer(bits, effort="fast").fit(X[:4000])
    few = quantizer.encode(X[: min(len(X), 4000)])
    codes = np.ascontiguousarray(np.tile(few, (len(X) // len(few), 1)))  # the time of a scan does not depend on what is coded
    scorer = quantizer.scorer(Q, "ip")
    return {"ours, first pass": lambda: scorer.rough(codes), "ours, search": lambda: flat.scan(quantizer, codes, Q, K, "ip")}


def faiss_fast_scan(X: F32, Q: F32, bits: int) -> dict[str, Callable[[], object]]:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexPQFastScan(X.shape[1], X.shape[1] * bits // 4, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.niter = 1
    index.train(X[:2000])
    index.add(X)
    return {"faiss PQ4 fast scan": lambda: index.search(Q, K)}


def turbovec(X: F32, Q: F32, bits: int) -> dict[str, Callable[[], object]]:
    os.environ["RAYON_NUM_THREADS"] = "1"
    import turbovec

    if bits not in (2, 4):
        return {}
    index = turbovec.TurboQuantIndex(X.shape[1], bits)
    index.add(X)
    index.prepare()
    return {"turbovec": lambda: index.search(Q, K)}


def best(runs: int, contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least process time of each, run in turns."""
    least = dict.fromkeys(contenders, float("inf"))
    for _ in range(runs):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            least[name] = min(least[name], time.process_time() - start)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d", type=int, default=384)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--isa", help="of ours; by default the best there is")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    runtime.set_threads(1)
    if arguments.isa:
        _native.set_isa(arguments.isa)
    results: list[dict[str, Any]] = []
    random = np.random.default_rng(0)
    print(f"ISA {runtime.isa()}, d = {arguments.d}, ns a vector and query")
    for n in (2000, 100_000):
        X, all_queries = (random.normal(size=(m, arguments.d)).astype(np.float32) for m in (n, 256))
        for bits in (1, 2, 4):
            for q in (1, 32, 256):
                contenders: dict[str, Callable[[], object]] = {}
                for make in (ours, faiss_fast_scan, turbovec):
                    try:
                        contenders.update(make(X, all_queries[:q], bits))
                    except ImportError as e:
                        print(e)
                times = {name: round(t / n / q * 1e9, 2) for name, t in best(arguments.runs, contenders).items()}
                results.append({"n": n, "bits": bits, "queries": q, **times})
                print(f"{n:7} rows {bits} bits {q:4} queries  " + "  ".join(f"{k} {v:6.2f}" for k, v in times.items()), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
