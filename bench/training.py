"""Codebook training of all libraries, from call to return: time, memory, distortion over all rows; time to one distortion.

    python bench/training.py                          every set, five seeds, one thread
    python bench/training.py minilm --seeds 1 --only faiss --threads 2
    python bench/training.py minilm --converge        60 passes each: the distortion in the end

Contenders are in trainers.py. Each run is a fresh process, so that memory is its own; the contenders take turns, a seed a turn.
The target is the median distortion of faiss's Kmeans over all rows after 20 passes; the time a library takes to it is the least median
over its passes among those whose median distortion is at most the target. Large sets are grown from real ones (grow.py).
A run that ends FAR above the target with the first seed is out of the race: fewer passes of that contender are not tried, and no
other seed is.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import data_folder, environment, mean_squared_error, rows, timed
from grow import grown
from rich.console import Console
from rich.table import Table
from run import best_profile
from trainers import TRAINERS

HERE = Path(__file__).resolve().parent
TARGET = ("faiss Kmeans, all rows", 20)
CONVERGED = 60
FAR = 0.004
# Name: what it is, k.
SETS = {
    "minilm": ("minilm-wordnet, 40,000 x 384", 1024),
    "mnist": ("60,000 x 784 grown from mnist784", 256),
    "patches": ("1,000,000 x 16, 4x4 luma patches of kodak", 256),
    "sift": ("1,000,000 x 128 grown from sift-kodak", 1024),
    "sift-4096": ("1,000,000 x 128 grown from sift-kodak", 4096),
}
Figures = dict[str, float]


def main() -> None:
    options = arguments()
    if options.child:
        child(*options.child)
        return
    console = Console(width=150 if not sys.stdout.isatty() else None)
    profile = best_profile(options.threads)
    console.print(f"{options.threads} thread(s), {options.seeds} seed(s), BLAS profile {profile or 'as shipped'!r}")
    results = {name: measure(name, options, profile, console) for name in options.sets or SETS}
    if options.json:
        Path(options.json).write_text(
            json.dumps({"threads": options.threads, "blas": profile, "results": results}, indent=1) + "\n"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", help=f"some of: {', '.join(SETS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="only contenders whose name holds this (ours and the target always)")
    parser.add_argument("--converge", action="store_true", help=f"{CONVERGED} passes of each")
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a run is stopped")
    parser.add_argument("--json", default="", help="also write all figures here")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    return parser.parse_args()


def training_set(name: str) -> Any:
    """Rows (n, d) float32 of a set."""
    if name == "minilm":
        return rows("minilm-wordnet", False)
    if name == "mnist":
        return grown("mnist784", 60_000)
    if name == "patches":
        return patches()
    return grown("sift-kodak", 1_000_000)


def patches() -> Any:
    """The first million 4 x 4 patches, two apart, of the luma of the photographs."""
    import numpy as np
    from PIL import Image

    blocks: list[Any] = []
    for path in sorted((data_folder() / "kodak").glob("*.png")):
        luma = np.asarray(Image.open(path).convert("L"), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(luma, (4, 4))[::2, ::2]
        blocks.append(windows.reshape(-1, 16))
    return np.ascontiguousarray(np.concatenate(blocks)[:1_000_000])


def child(name: str, contender: str, passes: str, seed: str, threads: str) -> None:
    """One run in this process: figures as JSON."""
    import codeword as cw

    X, k = training_set(name), SETS[name][1]
    trainer = TRAINERS[contender]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall, codebook = timed(lambda: trainer.train(X, k, int(passes), int(seed), int(threads)))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    vq = cw.VectorQuantizer.from_codebook(codebook)
    mse = mean_squared_error(X, vq.codebook, vq.indices(vq.encode(X))[:, 0])
    print(json.dumps({"cpu": cpu, "wall": wall, "mse": mse, "MB": (after - before) / 1024}))


def measure(name: str, options: argparse.Namespace, profile: str, console: Console) -> dict[str, Any]:
    """All contenders on one set."""
    d = training_set(name).shape[1]
    runs: dict[tuple[str, int], list[Figures] | str] = {}
    for contender, trainer in TRAINERS.items():
        if d >= trainer.narrowest and (trainer.ours or contender == TARGET[0] or options.only in contender):
            for passes in (CONVERGED,) if options.converge else sorted(trainer.passes, reverse=True):
                runs[contender, passes] = []
    for seed in range(options.seeds):
        # The target comes first: it says who is far from it.
        for contender, passes in sorted(runs, key=lambda run: run != TARGET):
            figures = runs[contender, passes]
            if isinstance(figures, list) and (options.converge or not out_of_the_race(runs, contender, passes)):
                figure = one_run([name, contender, str(passes), str(seed), str(options.threads)], options, profile)
                if isinstance(figure, str):
                    runs[contender, passes] = figure
                else:
                    figures.append(figure)
    runs = {run: figures for run, figures in runs.items() if figures}
    show(name, runs, console)
    if not options.converge:
        race(runs, console)
    return {f"{contender}, {passes} passes": figures for (contender, passes), figures in runs.items()}


def out_of_the_race(runs: dict[tuple[str, int], Any], contender: str, passes: int) -> bool:
    """Whether the first seed of this run, or of one with more passes, ended FAR above the target's."""
    goal = runs[TARGET]
    if not isinstance(goal, list) or not goal or (contender, passes) == TARGET:
        return False
    longer = [figures for (name, p), figures in runs.items() if name == contender and p >= passes]
    return any(isinstance(f, list) and f and f[0]["mse"] > (1 + FAR) * goal[0]["mse"] for f in longer)


