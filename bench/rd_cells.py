"""Cells (data, rate) of rate_distortion.py, what was measured in them, and who is better: kept as files, compared by bootstrap."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from codeword.bootstrap import Bootstrap

AUTO = "codeword auto"
KINDS = {
    "errors": "distortion, ours / theirs",
    "recalls_l2": "recall@10, ours - theirs",
    "recalls_ip": "recall@10 by inner product, ours - theirs",
    "products": "mean square of inner products' errors, ours / theirs",
}


class Cell(NamedTuple):
    """A data set of width d at a rate, and at most how many rows to fit, rows to code, queries (0: all)."""

    data: str
    rate: float
    d: int
    rows: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes a vector."""
        return max(1, round(self.rate * self.d / 8))


class Result(NamedTuple):
    """Figures of a contender; and row by row (or query by query) what is compared, by kind."""

    figures: dict[str, Any]
    by_row: dict[str, Any]


class Kept:
    """Results in a folder, one file each."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def _path(self, cell: Cell, name: str) -> Path:
        rows = "-".join(str(r) for r in cell.rows)
        return self._folder / f"{cell.data}-{rows}" / f"{cell.size}-{re.sub('[^A-Za-z0-9]+', '_', name)}.npz"

    def get(self, cell: Cell, name: str) -> Result | None:
        path = self._path(cell, name)
        if not path.exists():
            return None
        with np.load(path) as file:
            by_row = {k: file[k] for k in file.files if k != "figures"}
            return Result(json.loads(str(file["figures"])), by_row)

    def put(self, cell: Cell, name: str, result: Result) -> None:
        path = self._path(cell, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, figures=np.array(json.dumps(result.figures)), **result.by_row)

    def drop(self, cell: Cell, name: str) -> None:
        self._path(cell, name).unlink(missing_ok=True)


class Verdict(NamedTuple):
    """Ours against the best peer: a ratio of losses or a difference of recalls, and its 95 % interval."""

    result: str
    ours: str
    peer: str
    value: float
    low: float
    high: float


def ours(name: str) -> bool:
    return name.startswith("codeword ")


def best(results: dict[str, Result], size: int, kind: str, *, mine: bool) -> str | None:
    """Our best, or the best peer, of at most `size` bytes. Ours is what `codeword.auto` chose, where it was asked."""
    sign = -1.0 if kind.startswith("recalls") else 1.0
    of_kind = {
        name: sign * float(r.by_row[kind].mean())
        for name, r in results.items()
        if kind in r.by_row and ours(name) == mine and r.figures["bytes"] <= size
    }
    if mine and AUTO in of_kind:
        return AUTO
    return min(of_kind, key=lambda name: of_kind[name], default=None)


def verdict(results: dict[str, Result], size: int, kind: str) -> Verdict | None:
    """Who is better in a cell; None where one side has nothing of the kind."""
    my_name, peer = best(results, size, kind, mine=True), best(results, size, kind, mine=False)
    if my_name is None or peer is None:
        return None
    one, other = results[my_name].by_row[kind], results[peer].by_row[kind]
    boot = Bootstrap(len(one))
    if kind.startswith("recalls"):
        value, (low, high) = float(one.mean() - other.mean()), boot.difference(one, other)
        result = "won" if low > 0 else "lost" if high < 0 else "level"
    else:
        value, (low, high) = float(one.mean() / other.mean()), boot.ratio(one, other)
        result = "won" if high < 1 else "lost" if low > 1 else "level"
    return Verdict(result, my_name, peer, value, low, high)
