"""Statistics of shards, merged in any order, give bit for bit the codebook of all rows in memory."""

from __future__ import annotations

import random
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeword import runtime
from codeword.training import kmeans, seeding
from codeword.training.statistics import Plan, Statistics, Survey, merge

rng = np.random.default_rng(11)
ROWS = (rng.normal(size=(1200, 7)) * 2.0 ** rng.integers(-3, 4, 7) + rng.integers(0, 3, (1200, 1)) * 9).astype(np.float32)
WEIGHT = rng.choice([0, 0.25, 1, 3.7], 1200).astype(np.float32)


def shards(n: int, parts: int, seed: int = 0) -> list[slice]:
    """`parts` ranges that cover n rows, in shuffled order."""
    cuts = [0, *sorted(random.Random(seed).sample(range(1, n), parts - 1)), n]
    ranges = [slice(a, b) for a, b in pairwise(cuts)]
    random.Random(seed).shuffle(ranges)
    return ranges


def part(weight: np.ndarray | None, rows: slice) -> np.ndarray | None:
    return None if weight is None else weight[rows]


def sharded_passes(X: np.ndarray, codebook: np.ndarray, weight: np.ndarray | None, passes: int, parts: int) -> np.ndarray:
    """Plain Lloyd passes, everything travelling as bytes, as between machines."""
    surveys = [Survey.of(X[s], part(weight, s), s.start).to_bytes() for s in shards(len(X), parts)]
    plan = Plan.from_bytes(Plan.of(merge(map(Survey.from_bytes, surveys))).to_bytes())
    for i in range(passes):
        maps = [plan.map(codebook, X[s], part(weight, s), s.start).to_bytes() for s in shards(len(X), parts, i)]
        codebook = plan.finish(codebook, merge(map(Statistics.from_bytes, maps)))
    return codebook


@pytest.mark.parametrize("parts", [1, 3, 16])
@pytest.mark.parametrize("scale", [2.0**-60, 1.0, 2.0**60])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_any_split_and_order_gives_the_codebook_of_rows_in_memory(scale: float, weight: np.ndarray | None, parts: int) -> None:
    X = ROWS * np.float32(scale)
    start = X[[0, 1, 2, 3, 3, 3, 4, 5, 5]]  # cells of codewords that come twice are empty: far rows repair them
    whole = kmeans.lloyd(X, start, weight, 4, 0.0, np.ones(len(X), bool), relaxation=1.0)
    assert whole.repaired > 0
    np.testing.assert_array_equal(sharded_passes(X, start, weight, 4, parts), whole.codebook)


@pytest.mark.parametrize("exponents", [(-60, 60), (-120, 120)])
def test_columns_of_very_different_size_are_summed_exactly_too(exponents: tuple[int, int]) -> None:
    X = np.ldexp(ROWS, rng.integers(*exponents, ROWS.shape[1]).astype(np.int32)).astype(np.float32)
    weight = np.ldexp(WEIGHT, rng.integers(-20, 20, len(X))).astype(np.float32)
    whole = kmeans.lloyd(X, X[:12], weight, 3, 0.0, np.ones(len(X), bool), relaxation=1.0)
    np.testing.assert_array_equal(sharded_passes(X, X[:12], weight, 3, 7), whole.codebook)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_number_of_threads_changes_nothing(keep_threads: None, threads: int) -> None:
    plan, codebook = Plan.of(Survey.of(ROWS, WEIGHT)), ROWS[:20]
    expected = plan.map(codebook, ROWS, WEIGHT).to_bytes()
    runtime.set_threads(threads)
    assert merge(plan.map(codebook, ROWS[s], WEIGHT[s], s.start) for s in shards(len(ROWS), 5)).to_bytes() == expected


def test_a_hundred_million_coordinates_in_sixteen_shards() -> None:
    X = np.random.default_rng(0).random((1_000_000, 100), np.float32)
    plan, codebook = Plan.of(merge(Survey.of(X[s], None, s.start) for s in shards(len(X), 16))), X[:2]
    whole = plan.map(codebook, X)
    assert merge(plan.map(codebook, X[s], None, s.start) for s in shards(len(X), 16)).to_bytes() == whole.to_bytes()
    mean = plan.counts(whole) @ plan.finish(codebook, whole).astype(np.float64) / len(X)
    np.testing.assert_allclose(mean, X.mean(0, dtype=np.float64), rtol=1e-6)
    assert plan.distortion(whole) * X.size == pytest.approx(float(whole.loss), rel=1e-15)


