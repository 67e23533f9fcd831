"""GainShapeQuantizer: the direction of a row and its length are coded apart.

    x (d,) --x / |x|, smallest angle--> shape c, |c| = 1 --<x, c>, nearest level--> gain g --> x̂ = g c (d,)

For any levels of at least 0 the shape of smallest angle is the best, and for that shape the level nearest to <x, c>: coding one after
the other loses nothing.

Source: Sabin & Gray 1984, "Product code vector quantizers for waveform and voice coding"; shapes by Dhillon & Modha 2001
(`codeword.training.spherical`), gains by Lloyd 1982 and Max 1960 (`codeword.training.levels`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import _native, checks, codes, registry
from codeword.base import F32, U8, Quantizer, State, array
from codeword.errors import FormatError
from codeword.training import kmeans, levels, spherical
from codeword.training.nearest import nearest, pack
from codeword.training.trim import trimmed

LARGEST_K = 1 << 24


@registry.register("gain-shape")
class GainShapeQuantizer(Quantizer):
    """k directions, found by spherical k-means, times 2**gain_bits lengths.

    For rows whose direction tells one thing and whose length another: spectra, audio frames, word vectors. Shapes serve rows of any
    length: k * 2**gain_bits reconstructions for the search and the memory of k. At equal bits a `VectorQuantizer` is better where it is
    possible at all, except at high rates of rows whose lengths differ much (`python bench/designs.py`).

    Parameters
    ----------
    k : int
        Shapes, 1 to 2**24.
    gain_bits : int
        Bits of the gain, 0 to 8. With 0 every row gets the same gain: for rows of one length, plain spherical k-means.
    seeding, max_iter, tol, seed, trim
        As in `VectorQuantizer`.

    Attributes
    ----------
    codebook : ndarray (k, d) float32
        The shapes, of length 1.
    gains_ : ndarray (2**gain_bits,) float32
        The levels of the gain, rising.
    counts : ndarray (k,) float64
        Weight of the training rows in each cell, squared lengths counted in, the largest as 1.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> rng = np.random.default_rng(0)
    >>> X = (rng.normal(size=(3000, 6)) * rng.lognormal(size=(3000, 1))).astype("f4")
    >>> q = cw.GainShapeQuantizer(64, gain_bits=4).fit(X)
    >>> q.encode(X).shape                                            # 6 + 4 bits
    (3000, 2)
    >>> bool(q.distortion(X).mse < 0.8 * cw.VectorQuantizer(64).fit(X).distortion(X).mse)
    True
    >>> bool(np.array_equal(q.indices(q.encode(X)), q.indices(q.encode(X * 4))))
    True
    """

    codebook: F32
    gains_: F32
    counts: NDArray[np.float64]

    def __init__(
        self,
        k: int,
        gain_bits: int = 4,
        *,
        seeding: str = "kmeans++",
        max_iter: int = 16,
        tol: float = 1e-4,
        seed: int = 0,
        trim: bool = True,
    ) -> None:
        self.k = k
        self.gain_bits = gain_bits
        self.seeding = seeding
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed
        self.trim = trim

    def indices(self, codes_: Any) -> NDArray[np.uint32]:
        """Numbers (n, 1) of the shapes of packed codes (n, code_size)."""
        self._check_fitted()
        return self._unpacked(checks.codes(codes_, self.code_size))[:, :1]

    def gains(self, codes_: Any) -> F32:
        """Gains (n,) float32 of packed codes (n, code_size)."""
        self._check_fitted()
        return self.gains_[self._unpacked(checks.codes(codes_, self.code_size))[:, 1]]

    @property
    def code_size(self) -> int:
        return codes.size(self._widths())

    @property
    def model_bytes(self) -> int:
        self._check_fitted()
        return self.codebook.nbytes + self.gains_.nbytes

    def _settings(self) -> kmeans.Settings:
        return kmeans.Settings.checked(self.k, self.seeding, self.max_iter, self.tol, self.seed, self.trim, LARGEST_K)

    def _widths(self) -> U8:
        """Bits of the shape's number and of the gain's."""
        k, gain_bits = checks.integer(self.k, "k", 1, LARGEST_K), checks.integer(self.gain_bits, "gain_bits", 0, 8)
        return np.array([max(1, (k - 1).bit_length()), gain_bits], np.uint8)

    def _unpacked(self, packed: U8) -> NDArray[np.uint32]:
        widths = self._widths()
        out = np.zeros((len(packed), 2), np.uint32)
        out[:, widths > 0] = codes.unpack(packed, widths[widths > 0])
        codes.check_below(out[:, :1], len(self.codebook))
        return out

    def _fit(self, X: F32, weight: F32 | None) -> None:
        settings, widths = self._settings(), self._widths()
        X, weight = trimmed(X, weight, settings.k, settings.trim, settings.seed, "k")
        U = spherical.directions(X)
        energy = _products(X, X) * (1.0 if weight is None else weight)
        mass = (energy / max(float(energy.max()), np.finfo(np.float64).tiny)).astype(np.float32)
        if (mass > 0).sum() < settings.k:  # rows of zeros, or too short to tell
            mass = np.ones(len(X), np.float32)
        used = mass > 0
        self.training_ = spherical.train(U[used], settings, mass[used], "GainShapeQuantizer.fit")
        shapes = self.training_.codebook
        labels, _ = nearest(U, pack([shapes]), 2 * shapes.size)
        column = levels.Column(_products(X, shapes[labels[:, 0]]).astype(np.float32), weight)
        count = 1 << int(widths[1])
        gains = np.array([column.origin + column.mean]) if count == 1 else levels.free(column, count)
        self._set(shapes, gains.astype(np.float32), self.training_.counts)

    def _set(self, codebook: F32, gains: F32, counts: NDArray[np.float64]) -> None:
        self.codebook, self.gains_, self.counts = codebook, gains, counts
        self._packed = pack([codebook])
        self._thresholds = levels.thresholds(gains[None])[0]

    def _encode(self, X: F32) -> U8:
        labels, _ = nearest(spherical.directions(X), self._packed, 2 * self.codebook.size)
        projections = _products(X, self.codebook[labels[:, 0]]).astype(np.float32)
        gains = np.searchsorted(self._thresholds, projections)
        widths = self._widths()
        return codes.pack(np.stack([labels[:, 0], gains], axis=1)[:, widths > 0], widths[widths > 0])

    def _decode(self, codes_: U8) -> F32:
        numbers = self._unpacked(codes_)
        return self.gains_[numbers[:, 1], None] * self.codebook[numbers[:, 0]]

    def _state(self) -> State:
        return {"codebook": self.codebook, "gains": self.gains_, "counts": self.counts}

    def _load(self, state: State) -> None:
        k, gain_bits = checks.integer(self.k, "k", 1, LARGEST_K), int(self._widths()[1])
        gains = array(state, "gains", np.float32, (1 << gain_bits,))
        if (np.diff(gains) < 0).any():
            raise FormatError("array 'gains': expected rising levels")
        self._set(array(state, "codebook", np.float32, (k, self.d)), gains, array(state, "counts", np.float64, (k,)))


def _products(A: F32, B: F32) -> NDArray[np.float64]:
    """Inner products (n,) float64 of the rows of `A` and `B` (n, d), in lane order."""
    return np.ascontiguousarray(_native.centred_sums(A, B, np.zeros(A.shape[1]))[:, 1])
