"""KVCodec: keys and values of attention as codes, appended as they come, read without a copy of all of them in float32.

    keys, values (batch, heads, n, d) --append--> codes, scales | the last tokens as they are
    queries (batch, heads, q, d) --scores--> (batch, heads, q, tokens)        weights --mix--> (batch, heads, q, d)

Vectors are rotated, a rotation a head, which makes their coordinates about Gaussian whatever they were; each is coded over a scale of its own, 2 bytes,
that makes its reconstruction nearest. Keys have the mean of their head's first tokens taken off: attention has channels whose keys are always
large, and what all keys have in common changes no softmax.

Source: Zandieh et al. 2025, "TurboQuant" (rotation, a scale a vector), and Liu et al. 2024, "KIVI" (recent tokens kept, keys and values treated
apart); trellis codes take the place of levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword import checks
from codeword.nn.codecs import METHODS, Codec, codec
from codeword.nn.incoherence import rotate_columns, unrotate_columns

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
BLOCK = 32
"""Tokens that are coded at a time, so that codes do not depend on how tokens came."""
_LEAST = 32
_DECODED = 4096


class _Store:
    """Codes of one kind of vector: (streams, tokens, code_size), scales (streams, tokens) float16, a mean a stream."""

    def __init__(self, streams: int, heads: int, d: int, made: Codec, seed: int, centred: bool) -> None:
        self.heads, self.d, self.codec, self.seed, self.centred = heads, d, made, seed, centred
        self.mean = np.zeros((streams, d), np.float32)
        self._codes = np.zeros((streams, 0, made.code_size(d)), np.uint8)
        self._scales = np.zeros((streams, 0), np.float16)
        self.tokens = 0

    @property
    def nbytes(self) -> int:
        """Bytes of what is stored."""
        streams, size = len(self.mean), self._codes.shape[2]
        return streams * self.tokens * (size + 2) + (self.mean.nbytes if self.centred else 0)

    def append(self, X: F32) -> None:
        """Code X (streams, n, d)."""
        streams, n, _ = X.shape
        if self.centred and not self.tokens:
            self.mean = X[:, :BLOCK].mean(axis=1, dtype=np.float64).astype(np.float32)
        rows = np.concatenate([self.rotated(s, X[s] - self.mean[s]) for s in range(streams)])
        scale = np.sqrt(np.mean(rows * rows, axis=1, dtype=np.float64)).astype(np.float32)
        rows /= np.maximum(scale, np.float32(1e-30))[:, None]
        codes = self.codec.encode(rows)
        made = self.codec.decode(codes, self.d)
        best = np.einsum("ij,ij->i", rows, made, dtype=np.float64) / np.maximum(
            np.einsum("ij,ij->i", made, made, dtype=np.float64), 1e-30
        )
        scales = np.clip(scale * best, -65504, 65504).astype(np.float16)
        self._grow(n)
        self._codes[:, self.tokens : self.tokens + n] = codes.reshape(streams, n, -1)
        self._scales[:, self.tokens : self.tokens + n] = scales.reshape(streams, n)
        self.tokens += n

    def rotated(self, stream: int, X: F32) -> F32:
        """X (n, d) as this stream's codes see it."""
        return rotate_columns(X, self.seed + stream % self.heads)

    def unrotated(self, stream: int, X: F32) -> F32:
        """The inverse."""
        return unrotate_columns(X, self.seed + stream % self.heads)

    def parts(self, stream: int) -> Iterator[tuple[slice, F32]]:
        """Rotated rows (n, d), scaled, some tokens at a time."""
        for start in range(0, self.tokens, _DECODED):
            part = slice(start, min(start + _DECODED, self.tokens))
            made = self.codec.decode(np.ascontiguousarray(self._codes[stream, part]), self.d)
            yield part, made * self._scales[stream, part, None].astype(np.float32)

    def take(self, streams: NDArray[np.int64]) -> None:
        """Keep these streams, in this order."""
        self.mean, self._codes, self._scales = self.mean[streams], self._codes[streams], self._scales[streams]

    def _grow(self, n: int) -> None:
        if self.tokens + n <= self._codes.shape[1]:
            return
        more = max(2 * self.tokens, self.tokens + n) - self._codes.shape[1]
        self._codes = np.pad(self._codes, ((0, 0), (0, more), (0, 0)))
        self._scales = np.pad(self._scales, ((0, 0), (0, more)))


