"""Whether customers of now are still like those that segments were learned from: column by column, segment by segment, and a verdict.

The population stability index of a column compares the shares of its bins (tenths of the old customers) then and now:
``sum (now - then) * ln(now / then)``; below 0.1 nothing to speak of, above 0.25 a change (Siddiqi 2006, "Credit Risk Scorecards").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.cluster.segments.features import Features
from codeword.text import digits, plural

F64 = NDArray[np.float64]
BINS = 10
MOVING, CHANGED = 0.1, 0.25
_LEAST_SHARE = 0.5


@dataclass(frozen=True)
class Drift:
    """Old customers against new ones."""

    before: int
    after: int
    """Numbers of customers."""
    stability: dict[str, float]
    """Population stability index of each column."""
    segments: float
    """The same of the shares of the segments."""
    then: F64
    now: F64
    """(k,) shares of the segments."""
    moved: float
    """Share of the customers in both that changed segment; where none is known to be in both, the least share that must have."""
    known: int
    """Customers in both."""
    flows: NDArray[np.int64] | None
    """(k, k) customers in both, by their segment then (row) and now (column)."""
    distortion: float
    """Mean squared distance to the centre of the segment, now over then: well above 1, customers have come to where no segment is."""
    verdict: str
    """"steady", "moving" or "changed"."""
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict with its figures."""
        top = max(self.stability, key=lambda name: self.stability[name])
        said = {
            "steady": "Steady: the segments still fit.",
            "moving": "Moving: the segments fit, but look at what changes.",
            "changed": "Changed: learn the segments anew.",
        }[self.verdict]
        moved = (
            f"{100 * self.moved:.0f} % of the {plural(self.known, 'customer')} in both changed segment"
            if self.known
            else f"at least {100 * self.moved:.0f} % are in another segment than then"
        )
        return f"{said} Largest change: {top} (stability index {digits(self.stability[top], 2)}); {moved}."

    def table(self) -> Any:
        """A row for each column and one for the segments, a pandas DataFrame."""
        import pandas as pd

        rows = {**self.stability, "segments": self.segments}
        return pd.DataFrame(
            {"population_stability_index": rows.values(), "verdict": [grade(v) for v in rows.values()]}, index=list(rows)
        )


def edges(X: F64) -> F64:
    """(d, 9) inner ends of the bins of rows (n, d)."""
    return np.ascontiguousarray(np.quantile(X, np.linspace(0, 1, BINS + 1)[1:-1], axis=0).T)


def histogram(X: F64, inner: F64) -> NDArray[np.int64]:
    """(d, 10) rows (n, d) in each bin; what is level with an end is above it."""
    return np.stack([np.bincount(np.searchsorted(e, x, "right"), minlength=BINS) for e, x in zip(inner, X.T, strict=True)])


def stability_index(then: NDArray[np.int64], now: NDArray[np.int64]) -> float:
    """Population stability index of two counts (bins,); bins that are empty in both do not count, in one as half a customer.

    Examples
    --------
    >>> stability_index(np.array([50, 50]), np.array([500, 500]))
    0.0
    >>> round(stability_index(np.array([500, 500]), np.array([250, 750])), 3)
    0.275
    """
    used = (then > 0) | (now > 0)
    a, b = (np.maximum(c[used], _LEAST_SHARE) / max(1, c.sum()) for c in (then, now))
    return float(np.sum((b - a) * np.log(b / a)))


def grade(index: float, chance: float = 0.0) -> str:
    """ "steady", "moving" or "changed"; below what chance alone gives it is steady."""
    if index < max(MOVING, chance):
        return "steady"
    return "moving" if index < max(CHANGED, chance) else "changed"


def compare(
    names: Sequence[str],
    then: tuple[NDArray[np.int64], NDArray[np.int64]],
    now: tuple[NDArray[np.int64], NDArray[np.int64]],
    flows: NDArray[np.int64] | None,
    distortion: float,
    notes: Sequence[str] = (),
) -> Drift:
    """Drift between two populations.

    Parameters
    ----------
    names : sequence of str
        d columns.
    then, now : (histograms (d, 10), counts of the segments (k,))
    flows : (k, k), optional
        Customers in both by segment then and now.
    distortion : float
    """
    (old, old_counts), (new, new_counts) = then, now
    stability = {name: stability_index(a, b) for name, a, b in zip(names, old, new, strict=True)}
    segments = stability_index(old_counts, new_counts)
    before, after = int(old_counts.sum()), int(new_counts.sum())
    # Under no change an index is about (1 / before + 1 / after) times a chi-square of bins - 1 degrees of freedom: its 99 % point.
    chance = (1 / before + 1 / after) * _chi_square_99(BINS - 1)
    grades = [grade(v, chance) for v in (*stability.values(), segments)]
    verdict = "changed" if "changed" in grades else "moving" if "moving" in grades else "steady"
    a, b = old_counts / before, new_counts / after
    known = 0 if flows is None else int(flows.sum())
    moved = float(np.abs(a - b).sum() / 2) if flows is None or not known else 1 - float(np.trace(flows)) / known
    return Drift(
        before, after, stability, segments, a, b, moved, known, flows if known else None, distortion, verdict, tuple(notes)
    )


def _chi_square_99(freedom: int) -> float:
    """Wilson & Hilferty 1931."""
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + 2.3263 * part**0.5) ** 3)


def flows(old_ids: NDArray[Any], old: NDArray[np.int32], ids: NDArray[Any], labels: NDArray[np.int32], k: int) -> NDArray[np.int64]:
    """Customers (k, k) in both, by segment then and now; the same customer may be a number here and text there."""
    was = {str(c): int(s) for c, s in zip(old_ids, old, strict=True)}
    flows = np.zeros((k, k), np.int64)
    for customer, now in zip(ids, labels, strict=True):
        then = was.get(str(customer))
        if then is not None:
            flows[then, now] += 1
    return flows


def span_note(first: str | None, until: str | None, new: Features) -> str:
    """A warning where two logs are of different lengths, so that totals are not comparable."""
    if not (first and until and new.first and new.until):
        return ""
    one, two = (
        int((np.datetime64(b) - np.datetime64(a)).astype(np.int64)) + 1 for a, b in ((first, until), (new.first, new.until))
    )
    if max(one, two) <= 1.1 * min(one, two):
        return ""
    return f"The purchases span {one} days then and {two} now, so totals differ for that alone: compare equal lengths with window=."
