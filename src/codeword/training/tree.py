"""Trees of codewords, grown from the root: the rows of a node are cut in two by 2-means, many nodes at a time.

    rows (n, d) --cut--> 2 codewords, 2 nodes --cut--> ...  k leaves after k - 1 cuts

The leaf that cut t = 1, 2, ... divides keeps its number as the left child, and the right one is number t: leaf numbers, cut off
after b bits, are those of the tree with 2**b leaves. Rows are kept sorted by node, so a level is a few passes over them, most of them
within the cache; a node of many rows is cut by a sample of them first. Sums are exact (`sums`), draws are keyed by the number of the
node, so the tree is the same for any threads and instruction set.

Source: Buzo, Gray, Gray & Markel 1980, "Speech coding based upon vector quantization" (balanced trees); Riskin & Gray 1991, "A greedy
tree growing algorithm for the design of variable rate vector quantizers". First codewords: Arthur & Vassilvitskii 2007, for k = 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codeword import _native, keys, runtime
from codeword.lanes import lane_sum
from codeword.training import sums

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
# Enough rows of a node to find its cut; the passes after that see all of them.
_SAMPLE_ROWS = 4096
_FULL_PASSES = 2
_BLOCK_ELEMENTS = 1 << 20
# Streams of random keys (see keys.bits64).
_FIRST, _SECOND, _SAMPLE = range(301, 304)


@dataclass
class Tree:
    """A tree of k leaves. Codewords 2 t - 1 and 2 t are the children that cut t made of leaf ``parents[t - 1]``; 0 is the root's."""

    codewords: F32
    """(2 k - 1, d) float32."""
    parents: I32
    """(k - 1,) int32, ``parents[t - 1] < t``."""
    counts: F64
    """(k,) weight of the training rows in each leaf."""


def grow(X: F32, k: int, weight: F32 | None, *, greedy: bool, passes: int, seed: int, label: str = "tree") -> Tree:
    """Grow a tree of k leaves on rows `X` (n, d), all of weight above 0.

    Parameters
    ----------
    greedy : bool
        Always cut the leaf whose cut lowers the distortion most; else every leaf of a level (k is a power of two).
    passes : int
        Passes of 2-means a cut.
    """
    nodes = _Nodes(X, weight, passes, seed)
    with runtime.Progress(label, len(X) * (k - 1).bit_length()) as progress:
        return _grow_greedily(nodes, k, progress) if greedy else _grow_by_level(nodes, k, progress)


def _grow_by_level(nodes: _Nodes, k: int, progress: runtime.Progress) -> Tree:
    start, stop = np.array([0]), np.array([len(nodes.X)])
    codewords = [nodes.root()]
    leaves = 1
    while leaves < k:
        cut = nodes.cut(start, stop, leaves + np.arange(leaves), _leaf_rows(codewords[-1], leaves))
        codewords.append(cut.pairs.reshape(-1, cut.pairs.shape[2]))
        start, stop = np.concatenate([start, cut.middle]), np.concatenate([cut.middle, stop])
        leaves *= 2
        progress.advance(len(nodes.X))
    parents = np.concatenate([np.arange(1 << level) for level in range(leaves.bit_length() - 1)])
    return Tree(np.concatenate(codewords), parents.astype(np.int32), cut.mass.T.ravel())


