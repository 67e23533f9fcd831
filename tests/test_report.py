"""Reports: pages that stand alone, say what is true, and survive any name; numbers as people read them."""

from __future__ import annotations

import doctest
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import codeword as cw
from codeword import files, report, svg, text
from codeword.metrics import codebook_usage

X = (np.random.default_rng(0).normal(size=(3000, 12)) * np.arange(1, 13)).astype(np.float32)
VOID = {"meta", "img", "br", "rect", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what a browser would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag not in ("script", "link", "iframe")
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(
    "quantizer", [cw.VectorQuantizer(16), cw.ProductQuantizer(3, bits=4), cw.Pipeline([cw.KLT()], cw.ProductQuantizer(3, bits=4))]
)
def test_a_page_stands_alone(quantizer: Any) -> None:
    html = report.quantizer_page(quantizer.fit(X), X, name="rows & <b>more</b>")
    page = Page(html)
    assert page.loads == []
    assert "url(" not in html
    assert "@import" not in html
    assert "rows & <b>more</b>" in page.words
    assert repr(quantizer) in page.words
    assert "width=device-width" in html
    assert html == report.quantizer_page(quantizer, X, name="rows & <b>more</b>")


def test_the_verdict_has_the_figures() -> None:
    quantizer = cw.ProductQuantizer(3, bits=4).fit(X)
    distortion = quantizer.distortion(X)
    said = report.verdict(quantizer, distortion, codebook_usage(quantizer, quantizer.encode(X)))
    assert said.startswith("2 bytes a vector, 24 times smaller than float32, keep ")
    assert f"{100 * (1 - distortion.relative):.1f} % of the variance (signal to noise {distortion.snr_db:.1f} dB)" in said
    assert f"{distortion.gaussian_gap_db:.1f} dB above the least error" in said
    assert "a transform in front" in said


def test_the_verdict_says_what_is_wrong() -> None:
    quantizer = cw.VectorQuantizer(64).fit(X)
    few = np.repeat(X[:3], 1000, axis=0)
    usage = codebook_usage(quantizer, quantizer.encode(few))
    assert "61 of 64 codewords are never used" in report.verdict(quantizer, quantizer.distortion(few), usage)
    far = X + 1000
    assert "larger than the spread of the training data" in report.verdict(quantizer, quantizer.distortion(far), [])


def test_the_worst_rows_are_named() -> None:
    odd = X.copy()
    odd[[7, 2000]] *= 20
    words = Page(report.quantizer_page(cw.ProductQuantizer(3, bits=4).fit(X), odd)).words
    found = re.search(r"Largest: rows (\d+) .*?, (\d+) ", words)
    assert found is not None
    assert set(found.groups()) == {"7", "2000"}


def test_written_pages_are_whole(tmp_path: Path) -> None:
    report.write(tmp_path / "page.html", report.page("x", [report.table(["a"], [["–"]])]))
    assert (tmp_path / "page.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [1.0], [1e-30, 1e30], list(range(1000)), [5.0] * 97])
@pytest.mark.parametrize("log", [False, True])
def test_bars_draw_anything(values: list[float], log: bool) -> None:
    picture = svg.bars(values, x="x", y="y", behind=values, log=log)
    Page(picture)
    assert "nan" not in picture
    assert picture.count('class="bar"') <= 96
    for at in re.findall(r' y="([-\d.]+)"', picture):
        assert -svg.WIDTH <= float(at) <= svg.HEIGHT


@pytest.mark.parametrize("points", [[(1.0, 1.0)], [(1.0, 0.0), (1000.0, 1.0)], [(2.0, -5.0), (2.0, -5.0)]])
def test_lines_draw_anything(points: list[tuple[float, float]]) -> None:
    picture = svg.lines([("a<b", points), ("b", points[:1])], x="x", y="y", log_x=True)
    Page(picture)
    assert "a&lt;b" in picture
    assert "nan" not in picture
    assert svg.lines([], x="x", y="y") == ""


@pytest.mark.parametrize("module", [text, files, report, svg], ids=lambda m: m.__name__)
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("value", [0.0, 1.0, -1.5, 999.4, 999.6, 1e6, 1e-9, float("inf"), float("nan")])
def test_numbers_have_a_text(value: float) -> None:
    for words in (text.size(abs(value)), text.digits(value), text.decibel(value)):
        assert 0 < len(words) < 16
