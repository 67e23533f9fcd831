"""AdditiveQuantizer: a row is the sum of m codewords that were learned together.

    x (d,) --beam search, several passes--> m numbers of `bits` bits, packed --sum of codewords--> x̂ (d,)

Codebooks start as those of a product or a residual quantizer, whichever codes held-out rows better, and are improved together
with the codes (Babenko & Lempitsky 2014; Martinez et al. 2016, 2018, "LSQ++"). Where those search codes by local search from random
changes, here the passes of a beam search do it: nothing is drawn, so a row's code depends on the row alone.
"""

from __future__ import annotations

from codeword import checks, registry
from codeword.quantizers.residual import SumQuantizer
from codeword.training import additive


@registry.register("additive")
class AdditiveQuantizer(SumQuantizer):
    """m codebooks of 2**bits codewords of full width, learned together: less distortion than other short codes, slower to find.

    On SIFT vectors (20,000 to learn from) 8 and 16 bytes leave .137 and .059 of the variance of fresh ones; product codes leave
    .196 and .087, residual codes .180 and .097 (`bench/residual.py`). Where the residual start is the better one, as for
    embeddings of sentences, it gains the passes' 1 or 2 %.

    A start in pieces needs columns that belong together: a `KLT` in front of it takes that away.

    Parameters
    ----------
    m : int
        Codebooks, 1 to 1024.
    bits : int
        Bits of each number, 1 to 12. Training needs at least 2**bits rows; at most 65,536 rows, drawn by key, are used.
    beam : int
        Paths kept while encoding, 1 to 64.
    passes : int
        Passes over the codebooks while encoding: in each, what the codebooks to come say is known from the one before.
    rounds : int
        How often codes and codebooks are improved in turn, at most: it ends where a round gains less than 0.2 %.
    seed : int
        Same seed, same data: same codebooks, for any threads, blocks and instruction set.

    Attributes
    ----------
    codebooks : ndarray (m, 2**bits, d) float32
    offset : ndarray (d,) float32
        Mean of the training rows, which every reconstruction starts from.
    training_ : codeword.training.additive.Training
        History of the distortion; only after `fit` (not stored in files).

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(2000, 10)).astype("f4")
    >>> aq = cw.AdditiveQuantizer(4, bits=4).fit(X)
    >>> aq.distortion(X).mse < cw.ProductQuantizer(4, bits=4).fit(X).distortion(X).mse
    True
    """

    def __init__(self, m: int, bits: int = 8, *, beam: int = 8, passes: int = 4, rounds: int = 8, seed: int = 0) -> None:
        self.m = m
        self.bits = bits
        self.beam = beam
        self.passes = passes
        self.rounds = rounds
        self.seed = seed

    def _passes(self) -> int:
        return checks.integer(self.passes, "passes", 1, 1000)

    def _learn(self, rows: additive.Rows, search: additive.Search) -> additive.Training:
        rounds = checks.integer(self.rounds, "rounds", 0, 1000)
        m, k = len(self._bits()), self._k()
        pieces = additive.better_start(rows, m, k, search, self.seed)
        first = additive.first_codebooks(rows, m, k, pieces, search.depth, self.seed)
        return additive.improve(rows, first, search, rounds, "AdditiveQuantizer.fit")
