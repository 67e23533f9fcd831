"""The scans of trellis codes give their twins' sums on every instruction set, for any widths, tables, numbers of queries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeword import _native, reference, trellis


def fields(steps: list[tuple[int, int, int]], window: int) -> dict[str, Any]:
    count = sum(c for _, _, c in steps)
    spare = [(1, 1, 0)] * (-sum(w for w, _, _ in steps) % 8)
    layout = trellis.Layout(np.array([*steps, *spare], np.int32), np.arange(count, dtype=np.int32))
    return trellis.arguments(trellis.shipped(window), layout, np.zeros(count), np.ones(count), 0)


PERIODS = np.array([17, 66], np.uint8)


def merged(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Tables (256 each) some of which have one or both periods."""
    tables = values.reshape(-1, 256).copy()
    for table in tables:
        for period in PERIODS[: random.integers(0, 3)]:
            table[:] = np.minimum(table, table[np.arange(256) ^ period])
    return tables.ravel()


def check(code: dict[str, Any], n: int, queries: int, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    coder, d = _native.Trellis(**code), len(code["columns"])
    codes = random.integers(0, 256, (n, coder.code_size), dtype=np.uint8)
    values = merged(random.integers(0, 256, len(code["values"]), dtype=np.uint8), random)
    weights = random.integers(-127, 128, (queries, d), dtype=np.int8)
    rise = random.integers(0, 3, -(-d // 64)).astype(np.uint8)
    rise -= rise.min()
    order = np.argsort(-rise.astype(int), kind="stable").astype(np.int32)
    scale, bias = random.normal(size=(2, queries)).astype(np.float32)
    wanted = reference.trellis_scan(codes, code, values, weights, rise).T.astype(np.float32) * scale[:, None] + bias[:, None]
    tables = _native.TrellisTables(coder, values, PERIODS, order, rise)
    found = _native.TrellisQueries(tables, weights, scale, bias).scan(codes)
    assert found.tobytes() == wanted.tobytes()
    wide = random.integers(-32767, 32768, (queries, d), dtype=np.int16)
    wanted_products = reference.trellis_dot(codes, code, wide)
    assert np.array_equal(coder.dot(codes, wide), wanted_products)
    if queries:
        each = np.stack([codes[random.permutation(n)] for _ in range(queries)])
        own = [reference.trellis_dot(each[q], code, wide[q : q + 1])[0] for q in range(queries)]
        assert np.array_equal(coder.dot_each(each, wide), np.array(own).reshape(queries, n))


@pytest.mark.parametrize("queries", [0, 1, 2, 16, 17, 32, 33])
@pytest.mark.parametrize("n", [0, 1, 4, 5, 13, 50])
def test_any_number_of_queries_and_rows_equals_twin(isa: str, queries: int, n: int) -> None:
    check(fields([(2, 1, 1)] * 100, 12), n, queries)


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("d", [1, 8, 63, 64, 65, 128, 384, 400])
@pytest.mark.parametrize("width", range(1, 7))
def test_any_width_equals_twin(isa: str, width: int, d: int, queries: int) -> None:
    check(fields([(width, 1, 1)] * max(d, 16), 12), 6, queries)


@pytest.mark.parametrize("queries", [1, 40])
def test_kinds_mixed_equal_twin(isa: str, queries: int) -> None:
    random = np.random.default_rng(5)
    steps = [(w, g, g) for w, g in (trellis.KINDS[i] for i in random.integers(0, len(trellis.KINDS), 120))]
    check(fields([*steps, *[(6, 1, 1)] * 70], 16), 9, queries)


def test_bits_that_fill_more_than_eight_bytes_of_eight_coordinates_equal_twin(isa: str) -> None:
    check(fields([*[(1, 1, 1)] * 7, *[(6, 1, 1)] * 130], 16), 9, 2)
    check(fields([*[(1, 1, 1)] * 7, (1, 1, 0), *[(1, 1, 0)] * 7, *[(6, 1, 1)] * 130], 16), 9, 1)


def test_few_bits_for_many_coordinates_equal_twin(isa: str) -> None:
    check(fields([(1, 8, 8)] * 24, 12), 9, 3)
    check(fields([(1, 8, 8)] * 24, 12), 9, 1)


@pytest.mark.parametrize("periods", [(17, 66), (66, 17), (3, 1), (1, 3), (1, 2), (255, 128), (128, 255), (147, 0), (1, 0), (0, 0)])
@pytest.mark.parametrize("queries", [1, 20])
def test_tables_with_any_periods_equal_twin(isa: str, periods: tuple[int, int], queries: int) -> None:
    random, index = np.random.default_rng(queries), np.arange(256)
    code = fields([*[(2, 1, 1)] * 70, *[(4, 1, 1)] * 80, *[(3, 1, 1)] * 70], 12)
    coder, d = _native.Trellis(**code), len(code["columns"])
    values = random.integers(0, 256, (3, 256), dtype=np.uint8)  # of 2, 3 and 4 bits: with both, one and none
    for table, count in zip(values, (2, 1, 0), strict=True):
        for period in periods[:count]:
            table[:] = np.minimum(table, table[index ^ period])
    codes = random.integers(0, 256, (9, coder.code_size), dtype=np.uint8)
    weights, rise = random.integers(-127, 128, (queries, d), dtype=np.int8), np.zeros(-(-d // 64), np.uint8)
    order = np.arange(len(rise), dtype=np.int32)
    tables = _native.TrellisTables(coder, values.ravel(), np.array(periods, np.uint8), order, rise)
    ones, zeros = np.ones(queries, np.float32), np.zeros(queries, np.float32)
    found = _native.TrellisQueries(tables, weights, ones, zeros).scan(codes)
    assert np.array_equal(found, reference.trellis_scan(codes, code, values, weights, rise).T.astype(np.float32))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(widths=st.lists(st.integers(1, 6), min_size=8, max_size=150), queries=st.integers(1, 34), seed=st.integers(0, 99))
def test_any_widths_equal_twin(isa: str, widths: list[int], queries: int, seed: int) -> None:
    check(fields([(w, 1, 1) for w in widths], 8), 5, queries, seed)


def test_sums_ignore_threads(keep_threads: None) -> None:
    code = fields([(2, 1, 1)] * 64, 10)
    coder = _native.Trellis(**code)
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (5000, coder.code_size), dtype=np.uint8)
    weights = random.integers(-127, 128, (70, 64), dtype=np.int8)
    ones, zeros = np.ones(70, np.float32), np.zeros(70, np.float32)
    values = random.integers(0, 256, len(code["values"]), dtype=np.uint8)
    tables = _native.TrellisTables(coder, values, np.zeros(2, np.uint8), np.zeros(1, np.int32), np.zeros(1, np.uint8))
    queries = _native.TrellisQueries(tables, weights, ones, zeros)
    found = []
    for threads in (1, 2, 5):
        _native.set_threads(threads)
        found.append(queries.scan(codes))
    assert all(np.array_equal(f, found[0]) for f in found)
    assert np.array_equal(found[0][:, :100], queries.scan(codes[:100]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("values", np.zeros(255, np.uint8)),
        ("periods", np.zeros(1, np.uint8)),
        ("periods", np.full(2, 3, np.uint8)),
        ("periods", np.array([0, 3], np.uint8)),
        ("order", np.ones(1, np.int32)),
        ("rise", np.ones(1, np.uint8)),
        ("rise", np.full(1, 32, np.uint8)),
        ("rise", np.zeros(2, np.uint8)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, value: Any) -> None:
    coder = _native.Trellis(**fields([(2, 1, 1)] * 64, 10))
    arrays: dict[str, Any] = {
        "values": np.zeros(256, np.uint8),
        "periods": np.zeros(2, np.uint8),
        "order": np.zeros(1, np.int32),
        "rise": np.zeros(1, np.uint8),
    }
    with pytest.raises(ValueError):
        _native.TrellisTables(coder, **{**arrays, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("weights", np.zeros((2, 63), np.int8)), ("scale", np.zeros(1, np.float32)), ("bias", np.zeros(3, np.float32))],
)
def test_queries_that_do_not_fit_are_refused(name: str, value: Any) -> None:
    coder = _native.Trellis(**fields([(2, 1, 1)] * 64, 10))
    tables = _native.TrellisTables(
        coder, np.zeros(256, np.uint8), *np.zeros((1, 2), np.uint8), np.zeros(1, np.int32), np.zeros(1, np.uint8)
    )
    arrays = {"weights": np.zeros((2, 64), np.int8), "scale": np.zeros(2, np.float32), "bias": np.zeros(2, np.float32)}
    with pytest.raises(ValueError, match=name):
        _native.TrellisQueries(tables, **{**arrays, name: value})


def test_codes_of_another_width_are_refused() -> None:
    coder = _native.Trellis(**fields([(2, 1, 1)] * 64, 10))
    with pytest.raises(ValueError, match="16 columns"):
        coder.dot(np.zeros((1, 5), np.uint8), np.zeros((1, 64), np.int16))
    with pytest.raises(ValueError, match="64 columns"):
        coder.dot(np.zeros((1, 16), np.uint8), np.zeros((1, 63), np.int16))
