"""What opening, removing and saving take with a million vectors in the index: CPU and wall milliseconds, syncs stated apart.

python bench/living.py                                  minilm-wordnet grown to a million rows; built anew
python bench/living.py --kept /scratch/index            built once, then kept in that folder, which is copied
python bench/living.py --rows 4000000 --folder /scratch
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("CODEWORD_THREADS", "1")

import numpy as np
from grow import grown

import codeword as cw

TRAINING_ROWS = 65_536


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


def built(X: Any) -> cw.Index:
    """An index of rows X under ids that do not run on."""
    index = cw.Index(cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0, allocation="waterfill", effort="fast")), lists=1024)
    index.fit(np.ascontiguousarray(X[:: max(1, len(X) // TRAINING_ROWS)]))
    step = -(-len(X) // 4)
    for start in range(0, len(X), step):
        index.add(np.ascontiguousarray(X[start : start + step]), ids=np.arange(start, min(len(X), start + step)) * 2)
    return index.vacuum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", default="minilm-wordnet")
    parser.add_argument("--kept", help="folder of the index: made where it is not there")
    parser.add_argument("--folder", help="where to save")
    arguments = parser.parse_args()
    X = grown(arguments.data, arguments.rows)
    print("milliseconds of CPU, of the clock, of those in fsync")
    if arguments.kept is None or not os.path.isdir(arguments.kept):
        index = timed("build", lambda: built(X))
        if arguments.kept is not None:
            index.save(arguments.kept)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = os.path.join(folder, "index")
        if arguments.kept is None:
            timed("save all", lambda: index.save(path))
        else:
            shutil.copytree(arguments.kept, path)
        for _ in range(3):
            opened = timed("open", lambda: cw.open_index(path))
        print(f"{opened!r} in {opened.stats()['lists']['count']} lists")
        timed("first search, which checks", lambda: opened.search(X[:1], 10, effort=8))
        timed("second search", lambda: opened.search(X[:1], 10, effort=8))
        _changed(opened, "opened", X)
        held = timed("all into memory", opened.vacuum)
        _changed(held, "in memory", X)


def _changed(index: cw.Index, what: str, X: Any) -> None:
    """Removals, additions and saves, the first of each apart: it may make a table of ids."""
    ids = np.random.default_rng(len(index)).permutation(index.ids)
    timed(f"{what}: remove 10,000, first", lambda: index.remove(ids[:10_000]))
    timed(f"{what}: remove 10,000", lambda: index.remove(ids[10_000:20_000]))
    timed(f"{what}: save", index.save)
    for _ in range(2):
        timed(f"{what}: add 1,000", lambda: index.add(X[:1000]))
        timed(f"{what}: save after that", index.save)
    timed(f"{what}: search after that", lambda: index.search(X[:1], 10, effort=8))


if __name__ == "__main__":
    main()
