"""Binary and lattice codes beside everything of their kind: distortion, recall, rows coded and codes scanned a second.

    python bench/binary_lattice.py gaussian                         dB above the Shannon bound of Gaussian rows, ours alone
    python bench/binary_lattice.py minilm-wordnet sift-kodak        real rows, the peers too (faiss, turbovec where installed)

Fitted on one half of the rows, measured on the other. Times are CPU seconds of one thread, the least of three rounds in which the
contenders take turns; a scan is a search of all codes for the ten nearest, as each library does it. dB are over the Gaussian
bound at the bytes of the code, side data included; what cannot decode, or decodes signs only, has no distortion.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CODEWORD_THREADS"):
        os.environ[variable] = "1"

import argparse
import time
from collections.abc import Callable
from typing import Any

import coders
import common
import numpy as np

import codeword as cw
from codeword.exact import exact_search
from codeword.gaussian import gaussian_distortion
from codeword.search import flat

ROUNDS = 3
K = 10
QUERIES = 256


class Scanned:
    """A coder, its codes of the rows, and how they are searched."""

    def __init__(self, name: str, coder: Any) -> None:
        self.name, self.coder = name, coder
        self.seconds = {"fit": np.inf, "encode": np.inf, "batch": np.inf, "one": np.inf}

    def prepare(self, A: Any, B: Any) -> None:
        self.time("fit", lambda: self.coder.fit(A))
        codes = self.time("encode", lambda: self.coder.encode(B))
        self.decoded = self.coder.decode(codes) if self.coder.decodes else None
        if isinstance(self.coder, coders.Ours):
            self._search = lambda queries: flat.scan(self.coder._quantizer, codes, queries, K)[0]
        elif isinstance(self.coder, coders.Turbo):
            self._search = lambda queries: np.asarray(codes.search(queries, K)[1]).astype(np.int64)
        else:
            index = self.coder._index
            index.add(B)
            self._search = lambda queries: index.search(queries, K)[1]

    def round(self, B: Any, queries: Any) -> None:
        self.time("encode", lambda: self.coder.encode(B))
        self.found = self.time("batch", lambda: self._search(queries))
        self.time("one", lambda: [self._search(queries[i : i + 1]) for i in range(8)])

    def time(self, what: str, run: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = run()
        self.seconds[what] = min(self.seconds[what], time.process_time() - start)
        return result


def contenders(d: int) -> list[Scanned]:
    """Ours behind `Center` and `Rotation`, and the peers; a library that is not there is left out, and said so."""

    def own(name: str, quantizer: Any) -> Scanned:
        return Scanned(f"codeword {name}", coders.Ours(cw.Pipeline([cw.Center(), cw.Rotation()], quantizer)))

    made = [own(f"binary {bits}", cw.BinaryQuantizer(bits)) for bits in (1, 2, 4)]
    made += [own(f"lattice {bits}", cw.LatticeQuantizer(bits)) for bits in (1, 2, 3, 4)]
    made += [own(f"scalar {bits}", cw.ScalarQuantizer(bits, levels="lloyd-max")) for bits in (1, 2, 4)]
    made += [own(f"trellis {bits}", cw.TrellisQuantizer(float(bits))) for bits in (1, 2, 4)]
    peers: list[tuple[str, Callable[[], Any]]] = [
        *((f"faiss RaBitQ {b}", lambda b=b: coders.FaissRaBitQ(d, f"RR{d},RaBitQ{b}")) for b in (1, 2, 4)),
        ("faiss RaBitQ fastscan 1", lambda: coders.FaissRaBitQ(d, f"RR{d},RaBitQfs")),
        *((f"faiss EDEN {b}", lambda b=b: coders.Faiss(d, f"RR{d},EDEN{b}")) for b in (1, 2, 4)),
        ("faiss SQ 4", lambda: coders.Faiss(d, "SQ4")),
        *((f"faiss PQ {b}", lambda b=b: coders.faiss_product(d, b * d // 8)) for b in (1, 2)),
        *((f"faiss PQ4 fastscan {b}", lambda b=b: coders.Faiss(d, f"PQ{b * d // 4}x4fs")) for b in (1, 2)),
        *((f"turbovec {b}", lambda b=b: coders.Turbo(d, b)) for b in (2, 4)),
    ]
    for name, make in peers:
        try:
            made.append(Scanned(name, make()))
        except (ImportError, RuntimeError) as e:
            print(f"{name}: left out ({str(e).splitlines()[-1] if str(e) else type(e).__name__})")
    return made


def real_rows(data: str, count: int | None, only: list[str]) -> None:
    X, queries = common.rows(data, False), common.rows(data, False, "queries")[:QUERIES]
    X = X[np.random.default_rng(0).permutation(len(X))[:count]]
    A, B = X[: len(X) // 2], np.ascontiguousarray(X[len(X) // 2 :])
    truth = exact_search(B, queries, K, "l2")[0]
    values = np.linalg.eigvalsh(np.cov(B.T.astype(np.float64)))
    ready = []
    for one in contenders(X.shape[1]):
        if only and not any(word in one.name for word in only):
            continue
        try:
            one.prepare(A, B)
            ready.append(one)
        except (ImportError, RuntimeError) as e:
            print(f"{one.name}: left out ({str(e).splitlines()[-1] if str(e) else type(e).__name__})")
    for _ in range(ROUNDS):
        for one in ready:
            one.round(B, queries)
    print(f"\n{data}: fitted on {len(A)} rows, measured on {len(B)} others, d = {X.shape[1]}, {len(queries)} queries")
    print("| coder | bytes | relative distortion | dB | recall@10 | rows/s coded | ns a code, of 256 queries | one | fit s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in ready:
        size, seconds = one.coder.size, one.seconds
        error = "- | -"
        if one.decoded is not None:
            mse = common.distortion(B, one.decoded)
            bound = gaussian_distortion(values, 8 * size / X.shape[1])
            error = f"{mse / B.astype(np.float64).var(0).mean():.4f} | {10 * np.log10(mse / bound):.2f}"
        batch, alone = (1e9 * seconds[what] / (len(B) * n) for what, n in (("batch", len(queries)), ("one", 8)))
        found = cw.recall(one.found, truth, K)
        coded = f"{len(B) / seconds['encode']:,.0f}"
        print(f"| {one.name} | {size} | {error} | {found:.3f} | {coded} | {batch:.2f} | {alone:.1f} | {seconds['fit']:.2f} |")


def gaussian_rows(count: int | None) -> None:
    X = np.random.default_rng(0).normal(size=(count or 4000, 384)).astype(np.float32)
    A, B = X[: len(X) // 2], X[len(X) // 2 :]
    print("| bits | best scalar | lattice | trellis | binary, its two bytes not counted |\n|---|---|---|---|---|")
    for bits in (1, 2, 3, 4):
        made = [cw.ScalarQuantizer(bits, levels="lloyd-max"), cw.LatticeQuantizer(bits), cw.TrellisQuantizer(float(bits))]
        made.append(cw.BinaryQuantizer(bits))
        gaps = [10 * np.log10(common.distortion(B, q.decode(q.encode(B))) * 4**bits) for q in (m.fit(A) for m in made)]
        print(f"| {bits} | {' | '.join(f'{gap:.2f}' for gap in gaps)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="gaussian, or data sets")
    parser.add_argument("--rows", type=int, help="of all that there are, drawn at random")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="contenders whose names hold one of these")
    options = parser.parse_args()
    if "faiss" not in sys.modules:
        try:
            import faiss

            faiss.omp_set_num_threads(1)
        except ImportError:
            print("faiss is not installed")
    for data in options.data:
        if data == "gaussian":
            gaussian_rows(options.rows)
        else:
            real_rows(data, options.rows, options.only)


if __name__ == "__main__":
    main()
