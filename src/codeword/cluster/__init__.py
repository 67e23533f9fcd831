"""Clustering and anomaly detection on codebooks, as scikit-learn users expect them. Needs the extra `cluster`.

Names are imported when they are first used; scikit-learn comes with the estimators.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codeword.cluster.bisecting import BisectingKMeans as BisectingKMeans
    from codeword.cluster.choosing import choose_k as choose_k
    from codeword.cluster.kmeans import KMeans as KMeans
    from codeword.cluster.minibatch import MiniBatchKMeans as MiniBatchKMeans
    from codeword.cluster.outliers import CodebookOutlierDetector as CodebookOutlierDetector
    from codeword.cluster.segments import Segments as Segments

_HOME = {
    "BisectingKMeans": "bisecting",
    "CodebookOutlierDetector": "outliers",
    "KMeans": "kmeans",
    "MiniBatchKMeans": "minibatch",
    "Segments": "segments",
    "choose_k": "choosing",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'codeword.cluster' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"codeword.cluster.{_HOME[name]}"), name)
    except ModuleNotFoundError as e:
        raise ImportError(f"codeword.cluster.{name} needs {e.name}: pip install codeword[cluster]") from e
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
