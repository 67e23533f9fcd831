"""TreeQuantizer: a codebook of 2**bits codewords that is searched by going down a binary tree, two comparisons a bit.

    x (d,) --nearer of two codewords, `bits` times--> leaf number, `bits` bits, in whole bytes --leaves--> x̂ (d,)

Source: Buzo, Gray, Gray & Markel 1980; Riskin & Gray 1991. Training is `codeword.training.tree`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, codes, registry
from codeword.base import F32, U8, State, array
from codeword.errors import FormatError
from codeword.quantizers.single import SingleCodebook
from codeword.training import tree
from codeword.training.trim import trimmed

LARGEST_BITS = 24
GROWTHS = ("balanced", "greedy")


@registry.register("tree")
class TreeQuantizer(SingleCodebook):
    """A tree-structured codebook: far more codewords than a `VectorQuantizer` can search, at some more distortion for as many.

    Encoding takes 2 d multiplications a level, training one pass or so over the rows a level, so that a million codewords are no
    trouble. Codes are *successive approximations*: of a code, the first b bits are the code of the tree of 2**b leaves (with
    ``growth="greedy"`` `truncate` finds it), and ``decode(codes, bits=b)`` decodes them.

    Parameters
    ----------
    bits : int
        Bits of a code, 1 to 24, for 2**bits codewords. Training needs as many rows.
    growth : {"balanced", "greedy"}
        Cut all leaves of a level, so that every path is `bits` long, or always the leaf whose cut lowers the distortion most:
        less distortion, and longer paths into dense regions.
    max_iter : int
        Passes of 2-means a cut.
    seed : int
        Same seed, same data: same tree, for any threads and instruction set.
    trim : bool
        Leave outliers out of the training, as `VectorQuantizer` does.

    Attributes
    ----------
    codebook : ndarray (2**bits, d) float32
        The leaves' codewords, by leaf number.
    codewords : ndarray (2 * 2**bits - 1, d) float32
        The codewords of all nodes: the root's, then the two of each cut in order.
    parents : ndarray (2**bits - 1,) int32
        Cut t = 1, 2, ... divides leaf ``parents[t - 1]``: the left child keeps that number, the right one is leaf t.
    counts : ndarray (2**bits,) float64
        Weight of the training rows in each leaf.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(3000, 8)).astype("f4")
    >>> tree = cw.TreeQuantizer(10).fit(X)
    >>> codes = tree.encode(X)
    >>> codes.shape
    (3000, 2)
    >>> coarse = tree.decode(codes[:, :1], bits=6)
    >>> bool(np.array_equal(coarse, tree.pruned(6).decode(tree.pruned(6).encode(X))))
    True
    """

    codewords: F32
    parents: NDArray[np.int32]
    counts: NDArray[np.float64]

    def __init__(self, bits: int = 8, *, growth: str = "balanced", max_iter: int = 8, seed: int = 0, trim: bool = True) -> None:
        self.bits = bits
        self.growth = growth
        self.max_iter = max_iter
        self.seed = seed
        self.trim = trim

    def decode(self, codes_: Any, bits: int | None = None) -> F32:
        """Replace codes by rows.

        Parameters
        ----------
        codes_ : ndarray (n, code_size) uint8
            With `bits` and balanced growth also the first ``ceil(bits / 8)`` bytes of codes, or more.
        bits : int, optional
            Decode to the codewords of the tree of 2**bits leaves.

        Returns
        -------
        ndarray (n, d) float32
        """
        if bits is None:
            return super().decode(codes_)
        return self.pruned(bits).decode(self.truncate(codes_, bits))

    def truncate(self, codes_: Any, bits: int) -> U8:
        """The codes (n, ceil(bits / 8)) that `pruned(bits)` gives the same rows; see `decode`."""
        self._check_fitted()
        bits = checks.integer(bits, "bits", 1, self._bits())
        size = -(-bits // 8)
        width = np.array([bits], np.uint8)
        if self.growth == "balanced":
            packed = checks.to_array(codes_, "codes")
            cut = size <= packed.shape[-1] <= self.code_size
            packed = checks.codes(packed, packed.shape[-1] if cut else self.code_size)
            return codes.pack(codes.unpack(np.ascontiguousarray(packed[:, :size]), width), width)
        leaves = self.indices(codes_)[:, 0]
        return codes.pack(self._ancestors(1 << bits)[leaves][:, None], width)

    def pruned(self, bits: int) -> TreeQuantizer:
        """The tree of 2**bits leaves that this one was grown from, as a quantizer of its own."""
        self._check_fitted()
        bits = checks.integer(bits, "bits", 1, self._bits())
        k = 1 << bits
        made = self.clone().set_params(bits=bits)
        counts = np.zeros(k)
        np.add.at(counts, self._ancestors(k), self.counts)
        made._set(self.codewords[: 2 * k - 1], self.parents[: k - 1], counts)
        made._spread, made._variance = self._spread, self._variance
        return made

    @property
    def model_bytes(self) -> int:
        self._check_fitted()
        return self.codewords.nbytes + self.parents.nbytes

    def _bits(self) -> int:
        return checks.integer(self.bits, "bits", 1, LARGEST_BITS)

    def _widths(self) -> U8:
        return np.array([self._bits()], np.uint8)

    def _fit(self, X: F32, weight: F32 | None) -> None:
        k, greedy = 1 << self._bits(), checks.choice(self.growth, "growth", GROWTHS) == "greedy"
        passes, seed = checks.integer(self.max_iter, "max_iter", 1, 1000), checks.integer(self.seed, "seed", 0, 2**63 - 1)
        X, weight = trimmed(X, weight, k, checks.flag(self.trim, "trim"), seed, "2**bits")
        grown = tree.grow(X, k, weight, greedy=greedy, passes=passes, seed=seed, label="TreeQuantizer.fit")
        self._set(grown.codewords, grown.parents, grown.counts)

    def _set(self, codewords: F32, parents: NDArray[np.int32], counts: NDArray[np.float64]) -> None:
        self.codewords, self.parents, self.counts = codewords, parents, counts
        rows, children = _layout(parents)
        self._set_codebook(codewords[rows])
        self._descent = _native.Descent(codewords[1:], children)

    def _ancestors(self, k: int) -> NDArray[np.int64]:
        """Which leaf of the tree of k leaves each leaf descends from."""
        out = np.arange(len(self.parents) + 1)
        out[k:] = self.parents[k - 1 :]
        while (out >= k).any():
            out = out[out]
        return out

    def _encode(self, X: F32) -> U8:
        leaves = np.empty(len(X), np.int32)
        self._descent.run(X, leaves)
        return codes.pack(leaves[:, None], self._widths())

    def _state(self) -> State:
        return {"codewords": self.codewords, "parents": self.parents, "counts": self.counts}

    def _load(self, state: State) -> None:
        k = 1 << self._bits()
        parents = array(state, "parents", np.int32, (k - 1,))
        if (parents < 0).any() or (parents > np.arange(k - 1)).any():
            raise FormatError("array 'parents': expected a leaf that is there before each cut")
        self._set(array(state, "codewords", np.float32, (2 * k - 1, self.d)), parents, array(state, "counts", np.float64, (k,)))


def _layout(parents: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Which codeword is each leaf's, and what follows each codeword but the root's: the pair of a later cut, or ~leaf."""
    cuts = np.arange(1, len(parents) + 1)
    # The cuts that leaf j took part in, in order: its birth (as the right child), then every cut of it (as the left one).
    slots = np.concatenate([2 * cuts - 1, 2 * cuts])
    leaf = np.concatenate([parents, cuts])
    order = np.lexsort((slots, leaf))
    slots, leaf = slots[order], leaf[order]
    last = np.append(leaf[1:] != leaf[:-1], True)
    follows = np.where(last, ~leaf, (np.append(slots[1:], 0) - 1) // 2)
    children = np.empty(len(slots), np.int32)
    children[slots - 1] = follows
    return slots[last], children
