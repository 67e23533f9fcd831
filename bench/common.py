"""What the driver and the children share: data, the BLAS profile, measuring one run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CODEWORD_THREADS")
BLAS_PROFILES = ("", "SKYLAKEX", "ZEN", "HASWELL")


class Contender(NamedTuple):
    """One way to answer a question: `prepare(data, threads)` gives a function to time, whose result `judge` turns into figures."""

    name: str
    prepare: Callable[[dict[str, Any], int], Callable[[], Any]]
    judge: Callable[[dict[str, Any], Any], dict[str, float]]
    ours: bool = False
    profile: str = ""
    """BLAS kernels that it is to run with whatever is best here."""


def data_folder() -> Path:
    """The folder of real data sets, or an error that says how to name it."""
    for folder in (os.environ.get("CODEWORD_DATA"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    sys.exit("bench: no data sets; set CODEWORD_DATA to the folder that holds minilm-wordnet, sift-kodak, ...")


def rows(name: str, quick: bool, part: str = "base") -> Any:
    """Rows of a data set as float32 (a fifth of them if `quick`)."""
    import numpy as np

    X = np.load(data_folder() / name / f"{part}.npy")
    return np.ascontiguousarray(X[: len(X) // 5] if quick and part == "base" else X, np.float32)


def environment(threads: int, profile: str) -> dict[str, str]:
    """Environment of a child: thread counts fixed, BLAS kernels chosen by `profile` ("": by the library)."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")}
    env.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    if profile:
        env["OPENBLAS_CORETYPE"] = profile
    return env


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU seconds (all threads), wall seconds and the result of one run."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def mean_squared_error(X: Any, codebook: Any, labels: Any) -> float:
    """Mean over rows and dimensions of the squared error in float64, a block of rows at a time."""
    import numpy as np

    total = 0.0
    for start in range(0, len(X), 4096):
        error = X[start : start + 4096].astype(np.float64) - codebook[labels[start : start + 4096]]
        total += float((error * error).sum())
    return total / X.size


def distortion(X: Any, X_hat: Any) -> float:
    """Mean over rows and dimensions of the squared error in float64."""
    import numpy as np

    return float(np.mean((X.astype(np.float64) - X_hat) ** 2))
