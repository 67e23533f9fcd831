"""CPU time of a fresh interpreter that imports one package; `import numpy` is what everybody pays."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from common import Contender

TITLE = "import"
DATA = ("fresh interpreter",)
RUNS = 5


def load(dataset: str, quick: bool) -> dict[str, Any]:
    return {}


def importer(statement: str) -> Callable[[dict[str, Any], int], Callable[[], float]]:
    def prepare(data: dict[str, Any], threads: int) -> Callable[[], float]:
        def run() -> float:
            best = float("inf")
            for _ in range(RUNS):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run([sys.executable, "-c", statement], check=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            return best

        run()  # the first import compiles byte code
        return run

    return prepare


def judge(data: dict[str, Any], seconds: float) -> dict[str, float]:
    return {"CPU ms of the import": 1e3 * seconds}


def contenders() -> list[Contender]:
    return [
        Contender("codeword", importer("import codeword"), judge, ours=True),
        Contender("NumPy alone", importer("import numpy"), judge),
        Contender("nothing", importer("pass"), judge),
        Contender("faiss", importer("import faiss"), judge),
        Contender("scikit-learn KMeans", importer("from sklearn.cluster import KMeans"), judge),
    ]
