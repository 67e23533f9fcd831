"""How many clusters: four criteria on the same clusterings, a vote, how far to trust it, and a picture.

    rows (n, d) --k-means for each k--> distortion, silhouette, gap, stability --a vote each--> k, confidence

Sources: Rousseeuw 1987 (silhouettes); Tibshirani, Walther & Hastie 2001, Dudoit & Fridlyand 2002 (gap statistic); Ben-Hur, Elisseeff & Guyon 2002 and Hennig
2007 (stability under resampling); Hubert & Arabie 1985 (adjusted Rand index).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.utils import check_array

from codeword import keys, runtime, svg
from codeword.cluster.estimator import seed_of, whole
from codeword.cluster.kmeans import KMeans

F64 = NDArray[np.float64]
CRITERIA = ("distortion", "silhouette", "gap", "stability")
STABLE = 0.9
"""Adjusted Rand index from which on clusters count as stable."""
_SAMPLE, _SILHOUETTE, _REFERENCE, _RESAMPLE = range(611, 615)
_SILHOUETTE_ROWS = 2048
# A silhouette below this is no structure worth the name (Kaufman & Rousseeuw 1990: 0.25), whatever k has the largest.
_NO_STRUCTURE = 0.25


@dataclass(frozen=True)
class Row:
    """What is known of one number of clusters."""

    k: int
    distortion: float
    """Mean squared distance to the centre."""
    silhouette: float
    """Mean silhouette width, -1 to 1; NaN for k = 1."""
    gap: float
    """Log distortion of rows without clusters, less that of these."""
    gap_error: float
    """Standard error of the gap."""
    stability: float
    """Mean adjusted Rand index of clusterings of resampled rows with that of the rows; NaN for k = 1."""


@dataclass(frozen=True)
class Choice:
    """A number of clusters and why."""

    k: int
    """The number that most criteria are for, of equals the one that stability is for, or the more stable one."""
    votes: dict[str, int]
    """What each of `CRITERIA` is for; 1 means that there are no clusters."""
    confidence: float
    """Share of the criteria that are for k, times the stability of the clusters, 0 to 1."""
    rows: tuple[Row, ...]
    """One for each k that was tried."""
    n: int
    """Rows that were clustered."""

    @property
    def stability(self) -> float:
        """Mean adjusted Rand index under resampling of the k chosen."""
        return next(row.stability for row in self.rows if row.k == self.k)

    @property
    def stable(self) -> bool:
        """Whether resampled rows give nearly the same clusters (`STABLE`)."""
        return self.stability >= STABLE

    @property
    def verdict(self) -> str:
        """The choice in a sentence."""
        agreed = [name for name, k in self.votes.items() if k == self.k]
        others = [f"{name} for {k}" for name, k in self.votes.items() if k != self.k]
        text = f"{self.k} clusters: {_joined(agreed)} {'is' if len(agreed) == 1 else 'are'} for it"
        text += f"; {_joined(others)}. " if others else ". "
        kind = "They are stable" if self.stable else "They are NOT stable"
        return text + f"{kind}: clusterings of resampled rows have an adjusted Rand index of {self.stability:.2f} with this one."

    def table(self) -> Any:
        """One row for each k that was tried, a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.rows]).set_index("k")

    def picture(self) -> str:
        """The four criteria by k, as inline SVG: `codeword.svg` has its style."""
        shown = []
        for name in CRITERIA:
            points = [(float(r.k), float(getattr(r, name))) for r in self.rows if np.isfinite(getattr(r, name))]
            shown.append(svg.lines([(f"{name}, for k = {self.votes[name]}", points)], x="clusters", y=name))
        return "".join(shown)

    def plot(self, axes: Any = None) -> Any:
        """Draw the four criteria by k on four Matplotlib axes (new ones by default), and return those."""
        import matplotlib.pyplot as plt

        if axes is None:
            _, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
        for name, ax in zip(CRITERIA, np.ravel(axes), strict=True):
            ax.plot([r.k for r in self.rows], [getattr(r, name) for r in self.rows], "o-")
            if name == "gap":
                ax.errorbar([r.k for r in self.rows], [r.gap for r in self.rows], [r.gap_error for r in self.rows], fmt="none")
            ax.axvline(self.votes[name], linestyle=":")
            ax.axvline(self.k, alpha=0.3, linewidth=6)
            ax.set(xlabel="clusters", ylabel=name)
        return axes


def choose_k(
    X: Any,
    k_max: int = 10,
    *,
    resamples: int = 20,
    references: int = 10,
    most_rows: int = 10_000,
    random_state: Any = None,
) -> Choice:
    """Choose the number of clusters of rows by four criteria together.

    Parameters
    ----------
    X : array_like (n, d)
        Scaled as they are to be clustered.
    k_max : int
        Numbers from 2 to this are tried; 1, no clusters, is what the gap statistic is compared with.
    resamples : int
        Bootstrap samples, of as many rows as there are, that stability is measured on.
    references : int
        Sets of rows without clusters (uniform in the box of the principal axes) that the gap statistic is measured against.
    most_rows : int
        Of more rows than this so many are drawn.
    random_state : int, RandomState or None

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        For fewer than ``2 * k_max`` rows, rows that are not finite numbers, or a bad parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from codeword.cluster import choose_k
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 100, axis=0)
    >>> choice = choose_k(X, 6, random_state=0)
    >>> choice.k, choice.stable
    (3, True)
    """
    A = check_array(X, dtype=[np.float64, np.float32], order="C")
    k_max = whole(k_max, "k_max", 2)
    resamples, references = whole(resamples, "resamples", 2), whole(references, "references", 2)
    most_rows = whole(most_rows, "most_rows", 2 * k_max)
    if len(A) < 2 * k_max:
        raise ValueError(f"X: expected at least 2 * k_max = {2 * k_max} rows, got {len(A)}")
    seed = seed_of(random_state)
    A = A[keys.sample(seed, _SAMPLE, len(A), most_rows)]
    study = _Study(A, seed, resamples, references)
    work = k_max * (1 + resamples + references)
    with runtime.Progress("choose_k", work, "clusterings") as progress:
        rows = []
        for k in range(1, k_max + 1):
            rows.append(study.row(k))
            progress.advance(1 + resamples + references)
    return decide(rows, len(A))


