"""ResidualVQ: stages of codebooks, each for what those before it have left; GroupedResidualVQ: one for each part of a vector.

    x (n, d) --stage 1--> c_1 --x - c_1: stage 2--> c_2 ... --> indices (n, m), quantized = c_1 + ... + c_m

Sources: Zeghidour et al. 2021, "SoundStream" (stages, dropout); Kumar et al. 2023 (dropout a vector at a time); Yang et al. 2023,
"HiFi-Codec" (groups). The gradient passes the sum once: passed on by every stage it would arrive m times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codeword import checks
from codeword.torch import export, gradient
from codeword.torch.codebook import Codebook
from codeword.torch.layer import Layer, Rows
from codeword.torch.vector import codebook_loss, default_commitment

LARGEST_M = 1024


class ResidualVQ(Layer):
    """m codebooks of k codewords; a vector is the sum of one of each.

    Parameters
    ----------
    d, k, m : int
        Width of a vector; codewords of a stage; stages.
    dropout : float
        Share of the vectors that, in training, use only the first 1 to m stages (drawn for each), so that a prefix of
        the indices is a code too.
    learn, grad, commitment, decay, kmeans, revive, sync, dim
        As of `codeword.torch.VectorQuantize`.

    Examples
    --------
    >>> import torch
    >>> from codeword.torch import ResidualVQ
    >>> _ = torch.manual_seed(0)
    >>> rvq = ResidualVQ(16, 32, m=3)
    >>> out = rvq(torch.randn(8, 100, 16))
    >>> out.indices.shape, out.perplexity.shape
    (torch.Size([8, 100, 3]), torch.Size([3]))
    >>> rvq.decode(out.indices[..., :2]).shape       # the first two stages alone
    torch.Size([8, 100, 16])
    """

    def __init__(
        self,
        d: int,
        k: int,
        m: int,
        *,
        dropout: float = 0.0,
        learn: str = "ema",
        grad: str = "ste",
        commitment: float | None = None,
        decay: float = 0.9,
        kmeans: bool = True,
        revive: float = 0.5,
        sync: bool = True,
        dim: int = -1,
    ) -> None:
        super().__init__(d, dim)
        self.m = checks.integer(m, "m", 1, LARGEST_M)
        self.dropout = checks.real(dropout, "dropout", 0.0, 1.0)
        self.grad = gradient.check(grad)
        self.learn = learn
        self.commitment = default_commitment(commitment, learn, grad)
        self.codebooks = nn.ModuleList(
            Codebook(d, k, learn=learn, cosine=False, decay=decay, kmeans=kmeans, revive=revive, sync=sync) for _ in range(m)
        )
        self.meters = nn.ModuleList(c.meter for c in self._books)

    @property
    def _books(self) -> list[Codebook]:
        return list(self.codebooks)

    @property
    def _index_shape(self) -> tuple[int, ...]:
        return (self.m,)

    def start(self, x: Tensor) -> None:
        """Set the codewords of one stage after the other by k-means on the vectors of `x`."""
        rows = self._moved(x).detach().reshape(-1, self.d).float()
        for book in self._books:
            book.start(rows)
            rows = rows - book.vectors(book.find(rows)[0]).detach()

    def decode(self, indices: Tensor) -> Tensor:
        """Vectors of indices (..., m), or of those of the first stages alone (..., fewer)."""
        stages = checks.integer(indices.shape[-1], "indices: stages", 1, self.m)
        vectors = self._decode(indices.reshape(-1, stages))
        return vectors.view(*indices.shape[:-1], self.d).movedim(-1, self.dim)

    def to_quantizer(self, beam: int | None = None) -> Any:
        """`codeword.Stages` of the codebooks, whose codes are the layer's indices.

        With a `beam`, a `codeword.ResidualQuantizer` that searches so many paths (k a power of two): less distortion, other codes.
        """
        books = [export.array(b.vectors()) for b in self._books]
        return export.stages(books) if beam is None else export.residual(books, beam)

    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        used = self._used(rows)
        left, total = rows, torch.zeros_like(rows)
        indices, losses, figures = [], [], []
        for stage, book in enumerate(self._books):
            counted = mask if used is None else (used > stage if mask is None else (used > stage) & mask)
            labels, squares = book.find(left, counted)
            words = book.vectors(labels)
            losses.append(codebook_loss(left, words, squares, counted, self.commitment, self.learn, self.grad))
            figures.append(book.update(left, labels, squares, counted))
            indices.append(labels)
            total = total + (words if used is None else words * (used > stage).unsqueeze(1))
            left = left - words.detach()
        out = gradient.passed(rows, total, self.grad, self.training)
        perplexity, usage = (torch.stack(list(f)) for f in zip(*figures, strict=True))
        return Rows(out, torch.stack(indices, 1), torch.stack(losses).mean(), perplexity, usage)

    def _used(self, rows: Tensor) -> Tensor | None:
        """How many stages each row uses (n,), or None: all."""
        if not self.training or self.dropout == 0 or self.m == 1:
            return None
        some = torch.randint(1, self.m + 1, (len(rows),), device=rows.device)
        dropped = torch.rand(len(rows), device=rows.device) < self.dropout
        return torch.where(dropped, some, self.m)

    def _encode(self, rows: Tensor) -> Tensor:
        indices = []
        for book in self._books:
            indices.append(book.find(rows)[0])
            rows = rows - book.vectors(indices[-1])
        return torch.stack(indices, 1)

    def _decode(self, indices: Tensor) -> Tensor:
        total = self._books[0].vectors(indices[:, 0])
        for book, column in zip(self._books[1:], indices.unbind(1)[1:], strict=False):
            total = total + book.vectors(column)
        return total


class GroupedResidualVQ(Layer):
    """A vector's d numbers in equal parts, each with a `ResidualVQ` of its own.

    Parameters
    ----------
    d, k, m : int
        Width of a vector, a multiple of `groups`; codewords of a stage; stages.
    groups : int
        Parts of a vector; with m = 1 this is a product quantizer.
    options
        As of `ResidualVQ`.

    Examples
    --------
    >>> import torch
    >>> from codeword.torch import GroupedResidualVQ
    >>> out = GroupedResidualVQ(16, 32, m=2, groups=4)(torch.randn(8, 100, 16))
    >>> out.indices.shape
    torch.Size([8, 100, 4, 2])
    """

    def __init__(self, d: int, k: int, m: int, groups: int, *, dim: int = -1, **options: Any) -> None:
        super().__init__(d, dim)
        self.groups = checks.integer(groups, "groups", 1, d)
        if d % groups:
            raise ValueError(f"groups: expected a divisor of d = {d}, got {groups}")
        self.parts = nn.ModuleList(ResidualVQ(d // groups, k, m, **options) for _ in range(groups))
        self.meters = nn.ModuleList(meter for part in self._parts for meter in part.meters)
        self.m = m

    @property
    def _parts(self) -> list[ResidualVQ]:
        return list(self.parts)

    @property
    def _index_shape(self) -> tuple[int, ...]:
        return (self.groups, self.m)

    def start(self, x: Tensor) -> None:
        """Set the codewords of all parts by k-means on the vectors of `x`."""
        for part, rows in zip(self._parts, self._split(self._moved(x).reshape(-1, self.d)), strict=True):
            part.start(rows)

    def to_quantizer(self) -> Any:
        """`codeword.Stages` of the parts' codebooks, each filled up with zeros in the other parts."""
        return export.stages(_padded([part._books for part in self._parts], self.d))

    def _split(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(self.d // self.groups, dim=1)

    def _forward(self, rows: Tensor, mask: Tensor | None) -> Rows:
        made = [part._forward(piece, mask) for part, piece in zip(self._parts, self._split(rows), strict=True)]
        return Rows(
            torch.cat([m.quantized for m in made], 1),
            torch.stack([m.indices for m in made], 1),
            torch.stack([m.loss for m in made]).mean(),
            torch.stack([m.perplexity for m in made]),
            torch.stack([m.usage for m in made]),
        )

    def _encode(self, rows: Tensor) -> Tensor:
        return torch.stack([part._encode(piece) for part, piece in zip(self._parts, self._split(rows), strict=True)], 1)

    def _decode(self, indices: Tensor) -> Tensor:
        return torch.cat([part._decode(column) for part, column in zip(self._parts, indices.unbind(1), strict=True)], 1)


def _padded(parts: list[list[Codebook]], d: int) -> list[NDArray[np.float32]]:
    """Codebooks of parts side by side as codebooks (k, d) of whole rows, zero elsewhere, in the order of the layer's indices."""
    codebooks, start = [], 0
    for books in parts:
        for book in books:
            words = np.zeros((book.k, d), np.float32)
            words[:, start : start + book.d] = export.array(book.vectors())
            codebooks.append(words)
        start += books[0].d
    return codebooks
