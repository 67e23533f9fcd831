"""What a fit did and whether it was enough: passes, use of the codewords, rows that were not seen, one sentence.

    training_ of a quantizer (one `Training` a codebook) --> TrainingReport --str, to_dict, report.training_parts--> people, programs, page

What more rows would win is about ``c / p`` of the distortion, for p rows a codeword, where 2 c / p is what rows that were not
trained on are worse off than those that were. Source: the O(1/n) rates of Bartlett, Linder & Lugosi 1998 and Levrard 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import text
from codeword.errors import NotFittedError
from codeword.training.lloyd import Training

F64 = NDArray[np.float64]
OVERLOADED = 4.0
# Where no rows were unseen: c at 32 rows a codeword by the number D of dimensions that the codewords resolve, from ten sets of real and
# Gaussian rows of 2 to 384 dimensions, where it was measured as 0.65 to 1.2 times ``0.2 + 9 / sqrt(D)``; it grows as p**0.2 or so.
_BASE, _SPREAD, _TYPICAL, _GROWTH = 0.2, 9.0, 32.0, 0.2
# Where p is small, what other rows lose is more than twice what more rows would win: 1 / (p / c + 2.5) fits from p = 2 on.
_FEW = 2.5
_WORTH_SAYING = 0.03


class PassSummary(NamedTuple):
    """One pass over the rows of a level, all codebooks together."""

    level: int
    """From 1: nested parts of the rows, the last of all that are trained on."""
    rows: int
    distortion: float
    """Mean squared error over rows and dimensions, of the codebooks that the pass began with."""
    moved: float | None
    """Share of the rows that changed cell, a mean over codebooks; None where rows were not in memory."""
    seconds: float


@dataclass(frozen=True)
class TrainingReport:
    """How the codebooks of a quantizer were trained. Made by ``report()`` of a quantizer after `fit`.

    Attributes
    ----------
    rows, trained_on : int
        Rows given (of weight above 0), and rows that the last passes went over, before outliers were left out.
    codebooks, codewords, dimensions : int
        m codebooks of k codewords each, for rows of d dimensions.
    passes : tuple of PassSummary
    seconds : float
        Wall clock of all passes.
    distortion, relative : float
        Mean squared error for each row and dimension at the last assignment, and over the variance of the training data.
    unseen : float
        Distortion on rows that were not trained on, over `distortion`, less 1.
    unseen_from : {"given rows", "levels", "estimate"}
        Where that is from: rows given to ``report``; rows outside a part, measured during training and scaled to all rows; or a rule of
        thumb, within a factor of two.
    gain_from_more_rows : float
        Share by which the distortion on other rows would fall with many more training rows of the same kind.
    loss_of_rows_left_out : float
        Share by which it is higher because the effort left out rows; 0 where all rows were trained on.
    last_gain : float
        Share that the last pass gained.
    converged : bool
        Whether passes went on until they gained at most `tol`.
    perplexity : float
        Codewords, used equally, that would hold as much as these do: a mean over codebooks.
    dead, overloaded : int
        Codewords without rows; with more than 4 times their share of the rows.
    trimmed, not_seeded, repaired : int
        Outliers left out; rows too far out to become codewords; empty cells given another row. Largest of the codebooks, repaired: sum.
    assignment_loss : float
        Loss of hierarchical against exact assignment, measured on a sample; 0 where assignment was exact.
    cell_limit : int
        Most rows of a cell that were allowed; 0 for no limit.
    limit_cost : float
        What the limit costs, as a share of the distortion.
    verdict : str
        One sentence.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(20_000, 8)).astype("f4")
    >>> report = cw.VectorQuantizer(64).fit(X).report()
    >>> report.codewords, report.dead, report.unseen_from
    (64, 0, 'levels')
    >>> report.verdict
    'Good: every codeword is in use, and more rows would gain about 1.3 %.'
    """

    rows: int
    trained_on: int
    codebooks: int
    codewords: int
    dimensions: int
    passes: tuple[PassSummary, ...]
    seconds: float
    distortion: float
    relative: float
    unseen: float
    unseen_from: str
    gain_from_more_rows: float
    loss_of_rows_left_out: float
    last_gain: float
    converged: bool
    perplexity: float
    dead: int
    overloaded: int
    trimmed: int
    not_seeded: int
    repaired: int
    assignment_loss: float
    cell_limit: int
    limit_cost: float
    verdict: str

    @classmethod
    def of(cls, quantizer: Any, X: Any = None) -> TrainingReport:
        """Sum up the training of a fitted quantizer; `X` (n, d) are rows that it was not fitted on, if there are any.

        Raises
        ------
        NotFittedError
            If it was not fitted in this process: files do not keep the history.
        """
        trained = getattr(quantizer, "training_", None)
        if trained is None:
            raise NotFittedError(f"{type(quantizer).__name__} has no history: call fit(X) first; files do not keep it")
        runs: list[Training] = [trained] if isinstance(trained, Training) else trained
        widths = np.array([t.codebook.shape[1] for t in runs], np.float64)
        k, d = len(runs[0].codebook), int(widths.sum())
        passes = _passes(runs, widths / d)
        distortion = float(np.dot([t.history[-1] if t.history else np.nan for t in runs], widths)) / d
        variance = float(quantizer._variance.mean())
        relative = distortion / variance if variance > 0 else 0.0
        rows, trained_on = runs[0].rows, runs[0].levels[-1][0] if runs[0].levels else 0
        per_codeword = max(trained_on, 1) / k
        if X is not None:
            source, unseen = "given rows", quantizer.distortion(X).mse / distortion - 1 if distortion > 0 else 0.0
            c = unseen * per_codeword / 2
        else:
            source, c = _excess(runs, widths, relative, k, per_codeword)
            unseen = 2 * c / per_codeword
        facts: dict[str, Any] = {
            "rows": rows,
            "trained_on": trained_on,
            "codebooks": len(runs),
            "codewords": k,
            "dimensions": d,
            "passes": passes,
            "seconds": sum(p.seconds for p in passes),
            "distortion": distortion,
            "relative": relative,
            "unseen": unseen,
            "unseen_from": source,
            "gain_from_more_rows": 1 - 1 / _above_many(c, per_codeword),
            "loss_of_rows_left_out": max(0.0, _above_many(c, per_codeword) / _above_many(c, max(rows, trained_on) / k) - 1),
            "last_gain": _last_gain(passes),
            "converged": all(t.converged for t in runs),
            "perplexity": float(np.mean([_perplexity(t.counts) for t in runs])),
            "dead": sum(int((t.counts == 0).sum()) for t in runs),
            "overloaded": sum(int((t.counts > OVERLOADED * t.counts.mean()).sum()) for t in runs),
            "trimmed": max(t.trimmed for t in runs),
            "not_seeded": max(t.not_seeded for t in runs),
            "repaired": sum(t.repaired for t in runs),
            "assignment_loss": max(t.assignment_loss for t in runs),
            "cell_limit": max(t.balance.limit if t.balance else 0 for t in runs),
            "limit_cost": max(t.balance.cost if t.balance else 0.0 for t in runs),
        }
        return cls(**facts, verdict=_verdict(facts))

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, lists and strings, for JSON."""
        return {**asdict(self), "passes": [p._asdict() for p in self.passes]}

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of all but the passes, as people read them."""
        used = f"{text.count(self.trained_on)} of {text.count(self.rows)}" if self.trained_on < self.rows else text.count(self.rows)
        shape = (
            f"{text.plural(self.codewords, 'codeword')}"
            if self.codebooks == 1
            else f"{self.codebooks} x {text.count(self.codewords)} codewords"
        )
        found = {"given rows": "measured on the rows given", "levels": "measured during training", "estimate": "estimated"}
        pairs = [
            (
                "trained on",
                f"{used} rows, {text.digits(self.trained_on / self.codewords)} a codeword, in {text.seconds(self.seconds)}",
            ),
            ("codebook", f"{shape}, {self.dimensions} dimensions"),
            ("distortion", f"{text.digits(self.distortion, 4)} (relative {text.digits(self.relative, 4)})"),
            ("on other rows", f"{_percent(self.unseen)} more ({found[self.unseen_from]})"),
            ("more rows would gain", f"about {_percent(self.gain_from_more_rows)}"),
            ("last pass gained", f"{_percent(self.last_gain)}{', converged' if self.converged else ''}"),
            (
                "in use",
                f"perplexity {text.digits(self.perplexity)} of {text.count(self.codewords)}; {text.count(self.dead)} dead, "
                f"{text.count(self.overloaded)} with over {OVERLOADED:g} times their share",
            ),
            ("outliers", f"{text.count(self.trimmed)} left out, {text.count(self.not_seeded)} not drawn as codewords"),
        ]
        if self.loss_of_rows_left_out:
            pairs.insert(5, ("rows left out cost", f"about {_percent(self.loss_of_rows_left_out)}"))
        if self.cell_limit:
            pairs.append(
                ("largest cell", f"at most {text.plural(self.cell_limit, 'row')}; the limit costs {_percent(self.limit_cost)}")
            )
        if self.assignment_loss:
            pairs.append(("hierarchical assignment", f"costs {_percent(self.assignment_loss)} against exact"))
        return pairs

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.pairs())
        lines = [self.verdict, *(f"  {name.ljust(width)}  {value}" for name, value in self.pairs())]
        rows = [("pass", "rows", "distortion", "gain", "moved", "time")]
        before: float | None = None
        for i, p in enumerate(self.passes, 1):
            gain = "" if not before or p.moved == 1 else _percent(1 - p.distortion / before)
            moved = "" if p.moved is None else _percent(p.moved)
            rows.append((str(i), text.count(p.rows), text.digits(p.distortion, 4), gain, moved, text.seconds(p.seconds)))
            before = p.distortion
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join(lines + ["  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows])


def _passes(runs: Sequence[Training], share: F64) -> tuple[PassSummary, ...]:
    """Pass by pass; codebooks that were done earlier stay as they were. `share` (m,) is that of the dimensions."""
    levels = [_by_level(run) for run in runs]
    out = []
    for level in range(max(map(len, levels), default=0)):
        parts = [of_run[level] for of_run in levels if level < len(of_run)]
        for i in range(max(map(len, parts))):
            here = [part[min(i, len(part) - 1)] for part in parts]
            still = [part[i] for part in parts if i < len(part)]
            moved = [p.moved for p in still if p.moved is not None]
            out.append(
                PassSummary(
                    level + 1,
                    here[0].rows,
                    float(np.dot([p.distortion for p in here], share)),
                    sum(moved) / (here[0].rows * len(runs)) if moved else None,
                    sum(p.seconds for p in still),
                )
            )
    return tuple(out)


def _by_level(run: Training) -> list[list[Any]]:
    """The passes of each level; one that follows after the last pass, to settle cells, belongs to the last level."""
    out: list[list[Any]] = []
    for p in run.passes:
        if not out or p.rows != out[-1][-1].rows:
            out.append([])
        out[-1].append(p)
    return out


def _excess(runs: Sequence[Training], widths: F64, relative: float, k: int, per_codeword: float) -> tuple[str, float]:
    """Where c is from, and c: half of what other rows lose more, times the rows a codeword."""

    def grown(c: float, at: float) -> float:
        return c * float((per_codeword / at) ** _GROWTH)

    measured = [(t.unseen.excess, t.unseen.rows / k, t.history[-1] * w) for t, w in zip(runs, widths, strict=True) if t.unseen]
    weight = sum(w for _, _, w in measured)
    if len(measured) == len(runs) and weight > 0:
        return "levels", max(0.0, sum(grown(excess * p / 2, p) * w for excess, p, w in measured) / weight)
    resolved = float(widths.mean())
    if k > 1 and 0 < relative < 1:
        resolved = min(resolved, -2 * float(np.log(k) / np.log(relative)))
    return "estimate", grown(_BASE + _SPREAD / max(resolved, 1.0) ** 0.5, _TYPICAL)


def _above_many(c: float, p: float) -> float:
    """Distortion on other rows after training on p rows a codeword, over that after very many: ``1 + c / p``, less for p below 20."""
    return 1 + max(0.0, c) / (p + _FEW * max(0.0, c))


def _last_gain(passes: Sequence[PassSummary]) -> float:
    same = len(passes) > 1 and passes[-1].level == passes[-2].level and passes[-2].distortion > 0
    return 1 - passes[-1].distortion / passes[-2].distortion if same else 0.0


def _perplexity(counts: F64) -> float:
    shares = counts[counts > 0] / max(float(counts.sum()), 1e-300)
    return float(np.exp2(-np.sum(shares * np.log2(shares))))


def _percent(share: float) -> str:
    return f"{text.digits(100 * share, 2)} %"


def _verdict(facts: dict[str, Any]) -> str:
    """One sentence: the most that could be won, and how; or that little can; and what rows left out cost."""
    said = _advice(facts)
    if facts["trained_on"] < facts["rows"]:
        used, rows = text.count(facts["trained_on"]), text.count(facts["rows"])
        said += f"; it was trained on {used} of {rows} rows, which costs about {_percent(facts['loss_of_rows_left_out'])}"
    return said + "."


def _advice(facts: dict[str, Any]) -> str:
    gain, last = facts["gain_from_more_rows"], facts["last_gain"]
    codewords = facts["codebooks"] * facts["codewords"]
    if facts["dead"] > 0.01 * codewords:
        return f"{text.count(facts['dead'])} of {text.count(codewords)} codewords are dead: there are too few different rows for so many"
    if gain >= max(_WORTH_SAYING, last):
        return (
            f"Few rows: with many more than {text.digits(facts['trained_on'] / facts['codewords'])} a codeword the distortion on other rows "
            f"would be about {_percent(gain)} lower"
        )
    if last > 0.005:
        return f"Not finished: the last pass still gained {_percent(last)}; more effort or a larger max_iter would gain more"
    use = (
        "every codeword is in use"
        if not facts["dead"]
        else f"{text.plural(facts['dead'], 'codeword')} dead of {text.count(codewords)}"
    )
    return f"Good: {use}, and more rows would gain about {_percent(gain)}"
