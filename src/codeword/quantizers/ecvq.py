"""EntropyConstrainedQuantizer: codewords that are near, and whose numbers are cheap to store.

    x (d,) --argmin |x - c|² + lmbda * bits(c)--> codeword number --codebook--> x̂ (d,)
    numbers --compress--> a byte string of about `entropy_` bits a vector

Source: Chou, Lookabaugh & Gray 1989. Training is `codeword.training.entropy`, the entropy coder `codeword.ans`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import ans, checks, codes, registry
from codeword.base import F32, U8, State, array
from codeword.errors import FormatError
from codeword.quantizers.single import SingleCodebook
from codeword.training import entropy as training
from codeword.training import kmeans
from codeword.training.nearest import nearest, pack

LARGEST_K = 1 << 20


@registry.register("ecvq")
class EntropyConstrainedQuantizer(SingleCodebook):
    """A codebook for codes that an entropy coder stores: less distortion than k-means at as many bits, after coding.

    Frequent codewords get short code lengths and rare ones long ones; a row's code is the codeword of least
    ``|x - c|² + lmbda * bits(c)``. `encode` gives codes of fixed size, as every quantizer does; `compress` makes of them a byte string of
    nearly the entropy (extra ``entropy``).

    Parameters
    ----------
    k : int
        Codewords to start with, 1 to 2**20; those of hardly any row are dropped. Two to four times ``2**entropy`` is plenty, where
        there are a hundred or so training rows a codeword.
    entropy : float, optional
        Bits a vector after coding, at most log2(k), of the training rows. Give this or `lmbda`.
    lmbda : float, optional
        Squared distance (of whole rows, not a dimension) that a bit is worth: 0 is k-means.
    seeding, tol, seed, trim
        As in `VectorQuantizer`, for the codebook to start from.
    max_iter : int
        Passes over the rows after that; with `entropy`, as many over at most 64 k rows before.

    Attributes
    ----------
    codebook : ndarray (k_left, d) float32
        The most frequent codeword first.
    counts : ndarray (k_left,) float64
        Weight of the training rows in each cell.
    lengths : ndarray (k_left,) float64
        Ideal code lengths in bits.
    entropy_ : float
        Bits a vector, on the training rows.
    lmbda_ : float
        What `lmbda` was, or was found to be.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(4000, 2)).astype("f4")
    >>> q = cw.EntropyConstrainedQuantizer(64, entropy=4.0).fit(X)
    >>> codes = q.encode(X)
    >>> data = q.compress(codes)
    >>> bool(np.array_equal(q.decompress(data), codes)), round(8 * len(data) / len(X))
    (True, 4)
    >>> bool(q.distortion(X).mse < cw.VectorQuantizer(16).fit(X).distortion(X).mse)
    True
    """

    counts: NDArray[np.float64]
    lengths: NDArray[np.float64]
    lmbda_: float
    entropy_: float

    def __init__(
        self,
        k: int,
        *,
        entropy: float | None = None,
        lmbda: float | None = None,
        seeding: str = "kmeans++",
        max_iter: int = 16,
        tol: float = 1e-4,
        seed: int = 0,
        trim: bool = True,
    ) -> None:
        self.k = k
        self.entropy = entropy
        self.lmbda = lmbda
        self.seeding = seeding
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed
        self.trim = trim

    def compress(self, codes_: Any) -> bytes:
        """Codes (n, code_size) as a byte string: 12 bytes and about `entropy_` bits a code, where they are like the training rows'.

        Raises
        ------
        ImportError
            Without the extra ``entropy`` (the package constriction).
        """
        numbers = self.indices(codes_)
        codes.check_below(numbers, len(self.codebook))
        return ans.encode(numbers[:, 0], ans.frequencies(self.counts))

    def decompress(self, data: bytes) -> U8:
        """The codes (n, code_size) of a byte string that `compress` made.

        Raises
        ------
        TypeError
            If `data` are no bytes.
        FormatError
            If they are damaged or from another quantizer.
        ImportError
            Without the extra ``entropy``.
        """
        self._check_fitted()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expected bytes, got {type(data).__name__}")
        return codes.pack(ans.decode(bytes(data), ans.frequencies(self.counts))[:, None], self._widths())

    def _fit(self, X: F32, weight: F32 | None) -> None:
        passes = checks.integer(self.max_iter, "max_iter", 1, 100_000)
        settings = kmeans.Settings.checked(self.k, self.seeding, passes, self.tol, self.seed, self.trim, LARGEST_K)
        if (self.entropy is None) == (self.lmbda is None):
            raise ValueError(f"entropy, lmbda: expected one of the two, got {self.entropy!r} and {self.lmbda!r}")
        target = None if self.entropy is None else checks.real(self.entropy, "entropy", 0.0, float(np.log2(settings.k)))
        lmbda = None if self.lmbda is None else checks.real(self.lmbda, "lmbda", 0.0, 1e300)
        made = training.design(X, settings, weight, lmbda=lmbda, target=target, label="EntropyConstrainedQuantizer.fit")
        self.training_ = made
        self._set(made.codebook, made.counts, made.roots, made.lmbda)

    def _set(self, codebook: F32, counts: NDArray[np.float64], roots: F32, lmbda: float) -> None:
        self._set_codebook(codebook)
        self.counts, self.lmbda_, self._roots = counts, lmbda, roots
        self.lengths, self.entropy_ = training.lengths(counts), training.entropy(counts)
        self._packed = pack([training.lifted(codebook, roots)])

    def _encode(self, X: F32) -> U8:
        labels, _ = nearest(training.lifted(X), self._packed, 2 * self.codebook.size)
        return codes.pack(labels, self._widths())

    def _state(self) -> State:
        return {"codebook": self.codebook, "counts": self.counts, "roots": self._roots, "lmbda": np.array([self.lmbda_])}

    def _load(self, state: State) -> None:
        codebook = array(state, "codebook", np.float32, (None, self.d))
        k = len(codebook)
        counts, roots = array(state, "counts", np.float64, (k,)), array(state, "roots", np.float32, (k,))
        if not 1 <= k <= LARGEST_K or (counts <= 0).any():
            raise FormatError(f"array 'counts': expected 1 to {LARGEST_K} counts above 0")
        self._set(codebook, counts, roots, float(array(state, "lmbda", np.float64, (1,))[0]))
