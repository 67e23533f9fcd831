"""Real data for tests: folders of arrays in ``../shared/data`` beside the repository, or in ``$CODEWORD_DATA``."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest


def folder() -> Path | None:
    """Where the data sets are, or None."""
    named = os.environ.get("CODEWORD_DATA")
    path = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return path if path.is_dir() else None


def load(name: str, array: str = "base") -> np.ndarray:
    """Array `array` of data set `name`, float16 as float32, read-only; skips the test if it is not there."""
    where = folder()
    if where is None or not (where / name / f"{array}.npy").is_file():
        pytest.skip(f"data set {name}/{array}.npy not found; set CODEWORD_DATA to the folder that holds it")
    return _read(where / name / f"{array}.npy")


@cache
def _read(path: Path) -> np.ndarray:
    A = np.load(path, allow_pickle=False)
    if A.dtype == np.float16:
        A = A.astype(np.float32)
    A.flags.writeable = False
    return A
