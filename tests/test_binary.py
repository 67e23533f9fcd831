"""BinaryQuantizer: reconstructions, estimates without bias, error bars that hold, and what files may not say."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import FormatError, testing
from codeword.exact import exact_search

METRICS = ["l2", "ip", "cosine"]
rng = np.random.default_rng(6)
MIXING = rng.normal(size=(96, 96)) * 0.95 ** np.arange(96)[:, None]
X = (rng.normal(size=(1500, 96)) @ MIXING + 2.0).astype(np.float32)
QUERIES = X[1400:]
ROWS = X[:1400]


def rotated(bits: int, seed: int = 0) -> cw.Pipeline:
    return cw.Pipeline([cw.Center(), cw.Rotation(seed=seed)], cw.BinaryQuantizer(bits))


@pytest.mark.parametrize(("bits", "most"), [(1, 0.37), (2, 0.125), (3, 0.039), (4, 0.0125), (6, 0.0011), (8, 2e-4)])
def test_reconstructions_use_all_bits(bits: int, most: float) -> None:
    """Relative distortion on rotated rows, the two bytes' rounding included; the sign part alone leaves 0.36."""
    bq = rotated(bits).fit(X)
    assert bq.distortion(X).relative < most
    assert bq.code_size == -(-bits * 96 // 8) + 2


def test_the_reconstruction_is_the_least_squares_one() -> None:
    """No multiple of it is much nearer to the row: as near as a byte tells the length."""
    bq = cw.BinaryQuantizer().fit(X - X.mean(0))
    rows = X[:50] - X.mean(0)
    decoded = bq.decode(bq.encode(rows)).astype(np.float64)
    best = (rows * decoded).sum(1) / (decoded**2).sum(1)
    assert np.abs(best - 1).max() < 0.02


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("metric", METRICS)
def test_error_bars_hold_as_often_as_they_say(bits: int, metric: str) -> None:
    """Coverage over several rotations, of all pairs and of the nearest rows, where a biased estimate would show."""
    truth = testing.distances(QUERIES.astype(float), ROWS.astype(float), metric)
    near = np.argsort(truth, axis=1)[:, :10]
    for confidence in (0.8, 0.95):
        held, of_near = [], []
        for seed in range(4):
            bq = rotated(bits, seed).fit(X)
            codes = bq.encode(ROWS)
            scorer = bq.scorer(QUERIES, metric)
            inside = np.abs(scorer.scores(codes) - truth) <= scorer.error_bars(codes, confidence)
            held.append(inside.mean())
            of_near.append(np.take_along_axis(inside, near, 1).mean())
        assert np.mean(held) >= confidence - 0.01
        assert np.mean(of_near) >= confidence - 0.02


@pytest.mark.parametrize("bits", [1, 2])
def test_error_bars_shrink_with_the_root_of_the_width(bits: int) -> None:
    widths = []
    for d in (64, 1024):
        rows = rng.normal(size=(200, d)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        bq = rotated(bits).fit(rows)
        widths.append(float(np.median(bq.scorer(rows[:5], "ip").error_bars(bq.encode(rows)))))
    assert 0.2 < widths[1] / widths[0] < 0.31  # 1 / 4, and the rounding of two bytes


@pytest.mark.parametrize("bits", [1, 3, 4])
def test_estimates_have_no_bias(bits: int) -> None:
    """The mean error over rotations is a small part of the error, even along a row itself."""
    errors = []
    for seed in range(12):
        bq = rotated(bits, seed).fit(X)
        scores = bq.scorer(ROWS[:100], "l2").scores(bq.encode(ROWS[:100]))
        errors.append(scores - testing.distances(ROWS[:100].astype(float), ROWS[:100].astype(float), "l2"))
    error = np.array(errors)
    own = np.diagonal(error, axis1=1, axis2=2)
    assert abs(error.mean()) < 0.02 * error.std()
    assert abs(own.mean()) < 0.15 * error.std()


def test_estimates_find_more_neighbours_than_reconstructions() -> None:
    truth = exact_search(ROWS, QUERIES, 10, "l2")[0]
    bq = rotated(1).fit(X)
    codes = bq.encode(ROWS)
    by_score = np.argsort(bq.scorer(QUERIES, "l2").scores(codes), axis=1, kind="stable")[:, :10]
    by_row = np.argsort(testing.distances(QUERIES.astype(float), bq.decode(codes).astype(float), "l2"), axis=1)[:, :10]
    assert cw.recall(by_score, truth, 10) >= cw.recall(by_row, truth, 10)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits", [1, 4])
def test_scores_of_one_query_are_those_of_a_batch(isa: str, metric: str, bits: int) -> None:
    bq = rotated(bits).fit(X)
    codes = bq.encode(ROWS[:300])
    batch = bq.scorer(QUERIES[:70], metric).scores(codes)
    for one in (0, 13, 64, 69):
        assert np.array_equal(bq.scorer(QUERIES[one : one + 1], metric).scores(codes)[0], batch[one])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bits", [1, 5])
def test_rows_and_queries_of_zeros_are_at_a_finite_distance(metric: str, bits: int) -> None:
    bq = cw.BinaryQuantizer(bits).fit(ROWS)
    rows = np.concatenate([np.zeros((1, 96), np.float32), ROWS[:3]])
    codes = bq.encode(rows)
    assert np.array_equal(bq.decode(codes)[0], np.zeros(96))
    scorer = bq.scorer(rows, metric)
    scores = scorer.scores(codes)
    assert np.isfinite(scores).all()
    assert np.isfinite(scorer.error_bars(codes)).all()
    if metric == "cosine":
        assert (scores[0] == 1).all()
        assert (scores[:, 0] == 1).all()
    else:
        assert np.isclose(scores[0, 0], 0)


def test_one_query_coordinate_far_larger_than_the_others_keeps_its_weight() -> None:
    bq = cw.BinaryQuantizer().fit(ROWS)
    query = np.full((1, 96), 1e-3, np.float32)
    query[0, 40] = 1e20
    codes = bq.encode(ROWS[:50])
    scores = bq.scorer(query, "ip").scores(codes)[0]
    assert np.array_equal(np.sign(scores), -np.sign(ROWS[:50, 40]))


@pytest.mark.parametrize("bits", [0, 9, 1.5, "two", True])
def test_bits_out_of_range_are_refused(bits: object) -> None:
    with pytest.raises((ValueError, TypeError), match="bits"):
        cw.BinaryQuantizer(bits).fit(ROWS)  # type: ignore[arg-type]


@pytest.mark.parametrize("confidence", [0, 1, -0.5, "high", float("nan")])
def test_confidence_out_of_range_is_refused(confidence: object) -> None:
    bq = cw.BinaryQuantizer().fit(ROWS)
    with pytest.raises((ValueError, TypeError), match="confidence"):
        bq.scorer(ROWS[:1]).error_bars(bq.encode(ROWS[:1]), confidence)


def test_a_scorer_without_error_bars_says_so() -> None:
    pq = cw.Pipeline([cw.Center()], cw.ScalarQuantizer(4)).fit(ROWS)
    with pytest.raises(TypeError, match="error bars"):
        pq.scorer(ROWS[:1]).error_bars(pq.encode(ROWS[:1]))


def test_levels_that_fall_are_a_format_error() -> None:
    bq = cw.BinaryQuantizer().fit(ROWS)
    state = bq.state()
    for bad in (-state["levels"], state["levels"][:, ::-1].copy(), state["levels"][:, :5], state["levels"] * np.nan):
        with pytest.raises(FormatError, match="levels"):
            cw.BinaryQuantizer.from_config(bq.config(), {**state, "levels": bad})
