"""How far codes of i.i.d. rows are from the Shannon bound, ours beside the peers: one table of Gaussian rows, one of Laplacian ones.

    python bench/bound.py [--rates 1 2 2.5 3 4] [--dimensions 128 384] [--sources Gaussian] [--peers "faiss PQ" "faiss EDEN" "faiss SQ"] [--docs docs]

dB of distortion above the bound at the rate that the code really has, 8 * code_size / d, everything stored with it included, on 2,000
fresh rows; what learns has 10,000 others. The bound of a Gaussian is ``2**(-2 rate)`` of the variance, Shannon's lower bound for
a Laplacian is ``e / pi`` of that, which is not reached at low rates. Nothing is rotated where the table does not say so. A peer that
has no code of at most the bytes has an empty entry; in brackets, the bits of what has fewer. --docs writes the tables,
with their date, as bound.md into a folder.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CODEWORD_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse  # noqa: E402
import datetime  # noqa: E402
import math  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import coders  # noqa: E402
import common  # noqa: E402
import numpy as np  # noqa: E402

import codeword as cw  # noqa: E402

ROWS, FRESH = 10_000, 2000
SOURCES = {"Gaussian": 1.0, "Laplacian": math.e / math.pi}
"""Shannon's lower bound at rate 0 for variance 1."""
Make = Callable[[int, int], "coders.Coder | None"]


def draw(source: str, n: int, d: int, seed: int) -> Any:
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) if source == "Gaussian" else random.laplace(scale=0.5**0.5, size=(n, d))
    return X.astype(np.float32)


def trellis(effort: str, *, rotated: bool = False) -> Make:
    def make(d: int, size: int) -> coders.Coder:
        quantizer = cw.TrellisQuantizer(8 * size / d, effort=effort)
        return coders.Ours(cw.Pipeline([cw.Rotation()], quantizer) if rotated else quantizer)

    return make


def lloyd_max(d: int, size: int) -> coders.Coder | None:
    return coders.Ours(cw.ScalarQuantizer(8 * size // d, levels="lloyd-max")) if 8 * size % d == 0 else None


def contenders(source: str, peers: list[str]) -> dict[str, Make]:
    made: dict[str, Make] = {f"codeword trellis, {effort}": trellis(effort) for effort in ("fast", "default", "best")}
    if source != "Gaussian":
        made["codeword rotation + trellis, default"] = trellis("default", rotated=True)
    made["scalar, Lloyd-Max (ours)"] = lloyd_max
    return made | {c.name: c.make for c in coders.contenders() if c.name in peers}


def entry(source: str, make: Make, d: int, rate: float) -> str:
    """dB above the bound, or why there are none."""
    size = round(rate * d / 8)
    try:
        coder = make(d, size)
    except (ImportError, RuntimeError):
        return "not installed"
    if coder is None or not coder.decodes or coder.size > size:
        return ""
    coder.fit(draw(source, ROWS, d, 1))
    X = draw(source, FRESH, d, 2)
    error = common.distortion(X, coder.decode(coder.encode(X)))
    got = 8 * coder.size / d
    decibels = 10 * math.log10(error * 4.0**got / SOURCES[source])
    return f"{decibels:.2f}" + (f" ({got:.3g})" if coder.size < size else "")


def tables(options: argparse.Namespace) -> list[str]:
    """Lines of the page, printed as they come."""
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    for source in options.sources:
        say(f"## {source} rows\n")
        say("| d | code | " + " | ".join(f"{rate:g} bits" for rate in options.rates) + " |")
        say("|---|---|" + "---|" * len(options.rates))
        for d in options.dimensions:
            for name, make in contenders(source, options.peers).items():
                say(f"| {d} | {name} | " + " | ".join(entry(source, make, d, rate) for rate in options.rates) + " |")
        say("")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 2, 2.5, 3, 4])
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=SOURCES)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 384])
    parser.add_argument("--peers", nargs="*", default=["faiss PQ", "faiss EDEN", "faiss SQ"])
    parser.add_argument("--docs", help="folder for bound.md")
    options = parser.parse_args()
    lines = tables(options)
    if options.docs:
        intro = [
            "# Distance to the Shannon bound",
            "",
            f"Printed by `python bench/bound.py --docs docs` on {datetime.date.today():%d %B %Y}; dB above the bound of rows whose columns are",
            f"independent, at the rate that a code really has, on {FRESH:,} fresh rows ({ROWS:,} others to learn from). The bound of Laplacian rows",
            "is Shannon's lower one, which nothing reaches at low rates. In brackets: the rate of a code that has fewer bits than the column says.",
            "",
        ]
        (Path(options.docs) / "bound.md").write_text("\n".join([*intro, *lines]).rstrip() + "\n")


if __name__ == "__main__":
    main()
