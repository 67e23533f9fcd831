"""What `codeword.auto` measured: one row for each quantizer and size, and why the winner won."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codeword import text

Interval = tuple[float, float]


@dataclass(frozen=True)
class Trial:
    """One candidate at one size, measured on held-out rows, or why it was not.

    Attributes
    ----------
    name : str
    size : int
        Bytes a vector that were asked for.
    status : {"measured", "skipped", "cannot"}
        Skipped: there was no time, or nothing to gain. Cannot: no code of this size, or too few rows; see `note`.
    note : str
    bytes_per_vector : int
    model_bytes : int
    distortion : float
        Relative to the variance of the training rows.
    distortion_interval : (float, float)
        95 %, by bootstrap.
    recall : float
        Recall@k among held-out rows by distances to the reconstructions.
    recall_interval : (float, float)
    fit_seconds : float
        Of fitting the rows measured with.
    encode_rate : float
        Rows a second.
    """

    name: str
    size: int
    status: str
    note: str = ""
    bytes_per_vector: int = 0
    model_bytes: int = 0
    distortion: float = float("nan")
    distortion_interval: Interval = (float("nan"), float("nan"))
    recall: float = float("nan")
    recall_interval: Interval = (float("nan"), float("nan"))
    fit_seconds: float = float("nan")
    encode_rate: float = float("nan")

    @property
    def measured(self) -> bool:
        """Whether there are figures."""
        return self.status == "measured"


@dataclass(frozen=True)
class Frontier:
    """All trials of one call of `codeword.auto`.

    Attributes
    ----------
    trials : tuple of Trial
        In the order in which they were tried.
    winner : Trial
    target : str
        What was asked for, in words.
    met : bool
        Whether the winner has what was asked for; if not, it is the nearest.
    reason : str
        Why the winner won.
    k : int
        Of recall@k.
    metric : {"l2", "ip", "cosine"}
    rows : (int, int, int)
        Rows fitted to, rows coded and searched, queries, while measuring.
    seconds, budget : float
        Time taken in all, and allowed.
    """

    trials: tuple[Trial, ...]
    winner: Trial
    target: str
    met: bool
    reason: str
    k: int
    metric: str
    rows: tuple[int, int, int]
    seconds: float
    budget: float

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def measured(self) -> list[Trial]:
        """The trials with figures, by bytes, then distortion."""
        return sorted((t for t in self.trials if t.measured), key=lambda t: (t.bytes_per_vector, t.distortion))

    @property
    def best(self) -> list[Trial]:
        """The trials that no other beats in both bytes and distortion, by bytes."""
        kept: list[Trial] = []
        for trial in self.measured:
            if not kept or trial.distortion < kept[-1].distortion:
                kept.append(trial)
        return kept

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, words, lists and dictionaries."""
        return {**asdict(self), "trials": [asdict(t) for t in self.trials]}

    def head(self) -> tuple[str, ...]:
        """Names of the columns of `cells`."""
        return (
            "quantizer",
            "bytes",
            "distortion",
            "95 %",
            f"recall@{self.k}",
            "95 %",
            "model",
            "fit",
            "encode",
            "",
        )

    def cells(self) -> list[tuple[str, ...]]:
        """The table as people read it: measured trials by bytes and distortion, then the others."""
        rows = [self._measured_cells(t) for t in self.measured]
        others = [t for t in self.trials if not t.measured]
        return rows + [(t.name, str(t.size), *[""] * 7, f"{t.status}: {t.note}") for t in others]

    def _measured_cells(self, t: Trial) -> tuple[str, ...]:
        return (
            t.name,
            str(t.bytes_per_vector),
            text.digits(t.distortion),
            _interval(t.distortion_interval),
            text.digits(t.recall),
            _interval(t.recall_interval),
            text.size(t.model_bytes),
            text.seconds(t.fit_seconds),
            f"{text.digits(t.encode_rate, 2)}/s",
            ("winner" if self.met else "nearest") if t is self.winner else t.note,
        )

    def __repr__(self) -> str:
        n, r, q = self.rows
        words = [
            f"{self.target}: {self.reason}",
            *_aligned([self.head(), *self.cells()]),
            f"Fitted to {text.count(n)} rows; distortion of {text.count(r)} others, recall@{self.k} ({self.metric}) of "
            f"{text.count(q)} queries among them; {text.seconds(self.seconds)} of {text.seconds(self.budget)}.",
        ]
        return "\n".join(words)


def _interval(ends: Interval) -> str:
    return f"{text.digits(ends[0])} to {text.digits(ends[1])}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width, the first and last flush left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(c.ljust(w) if i in (0, last) else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))).rstrip()
        for r in rows
    ]