def one_run(arguments: list[str], options: argparse.Namespace, profile: str) -> Figures | str:
    """Figures of a run in a process of its own, or why there are none."""
    command = [sys.executable, str(HERE / "training.py"), "--child", *arguments]
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
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def median(figures: list[Figures], key: str) -> float:
    return statistics.median(f[key] for f in figures)


def target(runs: dict[tuple[str, int], Any]) -> float:
    """The distortion to reach; NaN where the target's own runs failed."""
    figures = runs.get(TARGET) or runs.get((TARGET[0], CONVERGED))
    return median(figures, "mse") if isinstance(figures, list) else float("nan")


def show(name: str, runs: dict[tuple[str, int], Any], console: Console) -> None:
    what, k = SETS[name]
    goal = target(runs)
    table = Table(title=f"{what}, k = {k:,}", title_justify="left")
    for column in ("contender", "passes", "seeds", "CPU s", "wall s", "mse against faiss's", "spread", "MB above the data"):
        table.add_column(column, justify="left" if column == "contender" else "right")
    for (contender, passes), figures in runs.items():
        if isinstance(figures, str):
            table.add_row(contender, str(passes), "", figures)
            continue
        shares = [f["mse"] / goal - 1 for f in figures]
        table.add_row(
            contender,
            str(passes),
            str(len(figures)),
            f"{median(figures, 'cpu'):.3g}",
            f"{median(figures, 'wall'):.3g}",
            f"{statistics.median(shares):+.2%}",
            f"{max(shares) - min(shares):.2%}",
            f"{median(figures, 'MB'):.0f}",
        )
    console.print(table)


def race(runs: dict[tuple[str, int], Any], console: Console) -> None:
    """CPU time to the target of each library that reaches it, against ours."""
    goal, times = target(runs), {}
    for (contender, _), figures in runs.items():
        if isinstance(figures, list) and median(figures, "mse") <= goal:
            times[contender] = min(times.get(contender, float("inf")), median(figures, "cpu"))
    ours = next((times[c] for c in times if TRAINERS[c].ours), None)
    for contender, seconds in sorted(times.items(), key=lambda item: item[1]):
        ratio = "" if ours is None else f", {seconds / ours:.2f} times ours"
        console.print(f"  to faiss's distortion after {TARGET[1]} passes: {contender} {seconds:.3g} CPU s{ratio}")


if __name__ == "__main__":
    main()
