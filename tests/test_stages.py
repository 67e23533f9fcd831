"""Stages: a second quantizer for what the first has left, scored and stored as one."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword.errors import FormatError
from test_residual import FRESH, X


def test_codes_are_those_of_the_stages_side_by_side() -> None:
    stages = cw.Stages([cw.VectorQuantizer(16), cw.ScalarQuantizer(2)]).fit(X)
    first, second = stages.quantizers
    codes = stages.encode(FRESH)
    assert np.array_equal(codes[:, :1], first.encode(FRESH))
    left = FRESH - first.decode(first.encode(FRESH))
    assert np.array_equal(codes[:, 1:], second.encode(left))
    assert np.array_equal(stages.decode(codes), first.decode(codes[:, :1]) + second.decode(np.ascontiguousarray(codes[:, 1:])))


def test_residual_stages_in_front_help_a_trellis_on_clustered_rows() -> None:
    """At equal bytes."""
    both = cw.Stages([cw.ResidualQuantizer(1, bits=8), cw.TrellisQuantizer(1.0)]).fit(X)
    alone = cw.TrellisQuantizer(both.rate).fit(X)
    assert both.code_size == alone.code_size
    assert both.distortion(FRESH).mse < 0.8 * alone.distortion(FRESH).mse


def test_a_later_stage_learns_the_residuals_of_fresh_rows() -> None:
    """A first stage that knows its rows by heart would leave nothing of them to learn from."""
    few = X[:300]
    stages = cw.Stages([cw.VectorQuantizer(100), cw.ScalarQuantizer(4)]).fit(few)
    first, second = stages.quantizers
    fresh = FRESH - first.decode(first.encode(FRESH))
    seen = few - first.decode(first.encode(few))
    assert second._variance.mean() > 1.2 * seen.var(0).mean()
    assert abs(second._variance.mean() / fresh.var(0).mean() - 1) < 0.25


def test_one_stage_is_the_quantizer() -> None:
    stages, alone = cw.Stages([cw.ProductQuantizer(4, bits=4)]).fit(X), cw.ProductQuantizer(4, bits=4).fit(X)
    assert np.array_equal(stages.encode(FRESH), alone.encode(FRESH))


def test_too_few_rows_for_halves_are_enough_for_stages() -> None:
    stages = cw.Stages([cw.VectorQuantizer(50), cw.ScalarQuantizer(2)]).fit(X[:70])
    assert stages.distortion(X[:70]).relative < 0.2


@pytest.mark.parametrize(
    ("quantizers", "error", "words"),
    [
        ([], ValueError, ("quantizers", "at least one")),
        (cw.VectorQuantizer(2), TypeError, ("quantizers", "list")),
        ([cw.VectorQuantizer(2), cw.Center()], TypeError, ("quantizers", "Center")),
    ],
)
def test_what_is_no_list_of_quantizers_is_refused(quantizers: object, error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        cw.Stages(quantizers).fit(X)
    assert all(word in str(caught.value) for word in words)


def test_a_configuration_that_does_not_fit_its_arrays_is_refused() -> None:
    stages = cw.Stages([cw.VectorQuantizer(4), cw.ScalarQuantizer(2)]).fit(X)
    config, state = stages.config(), stages.state()
    for spoiled in ({"quantizers": None}, {"quantizers": []}, {"d": 3}, {"quantizers": [{"id": "center"}]}):
        with pytest.raises((FormatError, ValueError)):
            cw.Stages.from_config({**config, **spoiled}, state)


def test_a_stage_that_estimates_rows_does_not_mix_with_reconstructions() -> None:
    X = np.random.default_rng(3).standard_normal((600, 16)).astype(np.float32)
    stages = cw.Stages([cw.BinaryQuantizer(), cw.ScalarQuantizer(2)]).fit(X)
    codes = stages.encode(X[:50])
    expected = ((X[:3, None].astype(np.float64) - stages.decode(codes)) ** 2).sum(-1)
    np.testing.assert_allclose(stages.scorer(X[:3]).scores(codes), expected, rtol=1e-4)
