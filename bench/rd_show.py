"""What rate_distortion.py shows: a table for each cell, and a page with one table and one picture for each data set."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
from rd_cells import AUTO, KINDS, Cell, Result, best, ours, verdict
from rd_measure import INNER_PRODUCTS
from rich.console import Console
from rich.table import Table

from codeword import svg, text

Made = list[tuple[Cell, dict[str, Result]]]
COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#57534e")
STYLE = (
    "text { font: 10.5px sans-serif; fill: #333; } .grid { stroke: #ddd; stroke-width: .7; } .axis { stroke: #666; } "
    ".line { fill: none; stroke-width: 2; } .dot { fill: white; stroke-width: 2; } "
)
_MARKS = {"won": "", "level": " =", "lost": " **lost**"}


def show(cell: Cell, results: dict[str, Result], console: Console) -> None:
    """The table of a cell, best first, and who won."""
    sizes = next((r.figures["rows"] for r in results.values() if "rows" in r.figures), cell.rows)
    table = Table(
        title=f"{cell.data}, {cell.rate:g} bits a dimension: {cell.size} bytes ({sizes[0]} rows to fit, {sizes[1]} to code)",
        title_justify="left",
    )
    columns = ("contender", "bytes", "distortion", "recall@10", "by ip", "ip error", "model", "fit CPU s", "encode us", "")
    for column in columns:
        table.add_column(column, justify="left" if column in ("contender", "") else "right")
    for name, r in sorted(results.items(), key=lambda item: item[1].figures.get("distortion", 1e9)):
        f = r.figures
        if "cannot" in f:
            table.add_row(name, *[""] * 8, f"cannot: {f['cannot']}")
            continue
        notes = [f["note"], "starved" if f["starved"] else "", "more bytes: not compared" if f["bytes"] > cell.size else ""]
        keys = ("distortion", "recall_l2", "recall_ip", "product_error")
        shown = [text.digits(f[key]) if key in f else "" for key in keys]
        times = [text.digits(f["fit_cpu_s"]), text.digits(f["encode_us"])]
        table.add_row(name, str(f["bytes"]), *shown, text.size(f["model_bytes"]), *times, ", ".join(n for n in notes if n))
    console.print(table)
    for kind, words in KINDS.items():
        v = verdict(results, cell.size, kind)
        if v is not None:
            line = f"  {v.result:5} {words} {v.value:.4f} ({v.low:.4f} to {v.high:.4f}): {v.ours[9:]} against {v.peer}"
            console.print(line, highlight=False)
    if cell.data in INNER_PRODUCTS:
        for name in (best(results, cell.size, "errors", mine=True), best(results, cell.size, "errors", mine=False)):
            if name is not None:
                tenths = " ".join(text.digits(v, 2) for v in results[name].figures["product_error_by_length"])
                console.print(f"        relative error of inner products by tenths of length, {name}: {tenths}", highlight=False)


def counts(made: Made, console: Console) -> None:
    """How many cells were won, level and lost, by kind."""
    for kind, words in KINDS.items():
        found = [v.result for cell, results in made if (v := verdict(results, cell.size, kind)) is not None]
        if found:
            counted = ", ".join(f"{found.count(r)} {r}" for r in ("won", "level", "lost"))
            console.print(f"{words.partition(',')[0]}: {counted} of {len(found)} cells")


def document(made: Made, folder: Path) -> None:
    """Write `rate-distortion.md`, with a table for each data set, and pictures beside it; of cells in which `auto` was run."""
    made = [(cell, results) for cell, results in made if AUTO in results]
    pictures = folder / "rate-distortion"
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [_HEAD]
    for data in dict.fromkeys(cell.data for cell, _ in made):
        cells = [(cell, results) for cell, results in made if cell.data == data]
        (pictures / f"{data}.svg").write_text(picture(cells))
        parts.append(_section(data, cells))
    (folder / "rate-distortion.md").write_text("\n".join(parts))


_HEAD = """# Distortion at every rate

