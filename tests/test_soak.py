"""Four threads at one index for a few seconds: see soak.py."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import codeword as cw
import soak


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_threads_that_change_search_save_and_reopen_lose_duplicate_and_revive_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, 24))
    pool = (centres[rng.integers(0, 200, 8000)] + 0.4 * rng.normal(size=(8000, 24))).astype(np.float32)
    made = soak.Soak(pool, cw.ScalarQuantizer(4).fit(pool), tmp_path / "index", aim=600)
    made.run(20.0)
    mine, fresh = made.recalls(pool[:500] + np.float32(0.05))
    assert mine >= fresh - 0.01
    assert all(made.done[what] > 0 for what in soak.WEIGHTS), made.done
    assert made.growth() < 0.2  # of seconds only; minutes are the benchmark's
