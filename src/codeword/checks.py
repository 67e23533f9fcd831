"""The Python edge: anything array-like in, checked rows out, or an error that names argument, expected, got and row.

Accepted: NumPy arrays of bool, integer, float16/32/64 and bfloat16 (ml_dtypes), in any layout and byte order, memory maps,
nested sequences, torch tensors, DLPack producers, Arrow fixed-size lists, data frames. Everything becomes float32, except
that integers wider than 16 bits and float64 stay float64 where the caller centres in float64 (`wide=True`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
MAX_DIM = 1 << 20
# float32 keeps 2**-25 of a value; 32 spreads away from zero that is 2**-20 of the spread.
MAX_OFFSET_IN_SPREADS = 32.0


def rows(
    X: Any,
    name: str = "X",
    *,
    d: int | None = None,
    wide: bool = False,
    spread: F32 | None = None,
    empty: bool = False,
    first: int = 0,
) -> NDArray[Any]:
    """Check `X` and return it as C-contiguous finite rows.

    Parameters
    ----------
    X : array_like (n, d)
        See the module's first lines for what is accepted.
    name : str
        The argument's name, for messages.
    d : int, optional
        The width that `X` must have.
    wide : bool
        Return float64 where the input has more precision than float32 (the caller centres it in float64).
    spread : ndarray (d,), optional
        Spread of each column of the training data, against which the rounding of wide input to float32 is judged;
        by default the spread of `X` itself.
    empty : bool
        Accept n = 0.
    first : int
        Number of the first row, for messages about a block of a larger array.

    Returns
    -------
    ndarray (n, d) of float32, or of float64 if `wide` and the input is

    Raises
    ------
    TypeError
        If `X` is no numeric array (strings, objects, sparse matrices).
    ValueError
        For a wrong shape or width, no rows, NaN or infinity (with the first bad row and column), masked entries, or a
        column whose rounding to float32 would lose more than 2**-20 of its spread.
    """
    A = to_array(X, name)
    check_shape(A, name, d, empty)
    if fits_float32(A.dtype):
        out = np.ascontiguousarray(A, np.float32)
        check_finite(out, name, first)
        return out
    A = np.ascontiguousarray(A, np.float64)
    check_finite(A, name, first)
    return A if wide else narrow(A, name, spread, first)


def fits_float32(dtype: np.dtype[Any]) -> bool:
    """Whether float32 holds every value of `dtype` exactly."""
    if dtype.kind == "f":
        return dtype.itemsize <= 4
    small_integer = dtype.kind in "iu" and dtype.itemsize <= 2
    return small_integer or dtype.kind == "b" or dtype.name == "bfloat16"


def to_array(X: Any, name: str) -> NDArray[Any]:
    """`X` as a real numeric ndarray of any shape, without copying where that is possible."""
    if isinstance(X, np.ndarray):
        A = X
    elif hasattr(X, "tocsr") or type(X).__module__.startswith("scipy.sparse"):
        raise TypeError(f"{name}: expected a dense array, got a sparse matrix {type(X).__name__}; pass {name}.toarray()")
    elif X is None or isinstance(X, (str, bytes, dict, set)):
        raise TypeError(f"{name}: expected an array of numbers (n, d), got {type(X).__name__}")
    else:
        A = _foreign(X, name)
    if type(A) is not np.ndarray and isinstance(A, np.ma.MaskedArray):  # numpy.ma is slow to import
        bad = np.ma.getmaskarray(A)
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise ValueError(f"{name}: has masked entries, first in row {row}; fill or drop them first")
        A = A.data
    if A.dtype.kind not in "biuf" and A.dtype.name != "bfloat16":
        raise TypeError(f"{name}: expected real numbers, got dtype {A.dtype}{_why(A)}")
    return np.asarray(A)


def _why(A: NDArray[Any]) -> str:
    if A.dtype.kind == "O":
        return " (rows of different lengths, or Python objects); convert it to float32 first"
    return "; pass real and imaginary parts as separate columns" if A.dtype.kind == "c" else ""


def _foreign(X: Any, name: str) -> NDArray[Any]:
    module = type(X).__module__.partition(".")[0]
    if module == "pyarrow":
        return _from_arrow(X, name)
    if module == "torch":
        X = X.detach().cpu()
        return np.asarray((X.float() if str(X.dtype) == "torch.bfloat16" else X).numpy())
    if hasattr(X, "__dlpack__") and not hasattr(X, "__array__"):
        return np.from_dlpack(X)
    try:
        return np.asanyarray(X)
    except (ValueError, TypeError) as e:
        raise ValueError(f"{name}: expected an array of numbers (n, d), got {type(X).__name__} ({e})") from None


def _from_arrow(X: Any, name: str) -> NDArray[Any]:
    import pyarrow as pa

    if isinstance(X, pa.ChunkedArray):
        X = X.combine_chunks()
    if not isinstance(X, pa.FixedSizeListArray):
        raise TypeError(f"{name}: expected an Arrow fixed-size list, got {getattr(X, 'type', type(X).__name__)}")
    values = X.flatten()  # honours slices; nulls are refused first, so no row is dropped
    if X.null_count or values.null_count:
        row = X.is_null().to_pylist().index(True) if X.null_count else values.is_null().to_pylist().index(True) // X.type.list_size
        raise ValueError(f"{name}: has nulls, first in row {row}; fill or drop them first")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(X), X.type.list_size)


def check_shape(A: NDArray[Any], name: str, d: int | None, empty: bool) -> None:
    want = f"(n, {d})" if d is not None else "(n, d)"
    if A.ndim != 2:
        hint = f"; one row? use {name}[None, :]" if A.ndim == 1 else ""
        raise ValueError(f"{name}: expected shape {want}, got a {A.ndim}-d array of shape {A.shape}{hint}")
    if d is not None and A.shape[1] != d:
        raise ValueError(f"{name}: expected shape {want}, got {A.shape}: width {A.shape[1]} instead of {d}")
    if A.shape[1] == 0 or A.shape[1] > MAX_DIM:
        raise ValueError(f"{name}: expected 1 to {MAX_DIM} columns, got shape {A.shape}")
    if A.shape[0] == 0 and not empty:
        raise ValueError(f"{name}: expected at least one row, got shape {A.shape}")


def check_finite(A: NDArray[Any], name: str, first: int = 0) -> None:
    """Raise ValueError that names the first row and column of `A` (n, d) holding NaN or an infinity."""
    step = max(1, (1 << 18) // max(1, A.shape[1]))
    for start in range(0, len(A), step):
        ok = np.isfinite(A[start : start + step])
        if not ok.all():
            row, column = np.argwhere(~ok)[0]
            value = A[start + row, column]
            raise ValueError(f"{name}: expected finite numbers, got {value} in row {first + start + row}, column {column}")


def check_range(A: F64, name: str, first: int = 0) -> F64:
    """Raise ValueError that names a row and column of `A` (n, d), n > 0, beyond float32; return each column's largest magnitude."""
    largest: F64 = np.maximum(np.abs(A.max(0)), np.abs(A.min(0)))
    if (largest > np.finfo(np.float32).max).any():
        column = int(np.argmax(largest))
        row = int(np.argmax(np.abs(A[:, column])))
        raise ValueError(
            f"{name}: expected numbers within float32, got {A[row, column]} in row {first + row}, column {column}; scale it down"
        )
    return largest


