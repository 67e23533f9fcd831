"""The demo: real vectors, several quantizers, one table; `run` is what ``codeword demo`` calls."""

from codeword.demo.run import run as run
