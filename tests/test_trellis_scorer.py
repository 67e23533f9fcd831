"""Scores of trellis codes are distances to what the codes decode to; a search by the first pass finds what the second would."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native
from codeword.search import flat, scan
from codeword.testing import distances
from codeword.trellis_scorer import TrellisScorer
from data import load

METRICS = ("l2", "ip", "cosine")


def rows(n: int, d: int = 130, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n, d)) * 0.98 ** np.arange(d) + 0.1).astype(np.float32)


X, QUERIES = rows(700), rows(37, seed=1)
FITTED: dict[str, Any] = {
    "even": cw.TrellisQuantizer(2, effort="fast"),
    "waterfill": cw.TrellisQuantizer(1.3, allocation="waterfill", effort="fast"),
    "below a bit": cw.TrellisQuantizer(0.3, effort="fast"),
    "stages": cw.TrellisQuantizer(5, stages=2, effort="fast"),
    "constant": cw.TrellisQuantizer(1.0, effort="fast"),
    "pipeline": cw.Pipeline([cw.KLT(40)], cw.TrellisQuantizer(3, allocation="waterfill", effort="fast")),
}


@pytest.fixture(params=FITTED)
def quantizer(request: pytest.FixtureRequest) -> Any:
    q = FITTED[request.param]
    return q if q.d is not None else q.fit(np.full((50, 130), 0.5) if request.param == "constant" else X)


def size(queries: np.ndarray, decoded: np.ndarray, metric: str) -> Any:
    """What an error of an inner product is measured against."""
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(decoded, axis=1)
    return {"l2": 2 * lengths + (decoded**2).sum(1), "ip": lengths, "cosine": 1.0}[metric]


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_the_distances_of_decoded_rows(quantizer: Any, metric: str) -> None:
    codes = quantizer.encode(X[:300])
    decoded = quantizer.decode(codes).astype(float)
    wanted = distances(QUERIES.astype(float), decoded, metric)
    scorer, scale = quantizer.scorer(QUERIES, metric), size(QUERIES, decoded, metric)
    assert (np.abs(scorer.scores(codes) - wanted) <= 5e-5 * scale).all()
    if scorer.rough is not None:
        assert (np.abs(scorer.rough(codes) - wanted) <= 7e-2 * scale).all()


@pytest.mark.parametrize("metric", METRICS)
def test_refining_gives_the_scores_of_chosen_rows(quantizer: Any, metric: str) -> None:
    codes = quantizer.encode(X[:300])
    scorer = quantizer.scorer(QUERIES, metric)
    chosen = np.random.default_rng(0).integers(0, 300, (len(QUERIES), 20))
    assert np.array_equal(scorer.refine(codes[chosen]), np.take_along_axis(scorer.scores(codes), chosen, axis=1))


@pytest.mark.parametrize("metric", METRICS)
def test_scores_ignore_isa_threads_blocks_and_company(quantizer: Any, metric: str, isa: str, keep_threads: None) -> None:
    codes = quantizer.encode(X)

    def both(queries: np.ndarray, cuts: list[int]) -> np.ndarray:
        scorer = quantizer.scorer(queries, metric)
        kinds = [scorer.scores, scorer.rough or scorer.scores]
        return np.stack([np.concatenate([f(codes[a:b]) for a, b in itertools.pairwise(cuts)], axis=1) for f in kinds])

    _native.set_threads(1)
    expected = FITTED_SCORES.setdefault((repr(quantizer), metric), both(QUERIES, [0, len(X)]))
    for threads in (1, 3):
        _native.set_threads(threads)
        assert np.array_equal(both(QUERIES, [0, 1, 5, len(X)]), expected)
    assert np.array_equal(both(QUERIES[4:5], [0, len(X)]), expected[:, 4:5])


FITTED_SCORES: dict[tuple[str, str], np.ndarray] = {}


@pytest.mark.parametrize("metric", METRICS)
def test_no_queries_or_no_codes_give_empty_scores(quantizer: Any, metric: str) -> None:
    codes = quantizer.encode(X[:5])
    for method in ("scores", "rough"):
        for queries, part in ((QUERIES[:0], codes), (QUERIES, codes[:0])):
            score = getattr(quantizer.scorer(queries, metric), method)
            assert score is None or score(part).shape == (len(queries), len(part))


def test_queries_of_zeros_score_zero() -> None:
    q = FITTED["even"] if FITTED["even"].d else FITTED["even"].fit(X)
    codes = q.encode(X[:50])
    for kind in ("rough", "scores"):
        assert not getattr(q.scorer(np.zeros((1, 130), np.float32), "ip"), kind)(codes).any()
        assert (getattr(q.scorer(np.zeros((1, 130), np.float32), "cosine"), kind)(codes) == 1).all()


@pytest.mark.parametrize("factors", [True, False])
@pytest.mark.parametrize("metric", METRICS)
def test_a_search_in_two_passes_finds_what_a_full_one_does(metric: str, factors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data, queries = load("sift-kodak")[:6000].astype(np.float32), load("sift-kodak", "queries")[:100].astype(np.float32)
    q = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2, allocation="waterfill", effort="fast")).fit(data[:2000])
    index = cw.Index(q, metric, factors=factors).add(data, ids=np.arange(6000) * 3)
    two = index.search(queries, 10)
    monkeypatch.setattr(scan, "CANDIDATES", (6000, 0))
    full = index.search(queries, 10)
    assert np.mean((two.ids[:, :, None] == full.ids[:, None, :]).any(2)) >= 0.999
    assert (np.diff(two.distances, axis=1) >= 0).all()
    same = two.ids == full.ids
    assert np.mean(same) >= 0.99
    assert np.array_equal(two.distances[same], full.distances[same])


def test_the_first_pass_uses_each_blocks_scale() -> None:
    """Columns that vary a hundred times less than others keep most of their bits."""
    data = np.random.default_rng(0).standard_normal((400, 128)).astype(np.float32)
    data[:, :64] *= 100
    q = cw.TrellisQuantizer(3, effort="fast").fit(data)
    codes, query = q.encode(data), np.ones((1, 128), np.float32)
    query[:, :64] = 0
    scorer = q.scorer(query, "ip")
    assert isinstance(scorer, TrellisScorer) and scorer.rough is not None
    assert np.abs(scorer.rough(codes) - scorer.scores(codes)).max() < 2


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_a_search_in_two_passes_gives_the_nearest_first(metric: str) -> None:
    many = np.random.default_rng(3).normal(size=(2000, 32)).astype(np.float32)
    tq = cw.TrellisQuantizer(2.0, effort="fast").fit(many)
    ids, found = flat.scan(tq, tq.encode(many), many[:20], 10, metric)
    assert (np.diff(found, axis=1) >= 0).all()
    if metric == "l2":
        assert ids[:, 0].tolist() == list(range(20))
