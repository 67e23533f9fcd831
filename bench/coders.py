"""Everything that turns vectors into codes, ours and the peers', behind one small face, for rate_distortion.py.

A coder is made for rows of width d and codes of `size` bytes, or is None where it has no code of at most that size (where all its
codes are larger, the smallest, which is then shown but not compared). `fit(A)`, then `encode(X)` and `decode(codes)`; what cannot
decode has `search(X, queries, k, metric)` instead, which codes X and searches it, or None for a metric that it does not know, and
`products(X, queries)`, its estimates of inner products.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Coder(ABC):
    """One fitted way to code rows; see the top of the file."""

    codewords = 0
    """In each codebook; 0 where none is learned."""
    decodes = True
    size = 0
    model_bytes = 0

    @abstractmethod
    def fit(self, A: Any) -> None: ...

    @abstractmethod
    def encode(self, X: Any) -> Any: ...

    def decode(self, codes: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not decode: see `decodes`")

    def search(self, X: Any, queries: Any, k: int, metric: str) -> Any:
        """Ids (q, k) by the coder's own scores; None where they are distances to the decoded rows, or it does not know the metric."""
        return None

    def products(self, X: Any, queries: Any) -> Any:
        """Estimated inner products (q, n) of queries and coded rows."""
        raise TypeError(f"{type(self).__name__} decodes")


class Ours(Coder):
    def __init__(self, quantizer: Any) -> None:
        self._quantizer = quantizer

    def fit(self, A: Any) -> None:
        self._quantizer.fit(A)
        self.size, self.model_bytes = self._quantizer.code_size, self._quantizer.model_bytes

    def encode(self, X: Any) -> Any:
        return self._quantizer.encode(X)

    def decode(self, codes: Any) -> Any:
        return self._quantizer.decode(codes)

    def search(self, X: Any, queries: Any, k: int, metric: str) -> Any:
        from codeword.search import flat

        return flat.scan(self._quantizer, self.encode(X), queries, k, metric)[0]


class Chosen(Ours):
    """`codeword.auto` with the minute that it has by default, were the machine its own: it goes by the clock."""

    def __init__(self, size: int) -> None:
        self._size = size

    def fit(self, A: Any) -> None:
        import codeword as cw

        chosen = cw.auto(A, bytes_per_vector=self._size, seconds=60.0 * busy())
        assert chosen.frontier is not None
        self.note = chosen.frontier.winner.name
        self.tried = [(t.name, t.size, t.distortion, t.recall, t.fit_seconds, t.note) for t in chosen.frontier]
        self._quantizer, self.size, self.model_bytes = chosen, chosen.code_size, chosen.model_bytes


def busy() -> float:
    """Seconds that pass while this process calculates for one."""
    cpu, wall = time.process_time(), time.perf_counter()
    while time.process_time() - cpu < 0.5:
        pass
    return 2 * (time.perf_counter() - wall)


class Faiss(Coder):
    """A faiss index by its factory string; `before` is a transform (d, d) put in front, with the mean of A removed."""

    def __init__(self, d: int, factory: str, codewords: int = 0, before: Callable[[Any], Any] | None = None) -> None:
        import faiss

        self._index = faiss.index_factory(d, factory)
        self._before = before
        self.codewords = codewords
        self.size = self._index.sa_code_size()

    def fit(self, A: Any) -> None:
        import faiss

        self._mean, self._axes = np.zeros(A.shape[1], np.float32), None
        if self._before is not None:
            self._mean, self._axes = A.mean(0), self._before(A)
        self._index.train(self._forward(A))
        self.model_bytes = len(faiss.serialize_index(self._index)) + (0 if self._axes is None else self._axes.nbytes)

    def encode(self, X: Any) -> Any:
        return self._index.sa_encode(self._forward(X))

    def decode(self, codes: Any) -> Any:
        Y = self._index.sa_decode(codes)
        return Y if self._axes is None else Y @ self._axes + self._mean

    def _forward(self, X: Any) -> Any:
        return X if self._axes is None else np.ascontiguousarray((X - self._mean) @ self._axes.T)