@given(st.lists(st.integers(1, len(ROWS) - 1), max_size=8, unique=True), st.randoms())
@settings(max_examples=25, deadline=None)
def test_merging_is_associative_and_commutative(cuts: list[int], shuffler: random.Random) -> None:
    plan, codebook = Plan.of(Survey.of(ROWS)), ROWS[:6]
    edges = [0, *sorted(cuts), len(ROWS)]
    parts = [plan.map(codebook, ROWS[a:b], None, a) for a, b in pairwise(edges)]
    while len(parts) > 1:
        shuffler.shuffle(parts)
        parts = [parts[0].merged(parts[1]), *parts[2:]]
    assert parts[0].to_bytes() == plan.map(codebook, ROWS).to_bytes()


def test_outliers_are_left_out_and_never_become_codewords() -> None:
    X = ROWS.copy()
    X[::150] *= 1000
    eligible, outlier = seeding.split_rows(X, None, 0)
    median = seeding.median_row(X[seeding.median_sample(len(X), 0)])
    squares = seeding.Fence(median, 0.0).squares(X)
    fence = seeding.Fence(median, float(squares[eligible].max()), float(squares[~outlier].max()))
    plan = Plan(len(X), X[~outlier].min(0), X[~outlier].max(0), None, fence)
    start = X[[1, 2, 2, 2]]
    merged = merge(plan.map(start, X[s], None, s.start) for s in shards(len(X), 4))
    cells = kmeans.Cells(X[~outlier], 4, None, plan)
    cells.eligible = eligible[~outlier]
    cells.take(*kmeans.exactly(X[~outlier])(start))
    assert outlier.sum() == 8 and merged.mass.sum() == len(X) - 8
    np.testing.assert_array_equal(merged.sums, cells.sums)
    np.testing.assert_array_equal(merged.farthest.values, cells.farthest.values)


def test_merging_leaves_the_parts_as_they_are() -> None:
    plan = Plan.of(Survey.of(ROWS))
    parts = [plan.map(ROWS[:5], ROWS[s], None, s.start) for s in shards(len(ROWS), 3)]
    before = [p.to_bytes() for p in parts]
    merge(parts)
    assert [p.to_bytes() for p in parts] == before


def test_shards_that_come_twice_overlap_or_are_missing_are_refused() -> None:
    plan, codebook = Plan.of(Survey.of(ROWS)), ROWS[:5]
    low, high = plan.map(codebook, ROWS[:700]), plan.map(codebook, ROWS[700:], None, 700)
    with pytest.raises(ValueError, match="rows 0 to 699 are in two"):
        merge([low, high, low])
    with pytest.raises(ValueError, match="rows 650 to 699 are in two"):
        merge([low, plan.map(codebook, ROWS[650:], None, 650)])
    with pytest.raises(ValueError, match="all 1200 rows, missing are rows 0 to 699"):
        plan.finish(codebook, high)
    with pytest.raises(ValueError, match="rows 5 to 9 are in two"):
        merge([Survey.of(ROWS[:10]), Survey.of(ROWS[5:20], None, 5)])
    with pytest.raises(ValueError, match="without gaps, missing are rows 10 to 19"):
        Plan.of(merge([Survey.of(ROWS[:10]), Survey.of(ROWS[20:30], None, 20)]))
    with pytest.raises(ValueError, match="at least one"):
        merge([])


def test_statistics_of_another_plan_or_codebook_are_refused() -> None:
    plan, codebook = Plan.of(Survey.of(ROWS)), ROWS[:5]
    low = plan.map(codebook, ROWS[:700])
    other_codebook = plan.map(ROWS[1:6], ROWS[700:], None, 700)
    other_plan = Plan.of(Survey.of(ROWS * 2)).map(codebook, ROWS[700:], None, 700)
    for foreign in (other_codebook, other_plan):
        with pytest.raises(ValueError, match="different plans or codebooks"):
            merge([low, foreign])
    with pytest.raises(ValueError, match="another plan or codebook"):
        plan.finish(ROWS[1:6], low)
    with pytest.raises(ValueError, match="all with weights or all without"):
        merge([Survey.of(ROWS[:5]), Survey.of(ROWS[5:], WEIGHT[5:], 5)])


def test_damaged_bytes_are_refused() -> None:
    data = Survey.of(ROWS).to_bytes()
    for bad in (b"", data[:100], data[:200] + b"x" + data[201:], Plan.of(Survey.of(ROWS)).to_bytes()):
        with pytest.raises(ValueError, match="expected arrays covers"):
            Survey.from_bytes(bad)


def test_rows_of_weight_zero_tell_nothing() -> None:
    spoiled = ROWS.copy()
    spoiled[WEIGHT == 0] = 1e30
    surveys = [Survey.of(spoiled[s], WEIGHT[s], s.start) for s in shards(len(ROWS), 9)]
    survey = reduce(Survey.merged, surveys)
    assert survey.n == len(ROWS) and survey.heaviest == np.float32(3.7)
    np.testing.assert_array_equal(survey.high, ROWS[WEIGHT > 0].max(0))
    with pytest.raises(ValueError, match="weight above 0"):
        Plan.of(Survey.of(ROWS, np.zeros(len(ROWS), np.float32)))