class KVCodec:
    """Keys and values of one attention layer as codes.

    Parameters
    ----------
    batch, heads, d : int
        Sequences, heads of keys and values, coordinates of a head.
    key_bits, value_bits : float
        Rates of the codec; a scale takes another 16 / d bits.
    recent : int
        The last tokens stay as they are: at least so many, and up to 31 more.
    method : str
        ``"trellis8"`` for the least error; ``"lattice"`` is the quickest.
    seed : int
        Of the rotations.

    Examples
    --------
    >>> keys, values = np.random.default_rng(0).normal(size=(2, 1, 2, 300, 64)).astype("f4")
    >>> cache = KVCodec(1, 2, 64, key_bits=3, value_bits=2)
    >>> for token in range(300):
    ...     cache.append(keys[:, :, token : token + 1], values[:, :, token : token + 1])
    >>> cache.tokens, round(cache.bits, 2)
    (300, 2.81)
    >>> scores = cache.scores(keys[:, :, -1:])
    >>> scores.shape, bool(np.allclose(scores[..., -1], (keys[:, :, -1:] ** 2).sum(-1)))
    ((1, 2, 1, 300), True)
    """

    def __init__(
        self,
        batch: int,
        heads: int,
        d: int,
        *,
        key_bits: float = 2.0,
        value_bits: float = 2.0,
        recent: int = 32,
        method: str = "trellis8",
        seed: int = 0,
    ) -> None:
        self.batch, self.heads = checks.integer(batch, "batch", 1, 2**31), checks.integer(heads, "heads", 1, 2**31)
        self.d = checks.integer(d, "d", _LEAST, 2**16)
        self.recent = checks.integer(recent, "recent", 0, 2**31)
        checks.choice(method, "method", METHODS)
        seed = checks.integer(seed, "seed", 0, 2**62)
        streams = self.batch * self.heads
        self._keys = _Store(streams, self.heads, self.d, codec(method, float(key_bits)), seed, True)
        self._values = _Store(streams, self.heads, self.d, codec(method, float(value_bits)), seed + self.heads, False)
        self._recent_keys = np.zeros((streams, 0, self.d), np.float32)
        self._recent_values = self._recent_keys.copy()

    @property
    def tokens(self) -> int:
        """Tokens appended."""
        return self._keys.tokens + self._recent_keys.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and means, and of the recent tokens in float16."""
        return self._keys.nbytes + self._values.nbytes + self._recent_keys.nbytes

    @property
    def bits(self) -> float:
        """Bits of codes, scales and means a number of keys and values that are coded; 0 where none are."""
        numbers = 2 * self.batch * self.heads * self._keys.tokens * self.d
        return 8 * (self._keys.nbytes + self._values.nbytes) / numbers if numbers else 0.0

    def append(self, keys: Any, values: Any) -> None:
        """Append tokens: keys and values (batch, heads, n, d), finite."""
        new = [self._streams(X, name, None) for X, name in ((keys, "keys"), (values, "values"))]
        if new[0].shape != new[1].shape:
            raise ValueError(f"values: expected as many tokens as keys, {new[0].shape[1]}, got {new[1].shape[1]}")
        self._recent_keys = np.concatenate([self._recent_keys, new[0]], axis=1)
        self._recent_values = np.concatenate([self._recent_values, new[1]], axis=1)
        old = max(0, self._recent_keys.shape[1] - self.recent) // BLOCK * BLOCK
        if old:
            self._keys.append(self._recent_keys[:, :old])
            self._values.append(self._recent_values[:, :old])
            self._recent_keys, self._recent_values = self._recent_keys[:, old:], self._recent_values[:, old:]

    def scores(self, queries: Any) -> F32:
        """Inner products (batch, heads, q, tokens) of queries (batch, heads, q, d) with all keys."""
        Q = self._streams(queries, "queries", None)
        out = np.empty((*Q.shape[:2], self.tokens), np.float32)
        coded = self._keys.tokens
        for s, q in enumerate(Q):
            turned = self._keys.rotated(s, q)
            for part, rows in self._keys.parts(s):
                out[s, :, part] = turned @ rows.T
            out[s, :, :coded] += (q @ self._keys.mean[s])[:, None]
            out[s, :, coded:] = q @ self._recent_keys[s].T
        return out.reshape(self.batch, self.heads, Q.shape[1], self.tokens)

    def mix(self, weights: Any) -> F32:
        """Sums (batch, heads, q, d) of all values times weights (batch, heads, q, tokens)."""
        W = self._streams(weights, "weights", self.tokens)
        out = np.zeros((*W.shape[:2], self.d), np.float32)
        coded = self._values.tokens
        for s, w in enumerate(W):
            mixed = np.zeros_like(out[s])
            for part, rows in self._values.parts(s):
                mixed += w[:, part] @ rows
            out[s] = self._values.unrotated(s, mixed) + w[:, coded:] @ self._recent_values[s]
        return out.reshape(self.batch, self.heads, W.shape[1], self.d)

    def expand(self) -> tuple[F32, F32]:
        """Keys and values (batch, heads, tokens, d) as they are remembered."""
        pairs = ((self._keys, self._recent_keys), (self._values, self._recent_values))
        keys, values = (np.stack([self._expanded(store, recent, s) for s in range(len(recent))]) for store, recent in pairs)
        shape = (self.batch, self.heads, self.tokens, self.d)
        return keys.reshape(shape), values.reshape(shape)

    def take(self, sequences: Any) -> None:
        """Keep these sequences of the batch, in this order; some may be there twice."""
        numbers = np.asarray(sequences, np.int64)
        if numbers.ndim != 1 or not len(numbers) or numbers.min() < 0 or numbers.max() >= self.batch:
            raise ValueError(f"sequences: expected numbers from 0 to {self.batch - 1}, got {sequences}")
        streams = (numbers[:, None] * self.heads + np.arange(self.heads)).ravel()
        self.batch = len(numbers)
        self._keys.take(streams)
        self._values.take(streams)
        self._recent_keys, self._recent_values = self._recent_keys[streams], self._recent_values[streams]

    @staticmethod
    def _expanded(store: _Store, recent: F32, s: int) -> F32:
        rows = [store.unrotated(s, part) + store.mean[s] for _, part in store.parts(s)]
        return np.concatenate([*rows, recent[s]])

    def _streams(self, X: Any, name: str, columns: int | None) -> F32:
        columns = self.d if columns is None else columns
        A = np.asarray(X, np.float32)
        if A.ndim != 4 or A.shape[:2] != (self.batch, self.heads) or A.shape[3] != columns:
            raise ValueError(f"{name}: expected shape ({self.batch}, {self.heads}, n, {columns}), got {A.shape}")
        if not np.isfinite(A).all():
            raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
        return A.reshape(-1, A.shape[2], columns)
