"""What `cw.plan` foresees beside what it turns out to be: bytes, CPU seconds of building, queries a second in batches and one at a time.

python bench/plan.py [minilm-wordnet sift-kodak mnist784] [--quick]

Predicted over measured, 1 is right; building is measured on all rows, searches on queries that were held out, at the recall of .95.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("CODEWORD_THREADS", "1")

import numpy as np
from common import rows

import codeword as cw

K, BATCH, SINGLE = 10, 256, 40
DESIGNS: dict[str, tuple[Callable[[int], Any], str | int | None]] = {
    "trellis 2 bits, lists": (lambda d: cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill")), "auto"),
    "trellis 2 bits": (lambda d: cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill")), None),
    "product d/8, lists": (lambda d: cw.ProductQuantizer(d // 8), "auto"),
    "scalar 4 bits": (lambda d: cw.ScalarQuantizer(4), None),
    "binary 1 bit, lists": (lambda d: cw.BinaryQuantizer(1), "auto"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["minilm-wordnet", "sift-kodak", "mnist784"])
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows")
    options = parser.parse_args()
    print(f"{'':40s} {'bytes':>7s} {'build':>7s} {'batch':>7s} {'single':>7s}   measured: build s, queries/s, single/s; lists")
    ratios = []
    for name in options.data:
        X = rows(name, options.quick)
        X = X[np.random.default_rng(0).permutation(len(X))]
        queries, base = X[:BATCH], np.ascontiguousarray(X[BATCH:])
        for design, (make, lists) in DESIGNS.items():
            ratios.append(_compared(f"{name}, {design}", base, queries, make(X.shape[1]), lists))
    within = np.abs(np.log(ratios)) <= np.log(1.2)
    for what, share in zip(("bytes", "build", "batch", "single"), within.mean(axis=0), strict=True):
        print(f"{what}: {share:.0%} within a fifth")


def _compared(name: str, base: Any, queries: Any, quantizer: Any, lists: Any) -> list[float]:
    """Predicted over measured: bytes, build, queries a second in batches and alone."""
    foreseen = cw.plan(len(base), sample=base, quantizer=quantizer, lists=lists)
    start = time.process_time()
    index = cw.Index(quantizer.clone(), lists=lists)
    index.quantizer.fit(base[:: -(-len(base) // 20_000)])
    index.fit(base).add(base)
    build = time.process_time() - start
    index.tune()
    batch = _seconds(lambda: index.search(queries, K), 5) / len(queries)
    single = _seconds(lambda: [index.search(queries[i : i + 1], K) for i in range(SINGLE)], 5) / SINGLE
    nbytes = index.stats()["nbytes"] + index.model_bytes
    found = [
        foreseen.nbytes / nbytes,
        foreseen.build_seconds / build,
        foreseen.queries_per_second * batch,
        foreseen.single_queries_per_second * single,
    ]
    about = index.stats()["lists"]
    looked = "all" if about is None else f"{about['effort']['0.95']} of {about['count']}, foreseen {foreseen.effort}"
    shown = " ".join(f"{ratio:7.2f}" for ratio in found)
    print(f"{name:40s} {shown}   {build:.1f}, {1 / batch:,.0f}, {1 / single:,.0f}; {looked}", flush=True)
    return found


def _seconds(run: Callable[[], Any], times: int) -> float:
    """Least CPU seconds of some runs."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    main()
