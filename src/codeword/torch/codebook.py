"""A codebook that learns while a network trains: start, search, moving averages, revival.

    rows (n, d) --start: k-means on the first batch--> codewords (k, d)
    rows --nearest--> labels --counts, sums (all processes)--> moving averages --> codewords --the unused: rows far from theirs-->

Sources: van den Oord et al. 2017, appendix A.1 (moving averages); Zeghidour et al. 2021 (k-means start); Dhariwal et al. 2020
(revival from rows of the batch); Arthur & Vassilvitskii 2007 (rows drawn by squared distance).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codeword import checks, keys
from codeword.torch import sync
from codeword.torch.nearest import nearest
from codeword.torch.usage import Float32Module, UsageMeter, count
from codeword.training import kmeans

LEARN = ("ema", "gradient")
LARGEST_K = 1 << 24
# k-means starts from at most so many rows a codeword, of all processes.
_START_ROWS = 64
_START_STREAM = 0x56515354
# Codewords that one step may revive: a share of the codebook, so that rows drawn together do not crowd one place.
_REVIVED_SHARE = 8
# Weight of a revived codeword, in that of an average one: it moves to its rows soon, and has time to find them.
_REVIVED_COUNT = 0.5
# Rows become codewords with chances that grow as this power of their squared distances. 1, as k-means++ has it, takes outliers
# and leaves many codewords little used; 0 crowds them where most rows are.
_POWER = 0.25
# Counts, in those of an average codeword, that mean no use at all.
_NEVER = 1e-3
_TINY = 1e-12


class Codebook(Float32Module):
    """Codewords (k, d), learned by moving averages (`learn="ema"`) or by the optimizer (`"gradient"`).

    Parameters
    ----------
    d, k : int
    learn : {"ema", "gradient"}
    cosine : bool
        Codewords, and the rows that it is given, have unit length.
    decay : float
        Of the moving averages of counts and sums.
    kmeans : bool
        Start from k-means on the first rows.
    revive : float
        A codeword used less than this share of the average moves to a row far from its codeword; 0: never.
    sync : bool
        Sum statistics over the processes of `torch.distributed`.

    All its numbers stay float32. In training it changes by what it is given, in equal ways in all processes.
    """

    codewords: Tensor
    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, d: int, k: int, *, learn: str, cosine: bool, decay: float, kmeans: bool, revive: float, sync: bool) -> None:
        super().__init__()
        self.d, self.k = d, checks.integer(k, "k", 1, LARGEST_K)
        self.learn = checks.choice(learn, "learn", LEARN)
        self.cosine = checks.flag(cosine, "cosine")
        self.decay = checks.real(decay, "decay", 0.0, 1.0)
        self.revive = checks.real(revive, "revive", 0.0, 1.0)
        self.sync = checks.flag(sync, "sync")
        first = torch.randn(k, d)
        first = unit(first) if cosine else first / d**0.5
        if self.learn == "gradient":
            self.codewords = nn.Parameter(first)
        else:
            self.register_buffer("codewords", first)
            self.register_buffer("sums", first.clone())
        self.register_buffer("counts", torch.ones(k))
        self.register_buffer("started", torch.tensor(not checks.flag(kmeans, "kmeans")))
        self._ready = not kmeans
        self.register_load_state_dict_post_hook(_refresh)
        self.meter = UsageMeter(k)

    def find(self, rows: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Labels (n,) and squared distances (n,) of rows (n, d); the first training rows start the codebook."""
        if not self._ready and self.training:
            self.start(rows if mask is None else rows[mask])
        return nearest(rows, self.vectors())

    def vectors(self, labels: Tensor | None = None) -> Tensor:
        """All codewords (k, d), or those of `labels` (n,), with a gradient where the optimizer learns them."""
        chosen = self.codewords if labels is None else torch.nn.functional.embedding(labels, self.codewords)
        return unit(chosen) if self.cosine and self.learn == "gradient" else chosen

    @torch.compiler.disable
    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Set the codewords by k-means on rows (n, d), those of all processes taken together.

        With fewer different rows than codewords, the rest is left where it is, for the first batches to revive.
        """
        found = first_codewords(rows, self.k, self.sync)
        if found is None:
            return
        words, shares = found
        self.codewords[: len(words)] = unit(words) if self.cosine else words
        self.counts.zero_()
        self.counts[: len(words)] = shares * self.k
        if self.learn == "ema":
            self.sums.copy_(self.codewords * self.counts.unsqueeze(1))
        self.started.fill_(True)
        self._ready = True

    @torch.no_grad()
    def update(self, rows: Tensor, labels: Tensor, squares: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Learn from rows (n, d) and what `find` said of them, in training mode; count them.

        Returns
        -------
        perplexity, usage : Tensor
            Scalars, see `UsageMeter.add`.
        """
        # One step that overflowed must not spoil averages over many.
        counted = squares.isfinite() if mask is None else squares.isfinite() & mask
        labels = torch.where(counted, labels, self.k)
        counts = count(labels, self.k)
        if self.training:
            rows = rows.detach()
            if self.learn == "ema":
                sums = torch.zeros(self.k + 1, self.d, device=rows.device).index_add_(0, labels, rows)[: self.k]
                counts, sums = sync.summed([counts, sums]) if self.sync else [counts, sums]
                self._average(counts, sums)
            else:
                (counts,) = sync.summed([counts]) if self.sync else [counts]
                self.counts.lerp_(self._scaled(counts)[0], 1 - self.decay)
            if self.revive > 0:
                self._revive(rows, squares.masked_fill(~counted, 0.0), counts.sum())
        return self.meter.add(counts)

    def _scaled(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Counts with a mean of 1, whatever the size of the batch, and the factor."""
        factor = self.k / counts.sum().clamp_min(1)
        return counts * factor, factor

    def _threshold(self, total: Tensor) -> Tensor:
        """The count, in that of an average codeword, below which one is unused, where a batch of all processes has `total` rows.

        Averages remember 1 / (1 - decay) batches. A codeword on the threshold is met `revive` times its share of those rows, give or
        take the square root of that: one standard deviation lower, noise alone seldom makes a codeword move.
        """
        noise = (self.revive * self.k * (1 - self.decay) / total.clamp_min(1)).sqrt()
        return (self.revive - noise).clamp_min(_NEVER)

    def _average(self, counts: Tensor, sums: Tensor) -> None:
        scaled, factor = self._scaled(counts)
        self.counts.lerp_(scaled, 1 - self.decay)
        self.sums.lerp_(sums * factor, 1 - self.decay)
        means = self.sums / self.counts.clamp_min(_TINY).unsqueeze(1)
        moved = unit(means) if self.cosine else means
        self.codewords.copy_(torch.where((self.counts > _TINY).unsqueeze(1), moved, self.codewords))

    def _revive(self, rows: Tensor, squares: Tensor, total: Tensor) -> None:
        """Move the least used codewords, where they count as unused, to rows drawn by their distances; `total` rows in all processes."""
        unused = self.counts < self._threshold(total)
        if not torch.compiler.is_compiling() and unused.device.type == "cpu" and not bool(unused.any()):
            return
        size = max(1, self.k // _REVIVED_SHARE)
        # The largest of log weight + Gumbel noise are a sample without replacement (Efraimidis & Spirakis 2006).
        noise = torch.empty_like(squares).exponential_().clamp_min(_TINY).log()
        key = _POWER * squares.clamp_min(0).log() - noise
        key, rows = _first(key, rows, size)
        if self.sync and sync.world() > 1:
            key, rows = _first(sync.joined(key), sync.joined(rows), size)
        targets = torch.topk(self.counts, size, largest=False).indices
        moves = unused[targets] & torch.isfinite(key)
        words = torch.where(moves.unsqueeze(1), unit(rows) if self.cosine else rows, self.codewords[targets])
        weights = torch.where(moves, _REVIVED_COUNT, self.counts[targets])
        self.codewords.index_copy_(0, targets, words)
        self.counts.index_copy_(0, targets, weights)
        if self.learn == "ema":
            sums = torch.where(moves.unsqueeze(1), words * _REVIVED_COUNT, self.sums[targets])
            self.sums.index_copy_(0, targets, sums)


def first_codewords(rows: Tensor, k: int, sync_: bool) -> tuple[Tensor, Tensor] | None:
    """At most k codewords from k-means on rows (n, d), those of all processes taken together, and their shares of the rows.

    Rows that are not finite are left out; None without any. No more than k rows are codewords themselves.
    """
    finite = rows.detach().float()
    finite = finite[torch.isfinite(finite).all(1)]
    most = -(-_START_ROWS * k // (sync.world() if sync_ else 1))
    size = min(sync.least(len(finite), rows) if sync_ else len(finite), most)
    if size == 0:
        return None
    finite = finite[torch.from_numpy(keys.sample(0, _START_STREAM, len(finite), size)).to(rows.device)]
    X = np.ascontiguousarray((sync.joined(finite) if sync_ else finite).cpu().numpy())
    shares = np.full(len(X), 1 / len(X))
    if len(X) > k:
        made = kmeans.train(X, kmeans.Settings(k), label="Codebook.start")
        X, shares = made.codebook, made.counts / made.counts.sum()
    return torch.from_numpy(X).to(rows.device), torch.from_numpy(shares.astype(np.float32)).to(rows.device)


def unit(rows: Tensor) -> Tensor:
    """Rows (n, d) of unit length, divided in float64 and rounded once, as `codeword.Normalize` does; rows of zeros stay."""
    return _Unit.apply(rows)


class _Unit(torch.autograd.Function):
    """Only the division is float64: gradients need no more than float32."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        wide = rows.double()
        lengths = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        lengths.masked_fill_(lengths == 0, 1.0)
        made = wide.div_(lengths).float()
        ctx.save_for_backward(made, lengths.float())
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (g,) = gradients
        made, lengths = ctx.saved_tensors
        along = torch.linalg.vecdot(made, g).unsqueeze(-1)
        return torch.addcmul(g, made, along, value=-1) / lengths


def _first(key: Tensor, rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The `size` rows of largest key with their keys; where there are fewer, filled up with keys of -inf."""
    missing = size - len(key)
    if missing > 0:
        key = torch.nn.functional.pad(key, (0, missing), value=float("-inf"))
        rows = torch.nn.functional.pad(rows, (0, 0, 0, missing))
    best = torch.topk(key, size)
    return best.values, rows[best.indices]


def _refresh(module: Any, incompatible: Any) -> None:
    module._ready = bool(module.started)
