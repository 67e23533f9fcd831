"""Grow a real set of vectors to any size while its local structure stays real.

    python bench/grow.py sift-kodak big.npy --rows 1000000 [--seed 1] [--normalize]

A new row is a + t (b - a) + (c - e) / 4, where a and b are near neighbours, c and e another pair of near neighbours, t uniform in
[0, 1): a point between neighbours plus a small real difference. Nothing is drawn from a Gaussian of the data's own covariance, which
is the model that transform codes assume. The same arguments give the same bytes; their sha256 is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import rows

NEIGHBOURS = 8
BLOCK = 65_536


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="name of a data set")
    parser.add_argument("out", help="file to write (.npy)")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--normalize", action="store_true", help="rows of length 1")
    options = parser.parse_args()
    digest = write(rows(options.source, False), Path(options.out), options.rows, options.seed, options.normalize)
    print(f"{options.out}: {options.rows} rows grown from {options.source}, sha256 {digest}")


def grown(source: str, n: int) -> Any:
    """Rows (n, d) float32 grown from a data set, kept in the folder for temporary files from one run to the next."""
    path = Path(tempfile.gettempdir()) / f"codeword-bench-{source}-{n}.npy"
    if not path.exists():
        partial = path.with_suffix(".partial.npy")
        write(rows(source, False), partial, n, 1, False)
        partial.rename(path)
    return np.load(path)


def write(X: Any, path: Path, n: int, seed: int, normalize: bool) -> str:
    """Write n rows grown from X (m, d), a block at a time; the sha256 of the rows."""
    near = neighbours(X)
    rng = np.random.default_rng(seed)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, X.shape[1]))
    digest = hashlib.sha256()
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        a, c = rng.integers(0, len(X), (2, size))
        b, e = (near[i, rng.integers(0, NEIGHBOURS, size)] for i in (a, c))
        t = rng.random((size, 1), dtype=np.float32)
        block = X[a] + t * (X[b] - X[a]) + (X[c] - X[e]) / 4
        if normalize:
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        out[start : start + size] = block
        digest.update(np.ascontiguousarray(block, np.float32).tobytes())
    out.flush()
    return digest.hexdigest()


def neighbours(X: Any) -> Any:
    """The nearest NEIGHBOURS other rows of each row (n, NEIGHBOURS)."""
    from codeword.exact import exact_search

    found = exact_search(X, X, NEIGHBOURS + 1)[0]
    found[found == np.arange(len(X))[:, None]] = -1  # of equal rows another may come first, and the row itself be missing
    return np.take_along_axis(found, np.argsort(found < 0, axis=1, kind="stable"), 1)[:, :NEIGHBOURS]


if __name__ == "__main__":
    main()
