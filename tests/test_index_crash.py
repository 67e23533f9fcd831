"""Saving an index survives power cuts, failing calls and killed processes: what opens is what was acknowledged, or the next state."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import codeword as cw
import crash


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = crash.recorder(tmp_path_factory.mktemp("recorder"))
    if made is None:
        pytest.skip("recording system calls takes Linux and a C compiler")
    return made


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be: what is not about syncs need not wait for them."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("kind", crash.KINDS)
def test_a_power_cut_after_any_call_leaves_an_acknowledged_state_or_the_next(library: Path, quick_folder: Path, kind: str) -> None:
    expected = crash.states(kind)
    disk = crash.record(library, quick_folder / "written", kind)
    assert len(disk.acknowledged) == crash.STEPS
    # The recording is complete: with nothing lost it gives the very files.
    whole = disk.after(len(disk.log), random.Random(0), 1.0)
    there = {str(f): f.read_bytes() for f in (quick_folder / "written" / "index").iterdir()}
    assert {path: held for path, held in whole.items() if held is not None} == there
    left = quick_folder / "left"
    left.mkdir()
    assert crash.power_cuts(disk, expected, left, random.Random(0), (0.0, 0.5, 1.0)) > 200


@pytest.mark.parametrize("kind", crash.KINDS)
def test_any_call_that_fails_leaves_the_saved_state_and_saving_works_again(library: Path, quick_folder: Path, kind: str) -> None:
    failed = crash.failures(library, quick_folder / "failing", kind)
    assert failed["EIO"] > 50 and failed["ENOSPC"] > 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", crash.KINDS)
def test_a_writer_killed_at_any_moment_leaves_an_acknowledged_state_or_the_next(quick_folder: Path, kind: str) -> None:
    assert len(crash.kills(quick_folder, kind, 25, random.Random(5))) >= 3


def test_a_folder_made_by_others_is_synced_with_the_first_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, sync = [], os.fsync

    def noted(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    (tmp_path / "index").mkdir()
    crash.changed(crash.new("numbers"), 0, "numbers").save(tmp_path / "index")
    assert tmp_path.stat().st_ino in synced
    assert len(cw.open_index(tmp_path / "index")) == 40
