"""A writing process whose system calls are recorded, made to fail and cut short. Tests and a benchmark share it.

python crash.py folder numbers         save six states of an index below folder, syscalls.c preloaded: `record`
python crash.py folder numbers fail    save with every call failing in turn: `failures` reads what it prints
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import codeword as cw

STEPS = 6
KINDS = ("numbers", "strings")
PAGE = 4096
X = np.random.default_rng(0).standard_normal((3000, 12)).astype(np.float32)
QUERIES = X[:20] + np.float32(0.1)
SQ = cw.ScalarQuantizer(4).fit(X)


# What the writer does


def new(kind: str) -> cw.Index:
    return cw.Index(SQ, factors=False, lists=2 if kind == "numbers" else None)


def changed(index: cw.Index, step: int, kind: str) -> cw.Index:
    """What is done before save number `step`: rows added, removed, replaced, put together."""
    if step == 3:
        index.vacuum()
    ids = np.arange(40) + 1000 * (step + 1)
    index.add(X[step * 40 : step * 40 + 40], ids=ids if kind == "numbers" else [f"n{i}" for i in ids.tolist()])
    return index.remove(index.ids[:: 5 + step]) if step % 2 else index.upsert(X[:9], index.ids[:9])


def contents(index: cw.Index) -> tuple[Any, ...]:
    found = index.search(QUERIES, 5)
    return (*np.sort(index.ids).tolist(), *found.ids.ravel().tolist(), found.distances.tobytes())


def states(kind: str) -> list[tuple[Any, ...]]:
    """What is in the index after each save."""
    index = new(kind)
    return [contents(changed(index, step, kind)) for step in range(STEPS)]


def saved(folder: Path, kind: str, mark: Any) -> None:
    """Save every state, saying so through `mark` each time."""
    index = new(kind)
    for step in range(STEPS):
        changed(index, step, kind).save(folder / "index")
        mark(step)


# Recorded


def recorder(scratch: Path) -> Path | None:
    """syscalls.c compiled, or None where that cannot be: it speaks the C library of Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not sys.platform.startswith("linux") or compiler is None:
        return None
    made = scratch / "syscalls.so"
    source = Path(__file__).with_name("syscalls.c")
    done = subprocess.run([compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(made), "-ldl"], check=False)
    return made if done.returncode == 0 else None


