"""VectorQuantize: every vector of a network becomes the nearest of k codewords, which are learned along with the network.

    x (n, d) --argmin |x - c|²--> indices (n,) --codebook--> quantized (n, d), gradient to x by one of four estimators

Source: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural discrete representation learning"; for the rest see `codebook`, `gradient`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from codeword import checks
from codeword.torch import export, gradient
from codeword.torch.codebook import Codebook, unit
from codeword.torch.layer import Layer, Rows, shares

# Weight of the commitment loss (van den Oord et al. 2017 found 0.1 to 2 alike).
COMMITMENT = 1.0


class VectorQuantize(Layer):
    """One codebook, trained with the network around it.

    Parameters
    ----------
    d, k : int
        Width of a vector; codewords.
    learn : {"ema", "gradient"}
        Codewords are moving averages of their vectors, or parameters for the optimizer.
    grad : {"ste", "rotation", "nsvq", "diveq"}
        How gradients pass the choice of a codeword, see `codeword.torch.gradient`.
    cosine : bool
        Compare directions: vectors and codewords are scaled to unit length.
    commitment : float, optional
        Weight of ``mean((x - codeword)²)`` in the loss; 1, or 0 where the estimator trains both sides by itself
        (`learn="gradient"` with `"nsvq"` or `"diveq"`).
    decay : float
        Of the moving averages.
    kmeans : bool
        Start from k-means on the first batch in training mode.
    revive : float
        A codeword used less than this share of the average is moved to a vector of the batch, drawn by its distance to its codeword;
        0: never.
    sync : bool
        Learn from the batches of all processes of `torch.distributed`, if there are any: their codebooks stay equal bit for bit.
    dim : int
        Which dimension holds vectors: -1, or 1 for feature maps (b, d, h, w).

    Examples
    --------
    >>> import torch
    >>> from codeword.torch import VectorQuantize
    >>> _ = torch.manual_seed(0)
    >>> vq = VectorQuantize(16, 64)
    >>> out = vq(torch.randn(8, 100, 16))
    >>> out.quantized.shape, out.indices.shape, bool(out.perplexity > 40)
    (torch.Size([8, 100, 16]), torch.Size([8, 100]), True)
    >>> codec = vq.to_quantizer()
    >>> codec.encode(torch.randn(5, 16)).shape
    (5, 1)
    """

    def __init__(
        self,
        d: int,
        k: int,
        *,
        learn: str = "ema",
        grad: str = "ste",
        cosine: bool = False,
        commitment: float | None = None,
        decay: float = 0.9,
        kmeans: bool = True,
        revive: float = 0.5,
        sync: bool = True,
        dim: int = -1,
    ) -> None:
        super().__init__(d, dim)
        self.grad = gradient.check(grad)
        self.codebook = Codebook(d, k, learn=learn, cosine=cosine, decay=decay, kmeans=kmeans, revive=revive, sync=sync)
        self.meters = nn.ModuleList([self.codebook.meter])
        self.commitment = default_commitment(commitment, learn, grad)

    def start(self, x: Tensor) -> None:
        """Set the codewords by k-means on the vectors of `x` now, rather than on the first batch."""
        self.codebook.start(self._ready(self._moved(x).reshape(-1, self.d).float()))

    def to_quantizer(self) -> Any:
        """A fitted `codeword.VectorQuantizer` with this codebook (behind a `codeword.Normalize` for `cosine`)."""
        return export.vector(self.codebook.vectors(), self.codebook.cosine)

    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        rows = self._ready(rows)
        labels, squares = self.codebook.find(rows, mask)
        words = self.codebook.vectors(labels)
        loss = codebook_loss(rows, words, squares, mask, self.commitment, self.codebook.learn, self.grad)
        out = gradient.passed(rows, words, self.grad, self.training)
        return Rows(out, labels, loss, *self.codebook.update(rows, labels, squares, mask))

    def _encode(self, rows: Tensor) -> Tensor:
        return self.codebook.find(self._ready(rows))[0]

    def _decode(self, indices: Tensor) -> Tensor:
        return self.codebook.vectors(indices)

    def _ready(self, rows: Tensor) -> Tensor:
        return unit(rows) if self.codebook.cosine else rows


def default_commitment(commitment: float | None, learn: str, grad: str, usual: float = COMMITMENT) -> float:
    """The checked weight of the commitment loss: `usual`, or none where the estimator trains both sides."""
    if commitment is None:
        return 0.0 if learn == "gradient" and gradient.trains_codebook(grad) else usual
    return checks.real(commitment, "commitment", 0.0, 1e6)


def codebook_loss(
    rows: Tensor, words: Tensor, squares: Tensor, mask: Tensor | None, commitment: float, learn: str, grad: str
) -> Tensor:
    """Commitment of rows (n, d) to their `words`, plus what teaches the words where neither averages nor the estimator do."""
    share = shares(len(rows), mask, squares)
    loss = commitment * gradient.commitment(rows, words, squares, share)
    if learn == "gradient" and not gradient.trains_codebook(grad):
        loss = loss + gradient.commitment(words, rows, squares, share)
    return loss
