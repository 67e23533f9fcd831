"""Vector files: every format gives back what was written, stays on disk where it can, and explains what is wrong with it."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeword import files
from codeword.errors import FormatError

X = np.random.default_rng(1).normal(size=(100, 7)).astype(np.float32)
INTEGERS = np.random.default_rng(2).integers(0, 256, (100, 7))


def _rows_for(suffix: str) -> np.ndarray[Any, Any]:
    types = {".bvecs": "u1", ".u8bin": "u1", ".i8bin": "i1", ".ivecs": "i4", ".ibin": "i4"}
    return INTEGERS.astype(types[suffix]) if suffix in types else X


@pytest.mark.parametrize("suffix", [s for s in files.SUFFIXES if s != ".npz"])
@pytest.mark.parametrize("n", [100, 1])
def test_what_is_written_is_read(tmp_path: Path, suffix: str, n: int) -> None:
    if suffix in (".parquet", ".arrow", ".feather"):
        pytest.importorskip("pyarrow")
    path, rows = tmp_path / f"x{suffix}", _rows_for(suffix)[:n]
    files.write(path, rows)
    found = files.read(path)
    assert found.dtype == rows.dtype
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize("suffix", [".npy", ".fvecs", ".bvecs", ".ivecs", ".fbin", ".u8bin", ".raw"])
def test_rows_stay_on_disk(tmp_path: Path, suffix: str) -> None:
    rows = _rows_for(suffix)
    files.write(tmp_path / f"x{suffix}", rows)
    found = files.read(tmp_path / f"x{suffix}", **({"dtype": "float32", "dim": 7} if suffix == ".raw" else {}))
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", "u1", "i8"])
def test_npy_and_raw_keep_the_type(tmp_path: Path, dtype: str) -> None:
    rows = INTEGERS.astype(dtype)
    files.write(tmp_path / "x.npy", rows)
    files.write(tmp_path / "x.raw", rows)
    assert files.read(tmp_path / "x.npy").dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(files.read(tmp_path / "x.npy"), rows)
    np.testing.assert_array_equal(files.read(tmp_path / "x.raw", dtype=np.dtype(dtype).newbyteorder("="), dim=7), rows)


@pytest.mark.parametrize("suffix", [".npy", ".fbin", ".parquet"])
def test_no_rows_keep_their_width(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    files.write(tmp_path / f"x{suffix}", X[:0])
    assert files.read(tmp_path / f"x{suffix}").shape == (0, 7)


def test_blocks_are_written_as_one_file(tmp_path: Path) -> None:
    files.write_blocks(tmp_path / "x.fvecs", (X[i : i + 30] for i in range(0, 100, 30)), X.shape, X.dtype)
    np.testing.assert_array_equal(files.read(tmp_path / "x.fvecs"), X)
    with pytest.raises(ValueError, match="expected 101 rows to write, got 100"):
        files.write_blocks(tmp_path / "short.npy", iter([X]), (101, 7), X.dtype)
    assert [p.name for p in tmp_path.iterdir()] == ["x.fvecs"]


@pytest.mark.parametrize(
    ("suffix", "rows", "message"),
    [
        (".bvecs", [[1, 256]], "holds uint8, 0 to 255; the rows have values from 1 to 256"),
        (".ivecs", [[2**31, 0]], "holds int32"),
        (".ivecs", [[0.5, 1.0]], "holds int32, got float64; write .fvecs or .npy"),
        (".npz", [[1.0, 2.0]], "only read"),
        (".npy", [["a", "b"]], "expected real numbers"),
        (".npy", [1.0, 2.0], r"expected shape \(n, d\)"),
    ],
)
def test_what_does_not_fit_is_not_written(tmp_path: Path, suffix: str, rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        files.write(tmp_path / f"x{suffix}", np.array(rows))
    assert list(tmp_path.iterdir()) == []


# What is wrong with a file


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _vecs(*rows: list[float], head: int | None = None) -> bytes:
    return b"".join(struct.pack(f"<i{len(r)}f", len(r) if head is None else head, *r) for r in rows)


DAMAGED = {
    "empty.npy": (b"", "not an .npy file .* it is empty"),
    "text.npy": (b"1,2,3\n4,5,6\n", "its first bytes are wrong"),
    "zip.npy": (_npz(a=X), "a zip archive; name it .npz"),
    "short.npy": (_npy(X)[:-4], "cut off or damaged"),
    "header.npy": (_npy(X)[:40], "cut off or damaged"),
    "head2.npy": (_npy(X).replace(b"'shape'", b"'shupe'"), "cut off or damaged"),
    "not.npz": (_npy(X), "not an .npz file"),
    "text.npz": (b"hello, world", "not an .npz file, or a damaged one"),
    "empty.npz": (b"", "not an .npz file, or a damaged one"),
    "short.npz": (_npz(a=X)[:-60], "not an .npz file, or a damaged one"),
    "empty.fvecs": (b"", "the file is empty"),
    "tiny.fvecs": (b"\1", "not a .fvecs file"),
    "text.fvecs": (b"hello, world", "claims 1819043176 dimensions"),
    "minus.fvecs": (_vecs([1.0, 2.0], head=-2), "claims -2 dimensions"),
    "short.fvecs": (_vecs([1.0, 2.0], [3.0, 4.0])[:-1], "cut off: 23 bytes are 1 rows of 12 bytes"),
    "long.fvecs": (_vecs([1.0, 2.0]) + b"\0", "cut off: 13 bytes are 1 rows"),
    "first.fvecs": (_vecs([1.0, 2.0])[:8], "cut off: 8 bytes are 0 rows"),
    "mixed.fvecs": (_vecs([1.0, 2.0], [3.0, 4.0, 5.0], [6.0]), "row 1 claims 3 dimensions, row 0 has 2"),
    "short.fbin": (b"\1\0\0\0", "expected a header of 8 bytes"),
    "cut.fbin": (struct.pack("<2I3f", 2, 2, 1, 2, 3), "says 2 rows of 2 float32, which are 24 bytes; the file has 20"),
    "zero.fbin": (struct.pack("<2I", 0, 0), "0 rows of 0"),
    "text.parquet": (b"hello, world", "not a Parquet file"),
    "text.arrow": (b"hello, world", "not an Arrow file"),
    "empty.feather": (b"", "not an Arrow file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_a_format_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    if name.endswith((".parquet", ".arrow", ".feather")):
        pytest.importorskip("pyarrow")
    content, message = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=message) as e:
        files.read(tmp_path / name)
    assert str(e.value).startswith(str(tmp_path / name))


REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "one.npy": (_npy(np.zeros(3)), {}, r"expected rows, shape \(n, d\); it holds shape \(3,\)"),
    "three.npy": (_npy(np.zeros((2, 3, 4))), {}, r"reshape\(len\(X\), -1\)"),
    "strings.npy": (_npy(np.array([["a"]])), {}, "expected real numbers, it holds dtype <U1"),
    "pickle.npy": (_npy(np.array([[None]])), {}, "pickled Python objects"),
    "bfloat.npy": (_npy(np.zeros((2, 2), "V2")), {}, "save bfloat16 as float32"),
    "array.npy": (_npy(X), {"array": "a"}, "only be chosen in an .npz file"),
    "column.npy": (_npy(X), {"column": "a"}, "only be chosen in a Parquet"),
    "two.npz": (_npz(base=X, queries=X), {}, "it holds 2 arrays; choose one of base, queries"),
    "other.npz": (_npz(base=X), {"array": "x"}, "no array 'x' in it; choose one of base"),
    "pickle.npz": (_npz(a=np.array([[None]])), {}, "pickled Python objects"),
    "raw.npy": (_npy(X), {"dtype": "f4", "dim": 7}, "dtype and dim are for raw files"),
    "half.raw": (b"", {"dtype": "f4"}, "needs both dtype and dim"),
    "type.raw": (b"", {"dtype": "float31", "dim": 7}, "expected a number type"),
    "text.raw": (b"", {"dtype": "U3", "dim": 7}, "expected real numbers"),
    "dim.raw": (b"", {"dtype": "f4", "dim": 0}, "dim: expected 1 to"),
    "rest.raw": (b"123456789", {"dtype": "f4", "dim": 2}, "9 bytes are 1 rows of 8 bytes .* and 1 bytes more"),
    "suffix.csv": (b"1,2", {}, "unknown suffix .csv; known: .npy"),
    "nosuffix": (b"1,2", {}, r"unknown suffix \(none\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_a_value_error(tmp_path: Path, name: str) -> None:
    content, arguments, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        files.read(tmp_path / name, **arguments)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        files.read(tmp_path / "none.npy")
    with pytest.raises(IsADirectoryError, match="it is a directory"):
        files.read(tmp_path)


def test_a_damaged_width_far_into_the_file_is_found(tmp_path: Path) -> None:
    files.write(tmp_path / "x.bvecs", np.zeros((300_000, 3), np.uint8))
    data = bytearray((tmp_path / "x.bvecs").read_bytes())
    data[7 * 290_000] = 4
    (tmp_path / "x.bvecs").write_bytes(data)
    with pytest.raises(FormatError, match="row 290000 claims 4 dimensions, row 0 has 3"):
        files.read(tmp_path / "x.bvecs")


# Arrow


def _table(path: Path, columns: dict[str, Any]) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=30)
    else:
        feather.write_feather(table, str(path))
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_lists_are_found_among_other_columns(tmp_path: Path, suffix: str) -> None:
    path = _table(tmp_path / f"x{suffix}", {"id": list("abcdefghij"), "n": list(range(10)), "e": X[:10].tolist()})
    found = files.read(path)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, X[:10])


def test_numeric_columns_side_by_side(tmp_path: Path) -> None:
    path = _table(tmp_path / "x.parquet", {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    np.testing.assert_array_equal(files.read(path), X[:, :3])
    np.testing.assert_array_equal(files.read(path, column=["c", "a"]), X[:, [2, 0]])
    np.testing.assert_array_equal(files.read(path, column="b"), X[:, 1:2])


def test_several_row_groups_and_a_stream(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    files.write_blocks(tmp_path / "x.parquet", (X[i : i + 30] for i in range(0, 100, 30)), X.shape, X.dtype)
    np.testing.assert_array_equal(files.read(tmp_path / "x.parquet"), X)
    table = pa.table({"vector": pa.FixedSizeListArray.from_arrays(X.ravel(), 7)})
    with pa.ipc.new_stream(tmp_path / "x.arrow", table.schema) as stream:
        stream.write_table(table, max_chunksize=40)
    np.testing.assert_array_equal(files.read(tmp_path / "x.arrow"), X)


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"e": [[1.0, 2.0], [3.0]]}, {}, "row 1 has 1 numbers, row 0 has 2"),
        ({"e": [[1.0, 2.0], None]}, {}, "no list in row 1"),
        ({"e": [[1.0, 2.0], [3.0, None]]}, {}, "a null in row 1"),
        ({"a": [1.0, None]}, {}, "column 'a' has a null in row 1"),
        ({"e": [[1.0]], "f": [[2.0]]}, {}, "several columns hold lists; choose one: e, f"),
        ({"a": [1.0], "t": ["x"]}, {}, "column 't' holds string"),
        ({"a": [1.0]}, {"column": "b"}, r"no column 'b'; it has a \(double\)"),
        ({"e": [[1.0]], "a": [2.0]}, {"column": ["e", "a"]}, "one column of lists, or several of numbers"),
        ({"e": [["x"]]}, {}, "neither numbers nor lists of numbers"),
    ],
)
def test_wrong_columns(tmp_path: Path, columns: dict[str, Any], arguments: dict[str, Any], message: str) -> None:
    path = _table(tmp_path / "x.parquet", columns)
    with pytest.raises(ValueError, match=message):
        files.read(path, **arguments)


def test_pyarrow_missing_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'codeword\[arrow\]'"):
        files.read(tmp_path / "x.parquet")
