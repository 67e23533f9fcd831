"""Vector files: rows in from the formats that vectors come in, rows out to them.

    .npy .npz | .fvecs .bvecs .ivecs | .fbin .u8bin .i8bin .ibin | .parquet .arrow .feather | raw --read--> (n, d) --write--> file

`read` maps a file where its format allows it, so that a file larger than memory can be encoded block by block; it checks
the structure of the file, and leaves the numbers (NaN and the like) to `codeword.checks`. A file whose bytes contradict
each other raises `FormatError`; a wrong request (no such column, no dtype for a raw file) a plain ValueError. Every message
names the file, what is wrong and what to do. Parquet, Arrow and Feather need the extra ``codeword[arrow]``.

Formats: ``.fvecs`` and its kin, little-endian, int32 d before every row (TEXMEX corpora); ``.fbin`` and its kin, uint32 n
and d once, then the rows (big-ann-benchmarks).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from codeword import runtime
from codeword.checks import MAX_DIM
from codeword.errors import FormatError
from codeword.io import replacing

Path = str | os.PathLike[str]
Rows = NDArray[Any]
Blocks = Iterable[Rows]

# Type of the numbers, by suffix.
_VECS = {".fvecs": "<f4", ".bvecs": "|u1", ".ivecs": "<i4"}
_BIN = {".fbin": "<f4", ".u8bin": "|u1", ".i8bin": "|i1", ".ibin": "<i4"}
_ARROW = (".parquet", ".arrow", ".feather")
SUFFIXES = (".npy", ".npz", *_VECS, *_BIN, *_ARROW)
_HEADERS_AT_ONCE = 1 << 18
_BYTES_AT_ONCE = 1 << 24


def read(
    path: Path,
    *,
    array: str | None = None,
    column: str | Sequence[str] | None = None,
    dtype: DTypeLike | None = None,
    dim: int | None = None,
) -> Rows:
    """Read the rows of a vector file; its suffix says the format.

    Parameters
    ----------
    path : str or path-like
    array : str, optional
        Which array of an ``.npz`` file; needed where it holds several.
    column : str or list of str, optional
        Which column of lists of a Parquet, Arrow or Feather file, or which numeric columns; needed where it is not plain.
    dtype, dim : optional
        Type of the numbers and width of the rows of a raw file, which has no header: both, or neither.

    Returns
    -------
    ndarray (n, d)
        As stored: a read-only memory map where the format allows it, an array in memory for ``.npz`` and Arrow.

    Raises
    ------
    FormatError
        If the file is cut off, damaged, or not of the format that its suffix says.
    ValueError
        If the request does not fit the file.
    ImportError
        For Parquet, Arrow and Feather without pyarrow.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> from codeword import files
    >>> path = os.path.join(tempfile.mkdtemp(), "two.fvecs")
    >>> files.write(path, np.eye(2, 3))
    >>> np.asarray(files.read(path))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    name = os.fsdecode(path)
    suffix = _suffix(name)
    _check_regular(name)
    if dtype is not None or dim is not None:
        return _read_raw(name, suffix, dtype, dim)
    if array is not None and suffix != ".npz":
        raise ValueError(f"{name}: a named array (array={array!r}) can only be chosen in an .npz file")
    if column is not None and suffix not in _ARROW:
        raise ValueError(f"{name}: a column ({column!r}) can only be chosen in a Parquet, Arrow or Feather file")
    if suffix == ".npy":
        return _as_rows(_read_npy(name), name)
    if suffix == ".npz":
        return _as_rows(_read_npz(name, array), name)
    if suffix in _VECS:
        return _read_vecs(name, np.dtype(_VECS[suffix]))
    if suffix in _BIN:
        return _read_bin(name, np.dtype(_BIN[suffix]))
    if suffix in _ARROW:
        from codeword import files_arrow

        return _as_rows(files_arrow.read(name, suffix, column), name)
    raise ValueError(
        f"{name}: unknown suffix {suffix or '(none)'}; known: {', '.join(SUFFIXES)}. For a raw file give dtype and dim"
    )


