"""Saved indexes: what is written and what is not, other writers and readers, damage, and crashes at every step."""

from __future__ import annotations

import builtins
import errno
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import io
from codeword.io import replace
from codeword.search import store

X = np.random.default_rng(0).standard_normal((3000, 12)).astype(np.float32)
QUERIES = X[:20] + np.float32(0.1)
SQ = cw.ScalarQuantizer(4).fit(X)


def same(one: cw.Index, two: cw.Index) -> bool:
    first, second = one.search(QUERIES, 10, recall=1), two.search(QUERIES, 10, recall=1)
    return np.array_equal(first.ids, second.ids) and np.array_equal(first.distances, second.distances)


def files_of(folder: Path) -> dict[str, int]:
    """Files and their inodes: a file that is written anew has another."""
    return {f.name: f.stat().st_ino for f in folder.iterdir() if f.name not in ("lock", "manifest.cw")}


KINDS: dict[str, Callable[[], cw.Index]] = {
    "plain": lambda: cw.Index(SQ, factors=False).add(X),
    "estimated, lists": lambda: cw.Index(SQ, "ip", factors=True, lists=8).fit(X).add(X, ids=np.arange(3000)[::-1] * 3),
    "second code": lambda: cw.Index(SQ, "cosine", factors=False, refine=cw.ScalarQuantizer(8)).add(X),
    "vectors kept": lambda: cw.Index(SQ, factors=False, refine="int8", lists=4).add(X),
    "strings": lambda: cw.Index(SQ, factors=False).add(X, ids=[f"ü{i}" for i in range(3000)]),
    "calibrated": lambda: cw.Index(SQ, factors=False).fit(X).calibrate(X).add(X),
    "tuned": lambda: cw.Index(SQ, factors=False, lists=8).add(X).tune(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_opened_index_goes_on_where_the_saved_one_stopped(tmp_path: Path, kind: str) -> None:
    index = KINDS[kind]()
    index.remove(index.ids[5:500:7])
    index.save(tmp_path / "a")
    opened = cw.open_index(tmp_path / "a", verify="open")
    assert same(index, opened) and len(opened) == len(index) and opened.stats()["memory_mapped"]
    assert np.array_equal(np.sort(opened.ids), np.sort(index.ids))
    assert (opened.model_bytes, opened.code_size) == (index.model_bytes, index.code_size)
    assert repr(opened.wanted) == repr(index.wanted)
    ids = ["neu", "neuer"] if kind == "strings" else [70_000, 70_001]
    for one in (index, opened):
        one.add(X[:2] + 3, ids=ids).remove(one.ids[:3])
    opened.save()
    again = cw.open_index(tmp_path / "a")
    assert same(index, opened) and same(index, again) and index.search(QUERIES[:2], 5, effort=1).ids.shape == (2, 5)
    assert index.stats()["lists"] == again.stats()["lists"]


def test_an_index_without_vectors_is_saved_with_what_was_asked_for(tmp_path: Path) -> None:
    cw.Index(SQ, "ip", lists=4, refine=cw.ScalarQuantizer(2)).save(tmp_path / "a")
    opened = cw.open_index(tmp_path / "a").add(X)
    assert opened.stats()["lists"]["count"] == 4 and opened.stats()["stages"][-1]["stage"] == "second code"


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    index = KINDS["estimated, lists"]()
    index.save(tmp_path / "a")
    first = files_of(tmp_path / "a")
    index.save()
    assert files_of(tmp_path / "a") == first
    index.add(X[:5]).save()
    second = files_of(tmp_path / "a")
    assert first.items() <= second.items() and len(second) == len(first) + 1
    index.remove([0]).save()
    third = files_of(tmp_path / "a")
    assert second.items() <= third.items() and [name[:4] for name in third.keys() - second.keys()] == ["dead"]
    index.vacuum().save()
    assert sorted(name[:5] for name in files_of(tmp_path / "a")) == ["model", "segme"]
    index.save(tmp_path / "b")
    assert not files_of(tmp_path / "b").keys() & files_of(tmp_path / "a").keys()


def test_a_writer_does_not_undo_what_another_has_saved(tmp_path: Path) -> None:
    KINDS["plain"]().save(tmp_path / "a")
    one, two = cw.open_index(tmp_path / "a"), cw.open_index(tmp_path / "a")
    one.remove([1]).save()
    with pytest.raises(ValueError, match="another writer"):
        two.remove([2]).save()
    two.save(tmp_path / "b")
    assert 1 not in cw.open_index(tmp_path / "a") and 1 in cw.open_index(tmp_path / "b")
    two.save()
    with pytest.raises(ValueError, match="expected a folder, as the index was neither"):
        KINDS["plain"]().save()


def test_readers_keep_what_they_opened(tmp_path: Path) -> None:
    index = KINDS["estimated, lists"]()
    index.save(tmp_path / "a")
    reader = cw.open_index(tmp_path / "a")
    before = reader.search(QUERIES, 10, recall=1)
    index.remove(index.ids[:2000]).vacuum().save()
    after = reader.search(QUERIES, 10, recall=1)
    assert np.array_equal(before.ids, after.ids) and len(cw.open_index(tmp_path / "a")) == 1000


def test_a_reader_that_misses_a_file_reads_the_new_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = KINDS["plain"]()
    index.save(tmp_path / "a")
    read, calls = store._read, []

    def slow(*args: Any) -> cw.Index:
        calls.append(1)
        if len(calls) == 1:
            index.remove([5]).vacuum().save()
        return read(*args)

    monkeypatch.setattr(store, "_read", slow)
    assert 5 not in cw.open_index(tmp_path / "a") and len(calls) == 2
    monkeypatch.undo()
    next((tmp_path / "a").glob("segment-*")).unlink()
    with pytest.raises(cw.FormatError, match=r"segment.*missing"):
        cw.open_index(tmp_path / "a")


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="other files"):
        KINDS["plain"]().save(tmp_path)
    with pytest.raises(cw.FormatError, match="no index"):
        cw.open_index(tmp_path)
    KINDS["plain"]().save(tmp_path / "a")
    (tmp_path / "a" / "notes.txt").write_text("mine")
    cw.open_index(tmp_path / "a").remove([1]).save()
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("part", ["manifest", "model", "segment", "dead", "names"])
def test_every_flipped_byte_is_noticed(tmp_path: Path, part: str) -> None:
    index = KINDS["strings"]()
    index.remove(index.ids[:9]).save(tmp_path / "a")
    path = next((tmp_path / "a").glob(f"{part}*"))
    sound, dice = path.read_bytes(), np.random.default_rng(1)
    for at in [0, 9, 30, 33, len(sound) - 1, *dice.integers(0, len(sound), 20).tolist()]:
        path.write_bytes(sound[:at] + bytes([sound[at] ^ (1 << dice.integers(8))]) + sound[at + 1 :])
        with pytest.raises(cw.FormatError):
            store.verify_folder(tmp_path / "a")
    path.write_bytes(sound)
    assert len(store.verify_folder(tmp_path / "a")) == 5


def test_codes_are_checked_at_the_first_search(tmp_path: Path) -> None:
    KINDS["plain"]().save(tmp_path / "a")
    path = next((tmp_path / "a").glob("segment*"))
    sound = path.read_bytes()
    at = sound.index(SQ.encode(X).tobytes())
    path.write_bytes(sound[: at + 99] + bytes([sound[at + 99] ^ 1]) + sound[at + 100 :])
    for verify in ("touch", "off"):  # array "bounds" lies in the same block of a file this small
        if verify == "touch":
            with pytest.raises(cw.FormatError, match="segment"):
                cw.open_index(tmp_path / "a", verify=verify).search(QUERIES)
        else:
            assert cw.open_index(tmp_path / "a", verify=verify).search(QUERIES).ids.shape == (20, 10)


HOSTILE: list[dict[str, Any]] = [
    {"commit": 5},
    {"next_id": 2999},
    {"next_id": 2**63},
    {"model": "../model.cw"},
    {"model": "segment-0000000000000000.cw"},
    {"segments": None},
    {"segments": [{"file": "segment-0000000000000000.cw", "n": 3000, "first": 0}]},
    {"n": 2999},
    {"n": 0},
    {"n": -1},
    {"first": 1},
    {"first": None},
    {"dead": "dead-0000000000000000.cw"},
    {"dead": 5},
    {"file": "/etc/passwd"},
    {"names": [{"file": "names-0000000000000000.cw", "n": 3000}]},
    {"names": []},
]


@pytest.mark.parametrize("lie", HOSTILE, ids=str)
def test_manifests_that_contradict_the_files_are_refused(tmp_path: Path, lie: dict[str, Any]) -> None:
    KINDS["plain"]().save(tmp_path / "a")
    path = tmp_path / "a" / "manifest.cw"
    header = io.open_container(path).header
    top = {key: value for key, value in lie.items() if key in header}
    entry = {**header["segments"][0], **{key: value for key, value in lie.items() if key not in header}}
    io.write(path, "index-manifest", {**header, "segments": [entry], **top}, {})
    with pytest.raises(cw.FormatError):
        cw.open_index(tmp_path / "a").search(QUERIES)


# Crashes

STEPS = 6


def changed(index: cw.Index, step: int) -> cw.Index:
    """What is done before save number `step`."""
    if step == 3:
        index.vacuum()
    index.add(X[step * 40 : step * 40 + 40], ids=np.arange(40) + 1000 * (step + 1))
    return index.remove(index.ids[:: 5 + step]) if step % 2 else index.upsert(X[:9], index.ids[:9])


def contents(index: cw.Index) -> tuple[Any, ...]:
    found = index.search(QUERIES, 5)
    return (*np.sort(index.ids).tolist(), found.ids.tobytes(), found.distances.tobytes())


def states() -> list[tuple[Any, ...]]:
    """What is in the index after each save."""
    index = cw.Index(SQ, factors=False, lists=2)
    return [contents(changed(index, step)) for step in range(STEPS)]


class Disk:
    """Records what a writer asks of the system, and makes the disks that a power cut may leave.

    What a file was given is there for certain after a sync of the file, what a directory was after a sync of the directory; before that,
    any part of it may be, in any order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.acknowledged = folder, [], []  # type: ignore[var-annotated]
        self.names: dict[str, int] = {}

    def open(self, path: str, mode: str) -> Any:
        file, inode = builtins.open(path, mode), len(self.log)  # noqa: SIM115
        self.names[path] = inode
        self.log.append(("entry", path, inode))
        write, log = file.write, self.log

        class Recorded:
            def write(self, data: Any) -> int:
                log.append(("data", inode, bytes(data)))
                return write(data)

            def __enter__(self) -> Recorded:
                return self

            def __exit__(self, *error: object) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        return Recorded()

    def fsync(self, handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        self.log.append(("synced folder",) if os.path.isdir(path) else ("synced file", self.names[path]))

    def replace(self, old: str, new: str) -> None:
        os.rename(old, new)
        self.names[new] = self.names.pop(old)
        self.log += [("entry", new, self.names[new]), ("entry", old, None)]

    def link(self, old: str, new: str) -> None:
        LINK(old, new)
        self.names[new] = self.names[old]
        self.log.append(("entry", new, self.names[new]))

    def unlink(self, path: str) -> None:
        UNLINK(path)
        self.names.pop(path)
        self.log.append(("entry", path, None))

    def after(self, prefix: int, dice: random.Random, kept: float) -> dict[str, bytes]:
        """Files after a power cut `prefix` calls in: each thing not synced is there with probability `kept`."""
        sure: dict[int, bytes] = {}
        loose: dict[int, list[bytes]] = {}
        entries: dict[str, int] = {}
        pending: list[tuple[str, int | None]] = []
        for what, *about in self.log[:prefix]:
            if what == "entry":
                pending.append((about[0], about[1]))
            elif what == "data":
                loose.setdefault(about[0], []).append(about[1])
            elif what == "synced file":
                sure[about[0]] = sure.get(about[0], b"") + b"".join(loose.pop(about[0], []))
            elif what == "synced folder":
                _apply(entries, pending)
                pending = []
        pending = [entry for entry in pending if dice.random() < kept]
        dice.shuffle(pending)
        _apply(entries, pending)
        return {path: sure.get(inode, b"") + _torn(loose.get(inode, []), dice, kept) for path, inode in entries.items()}


LINK, UNLINK = os.link, os.unlink


def _apply(entries: dict[str, int], changes: list[tuple[str, int | None]]) -> None:
    for path, inode in changes:
        if inode is None:
            entries.pop(path, None)
        else:
            entries[path] = inode


def _torn(data: list[bytes], dice: random.Random, kept: float) -> bytes:
    """What was written, some of its pages never arrived."""
    whole = bytearray(b"".join(data))
    for start in range(0, len(whole), 4096):
        if dice.random() >= kept:
            whole[start : start + 4096] = bytes(len(whole[start : start + 4096]))
    return bytes(whole if kept else b"")


@contextmanager
def recorded(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(replace, "open", disk.open, raising=False)
        for name in ("fsync", "replace", "link", "unlink"):
            patch.setattr(os, name, getattr(disk, name))
        yield


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the recorder asks /proc what a descriptor is of")
def test_a_power_cut_after_any_call_leaves_an_acknowledged_state_or_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    disk, index, expected = Disk(tmp_path / "a"), cw.Index(SQ, factors=False, lists=2), states()
    with recorded(disk, monkeypatch):
        for step in range(STEPS):
            changed(index, step).save(tmp_path / "a")
            disk.acknowledged.append(len(disk.log))
    dice, opened = random.Random(0), 0
    for prefix in range(disk.acknowledged[0], len(disk.log) + 1):
        sure = sum(at <= prefix for at in disk.acknowledged) - 1
        for kept in (0.0, 0.5, 1.0):
            files = disk.after(prefix, dice, kept)
            left = tmp_path / f"{prefix}-{kept}"
            left.mkdir()
            for path, data in files.items():
                (left / Path(path).name).write_bytes(data)
            found = contents(cw.open_index(left, verify="open"))
            assert found in expected[sure : sure + 2], (prefix, kept)
            opened += 1
    assert opened > 200 and contents(cw.open_index(tmp_path / "a")) == expected[-1]


CALLS = {"open": (replace, "open"), "fsync": (os, "fsync"), "replace": (os, "replace"), "write": (replace, "open")}


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_leaves_the_saved_state_and_saving_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    expected = states()
    module, name = CALLS[call]
    real: Any = getattr(module, name, builtins.open)
    failures = 0
    for at in range(1, 12):
        folder = tmp_path / str(at)
        index = changed(cw.Index(SQ, factors=False, lists=2), 0)
        index.save(folder)
        changed(index, 1)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, (_writes if call == "write" else _failing)(real, at, error), raising=False)
            try:
                index.save()
            except OSError as e:
                failures += 1
                assert e.errno == error
                assert contents(cw.open_index(folder, verify="open")) == expected[0]
        assert contents(index) == expected[1]
        index.save()
        assert contents(cw.open_index(folder, verify="open")) == expected[1]
    assert failures >= 2


def _failing(real: Any, at: int, error: int) -> Any:
    """`real`, whose call number `at` fails."""
    calls = 0

    def call(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(error, os.strerror(error))
        return real(*args)

    return call


def _writes(real: Any, at: int, error: int) -> Any:
    """`open`, of whose files the write number `at`, counted through them, fails."""
    calls = 0

    class Full:
        def __init__(self, *args: Any) -> None:
            self.file = real(*args)

        def write(self, data: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(error, os.strerror(error))
            return self.file.write(data)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    return Full


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be, so that syncs, which a kill does not need, take no time."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_writer_killed_at_any_moment_leaves_an_acknowledged_state_or_the_next(quick_folder: Path) -> None:
    expected, dice = states(), random.Random(5)
    index = cw.Index(SQ, factors=False, lists=2)
    start = time.perf_counter()
    for step in range(STEPS):
        changed(index, step).save(quick_folder / "timed")
    took, seen = time.perf_counter() - start, set()
    for kill in range(200):
        folder = quick_folder / str(kill)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                written = cw.Index(SQ, factors=False, lists=2)
                for step in range(STEPS):
                    changed(written, step).save(folder)
                    os.write(write, b".")
            finally:
                os._exit(0)
        os.close(write)
        time.sleep(dice.random() * took * 1.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged = len(os.read(read, STEPS))
        os.close(read)
        seen.add(acknowledged)
        if acknowledged:
            assert contents(cw.open_index(folder, verify="open")) in expected[acknowledged - 1 : acknowledged + 1]
            again = cw.open_index(folder)
            again.add(X[:1]).save()
            assert not list(folder.glob(".codeword-*"))
    assert len(seen) >= 4
