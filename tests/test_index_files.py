"""Saved indexes: what is written and what is not, other writers and readers, damage. Crashes: test_index_crash.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import io
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
    "second code of parts": lambda: cw.Index(SQ, factors=False, refine=cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(2.0))).add(X),
    "second code with cells": lambda: cw.Index(SQ, factors=False, refine=cw.MixtureQuantizer(3, cw.ScalarQuantizer(2))).add(X),
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


def test_the_distortion_of_segments_is_kept(tmp_path: Path) -> None:
    index = KINDS["plain"]()
    index.add(X[:500] * 3).save(tmp_path / "a")
    before, after = (i.stats()["distortion"] for i in (index, cw.open_index(tmp_path / "a")))
    assert before == after and before["worst"] > 1.5


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


READER = """
import sys, codeword as cw
seen = set()
while len(seen) < 400:
    index = cw.open_index(sys.argv[1])
    found, n = index.search(index.model.quantizer.decode(index.model.quantizer.encode([[0.1] * 12])), 4000, recall=1), len(index)
    assert found.ids.shape == (1, n) and len(set(found.ids[0].tolist())) == n, "half of a change was seen"
    assert n % 10 == 0, "what was never saved was seen"
    seen.add(n)
    print(n, flush=True)
    if n == 3990:
        break
"""


def test_another_process_reads_whole_states_while_one_writes(tmp_path: Path) -> None:
    index = KINDS["plain"]()
    index.save(tmp_path / "a")
    command = [sys.executable, "-c", READER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "3000\n"
        for step in range(60):
            index.add(X[:7] + step).remove(index.ids[:2]).add(X[:5]).save()
            if step % 9 == 0:
                index.vacuum().save()
        index.add(X[: 3990 - len(index)]).save()
        states = [int(line) for line in reader.stdout]
    assert reader.returncode == 0 and states == sorted(states) and states[-1] == 3990 and len(set(states)) > 2


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
