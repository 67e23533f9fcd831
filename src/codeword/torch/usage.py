"""How much of a codebook is in use: of a batch as tensors, of an epoch as `codeword.metrics.Usage`.

labels (n,) --count--> counts (k,) --entropy--> perplexity: as many codewords, used equally, would hold as much
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from codeword.metrics import Usage, usage_of_counts


class Float32Module(nn.Module):
    """A module whose floating-point state stays float32: averages over thousands of steps need it, whatever `half()` is called on."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        def moved(t: Tensor) -> Tensor:
            made = fn(t)
            return made if made.dtype == t.dtype or not t.is_floating_point() else t.to(made.device)

        return super()._apply(moved, recurse)


class UsageMeter(nn.Module):
    """Counts of codewords since the last reset; not part of the state that is saved."""

    counts: Tensor

    def __init__(self, k: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(k, dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def add(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Count a batch's `counts` (k,), float32; return its perplexity and the share of codewords in use, both scalars."""
        self.counts += batch.to(torch.int64)
        shares = batch / batch.sum().clamp_min(1)
        return torch.special.entr(shares).sum().exp(), (batch > 0).float().mean()

    def report(self) -> Usage:
        """Usage since the last reset."""
        return usage_of_counts(self.counts.cpu().numpy())

    def reset(self) -> None:
        """Start counting anew."""
        self.counts.zero_()


def count(labels: Tensor, k: int) -> Tensor:
    """How often each of 0 to k - 1 is among `labels`, float32 (k,); the number k stands for rows that do not count."""
    return torch.zeros(k + 1, device=labels.device).index_add_(0, labels, torch.ones_like(labels, dtype=torch.float32))[:k]
