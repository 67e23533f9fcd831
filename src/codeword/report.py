"""Reports as one HTML file each: how good a fitted quantizer is on given rows, and the parts that other reports are built from.

    quantizer, X --measure, encode--> numbers --> sentences, tables, SVG --> one page without scripts, links or network

The page fits a phone and follows the reader's dark or light setting. Nothing in it depends on the day or the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword import svg, text

if TYPE_CHECKING:
    from codeword.base import Quantizer
    from codeword.choice.frontier import Frontier, Trial
    from codeword.metrics import Distortion, Usage
    from codeword.training_report import TrainingReport

_BLOCK_ELEMENTS = 1 << 22
_TERMS = (
    "Signal to noise is the variance of the training data over the mean squared error. The Gaussian bound is the rate-distortion "
    "function of a Gaussian with the covariance of these rows (reverse water-filling); real data can be below it. Perplexity is "
    "two to the entropy of the codewords' frequencies."
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6778; --line: #d9dee7; --paper: #fff; --card: #f4f6fa;
  --c0: #2563eb; --c1: #d97706; --c2: #059669; --c3: #db2777; --c4: #7c3aed; --c5: #57534e; --pale: #c9d7f5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #343c4a; --paper: #12161d;
  --card: #1b212b; --c0: #6ea0ff; --c1: #f5a524; --c2: #34d399; --c3: #f472b6; --c4: #a78bfa; --c5: #a8a29e; --pale: #2c3f66; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1020px; padding: 16px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; max-width: 70ch; }
p.lead { font-size: 1.1rem; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(125px, 1fr)); gap: 10px; margin: 1rem 0; }
.card { background: var(--card); border-radius: 8px; padding: 10px 12px; }
.card b { display: block; font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 16px 24px; }
.figures.small { grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); }
figure { margin: 0; min-width: 0; max-width: 480px; }
figure svg, figure img { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; width: 100%; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
pre { background: var(--card); border-radius: 8px; padding: 10px 12px; overflow-x: auto; font-size: .85rem; }
svg text { fill: var(--soft); font-size: 10.5px; }
svg .name { fill: var(--ink); font-size: 11px; }
svg .grid { stroke: var(--line); stroke-width: .7; } svg .axis { stroke: var(--soft); stroke-width: 1; }
svg .bar { fill: var(--c0); } svg .back { fill: var(--pale); }
svg .line { fill: none; stroke-width: 2; }
.s0 { stroke: var(--c0); background: var(--c0); } .s1 { stroke: var(--c1); background: var(--c1); }
.s2 { stroke: var(--c2); background: var(--c2); } .s3 { stroke: var(--c3); background: var(--c3); }
.s4 { stroke: var(--c4); background: var(--c4); } .s5 { stroke: var(--c5); background: var(--c5); }
svg .dot { fill: var(--paper); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: .85rem; }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; }
"""


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole HTML page; `parts` are HTML already, `style` is CSS that it has besides its own."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}{style}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def paragraph(sentence: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(sentence)}</p>' if kind else f"<p>{escape(sentence)}</p>"


def heading(words: str) -> str:
    """The heading of a section."""
    return f"<h2>{escape(words)}</h2>"


def cards(pairs: Iterable[tuple[str, str]]) -> str:
    """Figures in boxes: (name, value)."""
    return (
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in pairs)
        + "</div>"
    )


def figure(picture: str, caption: str, *, wide: bool = False) -> str:
    """A picture (HTML) with its caption."""
    return f"<figure{' class=wide' if wide else ''}>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def figures(made: Iterable[str], *, small: bool = False) -> str:
    """Figures in as many columns as fit: two of full size, three small ones."""
    return f'<div class="figures{" small" if small else ""}">{"".join(made)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls sideways where it does not fit."""
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{"".join(f"<th>{escape(h)}</th>" for h in head)}</tr>{body}</table></div>'


def code(lines: str) -> str:
    """Text as it is typed."""
    return f"<pre>{escape(lines)}</pre>"


def write(path: str | os.PathLike[str], html: str) -> None:
    """Write a page; the file appears complete or not at all."""
    from codeword.io import replacing

    with replacing(path) as file:
        file.write(html.encode())


