"""`assign_width` with the kernels that a machine without AVX-512 runs, ours and those of the matrix product."""

from __future__ import annotations

from common import Contender

from questions.assign_width import DATA, codeword, judge, load, product

__all__ = ["DATA", "TITLE", "contenders", "load"]
TITLE = "assign rows of a width to 1,024 codewords, AVX2 only"
AVX2 = "HASWELL"


def contenders() -> list[Contender]:
    return [
        Contender("codeword", codeword("avx2"), judge, ours=True),
        Contender("float32 matrix product", product, judge, profile=AVX2),
    ]
