"""Searches of lists in native code find what scoring every row and sorting finds, on every instruction set, for any threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native
from codeword.first_pass import FirstPass
from codeword.search.estimator import Estimator

D, N, LISTS = 40, 1500, 7


def made(metric: str, factors: bool, seed: int = 0) -> tuple[Any, list[np.ndarray], np.ndarray]:
    """What makes first passes of queries; the columns of rows; the rows."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(N, D)).astype(np.float32) * np.linspace(3, 0.3, D, dtype=np.float32) + 0.5
    tq = cw.TrellisQuantizer(2.0, effort="fast").fit(X)
    codes = tq.encode(X)
    if not factors:
        return lambda Q: tq.scorer(Q, metric).first_pass, [codes], X
    estimator = Estimator.fit(tq, metric, X)
    return lambda Q: estimator.scorer(Q).first_pass, [codes, estimator.side(X, codes)], X


def found(given_pass: FirstPass, columns: list[np.ndarray], k: int, probes: list[list[int]] | None, **given: Any) -> Any:
    pools = _native.NearestPools(len(given_pass.before), k)
    bounds = given.get("bounds", np.array([0, len(columns[0])]))
    lists = None if probes is None else np.array([number for p in probes for number in p], np.int64)
    ends = None if probes is None else np.cumsum([0, *(len(p) for p in probes)])
    given_pass.search(pools, columns, given.get("out"), given.get("ids"), given.get("first", 0), bounds, lists, ends)
    return pools.sorted()


def wanted(scores: np.ndarray, names: np.ndarray, k: int, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = np.full((len(scores), k), np.inf, np.float32)
    ids = np.full((len(scores), k), 2**63 - 1)
    for row, may, d, i in zip(scores, allowed, distances, ids, strict=True):
        order = [at for at in np.lexsort((names, row)) if may[at]][:k]
        d[: len(order)], i[: len(order)] = row[order], names[order]
    return distances, ids


@pytest.mark.parametrize("q", [1, 2, 33, 70])
@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_all_rows_equal_scores_sorted(isa: str, metric: str, factors: bool, q: int) -> None:
    of, columns, X = made(metric, factors)
    first = of(X[:q] + np.float32(0.1))
    scores = first.scores(*columns)
    for k in (1, 40):
        distances, names = found(first, columns, k, None, first=5)
        right = wanted(scores, np.arange(5, 5 + N), k, np.ones((q, N), bool))
        assert np.array_equal(distances, right[0]) and np.array_equal(names, right[1])


@pytest.mark.parametrize("q", [1, 3, 40])
def test_lists_masks_and_ids_equal_scores_sorted(isa: str, q: int) -> None:
    of, columns, X = made("l2", True)
    random = np.random.default_rng(q)
    bounds = np.sort(np.concatenate([[0, N, 300, 300], random.integers(0, N, LISTS - 3)]))
    label = np.searchsorted(bounds, np.arange(N), side="right") - 1
    probes = [random.permutation(LISTS)[: random.integers(0, LISTS)].tolist() for _ in range(q)]
    out, ids = random.random(N) < 0.2, random.permutation(10 * N)[:N]
    first = of(X[:q] * np.float32(0.9))
    distances, names = found(first, columns, 60, probes, bounds=bounds, out=out, ids=ids)
    allowed = np.array([np.isin(label, p) & ~out for p in probes])
    right = wanted(first.scores(*columns), ids, 60, allowed)
    assert np.array_equal(distances, right[0]) and np.array_equal(names, right[1])


def test_equal_distances_go_by_name_and_infinite_ones_are_left_out() -> None:
    of, columns, X = made("l2", False)
    same = [np.repeat(columns[0][:1], N, axis=0)]
    first = of(X[:1])
    assert found(first, same, 30, None)[1].tolist() == [list(range(30))]
    far = FirstPass(first.scorer, np.full(1, np.inf, np.float32), first.after)
    assert found(far, same, 3, None)[1].tolist() == [[2**63 - 1] * 3]


def test_threads_change_nothing(keep_threads: None) -> None:
    of, columns, X = made("ip", True)
    first = of(X[:9])
    results = []
    for threads in (1, 2, 5):
        _native.set_threads(threads)
        results.append(found(first, columns, 50, None))
    assert all(np.array_equal(r[0], results[0][0]) and np.array_equal(r[1], results[0][1]) for r in results)


@pytest.mark.parametrize(
    "wrong", [{"bounds": np.array([0, N + 1])}, {"bounds": np.array([3, 2])}, {"ids": np.arange(3)}, {"out": np.zeros(2, bool)}]
)
def test_arrays_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    of, columns, X = made("l2", False)
    with pytest.raises(ValueError, match="expected"):
        found(of(X[:1]), columns, 3, None, **wrong)


def test_lists_that_are_not_there_are_refused() -> None:
    of, columns, X = made("l2", False)
    for probes in ([[1]], [[-1]], [[0], [0]]):
        with pytest.raises(ValueError, match="expected"):
            found(of(X[:1]), columns, 3, probes)


def test_nearest_of_sorts_by_distance_then_name() -> None:
    distances = np.array([[2, 1, 1, np.inf], [0, 0, 0, 0]], np.float32)
    names = np.array([[9, 8, 3, 1], [4, 3, 2, 1]])
    near, named = _native.nearest_of(distances, names, 3)
    assert near.tolist() == [[1, 1, 2], [0, 0, 0]] and named.tolist() == [[3, 8, 9], [1, 2, 3]]
    assert _native.nearest_of(distances, names, 9)[0].shape == (2, 4)
