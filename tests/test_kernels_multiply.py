"""Products with matrices that stay trellis codes: the integers of the twins on every instruction set, the bytes for any threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native, reference, trellis
from codeword.transforms.rotation import Rotation

KINDS = [(1, 1), (2, 1), (3, 1), (4, 1), (6, 1), (3, 2), (5, 2)]


def fields(width: int, group: int, height: int) -> dict[str, Any]:
    count = 4 * height
    steps = [(width, group, group)] * (count // group)
    spare = [(1, 1, 0)] * (-sum(w for w, _, _ in steps) % 8)
    layout = trellis.Layout(np.array([*steps, *spare], np.int32), np.arange(count, dtype=np.int32))
    return trellis.arguments(trellis.shipped(12), layout, np.zeros(count), np.ones(count), 0)


def values_of(code: dict[str, Any], periods: tuple[int, int]) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (len(code["values"]) // 256, 256), dtype=np.uint8)
    for period in periods:
        values = np.minimum(values, values[:, np.arange(256) ^ period])
    return values.ravel()


def matrix(
    kind: tuple[int, int], height: int, rows: int, columns: int, periods: tuple[int, int]
) -> tuple[_native.PackedMatrix, np.ndarray, np.ndarray]:
    """The matrix, its codes and its levels (rows, columns)."""
    code = fields(*kind, height)
    coder, values = _native.Trellis(**code), values_of(code, periods)
    bands, blocks = -(-rows // height), -(-columns // 4)
    codes = np.random.default_rng(1).integers(0, 256, (bands, blocks, coder.code_size), dtype=np.uint8)
    made = _native.PackedMatrix(coder, values, np.array(periods, np.uint8), rows, columns)
    return made, codes, reference.trellis_multiply_prepare(codes, code, values)[:rows, :columns]


def check(kind: tuple[int, int], shape: tuple[int, int, int], periods: tuple[int, int], counts: list[int]) -> None:
    made, codes, levels = matrix(kind, *shape, periods)
    for n in counts:
        x = np.random.default_rng(n).integers(-128, 128, (n, shape[2]), dtype=np.int8)
        assert np.array_equal(made.sums(codes, x), reference.trellis_multiply(levels, x))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 6, 8, 9, 16, 17, 32, 33])
def test_any_number_of_rows_equals_twin(isa: str, n: int) -> None:
    check((2, 1), (32, 64, 36), (17, 66), [n])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("periods", [(0, 0), (17, 0), (17, 66)])
def test_any_rate_and_table_equals_twin(isa: str, kind: tuple[int, int], periods: tuple[int, int]) -> None:
    check(kind, (20, 40, 24), periods, [1, 5])


@pytest.mark.parametrize("periods", [(1, 2), (3, 2), (66, 17), (128, 64), (255, 1)])
def test_any_periods_equal_twin(isa: str, periods: tuple[int, int]) -> None:
    check((2, 1), (16, 16, 16), periods, [1, 4])


@pytest.mark.parametrize(("height", "rows", "columns"), [(128, 200, 9), (64, 64, 4), (65, 130, 270), (16, 5, 1), (97, 97, 50)])
def test_any_shape_equals_twin(isa: str, height: int, rows: int, columns: int) -> None:
    check((2, 1), (height, rows, columns), (17, 66), [1, 3])
    check((3, 1), (height, rows, columns), (17, 0), [1, 3])


def test_extreme_sums_do_not_saturate(isa: str) -> None:
    code = fields(2, 1, 16)
    coder, columns = _native.Trellis(**code), 4096
    made = _native.PackedMatrix(coder, np.zeros(256, np.uint8), np.array([17, 66], np.uint8), 16, columns)
    x = np.full((2, columns), -128, np.int8)
    codes = np.zeros((1, columns // 4, coder.code_size), np.uint8)
    assert np.array_equal(made.sums(codes, x), np.full((2, 16), 128 * 128 * columns))


@pytest.mark.parametrize("threads", [1, 3])
def test_products_of_floats_are_made_of_rotations_and_rounded_rows(isa: str, threads: int, keep_threads: None) -> None:
    cw.set_threads(threads)
    made, codes, levels = matrix((2, 1), 100, 300, 90, (17, 66))
    x = np.random.default_rng(0).normal(size=(401, 90)).astype("f4")
    before, after = Rotation(seed=1), Rotation(seed=2)
    factors = np.linspace(0.5, 2, 300, dtype=np.float32)
    bytes_, scales, _ = reference.round_rows(before.fit(x).transform(x))
    sums = reference.trellis_multiply(levels, bytes_).astype(np.float32)
    wanted = after.fit(sums).inverse_transform(sums * (scales * np.float32(0.25))[:, None]) * factors
    found = made.multiply(codes, x, before.native(90), after.native(300), 0.25, factors)
    assert found.tobytes() == wanted.tobytes()
    assert made.multiply(codes, x, None, None, 1.0, None).shape == (401, 300)


def test_rows_that_are_not_finite_give_nan_and_spoil_no_others() -> None:
    made, codes, _ = matrix((2, 1), 16, 16, 20, (17, 66))
    x = np.ones((3, 20), np.float32)
    alone = made.multiply(codes, x, None, None, 1.0, None)
    x[1, 7] = np.nan
    found = made.multiply(codes, x, None, None, 1.0, None)
    assert np.isnan(found[1]).all() and np.array_equal(found[::2], alone[::2])


@pytest.mark.parametrize("d", [1, 15, 16, 17, 63, 64, 65, 200])
def test_rounded_rows_equal_twin(isa: str, d: int) -> None:
    x = np.random.default_rng(d).normal(size=(5, d)).astype("f4")
    x[1], x[2] = 0, x[2] * np.float32(1e-38)
    for found, wanted in zip(_native.round_rows(x), reference.round_rows(x), strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("d", [1, 3, 8, 96, 128, 384])
def test_rotations_equal_twin_and_turn_back(isa: str, d: int) -> None:
    x = np.random.default_rng(d).normal(size=(3, d)).astype("f4")
    length = 1 << (d.bit_length() - 1)
    signs = np.where(np.arange(length) % 3 == 0, -1, 1).astype("f4") * np.float32(length**-0.5)
    windows = [(0, signs), (d - length, signs)]
    permutation = np.random.default_rng(0).permutation(d).astype(np.int32)
    rotation = _native.Rotation(d)
    rotation.append(None, windows)
    rotation.append(permutation, windows)
    for inverse in (False, True):
        found = x.copy()
        rotation.rotate(found, inverse)
        assert found.tobytes() == reference.rotate_rows(x, [(None, windows), (permutation, windows)], inverse).tobytes()
    rotation.rotate(found, False)
    np.testing.assert_allclose(found, x, atol=1e-5)


@pytest.mark.parametrize(("start", "length"), [(-1, 4), (5, 4), (0, 16), (2**62, 4), (0, 3), (0, 0)])
def test_rotations_refuse_windows_that_are_no_columns(start: int, length: int) -> None:
    with pytest.raises(ValueError):
        _native.Rotation(8).append(None, [(start, np.ones(length, np.float32))])


@pytest.mark.parametrize("permutation", [[0, 1], [0, 1, 1], [0, 1, 3]])
def test_rotations_refuse_what_is_no_permutation(permutation: list[int]) -> None:
    with pytest.raises(ValueError, match="permutation"):
        _native.Rotation(3).append(np.array(permutation, np.int32), [])


def test_single_rows_are_those_that_decoding_gives() -> None:
    code = fields(3, 1, 20)
    coder = _native.Trellis(**code)
    codes = np.random.default_rng(0).integers(0, 256, (3, 7, coder.code_size), dtype=np.uint8)
    whole = coder.decode(codes.reshape(21, -1)).reshape(3, 7, 20, 4).transpose(0, 2, 1, 3).reshape(60, 28)
    numbers = np.array([59, 0, 20, 19, 19])
    assert np.array_equal(coder.gather(codes, numbers, 4, 27), whole[numbers, :27])
    for bad in (60, -1):
        with pytest.raises(ValueError, match="numbers"):
            coder.gather(codes, np.array([bad]), 4, 27)


@pytest.mark.parametrize(
    ("codes", "x", "message"),
    [((1, 5, 16), (1, 20), "bands"), ((2, 4, 16), (1, 20), "blocks"), ((2, 5, 16), (1, 19), "columns")],
)
def test_shapes_that_do_not_fit_are_refused(codes: tuple[int, ...], x: tuple[int, ...], message: str) -> None:
    made, _, _ = matrix((2, 1), 16, 30, 20, (0, 0))
    with pytest.raises(ValueError, match=message):
        made.multiply(np.zeros(codes, np.uint8), np.zeros(x, np.float32), None, None, 1.0, None)
