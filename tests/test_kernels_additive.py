"""The additive coder gives its twin's numbers and rows on every instruction set, for any sizes, beams, depths and passes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeword import _native, reference


def model(m: int, k: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codebooks (m, k, d) that shrink from stage to stage, and an offset (d,)."""
    random = np.random.default_rng((m, k, d, seed))
    codebooks = random.normal(size=(m, k, d)) * 0.8 ** np.arange(m)[:, None, None]
    return codebooks.astype(np.float32), random.normal(size=d).astype(np.float32)


def rows(n: int, d: int) -> np.ndarray:
    return (np.random.default_rng(d).standard_t(4, (n, d)) * 2).astype(np.float32)


def coder(codebooks: np.ndarray, offset: np.ndarray, depth: int) -> _native.Additive:
    m, k, d = codebooks.shape
    return _native.Additive(codebooks.reshape(m * k, d), m, offset, depth)


def check(x: np.ndarray, codebooks: np.ndarray, offset: np.ndarray, depth: int, beam: int, passes: int) -> None:
    native = coder(codebooks, offset, depth)
    indices = native.encode(x, beam, passes)
    np.testing.assert_array_equal(indices, reference.additive_encode(x, codebooks, offset, depth, beam, passes))
    decoded = native.decode(indices)
    assert decoded.tobytes() == reference.additive_decode(indices, codebooks, offset).tobytes()


@pytest.mark.parametrize(
    ("d", "k"), [(1, 16), (2, 30), (3, 64), (7, 16), (8, 130), (15, 2), (16, 32), (17, 64), (33, 16), (64, 17)]
)
def test_any_sizes_equal_twin(isa: str, d: int, k: int) -> None:
    check(rows(3, d), *model(4, k, d), depth=2, beam=3, passes=2)


@pytest.mark.parametrize("n", [0, 1, 5, 6, 7, 24, 25, 97])
def test_any_number_of_rows_equals_twin(isa: str, n: int) -> None:
    check(rows(n, 5), *model(3, 8, 5), depth=2, beam=2, passes=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@given(m=st.integers(1, 9), depth=st.integers(1, 8), beam=st.sampled_from([1, 2, 5, 17, 64]), passes=st.integers(1, 3))
def test_any_search_equals_twin(isa: str, m: int, depth: int, beam: int, passes: int) -> None:
    check(rows(4, 6), *model(m, 8, 6), depth=min(depth, m - 1), beam=beam, passes=passes)


def test_going_on_from_a_code_equals_twin(isa: str) -> None:
    codebooks, offset = model(6, 16, 9)
    x, start = rows(9, 9), np.random.default_rng(1).integers(0, 16, (9, 6)).astype(np.uint32)
    indices = coder(codebooks, offset, 3).encode(x, 4, 2, start)
    np.testing.assert_array_equal(indices, reference.additive_encode(x, codebooks, offset, 3, 4, 2, start))


def test_equal_codewords_are_chosen_in_order(isa: str) -> None:
    codebooks, offset = model(3, 16, 4)
    codebooks[:, 8:] = codebooks[:, :8]
    check(rows(8, 4), codebooks, offset, depth=2, beam=4, passes=2)
    assert coder(codebooks, offset, 2).encode(rows(8, 4), 4, 1).max() < 8


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e18, 1e38])
def test_extreme_numbers_equal_twin(isa: str, size: float) -> None:
    codebooks, offset = model(3, 16, 4)
    with np.errstate(over="ignore"):
        x = np.concatenate([rows(4, 4) * np.float32(size), [[3e38, -3e38, 1e-40, 0]]]).astype(np.float32)
        x = np.nan_to_num(x, posinf=3e38, neginf=-3e38)
        check(x, (codebooks / 8 * np.float32(size)).astype(np.float32), offset / 8 * np.float32(size), depth=2, beam=4, passes=2)


def test_codebooks_of_zeros_equal_twin(isa: str) -> None:
    codebooks, offset = model(3, 4, 5)
    codebooks[1] = 0
    check(rows(5, 5), codebooks, offset, depth=2, beam=3, passes=2)
    check(rows(5, 5), np.zeros_like(codebooks), offset, depth=2, beam=3, passes=2)


def test_a_wide_beam_finds_the_best_code(isa: str) -> None:
    codebooks, offset = model(3, 4, 6)
    x = rows(20, 6)
    indices = coder(codebooks, offset, 2).encode(x, 64, 1)
    every = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), -1).reshape(-1, 3).astype(np.uint32)
    squares = ((x[:, None] - coder(codebooks, offset, 2).decode(every)[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(indices, every[squares.argmin(1)])


def test_no_pass_makes_a_row_worse(isa: str) -> None:
    codebooks, offset = model(8, 16, 12)
    x = rows(60, 12)
    native = coder(codebooks, offset, 7)
    losses = [((x - native.decode(native.encode(x, 4, passes))).astype(np.float64) ** 2).sum(1) for passes in (1, 2, 3, 6)]
    for before, after in pairwise(losses):
        assert (after <= before * (1 + 1e-3)).all()
    assert losses[-1].sum() < losses[0].sum()


def test_result_ignores_thread_count_and_company(keep_threads: None) -> None:
    codebooks, offset = model(5, 32, 9)
    x = rows(103, 9)
    native = coder(codebooks, offset, 3)
    alone = np.concatenate([native.encode(x[i : i + 1], 6, 2) for i in range(len(x))])
    for threads in (1, 2, 5):
        _native.set_threads(threads)
        assert np.array_equal(native.encode(x, 6, 2), alone)


def test_arguments_that_do_not_fit_are_refused() -> None:
    codebooks, offset = model(3, 4, 5)
    flat = codebooks.reshape(12, 5)
    for arguments in (
        (flat[:11], 3, offset, 2),
        (flat, 3, offset[:4], 2),
        (flat, 3, offset, 0),
        (flat, 3, offset, 3),
        (flat, 0, offset, 1),
    ):
        with pytest.raises(ValueError):
            _native.Additive(*arguments)
    native = coder(codebooks, offset, 2)
    with pytest.raises(ValueError, match="5 columns"):
        native.encode(rows(1, 4), 1, 1)
    for beam, passes in ((0, 1), (65, 1), (1, 0)):
        with pytest.raises(ValueError, match="beam"):
            native.encode(rows(1, 5), beam, passes)
    with pytest.raises(ValueError, match="3 columns"):
        native.decode(np.zeros((1, 2), np.uint32))
    for call in (native.decode, lambda indices: native.encode(rows(1, 5), 1, 1, indices)):
        with pytest.raises(ValueError, match="below 4"):
            call(np.full((1, 3), 4, np.uint32))
