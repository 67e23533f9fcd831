"""SimVQ: a fixed codebook seen through one learned linear map, which moves all codewords at once, so none is left behind.

    C (k, d) fixed, W (d, d) and b (d,) learned: codewords C Wᵀ + b;  x (n, d) --nearest--> indices (n,) --> quantized (n, d)

Source: Zhu et al. 2024, "Addressing representation collapse in vector quantized models with one linear layer", where C is random and b
zero. Codewords of the first batch's own scale and place are what keeps it from collapsing before the map has moved.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from codeword import checks
from codeword.torch import export, gradient, sync
from codeword.torch.codebook import first_codewords
from codeword.torch.layer import Layer, Rows
from codeword.torch.nearest import nearest
from codeword.torch.usage import Float32Module, UsageMeter, count
from codeword.torch.vector import codebook_loss, default_commitment

LARGEST_K = 1 << 24
_COMMITMENT = 0.25


class Map(Float32Module):
    """The fixed codewords and the learned affine map."""

    fixed: Tensor
    started: Tensor

    def __init__(self, d: int, k: int, kmeans: bool) -> None:
        super().__init__()
        self.register_buffer("fixed", torch.randn(k, d) / d**0.5)
        self.register_buffer("started", torch.tensor(not kmeans))
        self.weight = nn.Parameter(torch.eye(d))
        self.bias = nn.Parameter(torch.zeros(d))

    def forward(self) -> Tensor:
        return torch.nn.functional.linear(self.fixed, self.weight, self.bias)


class SimVQ(Layer):
    """k codewords that a linear map of a fixed codebook makes: the optimizer moves the map.

    Parameters
    ----------
    d, k : int
        Width of a vector; codewords.
    grad : {"ste", "rotation", "nsvq", "diveq"}
        How gradients pass the choice of a codeword, see `codeword.torch.gradient`.
    commitment : float, optional
        Weight of ``mean((x - codeword)²)`` with a gradient to x: 0.25, or 0 with `"nsvq"` or `"diveq"`.
    kmeans : bool
        Take the fixed codewords from k-means on the first batch in training mode, instead of drawing them.
    sync : bool
        Count the usage of all processes of `torch.distributed` while training.
    dim : int
        Which dimension of x holds vectors.

    Examples
    --------
    >>> import torch
    >>> from codeword.torch import SimVQ
    >>> out = SimVQ(16, 64)(torch.randn(8, 100, 16))
    >>> out.loss.requires_grad, out.indices.shape
    (True, torch.Size([8, 100]))
    """

    def __init__(
        self,
        d: int,
        k: int,
        *,
        grad: str = "rotation",
        commitment: float | None = None,
        kmeans: bool = True,
        sync: bool = True,
        dim: int = -1,
    ) -> None:
        super().__init__(d, dim)
        self.k = checks.integer(k, "k", 1, LARGEST_K)
        self.grad = gradient.check(grad)
        self.commitment = default_commitment(commitment, "gradient", grad, _COMMITMENT)
        self.sync = checks.flag(sync, "sync")
        self.map = Map(d, k, checks.flag(kmeans, "kmeans"))
        self._ready = not kmeans
        self.register_load_state_dict_post_hook(_refresh)
        self.meters = nn.ModuleList([UsageMeter(k)])

    def codewords(self) -> Tensor:
        """The codebook (k, d) as it is now, with a gradient to the map."""
        made: Tensor = self.map()
        return made

    def start(self, x: Tensor) -> None:
        """Take codewords from k-means on the vectors of `x`, those of all processes; the map goes back to doing nothing."""
        self._start(self._moved(x).reshape(-1, self.d))

    @torch.compiler.disable
    @torch.no_grad()
    def _start(self, rows: Tensor) -> None:
        found = first_codewords(rows, self.k, self.sync)
        if found is None:
            return
        words, _ = found
        self.map.fixed[: len(words)] = words
        self.map.weight.copy_(torch.eye(self.d))
        self.map.bias.zero_()
        self.map.started.fill_(True)
        self._ready = True

    def to_quantizer(self) -> Any:
        """A fitted `codeword.VectorQuantizer` with the codewords as they are now."""
        return export.vector(self.codewords(), cosine=False)

    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        if not self._ready and self.training:
            self._start(rows if mask is None else rows[mask])
        words = self.codewords()
        labels, squares = nearest(rows, words)
        chosen = torch.nn.functional.embedding(labels, words)
        loss = codebook_loss(rows, chosen, squares, mask, self.commitment, "gradient", self.grad)
        counts = count(labels if mask is None else torch.where(mask, labels, self.k), self.k)
        if self.sync and self.training:
            (counts,) = sync.summed([counts])
        (meter,) = self.meters
        out = gradient.passed(rows, chosen, self.grad, self.training)
        return Rows(out, labels, loss, *meter.add(counts))

    def _encode(self, rows: Tensor) -> Tensor:
        return nearest(rows, self.codewords())[0]

    def _decode(self, indices: Tensor) -> Tensor:
        return torch.nn.functional.embedding(indices, self.codewords())


def _refresh(module: Any, incompatible: Any) -> None:
    module._ready = bool(module.map.started)
