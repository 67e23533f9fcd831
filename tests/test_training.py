"""k-means: monotone, exact, robust seeding, repair, weights."""

import math
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codeword as cw
from codeword.training import kmeans, seeding
from codeword.training.sums import Total, grid

rng = np.random.default_rng(4)
BLOBS = rng.permutation(np.repeat(rng.normal(size=(40, 6)) * 5, 50, axis=0) + rng.normal(size=(2000, 6))).astype(np.float32)


@pytest.mark.parametrize("how", kmeans.SEEDINGS)
def test_distortion_never_rises_from_pass_to_pass(how: str) -> None:
    start = kmeans.train(BLOBS, kmeans.Settings(50, how, 0)).codebook
    history = kmeans.lloyd(BLOBS, start, None, 30, 0.0, np.ones(len(BLOBS), bool), relaxation=1.0).history
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(history))
    assert history[-1] < history[0]


def test_over_relaxed_passes_reach_a_lower_distortion_than_plain_ones() -> None:
    start = kmeans.train(BLOBS, kmeans.Settings(150, "random", 0)).codebook
    everything = np.ones(len(BLOBS), bool)
    plain, relaxed = (kmeans.lloyd(BLOBS, start, None, 15, 0.0, everything, relaxation=r).history for r in (1.0, 2.0))
    assert relaxed[-1] < plain[-1]


@pytest.mark.parametrize("how", kmeans.SEEDINGS)
def test_codewords_are_the_means_of_their_cells_at_convergence(how: str) -> None:
    result = kmeans.train(BLOBS, kmeans.Settings(30, how, 200, 0.0))
    assert result.converged
    vq = cw.VectorQuantizer.from_codebook(result.codebook)
    labels = vq.indices(vq.encode(BLOBS))[:, 0]
    for cell in range(30):
        np.testing.assert_allclose(result.codebook[cell], BLOBS[labels == cell].astype(float).mean(0), rtol=1e-6, atol=1e-6)
    assert np.array_equal(result.counts, np.bincount(labels, minlength=30))


def test_kmeans_plus_plus_draws_in_proportion_to_the_squared_distance() -> None:
    X = np.array([[0.0], [1.0], [3.0], [10.0]], np.float32)
    everything = np.ones(4, bool)
    pairs = np.zeros((4, 4))
    for seed in range(4000):
        first, second = seeding.kmeans_plus_plus(X, 2, None, everything, seed)[:, 0]
        pairs[list(X[:, 0]).index(first), list(X[:, 0]).index(second)] += 1
    squares = (X - X.T) ** 2
    expected = squares / squares.sum(1, keepdims=True) / 4
    np.testing.assert_allclose(pairs / 4000, expected, atol=0.02)


def test_kmeans_plus_plus_beats_random_seeding_on_blobs() -> None:
    plus = [kmeans.train(BLOBS, kmeans.Settings(40, "kmeans++", 0, seed=s)).codebook for s in range(3)]
    random = [kmeans.train(BLOBS, kmeans.Settings(40, "random", 0, seed=s)).codebook for s in range(3)]

    def loss(codebook: np.ndarray) -> float:
        return cw.VectorQuantizer.from_codebook(codebook).distortion(BLOBS).mse

    assert np.mean([loss(c) for c in plus]) < np.mean([loss(c) for c in random])


def test_outliers_do_not_waste_codewords() -> None:
    spoiled = BLOBS.copy()
    outliers = rng.choice(len(spoiled), 10, replace=False)
    spoiled[outliers] *= 20
    clean = np.delete(BLOBS, outliers, axis=0)
    reference = np.mean([cw.VectorQuantizer(64, seed=s).fit(clean).distortion(clean).mse for s in range(3)])
    robust = np.mean([cw.VectorQuantizer(64, seed=s).fit(spoiled).distortion(clean).mse for s in range(3)])
    assert robust < 1.01 * reference


def test_trimming_drops_nothing_from_clean_rows() -> None:
    kept, trimmed = (cw.VectorQuantizer(64, trim=trim).fit(BLOBS) for trim in (False, True))
    assert trimmed.training_.trimmed == 0 and np.array_equal(kept.codebook, trimmed.codebook)


def test_no_cell_is_empty_when_there_are_enough_different_rows() -> None:
    for how in kmeans.SEEDINGS:
        result = kmeans.train(BLOBS, kmeans.Settings(500, how, 40, 0.0))
        vq = cw.VectorQuantizer.from_codebook(result.codebook)
        used = np.unique(vq.indices(vq.encode(BLOBS)))
        assert len(used) == 500, how


def test_fewer_different_rows_than_codewords_gives_an_exact_codebook_with_dead_codewords() -> None:
    X = np.repeat(rng.normal(size=(20, 4)).astype(np.float32), 10, axis=0)
    vq = cw.VectorQuantizer(30).fit(X)
    assert vq.distortion(X).mse == 0
    assert (vq.counts == 0).sum() == 10