Printed by `python bench/rate_distortion.py --docs docs`; what was measured, and how, is said at its top. Each entry is the relative
distortion of held-out rows / recall@10 (l2, without re-ranking) at so many bytes a vector, side data included. A peer that has no
code of the size, needs more bytes, or was stopped at the limit of CPU time (seconds) has an entry that says so. *Starved*: fewer than 39
rows a codeword to learn from. The last rows compare `codeword.auto` with the best peer: the ratio of distortions (below 1: ours has
less) and the difference of recalls (above 0: ours finds more), with 95 % intervals of a paired bootstrap; `=` where the interval holds
equality. Empty entries were not measured; cells in which `auto` was not run are left out.
"""


def _section(data: str, cells: Made) -> str:
    """Heading, picture and table of a data set."""
    names = list(dict.fromkeys(name for _, results in cells for name in results))
    names.sort(key=lambda name: (name != AUTO, not ours(name)))
    sizes = next((r.figures["rows"] for _, results in cells for r in results.values() if "rows" in r.figures), (0, 0, 0))
    lines = [
        f"## {data}\n",
        f"{sizes[0]} rows of {cells[0][0].d} dimensions to fit, {sizes[1]} others to code, {sizes[2]} queries.\n",
        f"![{data}: signal to noise by rate](rate-distortion/{data}.svg)\n",
        "| bits a dimension | " + " | ".join(f"{c.rate:g}" for c, _ in cells) + " |",
        "|---" * (len(cells) + 1) + "|",
        "| bytes | " + " | ".join(str(c.size) for c, _ in cells) + " |",
    ]
    for name in names:
        entries = [_entry(c, results.get(name)) for c, results in cells]
        lines.append(f"| {name} | " + " | ".join(entries) + " |")
    lines.append("| chosen by auto | " + " | ".join(_note(results.get(AUTO)) for _, results in cells) + " |")
    for key, words in (("fit_cpu_s", "auto, s of CPU time to choose and fit"), ("encode_us", "auto, us to encode a row")):
        lines.append(f"| {words} | " + " | ".join(_figure(results.get(AUTO), key) for _, results in cells) + " |")
    for kind, words in KINDS.items():
        verdicts = [verdict(results, c.size, kind) for c, results in cells]
        if any(verdicts):
            shown = [f"{v.value:.3f} ({v.low:.3f} to {v.high:.3f}){_MARKS[v.result]}, {v.peer}" if v else "" for v in verdicts]
            lines.append(f"| {words} | " + " | ".join(shown) + " |")
    return "\n".join([*lines, *_by_length(data, cells), ""])


def _entry(cell: Cell, result: Result | None) -> str:
    if result is None:
        return ""
    f = result.figures
    if "cannot" in f:
        return str(f["cannot"]) if str(f["cannot"]).startswith("stopped") else "none"
    if f["bytes"] > cell.size:
        return f"{f['bytes']} bytes"
    shown = " / ".join(text.digits(f[key]) if key in f else "" for key in ("distortion", "recall_l2"))
    return shown + (" *starved*" if f["starved"] else "")


def _note(result: Result | None) -> str:
    return "" if result is None else str(result.figures.get("note", ""))


def _figure(result: Result | None, key: str) -> str:
    return text.digits(result.figures[key]) if result is not None and key in result.figures else ""


def _by_length(data: str, cells: Made) -> list[str]:
    """Relative errors of inner products by tenths of the rows' lengths, where lengths differ."""
    if data not in INNER_PRODUCTS:
        return []
    lines = [
        "\nRelative error of inner products by tenths of the rows, from the shortest to the longest: `auto`, then the best peer.\n"
    ]
    lines += ["| bits | | " + " | ".join(str(i) for i in range(1, 11)) + " |", "|---" * 12 + "|"]
    for cell, results in cells:
        for mine in (True, False):
            name = best(results, cell.size, "errors", mine=mine)
            if name is not None:
                tenths = " | ".join(text.digits(v, 2) for v in results[name].figures["product_error_by_length"])
                lines.append(f"| {cell.rate:g} | {name} | {tenths} |")
    return lines


def picture(cells: Made) -> str:
    """Signal to noise by rate as one SVG file: ours at each rate, and the five best peers."""
    series: dict[str, list[tuple[float, float]]] = {}
    for cell, results in cells:
        rated = {
            n: r.figures["distortion"] for n, r in results.items() if "distortion" in r.figures and r.figures["bytes"] <= cell.size
        }
        for name, value in rated.items():
            if name == AUTO or not ours(name):
                series.setdefault(name, []).append((cell.rate, float(-10 * np.log10(max(value, 1e-30)))))
    peers = sorted((n for n in series if n != AUTO), key=lambda n: (-len(series[n]), -series[n][-1][1]))[:5]
    chosen = [(n, series[n]) for n in [AUTO, *peers] if n in series]
    drawn = svg.lines(chosen, x="bits a dimension", y="signal to noise, dB", log_x=True).partition("</svg>")[0]
    return standalone(drawn, [n for n, _ in chosen])


def standalone(drawn: str, names: list[str]) -> str:
    """A picture of a report as a file of its own: with colours, and with the names of its lines below."""
    height = svg.HEIGHT + 14 * len(names)
    size = f'viewBox="0 0 {svg.WIDTH} {svg.HEIGHT}"'
    legend = "".join(
        f'<rect x="44" y="{svg.HEIGHT + 14 * i}" width="9" height="9" fill="{COLOURS[i]}"/>'
        f'<text x="58" y="{svg.HEIGHT + 8 + 14 * i}">{escape(name)}</text>'
        for i, name in enumerate(names)
    )
    style = "".join(f".s{i} {{ stroke: {c}; }} " for i, c in enumerate(COLOURS))
    opened = drawn.replace(size, f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {svg.WIDTH} {height}"', 1)
    head, _, rest = opened.partition(">")
    return f"{head}><style>{STYLE}{style}</style><rect width='100%' height='100%' fill='white'/>{rest}{legend}</svg>\n"
