"""A mixture codes every row in the cell that loses least of those it tries, and loses less than one quantizer for all rows."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import set_threads
from data import load

RNG = np.random.default_rng(9)


def cross(n: int) -> np.ndarray:
    """Rows of four shapes, each long in two directions of its own."""
    shape = RNG.integers(0, 4, n)
    scale = np.full((4, 8), 0.1)
    for i in range(4):
        scale[i, 2 * i : 2 * i + 2] = 2
    return (RNG.standard_normal((n, 8)) * scale[shape] + 4 * (shape[:, None] == np.arange(8) // 2)).astype(np.float32)


X, NEW = cross(4000), cross(1000)


def inner(size: int, d: int = 8) -> cw.Pipeline:
    return cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(8 * size / d, allocation="waterfill"))


def test_it_loses_less_than_one_quantizer_of_the_same_bytes() -> None:
    mixture = cw.MixtureQuantizer(4, inner(2)).fit(X)
    assert mixture.code_size == 3
    assert mixture.distortion(NEW).mse < 0.5 * inner(3).fit(X).distortion(NEW).mse


def test_more_effort_loses_no_more() -> None:
    losses = [cw.MixtureQuantizer(6, inner(2), effort=effort).fit(X).distortion(X).mse for effort in ("fast", "default", "best")]
    assert losses[2] <= losses[1] * 1.02 <= losses[0] * 1.04


def test_the_cell_is_the_one_that_loses_least() -> None:
    mixture = cw.MixtureQuantizer(4, inner(2)).fit(X)
    losses = np.stack([np.sum((NEW.astype(np.float64) - c.decode(c.encode(NEW))) ** 2, axis=1) for c in mixture.cells], axis=1)
    codes = mixture.encode(NEW)
    assert np.array_equal(mixture.cell_numbers(codes), losses.argmin(axis=1))
    assert np.allclose(np.sum((NEW - mixture.decode(codes)) ** 2, axis=1), losses.min(axis=1), rtol=1e-4)


def test_cells_with_hardly_any_rows_are_left_out() -> None:
    far = np.concatenate([X[:500], X[:3] + 1000, X[:2] - 1000])
    mixture = cw.MixtureQuantizer(6, inner(2)).fit(far)
    assert 1 <= len(mixture.cells) <= 6
    assert np.isfinite(mixture.decode(mixture.encode(far))).all()


@pytest.mark.parametrize("n", [1, 2, 9, 30])
def test_few_rows_are_enough(n: int) -> None:
    mixture = cw.MixtureQuantizer(min(n, 4), inner(2)).fit(X[:n])
    assert mixture.encode(X).shape == (len(X), mixture.code_size)


def test_cells_whose_codes_are_shorter_are_padded() -> None:
    """A cell of equal rows needs no bits; every code has the size of the longest."""
    rows = np.concatenate([X[:400], np.full((400, 8), 50, np.float32)])
    mixture = cw.MixtureQuantizer(2, inner(2), effort="fast").fit(rows)
    codes = mixture.encode(rows)
    assert codes.shape[1] == mixture.code_size
    assert np.allclose(mixture.decode(codes)[400:], 50, atol=0.5)


def test_more_than_256_cells_take_two_bytes() -> None:
    rows = np.repeat(np.arange(300, dtype=np.float32), 12)[:, None] * [1, 2] + RNG.standard_normal((3600, 2)) * 0.01
    mixture = cw.MixtureQuantizer(300, cw.ScalarQuantizer(1), effort="fast").fit(rows)
    codes = mixture.encode(rows)
    assert len(mixture.cells) > 256 and codes.shape[1] == 3
    assert mixture.cell_numbers(codes).max() == len(mixture.cells) - 1
    assert cw.MixtureQuantizer.from_config(mixture.config(), mixture.state()).encode(rows).tobytes() == codes.tobytes()
    assert mixture.distortion(rows).relative < 1e-3


def test_the_template_is_not_changed_and_threads_do_not_matter(keep_threads: None) -> None:
    template = inner(2)
    fits = []
    for threads in (1, 3):
        set_threads(threads)
        fits.append(cw.MixtureQuantizer(4, template).fit(X))
    assert fits[0] == fits[1] and template.d is None


def test_damaged_state_is_a_format_error() -> None:
    mixture = cw.MixtureQuantizer(3, cw.ScalarQuantizer(2)).fit(X)
    config, state = mixture.config(), mixture.state()
    for change in (
        {"cells": config["cells"][:-1]},
        {"cells": "none"},
        {"cells": [*config["cells"][:-1], cw.Rotation().fit(X).config()]},
        {"quantizer": cw.Center().config()},
        {"params": None},
    ):
        with pytest.raises((cw.FormatError, TypeError)):
            cw.MixtureQuantizer.from_config({**config, **change}, state)
    for name in ("centers", "cells.1.low"):
        with pytest.raises(cw.FormatError):
            cw.MixtureQuantizer.from_config(config, {**state, name: state[name][:1]})


def test_real_rows_lose_less_than_with_one_klt() -> None:
    rows = load("sift-kodak")[::4].astype(np.float32)
    train, held = rows[:9000], rows[9000:10_000]
    one, many = inner(32, 128).fit(train), cw.MixtureQuantizer(8, inner(31, 128)).fit(train)
    assert many.code_size == one.code_size == 32
    assert many.distortion(held).mse < 0.9 * one.distortion(held).mse