def narrow(A: F64, name: str, spread: F32 | None = None, first: int = 0) -> F32:
    """Round finite float64 rows (n, d) to float32, or name the column where that would lose too much."""
    if len(A) == 0:
        return A.astype(np.float32)
    largest = check_range(A, name, first)
    spans = (A.max(0) - A.min(0)) if spread is None else spread.astype(np.float64)
    lost = (largest > MAX_OFFSET_IN_SPREADS * spans) & (spans > 0)
    if lost.any():
        column = int(np.argmax(lost))
        raise ValueError(
            f"{name}: column {column} lies up to {largest[column]:.6g} from zero with a spread of {spans[column]:.6g}; rounding it "
            "to float32 would lose more than 2**-20 of the spread. Subtract an offset in float64 first: "
            "Pipeline([Center(), ...], quantizer) does"
        )
    return A.astype(np.float32)


def training_rows(X: Any, name: str = "X", *, wide: bool = False) -> NDArray[Any]:
    """Like `rows`, for `fit`: also takes an iterable of row blocks (n_i, d), which are gathered in memory in their order."""
    found = blocks_of(X)
    if found is None:
        return rows(X, name, wide=wide)
    blocks = list(found)
    if not blocks:
        raise ValueError(f"{name}: expected at least one block of rows, got an empty iterable")
    checked: list[NDArray[Any]] = []
    for i, block in enumerate(blocks):
        width = checked[0].shape[1] if checked else None
        checked.append(rows(block, f"{name}: block {i}", d=width, wide=True, empty=True))
    whole = np.concatenate(checked)
    if not len(whole):
        raise ValueError(f"{name}: expected at least one row, got {len(checked)} empty blocks")
    return whole if wide or whole.dtype == np.float32 else narrow(whole, name)


