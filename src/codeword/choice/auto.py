"""`codeword.auto`: say what you need, get a fitted quantizer and the figures that it was chosen by.

X, a target --candidates on held-out rows, within a time--> frontier --winner, fitted to all rows--> quantizer
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from codeword import checks
from codeword.base import METRICS, Quantizer
from codeword.choice.candidates import CANDIDATES, Candidate, ordered
from codeword.choice.frontier import Frontier, Trial
from codeword.choice.measuring import LEAST_ROWS, Measuring
from codeword.errors import TargetNotMetError
from codeword.gaussian import gaussian_rate
from codeword.training.moments import Moments

_LARGEST_SIZE = 1 << 20
_GUESSING_ROWS = 8192
_WIDEST_COVARIANCE = 2048
# Sizes are searched to a sixteenth, the winner's to the byte while there is time.
_STEP = 16
# A candidate is slow that takes more of the time than this.
_QUICK = 0.08


class _Target(NamedTuple):
    """What is asked for: "bytes", "distortion" or "recall", and how much; and by what candidates are compared."""

    kind: str
    value: float
    k: int
    by: str

    def __str__(self) -> str:
        if self.kind == "bytes":
            return f"at most {self.value:g} bytes a vector"
        if self.kind == "distortion":
            return f"relative distortion of at most {self.value:g}"
        return f"recall@{self.k} of at least {self.value:g}"

    def met(self, trial: Trial) -> bool:
        """Whether a trial has it, to 95 %: the unfavourable end of its interval does."""
        if not trial.measured:
            return False
        if self.kind == "bytes":
            return trial.bytes_per_vector <= self.value
        if self.kind == "distortion":
            return trial.distortion_interval[1] <= self.value
        return trial.recall_interval[0] >= self.value

    def loss(self, trial: Trial) -> float:
        """What a trial lacks; the least is best, or nearest."""
        return trial.distortion if self.by == "distortion" else 1.0 - trial.recall


def auto(
    X: Any,
    *,
    bytes_per_vector: int | None = None,
    max_distortion: float | None = None,
    min_recall: float | None = None,
    by: str = "distortion",
    k: int = 10,
    metric: str = "l2",
    seconds: float = 60.0,
    seed: int = 0,
    nearest: bool = False,
) -> Quantizer:
    """Choose a quantizer by what it has to achieve, and fit it.

    Candidates (`codeword.choice.candidates`) are fitted to a part of the rows and measured on others that they have not seen. With
    `bytes_per_vector` the one of least distortion (or highest recall) wins; of those that cannot be told apart from it (95 %, paired
    bootstrap) the one with the smallest model. With `max_distortion` or `min_recall` the one with the fewest bytes wins that
    has it to 95 %: the unfavourable end of its interval does. The winner is then fitted to all rows.

    Parameters
    ----------
    X : array_like (n, d), or iterable of row blocks
        At least 256 rows, and 4 k.
    bytes_per_vector : int, optional
        Most bytes of a code. Exactly one of the three targets must be given.
    max_distortion : float, optional
        Largest mean squared error, as a share of the variance.
    min_recall : float, optional
        Least recall@k by distances to the reconstructions, among a quarter of the rows (8,192 at most): in a larger collection
        neighbours lie closer together and recall is lower.
    by : {"distortion", "recall"}
        What decides between codes of `bytes_per_vector`. The two need not agree: product codes of SIFT have less distortion than a
        trellis behind a KLT, and find fewer neighbours.
    k : int
        Neighbours that recall counts.
    metric : {"l2", "ip", "cosine"}
        What neighbours are.
    seconds : float
        Time to take, the final fit included as far as it can be foreseen. The best that was found by then is returned; candidates that
        there was no time for are on the frontier as skipped. The winner depends on the clock through this alone: with time for all
        candidates the same rows and seed give the same winner.
    seed : int
        Of the split, of the intervals and of the quantizers.
    nearest : bool
        Return the nearest where the target is not met; by default that raises an error that names it.

    Returns
    -------
    Quantizer
        Fitted to all of `X`, with an attribute `frontier` (`codeword.choice.frontier.Frontier`; not stored in files): every trial with
        bytes, distortion, recall, their intervals, times, and why the winner won. Print it, or see `codeword.report.frontier_page`.

    Raises
    ------
    TypeError, ValueError
        For input that cannot be used.
    TargetNotMetError
        A ValueError: no candidate met the target (and `nearest` is False). It has the `frontier`, and names the nearest.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> X = np.random.default_rng(0).normal(size=(2000, 16)) * np.geomspace(4, 0.1, 16)
    >>> quantizer = cw.auto(X, bytes_per_vector=4)
    >>> quantizer.code_size, quantizer.frontier.met
    (4, True)
    >>> quantizer.distortion(X).relative < 0.08
    True
    """
    target = _checked_target(bytes_per_vector, max_distortion, min_recall, k, by)
    checks.choice(metric, "metric", METRICS)
    seconds = checks.real(seconds, "seconds", 0.0, 1e9)
    seed = checks.integer(seed, "seed", 0, 2**62)
    nearest = checks.flag(nearest, "nearest")
    A = checks.training_rows(X, wide=True)
    least = max(LEAST_ROWS, 4 * k)
    if len(A) < least:
        raise ValueError(f"X: expected at least {least} rows, some of which are held out, got {len(A)}")
    work = Measuring(A, metric, k, seed, seconds)
    if target.kind == "bytes":
        winner, reason = _best_of_size(work, target)
    else:
        winner, reason = _smallest(work, target)
    met = target.met(winner)
    quantizer = _named(winner.name).make(work.d, winner.size, seed)
    assert quantizer is not None
    if met or nearest:
        quantizer.fit(A)
    sizes = (len(work.rows.fitted), len(work.rows.coded), len(work.rows.queries))
    quantizer.frontier = Frontier(tuple(work.trials), winner, str(target), met, reason, k, metric, sizes, work.elapsed, seconds)
    if not (met or nearest):
        raise TargetNotMetError(f"{target}: {reason}; nearest=True returns it", quantizer.frontier)
    return quantizer


def _checked_target(size: Any, distortion: Any, recall: Any, k: Any, by: Any) -> _Target:
    given = [v for v in (size, distortion, recall) if v is not None]
    if len(given) != 1:
        raise ValueError(f"expected exactly one of bytes_per_vector, max_distortion and min_recall, got {len(given)}")
    k = checks.integer(k, "k", 1, 1 << 20)
    by = checks.choice(by, "by", ("distortion", "recall"))
    if size is not None:
        return _Target("bytes", checks.integer(size, "bytes_per_vector", 1, _LARGEST_SIZE), k, by)
    if distortion is not None:
        return _Target("distortion", checks.real(distortion, "max_distortion", 0.0, 1.0), k, "distortion")
    return _Target("recall", checks.real(recall, "min_recall", 0.0, 1.0), k, "recall")


def _named(name: str) -> Candidate:
    return next(c for c in CANDIDATES if c.name == name)


def _best_of_size(work: Measuring, target: _Target) -> tuple[Trial, str]:
    """Every candidate at the given size; then the winner at other sizes, for the picture."""
    size = int(target.value)
    for candidate in _in_turn(work, target, size):
        work.measure(candidate, size, first=not _measured(work), leader=_leader(work, target))
    tried = _measured(work)
    if not tried:
        raise ValueError(f"bytes_per_vector: nothing could be fitted. {'; '.join(f'{t.name}: {t.note}' for t in work.trials)}")
    best = min(tried, key=target.loss)
    alike = [t for t in tried if _more(work, target, t, best)[0] <= 0.0]
    winner = min(alike, key=lambda t: (t.model_bytes, target.loss(t)))
    reason = _reason_of_size(work, target, winner, alike, tried)
    for other in (size // 2, size * 2, size // 4, size * 4):
        if other:
            work.measure(_named(winner.name), other, leader=winner)
    return winner, reason


def _in_turn(work: Measuring, target: _Target, size: int) -> Iterator[Candidate]:
    """Candidates as the time is best spent on them.

    Those that lead at this rate come first, and of either part those that are quick. Of the slow ones that kind is next of which the
    best so far is best: product codes tell what sums of codewords promise.
    """
    candidates = ordered(work.d, size)
    for part in (True, False):
        waiting = [c for c in candidates if c.leads(work.d, size) == part]
        while waiting:
            losses = _losses_by_kin(work, target, size)
            slow = [work.seconds(c, size) > _QUICK * work.budget for c in waiting]
            ranks = [(s, losses.get(c.kin, math.inf) if s else 0.0) for c, s in zip(waiting, slow, strict=True)]
            yield waiting.pop(ranks.index(min(ranks)))


def _losses_by_kin(work: Measuring, target: _Target, size: int) -> dict[str, float]:
    """The least loss at this size of every kind of code that was measured."""
    losses: dict[str, float] = {}
    for trial in _measured(work):
        if trial.size == size:
            kin = _named(trial.name).kin
            losses[kin] = min(target.loss(trial), losses.get(kin, math.inf))
    return losses


def _leader(work: Measuring, target: _Target) -> Trial | None:
    return min(_measured(work), key=target.loss, default=None)


def _reason_of_size(work: Measuring, target: _Target, winner: Trial, alike: list[Trial], tried: list[Trial]) -> str:
    most = "least distortion" if target.by == "distortion" else "highest recall"
    said = f"{winner.name} has the {most} of {len(tried)} that were measured"
    if len(alike) > 1:
        names = " and ".join(t.name for t in alike if t is not winner)
        said = f"{winner.name} has the smallest model of those of {most}: {names} cannot be told apart from it"
    others = [t for t in tried if t not in alike]
    if not others:
        return said
    second = min(others, key=target.loss)
    low, high = _more(work, target, second, winner)
    if target.by == "recall":
        return f"{said}; next is {second.name} with {low:.2g} to {high:.2g} less"
    return f"{said}; next is {second.name} with {100 * low:.3g} to {100 * high:.3g} % more"


def _more(work: Measuring, target: _Target, trial: Trial, than: Trial) -> tuple[float, float]:
    """95 % interval of how much more one trial loses than another: a share of the distortion, or a difference of recall."""
    one, other = work.figures(trial), work.figures(than)
    if target.by == "recall":
        return work.of_queries.difference(other.recalls, one.recalls)
    low, high = work.of_rows.ratio(one.errors, other.errors)
    return low - 1.0, high - 1.0


def _smallest(work: Measuring, target: _Target) -> tuple[Trial, str]:
    """The fewest bytes that have the target: searched with the first candidate, then the others must do with fewer."""
    best: Trial | None = None
    guess = _guessed_size(work, target)
    for candidate in ordered(work.d, guess):
        found = _smallest_of(work, candidate, target, guess, best)
        best = found or best
        guess = best.size if best else guess
    if best is None:
        tried = _measured(work)
        if not tried:
            raise ValueError(f"nothing could be fitted. {'; '.join(f'{t.name}: {t.note}' for t in work.trials)}")
        near = min(tried, key=target.loss)
        what = f"{near.distortion:.4g}" if target.kind == "distortion" else f"{near.recall:.4g}"
        return near, f"not met; nearest is {near.name} with {what} at {near.bytes_per_vector} bytes"
    best = _to_the_byte(work, target, best)
    others = {t.name for t in _measured(work)} - {best.name}
    said = f"{best.name} needs the fewest bytes, {best.bytes_per_vector}"
    return best, f"{said}, of {len(others) + 1} that were measured" if others else said


def _smallest_of(work: Measuring, candidate: Candidate, target: _Target, guess: int, best: Trial | None) -> Trial | None:
    """The smallest size, to a sixteenth, at which a candidate has the target; None where that is not below `best`."""
    low, high = 0, best.size if best else 4 * work.d + 1
    size = min(guess, high - 1) if best is None else high - max(1, high // _STEP)
    found = None
    while low < size < high:
        trial = work.measure(candidate, size, first=not _measured(work), leader=best)
        if target.met(trial):
            high, found = size, trial
        elif trial.status == "skipped" or (trial.status == "cannot" and found is None and low):
            break
        else:
            low = size
            if best is not None and found is None:
                break
        if high - low <= max(1, high // _STEP):
            break
        size = _next_size(low, high, found is not None, 4 * work.d)
    return found


def _next_size(low: int, high: int, bounded: bool, largest: int) -> int:
    """Twice or half the size until there is one on either side of the target, then the geometric mean."""
    if not bounded:
        return min(2 * low, largest)
    if not low:
        return high // 2
    return min(max(low + 1, round(math.sqrt(low * high))), high - 1)


def _to_the_byte(work: Measuring, target: _Target, best: Trial) -> Trial:
    """The winner with the last bytes off, while there is time."""
    candidate = _named(best.name)
    low = max((t.size for t in work.trials if t.name == best.name and t.measured and not target.met(t)), default=0)
    while best.size - low > 1:
        trial = work.measure(candidate, (low + best.size) // 2, leader=best)
        if not trial.measured:
            break
        low, best = (low, trial) if target.met(trial) else (trial.size, best)
    return best


def _guessed_size(work: Measuring, target: _Target) -> int:
    """Where to begin: what a Gaussian of the same covariance would take for the distortion; a bit a dimension for recall."""
    if target.kind == "recall" or work.d > _WIDEST_COVARIANCE or target.value == 0:
        return max(1, work.d // 8)
    values = np.linalg.eigvalsh(Moments.of(work.rows.fitted[:_GUESSING_ROWS]).covariance)
    bits = work.d * gaussian_rate(values, target.value * float(np.maximum(values, 0).mean()))
    return min(max(1, round(1.1 * bits / 8)), 4 * work.d)


def _measured(work: Measuring) -> list[Trial]:
    return [t for t in work.trials if t.measured]
