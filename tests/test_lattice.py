"""LatticeQuantizer: its distance to the Shannon bound, rows of any width, scores, and what files may not say."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import FormatError, lattice, testing
from codeword.reference.lattice import orbit_words

RNG = np.random.default_rng(4)
GAUSSIAN = RNG.normal(size=(3000, 64)).astype(np.float32)


# Lloyd-Max, the best scalar quantizer, is 1.62, 2.74, 3.44 and 3.86 dB above it.
@pytest.mark.parametrize(("bits", "decibels"), [(1, 1.10), (2, 1.46), (3, 2.29), (4, 2.50)])
def test_gaussian_rows_come_near_the_shannon_bound(bits: int, decibels: float) -> None:
    lq = cw.LatticeQuantizer(bits).fit(GAUSSIAN[:1000])
    assert lq.rate == bits
    assert 10 * np.log10(lq.distortion(GAUSSIAN[1000:]).relative * 4**bits) < decibels


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("d", [1, 5, 8, 9, 31])
def test_any_width_is_coded(bits: int, d: int) -> None:
    """A begun block has the bytes of a whole one: more bits for its columns, never fewer."""
    rows = (RNG.normal(size=(600, d)) * np.arange(1, d + 1) + 7).astype(np.float32)
    lq = cw.LatticeQuantizer(bits).fit(rows)
    assert lq.code_size == bits * -(-d // 8)
    assert lq.distortion(rows).relative < [0.55, 0.15, 0.06, 0.035][bits - 1]


def test_codebooks_are_distinct_vectors_of_the_lattice() -> None:
    """Shapes are E8's, no vector has two numbers, and the counts are as documented."""
    for bits, sizes in ((1, [256]), (2, [65232]), (3, [65232, 256]), (4, [65232, 65232])):
        made = lattice.tables(bits)
        for shapes, leaders, size in zip(made.shapes, made.leaders, sizes, strict=True):
            words = orbit_words(shapes, leaders)
            assert len(words) == size == len(np.unique(words, axis=0))
            points = orbit_words(shapes, shapes.astype(np.int8)).astype(int)
            assert (points.sum(1) % 4 == 0).all()
            assert ((points % 2 == 0).all(1) | (points % 2 == 1).all(1)).all()


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("bits", [2, 4])
def test_scores_are_distances_to_reconstructions(metric: str, bits: int) -> None:
    rows = (GAUSSIAN[:400, :60] + 0.5).astype(np.float32)
    lq = cw.LatticeQuantizer(bits).fit(rows)
    codes = lq.encode(rows)
    wanted = testing.distances(rows[:9].astype(float), lq.decode(codes).astype(float), metric)
    assert np.abs(lq.scorer(rows[:9], metric).scores(codes) - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_one_query_coordinate_far_larger_than_the_others_keeps_its_weight() -> None:
    lq = cw.LatticeQuantizer(4).fit(GAUSSIAN[:500])
    query = np.full((1, 64), 1e-3, np.float32)
    query[0, 40] = 1e20
    codes = lq.encode(GAUSSIAN[:50])
    scores = lq.scorer(query, "ip").scores(codes)[0]
    assert np.allclose(scores, -1e20 * lq.decode(codes)[:, 40].astype(float), rtol=1e-3, atol=1e16)


def test_heavy_tails_get_a_larger_scale() -> None:
    heavy = (GAUSSIAN * np.abs(RNG.normal(size=(3000, 1))) ** 2).astype(np.float32)
    ratio = cw.LatticeQuantizer(2).fit(heavy).scale_ / np.sqrt(heavy.var(0).reshape(-1, 8).mean(1))
    plain = cw.LatticeQuantizer(2).fit(GAUSSIAN).scale_ / np.sqrt(GAUSSIAN.var(0).reshape(-1, 8).mean(1))
    assert (ratio > 1.05 * plain).all()


def test_columns_that_do_not_vary_are_their_mean() -> None:
    rows = GAUSSIAN[:300, :16].copy()
    rows[:, 8:] = 3.5
    lq = cw.LatticeQuantizer(2).fit(rows)
    assert (lq.decode(lq.encode(rows))[:, 8:] == 3.5).all()
    assert np.isfinite(lq.scorer(rows[:2], "cosine").scores(lq.encode(rows))).all()


@pytest.mark.parametrize("bits", [0, 5, 2.5, "two", True])
def test_bits_out_of_range_are_refused(bits: object) -> None:
    with pytest.raises((ValueError, TypeError), match="bits"):
        cw.LatticeQuantizer(bits).fit(GAUSSIAN[:50])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("steps", lambda a: a[:-1]),
        ("steps", lambda a: 0 * a),
        ("steps", lambda a: 0 * a + 255),
        ("shapes_0", lambda a: a[:, :7]),
        ("shapes_0", lambda a: a + 1),
        ("leaders_0", lambda a: -a),
        ("leaders_1", lambda a: a.astype(np.int16)),
        ("leaders_1", lambda a: a[:0]),
        ("scale", lambda a: -a),
        ("scale", lambda a: a * np.inf),
        ("mean", lambda a: a[1:]),
    ],
)
def test_arrays_that_make_no_code_are_a_format_error(name: str, change) -> None:
    lq = cw.LatticeQuantizer(3).fit(GAUSSIAN[:100])
    state = lq.state()
    with pytest.raises(FormatError):
        cw.LatticeQuantizer.from_config(lq.config(), {**state, name: np.ascontiguousarray(change(state[name]))})


def test_codebooks_of_other_bits_are_a_format_error() -> None:
    one, two = (cw.LatticeQuantizer(bits).fit(GAUSSIAN[:100]) for bits in (1, 2))
    with pytest.raises(FormatError, match="2 bits"):
        cw.LatticeQuantizer.from_config(two.config(), one.state())
