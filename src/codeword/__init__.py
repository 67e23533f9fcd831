"""Vector quantization: learn a codebook, replace vectors by short codes, search and decode the codes."""

__version__ = "0.1.0"
