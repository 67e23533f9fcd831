"""Exact search is exact: the distances and ties of the float64 definition, whatever the filter's blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeword import exact
from codeword.exact import exact_search
from codeword.lanes import lane_dot, lane_sum
from data import load

RNG = np.random.default_rng(4)
METRICS = ["l2", "ip", "cosine"]


def brute_force(X: Any, Q: Any, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """The definition, one query at a time."""
    X, Q = np.asarray(X).astype(np.float64), np.asarray(Q).astype(np.float64)
    ids, distances = [], []
    for q in Q:
        if metric == "l2":
            scores = lane_sum((X - q) ** 2)
        else:
            scores = -lane_dot(X, np.broadcast_to(q, X.shape))
            if metric == "cosine":
                lengths = np.sqrt(lane_sum(q[None] ** 2)) * np.sqrt(lane_sum(X**2))
                scores = 1 + np.divide(scores, lengths, out=np.zeros(len(X)), where=lengths > 0)
        order = np.lexsort((np.arange(len(X)), scores))[:k]
        ids.append(order)
        distances.append(scores[order])
    return np.array(ids), np.array(distances)


def check(X: Any, Q: Any, k: int, metric: str) -> None:
    ids, distances = exact_search(X, Q, k, metric)
    expected, scores = brute_force(X, Q, k, metric)
    assert ids.dtype == np.int64 and distances.dtype == np.float64
    assert (distances == scores).all()
    assert (ids == expected).all()


def lane_order(row: list[float]) -> float:
    """ARCHITECTURE.md, Exactness, in plain Python."""
    a = [0.0] * 8
    for i, x in enumerate(row):
        a[i % 8] += x
    b = [a[i] + a[i + 4] for i in range(4)]
    c = [b[i] + b[i + 2] for i in range(2)]
    return c[0] + c[1]


@pytest.mark.parametrize("d", [1, 7, 8, 9, 31, 100])
def test_lane_order_is_as_written(d: int) -> None:
    A, B = RNG.standard_normal((2, 5, d)).astype(np.float32)
    products = A.astype(np.float64) * B
    assert lane_sum(products).tolist() == [lane_order(row) for row in products.tolist()]
    assert lane_dot(A, B).tolist() == lane_sum(products).tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d", "q", "k"), [(1, 1, 1, 1), (50, 3, 7, 50), (3000, 16, 300, 10), (5000, 100, 20, 100)])
def test_equals_brute_force(metric: str, n: int, d: int, q: int, k: int) -> None:
    rows = RNG.standard_normal((n + q, d)).astype(np.float32)
    check(rows[:n], rows[n:], k, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [1e-6, 1e-2, 1.0])
def test_equals_brute_force_far_from_zero(metric: str, spread: float) -> None:
    rows = (RNG.standard_normal((2200, 12)) * spread + 100).astype(np.float32)
    check(rows[:2000], rows[2000:], 7, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_ties_go_to_the_lowest_row(metric: str) -> None:
    some = RNG.integers(-2, 3, (40, 3)).astype(np.float32)  # zeros among them
    X = some[RNG.integers(0, 40, 4000)]
    check(X, some, 25, metric)
    ids, _ = exact_search(np.ones((3000, 4)), np.ones((2, 4)), 5, metric)
    assert ids.tolist() == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_equals_brute_force_on_anything(metric: str, data: st.DataObject) -> None:
    numbers = st.sampled_from([0.0, 1.0, -1.0, 1e-3, 3e38, -1e20, 1e-45, 1e-30, 2.0**-149]) | st.floats(-1e3, 1e3, width=32)
    d = data.draw(st.integers(1, 10))
    row = st.lists(numbers, min_size=d, max_size=d)
    X = np.array(data.draw(st.lists(row, min_size=1, max_size=30)), np.float32)
    Q = np.array(data.draw(st.lists(row, min_size=1, max_size=5)), np.float32)
    check(X, Q, data.draw(st.integers(1, len(X))), metric)


@pytest.mark.parametrize("metric", METRICS)
def test_result_ignores_blocks(monkeypatch: pytest.MonkeyPatch, metric: str) -> None:
    rows = np.round(RNG.standard_normal((3100, 6)), 1).astype(np.float32)
    before = exact_search(rows[:3000], rows[3000:], 20, metric)
    for name, value in {
        "_QUERIES_A_BLOCK": 7,
        "_ROWS_FIRST": 10,
        "_ROWS_MOST": 90,
        "_PENDING_PAIRS": 50,
        "_RESCORE_ELEMENTS": 100,
        "_MEAN_ROWS": 3,
    }.items():
        monkeypatch.setattr(exact, name, value)
    after = exact_search(rows[:3000], rows[3000:], 20, metric)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("metric", METRICS)
def test_float64_rows_keep_what_makes_them_differ(metric: str) -> None:
    rows = RNG.standard_normal((1100, 5)) + 1e9
    check(rows[:1000], rows[1000:], 5, metric)


def test_mixed_types_and_no_queries() -> None:
    X = RNG.integers(0, 256, (500, 8)).astype(np.uint8)
    check(X, RNG.standard_normal((3, 8)) * 100, 4, "l2")
    ids, distances = exact_search(X, np.zeros((0, 8)), 4)
    assert ids.shape == distances.shape == (0, 4)


def test_the_filter_leaves_little_to_score_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = []
    real = exact.distances_of_pairs
    monkeypatch.setattr(exact, "distances_of_pairs", lambda X, Q, r, q, m: pairs.append(len(r)) or real(X, Q, r, q, m))
    rows = RNG.standard_normal((10_200, 64)).astype(np.float32)
    exact_search(rows[:10_000], rows[10_000:], 10)
    assert sum(pairs) < 1.2 * 10 * 200


@pytest.mark.parametrize("name", ["minilm-wordnet", "sift-kodak", "mnist784"])
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_equals_the_stored_neighbours_of_real_rows(name: str, metric: str) -> None:
    X, Q, truth = load(name), load(name, "queries")[:200], load(name, f"gt_{metric}")[:200]
    ids, distances = exact_search(X, Q, truth.shape[1], metric)
    expected = np.take_along_axis(brute_force(X, Q[:1], len(X), metric)[1], np.arange(truth.shape[1])[None], axis=1)
    assert (distances[:1] == expected).all()
    assert (ids == truth).all()


def test_bad_arguments_are_named() -> None:
    X = np.ones((5, 3))
    for call, word in (
        (lambda: exact_search(X, X, 6), "k"),
        (lambda: exact_search(X, X[:, :2], 1), "queries"),
        (lambda: exact_search(X * np.nan, X, 1), "X"),
        (lambda: exact_search(X, X * 1e200, 1), "queries"),
        (lambda: exact_search(X, X, 1, "dot"), "metric"),
    ):
        with pytest.raises(ValueError, match=f"^{word}: "):
            call()
