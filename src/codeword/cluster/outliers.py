"""CodebookOutlierDetector: how unlike the other rows each row is, by ensembles of random codebooks (see `outlier_model`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from codeword import keys, registry, runtime
from codeword.cluster import outlier_state
from codeword.cluster.columns import rarity
from codeword.cluster.estimator import one_of, seed_of, whole
from codeword.cluster.outlier_model import learn
from codeword.cluster.table import MISSING_POLICIES, Table

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_SAMPLE_STREAM = 651
_BLOCK_ELEMENTS = 1 << 20


@registry.register("codebook-outliers")
class CodebookOutlierDetector(BaseEstimator):  # type: ignore[misc]
    """Outliers of a table: rows far from their nearest codeword in ensembles of random codebooks, at three scales and in two views.

    Scores are PyOD's way round: `decision_function` is the higher the more unlike the others a row is. `predict` is scikit-learn's: -1
    for outliers, 1 for the others. The time is linear in the rows; the model is made from at most `sample_rows` of them.

    Parameters
    ----------
    contamination : float
        Share of the training rows that are called outliers, up to 0.5, where no `false_alarm_rate` is given.
    false_alarm_rate : float, optional
        Threshold such that of new rows like the training rows at most this share, on average, is called an outlier (conformal
        prediction: Vovk, Gammerman & Shafer 2005). Outliers among the training rows only make it less.
    missing : {"error", "median"}
        NaN is refused, or taken for the column's median. Infinity is always refused. A missing category is a category.
    categorical : sequence of column names or numbers, optional
        Columns whose values are categories, which count by how rare they are; those of a data frame that hold no numbers are anyway.
    sample_rows : int
        Rows, drawn by key, that codebooks, scales and thresholds are made from.
    random_state : int, RandomState or None

    Attributes
    ----------
    decision_scores_ : ndarray (n,) float64
        Of the rows of the last `fit` (or of the last block of `partial_fit`), none from codebooks that the row itself is in.
    p_values_ : ndarray (n,) float64
        Of those rows: see `p_values`.
    labels_ : ndarray (n,) int64
        1 for outliers among those rows, 0 for the others, as in PyOD.
    threshold_ : float
        Rows of a higher decision score are outliers.
    false_alarm_rate_ : float
        Share of rows like the training rows that are expected above the threshold.
    n_rows_ : int
        Rows seen.
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> import numpy as np
    >>> from codeword.cluster import CodebookOutlierDetector
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = CodebookOutlierDetector(false_alarm_rate=0.01, random_state=0).fit(X)
    >>> strange = [[0.1, 7.0, -0.2], [0.0, 0.1, 0.2]]
    >>> detector.predict(strange).tolist(), detector.p_values(strange).round(3).tolist()
    ([-1, 1], [0.002, 0.914])
    >>> int(detector.explain(strange)[0].argmax())
    1
    """

    id = "codebook-outliers"

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        false_alarm_rate: float | None = None,
        missing: str = "error",
        categorical: Sequence[int | str] | None = None,
        sample_rows: int = 4096,
        random_state: Any = None,
    ) -> None:
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.missing = missing
        self.categorical = categorical
        self.sample_rows = sample_rows
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "median"
        return tags

    def fit(self, X: Any, y: Any = None) -> CodebookOutlierDetector:
        """Learn from rows `X` (n, d), an array or a data frame; `y` is ignored.

        Raises
        ------
        ValueError
            For values that are refused, with their place, fewer than two rows, or a bad parameter, which it names.
        """
        self._begin(X)
        return self._absorb(self._table.read(self, X, self.categorical, self.missing, first=True, learn=True))

    def partial_fit(self, X: Any, y: Any = None) -> CodebookOutlierDetector:
        """Learn from the next rows `X` (n, d) of a stream: every row so far is in the sample with the same chance."""
        first = not hasattr(self, "n_rows_")
        if first:
            self._begin(X)
        elif not hasattr(self, "_sample"):
            raise ValueError("partial_fit: a loaded detector has no sample of rows to go on from; fit a new one")
        return self._absorb(self._table.read(self, X, self.categorical, self.missing, first=first, learn=True))

    def decision_function(self, X: Any) -> F64:
        """How unlike the training rows each row of `X` (n, d) is: about 0 for typical rows, higher for stranger ones; (n,)."""
        return self._scores(self._read(X))

    def score_samples(self, X: Any) -> F64:
        """The negative of `decision_function`: scikit-learn's way round."""
        return -self.decision_function(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for the outliers among the rows of `X` (n, d), 1 for the others; (n,)."""
        return np.where(self.decision_function(X) > self.threshold_, -1, 1)

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Fit, and return -1 for the outliers among the rows, 1 for the others."""
        return np.where(self.fit(X).labels_ == 1, -1, 1)

    def p_values(self, X: Any) -> F64:
        """For each row of `X` (n, d) the share of training rows at least as strange, itself counted: for a row like them, at most p
        with chance p (n,)."""
        return self._p_values(self.decision_function(X))

    def explain(self, X: Any) -> F64:
        """What each column adds to the decision score of each row of `X` (n, d); rows add up to it: (n, d)."""
        A = self._read(X)
        out = np.empty(A.shape)
        for start, stop in self._blocks(len(A), "explain"):
            out[start:stop] = self._model.explained(A[start:stop])
        return out

    @property
    def offset_(self) -> float:
        """The negative of the threshold: `predict` is -1 where `score_samples` is below it."""
        return -self.threshold_

    # Learning

    def _begin(self, X: Any) -> None:
        one_of(self.missing, "missing", MISSING_POLICIES)
        _share(self.contamination, "contamination", 0.5)
        if self.false_alarm_rate is not None:
            _share(self.false_alarm_rate, "false_alarm_rate", 1.0)
        self._size = whole(self.sample_rows, "sample_rows", 16)
        self._seed = seed_of(self.random_state)
        self._table = Table()
        self._sample: F64 | None = None
        self._numbers: I64 = np.zeros(0, np.int64)
        self.n_rows_ = 0

    def _absorb(self, A: F64) -> CodebookOutlierDetector:
        """Take rows `A` (n, d) into the sample, learn the model from it, score the rows."""
        if self.n_rows_ == 0 and len(A) < 2:
            raise ValueError(f"X: expected at least 2 rows, got n_samples = {len(A)}")
        first, self.n_rows_ = self.n_rows_, self.n_rows_ + len(A)
        numbers = np.concatenate([self._numbers, np.arange(first, self.n_rows_)])
        rows = A if self._sample is None else np.concatenate([self._sample, A])
        order = np.argsort(keys.bits64(self._seed, _SAMPLE_STREAM, numbers), kind="stable")[: self._size]
        kept = np.sort(order)
        self._sample, self._numbers = rows[kept], numbers[kept]
        self._medians, self._rarities = _medians(self._sample), {j: _rarity(words) for j, words in self._table.counts.items()}
        self._model, scores = learn(self._plain(self._sample), self._seed)
        self.decision_scores_ = self._scores(A)
        here = self._numbers >= first
        self.decision_scores_[self._numbers[here] - first] = scores[here]
        self._set_threshold()
        self.p_values_ = self._p_values(self.decision_scores_)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(np.int64)
        return self

    def _set_threshold(self) -> None:
        known = self._model.calibration
        if self.false_alarm_rate is None:
            self.threshold_ = float(np.quantile(self.decision_scores_, 1.0 - self.contamination))
        else:
            rank = int(np.ceil((len(known) + 1) * (1.0 - self.false_alarm_rate)))
            if rank > len(known):
                raise ValueError(
                    f"false_alarm_rate: {self.false_alarm_rate:g} needs at least {int(np.ceil(1 / self.false_alarm_rate)) - 1} rows "
                    f"to tell, got {len(known)}"
                )
            self.threshold_ = float(known[rank - 1])
        self.false_alarm_rate_ = float((known > self.threshold_).sum() + 1) / (len(known) + 1)

    # Scoring

    def _read(self, X: Any) -> F64:
        check_is_fitted(self, "threshold_")
        return self._table.read(self, X, self.categorical, self.missing, first=False, learn=False)

    def _plain(self, A: F64) -> F64:
        """Rows without missing values and categories."""
        if not self._rarities and not np.isnan(A).any():
            return A
        A = np.where(np.isnan(A), self._medians, A)
        for j, rare in self._rarities.items():
            A[:, j] = rare[A[:, j].astype(np.int64)]
        return A

    def _scores(self, A: F64) -> F64:
        out = np.empty(len(A))
        for start, stop in self._blocks(len(A), "decision_function"):
            X = self._plain(A[start:stop])
            out[start:stop] = self._model.joined(self._model.parts(X))
        return out

    def _p_values(self, scores: F64) -> F64:
        known = self._model.calibration
        return np.asarray((len(known) - np.searchsorted(known, scores, "left") + 1.0) / (len(known) + 1.0))

    def _blocks(self, n: int, label: str) -> Any:
        return runtime.blocks(n, max(64, _BLOCK_ELEMENTS // self.n_features_in_), f"CodebookOutlierDetector.{label}")

    # Files

    @property
    def d(self) -> int | None:
        """Columns of the table; None before `fit`."""
        return getattr(self, "n_features_in_", None)

    def config(self) -> dict[str, Any]:
        """Identity and parameters as JSON."""
        return outlier_state.config(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """What was learned, as named arrays; not the sample, so `partial_fit` ends there."""
        check_is_fitted(self, "threshold_")
        return outlier_state.state(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> CodebookOutlierDetector:
        """Rebuild from `config()` and `state()`; FormatError if the two do not fit together."""
        made: CodebookOutlierDetector = outlier_state.rebuilt(cls, config, state)
        return made


def _share(value: Any, name: str, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < float(value) <= most:
        raise ValueError(f"{name}: expected a share above 0 and at most {most:g}, got {value!r}")


def _medians(A: F64) -> F64:
    """Median of each column (d,), missing values left out; 0 where there is nothing else."""
    empty = np.isnan(A).all(axis=0)
    return np.nanmedian(np.where(empty, 0.0, A), axis=0)


def _rarity(words: Mapping[str, int]) -> F64:
    return rarity(np.array(list(words.values()), np.float64))
