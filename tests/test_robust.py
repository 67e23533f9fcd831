"""Training sets with outliers: the rest is coded as if they were not there; clean sets are trained on whole."""

from typing import Any

import numpy as np
import pytest

import codeword as cw
from data import load

SETS = ["minilm-wordnet", "sift-kodak"]


def quantizers(seed: int) -> list[Any]:
    return [cw.VectorQuantizer(100, seed=seed), cw.ProductQuantizer(8, bits=5, seed=seed)]


def clean_rows(name: str) -> np.ndarray:
    X = load(name)
    return X[np.random.default_rng(1).choice(len(X), 8000, replace=False)].astype(np.float32)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("which", [0, 1], ids=["vector", "product"])
def test_outliers_cost_the_clean_rest_at_most_one_percent(name: str, which: int) -> None:
    X = clean_rows(name)
    far = np.random.default_rng(2).choice(len(X), len(X) // 200, replace=False)
    spoiled = X.copy()
    spoiled[far] *= 20
    rest = np.delete(X, far, axis=0)
    lost = [
        [quantizers(seed)[which].fit(rows).distortion(rest).mse for rows in (spoiled, rest)] for seed in range(3)
    ]  # one seed's fits differ by about as much as one percent
    assert np.mean(lost, axis=0)[0] < 1.01 * np.mean(lost, axis=0)[1]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("which", [0, 1], ids=["vector", "product"])
def test_no_row_of_a_clean_set_is_left_out(name: str, which: int) -> None:
    X = clean_rows(name)
    made, untrimmed = (quantizers(0)[which].set_params(trim=trim).fit(X) for trim in (True, False))
    assert made.report().trimmed == 0
    state, other = made.state(), untrimmed.state()
    assert all(np.array_equal(state[key], other[key]) for key in state)