def decide(rows: list[Row], n: int) -> Choice:
    """The vote over what was measured for k = 1, 2, ... on n rows."""
    votes = {
        "distortion": _bend(rows),
        "silhouette": _widest(rows),
        "gap": _least_gap(rows),
        "stability": _most_stable(rows),
    }
    stability = {row.k: row.stability for row in rows}
    candidates = sorted({k for k in votes.values() if k > 1}) or [2]
    count = {k: sum(vote == k for vote in votes.values()) for k in candidates}
    k = max(candidates, key=lambda k: (count[k], k == votes["stability"], stability[k]))
    return Choice(k, votes, count[k] / len(votes) * max(0.0, stability[k]), tuple(rows), n)


class _Study:
    """Measures rows (n, d) for one k after another."""

    def __init__(self, A: NDArray[Any], seed: int, resamples: int, references: int) -> None:
        self._A, self._seed, self._resamples = A, seed, resamples
        self._shown = keys.sample(seed, _SILHOUETTE, len(A), _SILHOUETTE_ROWS)
        self._flat = [_reference(A, seed, i) for i in range(references)]

    def row(self, k: int) -> Row:
        """Everything about `k`."""
        A = self._A
        fitted = self._fit(A, k)
        logs = np.array([_log(self._fit(R, k).inertia_) for R in self._flat])
        gap = float(logs.mean() - _log(fitted.inertia_))
        error = float(logs.std() * np.sqrt(1 + 1 / len(logs)))
        if k == 1:
            return Row(1, fitted.inertia_ / len(A), np.nan, gap, error, np.nan)
        some = fitted.labels_[self._shown]
        width = silhouette_score(A[self._shown], some) if 1 < len(np.unique(some)) < len(some) else -1.0
        return Row(k, fitted.inertia_ / len(A), float(width), gap, error, self._stability(fitted, k))

    def _fit(self, A: NDArray[Any], k: int) -> KMeans:
        return KMeans(k, random_state=self._seed % (1 << 31), max_iter=50).fit(A)

    def _stability(self, fitted: KMeans, k: int) -> float:
        """Mean agreement, over all rows, of `fitted` with clusterings of rows drawn with replacement."""
        n, same = len(self._A), []
        for i in range(self._resamples):
            drawn = keys.bits64(self._seed, _RESAMPLE, i * n + np.arange(n)) % np.uint64(n)
            counts = np.bincount(drawn.astype(np.int64), minlength=n)
            other = KMeans(k, random_state=i, max_iter=50).fit(self._A[counts > 0], sample_weight=counts[counts > 0])
            same.append(adjusted_rand_score(fitted.labels_, other.predict(self._A)))
        return float(np.mean(same))


def _reference(A: NDArray[Any], seed: int, number: int) -> F64:
    """Rows (n, d) without clusters: uniform in the box that rows `A` fill along their principal axes."""
    mean = A.mean(axis=0, dtype=np.float64)
    centred = A - mean
    _, axes = np.linalg.eigh(centred.T @ centred)
    turned = centred @ axes
    low, high = turned.min(axis=0), turned.max(axis=0)
    luck = keys.uniform(seed, _REFERENCE, number * A.size + np.arange(A.size)).reshape(A.shape)
    return np.ascontiguousarray((low + luck * (high - low)) @ axes.T)


def _log(inertia: float) -> float:
    return float(np.log(max(inertia, np.finfo(np.float64).tiny)))


def _bend(rows: list[Row]) -> int:
    """Where log distortion bends most: it falls steeply up to there, and slowly after."""
    logs = np.array([_log(row.distortion) for row in rows])
    if len(rows) < 3:
        return rows[-1].k
    bends = (logs[:-2] - logs[1:-1]) - (logs[1:-1] - logs[2:])
    return rows[1 + int(np.argmax(bends))].k


def _widest(rows: list[Row]) -> int:
    """The largest mean silhouette; none where that is no structure."""
    best = max(rows[1:], key=lambda row: row.silhouette)
    return best.k if best.silhouette >= _NO_STRUCTURE else 1


def _least_gap(rows: list[Row]) -> int:
    """The least k whose gap is within a standard error of the largest (Dudoit & Fridlyand 2002).

    The first rule of Tibshirani et al., the first k that the next does not beat, stops at 1 where clusters lie in clusters.
    """
    best = max(rows, key=lambda row: row.gap)
    return next(row.k for row in rows if row.gap >= best.gap - best.gap_error)


def _most_stable(rows: list[Row]) -> int:
    """The largest k whose clusters are stable, or the most stable one where none is."""
    best = max(row.stability for row in rows[1:])
    near = [row.k for row in rows[1:] if row.stability >= max(STABLE, best - 0.02)]
    return near[-1] if near else max(rows[1:], key=lambda row: row.stability).k


def _joined(words: Iterable[str]) -> str:
    *most, last = list(words)
    return f"{', '.join(most)} and {last}" if most else last
