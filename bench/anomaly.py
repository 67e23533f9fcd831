"""How well CodebookOutlierDetector ranks anomalies, beside the detectors of PyOD with their defaults: `python bench/anomaly.py`.

ADBench's protocol: labels for the measures only, all rows to fit and to score, standardised for the peers (ours takes them raw), constant
columns left out, clipped at 1000. Of sets above 3,000 rows so many are drawn anew for each seed, with at least 30 anomalies. Peers'
figures are kept in a file, since they do not change. Ours was settled on the development sets; the others were looked at afterwards.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import THREAD_VARIABLES, data_folder

DEVELOPMENT = ["cardio", "thyroid", "satellite", "musk", "glass", "Pima", "Wilt", "breastw", "fault", "Stamps", "vertebral"]
TEST = [
    "Cardiotocography",
    "Ionosphere",
    "WDBC",
    "WPBC",
    "annthyroid",
    "landsat",
    "mammography",
    "pendigits",
    "satimage-2",
    "shuttle",
    "yeast",
]
MOST_ROWS, ANOMALIES = 3000, 30
OURS = "codeword"


def load(name: str, seed: int) -> tuple[Any, Any]:
    """Rows (n, d) and labels (n,), 1 for anomalies, of one draw of a set."""
    import numpy as np

    file = np.load(data_folder() / "adbench" / f"{name}.npz")
    X, y = file["X"].astype(np.float64), file["y"].astype(int)
    if len(X) <= MOST_ROWS:
        return X, y
    rng = np.random.default_rng(seed)
    kept = rng.permutation(len(X))[:MOST_ROWS]
    if y[kept].sum() < 10:
        anomalies = rng.permutation(np.flatnonzero(y))[:ANOMALIES]
        kept = np.concatenate([anomalies, rng.permutation(np.flatnonzero(y == 0))[: MOST_ROWS - len(anomalies)]])
        kept = rng.permutation(kept)
    return X[kept], y[kept]


def standardised(X: Any) -> Any:
    """Columns of mean 0 and variance 1, constant ones left out, clipped."""
    import numpy as np

    X = X[:, X.std(0) > 0]
    return np.clip((X - X.mean(0)) / X.std(0), -1000, 1000)


def peers(seed: int) -> dict[str, tuple[Callable[[], Any], bool]]:
    """Detectors of PyOD with their defaults, and whether the seed matters to them."""
    from pyod.models.cblof import CBLOF
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.inne import INNE
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.ocsvm import OCSVM

    return {
        "IForest": (lambda: IForest(random_state=seed), True),
        "kNN5": (KNN, False),
        "kNN50": (lambda: KNN(n_neighbors=50), False),
        "LOF": (LOF, False),
        "ECOD": (ECOD, False),
        "HBOS": (HBOS, False),
        "CBLOF": (lambda: CBLOF(random_state=seed), True),
        "OCSVM": (OCSVM, False),
        "INNE": (lambda: INNE(random_state=seed), True),
    }


def measured(y: Any, run: Callable[[], Any]) -> list[float]:
    """ROC-AUC, average precision and CPU seconds; a detector that fails has ranked by chance."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    start = time.process_time()
    try:
        scores = run()
    except (ValueError, FloatingPointError):
        return [0.5, float(y.mean()), time.process_time() - start]
    seconds = time.process_time() - start
    return [float(roc_auc_score(y, scores)), float(average_precision_score(y, scores)), seconds]


def run(names: list[str], seeds: int, kept: dict[str, list[float]]) -> dict[str, list[float]]:
    """Figures by "detector|set|seed"; those of peers in `kept` are taken from there, and added to it."""
    from codeword.cluster import CodebookOutlierDetector

    results: dict[str, list[float]] = {}
    for seed in range(seeds):
        for name in names:
            X, y = load(name, seed)
            whole = len(X) < MOST_ROWS
            for peer, (make, drawn) in peers(seed).items():
                key = f"{peer}|{name}|{seed}"
                if key not in kept and whole and not drawn and f"{peer}|{name}|0" in kept:
                    kept[key] = kept[f"{peer}|{name}|0"]
                if key not in kept:
                    kept[key] = measured(y, lambda make=make, X=X: make().fit(standardised(X)).decision_scores_)
                results[key] = kept[key]
            ours = CodebookOutlierDetector(random_state=seed)
            results[f"{OURS}|{name}|{seed}"] = measured(y, lambda ours=ours, X=X: ours.fit(X).decision_scores_)
    return results


def table(results: dict[str, list[float]], names: list[str], seeds: int) -> None:
    """Print AUC by set, means, and what ours is above each peer with the 95 % interval over sets (Student's t)."""
    import numpy as np
    from scipy.stats import t

    detectors = list(dict.fromkeys(key.split("|")[0] for key in results))
    A = {d: np.array([[results[f"{d}|{n}|{s}"] for s in range(seeds)] for n in names]).mean(1) for d in detectors}
    print(f"{'':10}" + " ".join(f"{n[:7]:>7}" for n in names) + f" {'AUC':>7} {'AP':>7} {'seconds':>8}  ours above it: AUC, AP")
    for d in sorted(detectors, key=lambda d: -A[d][:, 0].mean()):
        cells = " ".join(f"{v:7.3f}" for v in A[d][:, 0])
        line = f"{d:10}{cells} {A[d][:, 0].mean():7.4f} {A[d][:, 1].mean():7.4f} {A[d][:, 2].mean():8.3f}"
        if d != OURS:
            for i in (0, 1):
                gain = A[OURS][:, i] - A[d][:, i]
                half = t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5
                line += f"  {gain.mean():+.4f} ± {half:.4f}"
        print(line)


def growth(rows: list[int], d: int) -> None:
    """Print CPU seconds to fit and score n rows, ours and IForest's."""
    import numpy as np
    from pyod.models.iforest import IForest

    from codeword.cluster import CodebookOutlierDetector

    for n in rows:
        X = np.random.default_rng(0).standard_t(4, size=(n, d))
        for name, make in ((OURS, CodebookOutlierDetector(random_state=0)), ("IForest", IForest(random_state=0))):
            start = time.process_time()
            make.fit(X)
            seconds = time.process_time() - start
            print(f"{n:>9,} rows x {d}: {name:9} {seconds:8.2f} CPU s, {1e6 * seconds / n:6.2f} us a row", flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", choices=["development", "test", "all"], default="test")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kept", type=Path, default=Path("build/anomaly_peers.json"), help="file with the peers' figures")
    parser.add_argument("--growth", type=int, nargs="*", metavar="ROWS", help="instead: CPU time for so many rows")
    parser.add_argument("--columns", type=int, default=10, help="columns of --growth")
    given = parser.parse_args()
    if given.growth is not None:
        growth(given.growth or [10_000, 100_000, 1_000_000], given.columns)
        return
    names = {"development": DEVELOPMENT, "test": TEST, "all": DEVELOPMENT + TEST}[given.sets]
    kept = json.loads(given.kept.read_text()) if given.kept.exists() else {}
    results = run(names, given.seeds, kept)
    given.kept.parent.mkdir(parents=True, exist_ok=True)
    given.kept.write_text(json.dumps(kept))
    table(results, names, given.seeds)


if __name__ == "__main__":
    import os
    import warnings

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    warnings.filterwarnings("ignore")
    main()
