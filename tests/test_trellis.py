"""TrellisQuantizer keeps the contract, comes as near to the bound as it says, and says what limits it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import trellis
from codeword.errors import FormatError
from codeword.testing import check_quantizer
from codeword.waterfill import allocate, convex


def gaussian(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def gap(quantizer: Any, X: np.ndarray) -> float:
    """dB above 2**(-2 rate)."""
    error = np.mean((X.astype(np.float64) - quantizer.decode(quantizer.encode(X))) ** 2)
    return float(10 * np.log10(error * 4**quantizer.rate))


@pytest.mark.parametrize(
    "quantizer",
    [
        cw.TrellisQuantizer(),
        cw.TrellisQuantizer(3.5, allocation="waterfill"),
        cw.TrellisQuantizer(1.0, effort="fast"),
        cw.TrellisQuantizer(0.5, effort="best"),
        cw.TrellisQuantizer(0.05),
        cw.TrellisQuantizer(7, stages=2),
        cw.TrellisQuantizer([0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1]),
        cw.Pipeline([cw.Rotation()], cw.TrellisQuantizer(2)),
        cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2, allocation="waterfill")),
    ],
    ids=repr,
)
def test_contract(quantizer: Any) -> None:
    check_quantizer(quantizer)


@pytest.mark.parametrize(
    ("effort", "bits", "most"),
    [
        ("fast", 1, 0.60), ("fast", 2, 0.85), ("fast", 3, 1.02), ("fast", 4, 1.36),
        ("default", 0.5, 0.32), ("default", 1, 0.40), ("default", 1.5, 0.65), ("default", 2, 0.53),
        ("default", 3, 0.68), ("default", 4, 1.02), ("default", 5, 1.95),
    ],
)  # fmt: skip
def test_distance_to_the_bound(effort: str, bits: float, most: float) -> None:
    quantizer = cw.TrellisQuantizer(bits, effort=effort).fit(gaussian(4000, 384))
    assert gap(quantizer, gaussian(300, 384, 1)) < most


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "most"), [(1, 0.35), (2, 0.42), (3, 0.60), (4, 0.80)])
def test_distance_to_the_bound_at_best_effort(bits: float, most: float) -> None:
    quantizer = cw.TrellisQuantizer(bits, effort="best").fit(gaussian(4000, 384))
    assert gap(quantizer, gaussian(300, 384, 1)) < most


@pytest.mark.parametrize("bits", [1.25, 1.5, 2.25, 2.5, 2.75, 3.5])
def test_rates_between_whole_ones_lie_on_the_curve_through_those(bits: float) -> None:
    X, fresh = gaussian(4000, 384), gaussian(500, 384, 1)
    low, between, high = (gap(cw.TrellisQuantizer(b).fit(X), fresh) for b in (int(bits), bits, int(bits) + 1))
    part = bits - int(bits)
    assert between < (1 - part) * low + part * high + 0.15


@pytest.mark.parametrize("allocation", ["uniform", "waterfill"])
@pytest.mark.parametrize("bits", [1.0, 2.0, 4.0])
def test_errors_cost_the_same_in_every_column(allocation: str, bits: float) -> None:
    """A search in which each column's errors count by what is usual for it leaves more."""
    X = gaussian(1500, 96) * np.float32(0.96) ** np.arange(96, dtype=np.float32)
    quantizer = cw.TrellisQuantizer(bits, allocation=allocation).fit(X)
    assert quantizer._stresses[0].any()
    error = quantizer.distortion(X).mse
    quantizer._set(quantizer._layouts, quantizer._tables, quantizer._scales, [np.zeros_like(s) for s in quantizer._stresses])
    assert error < 0.97 * quantizer.distortion(X).mse


def test_more_bits_are_never_worse() -> None:
    X, errors = gaussian(200, 64), []
    for bits in (0.05, 0.125, 0.25, 0.4, 0.5, 0.75, 1, 1.3, 1.5, 2, 2.2, 2.5, 3, 4, 5, 6):
        errors.append(cw.TrellisQuantizer(bits).fit(X).distortion(X).mse)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 17, 100])
@pytest.mark.parametrize("bits", [0.01, 0.3, 0.9, 1.0, 1.1, 2.7, 5.9, 6.0])
def test_code_size_is_what_the_bits_say(d: int, bits: float) -> None:
    X = gaussian(50, d)
    quantizer = cw.TrellisQuantizer(bits).fit(X)
    assert quantizer.code_size == int(np.ceil(bits * d / 8))
    assert quantizer.decode(quantizer.encode(X)).shape == X.shape
    assert quantizer.widths_.sum() <= 8 * quantizer.code_size


def test_two_stages_beat_one_at_six_bits() -> None:
    X = gaussian(500, 128)
    one, two = (cw.TrellisQuantizer(6, stages=s).fit(X) for s in (1, 2))
    assert one.rate == two.rate == 6
    assert gap(two, X) < gap(one, X) - 1


def test_a_second_stage_takes_half_of_many_bits_and_none_of_few() -> None:
    quantizer = cw.TrellisQuantizer([12, 8, 6, 4, 1, 0], stages=2).fit(gaussian(50, 6))
    assert quantizer.widths_.tolist() == [[6, 4, 3, 4, 1, 0], [6, 4, 3, 0, 0, 0]]


def test_a_second_stage_without_bits_takes_no_byte() -> None:
    one, two = (cw.TrellisQuantizer([4, 3, 1, 0], stages=s).fit(gaussian(50, 4)) for s in (1, 2))
    assert one.code_size == two.code_size == 1
    assert np.array_equal(one.widths_, two.widths_)


