"""`codeword cluster` and `codeword anomaly`: tables in, tables out, what the library finds, and errors that name file, row and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra cluster")
pd = pytest.importorskip("pandas", reason="pandas comes with the extra cluster")

from typer.testing import CliRunner  # noqa: E402

from codeword.cli.app import app  # noqa: E402
from codeword.cluster import CodebookOutlierDetector, KMeans  # noqa: E402
from codeword.cluster.scaling import Scaling  # noqa: E402


def blobs() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(150, 2)) * [1, 1000] + np.repeat([[0, 0], [9, 0], [0, 9e3]], 50, axis=0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    table = pd.DataFrame(blobs(), columns=["age", "income"])
    table.insert(0, "name", [f"n{i}" for i in range(150)])
    table.to_csv("people.csv", index=False)
    np.save("points.npy", blobs())
    strange = table.copy()
    strange.loc[7, "income"] = -9e4
    strange.to_csv("strange.csv", index=False)
    return tmp_path


def run(command: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, command.split(), catch_exceptions=False)
    assert result.exit_code == code, f"{command}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
    return result


def facts(command: str) -> Any:
    result = run(command + " --json")
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_cluster_chooses_k_and_says_why(folder: Path) -> None:
    found = facts("cluster people.csv --drop name --k-max 5")
    assert (found["k"], found["rows"]) == (3, 150)
    assert found["verdict"].startswith("3 clusters: ")
    assert sorted(c["rows"] for c in found["clusters"]) == [50, 50, 50]
    assert "clusters" in run("cluster people.csv --drop name --k-max 4").stdout


@pytest.mark.parametrize("scale", ["robust", "standard", "none"])
def test_cluster_writes_labels_and_centres(folder: Path, scale: str) -> None:
    run(f"cluster people.csv --drop name -k 3 --scale {scale} -o out.csv --centres centres.csv")
    table, centres = pd.read_csv("out.csv"), pd.read_csv("centres.csv")
    labels = KMeans(3, random_state=0).fit_predict(Scaling.of(blobs(), scale).apply(blobs()))
    assert list(table.columns) == ["name", "age", "income", "cluster"]
    assert np.array_equal(table["cluster"], labels)
    expected = table.groupby("cluster")[["age", "income"]].mean()
    np.testing.assert_allclose(centres[["age", "income"]], expected, rtol=1e-12)


def test_cluster_reads_and_writes_arrays_and_parquet(folder: Path) -> None:
    run("cluster points.npy -k 3 -o out.npy")
    assert np.load("out.npy").shape == (150, 3)
    pytest.importorskip("pyarrow")
    pd.read_csv("people.csv").to_parquet("people.parquet")
    run("cluster people.parquet --column age --column income -k 3 -o out.parquet")
    assert np.array_equal(pd.read_parquet("out.parquet")["cluster"], np.load("out.npy")[:, 2])


def test_cluster_draws_how_k_was_chosen(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    run("cluster points.npy --k-max 4 --picture k.png")
    assert (folder / "k.png").read_bytes().startswith(b"\x89PNG")
    assert "leave out -k" in run("cluster points.npy -k 2 --picture k.png", 1).stderr


def test_anomaly_finds_the_strange_row_and_the_column(folder: Path) -> None:
    found = facts("anomaly strange.csv --drop name --false-alarms 0.02 --top 1 -o scored.csv --save detector.cw")
    assert found["strangest"][0]["row"] == 7
    assert found["strangest"][0]["because"].startswith("income = -9e+04")
    assert found["false_alarm_rate"] <= 0.02
    scored = pd.read_csv("scored.csv")
    expected = CodebookOutlierDetector(0.05, false_alarm_rate=0.02, random_state=0).fit(scored[["age", "income"]])
    np.testing.assert_allclose(scored["anomaly_score"], expected.decision_scores_, rtol=1e-12)
    assert np.array_equal(scored["anomaly"], expected.labels_)


def test_anomaly_scores_new_rows_with_a_saved_detector(folder: Path) -> None:
    run("anomaly people.csv --drop name --false-alarms 0.02 --save detector.cw")
    found = facts("anomaly strange.csv --model detector.cw --top 2")
    assert found["strangest"][0]["row"] == 7
    assert "CodebookOutlierDetector" in run("info detector.cw").stdout
    assert "sound" in run("verify detector.cw").stdout


def test_anomaly_takes_words_as_categories(folder: Path) -> None:
    table = pd.read_csv("people.csv").assign(name=["a"] * 149 + ["b"])
    table.to_csv("words.csv", index=False)
    assert facts("anomaly words.csv --top 1")["strangest"][0]["because"].startswith("name = b")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cluster none.csv", "none.csv: No such file"),
        ("cluster people.xls", "people.xls: unknown suffix .xls; tables are .csv, .tsv, .parquet, .npy"),
        ("cluster people.csv", "column 'name' does not hold numbers: row 0 has 'n0'; leave it out with --drop name"),
        ("cluster people.csv --column wage", "people.csv: no column 'wage' (--column); there are name, age, income"),
        ("cluster people.csv --drop wage", "people.csv: no column 'wage' (--drop)"),
        ("cluster people.csv --drop name --drop age --drop income", "people.csv: no columns are left"),
        ("cluster gaps.csv -k 2", "gaps.csv: a missing value in row 1, column 'a'"),
        ("cluster points.npy -k 151", "n_samples=150 should be >= n_clusters=151"),
        ("cluster points.npy -k 2 --scale log", "kind: expected one of 'robust', 'standard', 'none', got 'log'"),
        ("cluster points.npy -k 2 -o out.txt", "out.txt: unknown suffix .txt"),
        ("cluster empty.csv", "empty.csv: not a table that can be read"),
        ("cluster header.csv", "header.csv: expected rows, found none"),
        ("cluster ragged.csv", "ragged.csv: not a table that can be read"),
        ("cluster people.csv --drop name -k 2 --centres c.npy -o o.npy", "o.npy: an array holds numbers only"),
        ("anomaly gaps.csv", "found NaN in row 1, column 'a'; missing='median'"),
        ("anomaly points.npy --false-alarms 0.001", "false_alarm_rate: 0.001 needs at least 999 rows to tell, got 150"),
        ("anomaly points.npy --contamination 0.8", "contamination: expected a share above 0 and at most 0.5"),
        ("anomaly points.npy --categorical kind", "categorical: no column 'kind'; there are 0, 1"),
        (
            "anomaly people.csv --model other.cw",
            "other.cw: expected a detector that `codeword anomaly --save` wrote, it holds a VectorQ",
        ),
        ("anomaly points.npy --model detector.cw", "points.npy: no column 'age'"),
    ],
)
def test_errors_say_what_is_wrong_where(folder: Path, command: str, message: str) -> None:
    import codeword as cw

    Path("gaps.csv").write_text("a,b\n1,2\n,3\n4,5\n")
    Path("empty.csv").write_text("")
    Path("header.csv").write_text("a,b\n")
    Path("ragged.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    cw.save(cw.VectorQuantizer(2).fit(blobs()), "other.cw")
    if "detector.cw" in command:
        run("anomaly people.csv --drop name --save detector.cw")
    result = run(command, 1)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(folder.glob(".*.part"))
