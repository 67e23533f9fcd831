"""What the demo shows: the table on the terminal, the page, the picture, the best model."""

from __future__ import annotations

import base64
import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import io, report, svg, text
from codeword.demo import photos

if TYPE_CHECKING:
    from codeword.base import Quantizer
    from codeword.demo.run import Measured, Pictures, Vectors

HEAD = ("method", "bytes", "smaller", "recall@10", "queries/s", "speed", "SNR", "gap", "fit", "encode")
_FULL_WIDTH = 110
_NOT_ON_NARROW_TERMINALS = ("smaller", "speed", "fit", "encode")
_GOOD = 0.9  # share of the true neighbours with which a search is worth using
_DETAIL = (slice(40, 312), slice(140, 500))  # of a picture, on the page, so that the page stays small
_SHORT = (
    "gap: to the Gaussian rate-distortion bound. recall@10: from the codes alone. speed: against exact search on float vectors."
)
_LONG = (
    "bytes: of one vector, side data of its distances included. SNR: signal to noise of held-out vectors after decoding. gap: to the least error that any code "
    "of this size can have on Gaussian data of the same covariance (below 0: the data are easier than that). recall@10: share of "
    "the ten true nearest neighbours that a search of the codes alone finds, without the original vectors. speed: queries a "
    "second against exact search of the original vectors, both in one batch on all threads. fit: learning from a sample."
)


def title(vectors: Vectors) -> str:
    """One line on what is searched."""
    n, d = vectors.base.shape
    return (
        f"{text.count(n)} {vectors.what}, {d} × {vectors.base.dtype} ({text.size(vectors.base.nbytes)}), "
        f"{text.count(len(vectors.queries))} held-out queries"
    )


def better(a: Measured, b: Measured) -> bool:
    """Whether `a` is the better answer: nine in ten neighbours found in fewer bytes, else more of them found."""
    if a.recall >= _GOOD and b.recall >= _GOOD:
        return (a.bytes, -a.recall) < (b.bytes, -b.recall)
    return a.recall > b.recall


def rows(measured: Sequence[Measured]) -> list[tuple[str, ...]]:
    """The cells of the table, the first row being exact search."""
    exact = measured[0].queries_per_second
    return [
        (
            m.name,
            text.count(m.bytes),
            f"{text.digits(m.compression)}×",
            f"{m.recall:.3f}",
            text.digits(m.queries_per_second),
            f"{text.digits(m.queries_per_second / exact, 2)}×",
            text.decibel(m.snr_db),
            text.decibel(m.gap_db),
            "–" if m.fit_seconds is None else text.seconds(m.fit_seconds),
            "–" if m.encode_seconds is None else text.seconds(m.encode_seconds),
        )
        for m in measured
    ]


