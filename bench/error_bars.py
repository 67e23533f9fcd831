"""Do error bars hold? Share of exact distances within the 95 % bars, and their bias, on the true 100 nearest of each query.

    python bench/error_bars.py [--metric l2] [--rows 20000] [--queries 200] [--json FILE]

Coverage should be between 93 and 98 %, the bias (mean of (exact - centre) / half, in standard deviations of that)
within 0.1; half is the mean half length of the bars, by the mean distance. Ordinary queries are held
out of the same source; shifted ones come from another: news for `minilm-wordnet`, other photos for `sift-kodak`, digits moved by two
pixels for `mnist784`, the last weeks of the stream for `stream-reuters`, whose first half is indexed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import data_folder
from numpy.typing import NDArray

import codeword as cw
from codeword import runtime
from codeword.exact import exact_search

F32 = NDArray[np.float32]
TRAINING_ROWS = 8000


def load(name: str, part: str) -> F32:
    return np.load(data_folder() / name / f"{part}.npy").astype(np.float32)


def shuffled(X: F32) -> F32:
    return X[np.random.default_rng(0).permutation(len(X))]


def data_sets(rows: int) -> Iterator[tuple[str, F32, F32, F32]]:
    """Names, rows, ordinary and shifted queries."""
    news = load("stream-reuters", "vectors")
    yield "minilm-wordnet", load("minilm-wordnet", "base")[:rows], load("minilm-wordnet", "queries"), shuffled(news)
    sift, photo = load("sift-kodak", "base"), np.load(data_folder() / "sift-kodak" / "base_image.npy")
    own = sift[photo < 18]
    yield "sift-kodak", own[1000 : 1000 + rows], own[:1000], sift[photo >= 18]
    digits = load("mnist784", "queries")
    moved = np.roll(digits.reshape(-1, 28, 28), (2, 2), (1, 2)).reshape(-1, 784)
    yield "mnist784", load("mnist784", "base")[:rows], digits, moved
    early = shuffled(news[: len(news) // 2])
    yield "stream-reuters", early[1000 : 1000 + rows], early[:1000], shuffled(news[-len(news) // 8 :])


def quantizers(d: int) -> dict[str, cw.Quantizer]:
    m = max(m for m in (48, 32, 28, 16) if d % m == 0)
    return {
        "ProductQuantizer": cw.ProductQuantizer(m),
        "KLT, TrellisQuantizer(1)": cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(1.0, allocation="waterfill", effort="fast")),
        "Rotation, TrellisQuantizer(2)": cw.Pipeline([cw.Rotation()], cw.TrellisQuantizer(2.0, effort="fast")),
        "ScalarQuantizer(4)": cw.ScalarQuantizer(4),
        "Rotation, ScalarQuantizer(1)": cw.Pipeline([cw.Center(), cw.Rotation()], cw.ScalarQuantizer(1)),
        "Rotation, BinaryQuantizer": cw.Pipeline([cw.Center(), cw.Rotation()], cw.BinaryQuantizer()),
        "ResidualQuantizer(8)": cw.ResidualQuantizer(8),
        "VectorQuantizer(256)": cw.VectorQuantizer(256),
    }


def measure(index: cw.Index, codes: Any, X: F32, Q: F32) -> tuple[float, float, float]:
    """Coverage, bias and the mean half length of the bars, on the 100 nearest of each query."""
    assert index.calibration is not None
    ids, exact = exact_search(X, Q, 100, index.metric)
    estimated = np.take_along_axis(index._score(Q, *codes), ids, axis=1)
    bars = index.calibration.bars(Q, estimated, index._score)
    left = (exact - bars.centre) / bars.half
    return float(np.mean(np.abs(left) <= 1)), float(left.mean() / left.std()), float(np.mean(bars.half) / np.abs(exact).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", choices=("l2", "ip", "cosine"), default="l2")
    parser.add_argument("--factors", choices=("auto", "yes", "no"), default="yes")
    parser.add_argument("--data", nargs="*")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    runtime.set_threads(1)
    factors: Any = {"auto": "auto", "yes": True, "no": False}[arguments.factors]
    results = []
    print(f"{'':48} {'ordinary':>22} {'shifted':>22}\n{'':48}" + f" {'coverage':>9} {'bias':>5} {'half':>6}" * 2)
    for name, X, ordinary, shifted in data_sets(arguments.rows):
        if arguments.data and name not in arguments.data:
            continue
        for label, quantizer in quantizers(X.shape[1]).items():
            own = "Binary" in label  # keeps side data of its own
            index = cw.Index(quantizer, arguments.metric, factors=False if own else factors).fit(X[:TRAINING_ROWS]).calibrate(X)
            codes = index._encode(X)
            found = [measure(index, codes, X, Q[: arguments.queries]) for Q in (ordinary, shifted)]
            results.append({"data": name, "quantizer": label, "ordinary": found[0], "shifted": found[1]})
            shown = "".join(f" {100 * c:8.1f}% {b:+5.2f} {h:6.3f}" for c, b, h in found)
            print(f"{name:15} {label:32} {'side' if index.estimator else '':5}{shown}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
