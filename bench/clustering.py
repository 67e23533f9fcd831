"""KMeans beside scikit-learn's, in turns on one core: CPU seconds and inertia, seed by seed: `python bench/clustering.py`.

Both with their defaults but the number of clusters and the seed. Ratios are of neighbours in time; a set is `name:k`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from common import THREAD_VARIABLES, data_folder, rows

SETS = (
    "minilm:64",
    "minilm:256",
    "mnist:10",
    "mnist:64",
    "satellite:8",
    "satellite:64",
    "shuttle:8",
    "shuttle:64",
    "blobs:20",
    "blobs:100",
)
MOST_ROWS = 20_000


def load(name: str, k: int, limit: int) -> Any:
    """At most `limit` rows of a set."""
    import numpy as np

    if name == "blobs":
        from sklearn.datasets import make_blobs

        return make_blobs(limit, 16, centers=k, random_state=0)[0]
    if name in ("minilm", "mnist"):
        return rows({"minilm": "minilm-wordnet", "mnist": "mnist784"}[name], False)[:limit]
    X = np.load(data_folder() / "adbench" / f"{name}.npz")["X"].astype(np.float64)[:limit]
    X = X[:, X.std(0) > 0]
    return (X - X.mean(0)) / X.std(0)


def compare(X: Any, k: int, seeds: int) -> Any:
    """(seeds, 2, 3): CPU seconds, inertia and passes of scikit-learn's and ours."""
    import numpy as np
    from sklearn.cluster import KMeans as Theirs

    from codeword.cluster import KMeans

    out = np.empty((seeds, 2, 3))
    for seed in range(seeds):
        for i, Estimator in enumerate((Theirs, KMeans)):
            start = time.process_time()
            made = Estimator(k, random_state=seed).fit(X)
            out[seed, i] = time.process_time() - start, made.inertia_, made.n_iter_
    return out


def main() -> None:
    """Parse the command line and run."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="NAME:K", help="minilm, mnist, blobs, or a set of adbench")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=MOST_ROWS)
    given = parser.parse_args()
    print(f"{'set':14}{'rows':>18} {'scikit-learn':>13} {'ours':>9} {'faster':>7}  inertia, ours over theirs: mean, each seed")
    for name in given.sets:
        word, _, k = name.partition(":")
        X = load(word, int(k), given.rows)
        A = compare(X, int(k), given.seeds)
        ratio = A[:, 1, 1] / A[:, 0, 1]
        shape = f"{X.shape[0]} x {X.shape[1]} {X.dtype.str[1:]}"
        print(
            f"{name:14}{shape:>18} {np.median(A[:, 0, 0]):11.3f} s {np.median(A[:, 1, 0]):7.3f} s "
            f"{np.median(A[:, 0, 0] / A[:, 1, 0]):6.2f}x  {A[:, 1, 1].mean() / A[:, 0, 1].mean():.4f}: "
            + " ".join(f"{r:.4f}" for r in ratio),
            flush=True,
        )


if __name__ == "__main__":
    import os
    import warnings

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    warnings.filterwarnings("ignore")
    main()
