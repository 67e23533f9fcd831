"""ResidualQuantizer and AdditiveQuantizer: what makes them worth their time, on rows like real ones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import codeword as cw
from codeword.training import additive
from data import load


def clustered(n: int, d: int = 24, clusters: int = 40, seed: int = 0) -> np.ndarray:
    """Rows (n, d) about some centres, the same centres for every seed."""
    centres = np.random.default_rng(99).normal(size=(clusters, d)) * 2
    random = np.random.default_rng(seed)
    return (centres[random.integers(0, clusters, n)] + random.normal(size=(n, d))).astype(np.float32)


X, FRESH = clustered(4000), clustered(2000, seed=1)


@pytest.mark.parametrize("make", [cw.ResidualQuantizer, cw.AdditiveQuantizer])
@pytest.mark.parametrize("m", [2, 6])
def test_fresh_rows_have_less_distortion_than_with_a_product_code(make: type, m: int) -> None:
    fitted = make(m, bits=5).fit(X)
    assert fitted.distortion(FRESH).mse < cw.ProductQuantizer(m, bits=5).fit(X).distortion(FRESH).mse


@pytest.mark.parametrize("make", [cw.ResidualQuantizer, cw.AdditiveQuantizer])
def test_every_codebook_more_lowers_the_distortion(make: type) -> None:
    losses = [make(m, bits=5).fit(X).distortion(FRESH).relative for m in (1, 2, 4)]
    assert all(after < before for before, after in pairwise(losses)), losses


def test_a_wider_beam_lowers_the_distortion() -> None:
    rq = cw.ResidualQuantizer(6, bits=5).fit(X)
    losses = [rq.set_params(beam=beam).distortion(FRESH).mse for beam in (1, 4, 16)]
    assert losses[0] > losses[1] > losses[2]


def test_more_passes_lower_the_distortion() -> None:
    aq = cw.AdditiveQuantizer(6, bits=5, rounds=3).fit(X)
    losses = [aq.set_params(passes=passes).distortion(FRESH).mse for passes in (1, 2, 5)]
    assert losses[0] > losses[1] > losses[2]


def test_rounds_lower_the_distortion_of_training_rows() -> None:
    history = cw.AdditiveQuantizer(6, bits=5, rounds=5).fit(X).training_.history
    assert 3 <= len(history) <= 5
    assert all(after < before for before, after in pairwise(history)), history


def test_rounds_end_where_they_gain_nothing() -> None:
    noise = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    assert len(cw.AdditiveQuantizer(1, bits=3, rounds=400).fit(noise).training_.history) < 100


def test_no_codeword_of_a_late_stage_is_left_out() -> None:
    """Rows that are noise in many dimensions: a codebook that started from rows as they are would have one cell for nearly all."""
    noise = np.random.default_rng(3).normal(size=(3000, 200)) * np.random.default_rng(4).lognormal(0, 0.5, (3000, 1))
    codebook = additive.stage_codebook(noise.astype(np.float32), None, 32, 0)
    counts = np.bincount(additive.assigned(noise.astype(np.float32), codebook), minlength=32)
    assert counts.min() >= 3


def test_a_weight_of_two_is_the_row_twice() -> None:
    weight = np.ones(600, np.float32)
    weight[:200] = 2
    twice = np.concatenate([X[:600], X[:200]])
    rows, doubled = additive.Rows(X[:600], weight, 0), additive.Rows(twice, None, 0)
    labels = np.arange(600, dtype=np.int32) % 7
    means, mass = rows.means(rows.X, labels, 7)
    others, count = doubled.means(doubled.X, np.concatenate([labels, labels[:200]]), 7)
    assert np.array_equal(mass, count)
    np.testing.assert_allclose(means, others, rtol=1e-9)


def test_means_of_noise_alone_are_drawn_to_zero() -> None:
    noise = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
    labels = (np.arange(4000) % 100).astype(np.int32)
    rows = additive.Rows(noise, None, 0)
    means, mass = rows.means(noise, labels, 100)
    within = rows.within(noise - means.astype(np.float32)[labels], 100)
    assert (rows.shrunk(means, mass, within) ** 2).sum() < 0.1 * (means**2).sum()
    apart = means + np.random.default_rng(1).normal(size=means.shape)
    np.testing.assert_allclose(rows.shrunk(apart, mass, within), apart, atol=0.2)


def test_large_codes_of_many_bits_fit_their_cross_products_into_memory() -> None:
    rq = cw.ResidualQuantizer(40, bits=11)
    assert rq._search().depth == 1
    assert cw.ResidualQuantizer(40, bits=8)._search().depth == 8


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("factors", [False, True])
def test_an_index_finds_what_decoded_rows_are_nearest(metric: str, factors: bool) -> None:
    rq = cw.ResidualQuantizer(6, rounds=0).fit(X)
    index = cw.Index(rq, metric=metric, factors=factors)
    index.add(X)
    truth = cw.Index(cw.ScalarQuantizer(8).fit(X), metric=metric, factors=False)
    truth.add(X)
    found, wanted = index.search(FRESH[:200], k=10), truth.search(FRESH[:200], k=10)
    assert cw.recall(found.ids, wanted.ids, 10) > 0.5


@pytest.mark.parametrize(
    ("make", "parameters", "words"),
    [
        (cw.ResidualQuantizer, {"m": 0}, ("m", "0")),
        (cw.ResidualQuantizer, {"m": 1025}, ("m", "1025")),
        (cw.ResidualQuantizer, {"bits": 0}, ("bits", "12", "0")),
        (cw.ResidualQuantizer, {"bits": 13}, ("bits", "13")),
        (cw.ResidualQuantizer, {"beam": 65}, ("beam", "65")),
        (cw.ResidualQuantizer, {"rounds": -1}, ("rounds", "-1")),
        (cw.ResidualQuantizer, {"seed": -1}, ("seed", "-1")),
        (cw.ResidualQuantizer, {"bits": 12}, ("4096", "4000")),
        (cw.AdditiveQuantizer, {"passes": 0}, ("passes", "0")),
        (cw.AdditiveQuantizer, {"rounds": -1}, ("rounds", "-1")),
    ],
)
def test_bad_parameters_are_refused_with_name_and_value(make: type, parameters: dict[str, int], words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        make(**{"m": 2, **parameters}).fit(X)
    assert all(word in str(caught.value) for word in words), caught.value


def test_on_real_rows_additive_codes_beat_residual_and_product_codes() -> None:
    rows = np.array(load("sift-kodak"))[::25]
    train, fresh = rows[::2][:2000], rows[1::2][:1000]
    losses = [
        make(4, bits=6).fit(train).distortion(fresh).mse
        for make in (cw.AdditiveQuantizer, cw.ResidualQuantizer, cw.ProductQuantizer)
    ]
    assert losses[0] < losses[1] < losses[2], losses
