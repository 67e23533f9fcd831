"""`codeword.auto` meets its target on held-out rows, or says what is nearest; what it measured can be read, and repeats."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import keys, report
from codeword.bootstrap import Bootstrap
from codeword.choice import auto, candidates
from codeword.choice.candidates import CANDIDATES, Candidate, ordered

RNG = np.random.default_rng(8)
X = (RNG.standard_normal((2000, 16)) * np.geomspace(4, 0.1, 16) + 5).astype(np.float32)


@pytest.fixture(scope="module")
def chosen() -> Any:
    return cw.auto(X, bytes_per_vector=4, seed=3, seconds=1e6)


def frontier_of(quantizer: Any) -> Any:
    assert quantizer.frontier is not None
    return quantizer.frontier


def figures(frontier: Any) -> list[tuple[Any, ...]]:
    """Everything of the trials but times."""
    return [(t.name, t.size, t.status, t.bytes_per_vector, t.distortion, t.distortion_interval, t.recall) for t in frontier]


def test_bytes_are_kept_and_nothing_measured_is_better(chosen: Any) -> None:
    frontier = frontier_of(chosen)
    assert chosen.code_size <= 4 and frontier.met
    rivals = [t for t in frontier.measured if t.bytes_per_vector <= 4]
    assert len(rivals) >= 5
    assert frontier.winner.distortion_interval[0] <= min(t.distortion for t in rivals)
    assert frontier.winner.name in frontier.reason


def test_the_winner_is_fitted_to_all_rows(chosen: Any) -> None:
    winner = frontier_of(chosen).winner
    candidate = next(c for c in CANDIDATES if c.name == winner.name)
    again = candidate.make(16, winner.size, 3)
    assert again is not None and again.fit(X) == chosen


def test_the_same_rows_and_seed_give_the_same_frontier(chosen: Any) -> None:
    again = cw.auto(X, bytes_per_vector=4, seed=3, seconds=1e6)
    assert again == chosen
    assert figures(frontier_of(again)) == figures(frontier_of(chosen))


def test_what_is_measured_is_what_fitting_and_coding_give(chosen: Any) -> None:
    """The figures of a trial, from the split that its documentation states."""
    frontier = frontier_of(chosen)
    order = np.argsort(keys.bits64(3, 0x6175746F, np.arange(2000)), kind="stable")
    queries, coded, fitted = (X[np.sort(p)] for p in np.split(order, [125, 625]))
    assert frontier.rows == (len(fitted), len(coded), len(queries))
    trial = next(t for t in frontier if t.name == "product" and t.measured)
    quantizer = next(c for c in CANDIDATES if c.name == "product").make(16, trial.size, 3)
    assert quantizer is not None
    quantizer.fit(fitted)
    assert trial.distortion == pytest.approx(quantizer.distortion(coded).relative, rel=1e-6)
    truth, _ = cw.metrics.exact_search(coded, queries, 10)
    found, _ = cw.metrics.exact_search(quantizer.decode(quantizer.encode(coded)), queries, 10)
    assert trial.recall == pytest.approx(cw.recall(found, truth, 10), abs=0.005)
    assert trial.recall_interval[0] <= trial.recall <= trial.recall_interval[1]
    assert trial.model_bytes == quantizer.model_bytes


@pytest.mark.parametrize("target", [0.3, 0.02])
def test_a_distortion_is_reached_with_fewest_bytes(target: float) -> None:
    quantizer = cw.auto(X, max_distortion=target)
    frontier = frontier_of(quantizer)
    assert frontier.met and frontier.winner.distortion_interval[1] <= target
    assert quantizer.distortion(X).relative <= target * 1.05
    assert all(t.bytes_per_vector >= quantizer.code_size for t in frontier.measured if t.distortion_interval[1] <= target)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_a_recall_is_reached_with_fewest_bytes(metric: str) -> None:
    quantizer = cw.auto(X, min_recall=0.7, metric=metric, k=5)
    frontier = frontier_of(quantizer)
    assert frontier.met and frontier.winner.recall_interval[0] >= 0.7
    assert all(t.bytes_per_vector >= quantizer.code_size for t in frontier.measured if t.recall_interval[0] >= 0.7)
    assert "recall@5" in repr(frontier) and metric in repr(frontier)


def test_recall_can_decide_between_codes_of_equal_size() -> None:
    frontier = frontier_of(cw.auto(X, bytes_per_vector=3, by="recall", seconds=1e6))
    rivals = [t for t in frontier.measured if t.bytes_per_vector <= 3]
    assert frontier.winner.recall_interval[1] >= max(t.recall for t in rivals)
    assert "recall" in frontier.reason


def test_a_target_out_of_reach_names_the_nearest() -> None:
    few = X[:400]
    with pytest.raises(cw.TargetNotMetError, match=r"distortion of at most 0: not met; nearest is .* bytes") as caught:
        cw.auto(few, max_distortion=0.0, seconds=0)
    frontier = caught.value.frontier
    assert not frontier.met
    nearest = cw.auto(few, max_distortion=0.0, seconds=0, nearest=True)
    assert frontier_of(nearest).winner.name == frontier.winner.name and nearest.d == 16
    assert "nearest" in repr(frontier)


def test_without_time_the_first_is_measured_and_the_rest_are_listed() -> None:
    frontier = frontier_of(cw.auto(X, bytes_per_vector=4, seconds=0))
    at_size = [t for t in frontier if t.size == 4]
    possible = [c for c in CANDIDATES if c.make(16, 4, 0) is not None]
    assert [t.status for t in at_size if t.status != "cannot"] == ["measured"] + ["skipped"] * (len(possible) - 1)
    assert len(at_size) == len(CANDIDATES)
    assert frontier.winner.name == ordered(16, 4)[0].name
    assert "skipped" in repr(frontier)


def test_slow_candidates_wait_for_quick_ones_and_the_better_kind_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what there was no time for, the frontier says so, in the order in which time would have been spent."""

    def one(name: str, k: int, seconds: float, kin: str, strong: tuple[float, float] = (0, 32)) -> Candidate:
        return Candidate(name, lambda d, size, seed: cw.VectorQuantizer(k), strong, lambda n, r, d, size: seconds, kin)

    table = (
        one("weak", 4, 0.01, "a", strong=(8, 32)),
        one("first", 2, 0.01, "a"),
        one("slow a", 2, 1e9, "a"),
        one("slow b", 2, 1e9, "b"),
        one("quick b", 16, 0.01, "b"),
    )
    monkeypatch.setattr(candidates, "CANDIDATES", table)
    monkeypatch.setattr(auto, "CANDIDATES", table)
    frontier = frontier_of(cw.auto(X, bytes_per_vector=4, seconds=1e3))
    at_size = [t for t in frontier if t.size == 4]
    assert [t.name for t in at_size] == ["first", "quick b", "slow b", "slow a", "weak"]
    assert [t.status for t in at_size] == ["measured", "measured", "skipped", "skipped", "measured"]
    assert all("would take about" in t.note for t in at_size if t.status == "skipped")


