"""The trellis coder gives its twin's bytes on every instruction set, for any widths, windows and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeword import _native, reference, trellis


def fields(steps: list[tuple[int, int, int]], window: int, warm: int, columns: Any = None, d: int = 0) -> dict[str, Any]:
    """A code of these steps (bits, group, coordinates), with columns of different scales."""
    count = sum(c for _, _, c in steps)
    columns = np.arange(count) if columns is None else np.asarray(columns)
    random = np.random.default_rng(count)
    d = d or count
    layout = trellis.Layout(np.array(steps, np.int32), columns.astype(np.int32))
    return trellis.arguments(trellis.shipped(window), layout, random.normal(size=d), random.uniform(0, 3, d), warm)


def check(code: dict[str, Any], n: int) -> None:
    d = len(code["fill"])
    x = np.random.default_rng(d).standard_t(3, (n, d)).astype(np.float32)
    coder = _native.Trellis(**code)
    codes = coder.encode(x)
    np.testing.assert_array_equal(codes, reference.trellis_encode(x, code))
    np.testing.assert_array_equal(coder.decode(codes), reference.trellis_decode(codes, code))


@pytest.mark.parametrize("width", range(1, 7))
@pytest.mark.parametrize("window", [8, 9, 10, 12])
def test_one_width_equals_twin(isa: str, width: int, window: int) -> None:
    check(fields([(width, 1, 1)] * 16, window, 4), 5)


def test_the_longest_window_equals_twin(isa: str) -> None:
    check(fields([(2, 1, 1)] * 12, 16, 3), 2)


@pytest.mark.parametrize("kind", [kind for kind in trellis.KINDS if kind[1] > 1])
def test_steps_of_several_coordinates_equal_twin(isa: str, kind: tuple[int, int]) -> None:
    check(fields([(*kind, kind[1])] * 16, 10, 5), 3)


@pytest.mark.parametrize("d", [63, 64, 65, 128, 130])
def test_wide_rows_equal_twin(isa: str, d: int) -> None:
    spare = -2 * d % 8
    check(fields([(2, 1, 1)] * d + [(1, 1, 0)] * spare, 9, 16), 2)


def test_columns_in_any_order_and_columns_without_bits_equal_twin(isa: str) -> None:
    steps = [(3, 1, 1), (1, 2, 2), (2, 1, 1), (5, 1, 1), (1, 2, 1), (3, 1, 1), (1, 1, 0)]
    check(fields([*steps, *steps], 9, 7, [11, 2, 3, 0, 5, 7, 6, 1, 13, 12, 10, 9, 8, 4], d=15), 6)


@pytest.mark.parametrize("shuffled", [False, True])
def test_blocks_of_several_kinds_equal_twin(isa: str, shuffled: bool) -> None:
    random = np.random.default_rng(5)
    steps = [(w, g, g) for w, g in (trellis.KINDS[i] for i in random.integers(0, len(trellis.KINDS), 80))]
    steps += [(6, 1, 1)] * 70 + [(1, 1, 1)] * 70
    steps += [(1, 1, 0)] * (-sum(w for w, _, _ in steps) % 8)
    count = sum(c for _, _, c in steps)
    check(fields(steps, 8, 4, random.permutation(count) if shuffled else None), 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(widths=st.lists(st.integers(1, 6), min_size=2, max_size=24), window=st.sampled_from([8, 9, 10]), warm=st.integers(0, 30))
def test_any_widths_equal_twin(isa: str, widths: list[int], window: int, warm: int) -> None:
    spare = max(-sum(widths) % 8, 16 - sum(widths))
    check(fields([*((w, 1, 1) for w in widths), *[(1, 1, 0)] * spare], window, warm), 2)


@pytest.mark.parametrize("size", [1, 2])
def test_short_codes_equal_twin(isa: str, size: int) -> None:
    check(fields([(1, 1, 1)] * 8 * size, 8, 0), 5)


def test_extreme_numbers_equal_twin(isa: str) -> None:
    code = fields([(2, 1, 1)] * 16, 8, 4)
    code["inverses"] = np.where(np.arange(16) % 3, code["inverses"], np.float32(3e38))
    code["inverses"][1] = 0
    code["means"][:2] = -3e38
    x = np.array([[3e38, 3e38, 0, 1e-40] * 4, [0.0, -0.0, 1e30, 5] * 4], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = reference.trellis_encode(x, code)
    np.testing.assert_array_equal(_native.Trellis(**code).encode(x), wanted)


def test_result_ignores_thread_count_and_company(keep_threads: None) -> None:
    code = fields([(2, 1, 1)] * 64, 10, 16)
    x = np.random.default_rng(0).normal(size=(203, 64)).astype(np.float32)
    coder = _native.Trellis(**code)
    alone = np.concatenate([coder.encode(x[i : i + 1]) for i in range(len(x))])
    for threads in (1, 2, 5):
        _native.set_threads(threads)
        assert np.array_equal(coder.encode(x), alone)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("widths", np.full(16, 7, np.uint8)),
        ("widths", np.full(15, 2, np.uint8)),
        ("folds", np.zeros(255, np.uint8)),
        ("firsts", np.arange(17, dtype=np.int32)[::-1].copy()),
        ("columns", np.full(16, 16, np.int32)),
        ("tables", np.ones(16, np.uint8)),
        ("values", np.zeros(255, np.int16)),
        ("window", 17),
        ("warm", -1),
    ],
)
def test_fields_that_do_not_fit_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError):
        _native.Trellis(**{**fields([(2, 1, 1)] * 16, 8, 4), name: value})


def test_rows_of_another_width_are_refused() -> None:
    coder = _native.Trellis(**fields([(2, 1, 1)] * 16, 8, 4))
    with pytest.raises(ValueError, match="16 columns"):
        coder.encode(np.zeros((1, 15), np.float32))
    with pytest.raises(ValueError, match="4 columns"):
        coder.decode(np.zeros((1, 5), np.uint8))


def test_costs_are_least_at_the_nearest_value() -> None:
    values = np.arange(-128, 128, dtype=np.int16) * 250
    grid = trellis.costs(values, 2.0, 1, 3.0)[:, trellis.reversed_bytes()]
    levels = (np.arange(1024) - 512) * 64
    assert (grid.min(axis=1) == 0).all()
    nearest = np.abs(levels[:, None] - values.astype(int)).argmin(axis=1)
    assert (grid[np.arange(1024), nearest] == 0).all()
