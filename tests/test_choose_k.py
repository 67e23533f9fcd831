"""choose_k finds the clusters that there are, says how sure it is, and shows why."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra cluster")

from codeword.cluster import choose_k
from codeword.cluster.choosing import CRITERIA, Choice, Row, decide


def mixture(k: int, d: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    centres = 8 * np.linalg.qr(rng.normal(size=(max(k, d), max(k, d))))[0][:k, :d]
    return np.concatenate([c + rng.uniform(0.7, 1.2) * rng.normal(size=(rng.integers(40, 150), d)) for c in centres])


@pytest.mark.parametrize(("k", "d"), [(2, 3), (3, 6), (4, 5), (5, 8)])
def test_finds_the_number_of_well_separated_clusters(k: int, d: int) -> None:
    choice = choose_k(mixture(k, d, 10 * k + d), 8, resamples=6, references=4, random_state=0)
    assert choice.k == k
    assert choice.stable
    assert choice.confidence >= 0.45


def test_the_same_seed_gives_the_same_choice() -> None:
    X = mixture(3, 4, 0)
    first, second = (choose_k(X, 5, resamples=4, references=3, random_state=7) for _ in range(2))
    assert repr(first) == repr(second)


def test_rows_without_clusters_are_said_to_have_none() -> None:
    X = np.random.default_rng(0).normal(size=(400, 6))
    choice = choose_k(X, 6, resamples=6, references=5, random_state=0)
    assert choice.votes["gap"] == choice.votes["silhouette"] == 1
    assert choice.confidence <= 0.5
    assert "NOT stable" in choice.verdict


def rows(stability: list[float]) -> list[Row]:
    return [Row(k, 1.0 / k, 0.3, 0.1, 0.01, s) for k, s in enumerate([np.nan, *stability], 1)]


def test_of_equally_many_votes_the_one_for_stability_counts() -> None:
    made = [
        Row(1, 10.0, np.nan, 0.0, 0.1, np.nan),
        Row(2, 2.0, 0.6, 0.5, 0.1, 0.99),
        Row(3, 1.8, 0.5, 0.9, 0.1, 0.98),
        Row(4, 1.7, 0.4, 0.5, 0.1, 0.50),
    ]
    choice = decide(made, 100)
    assert choice.votes == {"distortion": 2, "silhouette": 2, "gap": 3, "stability": 3}
    assert (choice.k, choice.confidence) == (3, pytest.approx(0.49))
    assert choice.verdict.startswith(
        "3 clusters: gap and stability are for it; distortion for 2 and silhouette for 2. They are stable"
    )


def test_without_stable_clusters_the_most_stable_is_named() -> None:
    assert decide(rows([0.5, 0.8, 0.6]), 10).votes["stability"] == 3


@pytest.fixture(scope="module")
def choice() -> Choice:
    return choose_k(mixture(3, 4, 1), 5, resamples=3, references=3, random_state=0)


def test_the_picture_shows_all_criteria(choice: Choice) -> None:
    picture = choice.picture()
    assert picture.count("<svg") == 4
    assert all(name in picture for name in CRITERIA)


def test_plot_draws_all_criteria(choice: Choice) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = choice.plot()
    assert [ax.get_ylabel() for ax in axes.ravel()] == list(CRITERIA)
    import matplotlib.pyplot as plt

    plt.close("all")


def test_the_table_has_a_row_for_each_k(choice: Choice) -> None:
    pytest.importorskip("pandas")
    table = choice.table()
    assert list(table.index) == [1, 2, 3, 4, 5]
    assert (np.diff(table["distortion"]) < 0).all()


@pytest.mark.parametrize(
    ("X", "given", "message"),
    [
        (np.zeros((9, 2)), {}, "X: expected at least 2 \\* k_max = 20 rows, got 9"),
        (np.full((30, 2), np.inf), {}, "infinity"),
        (np.zeros((30, 2)), {"k_max": 1}, "k_max: expected an integer of at least 2"),
        (np.zeros((30, 2)), {"resamples": 0}, "resamples: expected an integer of at least 2"),
        (np.zeros((30, 2)), {"references": 1.5}, "references: expected an integer"),
        (np.zeros((30, 2)), {"most_rows": 3}, "most_rows: expected an integer of at least 20"),
    ],
)
def test_bad_input_is_named(X: NDArray[np.float64], given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_k(X, **given)  # type: ignore[arg-type]
