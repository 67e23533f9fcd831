"""partial_fit: what a row weighs, with and without a half-life, in any blocks; a stream that moves is followed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import codeword as cw

rng = np.random.default_rng(31)
MODES = rng.normal(size=(20, 5)) * 4
OTHERS = rng.normal(size=(20, 5)) * 4


def block(t: int, modes: NDArray[np.float64], shift: float = 0.0, n: int = 300) -> NDArray[np.float32]:
    draw = np.random.default_rng(t)
    return (modes[draw.integers(len(modes), size=n)] + draw.normal(size=(n, 5)) * 0.7 + shift).astype(np.float32)


def error_now(half_life: float | None, stream: list[NDArray[np.float32]], now: NDArray[np.float32]) -> float:
    """Distortion on `now` of a codebook that saw the stream, as a multiple of one fitted to `now`."""
    q = cw.VectorQuantizer(20, half_life=half_life)
    for rows in stream:
        q.partial_fit(rows)
    return q.distortion(now).mse / cw.VectorQuantizer(20).fit(now).distortion(now).mse


def test_a_half_life_follows_a_drift_that_the_plain_average_loses() -> None:
    stream = [block(t, MODES, 0.25 * t) for t in range(40)]
    now = block(99, MODES, 0.25 * 39, 2000)
    assert error_now(None, stream, now) > 4
    assert error_now(300, stream, now) < 1.3


def test_a_half_life_gets_over_a_sudden_change() -> None:
    stream = [block(t, MODES if t < 15 else OTHERS) for t in range(45)]
    now = block(99, OTHERS, n=2000)
    assert error_now(None, stream, now) > 1.5
    assert error_now(600, stream, now) < 1.2


def test_without_a_change_a_half_life_costs_little() -> None:
    stream = [block(t, MODES) for t in range(30)]
    now = block(99, MODES, n=2000)
    assert error_now(1000, stream, now) < 1.1 * error_now(None, stream, now)


@pytest.mark.parametrize("cuts", [[], [5], [1, 2, 3, 100], list(range(10, 400, 7))])
def test_a_row_weighs_two_to_the_minus_age_over_half_life_in_any_blocks(cuts: list[int]) -> None:
    first, later = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(400, 3)).astype(np.float32)
    q = cw.VectorQuantizer(1, half_life=50.0).partial_fit(first)
    for rows in np.split(later, cuts):
        q.partial_fit(rows)
    weight = 2.0 ** (-np.arange(399, -1, -1) / 50)
    total = weight.sum() + 4 * 2.0 ** (-400 / 50)
    mean = (weight @ later.astype(float) + 4 * 2.0 ** (-400 / 50) * first.mean(0, dtype=float)) / total
    np.testing.assert_allclose(q.counts, [total], rtol=1e-5)
    np.testing.assert_allclose(q.codebook[0], mean, rtol=1e-4, atol=1e-5)


def test_weights_of_a_stream_act_like_repeated_rows() -> None:
    X, weight = block(0, MODES, n=600), rng.integers(1, 4, 600).astype(np.float32)
    weighted, repeated = cw.VectorQuantizer(8).fit(MODES.astype(np.float32)), cw.VectorQuantizer(8).fit(MODES.astype(np.float32))
    weighted.partial_fit(X, weight)
    repeated.partial_fit(np.repeat(X, weight.astype(int), axis=0))
    np.testing.assert_allclose(weighted.codebook, repeated.codebook, rtol=1e-5, atol=1e-6)
    assert np.array_equal(weighted.counts, repeated.counts)


def test_weights_of_the_first_rows_of_a_stream_count() -> None:
    X = block(0, MODES, n=100)
    weight = (np.arange(100) < 60).astype(np.float32)
    q = cw.VectorQuantizer(20, trim=False).partial_fit(X[:30], weight[:30]).partial_fit(X[30:], weight[30:])
    assert q.counts.sum() == 60


def test_the_result_ignores_threads_and_instruction_set(isa: str, keep_threads: None) -> None:
    def stream(threads: int) -> cw.VectorQuantizer:
        cw.set_threads(threads)
        q = cw.VectorQuantizer(20, half_life=200.0)
        for t in range(8):
            q.partial_fit(block(t, MODES, t))
        return q

    assert stream(1) == stream(3)


@pytest.mark.parametrize("half_life", [0, -1.0, float("nan"), "10"])
def test_half_lives_that_make_no_sense_are_refused(half_life: object) -> None:
    with pytest.raises((ValueError, TypeError), match="half_life"):
        cw.VectorQuantizer(20, half_life=half_life).partial_fit(block(0, MODES))  # type: ignore[arg-type]
