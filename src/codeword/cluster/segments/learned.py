"""What a model of segments knows in words: columns, names, how the number of segments was chosen, and how well they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codeword.cluster.segments.features import Features
from codeword.cluster.segments.profile import Profile

if TYPE_CHECKING:
    from codeword.cluster.choosing import Choice

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """What is known in words of the customers that segments were learned from; JSON in a saved model."""

    kind: str
    columns: tuple[str, ...]
    """d names."""
    names: tuple[str, ...]
    """k names."""
    roles: dict[str, str]
    value_name: str
    currency: str | None
    first: str | None
    until: str | None
    rows: int
    stability: float
    """Mean adjusted Rand index with clusterings of resampled customers."""
    holds: tuple[float, ...]
    """(k,) mean Jaccard similarity of each segment with its nearest among those."""
    chosen: str
    """How the number of segments was chosen, a sentence."""
    categories: dict[str, dict[str, list[float]]]
    notes: tuple[str, ...]

    @property
    def stable(self) -> bool:
        """Whether resampled customers give nearly the same segments."""
        return self.stability >= 0.9


def learned(made: Features, names: list[str], together: float, each: F64, sentence: str, about: Profile) -> Learned:
    """Put together from features, names, the stability of all and of each, how k was chosen, and the profile."""
    return Learned(
        made.kind,
        made.names,
        tuple(names),
        made.columns,
        made.value_name,
        made.currency,
        made.first,
        made.until,
        made.rows,
        together,
        tuple(each.tolist()),
        sentence,
        about.categories,
        made.notes,
    )


def because(k: int, stable: Sequence[int], choice: Choice) -> str:
    """Why k of the stable numbers, in a sentence."""
    others = [str(other) for other in stable if other != k]
    also = f" ({', '.join(others)} would be too)" if others else ""
    speaking = [name for name, vote in choice.votes.items() if vote == k]
    more = (
        f"; {' and '.join(speaking)} {'speaks' if len(speaking) == 1 else 'speak'} for it" if speaking else "; no more of them are"
    )
    return f"{k} segments are stable{also}{more}."
