"""What a cap on memory costs: training on a file that is larger than the cap, beside a training on rows in memory.

    python bench/stream.py [--size 10GB] [--cap 1GB] [--source sift-kodak] [--folder DIR] [--threads 2] [--quick]

Rows grown from real ones (bench/grow.py) are written to a file. Each training runs in a child process: under the cap on the whole
file, then in memory on as many of the rows as fit in half the machine's memory. Figures: how much the child's anonymous memory grew at most, as
a share of the cap; rows trained on a second (rows of all passes), as a ratio to the rate in memory; the bytes read a second, as a
ratio to what the disk gives when the same file is only read. Figures of the disk are from a cold page cache where the system lets
it be dropped (root), and the table says which.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import environment, rows
from grow import write
from rich.console import Console
from rich.table import Table

FREE = 15e9
CONTENDERS = {
    "VectorQuantizer(1024)": "cw.VectorQuantizer(1024, max_iter=8)",
    "ProductQuantizer(16)": "cw.ProductQuantizer(16, max_iter=8)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="10GB", help="bytes of the file")
    parser.add_argument("--cap", default="1GB", help="max_memory of the fit")
    parser.add_argument("--source", default="sift-kodak", help="name of a data set")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the file goes; removed at the end")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="a file of 300 MB and a cap of 100 MB")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return
    from codeword.checks import memory

    size, cap = (memory(v, "size") for v in (("300MB", "100MB") if options.quick else (options.size, options.cap)))
    free = shutil.disk_usage(options.folder).free
    if free < max(1.2 * size, FREE * min(1.0, size / 10e9)):
        print(f"skipped: {options.folder} has {free / 1e9:.1f} GB free, a file of {size / 1e9:.1f} GB wants {size / 1e9 * 1.5:.1f}")
        return
    with tempfile.TemporaryDirectory(prefix="codeword-bench-", dir=options.folder) as folder:
        path = Path(folder) / "rows.npy"
        X = rows(options.source, options.quick)
        n = size // (4 * X.shape[1])
        write(X, path, n, 1, False)
        compare(path, n, X.shape[1], cap, options.threads)


def compare(path: Path, n: int, d: int, cap: int, threads: int) -> None:
    """Run every contender both ways and print the table."""
    size = 4 * n * d
    in_memory = min(n, int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4 / (4 * d)))
    cold, disk = drop_cache(path), read_rate(path)
    table = Table(title=f"{n:,} x {d} float32, {size / 1e9:.2f} GB; max_memory {cap / 1e9:g} GB; {threads} threads")
    for column in ("", "growth / cap", "rows/s / in memory", "CPU a row / in memory", "GB/s read / disk", "wall s"):
        table.add_column(column, justify="right" if column else "left")
    for name, make in CONTENDERS.items():
        drop_cache(path)
        capped = run({"make": make, "path": str(path), "cap": cap, "rows": n, "threads": threads})
        free = run({"make": make, "path": str(path), "cap": None, "rows": in_memory, "threads": threads})
        rate, cpu = (capped["seen"] / capped["wall"], capped["cpu"] / capped["seen"])
        table.add_row(
            name,
            f"{capped['growth'] / cap:.2f}",
            f"{rate / (free['seen'] / free['wall']):.2f}",
            f"{cpu / (free['cpu'] / free['seen']):.2f}",
            f"{capped['passes'] * size / capped['wall'] / disk:.2f}",
            f"{capped['wall']:.0f}",
        )
    console = Console(width=120)
    console.print(table)
    console.print(
        f"in memory: {in_memory:,} of the rows; disk: {disk / 1e9:.2f} GB/s, {'cold' if cold else 'page cache as it was'}"
    )


def drop_cache(path: Path) -> bool:
    """Have the file's pages leave the page cache, where that is possible."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def read_rate(path: Path) -> float:
    """Bytes a second that reading the file through gives."""
    buffer = bytearray(1 << 24)
    start, total = time.perf_counter(), 0
    with path.open("rb", buffering=0) as file:
        while got := file.readinto(buffer):
            total += got
    return total / (time.perf_counter() - start)


def run(job: dict[str, Any]) -> dict[str, float]:
    """A training in a process of its own."""
    command = [sys.executable, __file__, "--child", json.dumps(job)]
    done = subprocess.run(command, env=environment(job["threads"], ""), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def child(job: dict[str, Any]) -> None:
    """Fit once; print growth of anonymous memory, time, rows seen in passes, and passes over the file."""
    import numpy as np

    import codeword as cw
    from codeword import sources

    X = np.load(job["path"], mmap_mode="r")[: job["rows"]]
    passes = 0
    if job["cap"] is None:
        X = np.array(X)
    else:
        read = sources.Parts.read

        def counted(self: sources.Parts, step: int, checked: bool = False) -> Any:
            nonlocal passes
            passes += 1
            return read(self, step, checked)

        sources.Parts.read = counted  # type: ignore[method-assign]
    quantizer = eval(job["make"], {"cw": cw})
    quantizer.clone().fit(np.random.default_rng(0).random((1 << 13, X.shape[1]), np.float32))  # imports, threads, scratch
    passes = 0
    before, peak, stop = anonymous(), watch(), time.perf_counter()
    cpu = time.process_time()
    quantizer.fit(X, max_memory=job["cap"])
    wall, cpu, growth = time.perf_counter() - stop, time.process_time() - cpu, peak() - before
    trained = quantizer.training_ if isinstance(quantizer.training_, list) else [quantizer.training_]
    seen = sum(p.rows for t in trained for p in t.passes) / len(trained)
    print(json.dumps({"growth": growth, "wall": wall, "cpu": cpu, "seen": seen, "passes": passes}))


def anonymous() -> int:
    """Anonymous memory of this process in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))


def watch() -> Callable[[], int]:
    """Follow the anonymous memory; the function that is returned ends that and gives the peak."""
    peak, done = anonymous(), threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, anonymous())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()

    def end() -> int:
        done.set()
        thread.join()
        return peak

    return end


if __name__ == "__main__":
    main()
