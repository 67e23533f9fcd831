"""Scans of codes: tables, integer dot products and lists of the nearest give their twins' bytes on every instruction set."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codeword import _native, codes, reference

ALL = np.ones(40)
# Queries alone, a group with free places, a whole group and a rest.
QUERIES = [0, 1, 3, 4, 31, 32, 35]


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def table_case(bits: list[int], q: int, n: int, width: int = 3) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """Queries, codebooks (one of them with numbers that name no codeword), widths and packed codes."""
    books = [random(j, max(1, (1 << b) - (j == 1)), width) for j, b in enumerate(bits)]
    widths = np.array(bits, np.uint8)
    indices = np.random.default_rng(9).integers(0, 1 << widths.astype(np.uint32), (n, len(bits)), dtype=np.uint32)
    return random(7, q, width * len(bits)), books, widths, codes.pack(indices, widths)


@pytest.mark.parametrize("q", QUERIES)
@pytest.mark.parametrize(
    "bits",
    [[8] * 5, [4] * 7, [2, 6, 1, 3, 4], [1] * 9, [3, 5, 7, 6], [5] * 3, [8] * 50, [3] * 43, [5] * 30, [6] * 21, [7] * 25],
    ids=str,
)
@pytest.mark.parametrize("values", ["sqdist", "negative_dot", "square"])
def test_tables_equal_their_twin_bit_for_bit(isa: str, bits: list[int], q: int, values: str) -> None:
    queries, books, widths, packed = table_case(bits, q, 70)
    multiplier, constant = 1 + np.arange(q, dtype=float), np.arange(q, dtype=float)
    tables = _native.Tables(_native.TableCodebooks(books, widths), queries, values, multiplier, constant)
    if q == 0:
        assert tables.scan(packed).shape == (0, 70)
        return
    entries, step, bias = reference.tables(queries, books, widths, values)
    bias = bias * multiplier + constant
    if values == "sqdist":
        bias = np.maximum(bias, 0)
    symbols = packed if entries.shape[1] == packed.shape[1] else codes.unpack(packed, widths)
    expected = reference.scan_finish(reference.scan_bytes(symbols, entries), step * multiplier, bias)
    assert np.array_equal(tables.scan(packed), expected)


@pytest.mark.parametrize("q", [1, 5])
def test_wide_symbols_are_scored_within_the_step(isa: str, q: int) -> None:
    queries, books, widths, packed = table_case([10, 3, 12], q, 50)
    tables = _native.Tables(_native.TableCodebooks(books, widths), queries, "negative_dot", ALL[:q], 0 * ALL[:q])
    indices = codes.unpack(packed, widths)
    named = indices[:, 1] < len(books[1])
    rows = np.concatenate([b[indices[named, j]] for j, b in enumerate(books)], axis=1)
    error = np.abs(tables.scan(packed)[:, named] + queries.astype(float) @ rows.T.astype(float))
    assert (error <= 1.5 * np.array(tables.scale)[:, None] + 1e-5).all()


def test_sums_beyond_16_bits_a_table_fit_31_bits(isa: str) -> None:
    """So many tables that entries must stay below 65535, all at their largest."""
    m = 40_000
    books = [np.array([[0], [1]], np.float32)] * m
    tables = _native.Tables(
        _native.TableCodebooks(books, np.full(m, 8, np.uint8)), np.ones((1, m), np.float32), "square", ALL[:1], 0 * ALL[:1]
    )
    scores = tables.scan(np.ones((2, m), np.uint8))
    assert np.allclose(scores, m, rtol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 1023, 1025])
def test_rows_in_any_number(isa: str, n: int) -> None:
    queries, books, widths, packed = table_case([8, 8, 4], 33, n)
    tables = _native.Tables(_native.TableCodebooks(books, widths), queries, "sqdist", ALL[:33], ALL[:33])
    whole = tables.scan(packed)
    assert whole.shape == (33, n)
    for i in range(0, n, 101):
        assert np.array_equal(tables.scan(packed[i : i + 1])[:, 0], whole[:, i])


@pytest.mark.parametrize("d", [1, 2, 3, 31, 32, 63, 64, 65, 129, 384])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("q", [1, 4, 6])
def test_scan_fields_equals_its_twin(isa: str, d: int, bits: int, q: int) -> None:
    from codeword.scorers import planes

    random = np.random.default_rng(d)
    limit = min(32767, (2**31 - 1) // (d * (2**bits - 1)))
    weights = random.choice(np.array([-limit, limit, 5], np.int16), (q, d))
    packed = codes.pack(random.integers(0, 2**bits, (37, d), dtype=np.uint32), np.full(d, bits, np.uint8))
    packed[:3] = codes.pack(np.full((3, d), 2**bits - 1, np.uint32), np.full(d, bits, np.uint8))
    got = _native.scan_fields(packed, planes(weights, bits), np.ones(q, np.float32), np.zeros(q, np.float32))
    assert np.array_equal(got, reference.scan_fields(packed, weights, bits).astype(np.float32))


@pytest.mark.parametrize("d", [1, 3, 64, 65, 384, 5000])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_scan_squares_equals_its_twin(isa: str, d: int, bits: int) -> None:
    from codeword.scorers import planes

    random = np.random.default_rng(d)
    limit = min(32767, (2**31 - 1) // (d * (2**bits - 1)))
    linear = random.choice(np.array([-limit, limit], np.int16), d)
    curved = random.choice(np.array([0, 32767, 32766], np.int16), d)
    symbols = random.integers(0, 2**bits, (9, d), dtype=np.uint32)
    symbols[0], symbols[1] = 2 ** (bits - 1), 2**bits - 1  # the largest c (top - c), and the largest c
    packed = codes.pack(symbols, np.full(d, bits, np.uint8))
    got = _native.scan_squares(packed, planes(linear[None], bits)[0], planes(curved[None], bits)[0])
    assert np.array_equal(got, reference.scan_squares(packed, linear, curved, bits))


@pytest.mark.parametrize("d", [1, 7, 8, 9, 100])
def test_centred_sums_equal_their_twin_bit_for_bit(isa: str, d: int) -> None:
    X, Y, mean = random(1, 5, d), random(2, 5, d), random(3, d).astype(np.float64) / 3
    assert _native.centred_sums(X, Y, mean).tobytes() == reference.centred_sums(X, Y, mean).tobytes()


@pytest.mark.parametrize("n", [1, 5, 64, 700])
def test_rescale_equals_its_twin_bit_for_bit(isa: str, n: int) -> None:
    values, before, factor, term, after = random(0, 3, n), random(1, 3), random(2, n), random(3, n), random(4, 3)
    expected = reference.rescale(values, before, factor, term, after, 0.0)
    _native.rescale(values, before, factor, term, after, 0.0)
    assert np.array_equal(values, expected)


def nearest(distances: np.ndarray, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.stack([np.lexsort((ids, row)) for row in distances])[:, :k]
    return np.take_along_axis(distances, order, 1), ids[order]


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("q", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_lists_hold_the_nearest_whatever_the_blocks(isa: str, threads: int, q: int, k: int, keep_threads: None) -> None:
    _native.set_threads(threads)
    random = np.random.default_rng(k)
    n = 40_000 if q < 40 else 3000
    distances = random.integers(0, 500, (q, n)).astype(np.float32)  # many ties
    ids = random.permutation(n).astype(np.int64)
    for cuts in ([0, n], [0, 1, 7, 2000, n]):
        lists, names = np.full((q, k), np.inf, np.float32), np.full((q, k), 2**63 - 1)
        for start, stop in itertools.pairwise(cuts):
            _native.offer(lists, names, np.ascontiguousarray(distances[:, start:stop]), ids[start:stop])
        _native.sort_lists(lists, names)
        expected, expected_ids = nearest(distances, ids, k)
        assert np.array_equal(lists, expected) and np.array_equal(names, expected_ids)


def test_lists_take_infinite_distances_last(isa: str) -> None:
    lists, names = np.full((1, 4), np.inf, np.float32), np.full((1, 4), 2**63 - 1)
    _native.offer_range(lists, names, np.array([[np.inf, 5, np.inf, 1]], np.float32), 10)
    _native.sort_lists(lists, names)
    assert names.tolist() == [[13, 11, 10, 12]]


def test_wrong_shapes_are_refused() -> None:
    books = _native.TableCodebooks([random(1, 4, 2)], np.array([2], np.uint8))
    tables = _native.Tables(books, random(0, 2, 2), "square", ALL[:2], ALL[:2])
    with pytest.raises(ValueError, match="1 bytes a row"):
        tables.scan(np.zeros((3, 2), np.uint8))
    with pytest.raises(ValueError, match="2 columns"):
        _native.Tables(books, random(0, 2, 3), "square", ALL[:2], ALL[:2])
    with pytest.raises(ValueError, match="k <= 2\\^bits"):
        _native.TableCodebooks([random(1, 5, 2)], np.array([2], np.uint8))
