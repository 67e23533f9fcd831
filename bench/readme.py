"""The README's table from the driver's figures, written between its two marks.

python bench/run.py assign pq_encode pq_train kmeans flat_search --json figures.json
python bench/readme.py figures.json
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- bench: begin (printed by bench/readme.py) -->", "<!-- bench: end -->"


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text())
    lines = ["| question | data | codeword | peer | their CPU time / ours | quality, ours / theirs |", "|---|---|---|---|---|---|"]
    for question, answers in figures["results"].items():
        module = importlib.import_module(f"questions.{question.replace('-', '_')}")
        for data, contenders in answers.items():
            lines += table_rows(module.TITLE, data, contenders, next(c.name for c in module.contenders() if c.ours))
    note = (
        f"One core ({figures['threads']} thread), medians of interleaved rounds, each contender in a process of its own; BLAS of the peers "
        f"under its fastest profile ({figures['blas'] or 'as shipped'}). Quality is measured over all rows by the same code: mse, lower "
        "is better; recall@10, higher is better."
    )
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(f"{head}{BEGIN}\n{chr(10).join(lines)}\n\n{note}\n{END}{tail}")


def table_rows(title: str, data: str, contenders: dict[str, Any], ours: str) -> list[str]:
    """A row for each peer that ran."""
    mine = contenders[ours]
    rows = []
    for name, rounds in contenders.items():
        if name == ours or name.startswith("codeword") or isinstance(rounds, str):
            continue
        ratios = [theirs["cpu"] / own["cpu"] for theirs, own in zip(rounds, mine, strict=True)]
        quality = next((k for k in ("recall@10", "mse") if k in mine[0]), None)
        shown = "" if quality is None else f"{quality} {mine[0][quality]:.4g} / {rounds[0][quality]:.4g}"
        seconds = statistics.median(r["cpu"] for r in mine)
        rows.append(f"| {title} | {data} | {seconds:.3g} s | {name} | **{statistics.median(ratios):.1f}** | {shown} |")
    return rows


if __name__ == "__main__":
    main()
