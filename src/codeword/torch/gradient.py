"""How a gradient passes the hard choice of a codeword: x (n, d), its codewords q (n, d) --> what the decoder sees (n, d).

| word         | forward                      | gradient                                                                        |
|--------------|------------------------------|---------------------------------------------------------------------------------|
| `"ste"`      | q                            | to x as it comes (Bengio et al. 2013; van den Oord et al. 2017)                 |
| `"rotation"` | q                            | to x, turned and scaled as x was to become q (Fifty et al. 2024)                |
| `"nsvq"`     | x plus noise as long as q - x | to x, and to q through that length (Vali & Bäckström 2022)                      |
| `"diveq"`    | x plus nearly q - x          | the same, in the direction of q - x (Vali, Bäckström & Solin 2025)              |

The last two train the codebook through the decoder, without a loss of its own. In evaluation all of them give q itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from codeword import checks

GRADIENTS = ("ste", "rotation", "nsvq", "diveq")
# Variance of DiVeQ's noise, in units of the squared error of a row: small, so that the output is nearly the codeword.
_DIVEQ_VARIANCE = 1e-3
_TINY = 1e-12
# 1 + cosine below which two vectors count as opposite.
_OPPOSITE = 1e-4


def trains_codebook(grad: str) -> bool:
    """Whether the gradient of the decoder reaches the codebook."""
    return grad in ("nsvq", "diveq")


def check(grad: Any) -> str:
    """One of `GRADIENTS`, or a ValueError."""
    return checks.choice(grad, "grad", GRADIENTS)


def passed(x: Tensor, q: Tensor, grad: str, training: bool) -> Tensor:
    """What goes on to the decoder.

    Parameters
    ----------
    x : Tensor (n, d)
        Output of the encoder.
    q : Tensor (n, d)
        Its codewords, with a gradient of their own for `"nsvq"` and `"diveq"`.
    grad : str
        One of `GRADIENTS`.
    training : bool
        False: the codewords themselves, gradients straight through (turned, for `"rotation"`).

    Examples
    --------
    >>> x = torch.tensor([[3.0, 0.0]], requires_grad=True)
    >>> passed(x, torch.tensor([[0.0, 6.0]]), "rotation", True).backward(torch.tensor([[0.0, 1.0]]))
    >>> torch.allclose(x.grad, torch.tensor([[2.0, 0.0]]), atol=1e-6)  # twice as long, and turned back by a quarter
    True
    """
    if grad == "rotation":
        return _Rotation.apply(x, q.detach())
    if grad == "ste" or not training:
        return _StraightThrough.apply(x, q.detach())
    error = q - x
    length = torch.linalg.vector_norm(error, dim=-1, keepdim=True)
    with torch.no_grad():
        noise = torch.randn_like(x)
        if grad == "diveq":
            noise = error + noise * (_DIVEQ_VARIANCE**0.5 / x.shape[-1] ** 0.5) * length
        direction = noise / torch.linalg.vector_norm(noise, dim=-1, keepdim=True).clamp_min(_TINY)
    return x + length * direction


class _StraightThrough(torch.autograd.Function):
    """q forward, the gradient unchanged to x: as x + (q - x), without the rounding of that sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, q: Tensor) -> Tensor:
        return q.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Rotation(torch.autograd.Function):
    """q forward; backward the transpose of s R, where R turns x / |x| into q / |q| in their plane and s = |q| / |x|.

    With unit vectors e, f along x and q, Rᵀ g = g - t (e + f) + 2 <f, g> e with t = <e + f, g> / (1 + <e, f>). Where a length is
    zero or the two are opposite no such plane exists, and the gradient goes straight through.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, q: Tensor) -> Tensor:
        ctx.save_for_backward(x, q)
        return q.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (g,) = gradients
        x, q = ctx.saved_tensors
        length_x = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(_TINY)
        length_q = torch.linalg.vector_norm(q, dim=-1, keepdim=True).clamp_min(_TINY)
        cosine = _dots(x, q) / (length_x * length_q)
        along_x, along_q = _dots(x, g) / length_x, _dots(q, g) / length_q
        plane = (1 + cosine > _OPPOSITE) & (length_x > _TINY) & (length_q > _TINY)
        t = (along_x + along_q) / (1 + cosine).clamp_min(_OPPOSITE)
        scale = torch.where(plane, length_q / length_x, 1.0)
        to_x = torch.where(plane, 2 * along_q - t, 0.0) / length_x
        to_q = torch.where(plane, -t, 0.0) / length_q
        return scale * torch.addcmul(torch.addcmul(g, x, to_x), q, to_q), None


def _dots(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a, b).unsqueeze(-1)


class _Commitment(torch.autograd.Function):
    """Mean of squared distances that are known already; backward the gradient of that mean to x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, q: Tensor, squares: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(x, q, share)
        return torch.dot(squares, share) / x.shape[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        x, q, share = ctx.saved_tensors
        return (x - q) * (share * (2.0 / x.shape[-1]) * gradients[0]).unsqueeze(-1), None, None, None


def commitment(x: Tensor, q: Tensor, squares: Tensor, share: Tensor) -> Tensor:
    """The mean over dimensions of ``|x - q|²``, rows weighted by `share`, with a gradient to x alone.

    Parameters
    ----------
    x, q : Tensor (n, d)
    squares : Tensor (n,)
        Squared distances between their rows, which the search knows.
    share : Tensor (n,)
        Weight of each row: 1 / n for a plain mean.
    """
    return _Commitment.apply(x, q.detach(), squares, share)