def quantizer_page(quantizer: Quantizer, X: Any, *, name: str = "the rows") -> str:
    """A report of what coding rows `X` (n, d) with a fitted quantizer costs and keeps.

    Parameters
    ----------
    quantizer : Quantizer
        Fitted.
    X : array_like (n, d)
        Best rows that it was not fitted on.
    name : str
        What the rows are called in the text.

    Returns
    -------
    str
        A page that needs no other file.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> from codeword import report
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype("f4")
    >>> report.quantizer_page(cw.ProductQuantizer(4, bits=4).fit(X), X)[:15]
    '<!doctype html>'
    """
    distortion = quantizer.distortion(X)
    codes = quantizer.encode(X)
    usage = _usage(quantizer, codes)
    parts = [
        paragraph(verdict(quantizer, distortion, usage), "lead"),
        cards(_facts(quantizer, distortion, usage)),
        heading("Where the error is"),
        figures([_dimension_figure(quantizer, distortion), _row_figure(quantizer, X, codes, distortion)]),
        *_usage_parts(usage),
        *training_parts(quantizer),
        heading("What was measured"),
        paragraph(f"{text.count(len(codes))} rows of {name}, {quantizer.d} dimensions, coded by"),
        code(repr(quantizer)),
        paragraph(_TERMS, "soft"),
    ]
    return page(f"Codes of {text.plural(quantizer.code_size, 'byte')} for {name}", parts)


def frontier_page(frontier: Frontier, *, name: str = "the rows") -> str:
    """A report of what `codeword.auto` measured: the winner, distortion and recall by bytes, and every trial in a table.

    Parameters
    ----------
    frontier : Frontier
        Of a quantizer that `codeword.auto` returned, or of its error.
    name : str
        What the rows are called in the text.

    Returns
    -------
    str
        A page that needs no other file.

    Examples
    --------
    >>> import numpy as np, codeword as cw
    >>> from codeword import report
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype("f4")
    >>> report.frontier_page(cw.auto(X, bytes_per_vector=4).frontier)[:15]
    '<!doctype html>'
    """
    n, r, q = frontier.rows
    winner = frontier.winner
    facts = [
        ("bytes a vector", str(winner.bytes_per_vector)),
        ("relative distortion", text.digits(winner.distortion)),
        (f"recall@{frontier.k}", text.digits(winner.recall)),
        ("model, stored once", text.size(winner.model_bytes)),
    ]
    by_name: dict[str, list[Trial]] = {}
    for trial in frontier.measured:
        by_name.setdefault(trial.name, []).append(trial)
    noise = [(known, [(float(t.bytes_per_vector), _decibels(t.distortion)) for t in trials]) for known, trials in by_name.items()]
    found = [(known, [(float(t.bytes_per_vector), t.recall) for t in trials]) for known, trials in by_name.items()]
    pictures = [
        figure(
            svg.lines(noise, x="bytes a vector", y="signal to noise, dB", log_x=True), "Variance over squared error, held-out rows."
        ),
        figure(
            svg.lines(found, x="bytes a vector", y=f"recall@{frontier.k}", log_x=True, low=0.0, high=1.0),
            "Of the true nearest, by distances to the reconstructions.",
        ),
    ]
    parts = [
        paragraph(f"{frontier.target}: {frontier.reason}.", "lead"),
        cards(facts),
        heading("What was measured"),
        figures(pictures),
        table(frontier.head(), frontier.cells()),
        paragraph(
            f"Fitted to {text.count(n)} of {name}; distortion of {text.count(r)} others; recall@{frontier.k} ({frontier.metric}) of "
            f"{text.count(q)} queries among them. Intervals are 95 %, by bootstrap.",
            "soft",
        ),
    ]
    return page(f"{winner.name} for {name}", parts)


def _decibels(distortion: float) -> float:
    return float(-10 * np.log10(max(distortion, 1e-12)))


