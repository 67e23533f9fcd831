"""What over-relaxed k-means passes are worth: distortion after T passes, relative to 25 plain passes from the same seeding.

python bench/relaxation.py [--quick]
"""

from __future__ import annotations

import sys

import numpy as np
from common import rows
from rich.console import Console
from rich.table import Table

from codeword.training import kmeans, seeding

PASSES = (8, 12, 16, 25)
RELAXATIONS = (1.0, 1.5, 1.8, 2.0, 2.3, 2.6)


def main() -> None:
    quick = "--quick" in sys.argv
    minilm, sift = rows("minilm-wordnet", quick), rows("sift-kodak", quick)
    sources = {
        "minilm, dims 0 to 7": (minilm[:, :8], 256),
        "minilm, dims 136 to 143": (minilm[:, 136:144], 256),
        "minilm, dims 0 to 1": (minilm[:, :2], 64),
        "minilm, half the rows": (minilm[::2], 512),
        "sift, half the rows": (sift[::2], 512),
    }
    table = Table(title="distortion after T passes / after 25 plain passes")
    for column in ("data", "k", "T", *(f"step {r:g} to 1" if r > 1 else "plain" for r in RELAXATIONS)):
        table.add_column(column, justify="right")
    for name, (X, k) in sources.items():
        X = np.ascontiguousarray(X)
        eligible, _ = seeding.split_rows(X, None, 0)
        start = seeding.kmeans_plus_plus(X, k, None, eligible, 0)
        reference = loss_after(X, start, 25, 1.0, eligible)
        for passes in PASSES:
            ratios = [loss_after(X, start, passes, r, eligible) / reference for r in RELAXATIONS]
            table.add_row(name, str(k), str(passes), *(f"{r:.4f}" for r in ratios))
    Console(width=130).print(table)


def loss_after(X: np.ndarray, start: np.ndarray, passes: int, relaxation: float, eligible: np.ndarray) -> float:
    codebook = kmeans.lloyd(X, start, None, passes, 0.0, eligible, "", relaxation).codebook
    return kmeans.lloyd(X, codebook, None, 1, 0.0, eligible, "").history[0]


if __name__ == "__main__":
    main()