def blocks_of(X: Any) -> Iterable[Any] | None:
    """The blocks of rows that `X` consists of, where it is a list or an iterable of blocks, or an Arrow stream; else None.

    What can be iterated again is returned as something that can.
    """
    if isinstance(X, (list, tuple)):
        return X if X and getattr(X[0], "ndim", None) == 2 else None
    if isinstance(X, (np.ndarray, str, bytes, dict, set)):
        return None
    module = type(X).__module__.partition(".")[0]
    if hasattr(X, "__arrow_c_stream__") and module != "pandas":
        from codeword import files_arrow

        in_memory = module == "polars" or type(X).__name__ in ("Table", "ChunkedArray", "RecordBatch")
        return files_arrow.blocks(X, again=in_memory)
    return X if isinstance(X, Iterable) and not _is_array(X) else None


def _is_array(X: Any) -> bool:
    return any(hasattr(X, a) for a in ("__array__", "__dlpack__", "__arrow_c_array__", "__arrow_c_stream__", "tocsr"))


def weights(sample_weight: Any, n: int) -> F32 | None:
    """Check `sample_weight` (n,): finite, not negative, not all zero; returned as float32."""
    if sample_weight is None:
        return None
    w = to_array(sample_weight, "sample_weight")
    if w.shape != (n,):
        raise ValueError(f"sample_weight: expected shape ({n},), one weight a row, got {w.shape}")
    w = np.ascontiguousarray(w, np.float32)
    bad = ~np.isfinite(w) | (w < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"sample_weight: expected finite weights of at least 0, got {w[row]} in row {row}")
    if not w.any():
        raise ValueError("sample_weight: expected at least one weight above 0, got only zeros")
    return w


def codes(codes: Any, code_size: int, name: str = "codes") -> NDArray[np.uint8]:
    """Check packed codes: uint8 (n, code_size), returned C-contiguous."""
    C = to_array(codes, name)
    if C.dtype != np.uint8:
        raise TypeError(f"{name}: expected dtype uint8 as `encode` returns it, got {C.dtype}")
    if C.ndim != 2 or C.shape[1] != code_size:
        hint = f"; one code? use {name}[None, :]" if C.ndim == 1 else ""
        raise ValueError(f"{name}: expected shape (n, {code_size}), got {C.shape}{hint}")
    return np.ascontiguousarray(C)


def integer(value: Any, name: str, low: int, high: int) -> int:
    """Check an integer parameter (any integer type, not bool) within [low, high]."""
    import operator

    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected an integer from {low} to {high}, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer from {low} to {high}, got {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name}: expected an integer from {low} to {high}, got {number}")
    return number


def memory(value: Any, name: str) -> int:
    """Check an amount of memory: bytes, or a number and a unit, and return bytes.

    Examples
    --------
    >>> memory("1.5 GB", "max_memory"), memory("64MiB", "max_memory"), memory(1 << 20, "max_memory")
    (1500000000, 67108864, 1048576)
    """
    wanted = "expected bytes, or a number and a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB) such as '1GB'"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        amount = int(value)
    elif isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([kmgt])(i?))?b?\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError(f"{name}: {wanted}, got {value!r}")
        number, prefix, binary = match.groups()
        power = "kmgt".index(prefix.lower()) + 1 if prefix else 0
        amount = int(float(number) * (1024 if binary else 1000) ** power)
    else:
        raise TypeError(f"{name}: {wanted}, got {type(value).__name__}")
    if amount < 1:
        raise ValueError(f"{name}: {wanted}, got {value!r}")
    return amount


def real(value: Any, name: str, low: float, high: float) -> float:
    """Check a real parameter within [low, high]."""
    if isinstance(value, (bool, str, bytes)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name}: expected a number from {low} to {high}, got {value!r}")
    number = float(value)
    if not low <= number <= high:
        raise ValueError(f"{name}: expected a number from {low} to {high}, got {number}")
    return number


def flag(value: Any, name: str) -> bool:
    """Check a parameter that is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def choice(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    """Check a parameter that is one of a few words."""
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)