def write(path: Path, rows: Any) -> None:
    """Write `rows` (n, d) to `path`, whose suffix says the format; the file appears complete or not at all.

    ``.npy``, Parquet, Arrow, Feather and raw (any other suffix: the numbers one after the other, no header) keep the type;
    the others have one, and numbers that it cannot hold exactly are refused, except that ``.fvecs`` and ``.fbin`` round.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> from codeword import files
    >>> path = os.path.join(tempfile.mkdtemp(), "ids.ivecs")
    >>> files.write(path, np.arange(6).reshape(2, 3))
    >>> files.read(path).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    A = np.asarray(rows)
    if A.ndim != 2:
        raise ValueError(f"rows: expected shape (n, d), got {A.shape}")
    step = max(1, _BYTES_AT_ONCE // max(1, A.shape[1] * A.itemsize))
    write_blocks(path, (A[i : i + step] for i in range(0, len(A), step)), A.shape, A.dtype)


def write_blocks(path: Path, blocks: Blocks, shape: tuple[int, int], dtype: DTypeLike) -> None:
    """Like `write`, from blocks of rows (n_i, d) that together make `shape`, so that memory stays bounded.

    Raises
    ------
    ValueError
        If the numbers do not fit the format, or the blocks do not add up to `shape`. Nothing is left behind.
    """
    name = os.fsdecode(path)
    suffix = _suffix(name)
    if suffix == ".npz":
        raise ValueError(f"{name}: .npz is only read; write .npy")
    stored = np.dtype(_VECS.get(suffix) or _BIN.get(suffix) or np.dtype(dtype).newbyteorder("<"))
    _check_fits(name, np.dtype(dtype), stored)
    counted = _counted(name, blocks, shape, stored)
    if suffix in _ARROW:
        from codeword import files_arrow

        files_arrow.write(name, suffix, counted, shape, stored)
        return
    with replacing(name) as file:
        _write_header(file, suffix, shape, stored)
        for block in counted:
            if suffix in _VECS:
                heads = np.full((len(block), 1), shape[1], "<i4").view(np.uint8)
                block = np.concatenate([heads, block.view(np.uint8).reshape(len(block), -1)], axis=1)
            file.write(block.data)


# Reading


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _check_regular(name: str) -> None:
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name}: it is a directory; name a file in it")
    if not os.path.exists(name):
        raise FileNotFoundError(f"{name}: no such file")


def _as_rows(A: NDArray[Any], name: str) -> Rows:
    if A.ndim != 2:
        fix = ".reshape(1, -1) for one row, .reshape(-1, 1) for rows of one number" if A.ndim == 1 else ".reshape(len(X), -1)"
        raise ValueError(f"{name}: expected rows, shape (n, d); it holds shape {A.shape}. Save it reshaped: X{fix}")
    if A.dtype.kind not in "biuf" and A.dtype.name != "bfloat16":
        fix = "save bfloat16 as float32" if A.dtype == np.dtype("V2") else "save it as float32"
        raise ValueError(f"{name}: expected real numbers, it holds dtype {A.dtype}; {fix}")
    return A


def _read_npy(name: str) -> NDArray[Any]:
    with open(name, "rb") as file:
        start = file.read(6)
    if start != b"\x93NUMPY":
        what = "a zip archive; name it .npz" if start[:2] == b"PK" else "cut off or something else"
        raise FormatError(f"{name}: not an .npy file (its first bytes are wrong): it is {what if start else 'empty'}")
    try:
        return np.load(name, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError, SyntaxError, OverflowError, MemoryError) as e:
        if "mmap an empty file" in str(e):
            return np.load(name, allow_pickle=False)  # type: ignore[no-any-return]
        if "Python objects" in str(e) or "object" in str(e):
            raise ValueError(f"{name}: it holds pickled Python objects, which are never loaded; save it as float32") from None
        raise FormatError(f"{name}: cut off or damaged .npy file ({e}); write or copy it again") from None


def _read_npz(name: str, array: str | None) -> NDArray[Any]:
    from zipfile import BadZipFile
    from zlib import error as ZlibError

    try:
        with open(name, "rb") as file:
            if file.read(2) != b"PK":
                raise BadZipFile("its first bytes are not those of a zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return _npz_member(name, archive, array)
    except (BadZipFile, ZlibError, EOFError, KeyError, NotImplementedError, SyntaxError) as e:
        raise FormatError(f"{name}: not an .npz file, or a damaged one ({e}); write or copy it again") from None


def _npz_member(name: str, archive: Any, array: str | None) -> NDArray[Any]:
    names = list(archive.files)
    if array is None and len(names) != 1:
        raise ValueError(f"{name}: it holds {len(names)} arrays; choose one of {', '.join(names) or '(none)'}")
    if array is not None and array not in names:
        raise ValueError(f"{name}: no array {array!r} in it; choose one of {', '.join(names) or '(none)'}")
    try:
        return archive[array or names[0]]  # type: ignore[no-any-return]
    except ValueError as e:
        if "allow_pickle" in str(e):
            raise ValueError(f"{name}: array {array or names[0]!r} holds pickled Python objects, which are never loaded") from None
        raise FormatError(f"{name}: array {array or names[0]!r} in it is damaged ({e})") from None


def _read_vecs(name: str, dtype: np.dtype[Any]) -> Rows:
    """Map rows that each begin with their width, and compare all the widths."""
    suffix = _suffix(name)
    nbytes = os.path.getsize(name)
    if nbytes == 0:
        raise FormatError(f"{name}: the file is empty, so the width of its rows is unknown; write at least one row")
    with open(name, "rb") as file:
        head = file.read(4)
    d = int(np.frombuffer(head, "<i4")[0]) if len(head) == 4 else 0
    if not 0 < d <= MAX_DIM:
        raise FormatError(f"{name}: not a {suffix} file: its first row claims {d} dimensions (expected 1 to {MAX_DIM})")
    row = 4 + d * dtype.itemsize
    n, rest = divmod(nbytes, row)
    raw = np.memmap(name, np.uint8, "r", shape=(n, row)) if n else np.empty((0, row), np.uint8)
    for start, stop in runtime.blocks(n, _HEADERS_AT_ONCE, f"check {os.path.basename(name)}"):
        widths = np.ascontiguousarray(raw[start:stop, :4]).view("<i4")[:, 0]
        if (widths != d).any():
            bad = int(np.argmax(widths != d))
            raise FormatError(
                f"{name}: row {start + bad} claims {widths[bad]} dimensions, row 0 has {d}; the file is damaged, or its rows "
                f"differ in width, or it is not a {suffix} file"
            )
    if rest:
        raise FormatError(
            f"{name}: cut off: {nbytes} bytes are {n} rows of {row} bytes ({d} dimensions) and {rest} bytes of another; "
            "copy it again"
        )
    values: Rows = np.memmap(name, dtype, "r", shape=(n, row // dtype.itemsize))
    return values[:, 4 // dtype.itemsize :]


def _read_bin(name: str, dtype: np.dtype[Any]) -> Rows:
    """Map rows behind one header of n and d."""
    nbytes = os.path.getsize(name)
    with open(name, "rb") as file:
        head = file.read(8)
    if len(head) < 8:
        raise FormatError(f"{name}: cut off: expected a header of 8 bytes, the file has {nbytes}")
    n, d = (int(x) for x in np.frombuffer(head, "<u4"))
    if not 0 < d <= MAX_DIM or nbytes != 8 + n * d * dtype.itemsize:
        raise FormatError(
            f"{name}: its header says {n} rows of {d} {dtype.name}, which are {8 + n * d * dtype.itemsize} bytes; the file has "
            f"{nbytes}. It is cut off, or not a {_suffix(name)} file"
        )
    if n == 0:
        return np.empty((0, d), dtype)
    return np.memmap(name, dtype, "r", offset=8, shape=(n, d))


def _read_raw(name: str, suffix: str, dtype: DTypeLike | None, dim: int | None) -> Rows:
    if suffix in SUFFIXES:
        raise ValueError(f"{name}: dtype and dim are for raw files; a {suffix} file says them itself, leave them out")
    if dtype is None or dim is None:
        raise ValueError(f"{name}: a raw file needs both dtype and dim, got dtype={dtype!r} and dim={dim!r}")
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype: expected a number type such as float32 or uint8, got {dtype!r}") from None
    if kind.kind not in "biuf":
        raise ValueError(f"dtype: expected real numbers such as float32 or uint8, got {kind}")
    if not 0 < dim <= MAX_DIM:
        raise ValueError(f"dim: expected 1 to {MAX_DIM}, got {dim}")
    nbytes, row = os.path.getsize(name), dim * kind.itemsize
    n, rest = divmod(nbytes, row)
    if rest:
        raise FormatError(
            f"{name}: {nbytes} bytes are {n} rows of {row} bytes ({dim} {kind}) and {rest} bytes more; dtype or dim is wrong, or "
            "the file is cut off"
        )
    return np.memmap(name, kind, "r", shape=(n, dim)) if n else np.empty((0, dim), kind)


# Writing


def _write_header(file: BinaryIO, suffix: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    if suffix == ".npy":
        descr = np.lib.format.dtype_to_descr(dtype)
        np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    elif suffix in _BIN:
        file.write(np.array(shape, "<u4").tobytes())


def _check_fits(name: str, given: np.dtype[Any], stored: np.dtype[Any]) -> None:
    """Refuse floats for an integer format, before anything is written; integers are checked by value, block by block."""
    if given.kind not in "biuf" and given.name != "bfloat16":
        raise ValueError(f"{name}: expected real numbers to write, got dtype {given}")
    if stored.kind in "iu" and given.kind not in "biu":
        raise ValueError(f"{name}: {_suffix(name)} holds {stored.name}, got {given.name}; write .fvecs or .npy")


def _counted(name: str, blocks: Blocks, shape: tuple[int, int], stored: np.dtype[Any]) -> Iterator[Rows]:
    """The blocks as C-contiguous arrays of the stored type, their shapes and integer ranges checked."""
    n = 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != shape[1]:
            raise ValueError(f"{name}: expected blocks of {shape[1]} columns, got shape {block.shape}")
        if stored.kind in "iu" and block.dtype.kind in "iu" and block.size:
            limits = np.iinfo(stored)
            if int(block.min()) < limits.min or int(block.max()) > limits.max:
                raise ValueError(
                    f"{name}: {_suffix(name)} holds {stored.name}, {limits.min} to {limits.max}; the rows have values from "
                    f"{block.min()} to {block.max()}; write .npy"
                )
        n += len(block)
        yield np.ascontiguousarray(block, stored)
    if n != shape[0]:
        raise ValueError(f"{name}: expected {shape[0]} rows to write, got {n}")