def test_wide_rows_lose_axes_before_cells_that_no_bit_would_reach() -> None:
    mixture = next(c for c in CANDIDATES if c.name == "mixture of KLT + trellis")
    wide, narrow = mixture.make(784, 24, 0), mixture.make(384, 12, 0)
    assert isinstance(wide, cw.Pipeline) and isinstance(narrow, cw.Pipeline)
    assert wide.transforms[0].d_out == 192 and isinstance(narrow.transforms[0], cw.Center)


def test_rows_far_from_zero_keep_what_makes_them_differ() -> None:
    far = X.astype(np.float64) + 1e5
    quantizer = cw.auto(far, bytes_per_vector=4)
    assert frontier_of(quantizer).winner.distortion < 0.1


def test_a_quantizer_of_ones_own_is_one_more_line(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Candidate("mine", lambda d, size, seed: cw.VectorQuantizer(16), (0, 32), lambda n, r, d, size: 0.0)
    monkeypatch.setattr(candidates, "CANDIDATES", (*CANDIDATES, mine))
    assert mine in candidates.ordered(16, 4)


def test_every_candidate_keeps_its_size() -> None:
    for size in (1, 3, 17):
        for candidate in CANDIDATES:
            quantizer = candidate.make(16, size, 0)
            if quantizer is not None:
                assert quantizer.fit(X[:600]).code_size <= size, (candidate.name, size)
            assert candidate.seconds(1000, 100, 16, size) > 0


def test_the_frontier_is_a_table_a_dictionary_and_a_page(chosen: Any) -> None:
    frontier = frontier_of(chosen)
    assert len(frontier) == len(list(frontier)) == len(frontier.cells())
    assert json.loads(json.dumps(frontier.as_dict()))["winner"]["name"] == frontier.winner.name
    kept = frontier.best
    assert all(a.bytes_per_vector < b.bytes_per_vector and a.distortion > b.distortion for a, b in pairwise(kept))
    page = report.frontier_page(frontier, name="rows & <b>more</b>")
    assert "<b>more" not in page and frontier.winner.name in page and page.count("<svg") == 2
    assert all(t.name in page for t in frontier)


def test_bootstrap_intervals_cover_and_cancel_what_is_shared() -> None:
    covered = 0
    for seed in range(60):
        values = np.random.default_rng(seed).exponential(size=300)
        low, high = Bootstrap(300, seed).mean(values)
        covered += low <= 1.0 <= high
    assert 50 <= covered <= 60
    boot, shared = Bootstrap(500, 1), RNG.exponential(size=500) + 1
    low, high = boot.ratio(shared * 1.01, shared)
    assert abs(low - 1.01) < 1e-6 and abs(high - 1.01) < 1e-6
    low, high = boot.difference(shared, shared)
    assert (low, high) == (0.0, 0.0)


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no target": ({}, ValueError, "exactly one"),
    "two targets": ({"bytes_per_vector": 4, "min_recall": 0.5}, ValueError, "exactly one"),
    "no bytes": ({"bytes_per_vector": 0}, ValueError, "bytes_per_vector"),
    "half a byte": ({"bytes_per_vector": 0.5}, TypeError, "bytes_per_vector"),
    "negative distortion": ({"max_distortion": -1}, ValueError, "max_distortion"),
    "a word": ({"min_recall": "high"}, TypeError, "min_recall"),
    "recall in percent": ({"min_recall": 90}, ValueError, "min_recall"),
    "no such metric": ({"min_recall": 0.9, "metric": "dot"}, ValueError, "metric"),
    "no such measure": ({"bytes_per_vector": 4, "by": "luck"}, ValueError, "by"),
    "negative time": ({"min_recall": 0.9, "seconds": -1}, ValueError, "seconds"),
    "negative seed": ({"min_recall": 0.9, "seed": -1}, ValueError, "seed"),
    "k": ({"min_recall": 0.9, "k": 0}, ValueError, "k"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(case: str) -> None:
    given, error, word = BAD[case]
    with pytest.raises(error, match=word):
        cw.auto(X, **given)


def test_too_few_rows_are_refused_by_number() -> None:
    with pytest.raises(ValueError, match=r"X: expected at least 256 rows, .* got 255"):
        cw.auto(X[:255], bytes_per_vector=4)
    with pytest.raises(ValueError, match="expected at least 400 rows"):
        cw.auto(X[:300], bytes_per_vector=4, k=100)
    with pytest.raises(ValueError, match="row 7"):
        cw.auto(np.where(np.arange(2000)[:, None] == 7, np.nan, X), bytes_per_vector=4)
