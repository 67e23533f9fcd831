"""LFQ: the signs of a vector's numbers are its index; an entropy loss makes every index used and every sign sure.

    x (n, bits) --sign, 0 counts as -1--> quantized (n, bits) in {-1, 1} --bits, the first the lowest--> indices (n,)

Source: Yu et al. 2023, "Language model beats diffusion: tokenizer is key to visual generation" (MAGVIT-v2), section 3.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codeword import checks
from codeword.torch import export, gradient, sync
from codeword.torch.layer import Layer, Rows, shares
from codeword.torch.usage import UsageMeter, count

LARGEST_BITS = 24
# Bits whose joint use one entropy covers: two halves of 2**6 probabilities a row.
_TOGETHER = 12
_TINY = 1e-12


class LFQ(Layer):
    """Lookup-free quantization: `bits` numbers, 2**bits codewords, nothing to look up.

    The entropy of the codebook's use is taken over groups of 12 bits, which bounds it from above; the rest of the loss is exact,
    in time proportional to the bits.

    Parameters
    ----------
    bits : int
        Numbers of a vector, 1 to 24.
    grad : {"ste", "rotation", "nsvq", "diveq"}
        How gradients pass the sign, see `codeword.torch.gradient`.
    entropy : float
        Weight of (entropy of a vector's index) - `diversity` * (entropy of the use of all).
    diversity : float
    temperature : float
        A number x is +1 with probability sigmoid(4 x / temperature) in the entropies: that of softmax over squared distances.
    commitment : float
        Weight of ``mean((x - sign)²)``.
    sync : bool
        Take the entropy of the use, and usage, over all processes of `torch.distributed` while training.
    dim : int
        Which dimension of x holds the numbers.

    Examples
    --------
    >>> import torch
    >>> from codeword.torch import LFQ
    >>> lfq = LFQ(10)
    >>> out = lfq(torch.randn(4, 100, 10))
    >>> out.indices.shape, out.quantized.unique().tolist()
    (torch.Size([4, 100]), [-1.0, 1.0])
    """

    powers: Tensor

    def __init__(
        self,
        bits: int,
        *,
        grad: str = "ste",
        entropy: float = 0.1,
        diversity: float = 1.0,
        temperature: float = 0.1,
        commitment: float = 0.0,
        sync: bool = True,
        dim: int = -1,
    ) -> None:
        super().__init__(checks.integer(bits, "bits", 1, LARGEST_BITS), dim)
        self.grad = gradient.check(grad)
        self.entropy = checks.real(entropy, "entropy", 0.0, 1e6)
        self.diversity = checks.real(diversity, "diversity", 0.0, 1e6)
        self.temperature = checks.real(temperature, "temperature", 1e-6, 1e6)
        self.commitment = checks.real(commitment, "commitment", 0.0, 1e6)
        self.sync = checks.flag(sync, "sync")
        self.k = 1 << bits
        self.register_buffer("powers", 1 << torch.arange(bits), persistent=False)
        self.meters = nn.ModuleList([UsageMeter(self.k)])

    def to_quantizer(self) -> Any:
        """A `codeword.ScalarQuantizer` of 1 bit with levels -1 and 1: its packed numbers are the bits of the layer's indices."""
        return export.scalar(np.tile(np.array([-1, 1], np.float32), (self.d, 1)), [2] * self.d)

    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        positive = rows.detach() > 0
        signs = torch.where(positive, 1.0, -1.0)
        indices = positive.long() @ self.powers
        share = shares(len(rows), mask, rows)
        loss = self.commitment * gradient.commitment(rows, signs, (rows.detach() - signs).square().sum(1), share)
        if self.entropy > 0:
            loss = loss + self.entropy * self._entropies(rows, share)
        counts = count(indices if mask is None else torch.where(mask, indices, self.k), self.k)
        if self.sync and self.training:
            (counts,) = sync.summed([counts])
        (meter,) = self.meters
        out = gradient.passed(rows, signs, self.grad, self.training)
        return Rows(out, indices, loss, *meter.add(counts))

    def _entropies(self, rows: Tensor, share: Tensor) -> Tensor:
        """Entropy of a row's index, minus `diversity` times that of all, in nats.

        Given a row, bits are independent, so its entropy is the sum of those of its bits: no codeword need be listed.
        """
        logit = rows * (4 / self.temperature)
        p = torch.sigmoid(logit)
        # H(sigmoid(t)) = softplus(t) - t sigmoid(t)
        each = torch.dot((torch.nn.functional.softplus(logit) - logit * p).sum(1), share)
        return each - self.diversity * sum(self._use(part, share) for part in p.split(_TOGETHER, dim=1))

    def _use(self, p: Tensor, share: Tensor) -> Tensor:
        """Entropy of the mean over rows of the product distributions of bits that are 1 with probability `p` (n, b)."""
        half = p.shape[1] // 2
        # The mean of outer products of two halves is one matrix product.
        use = (_joint(p[:, :half]) * share.unsqueeze(1)).T @ _joint(p[:, half:])
        if self.sync and self.training and sync.world() > 1:
            # The value of all processes, the gradient of this one: averaged over processes it is that of the whole.
            (whole,) = sync.summed([use.detach()])
            use = use + (whole / sync.world() - use).detach()
        return torch.special.entr(use.clamp_min(_TINY)).sum()  # at 0 its slope is infinite

    def _encode(self, rows: Tensor) -> Tensor:
        return (rows > 0).long() @ self.powers

    def _decode(self, indices: Tensor) -> Tensor:
        bits = indices.unsqueeze(-1) // self.powers % 2
        return 2.0 * bits - 1.0


def _joint(p: Tensor) -> Tensor:
    """Probabilities (n, 2**b) of all values of independent bits that are 1 with probability `p` (n, b)."""
    joint = torch.ones_like(p[:, :1])
    for column in p.split(1, dim=1):
        joint = torch.cat([joint * (1 - column), joint * column], 1)
    return joint