def preloaded(library: Path, folder: Path, log: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """This file as a process with its calls below `folder` recorded in `log`."""
    more = {"LD_PRELOAD": str(library), "CODEWORD_RECORD_BELOW": str(folder), "CODEWORD_RECORD_TO": str(log)}
    command = [sys.executable, __file__, str(folder), *words]
    done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@dataclass
class Disk:
    """What a power cut may leave, by the calls that a writer made.

    What a file was given is there for certain after a sync of the file, the names in a folder after a sync of the folder; before that, any
    page of 4 KiB and any name may be, in any order.

    Attributes
    ----------
    root : str
        Folder that was there before.
    log : list of tuple
        ``("entry", path, inode or None)``: a name given or taken away; ``("folder", path)``; ``("data", inode, bytes)``, appended;
        ``("synced file", inode)``; ``("synced folder", path)``.
    acknowledged : list of int
        How long the log was when each save returned.
    """

    root: str
    log: list[tuple[Any, ...]] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path, log: Path) -> Disk:
        """From what syscalls.c wrote; AssertionError where a file is written to after a sync, or other than at its end."""
        disk, data = cls(str(root)), log.read_bytes()
        names: dict[str, int] = {}
        handles: dict[int, str | int] = {}
        folders, synced, at = {str(root)}, set(), 0
        while at < len(data):
            end = data.index(b"\n", at)
            what, _, rest = data[at:end].decode().partition(" ")
            at = end + 1
            if what == "open":
                number, _, path = rest.split(" ", 2)
                if path in folders:
                    handles[int(number)] = path
                    continue
                if path not in names:
                    names[path] = len(disk.log)
                    disk.log.append(("entry", path, names[path]))
                handles[int(number)] = names[path]
            elif what == "write":
                handle, size = (int(part) for part in rest.split())
                assert handles[handle] not in synced, "a file that was synced is written to"
                disk.log.append(("data", handles[handle], data[at : at + size]))
                at += size
            elif what == "fsync":
                of = handles[int(rest)]
                disk.log.append(("synced folder", of) if isinstance(of, str) else ("synced file", of))
                synced.add(of)
            elif what == "mkdir":
                if rest.startswith(disk._mark):
                    disk.acknowledged.append(len(disk.log))
                    continue
                folders.add(rest)
                disk.log.append(("folder", rest))
            elif what in ("rename", "link"):
                old, new_name = rest.split("\t")
                names[new_name] = names[old]
                disk.log.append(("entry", new_name, names[old]))
                if what == "rename":
                    names.pop(old)
                    disk.log.append(("entry", old, None))
            elif what == "unlink":
                names.pop(rest)
                disk.log.append(("entry", rest, None))
            else:
                assert what == "close", f"a call that is not foreseen: {what}"
        return disk

    @property
    def _mark(self) -> str:
        return os.path.join(self.root, "saved-")

    def after(self, calls: int, dice: random.Random, kept: float) -> dict[str, bytes | None]:
        """Files (None: a folder) after a power cut when `calls` calls were made: each thing not synced is there with probability `kept`."""
        sure: dict[int, bytes] = {}
        loose: dict[int, list[bytes]] = {}
        entries: dict[str, int | None] = {}
        pending: list[tuple[Any, ...]] = []
        for what, *about in self.log[:calls]:
            if what in ("entry", "folder"):
                pending.append((what, *about))
            elif what == "data":
                loose.setdefault(about[0], []).append(about[1])
            elif what == "synced file":
                sure[about[0]] = sure.get(about[0], b"") + b"".join(loose.pop(about[0], []))
            else:
                _apply(entries, [entry for entry in pending if os.path.dirname(entry[1]) == about[0]])
                pending = [entry for entry in pending if os.path.dirname(entry[1]) != about[0]]
        pending = [entry for entry in pending if dice.random() < kept]
        if 0 < kept < 1:
            dice.shuffle(pending)
        _apply(entries, pending)
        whole = {
            path: None if inode is None else sure.get(inode, b"") + _torn(loose.get(inode, []), dice, kept)
            for path, inode in entries.items()
        }
        return {path: held for path, held in whole.items() if os.path.dirname(path) in whole or os.path.dirname(path) == self.root}


def _apply(entries: dict[str, int | None], changes: list[tuple[Any, ...]]) -> None:
    for what, path, *inode in changes:
        if what == "folder":
            entries[path] = None
        elif inode[0] is None:
            entries.pop(path, None)
        else:
            entries[path] = inode[0]


def _torn(data: list[bytes], dice: random.Random, kept: float) -> bytes:
    """What was written: some pages never arrived, or the file ends before them."""
    whole = bytearray(b"".join(data))
    for start in range(0, len(whole), PAGE):
        if dice.random() >= kept:
            whole[start : start + PAGE] = bytes(len(whole[start : start + PAGE]))
    cut = dice.randrange(0, len(whole) + 1, PAGE) if 0 < kept < 1 and dice.random() < 0.5 else len(whole)
    return bytes(whole[:cut] if kept else b"")


def record(library: Path, folder: Path, kind: str) -> Disk:
    """The calls of a process that saves every state below `folder`, which is made."""
    folder.mkdir()
    log = folder.with_suffix(".log")
    preloaded(library, folder, log, kind)
    return Disk.read(folder, log)


