"""Four threads change, search, save and reopen one index, every step compared with brute force: tests/soak.py for minutes.

python bench/soak.py [--minutes 10] [--seed 0] [--data minilm-wordnet] [--folder /scratch]

Prints what was done, recall beside a fresh index of the same vectors, and memory minute by minute; fails where an id is lost, duplicated or
comes back, where recall is a hundredth below the fresh index's, or where memory has grown by a twentieth.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("CODEWORD_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from common import rows

import codeword as cw
import soak

HELD_OUT = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="minilm-wordnet")
    parser.add_argument("--folder")
    options = parser.parse_args()
    X = rows(options.data, False)
    pool, queries = X[HELD_OUT:40_000], X[:HELD_OUT]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        made = soak.Soak(pool, cw.ScalarQuantizer(4).fit(pool), Path(folder) / "index", aim=2500, lists=128)
        cpu = time.process_time()
        made.run(60 * options.minutes, options.seed)
        cpu = time.process_time() - cpu
        mine, fresh = made.recalls(queries)
    print(f"{options.minutes:g} minutes, {cpu:.0f} s of CPU, {len(made.index):,} vectors in the end, none lost, duplicated or back")
    print("done:", ", ".join(f"{what} {times:,}" for what, times in sorted(made.done.items())))
    print(f"recall@10: {mine:.4f}, of a fresh index {fresh:.4f}")
    each = max(1, len(made.memory) // max(1, round(options.minutes)))
    peaks = [max(made.memory[at : at + each]) >> 20 for at in range(0, len(made.memory), each)]
    print(f"memory, MiB, most of each minute: {peaks}; last third over the one before: {made.growth():+.1%}")
    if mine < fresh - 0.01 or made.growth() > 0.05:
        sys.exit("not as it should be")


if __name__ == "__main__":
    main()
