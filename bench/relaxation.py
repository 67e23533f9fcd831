"""What over-relaxed k-means passes are worth, and what training on a quarter of the rows first costs.

First table: distortion after T passes over all rows, relative to 25 plain passes from the same seeding. Second table: 8 passes over a
quarter of the rows and 8 over all of them, as `train` does it, relative to the same 25 plain passes.

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
RELAXATIONS = (1.0, 1.6, 2.0, 2.2, 2.4, 2.6)


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
    console = Console(width=130)
    console.print(table)
    console.print(widening_table(minilm, sift))


def widening_table(minilm: np.ndarray, sift: np.ndarray) -> Table:
    """Mean over three pieces of the rows of the distortion that two levels of training reach, relative to 25 plain passes."""
    table = Table(title="8 passes over a quarter of the rows and 8 over all / 25 plain passes over all")
    for column in ("data", "width", "k", *(f"step {r:g} to 1" for r in RELAXATIONS[1:])):
        table.add_column(column, justify="right")
    for name, X in {"minilm": minilm, "sift": sift}.items():
        for width in (2, 4, 8, 16, 32):
            k = 64 if width == 2 else 256
            pieces = [np.ascontiguousarray(X[:, start : start + width]) for start in (0, 32, 96)]
            ratios = np.mean([widening_ratios(piece, k) for piece in pieces], axis=0)
            table.add_row(name, str(width), str(k), *(f"{r:.4f}" for r in ratios))
    return table


def widening_ratios(X: np.ndarray, k: int) -> list[float]:
    eligible, _ = seeding.split_rows(X, None, 0)
    reference = loss_after(X, seeding.kmeans_plus_plus(X, k, None, eligible, 0), 25, 1.0, eligible)
    settings = [kmeans.Settings(k, max_iter=16, tol=0.0, relaxation=r) for r in RELAXATIONS[1:]]
    codebooks = [kmeans.train(X, s).codebook for s in settings]
    return [kmeans.lloyd(X, c, None, 1, 0.0, eligible, "").history[0] / reference for c in codebooks]


def loss_after(X: np.ndarray, start: np.ndarray, passes: int, relaxation: float, eligible: np.ndarray) -> float:
    codebook = kmeans.lloyd(X, start, None, passes, 0.0, eligible, "", relaxation).codebook
    return kmeans.lloyd(X, codebook, None, 1, 0.0, eligible, "").history[0]


if __name__ == "__main__":
    main()
