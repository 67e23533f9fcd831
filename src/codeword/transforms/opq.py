"""OPQ: the rotation after which product codes lose least.

    x (d,) --mean removed in float64--> rotation (d, d) --> y (d,) = m pieces for `ProductQuantizer` --rotation', mean--> x̂ (d,)

Source: Ge, He, Ke & Sun 2013, "Optimized product quantization" (eigenvalue allocation, and the alternation); Norouzi & Fleet 2013,
"Cartesian k-means" (the same alternation); Schönemann 1966 (orthogonal Procrustes). Two starts instead of one, and the choice by
held-out rows, are ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import checks, keys, registry, runtime
from codeword.base import F32, State, Transform, array
from codeword.training import kmeans, pieces, sums
from codeword.training.nearest import nearest, pack
from codeword.transforms.center import subtract
from codeword.transforms.klt import KLT, with_fixed_signs
from codeword.transforms.linear import ExactProduct, block_rows, cross_products

F64 = NDArray[np.float64]
EFFORTS = ("fast", "default", "best")
_ROUNDS = {"fast": 0, "default": 8, "best": 32}
_PASSES = 8
_STREAM, _HELD_STREAM = 0x6F7071, 0x6F707168  # "opq", "opqh"
# Rows a codeword that a rotation is learned from, and most rows that it is judged on. Finer codebooks prefer the same rotations.
_ROWS_A_CODEWORD = 64
_MOST_HELD = 4096
_MOST_BITS = 8
# Directions that the codes say nothing about stay as they are: this share of the largest singular value is in favour of it.
_INERTIA = 1e-6


@registry.register("opq")
class OPQ(Transform):
    """Rotate rows so that a `ProductQuantizer` of the same `m` and `bits` behind it has the least distortion.

    There are two starts: the principal axes, dealt out to the m pieces so that the products of their variances are equal (best for
    Gaussian rows), and the columns as they are (best where neighbouring columns belong together, as in SIFT). The one with the
    lower distortion on held-out rows is then improved: codebooks for the rotation, rotation for the codebooks, in turns. The result
    is kept if it is better on the held-out rows, with codebooks made anew for each. So it is never worse than `KLT` with eigenvalue
    allocation, nor than no transform at all, as far as held-out rows can tell.

    Parameters
    ----------
    m : int
        Pieces, 1 to d, cut as `ProductQuantizer` cuts them: the first ``d % m`` are one wider.
    bits : int
        Bits of each piece's number, 1 to 16; more than 8 are counted as 8 in learning the rotation.
    effort : {"fast", "default", "best"}
        Rounds of improvement: none, 8 from the better start, 32 from both.
    seed : int
        Decides which rows are learned from and which are held out, 0 to 2**63 - 1.

    Attributes
    ----------
    mean : ndarray (d,) float64
    rotation : ndarray (d, d) float32
        Orthonormal; one output coordinate a row.
    history_ : dict of str to float
        Distortion on the held-out rows (mean squared error) of every rotation that was compared; only after `fit` (not stored).

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(3000, 8)) * [9, 8, 1, 1, 1, 1, 1, 1]
    >>> opq = cw.Pipeline([cw.OPQ(2, bits=4)], cw.ProductQuantizer(2, bits=4)).fit(X)
    >>> pq = cw.ProductQuantizer(2, bits=4).fit(X)
    >>> bool(opq.distortion(X).relative < 0.7 * pq.distortion(X).relative)
    True
    """

    mean: F64
    rotation: F32
    history_: dict[str, float]

    def __init__(self, m: int, bits: int = 8, *, effort: str = "default", seed: int = 0) -> None:
        self.m = m
        self.bits = bits
        self.effort = effort
        self.seed = seed

    @property
    def offset(self) -> F64:
        """The mean, float64 (d,)."""
        self._check_fitted()
        return self.mean

    def project(self, Q: NDArray[Any]) -> F64:
        return self._onto(Q)

    def lift(self, Y: NDArray[Any]) -> F64:
        return self._back(Y)

    def _fit(self, X: NDArray[Any], weight: F32 | None) -> None:
        bits = min(checks.integer(self.bits, "bits", 1, 16), _MOST_BITS)
        effort = checks.choice(self.effort, "effort", EFFORTS)
        seed = checks.integer(self.seed, "seed", 0, 2**63 - 1)
        cut = pieces.cut(X.shape[1], self.m)
        klt = KLT(seed=seed).fit(X, weight)
        starts = {"principal axes": klt.axes[allocated(klt.eigenvalues, cut)], "columns": np.eye(X.shape[1], dtype=np.float32)}
        rows, held = _split(X, weight, klt.mean, bits, seed)
        if held is None:
            self.history_, rotation = {}, starts["principal axes"]
        else:
            rotation = self._search(_Search(rows, held, cut, min(bits, _bits(len(rows.Z))), seed), starts, effort)
        self._set(klt.mean, with_fixed_signs(rotation))

    def _search(self, search: _Search, starts: dict[str, F32], effort: str) -> F32:
        """The best rotation on held-out rows: a start, or one improved from it."""
        tried = {name: search.judged(rotation) for name, rotation in starts.items()}
        found = dict(starts)
        best = min(tried, key=lambda name: tried[name].loss)
        for name in starts if effort == "best" else [best]:
            better = f"{name}, improved"
            found[better] = search.improved(starts[name], tried[name].codebooks, _ROUNDS[effort])
            if _ROUNDS[effort]:
                tried[better] = search.judged(found[better])
        self.history_ = {name: judged.loss for name, judged in tried.items()}
        return found[min(tried, key=lambda name: tried[name].loss)]

    def _set(self, mean: F64, rotation: NDArray[Any]) -> None:
        self.mean, self.rotation = mean, rotation.astype(np.float32)
        self.d_out = len(mean)
        self._onto, self._back = ExactProduct(self.rotation.T), ExactProduct(self.rotation)

    def _forward(self, X: NDArray[Any]) -> F32:
        out = np.empty(X.shape, np.float32)
        step = block_rows(X.shape[1])
        for start, _ in runtime.blocks(len(X), step, "OPQ.transform"):
            block = X[start : start + step] - self.mean
            checks.check_range(block, "X", start)
            with np.errstate(over="ignore"):
                out[start : start + step] = self._onto(block)
        return out

    def _inverse(self, Y: F32) -> F32:
        out = np.empty(Y.shape, np.float32)
        step = block_rows(Y.shape[1])
        for start, _ in runtime.blocks(len(Y), step, "OPQ.inverse_transform"):
            with np.errstate(over="ignore"):
                out[start : start + step] = self._back(Y[start : start + step]) + self.mean
        return out

    def _state(self) -> State:
        return {"mean": self.mean, "rotation": self.rotation}

    def _load(self, state: State) -> None:
        self._set(array(state, "mean", np.float64, (self.d,)), array(state, "rotation", np.float32, (self.d, self.d)))


def allocated(eigenvalues: F64, cut: pieces.Pieces) -> NDArray[np.int64]:
    """Axes (d,) in the order of the pieces: each, by falling eigenvalue, goes to the piece of least product that has room.

    Examples
    --------
    >>> allocated(np.array([8.0, 4.0, 2.0, 1.0]), [(0, 2), (2, 4)])
    array([0, 3, 1, 2])
    """
    floor = float(eigenvalues.max(initial=0.0)) * 2.0**-40
    logs = np.log2(np.maximum(eigenvalues, floor) / floor) if floor > 0 else np.zeros(len(eigenvalues))
    room = np.array([stop - start for start, stop in cut])
    loads, members = np.zeros(len(cut)), [list[int]() for _ in cut]
    for axis, log in enumerate(logs.tolist()):
        piece = int(np.argmin(np.where(room > 0, loads, np.inf)))
        members[piece].append(axis)
        loads[piece] += log
        room[piece] -= 1
    return np.array([axis for piece in members for axis in piece], np.int64)


class _Rows(NamedTuple):
    """Rows less the mean (n, d) float32, with weights (n,) or None."""

    Z: F32
    weight: F32 | None


class _Judged(NamedTuple):
    """Codebooks made for a rotation, and what they lose on held-out rows."""

    loss: float
    codebooks: list[F32]


class _Search:
    """Training rows and held-out rows, and what a rotation is worth on them."""

    def __init__(self, rows: _Rows, held: _Rows, cut: pieces.Pieces, bits: int, seed: int) -> None:
        self._rows, self._held, self._cut = rows, held, cut
        self._settings = kmeans.Settings(1 << bits, max_iter=_PASSES, seed=seed)
        self._operations = 2 * (1 << bits) * rows.Z.shape[1]

    def judged(self, rotation: F32) -> _Judged:
        """New codebooks for the rotated training rows, and their distortion on the held-out ones."""
        onto = ExactProduct(rotation.T)
        rotated = onto(self._rows.Z).astype(np.float32)
        trained = pieces.train(rotated, self._cut, self._settings, self._rows.weight, "OPQ.fit")
        codebooks = [t.codebook for t in trained]
        Y = onto(self._held.Z).astype(np.float32)
        _, squares = nearest(Y, pack(codebooks), self._operations, distances=True)
        assert squares is not None
        total = sums.total(np.add.accumulate(squares, axis=1)[:, -1], self._held.weight)
        mass = len(Y) if self._held.weight is None else sums.total(self._held.weight.astype(np.float64))
        return _Judged(float(total / mass / Y.shape[1]), codebooks)

    def improved(self, rotation: F32, codebooks: list[F32], rounds: int) -> F32:
        """The rotation after so many rounds of: codewords to the means of their rows, rotation to the codewords (Procrustes)."""
        Z, weight = self._rows
        weighted = Z if weight is None else Z * weight[:, None]
        with runtime.Progress("OPQ.fit", max(1, rounds), "rounds") as progress:
            for _ in range(rounds):
                Y = ExactProduct(rotation.T)(Z).astype(np.float32)
                labels, _ = nearest(Y, pack(codebooks), self._operations)
                codebooks = [self._moved(Y, labels, codebooks, j) for j in range(len(codebooks))]
                Y_hat = np.concatenate([c[labels[:, j]] for j, c in enumerate(codebooks)], axis=1)
                rotation = procrustes(cross_products(weighted, Y_hat), rotation)
                progress.advance(1)
        return rotation

    def _moved(self, Y: F32, labels: NDArray[np.int32], codebooks: list[F32], j: int) -> F32:
        start, stop = self._cut[j]
        cells = kmeans.Cells(np.ascontiguousarray(Y[:, start:stop]), len(codebooks[j]), self._rows.weight)
        cells.move(labels[:, j])
        return cells.step_to_means(codebooks[j])


def procrustes(M: F64, before: F32) -> F32:
    """The rotation R (d, d) of largest ``trace(R M)``, M = sum of x ŷ' over rows: it brings R x closest to ŷ.

    Directions in which M is zero are turned as `before`, the rotation so far.
    """
    scale = float(np.abs(M).max(initial=0.0)) or 1.0
    U, _, Vt = np.linalg.svd(M / scale + _INERTIA * before.T)
    return np.asarray((U @ Vt).T, np.float32)


def _bits(n: int) -> int:
    """Bits of a piece's number that n rows can train, 8 rows a codeword."""
    return max(1, (n // 8).bit_length() - 1)


def _split(X: NDArray[Any], weight: F32 | None, mean: F64, bits: int, seed: int) -> tuple[_Rows, _Rows | None]:
    """Rows to learn from and rows to judge on, at most a fifth of all, drawn by the hash of their numbers; None where too few."""
    usable = np.arange(len(X)) if weight is None else np.flatnonzero(weight > 0)
    held = usable[keys.sample(seed, _HELD_STREAM, len(usable), min(_MOST_HELD, len(usable) // 5))]
    others = np.setdiff1d(usable, held, assume_unique=True)
    rows = others[keys.sample(seed, _STREAM, len(others), _ROWS_A_CODEWORD << bits)]

    def part(numbers: NDArray[np.int64]) -> _Rows:
        return _Rows(subtract(X[numbers], mean), None if weight is None else weight[numbers])

    return part(rows), part(held) if len(held) and len(rows) > 1 else None
