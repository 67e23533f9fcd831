"""Long work: progress only on a terminal and only after two seconds, and Ctrl-C between blocks."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time

import pytest

from codeword import runtime

# A background job starts with SIGINT ignored, and so do its children: the child heeds it again.
LONG_FIT = """
import signal, numpy as np, codeword as cw
signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).normal(size=(200_000, 64)).astype("f4")
print("started", flush=True)
cw.VectorQuantizer(20_000, seeding="random", max_iter=1000, tol=0.0).fit(X)
print("finished")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child alone")
def test_ctrl_c_stops_a_long_fit() -> None:
    command = [sys.executable, "-c", LONG_FIT]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "started\n"
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in err and "finished" not in out


class Terminal(io.StringIO):
    """Standard error that is a terminal, or not."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


def shown(monkeypatch: pytest.MonkeyPatch, *, tty: bool, seconds: float) -> str:
    """What a job of that length prints."""
    stream = Terminal(tty)
    clock = iter([0.0, *[seconds] * 100])
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(runtime.time, "monotonic", lambda: next(clock))
    with runtime.Progress("encode", 100) as progress:
        progress.advance(30)
        progress.advance(40, "half-way")
    return stream.getvalue()


def test_progress_shows_label_and_rate_on_a_terminal_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, tty=True, seconds=3.0)
    assert "encode" in text and "rows/s" in text


@pytest.mark.parametrize(("tty", "seconds"), [(False, 100.0), (True, 1.9)])
def test_progress_is_silent_off_a_terminal_and_for_short_jobs(monkeypatch: pytest.MonkeyPatch, tty: bool, seconds: float) -> None:
    assert shown(monkeypatch, tty=tty, seconds=seconds) == ""


def test_a_job_inside_another_job_leaves_progress_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with runtime.Progress("outer", 1):
        assert shown(monkeypatch, tty=True, seconds=100.0) == ""
    assert "encode" in shown(monkeypatch, tty=True, seconds=100.0)


def test_blocks_cover_every_row_once() -> None:
    assert list(runtime.blocks(10, 4, "")) == [(0, 4), (4, 8), (8, 10)]
    assert list(runtime.blocks(0, 4, "")) == []