def terminal(
    vectors: Vectors, measured: Sequence[Measured], best: Measured, paths: dict[str, str], data: str | None, seconds: float
) -> None:
    """Print the table, what it comes down to, where the files are and what to type next."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=title(vectors), title_justify="left", title_style="bold"
    )
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 120
    shown = [name for name in HEAD if out.width >= _FULL_WIDTH or name not in _NOT_ON_NARROW_TERMINALS]
    for name in shown:
        made.add_column(name, justify="left" if name == HEAD[0] else "right", no_wrap=True)
    for m, cells in zip(measured, rows(measured), strict=True):
        kept = [cell for name, cell in zip(HEAD, cells, strict=True) if name in shown]
        made.add_row(*kept, style="dim" if m is measured[0] else "bold" if m is best else None)
    out.print(made)
    out.print(_SHORT, style="dim")
    out.print(f"\n{lead(best)}\n", style="bold")
    for name, path in paths.items():
        out.print(f"  {name.replace('_', ' '):13} {path}", soft_wrap=True)
    own = data or "X.npy"
    print(f"\nDone in {text.seconds(seconds)}. Next:")
    if data is None:
        print("  codeword demo X.npy                          the same on vectors of your own")
    print(f"  codeword encode {paths['model']} {own} -o codes.npy" if data else "  codeword fit X.npy -o model.cw --m 16")
    print("  codeword --help")


def lead(best: Measured) -> str:
    """The sentence that the table comes down to."""
    return (
        f"{best.name[0].upper()}{best.name[1:]} in {text.plural(best.bytes, 'byte')} a vector, {text.digits(best.compression)} times smaller, finds "
        f"{100 * best.recall:.0f} % of the ten true nearest neighbours from the codes alone, at "
        f"{text.digits(best.queries_per_second)} queries a second."
    )


def facts(vectors: Vectors, measured: Sequence[Measured], paths: dict[str, str], seconds: float) -> dict[str, Any]:
    """The same as JSON."""
    n, d = vectors.base.shape
    return {
        "what": vectors.what,
        "rows": n,
        "d": d,
        "dtype": str(vectors.base.dtype),
        "queries": len(vectors.queries),
        "methods": [dataclasses.asdict(m) for m in measured],
        "files": paths,
        "seconds": seconds,
    }


def write(
    folder: str, vectors: Vectors, measured: Sequence[Measured], pictures: Pictures, best: tuple[Measured, Quantizer]
) -> dict[str, str]:
    """Write the page, the best model, its own report and the picture; returns their paths by name."""
    os.makedirs(folder, exist_ok=True)
    names = {"report": "report.html", "model": "model.cw", "model_report": "model.html"}
    if pictures:
        names["picture"] = "picture.png"
    paths = {name: os.path.join(folder, file) for name, file in names.items()}
    io.save(best[1], paths["model"])
    report.write(paths["model_report"], report.quantizer_page(best[1], vectors.queries, name="the held-out queries"))
    report.write(paths["report"], page(vectors, measured, pictures, best))
    if pictures:
        rows_of_three = [np.concatenate([p for _, p in pictures[i : i + 3]], axis=1) for i in range(0, len(pictures), 3)]
        with io.replacing(paths["picture"]) as file:
            file.write(photos.png(np.concatenate(rows_of_three)))
    return paths


def page(vectors: Vectors, measured: Sequence[Measured], pictures: Pictures, best: tuple[Measured, Quantizer]) -> str:
    """The demo's HTML page."""
    codes = measured[1:]
    parts = [
        report.paragraph(lead(best[0]), "lead"),
        report.paragraph(title(vectors) + ".", "soft"),
        report.figures([_chart(codes, "recall"), _chart(codes, "snr_db")]),
        report.heading("Every method"),
        report.table(HEAD, rows(measured)),
        report.paragraph(_LONG, "soft"),
    ]
    if pictures:
        parts += [
            report.heading("The same for pictures"),
            report.paragraph(
                "The photographs cut into squares of 8 × 8 pixels, each a vector of 192 numbers, coded and decoded: KLT and a product "
                "quantizer, learnt from squares of both. Parts of the pictures; picture.png has all of them."
            ),
            report.figures((report.figure(_image(picture[_DETAIL]), caption) for caption, picture in pictures), small=True),
        ]
    parts += [report.heading("The best of them"), report.code(repr(best[1]))]
    return report.page("codeword: short codes for vectors", parts)


def _chart(codes: Sequence[Measured], value: str) -> str:
    """A line for each method over the bytes of its codes."""
    names = dict.fromkeys(m.name for m in codes)
    series = [(name, [(float(m.bytes), float(getattr(m, value))) for m in codes if m.name == name]) for name in names]
    if value == "recall":
        picture = svg.lines(series, x="bytes a vector", y="recall@10", log_x=True, low=0.0, high=1.0)
        return report.figure(picture, "Neighbours found by searching the codes.")
    picture = svg.lines(series, x="bytes a vector", y="signal to noise, dB", log_x=True, low=0.0)
    return report.figure(picture, "How well the codes keep the vectors.")


def _image(picture: NDArray[np.uint8]) -> str:
    data = base64.b64encode(photos.png(picture)).decode()
    return f'<img alt="" src="data:image/png;base64,{data}">'
