"""Codebooks whose codewords are added: first ones stage by stage or piece by piece, then all of them together.

    rows --first codebooks--> (m, k, d) --[ encode, update ] x rounds--> (m, k, d)

*Update*: with the codes held, the distortion is quadratic in the codewords, and the best codebook given the others is the mean of what
they leave of its rows. A sweep takes the codebooks in turn (Gauss-Seidel on the normal equations of Babenko & Lempitsky 2014 and
Martinez et al. 2018, whose Cholesky solution it tends to), with sums that are exact, so that no thread or block can change a bit.

*Shrinkage*: with some dozens of rows a codeword, much of a late stage's codebook is the noise of its means. Each column i of a mean over
n rows is multiplied by ``S_i / (S_i + W_i / n)``, W_i the variance within cells and S_i that of the true means, estimated as the
variance of the means less what noise adds (Wiener's filter; Efron & Morris 1973). It acts on columns: after a KLT it acts best.

Source: Chen, Guan & Wang 2010 (residual quantization); Martinez, Clement, Hoos & Little 2016 and 2018 (LSQ: start from a product
code, improve codes and codebooks in turn).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codeword import _native, keys, runtime
from codeword.lanes import lane_dot
from codeword.training import sums
from codeword.training.lloyd import lloyd
from codeword.training.moments import ColumnMoments
from codeword.training.nearest import nearest, pack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U32 = NDArray[np.uint32]
MOST_ROWS = 1 << 16
_ROWS_STREAM, _STAGE_STREAM = 211, 1000
_STAGE_PASSES = 6
_STAGE_BEAM = 4
# All stages so far are searched again after every fourth; after each one, it takes twice the time and gains nothing.
_REVISIT = 4
_SWEEPS = 2
_TOLERANCE = 0.002
_TRIAL_STREAM, _TRIAL_ROWS, _TRIAL_ROUNDS = 212, 32, 2


@dataclass(frozen=True)
class Search:
    """How codes are searched for: paths kept, stages that they may differ in, passes over the stages."""

    beam: int
    depth: int
    passes: int


@dataclass
class Training:
    """What a training run did."""

    codebooks: F32
    """(m, k, d) float32."""
    offset: F32
    """(d,) float32."""
    history: list[float] = field(default_factory=list)
    """Distortion (mean squared error per row and dimension) of the codebooks that each round began with."""


def coder(codebooks: F32, offset: F32, depth: int) -> _native.Additive:
    """The native coder of codebooks (m, k, d) about an `offset` (d,)."""
    m, k, d = codebooks.shape
    return _native.Additive(np.ascontiguousarray(codebooks).reshape(m * k, d), m, offset, min(depth, m - 1))


class Rows:
    """Training rows and their weights, and the exact statistics that codebooks are made of.

    At most `MOST_ROWS` rows, chosen by key, are used.
    """

    def __init__(self, X: F32, weight: F32 | None, seed: int) -> None:
        used = np.arange(len(X)) if weight is None else np.flatnonzero(weight > 0)
        used = used[keys.sample(seed, _ROWS_STREAM, len(used), MOST_ROWS)]
        self.X = np.ascontiguousarray(X[used])
        self.weight = None if weight is None else np.ascontiguousarray(weight[used])
        self.mean: F32 = self.means(self.X, np.zeros(len(used), np.int32), 1)[0][0].astype(np.float32)
        """Mean row (d,)."""

    def means(self, R: F32, labels: I32, k: int) -> tuple[F64, F64]:
        """Means (k, d) of the rows `R` (n, d) by label, 0 where there is none, and weights (k,)."""
        n, d = R.shape
        low, high = sums.column_range(R)
        heaviest = 1.0 if self.weight is None else float(self.weight.max())
        exponents = sums.grid(np.maximum(np.abs(low), np.abs(high)).astype(np.float64) * heaviest, n)
        weight_exponent = 0 if self.weight is None else int(sums.grid(np.array([heaviest]), n)[0])
        totals, mass = np.zeros((k, d), np.int64), np.zeros(k, np.int64)
        _native.accumulate(R, labels, exponents, weight_exponent, totals, mass, self.weight)
        counts = np.ldexp(mass.astype(np.float64), -weight_exponent)
        return np.ldexp(totals.astype(np.float64), -exponents) / np.where(mass > 0, counts, 1.0)[:, None], counts

    def distortion(self, R: F32) -> float:
        """Mean square of the errors `R` (n, d)."""
        squares = lane_dot(R, R)
        whole = float(len(R)) if self.weight is None else sums.total(self.weight.astype(np.float64))
        return float(sums.total(squares, self.weight) / whole / R.shape[1])

    def shrunk(self, means: F64, mass: F64, within: F64) -> F32:
        """Means (k, d) of `mass` (k,), drawn towards 0 by what they owe to noise of variance `within` (d,) a row."""
        whole, k = float(mass.sum()), len(mass)
        between = np.add.reduce((mass / whole)[:, None] * means * means, axis=0) - within * (k / whole)
        between = np.maximum(between, np.finfo(np.float64).tiny)
        noise = np.full(means.shape, np.inf)  # of an empty cell: nothing is known of it
        np.divide(within, mass[:, None], out=noise, where=mass[:, None] > 0)
        return np.asarray(means * (between / (between + noise)), np.float32)

    def within(self, R: F32, k: int) -> F64:
        """Variance (d,) of the rows `R` (n, d) about k means that were fitted to them."""
        spare = max(len(R) - k, 1) / len(R)
        return ColumnMoments.of(R, self.weight).variance / spare


def assigned(R: F32, codebook: F32) -> I32:
    """Nearest codeword (n,) of each row."""
    return np.ascontiguousarray(nearest(R, pack([codebook]), 2 * codebook.size)[0][:, 0])


def first_stages(rows: Rows, R: F32, stages: int, k: int, depth: int, seed: int) -> F32:
    """Codebooks (stages, k, d) for centred rows `R`, each for what the codes so far leave of them."""
    d = R.shape[1]
    nothing, whole = np.zeros(d, np.float32), R
    codebooks = np.zeros((stages, k, d), np.float32)
    for j in range(stages):
        codebook = stage_codebook(R, rows.weight, k, seed + _STAGE_STREAM * j)
        labels = assigned(R, codebook)
        means, mass = rows.means(R, labels, k)
        codebooks[j] = rows.shrunk(means, mass, rows.within(R - means.astype(np.float32)[labels], k))
        if j % _REVISIT == _REVISIT - 1:
            part = coder(codebooks[: j + 1], nothing, depth)
            R = whole - part.decode(part.encode(whole, _STAGE_BEAM, 1))
        else:
            R = R - codebooks[j][labels]
    return codebooks


def stage_codebook(R: F32, weight: F32 | None, k: int, seed: int) -> F32:
    """k-means from rows scaled to one length.

    What stages leave is like noise in many dimensions, where a row is nearer to a short codeword than to any other row: from
    rows as they are, one short codeword takes nearly all of them. From codewords of one length only the direction decides.
    """
    rows = R[keys.sample(seed, _ROWS_STREAM, len(R), k)]
    lengths = np.sqrt(lane_dot(rows, rows))
    size = float(np.sort(lengths)[len(lengths) // 2])
    scale = np.divide(size, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    start = (rows * scale[:, None]).astype(np.float32)
    return lloyd(R, start, weight, _STAGE_PASSES, 1e-4, np.zeros(len(R), np.bool_), "first codebooks").codebook


def first_codebooks(rows: Rows, m: int, k: int, pieces: int, depth: int, seed: int) -> F32:
    """Codebooks (m, k, d): rows in `pieces` pieces of columns, m / pieces stages each (1 piece: residual, m: product)."""
    d, stages, offset = rows.X.shape[1], m // pieces, rows.mean
    codebooks = np.zeros((m, k, d), np.float32)
    ends = [d * (p + 1) // pieces for p in range(pieces)]
    for p, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        R = np.ascontiguousarray(rows.X[:, start:end]) - offset[start:end]
        part = first_stages(rows, R, stages, k, depth, seed + p)
        codebooks[p * stages : (p + 1) * stages, :, start:end] = part
    if pieces > 1:  # strong ones first: the search decides in this order
        power = np.array([float(np.add.reduce(lane_dot(c, c))) for c in codebooks])
        codebooks = codebooks[np.lexsort((np.arange(m), -power))]
    return np.ascontiguousarray(codebooks)


def better_start(rows: Rows, m: int, k: int, search: Search, seed: int) -> int:
    """In how many pieces rows should start, 1 (residual) or m (product): what codes held-out rows better after two rounds.

    It is tried on `_TRIAL_ROWS` rows a codeword at most, a quarter of them held out.
    """
    if m == 1 or m > rows.X.shape[1]:
        return 1
    chosen = keys.sample(seed, _TRIAL_STREAM, len(rows.X), _TRIAL_ROWS * k)
    apart = keys.sample(seed, _TRIAL_STREAM + 1, len(chosen), min(len(chosen) // 4, len(chosen) - k))
    if not len(apart):
        return 1
    held, used = np.ascontiguousarray(rows.X[chosen[apart]]), np.delete(chosen, apart)
    losses = {}
    for pieces in (m, 1):
        some = Rows(rows.X[used], None if rows.weight is None else rows.weight[used], seed)
        first = first_codebooks(some, m, k, pieces, search.depth, seed)
        made = improve(some, first, search, _TRIAL_ROUNDS, "starts")
        encoder = coder(made.codebooks, made.offset, search.depth)
        rest = held - encoder.decode(encoder.encode(held, search.beam, search.passes))
        losses[pieces] = float(np.add.reduce(lane_dot(rest, rest)))
    return min(losses, key=lambda pieces: losses[pieces])


def update(rows: Rows, codebooks: F32, indices: U32, depth: int) -> F32:
    """Better codebooks (m, k, d) for the rows with these codes (n, m)."""
    m, k, _ = codebooks.shape
    codebooks = codebooks.copy()
    labels = np.ascontiguousarray(indices.T.astype(np.int32))
    for _ in range(_SWEEPS):
        R = rows.X - coder(codebooks, rows.mean, depth).decode(indices)
        within = rows.within(R, k)
        for j in range(m):
            means, mass = rows.means(R, labels[j], k)
            better = rows.shrunk(means + codebooks[j], mass, within)
            better = np.where(mass[:, None] > 0, better, codebooks[j])
            R -= (better - codebooks[j])[labels[j]]
            codebooks[j] = better
    return codebooks


def improve(rows: Rows, codebooks: F32, search: Search, rounds: int, label: str) -> Training:
    """Codes and codebooks in turn, at most `rounds` times: until a round gains less than a share of `_TOLERANCE`."""
    result = Training(codebooks, rows.mean)
    indices: U32 | None = None
    with runtime.Progress(label, max(1, rounds), "rounds") as progress:
        for _ in range(rounds):
            passes = search.passes if indices is None else 1
            encoder = coder(result.codebooks, rows.mean, search.depth)
            indices = encoder.encode(rows.X, search.beam, passes, indices)
            result.history.append(rows.distortion(rows.X - encoder.decode(indices)))
            if len(result.history) > 1 and result.history[-2] - result.history[-1] < _TOLERANCE * result.history[-2]:
                break
            result.codebooks = update(rows, result.codebooks, indices, search.depth)
            progress.advance(1)
    return result