def verdict(quantizer: Quantizer, distortion: Distortion, usage: Sequence[Usage]) -> str:
    """A few sentences that say whether this is good, and what to try where it is not."""
    smaller = text.digits(4 * distortion.per_dimension.size / quantizer.code_size)
    kept = max(0.0, 100 * (1 - distortion.relative))
    said = [
        f"{text.plural(quantizer.code_size, 'byte')} a vector, {smaller} times smaller than float32, keep{'s' if quantizer.code_size == 1 else ''} {_percent(kept)} of the variance "
        f"(signal to noise {text.decibel(distortion.snr_db)})."
    ]
    gap = distortion.gaussian_gap_db
    if gap is not None:
        said.append(_gap_sentence(gap, hasattr(quantizer, "transforms")))
    if distortion.relative >= 1:
        said.append("The error is larger than the spread of the training data: these rows look unlike those it was fitted on.")
    dead, codewords = sum(len(u.dead) for u in usage), sum(len(u.counts) for u in usage)
    if dead > 0.05 * codewords and _enough(distortion, usage):
        said.append(
            f"{text.count(dead)} of {text.count(codewords)} codewords are never used by these rows: fewer would do, or the rows "
            "differ from those it was fitted on."
        )
    return " ".join(said)


def _enough(distortion: Distortion, usage: Sequence[Usage]) -> bool:
    """Whether there were rows enough for an unused codeword to mean anything."""
    return distortion.n >= 10 * max(len(u.counts) for u in usage)


def _gap_sentence(gap: float, transformed: bool) -> str:
    best = "the least error that any code of this size can have on Gaussian data of the same covariance"
    if gap < 0:
        return f"That is {text.decibel(-gap)} below {best}: the rows have structure that a Gaussian does not, and the code uses it."
    if gap < 1:
        return f"That is {text.decibel(gap)} above {best}: only more bytes would help much."
    advice = "another transform or a finer quantizer" if transformed else "a transform in front (KLT, rotation)"
    return f"That is {text.decibel(gap)} above {best}; {advice} may gain some of it."


def _percent(kept: float) -> str:
    return f"{kept:.1f} %" if kept < 99 else f"{kept:.3f} %"


def _facts(quantizer: Quantizer, distortion: Distortion, usage: Sequence[Usage]) -> list[tuple[str, str]]:
    facts = [
        ("bytes a vector", str(quantizer.code_size)),
        ("smaller than float32", f"{text.digits(4 * distortion.per_dimension.size / quantizer.code_size)}×"),
        ("bits a dimension", text.digits(quantizer.rate)),
        ("signal to noise", text.decibel(distortion.snr_db)),
        ("gap to the Gaussian bound", text.decibel(distortion.gaussian_gap_db)),
        ("model, stored once", text.size(quantizer.model_bytes)),
    ]
    if usage and _enough(distortion, usage):
        dead = sum(len(u.dead) for u in usage)
        facts.append(("codewords never used", f"{text.count(dead)} of {text.count(sum(len(u.counts) for u in usage))}"))
    return facts


def _dimension_figure(quantizer: Quantizer, distortion: Distortion) -> str:
    """The error in each dimension in front of the variance of the training data."""
    mean = float(quantizer._variance.mean()) or 1.0
    errors, variances = (distortion.per_dimension / mean).tolist(), (quantizer._variance / mean).tolist()
    log = distortion.relative < 0.05 or max(variances) > 50 * min((v for v in variances if v > 0), default=1.0)
    picture = svg.bars(errors, behind=variances, x="dimension", y="share of the mean variance", log=log)
    worst = int(np.argmax(distortion.per_dimension))
    share = 100 * distortion.per_dimension[worst] / max(distortion.per_dimension.sum(), 1e-300)
    caption = (
        f"Behind: variance of the training data. In front: mean squared error. Dimension {worst} has most of it, {share:.1f} %."
    )
    return figure(picture, caption)


