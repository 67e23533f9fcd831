"""The package's own exceptions; everything else is a plain ValueError or TypeError."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeword.choice.frontier import Frontier


class NotFittedError(ValueError, AttributeError):
    """A fitted object was needed; call `fit` (or `load`) first."""


class FormatError(ValueError):
    """A file is damaged, hostile, or of a format version that this release cannot read."""


class UnknownQuantizerError(ValueError):
    """No class is registered under the id that a file or a configuration names."""


class TargetNotMetError(ValueError):
    """No candidate of `codeword.auto` has what was asked for; the message names the nearest, `frontier` has all figures."""

    def __init__(self, message: str, frontier: Frontier) -> None:
        super().__init__(message)
        self.frontier = frontier
