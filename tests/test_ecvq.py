"""EntropyConstrainedQuantizer: the cost decides, the rate is met, k-means is beaten at equal rate, byte strings are safe."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import codeword as cw
from codeword import ans, powers, reference
from codeword.training import entropy
from data import load

rng = np.random.default_rng(11)


@cache
def gaussian(d: int, seed: int, n: int = 12_000) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def bits_of(q: cw.VectorQuantizer | cw.EntropyConstrainedQuantizer, X: NDArray[np.float32]) -> float:
    """Mean code length on rows `X`, of lengths that fit the training rows."""
    counts = np.maximum(q.counts, 0.5)
    return float(entropy.lengths(counts)[q.indices(q.encode(X))[:, 0]].mean())


def test_the_cost_in_distance_and_bits_decides(isa: str) -> None:
    X = gaussian(3, 0)
    q = cw.EntropyConstrainedQuantizer(50, lmbda=0.3, max_iter=4).fit(X)
    numbers = q.indices(q.encode(X[:500]))[:, 0]
    cost = ((X[:500, None].astype(float) - q.codebook) ** 2).sum(-1) + q.lmbda_ * q.lengths
    best = cost.min(1)
    assert (cost[np.arange(500), numbers] - best <= 1e-6 * best).all()
    rows, words = entropy.lifted(X[:500]), entropy.lifted(q.codebook, entropy.roots(q.counts, q.lmbda_))
    assert np.array_equal(numbers, reference.assign(rows, words))


@pytest.mark.parametrize("target", [1.0, 2.5, 4.0])
def test_the_entropy_is_what_was_asked_for(target: float) -> None:
    q = cw.EntropyConstrainedQuantizer(64, entropy=target).fit(gaussian(2, 1))
    assert q.entropy_ == pytest.approx(target, rel=0.02)
    assert bits_of(q, gaussian(2, 2)) == pytest.approx(target, rel=0.03)


def test_a_dearer_bit_gives_less_entropy_and_more_distortion() -> None:
    X = gaussian(2, 1)
    fits = [cw.EntropyConstrainedQuantizer(32, lmbda=value).fit(X) for value in (0.0, 0.05, 0.2, 0.5)]
    entropies, errors = [q.entropy_ for q in fits], [q.distortion(X).mse for q in fits]
    assert entropies == sorted(entropies, reverse=True) and errors == sorted(errors)


def test_with_free_bits_it_is_k_means() -> None:
    X = gaussian(4, 1)
    free = cw.EntropyConstrainedQuantizer(32, lmbda=0.0).fit(X)
    assert free.distortion(X).mse <= cw.VectorQuantizer(32).fit(X).distortion(X).mse * (1 + 1e-6)


def curve(train: NDArray[np.float32], test: NDArray[np.float32], sizes: list[int]) -> tuple[list[float], list[float]]:
    """Entropy and distortion of k-means codebooks of these sizes, on the rows `test`."""
    fits = [cw.VectorQuantizer(k).fit(train) for k in sizes]
    return [bits_of(q, test) for q in fits], [q.distortion(test).mse for q in fits]


@pytest.mark.parametrize("d", [1, 2, 4])
def test_it_beats_entropy_coded_k_means_on_a_gaussian(d: int) -> None:
    train, test = gaussian(d, 3), gaussian(d, 4)
    bits, errors = curve(train, test, [4, 8, 16, 32])
    for target in (bits[1], bits[2]):
        q = cw.EntropyConstrainedQuantizer(64, entropy=target).fit(train)
        same = np.exp(np.interp(bits_of(q, test), bits, np.log(errors)))
        assert q.distortion(test).mse < 0.99 * same


def test_it_loses_to_k_means_nowhere_on_real_vectors() -> None:
    X = load("sift-kodak").astype(np.float32)
    order = np.random.default_rng(0).permutation(len(X))[:18_000]
    train, test = X[order[:14_000]], X[order[14_000:]]
    bits, errors = curve(train, test, [8, 16, 32])
    q = cw.EntropyConstrainedQuantizer(64, entropy=bits[1]).fit(train)
    assert q.distortion(test).mse < np.exp(np.interp(bits_of(q, test), bits, np.log(errors)))


def test_unused_codewords_are_dropped_and_frequent_ones_come_first() -> None:
    q = cw.EntropyConstrainedQuantizer(256, entropy=2.0).fit(gaussian(2, 1))
    assert len(q.codebook) < 256 and q.code_size == 1
    assert (q.counts > 0).all() and (np.diff(q.counts) <= 0).all() and (np.diff(q.lengths) >= 0).all()


def test_integer_weights_act_like_repeated_rows() -> None:
    X = gaussian(2, 5, 3000)
    weight = np.random.default_rng(1).integers(0, 4, len(X)).astype(np.float32)
    weighted = cw.EntropyConstrainedQuantizer(32, lmbda=0.1, trim=False).fit(X, weight)
    heavy = np.repeat(X, weight.astype(int), axis=0)
    repeated = cw.EntropyConstrainedQuantizer(32, lmbda=0.1, trim=False).fit(heavy)
    assert weighted.counts.sum() == weight.sum() == repeated.counts.sum()
    assert weighted.entropy_ == pytest.approx(repeated.entropy_, abs=0.1)
    assert weighted.distortion(heavy).mse == pytest.approx(repeated.distortion(heavy).mse, rel=0.1)


@pytest.mark.parametrize("how", [{}, {"entropy": 2.0, "lmbda": 1.0}, {"entropy": 5.5}, {"lmbda": -1.0}])
def test_rates_that_make_no_sense_are_refused(how: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"entropy|lmbda"):
        cw.EntropyConstrainedQuantizer(32, **how).fit(gaussian(2, 1))


# Byte strings


def test_byte_strings_take_little_more_than_the_entropy_and_come_back() -> None:
    X = gaussian(2, 1)
    q = cw.EntropyConstrainedQuantizer(64, entropy=3.0).fit(X)
    codes = q.encode(X)
    packed = q.compress(codes)
    assert np.array_equal(q.decompress(packed), codes)
    assert 8 * len(packed) / len(X) == pytest.approx(q.entropy_, rel=0.01)
    assert len(q.decompress(q.compress(codes[:0]))) == 0


def test_a_single_codeword_needs_no_bits() -> None:
    X = gaussian(2, 1)
    q = cw.EntropyConstrainedQuantizer(1, lmbda=0.0).fit(X)
    packed = q.compress(q.encode(X))
    assert len(packed) == 12 and np.array_equal(q.decompress(packed), q.encode(X))


def test_any_damage_and_the_wrong_quantizer_are_noticed() -> None:
    X = gaussian(2, 1, 600)
    q = cw.EntropyConstrainedQuantizer(16, entropy=3.0).fit(X)
    packed = q.compress(q.encode(X[:50]))
    damaged = [packed[:i] + bytes([packed[i] ^ 4]) + packed[i + 1 :] for i in range(len(packed))]
    for wrong in (*damaged, packed[:-1], packed[:-4], packed + b"\0\0\0\0", b"", packed[:11]):
        with pytest.raises(cw.FormatError, match="data"):
            q.decompress(wrong)
    with pytest.raises(cw.FormatError, match="another quantizer"):
        cw.EntropyConstrainedQuantizer(16, entropy=2.0).fit(X).decompress(packed)
    with pytest.raises(TypeError, match="data"):
        q.decompress("no bytes")  # type: ignore[arg-type]


def test_a_byte_string_of_an_earlier_release_decodes() -> None:
    shares = ans.frequencies(np.array([5.0, 3.0, 1.0, 1.0]))
    numbers = np.array([0, 0, 1, 3, 2, 0, 1, 0, 0, 1])
    written = bytes.fromhex("0a00000000000000e432374da0a033b244000000")
    assert ans.encode(numbers, shares) == written and ans.decode(written, shares).tolist() == numbers.tolist()


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_frequencies_are_whole_and_sum_up(weights: list[float]) -> None:
    shares = ans.frequencies(np.array(weights) / max(weights))
    assert shares.sum() == 1 << ans.PRECISION and shares.min() >= 1


@given(st.floats(1e-300, 1e300))
@settings(deadline=None)
def test_logarithms_and_powers_are_what_they_should_be(x: float) -> None:
    assert float(powers.log2(x)) == pytest.approx(float(np.log2(x)), abs=2e-11)
    small = float(np.log2(x))
    assert float(powers.exp2(small)) == pytest.approx(2.0**small, rel=2e-11)
