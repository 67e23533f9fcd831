"""Designs of one codebook beside k-means: distortion of held-out rows at equal bits, seconds to fit, rows encoded a second.

    python bench/designs.py [--data sift-kodak minilm-wordnet gauss ...] [--bits 6 8 10] [--quick] [--json FILE]

CPU time of all threads, ours one; a quarter of the rows is held out. Bits are those of a code, for entropy-constrained codebooks the mean length of
the real byte string of the held-out rows. At other bits than asked for, the distortion of k-means is read off its curve (logarithm of
the distortion over bits, between the next sizes), so that *x k-means* always compares equal bits: below 1 is better.
Peers: faiss.Kmeans (plain, spherical) and scikit-learn's BisectingKMeans, as installed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from common import rows
from numpy.typing import NDArray

import codeword as cw

DATA = ("sift-kodak", "minilm-wordnet", "gauss", "loud")
F32 = NDArray[np.float32]


class Result(NamedTuple):
    """What one design did to the held-out rows."""

    bits: float
    mse: float
    fit_s: float
    encode_rows_per_s: float


def load(name: str, quick: bool) -> tuple[F32, F32]:
    """Rows to train on and held-out rows."""
    rng = np.random.default_rng(5)
    n = 8_000 if quick else 60_000
    if name == "gauss":
        X = rng.normal(size=(n, 8)).astype(np.float32)
    elif name == "loud":  # directions times lengths over two orders of magnitude
        X = (rng.normal(size=(n, 4)) * rng.lognormal(sigma=1.2, size=(n, 1))).astype(np.float32)
    else:
        X = rows(name, quick)
        X = X[rng.permutation(len(X))]
    return X[len(X) // 4 :], X[: len(X) // 4]


def clocked(run: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds."""
    start = time.process_time()
    result = run()
    return result, time.process_time() - start


def ours(quantizer: Any, train: F32, test: F32, bits: float) -> Result:
    """Fit, encode, decode; `bits` are those of a code, unless it has byte strings."""
    fitted, fit_s = clocked(lambda: quantizer.fit(train))
    codes, encode_s = clocked(lambda: fitted.encode(test))
    if hasattr(fitted, "compress"):
        bits = 8 * len(fitted.compress(codes)) / len(test)
    error = test.astype(np.float64) - fitted.decode(codes)
    return Result(bits, float(np.mean(error * error)), fit_s, len(test) / max(encode_s, 1e-9))


def designs(bits: int) -> Iterator[tuple[str, Any]]:
    """Our quantizers of about `bits` bits a code."""
    k = 1 << bits
    yield "k-means", cw.VectorQuantizer(k)
    yield "k-means, random rows first", cw.VectorQuantizer(k, seeding="random")
    yield "k-means, splitting (LBG)", cw.VectorQuantizer(k, seeding="lbg")
    yield "tree, balanced", cw.TreeQuantizer(bits)
    yield "tree, greedy", cw.TreeQuantizer(bits, growth="greedy")
    yield "entropy-constrained, 2k", cw.EntropyConstrainedQuantizer(2 * k, entropy=float(bits))
    yield "entropy-constrained, 4k", cw.EntropyConstrainedQuantizer(4 * k, entropy=float(bits))
    for gain_bits in (0, 2, 4):
        if bits - gain_bits >= 2:
            yield f"gain-shape, {gain_bits} bits of gain", cw.GainShapeQuantizer(k >> gain_bits, gain_bits)


def nearest_faiss(codebook: F32, test: F32) -> NDArray[np.int64]:
    import faiss

    index = faiss.IndexFlatL2(codebook.shape[1])
    index.add(codebook)
    return index.search(test, 1)[1][:, 0]


def faiss_kmeans(train: F32, test: F32, bits: int, spherical: bool) -> Result:
    """faiss.Kmeans over all rows; spherical: codewords of length 1, and the mean length for all rows."""
    import faiss

    faiss.omp_set_num_threads(1)
    made = faiss.Kmeans(train.shape[1], 1 << bits, niter=25, seed=1, max_points_per_centroid=len(train), spherical=spherical)
    unit, unit_test = (A / np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1e-30) if spherical else A for A in (train, test))
    _, fit_s = clocked(lambda: made.train(unit))
    codebook = np.ascontiguousarray(made.centroids)
    labels, encode_s = clocked(lambda: nearest_faiss(codebook, unit_test))
    gain = np.mean((train * codebook[nearest_faiss(codebook, unit)]).sum(1)) if spherical else 1.0
    return Result(
        bits, float(np.mean((test.astype(np.float64) - gain * codebook[labels]) ** 2)), fit_s, len(test) / max(encode_s, 1e-9)
    )


def bisecting(train: F32, test: F32, bits: int) -> Result:
    """scikit-learn's tree: cuts the cell of largest inertia."""
    from sklearn.cluster import BisectingKMeans

    made, fit_s = clocked(lambda: BisectingKMeans(1 << bits, random_state=1).fit(train))
    labels, encode_s = clocked(lambda: made.predict(test))
    error = test.astype(np.float64) - made.cluster_centers_[labels]
    return Result(bits, float(np.mean(error * error)), fit_s, len(test) / max(encode_s, 1e-9))


def peers(train: F32, test: F32, bits: int) -> Iterator[tuple[str, Callable[[], Result]]]:
    yield "faiss.Kmeans", lambda: faiss_kmeans(train, test, bits, False)
    yield "faiss.Kmeans(spherical)", lambda: faiss_kmeans(train, test, bits, True)
    yield "sklearn BisectingKMeans", lambda: bisecting(train, test, bits)


def k_means_curve(train: F32, test: F32, sizes: list[int]) -> Callable[[float], float]:
    """Distortion of k-means at any bits between these."""
    logs = [np.log(ours(cw.VectorQuantizer(1 << b), train, test, b).mse) for b in sizes]
    return lambda bits: float(np.exp(np.interp(bits, sizes, logs)))


def measure(name: str, bits: int, train: F32, test: F32, curve: Callable[[float], float]) -> Iterator[dict[str, Any]]:
    """Run, print and give the results of all designs on one data set at about `bits` bits."""
    variance = float(test.var(0, dtype=np.float64).mean())
    print(f"\n{name}: {len(train)} rows of {train.shape[1]}, {len(test)} held out, {bits} bits")
    print(f"{'design':32} {'bits':>6} {'relative':>9} {'x k-means':>9} {'fit s':>7} {'rows/s':>10}")
    contenders = [(n, lambda q=q: ours(q, train, test, bits)) for n, q in designs(bits)]  # type: ignore[misc]
    for design, run in [*contenders, *peers(train, test, bits)]:
        try:
            r = run()
        except ImportError as e:
            print(f"{design:32} {e}")
            continue
        ratio = r.mse / curve(r.bits)
        figures = f"{r.bits:6.2f} {r.mse / variance:9.4f} {ratio:9.3f} {r.fit_s:7.2f} {r.encode_rows_per_s:10.0f}"
        print(f"{design:32} {figures}", flush=True)
        yield {"data": name, "asked": bits, "design": design, **r._asdict(), "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--bits", nargs="+", type=int, default=(6, 8, 10))
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows or fewer")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    cw.set_threads(1)
    found: list[dict[str, Any]] = []
    for name in arguments.data:
        train, test = load(name, arguments.quick)
        curve = k_means_curve(train, test, sorted({b for bits in arguments.bits for b in range(bits - 2, bits + 2)}))
        for bits in arguments.bits:
            found += measure(name, bits, train, test, curve)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
