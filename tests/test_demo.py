"""The demo: it measures what it says, on photographs and on one's own file, and its files are whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import demo, files
from codeword.demo import photos, show
from codeword.demo.run import Measured, coded_pictures, file_vectors, plan

X = (np.random.default_rng(0).normal(size=(1500, 24)) @ np.random.default_rng(1).normal(size=(24, 24))).astype(np.float32)


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", X)
    return tmp_path / "X.npy"


def test_on_ones_own_file(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = demo.run(str(vectors), output="results", seed=3)
    out, err = capsys.readouterr()
    assert (facts["rows"], facts["queries"], facts["d"]) == (1350, 150, 24)
    exact, *methods = facts["methods"]
    assert (exact["name"], exact["bytes"], exact["recall"], exact["fit_seconds"]) == ("exact search", 96, 1.0, None)
    for m in methods:
        assert m["compression"] == 96 / m["bytes"]
        assert 0 < m["recall"] <= 1
        assert m["queries_per_second"] > 0
        assert m["name"] in out
    by_size = [m["snr_db"] for m in methods if m["name"] == "rotation + scalar"]
    assert by_size == sorted(by_size)
    assert "recall@10" in out
    assert "Next:" in out
    assert "codeword encode" in out
    assert "fitted in" in err
    assert sorted(os.listdir("results")) == ["model.cw", "model.html", "report.html"]
    assert cw.load("results/model.cw").encode(X).shape[0] == 1500
    page = Path("results/report.html").read_text(encoding="utf-8")
    assert "1,350 vectors of X.npy" in page
    assert "http" not in page


def test_figures_other_than_times_depend_on_the_seed_only(vectors: Path) -> None:
    def figures(seed: int) -> list[Any]:
        facts = demo.run(str(vectors), output="out", seed=seed, quiet=True)
        return [[m[key] for key in ("name", "bytes", "recall", "snr_db", "gap_db", "model_bytes")] for m in facts["methods"]]

    assert figures(1) == figures(1)
    assert figures(1) != figures(2)


def test_held_out_rows_are_not_in_the_base(vectors: Path) -> None:
    held = file_vectors(str(vectors), seed=0)
    rows = {row.tobytes() for row in held.base}
    assert not rows & {row.tobytes() for row in held.queries}
    assert len(held.base) + len(held.queries) == len(X)


def test_too_few_rows_are_refused(vectors: Path) -> None:
    files.write("few.npy", X[:50])
    with pytest.raises(ValueError, match=r"few.npy: the demo needs at least 100 rows, the file has 50"):
        demo.run("few.npy", quiet=True)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 128, 1536])
@pytest.mark.parametrize("n", [90, 40_000])
def test_the_plan_fits_any_width(n: int, d: int) -> None:
    for _, quantizer in plan(n, d, seed=0):
        inner = getattr(quantizer, "quantizer", quantizer)
        if isinstance(inner, cw.ProductQuantizer):
            assert 1 <= inner.m <= d
            assert 2**inner.bits <= n
        if isinstance(inner, cw.VectorQuantizer):
            assert inner.k <= n


def test_the_best_has_few_bytes_if_it_is_good_enough() -> None:
    a, b, c = (Measured("a", 8, 1, 0.80, 1), Measured("b", 32, 1, 0.93, 1), Measured("c", 64, 1, 0.99, 1))
    assert show.better(b, a)
    assert show.better(b, c)
    assert show.better(c, a)


def test_tiles_make_the_picture_again() -> None:
    image = np.random.default_rng(0).integers(0, 256, (43, 37, 3)).astype(np.uint8)
    tiles = photos.patches(image)
    assert tiles.shape == (5 * 4, 192)
    np.testing.assert_array_equal(photos.picture(tiles, 43, 37), image[:40, :32])
    assert photos.psnr(image, image) == float("inf")
    assert photos.psnr(image, np.where(image > 0, image - 1, 1).astype(np.uint8)) == pytest.approx(20 * np.log10(255))


def test_descriptors_are_unit_vectors_of_places_with_something_to_see() -> None:
    image = np.full((64, 64, 3), 100, np.uint8)
    assert len(photos.descriptors([image], 4, 0)) == 0
    image[:, 32:] = 200
    found = photos.descriptors([image], 4, 0)
    assert found.shape[1] == 128
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    # A vertical edge from dark to light has its gradient to the right: direction 0 of every cell.
    np.testing.assert_allclose((found.reshape(-1, 16, 8)[:, :, 0] ** 2).sum(1), 1, rtol=1e-5)


def test_on_photographs(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("PIL")
    facts = demo.run(output=str(tmp_path), quick=True, quiet=True)
    assert facts["d"] == 128
    assert facts["rows"] > 2000
    recall = {(m["name"], m["bytes"]): m["recall"] for m in facts["methods"]}
    assert recall["product", 32] > 0.7


def test_the_program_as_a_person_runs_it(vectors: Path) -> None:
    command = [sys.executable, "-m", "codeword", "demo", "X.npy", "--threads", "2"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    facts = json.loads(result.stdout)
    assert result.stderr == ""
    assert set(os.listdir("out")) == {"report.html", "model.cw", "model.html"}
    assert facts["files"]["report"] == os.path.join("out", "report.html")


def test_pictures_of_fewer_bytes_are_worse() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("PIL")
    pictures = coded_pictures(0, lambda line: None, rows=1000)
    decibels = [float(match[1]) for caption, _ in pictures if (match := re.search(r"PSNR ([\d.]+) dB", caption))]
    assert len(pictures) == 6
    assert decibels[0] > decibels[1] > 20
    assert decibels[2] > decibels[3] > 20
    assert photos.png(pictures[0][1]).startswith(b"\x89PNG")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'codeword\[demo\]'; or give a file of your own vectors"):
        photos.load()