class FaissRaBitQ(Faiss):
    """Its decode gives the signs alone, up to a length: searched by its own estimator instead."""

    decodes = False

    def __init__(self, d: int, factory: str) -> None:
        import faiss

        super().__init__(d, factory)
        self._indexes = {"l2": self._index, "ip": faiss.index_factory(d, factory, faiss.METRIC_INNER_PRODUCT)}

    def fit(self, A: Any) -> None:
        super().fit(A)
        self._indexes["ip"].train(A)

    def search(self, X: Any, queries: Any, k: int, metric: str) -> Any:
        return self._found(X, queries, k, metric)[1]

    def products(self, X: Any, queries: Any) -> Any:
        return in_order(*self._found(X, queries, len(X), "ip"))

    def _found(self, X: Any, queries: Any, k: int, metric: str) -> Any:
        import faiss

        index = faiss.clone_index(self._indexes[metric])
        index.add(X)
        return index.search(queries, k)


class Nano(Coder):
    def __init__(self, d: int, m: int, rotated: bool) -> None:
        import nanopq

        self._pq = (nanopq.OPQ if rotated else nanopq.PQ)(M=m, Ks=256, verbose=False)
        self.size, self.codewords = m, 256
        self.encode, self.decode = self._pq.encode, self._pq.decode  # type: ignore[method-assign]

    def fit(self, A: Any) -> None:
        self._pq.fit(A)
        self.model_bytes = self._pq.codewords.nbytes + getattr(self._pq, "R", np.zeros(0, np.float32)).astype(np.float32).nbytes


