"""Array-likes of other libraries are taken as they are, and refused by the same rules."""

from __future__ import annotations

import numpy as np
import pytest

import codeword as cw
from codeword import checks

X = np.random.default_rng(3).normal(size=(40, 6)).astype(np.float32)


def test_arrow_fixed_size_lists_give_their_rows() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
    column = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 6)
    for form in (column, pa.chunked_array([column[:7], column[7:]]), column[3:20]):
        expected = X[3:20] if form is not column and len(form) == 17 else X
        assert np.array_equal(checks.rows(form), expected)
    assert np.array_equal(checks.rows(column.cast(pa.list_(pa.float64(), 6))), X)


def test_arrow_nulls_are_refused_by_row() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
    with pytest.raises(ValueError, match=r"X: has nulls, first in row 2"):
        checks.rows(pa.array([[1.0, 2.0], [3.0, 4.0], None], pa.list_(pa.float32(), 2)))
    with pytest.raises(ValueError, match=r"X: has nulls, first in row 1"):
        checks.rows(pa.array([[1.0, 2.0], [3.0, None]], pa.list_(pa.float32(), 2)))
    with pytest.raises(TypeError, match="fixed-size list"):
        checks.rows(pa.array([[1.0, 2.0], [3.0]]))


def test_torch_tensors_give_their_rows() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (make test-all installs it)")
    tensor = torch.from_numpy(X.copy())
    assert np.array_equal(checks.rows(tensor), X)
    assert np.array_equal(checks.rows(tensor.requires_grad_()), X)
    assert np.array_equal(checks.rows(tensor.T.contiguous().T), X)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert np.array_equal(checks.rows(tensor.to(dtype)), tensor.to(dtype).float().detach().numpy())


def test_bfloat16_arrays_give_their_rows() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    halves = X.astype(ml_dtypes.bfloat16)
    assert np.array_equal(checks.rows(halves), halves.astype(np.float32))


class Producer:
    """Something that only speaks DLPack."""

    def __dlpack__(self, **options: object) -> object:
        return X.__dlpack__(**options)  # type: ignore[arg-type]

    def __dlpack_device__(self) -> tuple[int, int]:
        return X.__dlpack_device__()


def test_dlpack_producers_give_their_rows() -> None:
    assert np.array_equal(checks.rows(Producer()), X)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f8", ">i4"])
def test_every_real_dtype_is_taken(dtype: str) -> None:
    rows = np.arange(12).reshape(3, 4).astype(dtype)
    assert np.array_equal(checks.rows(rows), rows.astype(np.float32))


def test_wide_rows_are_centred_before_they_are_rounded() -> None:
    far = 1e9 + X.astype(np.float64)
    near = cw.Pipeline([cw.Center()], cw.ProductQuantizer(3, bits=3)).fit(X.astype(np.float64))
    shifted = cw.Pipeline([cw.Center()], cw.ProductQuantizer(3, bits=3)).fit(far)
    assert np.mean(shifted.encode(far) == near.encode(X)) > 0.95
    with pytest.raises(ValueError, match=r"column 0 .*Center"):
        cw.ProductQuantizer(3, bits=3).fit(far)


def test_a_constant_wide_column_is_taken() -> None:
    rows = X.astype(np.float64)
    rows[:, 2] = 0.1
    assert cw.ScalarQuantizer(8).fit(rows).decode(cw.ScalarQuantizer(8).fit(rows).encode(rows))[0, 2] == np.float32(0.1)


def test_blocks_of_rows_are_gathered_in_order() -> None:
    whole = cw.ProductQuantizer(3, bits=3).fit(X)
    assert cw.ProductQuantizer(3, bits=3).fit([X[:10], X[10:]]) == whole
    assert cw.ProductQuantizer(3, bits=3).fit(X[i : i + 7] for i in range(0, 40, 7)) == whole
