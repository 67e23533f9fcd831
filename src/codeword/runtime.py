"""Threads, the instruction set in use, and loops that show progress and can be interrupted."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from codeword import _native, checks

_SECONDS_BEFORE_PROGRESS = 2.0
_jobs = threading.local()


def set_threads(n: int) -> None:
    """Use `n` threads (1 to 1024) in native code from now on; results never depend on it.

    Examples
    --------
    >>> import codeword as cw
    >>> cw.set_threads(2)
    """
    _native.set_threads(checks.integer(n, "n", 1, 1024))


def threads() -> int:
    """Threads that native code uses: those this process may run on, CODEWORD_THREADS, or what `set_threads` said."""
    return _native.threads()


def isa() -> str:
    """Instruction set that the kernels use here: the best this machine has, or the one that CODEWORD_ISA names."""
    return _native.isa()


def available_isas() -> list[str]:
    """Instruction sets that this build has and this machine can run, plainest first."""
    return list(_native.available_isas())


class Progress:
    """Progress of a long job on standard error: a Rich bar with rate and time left, only on a terminal, only after two seconds.

    A job inside another job shows nothing: the outer one does.

    Examples
    --------
    >>> with Progress("encode", 10) as progress:
    ...     for _ in range(10):
    ...         progress.advance(1)
    """

    def __init__(self, label: str, total: float, unit: str = "rows") -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, 0.0
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._outermost = False

    def __enter__(self) -> Progress:
        depth = getattr(_jobs, "depth", 0)
        self._outermost, _jobs.depth = depth == 0, depth + 1
        return self

    def __exit__(self, *error: object) -> None:
        _jobs.depth -= 1
        if self._bar is not None:
            self._bar.stop()

    def advance(self, amount: float, note: str = "") -> None:
        """Say that `amount` more is done."""
        self.done += amount
        if self._bar is None:
            early = time.monotonic() - self._start < _SECONDS_BEFORE_PROGRESS
            if early or not self._outermost or not sys.stderr.isatty():
                return
            self._show()
        self._bar.update(self._task, completed=self.done, note=note, rate=f"{self._rate():,.0f} {self.unit}/s")

    def _rate(self) -> float:
        return self.done / max(1e-9, time.monotonic() - self._start)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self.label, total=self.total, rate="", note="")
        self._bar.start()


def blocks(n: int, step: int, label: str) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) that cover n rows `step` at a time, with progress; Ctrl-C works between them."""
    with Progress(label, n) as progress:
        for start in range(0, n, step):
            stop = min(n, start + step)
            yield start, stop
            progress.advance(stop - start)
