"""Nearest of 1,024 codewords for rows of a width, against the float32 matrix product of the same size: 2 n k d operations each.

The rows of a width are the first columns of the rows of minilm-wordnet, wider ones are colour patches of kodak.
"""

from __future__ import annotations

import os
from typing import Any

from common import Contender, data_folder, rows

TITLE = "assign rows of a width to 1,024 codewords"
DATA = ("16", "64", "128", "256", "384", "768", "1536", "3072")
K = 1024
OPERATIONS = 3e10
# Height and width of the patches of a width.
PATCHES = {768: (16, 16), 1536: (16, 32), 3072: (32, 32)}


def load(dataset: str, quick: bool) -> dict[str, Any]:
    import numpy as np

    d = int(dataset)
    n = min(30_000, int(OPERATIONS / (10 if quick else 2) / (K * d)) // 64 * 64)
    X = rows("minilm-wordnet", False)[:, :d] if d <= 384 else patches(*PATCHES[d])
    X = X[np.random.default_rng(0).permutation(len(X))[: n + K]]
    return {"X": np.ascontiguousarray(X[:n]), "codebook": np.ascontiguousarray(X[n:])}


def patches(height: int, width: int) -> Any:
    """All patches of the photographs, half a patch apart, of three colours."""
    import numpy as np
    from PIL import Image

    blocks = []
    for path in sorted((data_folder() / "kodak").glob("*.png")):
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(Image.open(path), np.float32), (height, width, 3))
        blocks.append(windows[:: height // 2, :: width // 2].reshape(-1, height * width * 3))
    return np.concatenate(blocks)


def judge(data: dict[str, Any], _: Any) -> dict[str, float]:
    return {"Gop": 2e-9 * data["X"].size * K}


def codeword(isa: str) -> Any:
    def prepare(data: dict[str, Any], threads: int) -> Any:
        os.environ["CODEWORD_ISA"] = isa
        import codeword as cw
        from codeword.training.nearest import nearest, pack

        cw.set_threads(threads)
        packed, d = pack([data["codebook"]]), data["X"].shape[1]
        return lambda: nearest(data["X"], packed, 2 * K * d)

    return prepare


def product(data: dict[str, Any], threads: int) -> Any:
    import numpy as np

    out, transposed = np.empty((len(data["X"]), K), np.float32), data["codebook"].T
    return lambda: np.matmul(data["X"], transposed, out=out)


def faiss(data: dict[str, Any], threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(data["X"].shape[1])
    index.add(data["codebook"])
    return lambda: index.search(data["X"], 1)[1]


def contenders() -> list[Contender]:
    return [
        Contender("codeword", codeword(""), judge, ours=True),
        Contender("float32 matrix product", product, judge),
        Contender("faiss IndexFlatL2", faiss, judge),
    ]
