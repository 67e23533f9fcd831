"""Training of very many codewords: hierarchical against exact assignment, and faiss's Kmeans where it is feasible.

    python bench/large_k.py                 k = 16,384 with everybody, k = 262,144 with ours
    python bench/large_k.py --k 8192 --threads 2
    python bench/large_k.py --quick         k = 4,096

Rows are the first 64 columns of minilm-wordnet, grown to 7.6 a codeword (grow.py). Each run is a fresh process. Loss is what the cells
found at the end lose against exact ones: as the object states it, and on other rows. Where exact passes
would take too long their time is extrapolated from some rows. Distortion is that of exact codes of rows drawn by key.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import environment, rows, timed
from grow import write
from rich.console import Console
from rich.table import Table
from run import best_profile

HERE = Path(__file__).resolve().parent
COLUMNS, PASSES = 64, 16
LARGEST_EXACT = 1 << 16
MEASURED = 16_384
TIMED_ROWS = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="*", default=[1 << 14, 1 << 18])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--limit", type=float, default=7200, help="seconds after which a run is stopped")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    console, profile = Console(width=150), best_profile(options.threads)
    for k in [4096] if options.quick else options.k:
        training_set(k)  # grown here, so that no child's memory has that in it
        show(k, {who: one_run(who, k, options, profile) for who in RUNS if who == "hierarchical" or k <= LARGEST_EXACT}, console)


def rows_for(k: int) -> int:
    """Rows to train k codewords on: two million for 2**18."""
    return k * 2_000_000 >> 18


def training_set(k: int) -> Any:
    """Rows (n, 64) float32, kept in the folder for temporary files from one run to the next."""
    n = rows_for(k)
    path = Path(tempfile.gettempdir()) / f"codeword-bench-minilm-{COLUMNS}-{n}.npy"
    if not path.exists():
        partial = path.with_suffix(".partial.npy")
        write(np.ascontiguousarray(rows("minilm-wordnet", False)[:, :COLUMNS]), partial, n, 1, False)
        partial.rename(path)
    return np.load(path)


def ours(assignment: str) -> Any:
    def train(X: Any, k: int) -> tuple[Any, dict[str, float]]:
        import codeword as cw

        vq = cw.VectorQuantizer(k, assignment=assignment, max_iter=PASSES).fit(X)
        training = vq.training_
        empty = int((vq.counts == 0).sum())
        return vq.codebook, {
            "loss": training.assignment_loss,
            "looks": training.looks,
            "passes": len(training.passes),
            "empty": empty,
        }

    return train


def faiss(X: Any, k: int) -> tuple[Any, dict[str, float]]:
    import faiss

    kmeans = faiss.Kmeans(X.shape[1], k, niter=PASSES, seed=1, max_points_per_centroid=1 << 30, min_points_per_centroid=1)
    kmeans.train(X)
    return kmeans.centroids, {"passes": PASSES}


RUNS = {"hierarchical": ours("hierarchical"), "exact": ours("exact"), "faiss Kmeans": faiss}


def child(who: str, k_text: str, threads: str) -> None:
    """One run in this process: figures as JSON."""
    import codeword as cw
    from codeword import keys
    from codeword.training import kmeans
    from codeword.training.lloyd import exactly

    cw.set_threads(int(threads))
    k = int(k_text)
    X = training_set(k)
    settled: list[Any] = []  # what knows the cells that training ended with
    settle = kmeans.settle
    kmeans.settle = lambda result, find, *rest: (settled.append(find), settle(result, find, *rest))[1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall, (codebook, facts) = timed(lambda: RUNS[who](X, k))
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    drawn = keys.sample(7, 1, len(X), MEASURED)
    some = X[drawn]
    _, squares = exactly(some)(codebook, None)
    figures = {"cpu": cpu, "wall": wall, "MB": memory, "mse": float(squares.mean()) / X.shape[1], **facts}
    if who == "hierarchical":
        error = some.astype(np.float64) - codebook[settled[0].labels[drawn]]
        figures["other"] = float((error * error).sum() / squares.sum()) - 1
        start = time.process_time()
        exactly(X[:TIMED_ROWS])(codebook, None)
        figures["exact pass"] = (time.process_time() - start) * len(X) / TIMED_ROWS
    print(json.dumps(figures))


def one_run(who: str, k: int, options: argparse.Namespace, profile: str) -> dict[str, float] | str:
    """Figures of a run in a process of its own, or why there are none."""
    command = [sys.executable, str(HERE / "large_k.py"), "--child", who, str(k), str(options.threads)]
    try:
        done = subprocess.run(
            command,
            cwd=HERE,
            env=environment(options.threads, profile),
            capture_output=True,
            text=True,
            timeout=options.limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {options.limit:g} s"
    if done.returncode:
        return f"cannot run here: {(done.stderr.strip().splitlines() or ['it died without a word'])[-1]}"
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def show(k: int, runs: dict[str, dict[str, float] | str], console: Console) -> None:
    n = rows_for(k)
    table = Table(title=f"k = {k:,}, {n:,} x {COLUMNS} ({4 * n * COLUMNS / 1e6:.0f} MB)", title_justify="left")
    columns = (
        "contender",
        "passes",
        "CPU s",
        "times ours",
        "wall s",
        "MB above the data",
        "distortion / ours",
        "loss stated",
        "on other rows",
        "empty",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "contender" else "right")
    first = runs["hierarchical"]
    for who, figures in runs.items():
        if isinstance(figures, str) or isinstance(first, str):
            table.add_row(who, figures if isinstance(figures, str) else "")
            continue
        loss, other = (f"{figures[key]:.3%}" if key in figures and who == "hierarchical" else "" for key in ("loss", "other"))
        table.add_row(
            who,
            f"{figures['passes']:.0f}",
            f"{figures['cpu']:.3g}",
            f"{figures['cpu'] / first['cpu']:.2f}",
            f"{figures['wall']:.3g}",
            f"{figures['MB']:.0f}",
            f"{figures['mse'] / first['mse']:.4f}",
            loss,
            other,
            f"{figures['empty']:.0f}" if "empty" in figures else "",
        )
    console.print(table)
    if not isinstance(first, str):
        exact = first["exact pass"] * PASSES
        console.print(
            f"  {PASSES} exact passes would take {exact:.0f} CPU s, {exact / first['cpu']:.1f} times ours ({first['looks']:.0f} looks)"
        )


if __name__ == "__main__":
    main()
