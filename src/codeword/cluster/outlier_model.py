"""The model of CodebookOutlierDetector: three scores of a row, each in units of its spread, joined with fixed weights.

rows (n, d) --columns--> logarithmic view --codebooks--> score  |
                         linear view      --codebooks--> score  | --weights--> decision score (n,)
                         tails of single columns     --> score  |
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codeword import keys
from codeword.cluster import codebooks
from codeword.cluster.codebooks import Ensemble
from codeword.cluster.columns import Columns

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_CALIBRATION_STREAM = 641
_TRUSTED_STREAM, _LOG_STREAM, _LINEAR_STREAM = 1_000, 2_000, 3_000
# Of the standardised scores of logarithmic view, linear view and tails; chosen on the development sets of bench/anomaly.py.
WEIGHTS = (1.0, 1.0, 0.5)
_CALIBRATION_ROWS = 4096


class Model(NamedTuple):
    """What scores rows."""

    columns: Columns
    logarithmic: Ensemble
    linear: Ensemble
    centre: F64
    """(3,) mean score of the sample in each part."""
    scale: F64
    """(3,) standard deviation."""
    calibration: F64
    """Decision scores of rows of the sample that had no part in them, rising."""

    def parts(self, X: F64, members: tuple[list[I64], list[I64]] | None = None) -> F64:
        """Scores (n, 3) of the parts for rows `X` (n, d)."""
        log_members, linear_members = members or (None, None)
        return np.stack(
            [
                self.logarithmic.scores(self.columns.logarithmic(X), log_members),
                self.linear.scores(self.columns.linear(X), linear_members),
                np.cumsum(self.columns.surprise(X), axis=1)[:, -1],
            ],
            axis=1,
        )

    def joined(self, parts: F64) -> F64:
        """Decision scores (n,) from the parts (n, 3)."""
        z = (parts - self.centre) / self.scale * self._weights
        return np.asarray(z[:, 0] + z[:, 1] + z[:, 2])

    @property
    def _weights(self) -> F64:
        return np.array(WEIGHTS) / sum(WEIGHTS)

    def explained(self, X: F64) -> F64:
        """What each column adds to the decision scores of rows `X` (n, d), beyond an equal share of what the mean row has: (n, d)."""
        shares = (
            self.logarithmic.shares(self.columns.logarithmic(X)),
            self.linear.shares(self.columns.linear(X)),
            self.columns.surprise(X),
        )
        out = np.zeros(X.shape)
        for share, centre, scale, weight in zip(shares, self.centre, self.scale, self._weights, strict=True):
            out += weight * (share - centre / X.shape[1]) / scale
        return out


def learn(X: F64, seed: int) -> tuple[Model, F64]:
    """A model of the rows `X` (n, d) of a sample, and their decision scores, none by codebooks that the row is in."""
    columns = Columns.of(X)
    V, L = columns.logarithmic(X), columns.linear(X)
    pool = codebooks.trusted(V, seed, _TRUSTED_STREAM)
    logarithmic, log_members = codebooks.draw(V, pool, seed, _LOG_STREAM)
    linear, linear_members = codebooks.draw(L, pool, seed, _LINEAR_STREAM)
    model = Model(columns, logarithmic, linear, np.zeros(3), np.ones(3), np.zeros(0))
    parts = model.parts(X, (log_members, linear_members))
    ordered = np.sort(parts, axis=0)
    centre = np.cumsum(ordered, axis=0)[-1] / len(X)
    spread = np.sqrt(np.cumsum((ordered - centre) ** 2, axis=0)[-1] / len(X))
    model = model._replace(centre=centre, scale=np.where(spread > 0, spread, 1.0))
    scores = model.joined(parts)
    kept = keys.sample(seed, _CALIBRATION_STREAM, len(scores), _CALIBRATION_ROWS)
    return model._replace(calibration=np.sort(scores[kept])), scores
