"""Print the leaders and steps of `codeword.lattice`, trained to Gaussian rows: two minutes on one core.

    python tools/lattice_leaders.py [--rows 150000] [--seed 7]

Lloyd's rule: code random blocks, replace each group of equal entries of a leader by the mean of the sorted coordinates that they
stood for. For the second stage the blocks are what the first leaves, in units (steps) that are fitted for each orbit of the first. Other rows
move entries by one 32nd at most; the shapes are given: a random search over sets of orbits up to norm 18 chose them.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from codeword import lattice

F64 = NDArray[np.float64]
PASSES = 40
STAGES = 14
FEWEST = 20  # blocks that a leader or a step is fitted to


class Book:
    """Leaders (m, 8), trained as floats, and the nearest vector by the rule of docs/lattice.md."""

    def __init__(self, shapes: NDArray[np.uint8], scale: float) -> None:
        self.shapes = shapes.astype(np.int64)
        self.leaders = self.shapes * (scale / 2)
        self._odd = self.shapes[:, 0] % 2 == 1
        self._parity = self.shapes.sum(1) // 2 % 2

    def encode(self, X: F64) -> tuple[NDArray[np.int64], F64, F64]:
        """Leaders (n,) and vectors (n, 8) of blocks, and the sorted coordinates (n, 8) that the leaders stand for."""
        order = np.argsort(-np.abs(X), axis=1, kind="stable")
        a = np.take_along_axis(np.abs(X), order, 1)
        flips = self._odd & (((X < 0).sum(1) % 2)[:, None] != self._parity)
        scores = a @ self.leaders.T - (self.leaders**2).sum(1) / 2 - np.where(flips, 2 * a[:, 7:] * self.leaders[:, 7], 0)
        best = scores.argmax(1)
        signs = np.where(np.take_along_axis(X, order, 1) < 0, -1.0, 1.0)
        flip = np.where(flips[np.arange(len(X)), best], -1.0, 1.0)
        signs[:, 7] *= flip
        a[:, 7] *= flip
        words = np.empty_like(X)
        np.put_along_axis(words, order, self.leaders[best] * signs, 1)
        return best, words, a

    def learn(self, best: NDArray[np.int64], a: F64, weight: F64) -> None:
        for m, shape in enumerate(self.shapes):
            mine = best == m
            if mine.sum() <= FEWEST:
                continue
            mean = (a[mine] * weight[mine, None]).sum(0) / weight[mine].sum()
            for entry in set(shape[shape > 0].tolist()):
                self.leaders[m, shape == entry] = mean[shape == entry].mean()


def first_stage(shapes: NDArray[np.uint8], X: F64, scale: float) -> Book:
    book = Book(shapes, scale)
    for _ in range(PASSES):
        best, _, a = book.encode(X)
        book.learn(best, a, np.ones(len(X)))
    return book


def second_stage(first: Book, scale: float, second: Book, X: F64) -> F64:
    """Train `second` on what `first`, `scale` times as large, leaves; returns the steps (m,) in units of `first`."""
    best, words, _ = first.encode(X / scale)
    left = X / scale - words
    counts = np.bincount(best, minlength=len(first.leaders))
    steps = np.sqrt(np.bincount(best, (left**2).mean(1), minlength=len(counts)) / np.maximum(counts, 1))
    steps = np.where(counts > FEWEST, steps, 0.3)
    for _ in range(STAGES):
        unit = steps[best][:, None]
        chosen, codes, a = second.encode(left / unit)
        for m in np.flatnonzero(counts > FEWEST):
            mine = best == m
            steps[m] = (left[mine] * codes[mine]).sum() / (codes[mine] ** 2).sum()
        second.learn(chosen, a, unit[:, 0] ** 2)
    return steps


def show(name: str, book: Book) -> None:
    rounded = np.rint(book.leaders * 32).astype(int)
    entries = [
        " ".join(str(rounded[m, shape == entry][0]) for entry in sorted(set(shape[shape > 0].tolist()), reverse=True))
        for m, shape in enumerate(book.shapes)
    ]
    print(f"{name} = {', '.join(entries)!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    X = np.random.default_rng(options.seed).normal(size=(options.rows, lattice.BLOCK))
    small, large = lattice.tables(1).shapes[0], lattice.tables(2).shapes[0]
    eight, sixteen = first_stage(small, X, 1.6), first_stage(large, X, 1.0)
    show("_LEADERS_8", eight)
    show("_LEADERS_16", sixteen)
    for bits, name, start, shapes in ((3, "8", eight, small), (4, "16", sixteen, large)):
        second = Book(shapes, 1.0)
        second.leaders = start.leaders.copy()
        steps = second_stage(sixteen, lattice.BEST_SCALE[bits], second, X)
        show(f"_LEADERS_{name}_SECOND", second)
        print(f"_STEPS_{name} = {tuple(np.rint(steps * 128).astype(int).tolist())}")


if __name__ == "__main__":
    main()
