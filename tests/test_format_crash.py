"""Whatever fails while a file is written, its name leads to all of the old content or all of the new."""

from __future__ import annotations

import builtins
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeword import io
from codeword.io import replace

OLD, NEW = np.arange(10), np.arange(500_000)


def value_in(path: Path) -> int:
    with io.open_container(path, verify="open") as file:
        return len(file.array("a"))


def failing(real: Callable[..., Any], at: int, error: BaseException) -> Callable[..., Any]:
    """`real`, except that call number `at` raises `error`; every later call is a test failure of its own."""
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise error
        assert calls < at, "a failed step was tried again"
        return real(*args, **kwargs)

    return call


class FullDisk:
    """A file whose write number `at` fails."""

    def __init__(self, path: str, mode: str, at: int) -> None:
        self.file = open(path, mode)  # noqa: SIM115
        self.write = failing(self.file.write, at, OSError(errno.ENOSPC, "No space left on device"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()


IO_ERROR = OSError(errno.EIO, "Input/output error")
STEPS = {
    "open": (builtins, "open", 1, PermissionError(errno.EACCES, "Permission denied")),
    "sync of the file": (os, "fsync", 1, IO_ERROR),
    "interrupted sync": (os, "fsync", 1, KeyboardInterrupt()),
    "rename": (os, "replace", 1, PermissionError(errno.EACCES, "Permission denied")),
    "sync of the directory": (os, "fsync", 2, IO_ERROR),
    "interrupted sync of the directory": (os, "fsync", 2, KeyboardInterrupt()),
}


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_failed_step_leaves_the_old_file_and_nothing_else(
    step: str, existed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.cw"
    if existed:
        io.write(path, "k", {}, {"a": OLD})
    module, name, at, error = STEPS[step]
    real = getattr(module, name)
    with monkeypatch.context() as patch:
        if name == "open":
            patch.setattr(replace, "open", failing(real, at, error), raising=False)
        else:
            patch.setattr(module, name, failing(real, at, error))
        with pytest.raises(type(error)) as caught:
            io.write(path, "k", {}, {"a": NEW})
    assert caught.value is error
    assert os.listdir(tmp_path) == (["a.cw"] if existed else [])
    if existed:
        assert value_in(path) == len(OLD)
    io.write(path, "k", {}, {"a": NEW})
    assert value_in(path) == len(NEW)
    assert os.listdir(tmp_path) == ["a.cw"]


@pytest.mark.parametrize("at", [1, 2, 5, 7])  # front, first block, last block, tail
def test_full_disk_leaves_the_old_file_and_nothing_else(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "k", {}, {"a": OLD})
    with monkeypatch.context() as patch:
        patch.setattr(replace, "open", lambda *args: FullDisk(*args, at=at), raising=False)
        with pytest.raises(OSError, match="No space left"):
            io.write(path, "k", {}, {"a": NEW})
    assert os.listdir(tmp_path) == ["a.cw"]
    assert value_in(path) == len(OLD)


def test_error_while_an_array_is_read_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "k", {}, {"a": OLD})

    class Broken(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        io.write(path, "k", {}, Broken(a=NEW))
    with pytest.raises(TypeError), io.replacing(path) as file:
        file.write("half, and no bytes")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["a.cw"]
    assert value_in(path) == len(OLD)


@pytest.mark.skipif(os.name == "nt", reason="directories cannot be synced there")
def test_file_systems_without_directory_sync_or_hard_links_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "k", {}, {"a": OLD})
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    def link(*names: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    io.write(path, "k", {}, {"a": NEW})
    assert value_in(path) == len(NEW)
    assert os.listdir(tmp_path) == ["a.cw"]


# Kills the process at a step: a call of one of these functions, before or after it took effect.
KILLED = """
import os, signal, sys
import numpy as np
from codeword import io
from codeword.io import replace

path, name, at, when = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
calls = 0

def killing(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

def opened(*args):
    file = open(*args)
    class Killing:
        write = staticmethod(killing(file.write))
        def __getattr__(self, name): return getattr(file, name)
        def __enter__(self): return self
        def __exit__(self, *error): file.close()
    return Killing()

if name == "write":
    replace.open = opened
else:
    setattr(os, name, killing(getattr(os, name)))
io.write(path, "k", {}, {"a": np.arange(500_000)})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
@pytest.mark.parametrize(
    ("name", "at", "when", "expected"),
    [
        ("write", 1, "before", OLD),
        ("write", 2, "after", OLD),
        ("write", 6, "after", OLD),
        ("fsync", 1, "after", OLD),
        ("link", 1, "after", OLD),
        ("replace", 1, "before", OLD),
        ("replace", 1, "after", NEW),
        ("fsync", 2, "after", NEW),
        ("unlink", 1, "before", NEW),
    ],
)
def test_kill_at_any_step_leaves_old_or_new(name: str, at: int, when: str, expected: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "k", {}, {"a": OLD})
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), name, str(at), when], check=False)
    assert done.returncode == -signal.SIGKILL
    assert value_in(path) == len(expected)
    left = [p.name for p in tmp_path.iterdir() if p != path]
    assert all(n.startswith(".codeword-") and n.endswith((".tmp", ".tmp.old")) for n in left)
    io.write(path, "k", {}, {"a": NEW})  # what a killed writer left does not get in the way
    assert value_in(path) == len(NEW)


def test_open_arrays_survive_that_their_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.cw"
    io.write(path, "k", {}, {"a": OLD})
    with io.open_container(path) as file:
        a = file.array("a")
        if os.name != "nt":  # where a mapped file cannot be replaced
            io.write(path, "k", {"own": True}, {"a": a})
            io.write(path, "k", {}, {"a": NEW})
        assert np.array_equal(a, OLD)
        file.verify()


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "a.cw", tmp_path / "link.cw"
    previous = os.umask(0o027)
    try:
        io.write(path, "k", {}, {"a": OLD})
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    link.symlink_to("a.cw")
    io.write(link, "k", {}, {"a": NEW})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert value_in(path) == len(NEW)


def test_bad_places_are_refused_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such directory to save in: .*none"):
        io.write(tmp_path / "none" / "a.cw", "k", {}, {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        io.write(tmp_path / "folder", "k", {}, {})
    assert os.listdir(tmp_path) == ["folder"]
