"""Whether segments come back when customers are resampled: all of them together, and each by itself.

Sources: Hubert & Arabie 1985 (adjusted Rand index); Hennig 2007, "Cluster-wise assessment of cluster stability" (Jaccard similarity of
a cluster with the nearest one of a bootstrap sample; from 0.75 on it is one).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from codeword import keys
from codeword.cluster.kmeans import KMeans

SOLID = 0.75
"""Jaccard similarity from which on a segment counts as one that is there."""
_SAMPLE, _RESAMPLE = 631, 632
_MOST_ROWS = 10_000
_RESAMPLES = 20


def measure(
    rows: NDArray[np.float32], labels: NDArray[np.int32], k: int, starts: int, seed: int
) -> tuple[float, NDArray[np.float64]]:
    """How well clusters are found again in bootstrap samples of the customers.

    Parameters
    ----------
    rows : ndarray (n, d) float32
        Scaled customers; of more than 10,000 so many are drawn.
    labels : ndarray (n,) int32
        Their segments, 0 to k - 1.
    starts : int
        Candidates of a clustering (`n_init`).

    Returns
    -------
    together : float
        Mean adjusted Rand index, 1 for the same segments, 0 for chance.
    each : ndarray (k,) float64
        Mean Jaccard similarity of each segment with its nearest, 0 to 1.
    """
    chosen = keys.sample(seed, _SAMPLE, len(rows), _MOST_ROWS)
    rows, labels = np.ascontiguousarray(rows[chosen]), labels[chosen]
    n, together, each = len(rows), 0.0, np.zeros(k)
    for i in range(_RESAMPLES):
        drawn = (keys.bits64(seed, _RESAMPLE, i * n + np.arange(n)) % np.uint64(n)).astype(np.int64)
        counts = np.bincount(drawn, minlength=n)
        made = KMeans(k, n_init=starts, random_state=i).fit(rows[counts > 0], sample_weight=counts[counts > 0])
        found = made.predict(rows)
        together += adjusted_rand_score(labels, found)
        each += _jaccard(labels, found, k)
    return float(together / _RESAMPLES), each / _RESAMPLES


def _jaccard(labels: NDArray[np.int32], found: NDArray[np.int32], k: int) -> NDArray[np.float64]:
    """Of each segment (k,), the similarity of the cluster that is most like it; 0 for a segment that nobody drawn is in."""
    both = contingency_matrix(labels, found)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None] - both
    out = np.zeros(k)
    out[np.unique(labels)] = (both / either).max(axis=1)
    return out