def _row_figure(quantizer: Quantizer, X: Any, codes: NDArray[np.uint8], distortion: Distortion) -> str:
    """How the error is spread over rows, and which have most of it."""
    errors = _row_errors(quantizer, X, codes) / (float(quantizer._variance.mean()) or 1.0)
    top = float(np.quantile(errors, 0.995)) or 1.0
    counts, _ = np.histogram(np.minimum(errors, top), bins=48, range=(0.0, top))
    picture = svg.bars((counts / len(errors) * 100).tolist(), x="relative error of a row", y="% of rows", ends=(0.0, top))
    worst = np.argsort(-errors, kind="stable")[:5]
    named = ", ".join(f"{row} ({text.digits(float(errors[row]))})" for row in worst)
    return figure(picture, f"Mean {text.digits(distortion.relative)}; the last bar holds all beyond. Largest: rows {named}.")


def _row_errors(quantizer: Quantizer, X: Any, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean squared error (n,) of each row, a block at a time."""
    from codeword import checks, runtime

    A = checks.to_array(X, "X")
    out = np.empty(len(A))
    for start, stop in runtime.blocks(len(A), max(64, _BLOCK_ELEMENTS // A.shape[1]), "report"):
        error = A[start:stop].astype(np.float64) - quantizer.decode(codes[start:stop])
        out[start:stop] = (error * error).mean(1)
    return out


def _usage(quantizer: Quantizer, codes: NDArray[np.uint8]) -> list[Usage]:
    """Use of the codewords; empty for a quantizer that has none to count."""
    from codeword.metrics import codebook_usage

    try:
        return codebook_usage(quantizer, codes)
    except (TypeError, AttributeError):
        return []


def _usage_parts(usage: Sequence[Usage]) -> list[str]:
    if not usage:
        return []
    made = [_spread_figure(usage)]
    if len(usage) > 1:
        perplexities = [u.perplexity for u in usage]
        caption = f"As many codewords, used equally, would hold as much; {text.count(len(usage[0].counts))} at best."
        made.append(figure(svg.bars(perplexities, x="piece or dimension", y="perplexity"), caption))
    return [heading("How the codewords are used"), figures(made)]


def training_parts(quantizer: Quantizer) -> list[str]:
    """How the codebooks were trained: verdict, numbers, the distortion pass by pass; nothing for a quantizer that does not tell."""
    inner = getattr(quantizer, "quantizer", quantizer)
    if getattr(inner, "training_", None) is None or not hasattr(inner, "report"):
        return []
    made: TrainingReport = inner.report()
    scale = made.relative / made.distortion if made.distortion else 1.0
    lost: dict[str, list[tuple[float, float]]] = {}
    moved: dict[str, list[tuple[float, float]]] = {}
    for number, p in enumerate(made.passes, 1):
        lost.setdefault(f"{text.count(p.rows)} rows", []).append((number, p.distortion * scale))
        if p.moved is not None and p.moved < 1:
            moved.setdefault(f"{text.count(p.rows)} rows", []).append((number, 100 * p.moved))
    drawn = [
        figure(
            svg.lines(list(lost.items()), x="pass", y="relative distortion"),
            "Distortion of the codebooks that each pass began with; a level with more rows starts higher, as most of them are new.",
        ),
        figure(
            svg.lines(list(moved.items()), x="pass", y="% of rows", low=0.0),
            "Rows that changed cell; where few do, training is done.",
        ),
    ]
    numbers = table(["", ""], [[name, value] for name, value in made.pairs()])
    return [heading("How it was trained"), paragraph(made.verdict), figures(drawn), numbers]


def _spread_figure(usage: Sequence[Usage]) -> str:
    """How often the most used codeword is named, the second, and so on, as a mean over the codebooks."""
    k = max(len(u.counts) for u in usage)
    shares = np.zeros(k)
    for u in usage:
        shares[: len(u.counts)] += np.sort(u.counts)[::-1] / max(u.n, 1)
    shares *= k / len(usage)
    perplexity = float(np.mean([u.perplexity for u in usage]))
    dead = sum(len(u.dead) for u in usage)
    caption = (
        f"1 would be equal use. {'Perplexity' if len(usage) == 1 else 'Mean perplexity'} {text.digits(perplexity)} of {text.count(k)}; "
        f"{text.count(dead)} never used."
    )
    return figure(svg.bars(shares.tolist(), x="codewords, most used first", y="use, times the mean", first=1), caption)
