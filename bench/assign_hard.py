"""Assignment of rows made to be hard (tests/hard_rows.py): CPU time as a ratio to that of our float32 filter alone.

    python bench/assign_hard.py [--rounds 5]

The filters in front of the float32 filter (docs/exactness.md) then decide little and cost what they cost. Rounds are interleaved; a
figure is the median of the rounds' ratios. The float32 filter alone is what AVX-512 without VNNI runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

import numpy as np
from common import ROOT
from rich.console import Console
from rich.table import Table

import codeword as cw
from codeword import _native
from codeword.training.nearest import nearest, pack

sys.path.insert(0, str(ROOT / "tests"))
from hard_rows import HARD

SHAPES = ((3, 256), (8, 256), (16, 256), (33, 256), (130, 300), (384, 1024), (1536, 256), (3072, 256))
PLAIN = "avx512"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cw.set_threads(1)
    best = _native.isa()
    if PLAIN not in _native.available_isas() or best == PLAIN:
        sys.exit(f"bench: {best} has no filter in front of the float32 filter, there is nothing to compare")
    table = Table(title=f"CPU time of {best} / float32 filter alone")
    table.add_column("rows")
    for d, k in SHAPES:
        table.add_column(f"d={d} k={k}", justify="right")
    worst = 0.0
    for make in HARD:
        ratios = [ratio(make, d, k, best, options.rounds) for d, k in SHAPES]
        worst = max(worst, *ratios)
        table.add_row(make.__name__, *(f"{r:.2f}" for r in ratios))
    console = Console(width=150)
    console.print(table)
    console.print(f"worst: {worst:.2f}")


def ratio(make: Any, d: int, k: int, best: str, rounds: int) -> float:
    """Median of the rounds' ratios on one kind of rows."""
    n = 3072 if d < 300 else 1536
    X, codebook = (np.ascontiguousarray(part) for part in make(np.random.default_rng(1), n, k, d))
    seconds: dict[str, list[float]] = {best: [], PLAIN: []}
    packed = {}
    for isa in seconds:
        _native.set_isa(isa)
        packed[isa] = pack([codebook])
    for _ in range(rounds):
        for isa, times in seconds.items():
            _native.set_isa(isa)
            start = time.process_time()
            nearest(X, packed[isa], 2 * k * d)
            times.append(time.process_time() - start)
    _native.set_isa(best)
    return statistics.median(a / b for a, b in zip(seconds[best], seconds[PLAIN], strict=True))


if __name__ == "__main__":
    main()
