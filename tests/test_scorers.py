"""Scorers: distances of codes are those of decoded rows, within what the tables' 16 bits or the weights' 15 bits allow."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native
from codeword.scorers import AffineScorer, DecodingScorer, TableScorer, prepare
from codeword.testing import distances

METRICS = ["l2", "ip", "cosine"]


def rows(n: int = 3000, d: int = 24, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal((n, d)) * 0.9 ** np.arange(d) + 0.3).astype(np.float32)


X, QUERIES = rows(), rows(37, seed=1)
FITTED: dict[str, Any] = {
    "product 8": cw.ProductQuantizer(6),
    "product 4, uneven": cw.ProductQuantizer(7, bits=4),
    "product 6": cw.ProductQuantizer(5, bits=6),
    "product 10": cw.ProductQuantizer(3, bits=10),
    "vector": cw.VectorQuantizer(100),
    "vector wide": cw.VectorQuantizer(700),
    "scalar 8": cw.ScalarQuantizer(8),
    "scalar 4": cw.ScalarQuantizer(4),
    "scalar 2": cw.ScalarQuantizer(2),
    "scalar 1": cw.ScalarQuantizer(1),
    "scalar mixed": cw.ScalarQuantizer([i % 9 for i in range(24)]),
    "scalar lloyd": cw.ScalarQuantizer(5, levels="lloyd-max"),
}


@pytest.fixture(params=FITTED)
def quantizer(request: pytest.FixtureRequest) -> Any:
    q = FITTED[request.param]
    return q if q.d is not None else q.fit(X)


def bound(scorer: Any, codes: np.ndarray, metric: str, wanted: np.ndarray) -> np.ndarray:
    """Largest error that the quantised tables or weights allow, (q, 1)."""
    rounding = 2e-6 * (1 + np.abs(wanted).max())
    if isinstance(scorer, TableScorer):
        looked_up = max(codes.shape[1], len(scorer._tables.scale), 24)
        return looked_up * np.abs(scorer.step)[:, None] / 2 * (4 if metric == "cosine" else 1) + rounding
    assert isinstance(scorer, AffineScorer)
    top = 24 * 255
    return np.abs(scorer._scale)[:, None] * top * (4 if metric == "cosine" else 1) + 1e-3 * rounding + 1e-4


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_the_distances_of_decoded_rows(quantizer: Any, metric: str) -> None:
    codes = quantizer.encode(X[:500])
    scorer = quantizer._scorer(QUERIES, metric)
    assert isinstance(scorer, (TableScorer, AffineScorer))
    wanted = distances(QUERIES.astype(float), quantizer.decode(codes).astype(float), metric)
    scores = scorer.scores(codes)
    assert scores.dtype == np.float32 and scores.shape == (37, 500)
    assert (np.abs(scores - wanted) <= bound(scorer, codes, metric, wanted)).all()
    assert np.abs(scores - wanted).max() <= 1e-3 * np.abs(wanted).max()
    if metric != "ip":
        assert scores.min() >= 0


@pytest.mark.parametrize("metric", METRICS)
def test_scores_ignore_isa_threads_and_blocks(quantizer: Any, metric: str, isa: str, keep_threads: None) -> None:
    codes = quantizer.encode(X)
    _native.set_threads(1)
    expected = FITTED.setdefault(f"{quantizer!r} {metric}", quantizer._scorer(QUERIES, metric).scores(codes))
    for threads in (1, 2, 7):
        _native.set_threads(threads)
        scorer = quantizer._scorer(QUERIES, metric)
        for cuts in ([0, len(codes)], [0, 1, 5, 1029, len(codes)]):
            parts = [scorer.scores(codes[a:b]) for a, b in itertools.pairwise(cuts)]
            assert np.concatenate(parts, axis=1).tobytes() == expected.tobytes()


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_alone_and_in_a_batch_agree(quantizer: Any, metric: str) -> None:
    codes = quantizer.encode(X[:50])
    batch = quantizer._scorer(QUERIES, metric).scores(codes)
    for i in (0, 17, 36):
        assert np.array_equal(quantizer._scorer(QUERIES[i : i + 1], metric).scores(codes)[0], batch[i])


@pytest.mark.parametrize("metric", METRICS)
def test_no_queries_or_no_codes_give_empty_scores(quantizer: Any, metric: str) -> None:
    codes = quantizer.encode(X[:5])
    assert quantizer._scorer(QUERIES[:0], metric).scores(codes).shape == (0, 5)
    assert quantizer._scorer(QUERIES, metric).scores(codes[:0]).shape == (37, 0)


@pytest.mark.parametrize("metric", METRICS)
def test_the_fallback_is_the_formula(metric: str) -> None:
    pq = FITTED["product 8"] if FITTED["product 8"].d else FITTED["product 8"].fit(X)
    codes = pq.encode(X[:200])
    scores = DecodingScorer(pq, QUERIES, metric).scores(codes)
    wanted = distances(QUERIES.astype(float), pq.decode(codes).astype(float), metric)
    np.testing.assert_allclose(scores, wanted.astype(np.float32), rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("bits", [1, 4])
def test_cosine_with_a_vector_of_length_zero_is_one(bits: int) -> None:
    data = np.array([[0, 0], [1, 2], [-1, 1]] * 20, np.float32)
    sq = cw.ScalarQuantizer(bits).fit(data)
    sq.levels_[:] = np.linspace(0, 1, 1 << bits)  # level 0 is zero
    books = [np.ascontiguousarray(level[:, None]) for level in sq.levels_]
    scorer = TableScorer(np.array([[0, 0], [1, 1]], np.float32), books, np.full(2, bits, np.uint8), "cosine")
    scores = scorer.scores(np.array([[0], [(1 << 2 * bits) - 1]], np.uint8))
    assert scores[0].tolist() == [1, 1]
    assert scores[1].tolist() == pytest.approx([1, 0], abs=1e-4)


def test_prepared_codebooks_give_the_same_scores() -> None:
    random = np.random.default_rng(0)
    books = [random.standard_normal((16, 3), dtype=np.float32) for _ in range(5)]
    bits, codes = np.full(5, 4, np.uint8), random.integers(0, 16, (9, 3)).astype(np.uint8)
    queries = random.standard_normal((4, 15), dtype=np.float32)
    plain, prepared = (TableScorer(queries, b, bits, "l2").scores(codes) for b in (books, prepare(books, bits)))
    assert np.array_equal(plain, prepared)


def test_huge_and_tiny_numbers_do_not_break_tables() -> None:
    for size in (1e-30, 1e18):
        data = (X[:500] * np.float32(size)).astype(np.float32)
        for q in (cw.ProductQuantizer(4, bits=4).fit(data), cw.ScalarQuantizer(4).fit(data)):
            codes = q.encode(data)
            scores = q._scorer(data[:3], "l2").scores(codes)
            wanted = distances(data[:3].astype(float), q.decode(codes).astype(float), "l2")
            assert np.isfinite(scores).all()
            assert np.abs(scores - wanted).max() <= 1e-3 * wanted.max() + 1e-37
