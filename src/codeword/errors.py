"""The package's own exceptions; everything else is a plain ValueError or TypeError."""

from __future__ import annotations


class NotFittedError(ValueError, AttributeError):
    """A fitted object was needed; call `fit` (or `load`) first."""


class FormatError(ValueError):
    """A file is damaged, hostile, or of a format version that this release cannot read."""


class UnknownQuantizerError(ValueError):
    """No class is registered under the id that a file or a configuration names."""
