"""Additive codes at low rates beside faiss's: distortion and recall of fresh rows, time to train and to encode.

    python bench/residual.py [--data minilm-wordnet --bytes 12 24] [--rows 20000] [--contender TEXT ...] [--json FILE]

Rows are cut in halves by key: everything is fitted to the first half (at most --rows of it) and judged on the second. Relative distortion is
of 4,000 fresh rows, recall@10 that of 500 more among all fresh rows, by distance to the reconstructions, exactly. Process time of one core.
faiss trains with its defaults, LSQ with 8 rounds for its 25.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from common import rows as read_rows  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

import codeword as cw  # noqa: E402
from codeword import exact, keys, runtime  # noqa: E402

F32 = NDArray[np.float32]
SIZES = {"sift-kodak": (4, 8, 16), "minilm-wordnet": (12, 24, 48)}
FRESH, QUERIES, K = 4000, 500, 10


class Coder(NamedTuple):
    """A fitted quantizer: rows to codes, codes to rows."""

    encode: Callable[[F32], Any]
    decode: Callable[[Any], F32]


def ours(make: Callable[[], Any]) -> Callable[[F32], Coder]:
    def fit(X: F32) -> Coder:
        quantizer = make().fit(X)
        return Coder(quantizer.encode, quantizer.decode)

    return fit


def faiss_coder(make: Callable[[Any, int], Any]) -> Callable[[F32], Coder]:
    def fit(X: F32) -> Coder:
        import faiss

        faiss.omp_set_num_threads(1)
        quantizer = make(faiss, X.shape[1])
        quantizer.train(X)
        return Coder(quantizer.compute_codes, quantizer.decode)

    return fit


def rotated_product(m: int) -> Callable[[F32], Coder]:
    """faiss's OPQ in front of its product quantizer."""

    def fit(X: F32) -> Coder:
        import faiss

        faiss.omp_set_num_threads(1)
        rotation, product = faiss.OPQMatrix(X.shape[1], m), faiss.ProductQuantizer(X.shape[1], m, 8)
        rotation.train(X)
        product.train(rotation.apply(X))
        return Coder(
            lambda A: product.compute_codes(rotation.apply(A)), lambda codes: rotation.reverse_transform(product.decode(codes))
        )

    return fit


def lsq(quantizer: Any) -> Any:
    """8 rounds of training instead of 25, which take minutes."""
    quantizer.train_iters = 8
    return quantizer


def contenders(d: int, m: int) -> Iterator[tuple[str, Callable[[F32], Coder]]]:
    """Name and fit of each way to use m bytes for d columns."""
    yield "codeword product", ours(lambda: cw.ProductQuantizer(m))
    yield "codeword residual", ours(lambda: cw.ResidualQuantizer(m))
    yield "codeword klt, residual", ours(lambda: cw.Pipeline([cw.KLT()], cw.ResidualQuantizer(m)))
    yield "codeword additive", ours(lambda: cw.AdditiveQuantizer(m))
    yield "codeword klt, additive", ours(lambda: cw.Pipeline([cw.KLT()], cw.AdditiveQuantizer(m)))
    yield "codeword klt, trellis", ours(lambda: cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(8 * m / d, allocation="waterfill")))
    half = m // 2
    rest = 8 * (m - half) / d
    yield (
        "codeword klt, residual + trellis",
        ours(
            lambda: cw.Pipeline(
                [cw.KLT()], cw.Stages([cw.ResidualQuantizer(half), cw.TrellisQuantizer(rest, allocation="waterfill")])
            )
        ),
    )
    yield "faiss product", faiss_coder(lambda faiss, d: faiss.ProductQuantizer(d, m, 8))
    yield "faiss opq, product", rotated_product(m)
    yield "faiss residual", faiss_coder(lambda faiss, d: faiss.ResidualQuantizer(d, m, 8))
    yield "faiss product of residual", faiss_coder(lambda faiss, d: faiss.ProductResidualQuantizer(d, 4, m // 4, 8))
    yield "faiss product of lsq", faiss_coder(lambda faiss, d: lsq(faiss.ProductLocalSearchQuantizer(d, 4, m // 4, 8)))
    yield "faiss lsq", faiss_coder(lambda faiss, d: lsq(faiss.LocalSearchQuantizer(d, m, 8)))


def halves(name: str, rows: int) -> tuple[F32, F32, F32]:
    """Training rows, fresh rows and queries: no row is in two of them."""
    X = read_rows(name, False)
    first = keys.sample(0, 0x42454E43, len(X), len(X) // 2)
    rest = np.delete(np.arange(len(X)), first)
    queries = rest[keys.sample(0, 0x42454E44, len(rest), QUERIES)]
    return X[first][:: max(1, len(first) // rows)][:rows], X[np.setdiff1d(rest, queries)], X[queries]


def measure(fit: Callable[[F32], Coder], X: F32, fresh: F32, queries: F32) -> dict[str, float]:
    start = time.process_time()
    coder = fit(X)
    trained = time.process_time()
    some = coder.encode(fresh[:FRESH])
    encoded = time.process_time()
    few = fresh[:FRESH].astype(np.float64)
    relative = float(((few - coder.decode(some)) ** 2).sum() / ((few - few.mean(0)) ** 2).sum())
    database = fresh[: 3 * FRESH]
    whole = np.concatenate([coder.decode(some), coder.decode(coder.encode(database[FRESH:]))])
    truth, _ = exact.exact_search(database, queries, K)
    found, _ = exact.exact_search(np.ascontiguousarray(whole), queries, K)
    return {
        "relative": relative,
        "recall": cw.recall(found, truth, K),
        "train_s": trained - start,
        "encode_us": (encoded - trained) / FRESH * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(SIZES))
    parser.add_argument("--bytes", type=int, nargs="+")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--contender", nargs="+", default=[""], help="words of names: those that hold any of them run")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    runtime.set_threads(1)
    results = []
    for name in [arguments.data] if arguments.data else SIZES:
        X, fresh, queries = halves(name, arguments.rows)
        print(f"{name}: {len(X)} rows to learn from, ISA {runtime.isa()}")
        print("bytes  contender                          distortion  recall@10   train s  encode us  rows/s", flush=True)
        for m in arguments.bytes or SIZES[name]:
            for label, fit in contenders(X.shape[1], m):
                if not any(word in label for word in arguments.contender):
                    continue
                r = measure(fit, X, fresh, queries)
                results.append({"data": name, "bytes": m, "contender": label, **r})
                figures = f"{r['relative']:10.4f} {r['recall']:10.3f} {r['train_s']:9.2f} {r['encode_us']:10.1f} {1e6 / r['encode_us']:7.0f}"
                print(f"{m:5}  {label:34} {figures}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
