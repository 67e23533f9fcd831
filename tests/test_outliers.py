"""CodebookOutlierDetector ranks what is strange first, explains itself, keeps its promises about false alarms, and survives tables."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra cluster")
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import codeword as cw
from codeword import _native, registry
from codeword.cluster import CodebookOutlierDetector
from codeword.cluster.columns import Columns
from codeword.errors import FormatError
from data import folder

GOLDEN = Path(__file__).parent / "golden" / "outliers"


def normal(n: int = 600, d: int = 4, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(n, d)) * [1.0, 10.0, 0.1, 5.0][:d] + [0.0, 50.0, -1.0, 1e4][:d]


def detector(**given: Any) -> CodebookOutlierDetector:
    return CodebookOutlierDetector(**{"random_state": 0, **given})


@parametrize_with_checks([CodebookOutlierDetector(), CodebookOutlierDetector(missing="median", false_alarm_rate=0.2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", ["far", "between two clusters", "against the correlation", "beside a long tail"])
def test_strange_rows_have_the_highest_scores(kind: str) -> None:
    rng = np.random.default_rng(1)
    X, strange = {
        "far": (rng.normal(size=(500, 3)), rng.normal(size=(10, 3)) + 9),
        "between two clusters": (rng.normal(size=(500, 2)) * 0.5 + rng.choice([-5, 5], (500, 1)), rng.normal(size=(10, 2)) * 0.3),
        "against the correlation": (
            np.outer(rng.normal(size=500), [3.0, 3.0]) + 0.2 * rng.normal(size=(500, 2)),
            [[3.5, -3.5]] * 10,
        ),
        "beside a long tail": (
            np.stack([rng.lognormal(0, 2, 500), rng.normal(size=500)], 1),
            np.stack([np.ones(10), np.full(10, 8.0)], 1),
        ),
    }[kind]
    both = np.concatenate([X, strange])
    assert roc_auc_score(np.arange(len(both)) >= 500, detector().fit(both).decision_scores_) > 0.93


@pytest.mark.parametrize(("name", "least"), [("cardio", 0.88), ("thyroid", 0.97), ("breastw", 0.98), ("musk", 0.98)])
def test_known_anomalies_rank_high(name: str, least: float) -> None:
    where = folder()
    if where is None or not (where / "adbench" / f"{name}.npz").is_file():
        pytest.skip("data set adbench not found; set CODEWORD_DATA to the folder that holds it")
    file = np.load(where / "adbench" / f"{name}.npz")
    assert roc_auc_score(file["y"], detector().fit(file["X"]).decision_scores_) > least


def test_scores_do_not_depend_on_scale_and_place_of_columns() -> None:
    X = np.round(normal() * 64) / 64
    plain, moved = detector().fit(X), detector().fit(X * 2.0**20 + 2.0**30)
    np.testing.assert_allclose(plain.decision_scores_, moved.decision_scores_, atol=1e-5)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_false_alarms_are_as_rare_as_stated(rate: float) -> None:
    alarms = []
    for seed in range(8):
        fitted = detector(false_alarm_rate=rate, random_state=seed).fit(normal(500, seed=seed))
        assert fitted.false_alarm_rate_ <= rate + 1e-12
        alarms.append((fitted.predict(normal(3000, seed=100 + seed)) == -1).mean())
    # The mean of 8 rates, each of which varies by sqrt(rate / 500) through its training rows.
    assert np.mean(alarms) < rate + 3 * np.sqrt(rate / 500 / 8)
    assert np.mean(alarms) > rate / 3


def test_p_values_of_rows_like_the_training_rows_are_uniform() -> None:
    p = detector().fit(normal(2000)).p_values(normal(4000, seed=1))
    assert np.abs(np.quantile(p, [0.1, 0.25, 0.5, 0.75, 0.9]) - [0.1, 0.25, 0.5, 0.75, 0.9]).max() < 0.06


def test_contamination_is_the_share_of_training_rows_called_outliers() -> None:
    fitted = detector(contamination=0.07).fit(normal(1000))
    assert fitted.labels_.sum() == 70
    assert np.array_equal(fitted.labels_ == 1, fitted.decision_scores_ > fitted.threshold_)


def test_predict_decision_function_and_score_samples_agree() -> None:
    X = normal(200)
    fitted = detector().fit(X)
    assert np.array_equal(fitted.score_samples(X), -fitted.decision_function(X))
    assert np.array_equal(fitted.predict(X) == -1, fitted.score_samples(X) < fitted.offset_)
    assert np.array_equal(detector().fit_predict(X) == -1, fitted.labels_ == 1)


def test_an_explanation_adds_up_and_names_the_column() -> None:
    X = normal()
    fitted = detector().fit(X)
    strange = np.repeat(np.median(X, axis=0)[None], 4, axis=0) + np.diag([8.0, 80.0, 0.8, 40.0])
    parts = fitted.explain(np.concatenate([X, strange]))
    np.testing.assert_allclose(parts.sum(axis=1), fitted.decision_function(np.concatenate([X, strange])), atol=1e-9)
    assert parts[-4:].argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_stream_in_blocks_gives_the_model_of_all_rows() -> None:
    X = normal(900)
    whole, stream = detector(sample_rows=300).fit(X), detector(sample_rows=300)
    for block in np.array_split(X, 7):
        stream.partial_fit(block)
    assert stream.n_rows_ == 900
    assert np.array_equal(stream.decision_function(X), whole.decision_function(X))


def test_a_stream_learns_what_is_normal_now() -> None:
    stream = detector(sample_rows=256).partial_fit(normal(300))
    later = normal(300, seed=1) + np.array([30.0, 0.0, 0.0, 0.0])
    before = stream.decision_function(later).mean()
    for _ in range(20):
        stream.partial_fit(later)
    assert stream.decision_function(later).mean() < before / 2


def test_results_do_not_depend_on_threads_and_isa(isa: str, keep_threads: None) -> None:
    X = normal(3000)
    made = []
    for threads in (1, 3):
        _native.set_threads(threads)
        made.append(detector(sample_rows=512).fit(X).decision_scores_.tobytes())
    assert made[0] == made[1]
    first = _native.available_isas()[0]
    _native.set_isa(first)
    assert detector(sample_rows=512).fit(X).decision_scores_.tobytes() == made[0]


def test_scoring_in_blocks_changes_nothing() -> None:
    X = normal(700)
    fitted = detector().fit(X)
    pieces = [fitted.decision_function(piece) for piece in np.array_split(X, 9)]
    assert np.array_equal(np.concatenate(pieces), fitted.decision_function(X))


def test_a_row_does_not_hide_behind_itself() -> None:
    # As a codeword it is at distance 0 of one; those codebooks do not score it.
    X = np.concatenate([normal(40, 2), [[20.0, 400.0]]])
    assert detector().fit(X).decision_scores_.argmax() == 40


@pytest.mark.parametrize(
    "X",
    [np.zeros((50, 3)), np.ones((20, 1)) * 7, np.repeat([[0.0, 1.0], [1.0, 0.0]], 25, axis=0), np.eye(2), np.full((30, 2), 1e300)],
)
def test_degenerate_tables_have_finite_scores(X: NDArray[np.float64]) -> None:
    fitted = detector().fit(X)
    assert np.isfinite(fitted.decision_scores_).all()
    assert np.isfinite(fitted.decision_function(np.zeros((3, X.shape[1])))).all()


def test_a_new_value_in_a_constant_column_is_strange() -> None:
    X = normal(400, 3)
    X[:, 1] = 7.0
    fitted = detector(false_alarm_rate=0.01).fit(X)
    new = np.median(X, axis=0) + np.array([[0, 0, 0], [0, 0.001, 0]])
    assert fitted.predict(new).tolist() == [1, -1]
    assert fitted.explain(new)[1].argmax() == 1


def frame(n: int = 500, seed: int = 0) -> Any:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    kind = rng.choice(["card", "cash", "transfer"], n, p=[0.6, 0.395, 0.005])
    return pd.DataFrame({"amount": rng.lognormal(3, 1, n), "kind": kind, "age": rng.integers(18, 80, n)})


def test_rare_and_new_categories_are_strange() -> None:
    X = frame()
    fitted = detector(false_alarm_rate=0.02).fit(X)
    new = X.iloc[[0, 0, 0, 0]].assign(kind=["card", "transfer", "cheque", None], amount=20.0, age=40)
    scores = fitted.decision_function(new)
    assert scores[0] < scores[1] < scores[2] == scores[3]
    assert fitted.predict(new).tolist() == [1, -1, -1, -1]
    assert fitted.explain(new)[2].argmax() == 1


def test_columns_of_an_array_can_be_categories() -> None:
    X = np.random.default_rng(0).integers(0, 3, (400, 2)).astype(float)
    X[:3, 0] = 1.5  # in the middle as a number, rare as a category
    assert set(detector(categorical=[0]).fit(X).decision_scores_.argsort()[-3:]) == {0, 1, 2}


def test_missing_values_are_refused_or_count_as_typical() -> None:
    X = normal(300)
    X[17, 2] = np.nan
    with pytest.raises(ValueError, match=r"found NaN in row 17, column 2; missing='median'"):
        detector().fit(X)
    fitted = detector(missing="median").fit(X)
    filled = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    np.testing.assert_allclose(fitted.decision_function(X), fitted.decision_function(filled))
    with pytest.raises(ValueError, match="found infinity in row 0, column 1"):
        fitted.predict([[0.0, np.inf, 0.0, 0.0]])


def test_errors_name_the_column_of_a_data_frame() -> None:
    X = frame()
    with pytest.raises(ValueError, match="found NaN in row 4, column 'amount'"):
        detector().fit(X.assign(amount=X["amount"].where(X.index != 4)))
    fitted = detector().fit(X)
    with pytest.raises(ValueError, match="expected numbers in column 'age', as when it was fitted"):
        fitted.predict(X.assign(age="old"))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.rename(columns={"age": "years"}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"contamination": 0.0}, "contamination: expected a share above 0 and at most 0.5, got 0.0"),
        ({"contamination": 0.7}, "contamination: expected a share above 0 and at most 0.5"),
        ({"contamination": "auto"}, "contamination: expected a share"),
        ({"false_alarm_rate": 2.0}, "false_alarm_rate: expected a share above 0 and at most 1"),
        ({"false_alarm_rate": 1e-4}, "false_alarm_rate: 0.0001 needs at least 9999 rows to tell, got 600"),
        ({"missing": "drop"}, "missing: expected one of 'error', 'median', got 'drop'"),
        ({"sample_rows": 3}, "sample_rows: expected an integer of at least 16"),
        ({"categorical": ["kind"]}, "categorical: no column 'kind'; there are 0 to 3"),
        ({"categorical": [9]}, "categorical: no column 9"),
    ],
)
def test_bad_parameters_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detector(**given).fit(normal())


def test_files_keep_what_scores_rows(tmp_path: Path) -> None:
    X = frame()
    fitted = detector(categorical=["age"], false_alarm_rate=0.05).fit(X)
    cw.save(fitted, tmp_path / "model.cw")
    loaded = cw.load(tmp_path / "model.cw")
    for name in ("decision_function", "predict", "p_values", "explain"):
        assert np.array_equal(getattr(loaded, name)(X), getattr(fitted, name)(X)), name
    assert loaded.get_params() == fitted.get_params()
    assert (loaded.threshold_, loaded.false_alarm_rate_, loaded.n_rows_) == (fitted.threshold_, fitted.false_alarm_rate_, 500)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(X.rename(columns={"age": "years"}))
    with pytest.raises(ValueError, match="a loaded detector has no sample"):
        loaded.partial_fit(X)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).decision_function(X), fitted.decision_function(X))


@pytest.mark.parametrize("part", ["log_sizes", "linear_typical", "ends", "categories", "threshold"])
def test_damaged_states_are_refused(part: str) -> None:
    fitted = detector().fit(normal())
    state = {**fitted.state()}
    state[part] = state[part][:-1] - state[part].dtype.type(1) if part != "categories" else np.frombuffer(b"[[99, []]]", np.uint8)
    with pytest.raises(FormatError):
        registry.from_config(fitted.config(), state)


def test_an_old_model_scores_as_it_did(request: pytest.FixtureRequest, isa: str) -> None:
    X = np.round(normal(300) * 64) / 64
    if request.config.getoption("--write-golden") and not GOLDEN.exists():
        GOLDEN.mkdir()
        fitted = detector(categorical=[3], missing="median").fit(X)
        cw.save(fitted, GOLDEN / "model.cw")
        np.savez(GOLDEN / "scores.npz", rows=X[:40], scores=fitted.decision_function(X[:40]))
    kept = np.load(GOLDEN / "scores.npz")
    assert cw.load(GOLDEN / "model.cw").decision_function(kept["rows"]).tobytes() == kept["scores"].tobytes()


def test_views_of_columns_are_on_robust_scales() -> None:
    X = np.concatenate([normal(1001, 1), [[1e9]]])
    columns = Columns.of(X)
    assert columns.median[0] == pytest.approx(0, abs=0.1)
    assert columns.spread[0] == pytest.approx(1, abs=0.1)
    assert columns.linear(X).max() <= 1000
    surprise = columns.surprise(np.array([[columns.median[0]], [1e9], [1e10], [-1e10]]))[:, 0]
    assert surprise[0] == pytest.approx(np.log(2), abs=0.01)
    assert surprise[1] < surprise[2] == surprise[3]
