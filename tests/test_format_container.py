"""Opening, checking and writing containers: what is checked when, what is refused, and what the messages say."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import io
from codeword.io import layout, reader

MIB = 1 << 20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four arrays over five blocks: `small` lies in block 0, `wide` in 0 to 2, `words` in 2 to 4."""
    path = tmp_path_factory.mktemp("sound") / "sound.cw"
    words = np.arange(2 * MIB // 4, dtype="u4")
    arrays = {"small": np.arange(5.0), "wide": words[: MIB // 2].view("u1"), "words": words, "yes": np.array([True])}
    io.write(path, "example", {"k": 5}, arrays)
    return path


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Path:
    """A bit of the last block is flipped, in `words`."""
    raw = bytearray(sound.read_bytes())
    raw[data_offset(raw) + 3 * MIB + 17] ^= 4
    (tmp_path / "damaged.cw").write_bytes(raw)
    return tmp_path / "damaged.cw"


def data_offset(raw: bytes) -> int:
    return layout.align(32 + int.from_bytes(raw[12:16], "little"))


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[int]]:
    """How often the reader computed the checksum of a block, by the block's first bytes' address."""
    counts: Counter[int] = Counter()

    def counting(data: np.ndarray, start: int) -> int:
        counts[data.__array_interface__["data"][0]] += 1
        return layout.crc32c(data, start)

    monkeypatch.setattr(reader, "crc32c", counting)
    return counts


def test_touch_checks_each_block_once_and_only_when_used(sound: Path, checked: Counter[int]) -> None:
    with io.open_container(sound) as file:
        assert not checked
        file.array("small")
        assert len(checked) == 1
        file.array("words")
        file.array("words")
        assert len(checked) == sum(checked.values()) == 4


def test_open_checks_everything_at_once_and_off_nothing(sound: Path, checked: Counter[int]) -> None:
    with io.open_container(sound, verify="off") as file:
        for name in file.names:
            file.array(name)
    assert not checked
    with io.open_container(sound, verify="open") as file:
        assert sum(checked.values()) == len(checked) == 5
        for name in file.names:
            file.array(name)
        assert sum(checked.values()) == 5
        file.verify()
        assert sum(checked.values()) == 10


def test_damage_is_found_when_the_choice_says(damaged: Path) -> None:
    with io.open_container(damaged) as file:
        assert file.array("small")[4] == 4
        for _ in range(2):  # a failure is not remembered as a success
            with pytest.raises(cw.FormatError, match=r"damaged\.cw: array 'words': block 3 of the data \(bytes \d+ to \d+ of the"):
                file.array("words")
        with pytest.raises(cw.FormatError, match="block 3"):
            file.verify()
    with pytest.raises(cw.FormatError, match="block 3"):
        io.open_container(damaged, verify="open")
    with io.open_container(damaged, verify="off") as file:
        file.array("words")
        with pytest.raises(cw.FormatError, match="block 3"):
            file.verify()


def test_verify_sees_damage_that_came_after_the_first_check(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    raw = bytearray(sound.read_bytes())
    path.write_bytes(raw)
    with io.open_container(path, verify="open") as file:
        for position in (12, 100, data_offset(raw) + 7, len(raw) - 2):
            with open(path, "r+b") as handle:
                handle.seek(position)
                handle.write(bytes([raw[position] ^ 1]))
                handle.flush()
                with pytest.raises(cw.FormatError):
                    file.verify()
                handle.seek(position)
                handle.write(raw[position : position + 1])
                handle.flush()
                file.verify()


def test_arrays_are_aligned_read_only_views_that_outlive_the_container(sound: Path) -> None:
    with io.open_container(sound) as file:
        arrays = {name: file.array(name) for name in file.names}
    assert np.array_equal(arrays["words"], np.arange(2 * MIB // 4))
    for array in arrays.values():
        assert not array.flags.writeable
        assert not array.flags.owndata
        assert array.ctypes.data % 64 == 0
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            array.flags.writeable = True
    with pytest.raises(ValueError, match="closed"):
        file.array("words")


def test_threads_that_touch_together_check_each_block_once(sound: Path, checked: Counter[int]) -> None:
    with io.open_container(sound) as file:
        barrier = threading.Barrier(8)
        sums: list[Any] = []

        def touch(i: int) -> None:
            barrier.wait()
            names = file.names[i % 4 :] + file.names[: i % 4]
            sums.append(sorted((name, int(file.array(name).sum())) for name in names))

        threads = [threading.Thread(target=touch, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(sums) == 8
        assert all(s == sums[0] for s in sums)
        assert max(checked.values()) == 1
        assert len(checked) == 5


def test_readers_see_old_or_new_while_a_writer_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    versions = 30
    io.write(path, "v", {"version": 0}, {"a": np.zeros(1000, "i8")})
    seen: list[int] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not seen or seen[-1] < versions:
                with io.open_container(path) as file:
                    a = file.array("a")
                    assert (a == file.header["version"]).all()
                    seen.append(file.header["version"])
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(1, versions + 1):
        io.write(path, "v", {"version": version}, {"a": np.full(1000, version, "i8")})
    for thread in threads:
        thread.join()
    assert not errors
    assert os.listdir(tmp_path) == ["a.cw"]


def test_describe_is_json_and_complete(sound: Path) -> None:
    with io.open_container(sound) as file:
        told = json.loads(json.dumps(file.describe()))
        assert repr(file).endswith("example: small, wide, words, yes>")
    assert (told["kind"], told["format_version"], told["header"]) == ("example", "1.0", {"k": 5})
    assert told["file_nbytes"] == sound.stat().st_size
    assert told["arrays"][0] == {"name": "small", "dtype": "float64", "shape": [5], "nbytes": 40}


def test_a_missing_array_is_named_with_those_there_are(sound: Path) -> None:
    with io.open_container(sound) as file, pytest.raises(cw.FormatError, match="no array 'codes'; there are: small, wide"):
        file.array("codes")


def test_paths_of_every_kind_and_what_is_no_container(sound: Path, tmp_path: Path) -> None:
    for path in (sound, str(sound), os.fsencode(sound)):
        io.open_container(path).close()  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        io.open_container(tmp_path / "none.cw")
    with pytest.raises((IsADirectoryError, PermissionError)):
        io.open_container(tmp_path)
    with pytest.raises(ValueError, match="verify: expected one of open, touch, off, got 'always'"):
        io.open_container(sound, verify="always")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(cw.FormatError, match="not a regular file"):
            io.open_container(tmp_path / "pipe")
    for content in (b"", b"PK\3\4" + bytes(100), b"{}", bytes(1000)):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(cw.FormatError, match="other: it is not a codeword file"):
            io.open_container(tmp_path / "other")


@pytest.mark.parametrize(
    ("kind", "header", "arrays", "error", "message"),
    [
        ("", {}, {}, ValueError, "kind: '' is no name"),
        ("a/b", {}, {}, ValueError, "kind: 'a/b' is no name"),
        ("k\n", {}, {}, ValueError, "is no name"),
        ("k", [], {}, TypeError, "header: expected a dict, got list"),
        ("k", {1: 2}, {}, TypeError, "header: a key that is not a string"),
        ("k", {"a": float("nan")}, {}, ValueError, "header: nan is not a number"),
        ("k", {"a": [1e999]}, {}, ValueError, "header: inf is not a number"),
        ("k", {"a": 2**64}, {}, ValueError, "header: an integer outside"),
        ("k", {"a": "\ud800"}, {}, ValueError, "header: .*surrogates"),
        ("k", {"\udfff": 1}, {}, ValueError, "header: .*surrogates"),
        ("k", {"a": {1, 2}}, {}, TypeError, "header: set is not a type"),
        ("k", {"a": np.arange(3)}, {}, TypeError, "header: ndarray is not a type"),
        ("k", {"a": "x" * 2**24}, {}, ValueError, "header: 16777"),
        ("k", {}, {"": np.zeros(1)}, ValueError, "'' is no name"),
        ("k", {}, {"a..b": np.zeros(1)}, ValueError, "'a..b' is no name"),
        ("k", {}, {"é": np.zeros(1)}, ValueError, "is no name"),
        ("k", {}, {"a" * 256: np.zeros(1)}, ValueError, "is no name"),
        ("k", {}, {1: np.zeros(1)}, TypeError, "names that are strings, got 1"),
        ("k", {}, {"a": np.array([None])}, TypeError, "array 'a': dtype object is not stored"),
        ("k", {}, {"a": np.array(["x"])}, TypeError, "array 'a': dtype <U1 is not stored"),
        ("k", {}, {"a": np.zeros(1, "c8")}, TypeError, "array 'a': dtype complex64 is not stored"),
        ("k", {}, {"a": np.zeros(1, "M8[s]")}, TypeError, "is not stored"),
        ("k", {}, {"a": np.zeros(1, [("x", "f4")])}, TypeError, "is not stored"),
        ("k", {}, {"a": np.broadcast_to(np.uint8(0), (2**22, 2**23))}, ValueError, "array 'a': shape"),
        ("k", {}, {"a": np.empty((0, 2**45), "u1")}, ValueError, "array 'a': shape"),
    ],
)
def test_what_the_format_does_not_hold_is_refused_before_anything_is_written(
    tmp_path: Path, kind: Any, header: Any, arrays: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        io.write(tmp_path / "a.cw", kind, header, arrays)
    assert type(caught.value) is error
    assert not os.listdir(tmp_path)


def test_endless_and_deep_headers_are_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    deep: Any = 0
    for _ in range(62):
        deep = [deep]
    io.write(tmp_path / "a.cw", "k", {"deep": deep}, {})  # 64 levels with the outermost object and the header
    for header in ({"endless": endless}, {"deep": [deep]}):
        with pytest.raises(ValueError, match="nested deeper than 64"):
            io.write(tmp_path / "b.cw", "k", header, {})


def test_arrays_larger_than_a_block_stream_from_memory_maps(tmp_path: Path) -> None:
    import tracemalloc

    source = np.memmap(tmp_path / "source", ">f4", "w+", shape=(3000, 4000))
    source[:] = np.arange(4000)
    tracemalloc.start()
    io.write(tmp_path / "a.cw", "k", {}, {"big": source, "turned": source.T, "line": source.T[::2]})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB  # of 110 MiB
    with io.open_container(tmp_path / "a.cw") as file:
        assert np.array_equal(file.array("big"), source)
        assert np.array_equal(file.array("turned"), source.T)
        assert np.array_equal(file.array("line"), source.T[::2])


@pytest.mark.parametrize("shape", [(2, 300_001), (300_001, 2), (2, 3, 100_000), (600_001,)])
def test_arrays_of_any_strides_are_stored_in_c_order(shape: tuple[int, ...], tmp_path: Path) -> None:
    a = np.arange(np.prod(shape), dtype=">f8").reshape(shape)
    arrays = {"fortran": np.asfortranarray(a), "back": a[::-1], "steps": a[..., ::3], "same": np.broadcast_to(a[:1], shape)}
    io.write(tmp_path / "a.cw", "k", {}, arrays)
    with io.open_container(tmp_path / "a.cw") as file:
        for name, array in arrays.items():
            assert np.array_equal(file.array(name), array), name
