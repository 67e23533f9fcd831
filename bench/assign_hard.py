"""Assignment of rows made to be hard (tests/hard_rows.py): CPU time as a ratio to that of our float32 filter alone.

    python bench/assign_hard.py [--rounds 5]

The filters in front of the float32 filter (docs/exactness.md) then decide little and cost what they cost. A second table puts the
float32 filter alone on these rows beside itself on normal ones: ties are decided by the exact form. Rounds are interleaved; a figure is
the median of the rounds' ratios. The float32 filter alone is what AVX-512 without VNNI runs.
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
from hard_rows import HARD, normal

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
    filtered, plain = (
        table(f"CPU time of {what}") for what in (f"{best} / float32 filter alone", f"{PLAIN}, hard rows / normal rows")
    )
    for make in HARD:
        shapes = [seconds(make, d, k, best, options.rounds) for d, k in SHAPES]
        filtered.add_row(make.__name__, *(f"{ratio(s[best], s[PLAIN]):.2f}" for s in shapes))
        plain.add_row(make.__name__, *(f"{ratio(s[PLAIN], s['normal']):.2f}" for s in shapes))
    console = Console(width=150)
    console.print(filtered, plain)


def table(title: str) -> Table:
    made = Table(title=title, title_justify="left")
    made.add_column("rows")
    for d, k in SHAPES:
        made.add_column(f"d={d} k={k}", justify="right")
    return made


def seconds(make: Any, d: int, k: int, best: str, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each round: hard rows by both ways, normal rows by the float32 filter."""
    n = 3072 if d < 300 else 1536
    rng = np.random.default_rng(1)
    hard = [np.ascontiguousarray(part) for part in make(rng, n, k, d)]
    easy = [normal(rng, n, d), normal(rng, k, d)]
    jobs = {best: (best, *hard), PLAIN: (PLAIN, *hard), "normal": (PLAIN, *easy)}
    packed = {}
    times: dict[str, list[float]] = {job: [] for job in jobs}
    for job, (isa, _, codebook) in jobs.items():
        _native.set_isa(isa)
        packed[job] = pack([codebook])
    for _ in range(rounds):
        for job, (isa, X, _) in jobs.items():
            _native.set_isa(isa)
            start = time.process_time()
            nearest(X, packed[job], 2 * k * d)
            times[job].append(time.process_time() - start)
    _native.set_isa(best)
    return times


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main()
