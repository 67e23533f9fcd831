"""How near the trellis code comes to the Shannon bound, and how fast it codes: one core, process time, best of the runs.

    python bench/trellis.py [--effort fast] [--rates 1 2] [--rows 2000] [--runs 5] [--json FILE]

dB above ``2**(-2 rate)`` on fresh i.i.d. Gaussian rows, rate = 8 * code_size / d; rows coded and decoded a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codeword as cw
from codeword import runtime

RATES = (0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6)
CASES = ((384, "fast"), (384, "default"), (384, "best"), (128, "fast"), (128, "default"), (128, "best"))


def gaussian(n: int, d: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def seconds(run: Callable[[], object], runs: int) -> float:
    """Least process time of one run."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def decode_often(quantizer: cw.TrellisQuantizer, codes: NDArray[np.uint8]) -> None:
    for _ in range(20):
        quantizer._decode(codes)


def measure(d: int, effort: str, bits: float, n: int, runs: int) -> dict[str, Any]:
    quantizer = cw.TrellisQuantizer(bits, effort=effort).fit(gaussian(4000, d, 1))
    X = gaussian(n, d, 2)
    codes = quantizer.encode(X)
    error = float(np.mean((X - quantizer.decode(codes)).astype(np.float64) ** 2))
    few = X[:200] if effort == "best" else X
    cached = np.ascontiguousarray(codes[: max(1, (1 << 19) // (4 * d))])  # rows of 512 KiB
    return {
        "d": d,
        "effort": effort,
        "bits": bits,
        "db_above_bound": round(10 * np.log10(error * 4**quantizer.rate), 3),
        "encode_rows_per_s": round(len(few) / seconds(lambda: quantizer.encode(few), runs)),
        "decode_coordinates_per_s": round(20 * len(cached) * d / seconds(lambda: decode_often(quantizer, cached), 2 * runs)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--effort", choices=("fast", "default", "best"), help="all of them by default")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    runtime.set_threads(1)
    results = []
    print(f"ISA {runtime.isa()}, {arguments.rows} fresh rows\n   d effort   bits  dB above   encode/s  decode G/s")
    for d, effort in CASES:
        for bits in arguments.rates if arguments.effort in (None, effort) else ():
            r = measure(d, effort, bits, arguments.rows, arguments.runs)
            results.append(r)
            decode = r["decode_coordinates_per_s"] / 1e9
            print(f"{d:4} {effort:8} {bits:4} {r['db_above_bound']:9.3f} {r['encode_rows_per_s']:10} {decode:9.2f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