def test_more_codewords_than_rows_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"k = 30.*got 20"):
        cw.VectorQuantizer(30).fit(BLOBS[:20])
    with pytest.raises(ValueError, match=r"k = 30.*got 25"):
        cw.VectorQuantizer(30).fit(BLOBS[:40], np.arange(40) >= 15)


def test_integer_weights_act_like_repeated_rows() -> None:
    weight = rng.integers(1, 5, len(BLOBS)).astype(np.float32)
    start = BLOBS[:25]
    everything = np.ones(len(BLOBS), bool)
    weighted = kmeans.lloyd(BLOBS, start, weight, 10, 0.0, everything)
    repeated = np.repeat(BLOBS, weight.astype(int), axis=0)
    plain = kmeans.lloyd(repeated, start, None, 10, 0.0, np.ones(len(repeated), bool))
    np.testing.assert_allclose(weighted.codebook, plain.codebook, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(weighted.history, plain.history, rtol=1e-9)
    assert np.array_equal(weighted.counts, plain.counts)


@pytest.mark.parametrize("scale", [2.0**-60, 1.0, 2.0**60])
def test_scale_of_the_data_does_not_change_the_codebook(scale: float) -> None:
    base = cw.VectorQuantizer(16).fit(BLOBS).codebook
    scaled = cw.VectorQuantizer(16).fit(BLOBS * np.float32(scale)).codebook
    np.testing.assert_array_equal(scaled, base * np.float32(scale))


def test_row_order_changes_neither_means_nor_distortion() -> None:
    start = BLOBS[:25]
    order = rng.permutation(len(BLOBS))
    everything = np.ones(len(BLOBS), bool)
    a = kmeans.lloyd(BLOBS, start, None, 15, 0.0, everything)
    b = kmeans.lloyd(BLOBS[order], start, None, 15, 0.0, everything)
    assert np.array_equal(a.codebook, b.codebook) and a.history == b.history


def test_partial_fit_follows_a_stream_and_goes_on_after_fit() -> None:
    stream = cw.VectorQuantizer(40)
    for start in range(0, len(BLOBS), 64):
        stream.partial_fit(BLOBS[start : start + 64])
    whole = cw.VectorQuantizer(40).fit(BLOBS)
    assert stream.distortion(BLOBS).mse < 1.5 * whole.distortion(BLOBS).mse
    assert stream.counts.sum() == pytest.approx(len(BLOBS), rel=0.2)
    before = whole.codebook.copy()
    whole.partial_fit(BLOBS[:50] + 1)
    assert whole.counts.sum() == len(BLOBS) + 50 and not np.array_equal(before, whole.codebook)


def test_partial_fit_with_too_few_rows_is_not_fitted_yet() -> None:
    vq = cw.VectorQuantizer(40).partial_fit(BLOBS[:30])
    with pytest.raises(cw.NotFittedError):
        vq.encode(BLOBS)
    with pytest.raises(ValueError, match=r"\(n, 6\)"):
        vq.partial_fit(BLOBS[:, :5])
    assert len(vq.partial_fit(BLOBS[30:60]).encode(BLOBS)) == len(BLOBS)


@given(st.lists(st.floats(0, 2.0**100), min_size=1, max_size=200), st.randoms())
@settings(max_examples=60, deadline=None)
def test_totals_do_not_depend_on_order(values: list[float], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(values)
    random.shuffle(shuffled)
    total = Total().add(np.array(values))
    assert total == Total().add(np.array(shuffled)) == reduce(Total.plus, map(Total, values))
    assert float(total) == math.fsum(values)


def test_the_grid_leaves_room_for_every_row() -> None:
    for n in (1, 2, 1000, 2**31):
        s = grid(np.array([3.0, 0.0, 1e-30]), n)
        assert 3.0 * 2.0 ** s[0] * n < 2**63 and s[1] == 0


def test_a_million_codewords_are_searched_exactly() -> None:
    codebook = rng.normal(size=(1_000_000, 3)).astype(np.float32)
    vq = cw.VectorQuantizer.from_codebook(codebook)
    rows = rng.normal(size=(40, 3)).astype(np.float32)
    assert vq.code_size == 3
    squares = ((rows[:, None].astype(float) - codebook[None]) ** 2).sum(-1)
    assert np.array_equal(vq.indices(vq.encode(rows))[:, 0], squares.argmin(1))


def test_k_of_one_is_the_mean() -> None:
    vq = cw.VectorQuantizer(1).fit(BLOBS)
    np.testing.assert_allclose(vq.codebook[0], BLOBS.astype(float).mean(0), rtol=1e-5, atol=1e-6)
    assert vq.code_size == 1
