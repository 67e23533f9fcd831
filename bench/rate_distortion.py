"""How much of the vectors is left at how many bytes: `codeword.auto`, our quantizers and the peers' on the same rows, at the same sizes.

    python bench/rate_distortion.py [--rows 10000 4000 250] [--data minilm-wordnet ...] [--rates 0.5 1 ...] [--members]
                                    [--only PQ] [--again codeword] [--limit 300] [--kept FOLDER] [--docs FOLDER] [--show]

Rows are shuffled by a seed; what learns is fitted on one half, and everything is measured on the other half. A contender runs in a
process of its own with one thread, and is stopped after --limit seconds of CPU time. Bytes are all that is stored for a vector; the model,
stored once, is stated apart. Recall@10 is without re-ranking: of a coder's own search, or by distances to the decoded vectors where it
has none. The error of inner products is that of <q, x> over |q| |x|, root mean square; those who do not decode are compared by it. A cell
(data, rate) is won where `codeword.auto` (with --members: our best) is better than the best peer of at most as many bytes outside the
95 % interval of a paired bootstrap over rows (or queries). A learned codebook with fewer than 39 rows a codeword is marked starved.

What was measured is kept in a folder, a file for each contender and cell, and is not measured again: not even where it could not be done,
unless the limit has grown. --again names contenders that are. --show only prints and writes what is kept.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from coders import contenders
from common import ROOT, environment
from rd_cells import Cell, Kept, Result
from rd_measure import DATA, SIZES, measure, width
from rd_show import counts, document, show
from rich.console import Console
from run import best_profile

RATES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
WALL = 10  # times its limit of CPU time that a contender may take on a busy machine


def child(options: argparse.Namespace) -> None:
    """Measure one contender at one size and keep what comes out; why there is nothing, too."""
    data, rate, name = options.child
    resource.setrlimit(resource.RLIMIT_CPU, (int(options.limit), int(options.limit) + 5))
    cell = Cell(data, float(rate), width(data), tuple(options.rows))
    try:
        contender = next(c for c in contenders() if c.name == name)
        figures, by_row = measure(cell, contender)
    except Exception as e:
        traceback.print_exc(file=sys.stderr)
        figures, by_row = {"cannot": f"{type(e).__name__}: {e}".splitlines()[0][:160]}, {}
    Kept(options.kept).put(cell, name, Result(figures, by_row))


def run(cell: Cell, name: str, kept: Kept, options: argparse.Namespace, profile: str) -> None:
    """One contender in a child process."""
    limit, rows = str(options.limit), [str(r) for r in options.rows]
    command = [sys.executable, __file__, "--kept", options.kept, "--limit", limit, "--rows", *rows]
    command += ["--child", cell.data, str(cell.rate), name]
    wall = WALL * options.limit
    try:
        done = subprocess.run(command, env=environment(1, profile), capture_output=True, text=True, timeout=wall, check=False)
        died = (done.stderr.strip().splitlines() or ["it died without a word"])[-1][:160]
        why = f"stopped after {options.limit:g} s" if done.returncode < 0 else died
    except subprocess.TimeoutExpired:
        why = f"stopped after {options.limit:g} s"
    if kept.get(cell, name) is None:
        kept.put(cell, name, Result({"cannot": why, "limit": options.limit}, {}))


def wanted(options: argparse.Namespace) -> list[str]:
    """Names of the contenders: peers and `codeword.auto`, our single quantizers where they are asked for."""
    named = [c.name for c in contenders() if any(o in c.name for o in options.only)]
    return [n for n in named if options.members or not n.startswith("codeword ") or n == "codeword auto"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", nargs=3, type=int, default=SIZES, metavar=("FIT", "CODE", "QUERIES"), help="at most so many; 0: all there are"
    )
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    parser.add_argument("--members", action="store_true", help="our quantizers one by one too")
    parser.add_argument("--only", nargs="+", default=[""], help="contenders whose name holds one of these")
    parser.add_argument("--again", nargs="+", default=[], help="contenders to measure again though they are kept")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of CPU time for each contender")
    parser.add_argument("--kept", default=str(ROOT / "build" / "rate_distortion"), help="folder of what was measured")
    parser.add_argument("--docs", help="folder for the page of tables and one picture a data set")
    parser.add_argument("--show", action="store_true", help="measure nothing")
    parser.add_argument("--json", help="write all figures here")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.child:
        child(options)
        return
    console = Console(width=190 if not sys.stdout.isatty() else None)
    kept, profile = Kept(options.kept), "" if options.show else best_profile(1)
    cells = [Cell(data, rate, width(data), tuple(options.rows)) for data in options.data for rate in options.rates]
    made = []
    for cell in cells:
        for name in wanted(options):
            known = kept.get(cell, name)
            stale = (
                known is None or any(a in name for a in options.again) or known.figures.get("limit", options.limit) < options.limit
            )
            if stale and not options.show:
                kept.drop(cell, name)
                run(cell, name, kept, options, profile)
        results = {name: result for name in wanted(options) if (result := kept.get(cell, name)) is not None}
        if results:
            made.append((cell, results))
            show(cell, results, console)
    counts(made, console)
    if options.docs:
        document(made, Path(options.docs))
    if options.json:
        figures: list[Any] = [
            {**cell._asdict(), "contenders": {n: r.figures for n, r in results.items()}} for cell, results in made
        ]
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
