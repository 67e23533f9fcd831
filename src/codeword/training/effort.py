"""How hard to train, in words, and what each word means in numbers."""

from __future__ import annotations

from typing import NamedTuple

WORDS = ("fast", "default", "best")


class Effort(NamedTuple):
    """What a word stands for."""

    passes: float
    """Most passes, as a multiple of the quantizer's own number."""
    tol: float
    """Training ends when a pass gains at most this share."""
    seed_rows: int
    """Rows a codeword that the first codebook is drawn from."""
    most_rows: int | None
    """Rows a codeword that are trained on, at most; None: all rows."""
    loss: float
    """Largest loss of a hierarchical assignment."""


EFFORTS = {
    "fast": Effort(0.5, 1e-3, 8, 128, 0.01),
    "default": Effort(1.0, 1e-4, 16, None, 0.01),
    "best": Effort(3.0, 1e-6, 64, None, 0.001),
}
