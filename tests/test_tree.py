"""TreeQuantizer: exact descents, successive approximation, growth, training that ignores order of work, many leaves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import codeword as cw
from codeword import codes, reference
from codeword.training import tree

rng = np.random.default_rng(6)
BLOBS = rng.permutation(np.repeat(rng.normal(size=(40, 6)) * 5, 50, axis=0) + rng.normal(size=(2000, 6))).astype(np.float32)
LOPSIDED = np.concatenate([BLOBS, rng.normal(size=(2000, 6)).astype(np.float32) * 0.01 + 30]).astype(np.float32)
GROWTHS = ("balanced", "greedy")


@pytest.mark.parametrize("growth", GROWTHS)
def test_codes_are_the_leaves_that_the_definition_reaches(growth: str) -> None:
    q = cw.TreeQuantizer(6, growth=growth).fit(BLOBS)
    rows, leaves = {0: 0}, 1
    follows: dict[int, tuple[int, int]] = {}
    for t, parent in enumerate(q.parents.tolist(), 1):  # leaf `parent` becomes an inner node with two codewords
        follows[rows[parent]] = (2 * t - 1, 2 * t)
        rows[parent], rows[t] = 2 * t - 1, 2 * t
        leaves += 1
    leaf_of = {row: leaf for leaf, row in rows.items()}
    for x, code in zip(BLOBS[:200], q.indices(q.encode(BLOBS[:200]))[:, 0], strict=True):
        at = 0
        while at in follows:
            left, right = follows[at]
            at = (left, right)[int(reference.assign(x[None], q.codewords[[left, right]])[0])]
        assert leaf_of[at] == code
    assert all(np.array_equal(q.codebook[leaf], q.codewords[row]) for row, leaf in leaf_of.items())


@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("bits", [1, 4, 8, 9])
def test_truncated_codes_are_the_codes_of_the_smaller_tree(growth: str, bits: int) -> None:
    whole = cw.TreeQuantizer(9, growth=growth).fit(BLOBS)
    small = whole.pruned(bits)
    packed = whole.encode(BLOBS)
    assert np.array_equal(whole.truncate(packed, bits), small.encode(BLOBS))
    assert np.array_equal(whole.decode(packed, bits=bits), small.decode(small.encode(BLOBS)))
    assert np.array_equal(small.counts, np.bincount(small.indices(small.encode(BLOBS))[:, 0], minlength=1 << bits))


def test_a_shallower_balanced_tree_is_the_top_of_a_deeper_one() -> None:
    assert cw.TreeQuantizer(9).fit(BLOBS).pruned(5) == cw.TreeQuantizer(5).fit(BLOBS)


def test_the_first_bits_of_a_balanced_code_are_enough_to_decode_coarsely() -> None:
    q = cw.TreeQuantizer(10).fit(BLOBS)
    packed = q.encode(BLOBS)
    bits = codes.unpack(packed, np.ones(10, np.uint8))
    assert np.array_equal(codes.pack(bits[:, :3], np.ones(3, np.uint8)), q.pruned(3).encode(BLOBS))
    assert np.array_equal(q.decode(packed[:, :1], bits=3), q.decode(packed, bits=3))


@pytest.mark.parametrize("growth", GROWTHS)
def test_every_further_bit_lowers_the_distortion(growth: str) -> None:
    q = cw.TreeQuantizer(8, growth=growth).fit(BLOBS)
    packed = q.encode(BLOBS)
    errors = [np.mean((BLOBS - q.decode(packed, bits=b)) ** 2) for b in range(1, 9)]
    assert all(after < before for before, after in pairwise(errors))


def test_greedy_growth_cuts_the_leaf_that_gains_most() -> None:
    q = cw.TreeQuantizer(6, growth="greedy", trim=False).fit(LOPSIDED)
    leaves = q.indices(q.encode(LOPSIDED))[:, 0]
    gains = []
    for t in range(1, 64):
        then = q._ancestors(t + 1)[leaves]  # leaves just after cut t
        left, right = q.codewords[2 * t - 1 : 2 * t + 1].astype(float)
        n_left, n_right = (then == q.parents[t - 1]).sum(), (then == t).sum()
        gains.append(n_left * n_right / (n_left + n_right) * ((left - right) ** 2).sum())
    # Every cut gains no more than an earlier one, unless a later one made its leaf.
    for t, gain in enumerate(gains, 1):
        born = int(q.parents[t - 1])
        made = max([0, born, *(s for s in range(1, t) if q.parents[s - 1] == born)])
        assert all(gain <= earlier * (1 + 1e-6) for earlier in gains[made : t - 1])


def test_greedy_growth_beats_balanced_growth_on_uneven_data() -> None:
    balanced, greedy = (cw.TreeQuantizer(6, growth=g).fit(LOPSIDED).distortion(LOPSIDED).mse for g in GROWTHS)
    assert greedy < 0.8 * balanced


@pytest.mark.parametrize("growth", GROWTHS)
def test_integer_weights_act_like_repeated_rows_in_the_counts(growth: str) -> None:
    weight = rng.integers(0, 4, len(BLOBS)).astype(np.float32)
    q = cw.TreeQuantizer(5, growth=growth, trim=False).fit(BLOBS, weight)
    leaves = q.indices(q.encode(BLOBS))[:, 0]
    assert np.array_equal(q.counts, np.bincount(leaves, weight, minlength=32))
    heavy = np.repeat(BLOBS, weight.astype(int), axis=0)
    same = cw.TreeQuantizer(5, growth=growth, trim=False).fit(heavy)
    assert q.distortion(heavy).mse == pytest.approx(same.distortion(heavy).mse, rel=0.1)


def test_outliers_do_not_waste_leaves() -> None:
    spoiled = BLOBS.copy()
    spoiled[::200] *= 1000
    clean = np.delete(BLOBS, np.arange(0, len(BLOBS), 200), axis=0)
    assert cw.TreeQuantizer(6).fit(spoiled).distortion(clean).mse < 1.05 * cw.TreeQuantizer(6).fit(clean).distortion(clean).mse


def test_large_nodes_are_cut_by_a_sample_as_well_as_by_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X = rng.normal(size=(20_000, 5)).astype(np.float32) * [4, 2, 1, 1, 1]
    sampled = cw.TreeQuantizer(4).fit(X).distortion(X).mse
    monkeypatch.setattr(tree, "_SAMPLE_ROWS", 1 << 30)
    assert sampled < 1.02 * cw.TreeQuantizer(4).fit(X).distortion(X).mse


@pytest.mark.parametrize("growth", GROWTHS)
def test_fewer_different_rows_than_leaves_are_coded_exactly(growth: str) -> None:
    X = np.repeat(rng.normal(size=(9, 3)).astype(np.float32), 8, axis=0)
    q = cw.TreeQuantizer(6, growth=growth, trim=False).fit(X)
    assert q.distortion(X).mse < 1e-12
    assert len(np.unique(q.encode(X), axis=0)) == 9


def test_a_hundred_thousand_leaves_train_and_code(keep_threads: None) -> None:
    X = rng.normal(size=(140_000, 4)).astype(np.float32)
    q = cw.TreeQuantizer(17, max_iter=2).fit(X)
    packed = q.encode(X)
    assert packed.shape == (len(X), 3)
    assert q.distortion(X).relative < 0.01 < cw.VectorQuantizer(64, max_iter=2).fit(X).distortion(X).relative
    assert np.array_equal(q.decode(packed[:100]), q.codebook[q.indices(packed[:100])[:, 0]])


@pytest.mark.parametrize("bits", [0, 7, "3"])
def test_rates_that_the_tree_does_not_have_are_refused(bits: object) -> None:
    q = cw.TreeQuantizer(6).fit(BLOBS)
    with pytest.raises((ValueError, TypeError), match="bits"):
        q.decode(q.encode(BLOBS[:5]), bits=bits)  # type: ignore[arg-type]


def test_codes_that_are_too_short_for_the_rate_are_refused() -> None:
    q = cw.TreeQuantizer(10).fit(BLOBS)
    with pytest.raises(ValueError, match="codes"):
        q.decode(q.encode(BLOBS[:5])[:, :1], bits=9)
    with pytest.raises(ValueError, match="codes"):
        cw.TreeQuantizer(10, growth="greedy").fit(BLOBS).decode(q.encode(BLOBS[:5])[:, :1], bits=3)


def test_a_file_whose_cuts_come_before_their_leaves_is_refused() -> None:
    q = cw.TreeQuantizer(3).fit(BLOBS)
    state = q.state()
    state["parents"] = state["parents"][::-1].copy()
    with pytest.raises(cw.FormatError, match="parents"):
        cw.TreeQuantizer.from_config(q.config(), state)
