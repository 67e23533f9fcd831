"""Error bars cover what they say, on rows they were not calibrated on, and stay with the index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import _native, io
from codeword.errors import FormatError, NotFittedError
from codeword.exact import exact_search
from codeword.search.bars import Calibration, ErrorBars
from data import load


def rows(n: int, seed: int = 0) -> np.ndarray:
    """Rows with columns of unlike variances, off zero."""
    return (np.random.default_rng(seed).standard_normal((n, 32)) * 0.9 ** np.arange(32) + 0.2).astype(np.float32)


X, QUERIES = rows(3000), rows(40, seed=1)


def calibrated(quantizer: Any, metric: str = "l2", **options: Any) -> cw.Index:
    return cw.Index(quantizer, metric, **options).fit(X[:1500]).calibrate(X).add(X)


def measured(index: cw.Index, data: np.ndarray, queries: np.ndarray, k: int) -> tuple[float, float]:
    """Coverage, and bias in standard deviations, on the true k nearest."""
    assert index.calibration is not None
    ids, exact = exact_search(data, queries, k, index.metric)
    codes, side = index._encode(data)
    bars = index.calibration.bars(queries, np.take_along_axis(index._score(queries, codes, side), ids, axis=1), index._score)
    left = (exact - bars.centre) / bars.half
    return float(np.mean(np.abs(left) <= 1)), float(left.mean() / left.std())


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("quantizer", [cw.ProductQuantizer(8, bits=4), cw.ScalarQuantizer(2)], ids=repr)
def test_bars_cover_exact_distances_of_true_neighbours(quantizer: Any, metric: str) -> None:
    index = calibrated(quantizer.clone(), metric, factors=True)
    for queries in (rows(100, seed=2), rows(100, seed=2) + np.float32(0.3)):
        coverage, bias = measured(index, X, queries, 20)
        assert 0.92 <= coverage <= 0.98 and abs(bias) < 0.1


def test_bars_cover_plain_distances_too() -> None:
    coverage, _ = measured(calibrated(cw.ProductQuantizer(8, bits=4), factors=False), X, rows(100, seed=2), 20)
    assert 0.92 <= coverage <= 0.98


def test_bars_hold_for_foreign_photos() -> None:
    data, photo = load("sift-kodak").astype(np.float32), load("sift-kodak", "base_image")
    own, foreign = data[photo < 18][:9000], data[photo >= 18]
    klt = cw.Pipeline([cw.KLT()], cw.TrellisQuantizer(1, allocation="waterfill", effort="fast"))
    index = cw.Index(klt, factors=True).fit(own[:4000]).calibrate(own[:8900])
    for queries in (own[-100:], foreign[:100]):
        coverage, bias = measured(index, own[:8900], queries, 100)
        assert 0.93 <= coverage <= 0.98 and abs(bias) < 0.1


def test_a_search_returns_bars_of_its_distances() -> None:
    index = calibrated(cw.ScalarQuantizer(3))
    assert index.calibration is not None
    found = index.search(QUERIES, 7)
    assert isinstance(found.bars, ErrorBars) and found.bars.centre.shape == found.bars.half.shape == (40, 7)
    expected = index.calibration.bars(QUERIES, found.distances, index._score)
    assert np.array_equal(found.bars.low, expected.centre - expected.half)
    assert np.array_equal(found.bars.high, expected.centre + expected.half)
    assert index.stats()["calibrated"] and cw.Index(cw.ScalarQuantizer(3)).fit(X).add(X).search(QUERIES).bars is None
    empty = index.search(QUERIES[:0], 3).bars
    assert empty is not None and empty.half.shape == (0, 3)


def test_finer_codes_have_shorter_bars() -> None:
    half = [float(calibrated(cw.ScalarQuantizer(bits)).search(QUERIES).bars.half.mean()) for bits in (2, 4, 8)]
    assert half[0] > 2 * half[1] > 4 * half[2]


def test_bars_ignore_isa_and_threads(isa: str, keep_threads: None) -> None:
    found = []
    for threads in (1, 3):
        _native.set_threads(threads)
        index = calibrated(cw.ProductQuantizer(8, bits=4))
        found.append(index.search(QUERIES).bars)
    expected = BARS.setdefault("bars", found[0])
    for bars in found:
        assert np.array_equal(bars.half, expected.half) and np.array_equal(bars.centre, expected.centre)


BARS: dict[str, ErrorBars] = {}


def test_bars_are_saved_with_the_index(tmp_path: Path) -> None:
    index = calibrated(cw.ScalarQuantizer(3), factors=True)
    index.save(tmp_path / "a")
    opened = cw.open_index(tmp_path / "a")
    before, after = index.search(QUERIES).bars, opened.search(QUERIES).bars
    assert before is not None and after is not None
    assert np.array_equal(before.centre, after.centre) and np.array_equal(before.half, after.half)
    opened.save(tmp_path / "b")
    for part in ("model", "segment"):
        one, two = (next((tmp_path / folder).glob(f"{part}-*")).read_bytes() for folder in "ab")
        assert one == two


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", np.zeros((0, 32), np.float32)),
        ("codes", np.zeros((5, 12), np.uint8)),
        ("numbers", np.full(7, np.nan)),
        ("numbers", np.full(7, -1.0)),
        ("side", None),
    ],
)
def test_damaged_bars_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    calibrated(cw.ScalarQuantizer(3), factors=True).save(tmp_path / "a")
    model = next((tmp_path / "a").glob("model-*"))
    file = io.open_container(model)
    arrays = {n: np.array(file.array(n)) for n in file.names}
    if value is None:
        del arrays[f"bars.{name}"]
    else:
        arrays[f"bars.{name}"] = value
    io.write(model, file.kind, dict(file.header), arrays)
    with pytest.raises(FormatError):
        cw.open_index(tmp_path / "a")


def test_calibrating_needs_a_fitted_quantizer_and_enough_rows() -> None:
    with pytest.raises(NotFittedError):
        cw.Index(cw.ScalarQuantizer(3)).calibrate(X)
    with pytest.raises(ValueError, match="1000 rows"):
        cw.Index(cw.ScalarQuantizer(3)).fit(X).calibrate(X[:999])
    with pytest.raises(ValueError, match="32"):
        cw.Index(cw.ScalarQuantizer(3)).fit(X).calibrate(X[:, :5])


def test_equal_rows_have_bars() -> None:
    data = np.ones((1200, 4), np.float32)
    index = cw.Index(cw.ScalarQuantizer(4), factors=False).fit(data).calibrate(data).add(data)
    bars = index.search(data[:2], 3).bars
    assert bars is not None and np.isfinite(bars.half).all()


def test_numbers_survive_their_state() -> None:
    index = calibrated(cw.ScalarQuantizer(3), factors=False)
    assert index.calibration is not None
    state = index.calibration.state()
    again = Calibration.from_state("l2", 32, index.quantizer.code_size, 0, state)
    assert all(np.array_equal(again.state()[name], a) for name, a in state.items())
    assert index.calibration.nbytes == sum(a.nbytes for a in state.values()) <= index.model_bytes