class Turbo(Coder):
    """Inner products only, so distances of unit rows too."""

    decodes = False

    def __init__(self, d: int, bits: int) -> None:
        self._d, self._bits = d, bits

    def fit(self, A: Any) -> None:
        self._sample = np.ascontiguousarray(A[:2048])
        empty, full = self._made(), self._made()
        full.add(np.ascontiguousarray(A[:1000]))
        self.model_bytes = len(empty.to_bytes())
        self.size = -(-(len(full.to_bytes()) - self.model_bytes) // 1000)

    def encode(self, X: Any) -> Any:
        index = self._made()
        index.add(X)
        return index

    def search(self, X: Any, queries: Any, k: int, metric: str) -> Any:
        lengths = np.linalg.norm(X, axis=1)
        if metric == "l2" and lengths.max() > 1.01 * lengths.min():
            return None
        found = self.encode(X).search(queries, k)
        return np.asarray(found[1]).astype(np.int64)

    def products(self, X: Any, queries: Any) -> Any:
        scores, ids = self.encode(X).search(queries, len(X))
        return in_order(np.asarray(scores), np.asarray(ids).astype(np.int64))

    def _made(self) -> Any:
        import turbovec

        index = turbovec.TurboQuantIndex(self._d, self._bits)
        index.calibrate(self._sample)
        return index


class Contender(NamedTuple):
    """A name and what makes its coder, ``make(d, size)``."""

    name: str
    make: Callable[[int, int], Coder | None]
    ours: bool = False


def in_order(scores: Any, ids: Any) -> Any:
    """Scores (q, n) of rows found in any order, by row."""
    out = np.zeros(scores.shape)
    np.put_along_axis(out, ids, scores, axis=1)
    return out


def shape(d: int, size: int) -> tuple[int, int]:
    """Pieces and bits of a product code of equal pieces: most bits in all, then the longest numbers, to 8 bits."""
    m = [m for m in range(1, d + 1) if d % m == 0]
    fits = [(i * b, b, i) for i in m for b in range(4, 9) if i * b <= 8 * size]
    _, bits, pieces = max(fits) if fits else (0, min(8, 8 * size), 1)
    return pieces, bits


def faiss_product(d: int, size: int, front: str = "", before: Callable[[int], Any] | None = None) -> Coder:
    m, bits = shape(d, size)
    return Faiss(d, f"{front.format(m=m)}PQ{m}x{bits}np", 1 << bits, None if before is None else before(m))


def principal(m: int) -> Callable[[Any], Any]:
    """Principal axes dealt out to m pieces (Ge et al. 2013): the parametric form of OPQ, the baseline that costs nothing."""

    def axes(A: Any) -> Any:
        from codeword.training.pieces import cut
        from codeword.transforms.opq import allocated

        values, vectors = np.linalg.eigh(np.cov(A.T.astype(np.float64)))
        return vectors.T[::-1][allocated(np.maximum(values[::-1], 0), cut(A.shape[1], m))].astype(np.float32)

    return axes


def faiss_split(kind: str, d: int, size: int) -> Coder | None:
    """Pieces of 8 to 32 dimensions, coded additively by 4 (or 2) codebooks each."""
    for stages in (4, 2):
        pieces = size // stages
        if size % stages == 0 and pieces and d % pieces == 0 and pieces < size:
            return Faiss(d, f"{kind}{pieces}x{stages}x8", 256)
    return None


def faiss_levels(d: int, size: int) -> Coder | None:
    bits = {4: "SQ4", 6: "SQ6", 8: "SQ8"}.get(8 * size // d)
    return Faiss(d, bits) if bits else None


def by_bits(make: Callable[[int], Coder], rates: tuple[int, ...], size: int) -> Coder:
    """The coder of most bits that fits, else the smallest."""
    made = [make(bits) for bits in rates]
    return next((c for c in reversed(made) if c.size <= size), made[0])


def nano(d: int, size: int, rotated: bool) -> Coder | None:
    return Nano(d, size, rotated) if size <= d and d % size == 0 else None


def rabitqlib(d: int, size: int) -> Coder:
    import rabitqlib as library

    raise RuntimeError(f"rabitqlib has no flat codes: only {', '.join(n for n in library.__all__ if 'Index' in n)}")


def contenders() -> list[Contender]:
    """All, ours first."""
    from codeword.choice.candidates import CANDIDATES

    def own(candidate: Any) -> Callable[[int, int], Coder | None]:
        def make(d: int, size: int) -> Coder | None:
            quantizer = candidate.make(d, size, 0)
            return None if quantizer is None else Ours(quantizer)

        return make

    return [
        *(Contender(f"codeword {c.name}", own(c), ours=True) for c in CANDIDATES),
        Contender("codeword auto", lambda d, size: Chosen(size), ours=True),
        Contender("faiss PQ", faiss_product),
        Contender("faiss OPQ + PQ", lambda d, size: faiss_product(d, size, "OPQ{m},")),
        Contender("OPQ-P + faiss PQ", lambda d, size: faiss_product(d, size, before=principal)),
        Contender("faiss RQ", lambda d, size: Faiss(d, f"RQ{size}x8", 256)),
        Contender("faiss LSQ", lambda d, size: Faiss(d, f"LSQ{size}x8", 256)),
        Contender("faiss PRQ", lambda d, size: faiss_split("PRQ", d, size)),
        Contender("faiss PLSQ", lambda d, size: faiss_split("PLSQ", d, size)),
        Contender("faiss RaBitQ", lambda d, size: by_bits(lambda b: FaissRaBitQ(d, f"RR{d},RaBitQ{b}"), (1, 2, 3, 4), size)),
        Contender("faiss EDEN", lambda d, size: by_bits(lambda b: Faiss(d, f"RR{d},EDEN{b}"), (1, 2, 3, 4), size)),
        Contender("faiss SQ", faiss_levels),
        Contender("nanopq PQ", lambda d, size: nano(d, size, False)),
        Contender("nanopq OPQ", lambda d, size: nano(d, size, True)),
        Contender("rabitqlib", rabitqlib),
        Contender("turbovec", lambda d, size: Turbo(d, 4 if 8 * size // d >= 4 else 2)),
    ]
