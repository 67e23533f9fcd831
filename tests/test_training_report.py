"""The training report: its figures are the training's, its predictions hold on rows that were not seen, one sentence for each case."""

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import codeword as cw
from codeword import report as pages
from codeword import training_report
from codeword.cli.app import app
from codeword.training_report import TrainingReport
from data import load

rng = np.random.default_rng(2)
ROWS = (rng.normal(size=(200, 10))[rng.integers(0, 200, 20_000)] * 2 + rng.normal(size=(20_000, 10))).astype(np.float32)


def test_the_figures_are_those_of_the_training() -> None:
    vq = cw.VectorQuantizer(64).fit(ROWS)
    made, training = vq.report(), vq.training_
    assert (made.rows, made.trained_on, made.codebooks, made.codewords, made.dimensions) == (20_000, 20_000, 1, 64, 10)
    assert [(p.rows, p.distortion) for p in made.passes] == [(p.rows, p.distortion) for p in training.passes]
    assert [p.level for p in made.passes] == [1] * training.levels[0][1] + [2] * training.levels[1][1]
    assert made.passes[0].moved == 1 and all(p.moved is not None and 0 <= p.moved < 1 for p in made.passes[1:8])
    assert made.distortion == training.history[-1]
    assert made.relative == pytest.approx(made.distortion / ROWS.var(0, dtype=float).mean())
    assert made.last_gain == pytest.approx(1 - training.history[-1] / training.history[-2])
    assert made.dead == 0 and made.perplexity == pytest.approx(2 ** -(vq.counts / 20_000 * np.log2(vq.counts / 20_000)).sum())


def test_a_product_quantizers_report_is_of_all_its_codebooks() -> None:
    pq = cw.ProductQuantizer(3, bits=5).fit(ROWS)
    made = pq.report()
    assert (made.codebooks, made.codewords, made.dimensions) == (3, 32, 10)
    last = [t.history[-1] for t in pq.training_]
    assert made.distortion == pytest.approx(np.dot(last, [4, 3, 3]) / 10)
    assert made.passes[-1].distortion == pytest.approx(made.distortion)
    assert len(made.passes) == sum(passes for _, passes in pq.training_[0].levels)
    assert made.distortion == pytest.approx(pq.distortion(ROWS).mse, rel=0.02)


@pytest.mark.parametrize("k", [128, 1500])
def test_the_predicted_distortion_on_other_rows_holds_on_real_rows(k: int) -> None:
    X = load("minilm-wordnet")[:, :64]
    vq = cw.VectorQuantizer(k).fit(X[:20_000])
    predicted, measured = vq.report(), vq.report(X[20_000:])
    assert predicted.unseen_from == ("levels" if k == 128 else "estimate") and measured.unseen_from == "given rows"
    assert measured.unseen / 1.7 < predicted.unseen < measured.unseen * 1.7
    assert measured.distortion == predicted.distortion


def test_the_predicted_gain_of_more_rows_holds_on_real_rows() -> None:
    X = load("minilm-wordnet")[np.random.default_rng(0).permutation(40_000), :64]
    few, many = (cw.VectorQuantizer(64).fit(X[:n]) for n in (1_000, 30_000))
    found = 1 - many.distortion(X[30_000:]).mse / few.distortion(X[30_000:]).mse
    assert found / 2 < few.report().gain_from_more_rows < found * 2


def test_an_effort_that_leaves_out_rows_says_what_that_costs() -> None:
    fast, default = (cw.VectorQuantizer(16, effort=word).fit(ROWS) for word in ("fast", "default"))
    made = fast.report()
    assert made.trained_on == 128 * 16 < made.rows and 0 < made.loss_of_rows_left_out < 0.1
    assert "trained on 2,048 of 20,000 rows, which costs about" in made.verdict
    assert default.report().loss_of_rows_left_out == 0 and "trained on" not in default.report().verdict


def test_each_case_has_its_sentence() -> None:
    duplicates = np.repeat(ROWS[:20], 30, axis=0)
    assert "10 of 30 codewords are dead" in cw.VectorQuantizer(30).fit(duplicates).report().verdict
    assert "Few rows" in cw.VectorQuantizer(200).fit(ROWS[:2000]).report().verdict
    assert "Not finished" in cw.VectorQuantizer(64, max_iter=3).fit(ROWS).report().verdict
    assert cw.VectorQuantizer(16).fit(ROWS).report().verdict.startswith("Good: every codeword is in use")


@pytest.mark.parametrize("quantizer", [cw.VectorQuantizer(1), cw.VectorQuantizer(8, max_iter=0), cw.ProductQuantizer(5, bits=1)])
@pytest.mark.parametrize("X", [ROWS[:50], np.ones((50, 10))], ids=["few", "equal"])
def test_the_report_of_the_smallest_trainings_is_whole(quantizer: cw.base.Quantizer, X: np.ndarray) -> None:
    made = quantizer.clone().fit(X).report()
    assert made.verdict and str(made)
    json.dumps(made.to_dict(), allow_nan=quantizer.get_params().get("max_iter") == 0)


def test_it_prints_as_text_and_goes_into_json() -> None:
    made = cw.VectorQuantizer(600, assignment="hierarchical", max_iter=4).fit(ROWS).report()
    assert str(made).startswith(made.verdict) and "hierarchical assignment" in str(made)
    assert len(str(made).splitlines()) == 1 + len(made.pairs()) + 1 + len(made.passes)
    assert json.loads(json.dumps(made.to_dict()))["passes"][0]["rows"] == 20_000


def test_a_loaded_quantizer_has_no_history(tmp_path: Path) -> None:
    cw.save(cw.VectorQuantizer(8).fit(ROWS), tmp_path / "m.cw")
    for quantizer in (cw.load(tmp_path / "m.cw"), cw.ProductQuantizer(2)):
        with pytest.raises(cw.NotFittedError, match="history"):
            quantizer.report()
    assert pages.training_parts(cw.load(tmp_path / "m.cw")) == []


def test_the_page_has_a_picture_of_the_passes_and_the_verdict() -> None:
    pipeline = cw.Pipeline([cw.Center()], cw.ProductQuantizer(2, bits=4)).fit(ROWS)
    html = "\n".join(pages.training_parts(pipeline))
    assert TrainingReport.of(pipeline.quantizer).verdict in html and html.count("<polyline") == 2 * len(
        pipeline.quantizer.training_[0].levels
    )
    assert html in pages.quantizer_page(pipeline, ROWS)


def test_the_program_says_how_the_training_went(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", ROWS)
    model, page = str(tmp_path / "m.cw"), tmp_path / "page.html"
    command = ["fit", str(tmp_path / "X.npy"), "-o", model, "-q", "vector", "--k", "32", "--effort", "fast", "--report", str(page)]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0 and "trained on 4,096 of 20,000 rows" in " ".join(shown.output.split())
    assert "How it was trained" in page.read_text()
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert told["training"]["trained_on"] == 4096 and told["training"]["verdict"] in shown.output


def test_the_example_runs() -> None:
    assert doctest.testmod(training_report).failed == 0
