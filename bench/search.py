"""Recall, queries a second and bytes of searches: ours and the peers', every point of their curves, and the front over all bytes.

    python bench/search.py minilm-wordnet
    python bench/search.py sift-kodak --only ours faiss --json points.json     keeps points, goes on where it was stopped
    python bench/search.py minilm-wordnet --quick        fewer settings of each

One thread; seconds are CPU time of a batch of all queries, and of 50 asked one at a time; the lesser of two runs. Recall@10 is against
exact neighbours. Bytes are those of a vector, side data, graph and what is kept for refinement counted; 8 bytes of id are left out for
all. Peers that are not installed are named and left out (`pip install faiss-cpu usearch turbovec rabitqlib`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "CODEWORD_THREADS": "1"})
os.environ.setdefault("OPENBLAS_CORETYPE", "SKYLAKEX")

import numpy as np
from common import rows

K, RUNS, SINGLE, ID_BYTES = 10, 2, 50, 8
TARGETS = (0.90, 0.95, 0.99)
EFFORTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Built(NamedTuple):
    """A searchable index: bytes of a vector, settings, and ``search(Q, setting) -> ids``."""

    bytes: float
    settings: tuple[Any, ...]
    search: Callable[[Any, Any], Any]


class Contender(NamedTuple):
    """`build(X)` makes the index; it is timed."""

    name: str
    build: Callable[[Any], Built]


def lists_for(n: int) -> int:
    return 1 << int(np.log2(2 * n**0.5) + 0.5)


def ours(d: int, n: int, quick: bool) -> Iterator[Contender]:
    import codeword as cw

    def trellis(bits: float) -> Any:
        return cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(bits, allocation="waterfill"))

    def build(X: Any, first: float, second: float | None, lists: int | None) -> Built:
        last = None if second is None else trellis(second)
        index = cw.Index(trellis(first).fit(X[:20_000]), lists=lists, factors="auto", refine=last).fit(X[:20_000]).add(X)
        if lists is None:
            return Built(index.code_size, (None,), lambda Q, _: index.search(Q, K).ids)
        return Built(index.code_size, EFFORTS, lambda Q, effort: index.search(Q, K, effort=effort).ids)

    rates = [(1.0, None), (2.0, None), (4.0, None), (1.0, 2.0)] if quick else [(b, None) for b in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0)]
    rates += [] if quick else [(1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (2.0, 2.0), (2.0, 3.0)]
    for first, second in rates:
        name = f"ours trellis {first:g}" + ("" if second is None else f" + {second:g}")
        yield Contender(name, lambda X, a=first, b=second: build(X, a, b, None))
        yield Contender(f"{name}, lists", lambda X, a=first, b=second: build(X, a, b, lists_for(n)))


def faiss_(d: int, n: int, quick: bool) -> Iterator[Contender]:
    import faiss

    faiss.omp_set_num_threads(1)
    lists = lists_for(n)

    def build(X: Any, spec: str, row_bytes: float) -> Built:
        index = faiss.index_factory(d, spec)
        index.train(X[:20_000])
        index.add(X)

        def search(Q: Any, setting: Any) -> Any:
            if setting is not None:
                probes, factor = setting
                inner = faiss.downcast_index(index.base_index) if "Refine" in spec else index
                if "Refine" in spec:
                    index.k_factor = factor
                inner.nprobe = probes
            return index.search(Q, K)[1]

        factors = (4, 16) if "Refine" in spec else (1,)
        settings = tuple((p, f) for p in EFFORTS for f in factors) if spec.startswith("IVF") else (None,)
        return Built(row_bytes, settings, search)

    pieces = [m for m in range(1, d + 1) if d % m == 0 and 16 <= m <= d]
    pieces = [m for m in pieces if m in (d // 8, d // 4, d // 2)] if quick else [m for m in pieces if m >= d // 16]
    specs = [(f"IVF{lists},PQ{m}", float(m)) for m in pieces]
    specs += [(f"IVF{lists},SQ{bits}", d * bits / 8) for bits in (4, 6, 8)]
    specs += [
        (f"IVF{lists},PQ{m}x4fs,Refine({kind})", m / 2 + extra)
        for m in (d // 4, d // 2)
        for kind, extra in (("SQ8", d), ("SQ6", d * 0.75))
    ]
    specs += [(f"PQ{m}", float(m)) for m in (d // 8, d // 4, d // 2)]
    for spec, row_bytes in specs:
        yield Contender(f"faiss {spec}", lambda X, s=spec, b=row_bytes: build(X, s, b))


def usearch_(d: int, n: int, quick: bool) -> Iterator[Contender]:
    from usearch.index import Index

    def build(X: Any, kind: str) -> Built:
        index = Index(ndim=d, metric="l2sq", dtype=kind, connectivity=16, expansion_add=128)
        index.add(np.arange(n), X, threads=1)

        def search(Q: Any, effort: int) -> Any:
            index.expansion_search = effort
            found = index.search(Q, K, threads=1).keys
            return np.asarray(found).reshape(len(Q), -1).astype(np.int64)

        return Built(len(index.save()) / n - ID_BYTES, (16, 32, 64, 128, 256), search)

    for kind in ("i8", "f16"):
        yield Contender(f"usearch HNSW16 {kind}", lambda X, k=kind: build(X, k))


def turbovec_(d: int, n: int, quick: bool) -> Iterator[Contender]:
    import turbovec

    def build(X: Any, bits: int) -> Built:
        index = turbovec.TurboQuantIndex(d, bits)
        index.calibrate(X[:4096])
        index.add(X)
        index.prepare()
        return Built(len(index.to_bytes()) / n, (None,), lambda Q, _: np.asarray(index.search(Q, K)[1]).astype(np.int64))

    for bits in (2, 3, 4):
        yield Contender(f"turbovec {bits} bits", lambda X, b=bits: build(X, b))


def rabitqlib_(d: int, n: int, quick: bool) -> Iterator[Contender]:
    import faiss
    import rabitqlib

    lists = lists_for(n)

    def build(X: Any, bits: int) -> Built:
        coarse = faiss.Kmeans(d, lists, niter=10, seed=1)
        coarse.train(X[:20_000])
        labels = coarse.index.search(X, 1)[1].ravel().astype(np.uint32)
        index = rabitqlib.IvfIndex(d, n, lists, bits)
        index.build(X, coarse.centroids, labels, num_threads=1)
        with tempfile.NamedTemporaryFile() as file:
            index.save(file.name)
            size = os.path.getsize(file.name) / n

        def search(Q: Any, effort: int) -> Any:
            parts = (np.asarray(part) for part in index.search(Q, K, effort, num_threads=1))
            return next(part for part in parts if part.dtype.kind in "iu").reshape(len(Q), -1).astype(np.int64)

        return Built(size - 4 - lists * d * 4 / n, EFFORTS, search)

    for bits in (1, 4, 7) if quick else (1, 3, 4, 5, 6, 7, 8):
        yield Contender(f"rabitqlib IVF {bits} bits", lambda X, b=bits: build(X, b))


FAMILIES: dict[str, Callable[[int, int, bool], Iterator[Contender]]] = {
    "ours": ours,
    "faiss": faiss_,
    "usearch": usearch_,
    "turbovec": turbovec_,
    "rabitqlib": rabitqlib_,
}


def least(run: Callable[[], Any]) -> tuple[float, Any]:
    """Least CPU seconds of some runs, and what the last gave."""
    best, result = float("inf"), None
    for _ in range(RUNS):
        start = time.process_time()
        result = run()
        best = min(best, time.process_time() - start)
    return best, result


def measured(contender: Contender, X: Any, Q: Any, truth: Any) -> Iterator[dict[str, Any]]:
    """The points of a contender's curve, to the first that finds 99.9 %."""
    start = time.process_time()
    built = contender.build(X)
    seconds = time.process_time() - start
    for setting in built.settings:
        batch, found = least(lambda s=setting: built.search(Q, s))
        single, _ = least(lambda s=setting: [built.search(Q[i : i + 1], s) for i in range(SINGLE)])
        recall = float(np.mean([len(np.intersect1d(f, t)) for f, t in zip(found, truth, strict=True)])) / K
        yield {
            "name": contender.name,
            "setting": setting,
            "bytes": built.bytes,
            "recall": recall,
            "batch": len(Q) / batch,
            "single": SINGLE / single,
            "build": seconds,
        }
        if recall > 0.999:
            return