def test_two_stages_lose_less_where_columns_take_many_bits() -> None:
    X = gaussian(1000, 96) * 0.94 ** np.arange(96, dtype=np.float32)
    one, two = (cw.TrellisQuantizer(3.0, allocation="waterfill", stages=s).fit(X) for s in (1, 2))
    assert two.code_size <= one.code_size + 1
    assert two.distortion(X).mse < 0.75 * one.distortion(X).mse


def test_waterfilling_beats_even_bits_where_variances_differ() -> None:
    X = gaussian(1000, 64) * 0.9 ** np.arange(64, dtype=np.float32)
    even, filled = (cw.TrellisQuantizer(2, allocation=a).fit(X).distortion(X).mse for a in ("uniform", "waterfill"))
    assert filled < 0.2 * even


def test_waterfilled_bits_follow_the_variance() -> None:
    X = gaussian(2000, 16) * 2.0 ** -np.arange(16, dtype=np.float32)
    widths = cw.TrellisQuantizer(2, allocation="waterfill").fit(X).widths_[0]
    assert widths.sum() == 32 and (np.diff(widths) <= 0).all()


def test_caps_are_reported_with_their_loss() -> None:
    X = gaussian(500, 16) * np.float32(1e-3)
    X[:, 3] *= 1e6
    (cap,) = cw.TrellisQuantizer(1, allocation="waterfill").fit(X).caps_
    assert cap.limit == "at most 6 bits a column" and cap.columns == 1 and cap.loss_db > 10
    (cap,) = cw.TrellisQuantizer(1 / 16).fit(gaussian(100, 256)).caps_
    assert cap.limit == "at most 8 columns share a bit" and cap.columns == 128 and 0 < cap.loss_db < 0.2
    assert cw.TrellisQuantizer(2).fit(gaussian(100, 16)).caps_ == []


def test_columns_that_do_not_vary_cost_nothing() -> None:
    X = gaussian(200, 32)
    X[:, 8:] = 7
    quantizer = cw.TrellisQuantizer(1).fit(X)
    assert (quantizer.decode(quantizer.encode(X))[:, 8:] == 7).all()
    assert quantizer.widths_[0, :8].tolist() == [4] * 8
    constant = cw.TrellisQuantizer(1).fit(np.full((5, 8), 3.0))
    assert (constant.decode(constant.encode(np.full((2, 8), 3.0))) == 3).all()


def test_a_code_is_circular() -> None:
    """Turning the bytes of a code turns its row: no coordinate is special."""
    quantizer = cw.TrellisQuantizer(2).fit(gaussian(4000, 64))
    quantizer._mean[:] = 0
    quantizer._set(quantizer._layouts, quantizer._tables, [np.ones(64)], [np.zeros(64, np.int8)])
    codes = quantizer.encode(gaussian(10, 64))
    turned = quantizer.decode(np.roll(codes, 3, axis=1))
    assert np.array_equal(turned, np.roll(quantizer.decode(codes), 12, axis=1))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"bits": 0}, "bits"),
        ({"bits": 6.1}, "bits"),
        ({"bits": [1, 2]}, "bits"),
        ({"bits": [7] * 8}, "bits"),
        ({"stages": 3}, "stages"),
        ({"effort": "most"}, "effort"),
        ({"allocation": "even"}, "allocation"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        cw.TrellisQuantizer(**parameters).fit(gaussian(20, 8))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps_0", np.zeros((4, 3), np.int32)),
        ("columns_0", np.zeros(8, np.int32)),
        ("columns_0", np.full(8, -1, np.int32)),
        ("tables_0", np.array([200], np.uint8)),
        ("tables_0", np.array([5], np.uint8)),
        ("weights_0", np.array([-1], np.float32)),
        ("window_0", np.array([40], np.uint8)),
        ("hash_0", np.full(8, 1, np.uint8)),
        ("values_0", np.zeros((1, 255), np.int16)),
        ("mean", np.zeros(7)),
        ("stress_0", np.zeros(7, np.int8)),
        ("stress_0", np.full(8, 5, np.int8)),
        ("stress_0", np.full(8, -25, np.int8)),
    ],
)
def test_damaged_states_are_refused(name: str, value: np.ndarray) -> None:
    quantizer = cw.TrellisQuantizer(2).fit(gaussian(50, 8))
    state = {**quantizer.state(), name: value}
    with pytest.raises(FormatError):
        cw.TrellisQuantizer.from_config(quantizer.config(), state)


def test_hashes_spread_branches_that_leave_and_branches_that_meet() -> None:
    for window in trellis.WINDOWS:
        tables = trellis.shipped(window)
        assert not tables.columns[window - 8 :].any()
        assert (tables.distortions[:6] < 1.5 * 4.0 ** -np.arange(1, 7) * [1, 1, 1, 1, 1.3, 3]).all()


def test_allocation_takes_the_largest_gains() -> None:
    curve = 0.25 ** np.arange(7)
    assert allocate(np.array([1.0, 1.0, 0.0]), 3, curve).tolist() == [2, 1, 0]
    assert allocate(np.array([1.0, 0.0]), 100, curve).tolist() == [6, 0]
    assert allocate(np.ones(3), 0, curve).tolist() == [0, 0, 0]
    assert (np.diff(np.diff(convex(np.array([1.0, 0.9, 0.3, 0.2])))) >= 0).all()


def test_steps_without_coordinates_stand_at_the_end_only() -> None:
    fitted = cw.TrellisQuantizer(2.0).fit(np.random.default_rng(0).standard_normal((300, 16), dtype=np.float32))
    state = fitted.state()
    empty = np.tile([[2, 1, 0]], (4, 1)).astype(np.int32)  # a byte of steps
    state["steps_0"] = np.concatenate([state["steps_0"][:8], empty, state["steps_0"][8:]])
    with pytest.raises(FormatError, match="at the end only"):
        cw.TrellisQuantizer.from_config(fitted.config(), state)