def _leaf_rows(level: F32, leaves: int) -> F32:
    """Codewords of a level in the order of leaf numbers: all left children, then all right ones."""
    return level if leaves == 1 else level.reshape(leaves // 2, 2, -1).transpose(1, 0, 2).reshape(leaves, -1)


def _grow_greedily(nodes: _Nodes, k: int, progress: runtime.Progress) -> Tree:
    """Cut ahead of need, all new leaves at once, until no leaf of the greedy tree is uncut: then its cuts are known.

    Best-first order with any priority is descending order of the least priority on the way from the root (`worth`).
    """
    # One entry a node; node 0 is the root, and a node's children follow each other.
    start, stop, mass, most = np.array([0]), np.array([len(nodes.X)]), np.array([nodes.total_weight]), np.array([np.inf])
    child, worth = np.array([-1]), np.array([-np.inf])
    codewords = nodes.root()
    fresh = np.array([0])
    while len(fresh):
        cut = nodes.cut(start[fresh], stop[fresh], fresh, codewords[fresh])
        progress.advance(int((stop[fresh] - start[fresh]).sum()))
        count = len(start)
        child[fresh] = count + 2 * np.arange(len(fresh))
        worth[fresh] = np.minimum(most[fresh], _gain(cut.pairs, cut.mass))
        codewords = _appended(codewords, count, cut.pairs.reshape(-1, cut.pairs.shape[2]))
        start = np.concatenate([start, np.stack([start[fresh], cut.middle], 1).ravel()])
        stop = np.concatenate([stop, np.stack([cut.middle, stop[fresh]], 1).ravel()])
        mass = np.concatenate([mass, cut.mass.ravel()])
        most = np.concatenate([most, np.minimum(worth[fresh, None], cut.loss).ravel()])  # no cut gains more than there is
        child = np.concatenate([child, np.full(2 * len(fresh), -1)])
        worth = np.concatenate([worth, np.full(2 * len(fresh), -np.inf)])
        done = np.flatnonzero(child >= 0)
        chosen = done[np.lexsort((done, -worth[done]))][: k - 1]
        least = worth[chosen[-1]] if len(chosen) == k - 1 else -np.inf
        offspring = (child[chosen][:, None] + np.arange(2)).ravel()
        fresh = np.sort(offspring[(child[offspring] < 0) & (most[offspring] > least)])
    return _numbered(chosen, child, codewords, mass, k)


def _appended(store: F32, count: int, rows: F32) -> F32:
    """`store`, of which `count` rows are in use, with `rows` put behind those: itself, or a larger one."""
    if count + len(rows) > len(store):
        larger = np.empty((max(2 * len(store), count + len(rows)), store.shape[1]), np.float32)
        larger[:count] = store[:count]
        store = larger
    store[count : count + len(rows)] = rows
    return store


def _gain(pairs: F32, mass: F64) -> F64:
    """By how much each cut lowers the sum of squared errors: the weighted squared distance of the two means."""
    difference = pairs[:, 1].astype(np.float64) - pairs[:, 0]
    whole = mass.sum(1)
    return np.where(whole > 0, mass[:, 0] * mass[:, 1] / np.where(whole > 0, whole, 1.0), 0.0) * lane_sum(difference * difference)


def _numbered(chosen: I64, child: I64, codewords: F32, mass: F64, k: int) -> Tree:
    """The tree of the cuts of the nodes `chosen`, in that order."""
    number = np.zeros(len(child), np.int64).tolist()
    leaf = [0] * k
    parents = []
    for t, (node, left) in enumerate(zip(chosen.tolist(), child[chosen].tolist(), strict=True), 1):
        parents.append(number[node])
        number[left], number[left + 1] = number[node], t
        leaf[number[node]], leaf[t] = left, left + 1
    rows = np.concatenate([[0], (child[chosen][:, None] + np.arange(2)).ravel()])
    return Tree(codewords[rows], np.array(parents, np.int32), mass[leaf])


@dataclass
class _Cut:
    """What `_Nodes.cut` did to p nodes."""

    pairs: F32
    """(p, 2, d) codewords of the children."""
    middle: I64
    """(p,) where the right child's range starts."""
    mass: F64
    """(p, 2) weight of the rows of the children."""
    loss: F64
    """(p, 2) their weighted squared errors."""


class _Nodes:
    """The training rows, sorted by node: a node is a range of `order`."""

    def __init__(self, X: F32, weight: F32 | None, passes: int, seed: int) -> None:
        heaviest = 1.0 if weight is None else float(weight.max())
        self._low, self._high = sums.column_range(X)
        largest = np.maximum(np.abs(self._low), np.abs(self._high)).astype(np.float64) * heaviest
        self.X, self.weight = X, weight
        self.order = np.arange(len(X))
        self._exponents = sums.grid(largest, len(X))
        self._weight_exponent = 0 if weight is None else int(sums.grid(np.array([heaviest]), len(X))[0])
        self._passes, self._seed = passes, seed
        self._block = max(64, _BLOCK_ELEMENTS // X.shape[1])
        self.total_weight = float(len(X)) if weight is None else sums.total(weight.astype(np.float64))

    def root(self) -> F32:
        """The mean of all rows (1, d)."""
        totals, mass = self._new_sums(1)
        for i in range(0, len(self.X), self._block):
            rows = slice(i, i + self._block)
            self._add(
                self.X[rows],
                None if self.weight is None else self.weight[rows],
                np.zeros(len(self.X[rows]), np.int32),
                totals,
                mass,
            )
        return self._step(np.zeros((1, self.X.shape[1]), np.float32), totals, mass, 1.0)

    def cut(self, start: I64, stop: I64, names: I64, codewords: F32) -> _Cut:
        """Cut nodes in two and sort their ranges by side.

        Parameters
        ----------
        start, stop : ndarray (p,)
            Ranges of `order`.
        names : ndarray (p,)
            What random draws are keyed by.
        codewords : ndarray (p, d)
            Codewords of the nodes, which both children of a node of one row, or none, inherit.
        """
        pairs = np.repeat(codewords[:, None], 2, axis=1)
        some = np.flatnonzero(stop - start > 1)
        sizes = (stop - start)[some]
        for group in self._groups(np.minimum(sizes, 2 * _SAMPLE_ROWS)):
            inside = some[group]
            rows, which = self._members(start[inside], stop[inside])
            kept = self._sampled(rows, sizes[group][which], names[inside][which])
            pairs[inside] = self._two_means(rows[kept], which[kept], pairs[inside], names[inside])
        large = some[sizes > _SAMPLE_ROWS]
        for _ in range(_FULL_PASSES if len(large) else 0):
            pairs[large] = self._pass_over_all(start[large], stop[large], pairs[large])
        return self._divide(start, stop, pairs, some)

    def _groups(self, sizes: I64) -> Iterator[slice]:
        """Consecutive nodes that have about a block of rows together."""
        ends = np.cumsum(sizes)
        first = 0
        while first < len(sizes):
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + self._block, side="right")))
            yield slice(first, last)
            first = last

    def _members(self, start: I64, stop: I64) -> tuple[I64, I32]:
        """Numbers of the rows of some nodes, and which of the nodes each is in."""
        which = np.repeat(np.arange(len(start), dtype=np.int32), stop - start)
        offset = start - np.concatenate([[0], np.cumsum(stop - start)[:-1]])
        return self.order[np.arange(len(which)) + offset[which]], which

    def _sampled(self, rows: I64, size: I64, name: I64) -> I64:
        """Positions of the rows that cut their node at first: all of a small node, about `_SAMPLE_ROWS` of a large one."""
        kept = size <= _SAMPLE_ROWS
        some = np.flatnonzero(~kept)
        # Rows of the same node share its name, and other nodes draw anew.
        luck = keys.uniform(self._seed, _SAMPLE, keys.bits64(self._seed, _SAMPLE, name[some]) ^ rows[some].astype(np.uint64))
        kept[some] = luck * size[some] < _SAMPLE_ROWS
        return np.flatnonzero(kept)

    def _two_means(self, rows: I64, which: I32, pairs: F32, names: I64) -> F32:
        """Passes of 2-means over `rows` from two of the rows of each node, which are drawn; nodes in rising order."""
        X, weight = self.X[rows], None if self.weight is None else self.weight[rows]
        mass = np.ones(len(X)) if weight is None else weight.astype(np.float64)
        used = np.unique(which)
        pairs[used] = X[_draw(mass, which, used, keys.uniform(self._seed, _FIRST, names[used]))][:, None]
        squares = np.empty(len(X))
        _labels(pairs, X, which, squares)
        pairs[used, 1] = X[_draw(squares * mass, which, used, keys.uniform(self._seed, _SECOND, names[used]))]
        totals, counts = self._new_sums(2 * len(pairs))
        labels = None
        for i in range(self._passes):
            now = _labels(pairs, X, which)
            self._add(X, weight, now, totals, counts, labels)
            labels = now
            # As in kmeans: long steps, up to twice the way, that shrink to 1.
            step = 1.0 if i == 0 else 2.0 - (i / (self._passes - 1)) ** 2
            pairs = self._step(pairs.reshape(-1, X.shape[1]), totals, counts, step).reshape(pairs.shape)
        return pairs

    def _pass_over_all(self, start: I64, stop: I64, pairs: F32) -> F32:
        totals, counts = self._new_sums(2 * len(pairs))
        for rows, which in self._blocks(*self._members(start, stop)):
            X = self.X[rows]
            self._add(X, None if self.weight is None else self.weight[rows], _labels(pairs, X, which), totals, counts)
        return self._step(pairs.reshape(-1, self.X.shape[1]), totals, counts, 1.0).reshape(pairs.shape)

    def _divide(self, start: I64, stop: I64, pairs: F32, some: I64) -> _Cut:
        """Sort the ranges of the nodes `some` by side; all rows of the others are on the left."""
        p = len(start)
        members, node = self._members(start[some], stop[some])
        right, squares = np.empty(len(members), np.bool_), np.empty(len(members))
        for i, (rows, which) in enumerate(self._blocks(members, node)):
            block = slice(i * self._block, i * self._block + len(rows))
            first = which[0]  # only the pairs that the block needs
            right[block] = _labels(pairs[some[first : which[-1] + 1]], self.X[rows], which - first, squares[block]) & 1
        rank = np.cumsum(right)
        before = np.concatenate([[0], rank])[np.concatenate([[0], np.cumsum(stop[some] - start[some])])]
        middle = stop.copy()
        middle[some] -= np.diff(before)  # the right rows of each node
        lefts = np.concatenate([[0], np.cumsum(middle[some] - start[some])[:-1]])
        place = np.where(
            right, rank - 1 + (middle[some] - before[:-1])[node], np.arange(len(members)) - rank + (start[some] - lefts)[node]
        )
        self.order[place] = members
        child = 2 * some[node] + right
        mass = self._masses(members, child, 2 * p).reshape(p, 2)
        single = np.setdiff1d(np.flatnonzero(stop > start), some, assume_unique=True)
        mass[single, 0] = 1.0 if self.weight is None else self.weight[self.order[start[single]]]
        loss = np.bincount(child, squares if self.weight is None else squares * self.weight[members], 2 * p).reshape(p, 2)
        return _Cut(pairs, middle, mass, loss.astype(np.float64))

    def _masses(self, members: I64, child: I64, count: int) -> F64:
        if self.weight is None:
            return np.bincount(child, minlength=count).astype(np.float64)
        # Integers whose sum float64 holds, so their order is nothing.
        shift = 52 - int(np.frexp(self.total_weight)[1])
        return np.ldexp(np.bincount(child, np.rint(np.ldexp(self.weight[members].astype(np.float64), shift)), count), -shift)

    def _blocks(self, rows: I64, which: I32) -> Iterator[tuple[I64, I32]]:
        for i in range(0, len(rows), self._block):
            yield rows[i : i + self._block], which[i : i + self._block]

    def _new_sums(self, count: int) -> tuple[I64, I64]:
        return np.zeros((count, self.X.shape[1]), np.int64), np.zeros(count, np.int64)

    def _add(self, X: F32, weight: F32 | None, labels: I32, totals: I64, counts: I64, old: I32 | None = None) -> None:
        _native.accumulate(X, labels, self._exponents, self._weight_exponent, totals, counts, weight, old)

    def _step(self, codewords: F32, totals: I64, counts: I64, step: float) -> F32:
        """Move codewords `step` times the way to the means of their rows, within the range of the data; those without rows stay."""
        full = counts > 0
        mass = np.ldexp(counts[full].astype(np.float64), -self._weight_exponent)
        target = np.ldexp(totals[full].astype(np.float64), -self._exponents) / mass[:, None]
        if step != 1.0:
            old = codewords[full].astype(np.float64)
            target = np.clip(old + step * (target - old), self._low, self._high)
        moved = codewords.copy()
        moved[full] = target.astype(np.float32)
        return moved


def _labels(pairs: F32, X: F32, which: I32, squares: F64 | None = None) -> I32:
    """Twice the node `which` of each row, plus 1 where the right codeword is the nearer one."""
    ends = ~np.arange(2 * len(pairs), dtype=np.int32)
    out = np.empty(len(X), np.int32)
    _native.Descent(pairs.reshape(-1, X.shape[1]), ends).run(X, out, which, squares)
    return out


def _draw(mass: F64, which: I32, used: I32, luck: F64) -> I64:
    """A row of each node in `used`, with probability proportional to `mass` (its first row where all is 0)."""
    shift = int(sums.grid(np.array([mass.max()]), len(mass))[0])
    cumulative = np.cumsum(np.rint(np.ldexp(mass, shift)).astype(np.int64))
    first = np.searchsorted(which, used)
    last = np.append(first[1:], len(which)) - 1
    low = np.concatenate([[0], cumulative])[first]
    whole = cumulative[last] - low
    target = low + np.minimum((luck * whole).astype(np.int64), np.maximum(whole - 1, 0))
    found = np.searchsorted(cumulative, target, side="right")
    return np.where(whole > 0, np.minimum(found, last), first)