def power_cuts(disk: Disk, expected: list[tuple[Any, ...]], scratch: Path, dice: random.Random, chances: tuple[float, ...]) -> int:
    """Cut the power after every call, once for each chance that what is not synced is there; returns how often an index was opened.

    AssertionError where what opens is neither the state that was acknowledged nor the next one, or where nothing opens after the first
    acknowledgement.
    """
    opened = 0
    for calls in range(len(disk.log) + 1):
        done = sum(at <= calls for at in disk.acknowledged)
        for kept in chances:
            for path, held in sorted(disk.after(calls, dice, kept).items()):
                left = scratch / os.path.relpath(path, disk.root)
                left.mkdir() if held is None else left.write_bytes(held)
            try:
                index = cw.open_index(scratch / "index", verify="open")
            except (cw.FormatError, FileNotFoundError):
                assert not done, f"after call {calls}, {kept} of the rest kept, state {done} is lost"
            else:
                assert contents(index) in expected[max(done - 1, 0) : done + 1], (calls, kept, done)
                opened += 1
            shutil.rmtree(scratch / "index", ignore_errors=True)
    return opened


# Failing


def failures(library: Path, folder: Path, kind: str) -> dict[str, int]:
    """How many calls failed, by the name of the error; the process has checked what that led to."""
    folder.mkdir()
    done = preloaded(library, folder, folder.with_suffix(".log"), kind, "fail")
    return {name: int(count) for name, count in (line.split() for line in done.stdout.splitlines())}


def failed(folder: Path, kind: str, error: int) -> int:
    """Let each call of a save fail in turn, of the first one and of a later one; returns how many there are.

    A save that raises leaves what was saved before, one that does not has saved; the index in memory is unharmed and saves again.
    """
    expected, fail_at, count = states(kind), ctypes.CDLL(None).fail_at, 0
    for before in (0, 1):
        for at in range(1, 1000):
            path = folder / f"{errno.errorcode[error]}-{before}-{at}"
            index = new(kind)
            for step in range(before):
                changed(index, step, kind).save(path)
            changed(index, before, kind)
            fail_at(at, error)
            try:
                index.save(path)
                good = True
            except OSError as e:
                assert e.errno == error, e
                good = False
            finally:
                reached = fail_at(0, 0) >= at
            if good or before:
                assert contents(cw.open_index(path, verify="open")) == expected[before if good else 0], (at, error)
            assert contents(index) == expected[before]
            index.save(path)
            assert contents(cw.open_index(path, verify="open")) == expected[before]
            assert not list(path.glob(".codeword-*"))
            shutil.rmtree(path)
            if not reached:
                break
            count += 1
    return count


# Killed


def kills(folder: Path, kind: str, times: int, dice: random.Random) -> set[int]:
    """Kill a process that saves every state, at `times` random moments; returns after how many acknowledged states it died.

    AssertionError where what opens is neither the state that was acknowledged nor the next one, or saving does not go on from there.
    """
    expected, seen = states(kind), set()
    (folder / "timed").mkdir()
    start = time.perf_counter()
    saved(folder / "timed", kind, lambda step: None)
    took = time.perf_counter() - start
    for kill in range(times):
        path = folder / str(kill)
        path.mkdir()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                saved(path, kind, partial(_tell, write))
            finally:
                os._exit(0)
        os.close(write)
        done = sum(len(os.read(read, 1)) for _ in range(dice.randrange(STEPS)))
        time.sleep(dice.random() * took / STEPS * 1.5)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        done += len(os.read(read, STEPS))
        os.close(read)
        seen.add(done)
        if done:
            assert contents(cw.open_index(path / "index", verify="open")) in expected[done - 1 : done + 1]
            again = cw.open_index(path / "index")
            again.upsert(X[:1], again.ids[:1]).save()
            assert not list((path / "index").glob(".codeword-*"))
        shutil.rmtree(path)
    return seen


def _tell(pipe: int, step: int) -> None:
    os.write(pipe, b".")


def main(folder: str, kind: str, *more: str) -> None:
    if more:
        for name in ("EIO", "ENOSPC"):
            print(name, failed(Path(folder), kind, getattr(errno, name)))
        return
    saved(Path(folder), kind, lambda step: os.mkdir(os.path.join(folder, f"saved-{step}")))


if __name__ == "__main__":
    main(*sys.argv[1:])
