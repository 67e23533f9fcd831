"""Lattice codes: nearest vectors, values, inner products and norms equal their twins on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from codeword import _native, lattice, reference
from codeword.reference.lattice import orbit_words

RNG = np.random.default_rng(0)
WORDS = {
    bits: [orbit_words(*stage) for stage in zip(made.shapes, made.leaders, strict=True)]
    for bits, made in ((bits, lattice.tables(bits)) for bits in (1, 3))
}


def coder(bits: int, d: int, mean: float = 0.0, scale: float = 1.0) -> _native.Lattice:
    return lattice.tables(bits).coder(np.full(d, mean), np.full(-(-d // 8), scale))


def symbols_of(codes: np.ndarray, bits: int) -> list[np.ndarray]:
    if bits == 1:
        return [codes.astype(np.uint16)]
    blocks = codes.shape[1] // bits
    first = np.ascontiguousarray(codes[:, : 2 * blocks]).view("<u2")
    return [first, codes[:, 2 * blocks :].astype(np.uint16)] if bits == 3 else [first]


def blocks(n: int) -> np.ndarray:
    """Blocks like Gaussian ones, of ties, zeros, equal coordinates, and far too large."""
    y = np.rint(RNG.normal(size=(n, 8)) * lattice.UNIT)
    y[::7] = RNG.integers(-2, 3, (len(y[::7]), 8)) * 2048
    y[::11] = 0
    y[::13] = 1700
    y[::17] *= 7
    return np.clip(y, -32767, 32767)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 300])
@pytest.mark.parametrize("bits", [1, 3])
def test_the_nearest_vector_is_the_twins(isa: str, n: int, bits: int) -> None:
    y = blocks(n)
    made = lattice.tables(bits)
    first = reference.orbit_encode(made.shapes[0], made.leaders[0], y, np.full(n, 64))
    wanted = [first]
    if bits == 3:
        orbit = np.concatenate([np.full(c, orbit) for orbit, c in enumerate(_counts(made, 0))])[first]
        rest = np.clip(2 * (y - 128.0 * WORDS[3][0][first]), -32767, 32767)
        wanted.append(reference.orbit_encode(made.shapes[1], made.leaders[1], rest, made.steps[orbit]))
    codes = coder(bits, 8).encode(y.astype(np.float32))
    for got, want in zip(symbols_of(codes, bits), wanted, strict=True):
        assert np.array_equal(got[:, 0], want)


def _counts(made: lattice.Tables, stage: int) -> list[int]:
    return [len(orbit_words(s[None], c[None])) for s, c in zip(made.shapes[stage], made.leaders[stage], strict=True)]


def test_no_vector_of_the_codebook_is_nearer() -> None:
    y = blocks(2000)
    for stage, bits in ((0, 1), (0, 3)):
        words = WORDS[bits][stage].astype(np.float64) * 128
        symbols = symbols_of(coder(bits, 8).encode(y.astype(np.float32)), bits)[0][:, 0]
        nearest = np.full(len(y), np.inf)
        for part in np.array_split(words, 16):
            nearest = np.minimum(nearest, ((part**2).sum(1) - 2 * y @ part.T).min(1))
        chosen = words[symbols]
        assert np.array_equal((chosen**2).sum(1) - 2 * (chosen * y).sum(1), nearest)


@pytest.mark.parametrize("bits", [1, 3])
def test_values_and_rows_of_codes_are_the_twins(isa: str, bits: int) -> None:
    for d in (1, 8, 20, 520):
        size = -(-d // 8) * bits
        codes = RNG.integers(0, 256, (9, size), dtype=np.uint8)
        made = lattice.tables(bits)
        symbols = [np.minimum(s, len(w) - 1) for s, w in zip(symbols_of(codes, bits), WORDS[bits], strict=True)]
        orbit = np.concatenate([np.full(c, orbit) for orbit, c in enumerate(_counts(made, 0))])
        wanted = reference.orbit_values(WORDS[bits], made.steps[orbit] if bits == 3 else (), symbols)
        made_coder = coder(bits, d, 0.5, 0.25)
        assert np.array_equal(made_coder.values(codes), wanted)
        assert np.array_equal(made_coder.decode(codes), wanted[:, :d].astype(np.float32) * np.float32(0.25) + np.float32(0.5))


def test_vectors_beyond_the_last_repeat_it(isa: str) -> None:
    made = coder(2, 8)
    codes = np.array([[len(WORDS[3][0]) - 1], [len(WORDS[3][0])], [65535]], "<u2").view(np.uint8)
    values = made.values(codes)
    assert (values == values[0]).all()


@pytest.mark.parametrize("d", [1, 3, 7, 8, 18, 64])
def test_rows_are_rounded_to_whole_blocks_as_by_the_twin(isa: str, d: int) -> None:
    """Seen through the code of rows that lie far apart in every coordinate, and of columns that do not vary."""
    x = RNG.normal(size=(40, d)).astype(np.float32)
    x[3] = np.float32(3e38)
    x[4] = np.float32(-3e38)
    mean, scale = np.float32(0.25), np.float32(1 / 4096)
    y = reference.whole_blocks(x, mean, np.float32(1) / scale)
    made = lattice.tables(1)
    wanted = reference.orbit_encode(made.shapes[0], made.leaders[0], y.reshape(-1, 8), np.full(y.size // 8, 64))
    assert np.array_equal(coder(1, d, float(mean), float(scale)).encode(x), wanted.reshape(40, -1))
    assert np.array_equal(coder(1, d, -3e38, 0.0).encode(x), coder(1, d, 0.0, 0.0).encode(0 * x))


@pytest.mark.parametrize("q", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("n", [1, 63, 64, 66])
def test_scans_and_norms_equal_their_twins(isa: str, q: int, n: int) -> None:
    d = 44
    made = coder(3, d)
    codes = RNG.integers(0, 256, (n, made.code_size), dtype=np.uint8)
    values = np.zeros((n, made.width), np.int16)
    values[:, :48] = made.values(codes)
    weights = np.zeros((q, made.width), np.int16)
    weights[:, :d] = RNG.integers(-700, 700, (q, d))
    scale, bias = RNG.normal(size=(2, q)).astype(np.float32)
    line, square = RNG.normal(size=made.width) * 100, RNG.uniform(size=made.width)
    line[d:] = square[d:] = 0
    plain = reference.scan_finish(reference.dot_values(values, weights).T, scale, bias)
    assert np.array_equal(made.scan(codes, weights, scale, bias), plain)
    norms = (1e9 + reference.value_norms(values, line, square)).astype(np.float32)
    with_norms = made.scan(codes, weights, scale, bias, line, square, 1e9)
    assert np.array_equal(with_norms, np.maximum(plain + norms, 0))


@pytest.mark.parametrize(
    ("shapes", "leaders", "words"),
    [
        ([[2, 1, 0, 0, 0, 0, 0, 0]], [[2, 1, 0, 0, 0, 0, 0, 0]], "odd"),
        ([[2, 0, 0, 0, 0, 0, 0, 0]], [[9, 0, 0, 0, 0, 0, 0, 0]], "multiple of 4"),
        ([[2, 4, 2, 0, 0, 0, 0, 0]], [[9, 9, 9, 0, 0, 0, 0, 0]], "falling"),
        ([[4, 2, 2, 0, 0, 0, 0, 0]], [[9, 8, 7, 0, 0, 0, 0, 0]], "equal"),
        ([[4, 2, 2, 0, 0, 0, 0, 0]], [[9, 8, 8, 1, 1, 1, 1, 1]], "0 where"),
        ([[9, 7, 5, 3, 1, 1, 1, 1]], [[9, 7, 5, 3, 1, 1, 1, 1]], "four different"),
        ([[2, 2, 2, 2, 2, 2, 2, 2]], [[127] * 8], "norm"),
        ([[8, 6, 4, 2, 2, 2, 0, 0]] * 2, [[9, 8, 7, 6, 6, 6, 0, 0]] * 2, "different"),
        ([[6, 4, 2, 2, 2, 0, 0, 0]] * 2, [[9, 8, 7, 7, 7, 0, 0, 0]] * 2, "65,536"),
        ([[2, 2, 0, 0, 0, 0, 0, 0]] * 33, [[2, 2, 0, 0, 0, 0, 0, 0]] * 33, "32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tables_that_make_no_code_are_refused(shapes: list[list[int]], leaders: list[list[int]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _native.Lattice(
            [np.array(shapes, np.uint8)], [np.array(leaders, np.int8)], np.zeros(0, np.uint8), np.zeros(8, "f4"), np.ones(1, "f4")
        )