def show(points: list[dict[str, Any]]) -> None:
    """For each recall: the fewest bytes of us and of a peer, and speeds at bytes like these."""
    for target in TARGETS:
        reached = [p for p in points if p["recall"] >= target]
        print(f"\nrecall@10 of {target}: bytes, queries a second in a batch / one at a time")
        for mine in (True, False):
            chosen = sorted((p for p in reached if p["name"].startswith("ours") is mine), key=lambda p: (p["bytes"], -p["batch"]))
            best: dict[str, dict[str, Any]] = {}
            for p in chosen:
                if p["name"] not in best or p["batch"] > best[p["name"]]["batch"]:
                    best[p["name"]] = p
            for p in sorted(best.values(), key=lambda p: p["bytes"])[:12]:
                line = f"{p['bytes']:8.1f} {p['batch']:10,.0f} /{p['single']:8,.0f}   {p['recall']:.4f}"
                print(f"  {p['name']:42s}{line}  at {p['setting']}, built in {p['build']:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--only", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    everything: dict[str, list[dict[str, Any]]] = {}
    if arguments.json and os.path.exists(arguments.json):
        with open(arguments.json, encoding="utf-8") as file:
            everything = json.load(file)
    for name in arguments.data:
        points = everything.setdefault(name, [])
        for contender_points in curves(name, arguments.only, arguments.quick, {p["name"] for p in points}):
            points += contender_points
            if arguments.json:
                with open(arguments.json, "w", encoding="utf-8") as file:
                    json.dump(everything, file)
        show(points)


def curves(name: str, families: list[str], quick: bool, known: set[str]) -> Iterator[list[dict[str, Any]]]:
    """The points of every contender that is not known yet."""
    from codeword.exact import exact_search

    X, Q = rows(name, False), rows(name, False, "queries")
    truth = exact_search(X, Q, K)[0]
    print(f"{name}: {X.shape[0]:,} rows of {X.shape[1]}, {len(Q)} queries", flush=True)
    for family in families:
        try:
            for contender in FAMILIES[family](X.shape[1], len(X), quick):
                if contender.name not in known:
                    points = list(measured(contender, X, Q, truth))
                    best = max(p["recall"] for p in points)
                    print(f"  {contender.name}: {points[0]['bytes']:.1f} bytes, recall to {best:.4f}", file=sys.stderr, flush=True)
                    yield points
        except ImportError as e:
            print(f"  {family}: not installed ({e})", flush=True)


if __name__ == "__main__":
    main()
