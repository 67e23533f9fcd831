"""What opening, removing and saving take with a million vectors in the index: CPU and wall milliseconds, syncs stated apart.

python bench/living.py
python bench/living.py --rows 4000000 --folder /scratch
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("CODEWORD_THREADS", "1")

import numpy as np

import codeword as cw

D, LISTS = 64, 1024


def timed(name: str, run: Callable[[], Any]) -> Any:
    """Run and print how long it took, and how much of that the syncs did."""
    waited, sync = 0.0, os.fsync

    def counted(handle: int) -> None:
        nonlocal waited
        start = time.perf_counter()
        sync(handle)
        waited += time.perf_counter() - start

    os.fsync = counted  # type: ignore[assignment]
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        result = run()
    finally:
        cpu, wall, os.fsync = time.process_time() - cpu, time.perf_counter() - wall, sync
    print(f"  {name:32s} {cpu * 1e3:9.1f} {wall * 1e3:9.1f} {waited * 1e3:9.1f}", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    n, X = arguments.rows, np.random.default_rng(0).standard_normal((20_000, D)).astype(np.float32)
    index = cw.Index(cw.ScalarQuantizer(8).fit(X), factors=False, lists=LISTS).fit(X)
    print(f"{n:,} vectors of {index.code_size} bytes in {LISTS} lists: milliseconds of CPU, of the clock, of those in fsync")
    many = np.tile(X, (-(-n // len(X)), 1))[:n]
    timed("add all", lambda: index.add(many, ids=np.arange(n) * 2))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = os.path.join(folder, "index")
        timed("save all", lambda: index.save(path))
        for _ in range(2):
            opened = timed("open", lambda: cw.open_index(path))
        timed("first search, which checks", lambda: opened.search(X[:1], 10, effort=8))
        timed("remove 10,000, the first time", lambda: index.remove(np.arange(10_000) * 2))
        timed("remove 10,000", lambda: index.remove(np.arange(10_000, 20_000) * 2))
        timed("add 1,000", lambda: index.add(X[:1000]))
        timed("save after that", index.save)


if __name__ == "__main__":
    main()
