"""How much of the vectors is left at how many bytes: all our quantizers and the peers' on the same rows, at the same sizes.

    python bench/rate_distortion.py [--quick] [--data minilm-wordnet ...] [--rates 0.5 1 ...] [--only PQ] [--limit 300]
                                    [--json FILE] [--pictures FOLDER]

Rows are shuffled by a seed; what learns is fitted on one half, and everything is measured on the other half. A contender runs in a
process of its own with one thread, and has a time limit. Bytes are all that is stored for a vector; the model, stored once, is
stated apart. Recall@10 is without re-ranking: of a coder's own search, or by distances to the decoded vectors where it has none. A cell
(data, rate) is won where our best coder's distortion (or recall) is better than the best peer's outside the 95 % interval of a paired
bootstrap over rows (or queries). A learned codebook with fewer than 39 rows a codeword to learn from is marked starved.
With --json, finished cells of an earlier run are kept and not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from coders import Coder, Contender, contenders
from common import environment, rows
from rich.console import Console
from rich.table import Table
from run import best_profile

from codeword import svg, text
from codeword.bootstrap import Bootstrap
from codeword.exact import exact_search

DATA = ("minilm-wordnet", "sift-kodak", "mnist784", "stream-reuters", "gauss", "laplace")
RATES = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
INNER_PRODUCTS = ("sift-kodak", "mnist784")
K = 10
ROWS_A_CODEWORD = 39
QUICK_FITTED, QUICK_CODED, QUICK_QUERIES = 10_000, 4000, 250
COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#57534e")
STYLE = (
    "text { font: 10.5px sans-serif; fill: #333; } .grid { stroke: #ddd; stroke-width: .7; } .axis { stroke: #666; } "
    ".line { fill: none; stroke-width: 2; } .dot { fill: white; stroke-width: 2; } "
)
SYNTHETIC_ROWS, SYNTHETIC_D, QUERIES = 40_000, 128, 500


def load(name: str, quick: bool) -> tuple[Any, Any, Any]:
    """Rows to fit, rows to code, queries: float32."""
    random = np.random.default_rng(0)
    if name in ("gauss", "laplace"):
        draw = random.standard_normal if name == "gauss" else random.laplace
        X = draw(size=(SYNTHETIC_ROWS + QUERIES, SYNTHETIC_D)).astype(np.float32)
    else:
        X = rows(name, False, "vectors" if name == "stream-reuters" else "base")
    X = X[random.permutation(len(X))]
    if name in ("gauss", "laplace", "stream-reuters"):
        Q, X = X[:QUERIES], X[QUERIES:]
    else:
        Q = rows(name, False, "queries")
    A, B = X[: len(X) // 2], X[len(X) // 2 :]
    if quick:
        A, B, Q = A[:QUICK_FITTED], B[:QUICK_CODED], Q[:QUICK_QUERIES]
    return tuple(np.ascontiguousarray(M) for M in (A, B, Q))  # type: ignore[return-value]


def measure(data: str, size: int, quick: bool, contender: Contender, out: str) -> dict[str, Any]:
    """One contender at one size, in its own process; squared errors of rows and recalls of queries go to the file `out`."""
    A, B, Q = load(data, quick)
    coder = contender.make(A.shape[1], size)
    if coder is None:
        return {"cannot": "no code of this size"}
    start = time.process_time()
    coder.fit(A)
    fit = time.process_time() - start
    start = time.process_time()
    codes = coder.encode(B)
    encode = time.process_time() - start
    figures: dict[str, Any] = {
        "bytes": int(coder.size),
        "model_bytes": int(coder.model_bytes),
        "fit_cpu_s": fit,
        "encode_us": encode / len(B) * 1e6,
        "starved": bool(len(A) < ROWS_A_CODEWORD * coder.codewords),
        "note": getattr(coder, "note", ""),
    }
    by_row: dict[str, Any] = {}
    X_hat = np.asarray(coder.decode(codes), np.float32) if coder.decodes else None
    if X_hat is not None:
        by_row["errors"] = ((B.astype(np.float64) - X_hat) ** 2).mean(1) / A.var(0, dtype=np.float64).mean()
        figures["distortion"] = float(by_row["errors"].mean())
    for metric in ("l2", "ip") if data in INNER_PRODUCTS else ("l2",):
        recalls = recall_by_query(coder, B, X_hat, Q, metric)
        if recalls is not None:
            by_row[f"recalls_{metric}"] = recalls
            figures[f"recall_{metric}"] = float(recalls.mean())
    np.savez(out, **by_row)
    return figures


def recall_by_query(coder: Coder, B: Any, X_hat: Any, Q: Any, metric: str) -> Any:
    """Share of the true ten nearest that are found, for each query; None where the coder does not know the metric."""
    truth, _ = exact_search(B, Q, K, metric)
    found = coder.search(B, Q, K, metric)
    if found is None and X_hat is not None:
        found = exact_search(X_hat, Q, K, metric)[0]
    return None if found is None else (found[:, :, None] == truth[:, None, :]).any(2).sum(1) / K


def child(options: argparse.Namespace) -> None:
    """Print the figures of one contender, or why there are none, as one line of JSON."""
    data, size, name, out = options.child
    try:
        contender = next(c for c in contenders() if c.name == name)
        figures = measure(data, int(size), options.quick, contender, out)
    except Exception as e:
        traceback.print_exc(file=sys.stderr)
        figures = {"cannot": f"{type(e).__name__}: {e}".splitlines()[0][:160]}
    print(json.dumps(figures), flush=True)


def run(data: str, size: int, name: str, out: str, options: argparse.Namespace, profile: str) -> dict[str, Any]:
    """One contender in a child process."""
    command = [sys.executable, __file__, "--child", data, str(size), name, out, *(["--quick"] if options.quick else [])]
    try:
        done = subprocess.run(
            command, env=environment(1, profile), capture_output=True, text=True, timeout=options.limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {"cannot": f"not done in {options.limit:g} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return (
        json.loads(lines[-1]) if lines else {"cannot": (done.stderr.strip().splitlines() or ["it died without a word"])[-1][:160]}
    )


def cell(data: str, rate: float, options: argparse.Namespace, profile: str, console: Console) -> dict[str, Any]:
    """All contenders on one data set at one rate, and who won."""
    d = SYNTHETIC_D if data in ("gauss", "laplace") else load(data, True)[0].shape[1]
    size = max(1, round(rate * d / 8))
    wanted = [c for c in contenders() if any(o in c.name for o in options.only)]
    figures, by_row = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for i, contender in enumerate(wanted):
            out = f"{folder}/{i}.npz"
            figures[contender.name] = run(data, size, contender.name, out, options, profile)
            if Path(out).exists():
                by_row[contender.name] = dict(np.load(out))
    verdicts = {kind: verdict(figures, by_row, size, kind) for kind in ("errors", "recalls_l2", "recalls_ip")}
    made = {"data": data, "rate": rate, "size": size, "d": d, "contenders": figures, "verdicts": verdicts}
    show(made, console)
    return made


def verdict(figures: dict[str, Any], by_row: dict[str, Any], size: int, kind: str) -> dict[str, Any] | None:
    """Our best against the best peer of at most `size` bytes: the ratio of distortions or the difference of recalls, and its interval."""
    best: dict[bool, tuple[float, str]] = {}
    for name, values in by_row.items():
        if kind in values and figures[name]["bytes"] <= size and name != "codeword auto":
            loss = float(values[kind].mean()) * (1 if kind == "errors" else -1)
            best[ours(name)] = min(best.get(ours(name), (np.inf, "")), (loss, name))
    if len(best) < 2:
        return None
    (mine, my_name), (theirs, their_name) = best[True], best[False]
    mine_by_row, theirs_by_row = by_row[my_name][kind], by_row[their_name][kind]
    boot = Bootstrap(len(mine_by_row))
    if kind == "errors":
        value, (low, high), level = mine / theirs, boot.ratio(mine_by_row, theirs_by_row), 1.0
    else:
        value, (low, high), level = mine - theirs, boot.difference(theirs_by_row, mine_by_row), 0.0
    result = "won" if high < level else "lost" if low > level else "level"
    return {"result": result, "ours": my_name, "peer": their_name, "value": value, "interval": [low, high]}


def ours(name: str) -> bool:
    return name.startswith("codeword ")


def show(made: dict[str, Any], console: Console) -> None:
    table = Table(title=f"{made['data']}, {made['rate']:g} bits a dimension: {made['size']} bytes", title_justify="left")
    columns = ("contender", "bytes", "distortion", "recall@10", "by ip", "model", "fit CPU s", "encode us", "")
    for column in columns:
        table.add_column(column, justify="left" if column in ("contender", "") else "right")
    order = sorted(made["contenders"].items(), key=lambda item: item[1].get("distortion", 1e9 if "bytes" in item[1] else 2e9))
    for name, f in order:
        if "cannot" in f:
            table.add_row(name, *[""] * 7, f"cannot: {f['cannot']}")
            continue
        notes = [f["note"], "starved" if f["starved"] else "", "more bytes: not compared" if f["bytes"] > made["size"] else ""]
        shown = [text.digits(f[key]) if key in f else "" for key in ("distortion", "recall_l2", "recall_ip")]
        times = [text.digits(f["fit_cpu_s"]), text.digits(f["encode_us"])]
        table.add_row(name, str(f["bytes"]), *shown, text.size(f["model_bytes"]), *times, ", ".join(n for n in notes if n))
    console.print(table)
    for kind, words in (
        ("errors", "distortion, ours / theirs"),
        ("recalls_l2", "recall, theirs - ours"),
        ("recalls_ip", "recall by ip"),
    ):
        v = made["verdicts"].get(kind)
        if v is not None:
            low, high = v["interval"]
            console.print(
                f"  {v['result']:5} {words} {v['value']:.4f} ({low:.4f} to {high:.4f}): {v['ours'][9:]} against {v['peer']}",
                highlight=False,
            )


def picture(cells: list[dict[str, Any]]) -> str:
    """Signal to noise by rate as one SVG file: our best at each rate, and the five best peers."""
    series: dict[str, list[tuple[float, float]]] = {}
    for made in cells:
        rated = {n: f["distortion"] for n, f in made["contenders"].items() if "distortion" in f and f["bytes"] <= made["size"]}
        best = min((v for n, v in rated.items() if ours(n)), default=None)
        if best is not None:
            series.setdefault("codeword, best", []).append((made["rate"], float(-10 * np.log10(best))))
        for name, value in rated.items():
            if not ours(name):
                series.setdefault(name, []).append((made["rate"], float(-10 * np.log10(value))))
    peers = sorted((n for n in series if n != "codeword, best"), key=lambda n: (-len(series[n]), -series[n][-1][1]))[:5]
    chosen = [(n, series[n]) for n in ["codeword, best", *peers] if n in series]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 rows to fit, 4,000 to code, 250 queries")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    parser.add_argument("--only", nargs="+", default=[""], help="contenders whose name holds one of these")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each contender")
    parser.add_argument("--json", help="write (and go on from) this file")
    parser.add_argument("--pictures", help="folder for one SVG a data set")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    console = Console(width=170 if not sys.stdout.isatty() else None)
    profile = best_profile(1)
    done: list[dict[str, Any]] = json.loads(Path(options.json).read_text()) if options.json and Path(options.json).exists() else []
    for data in options.data:
        for rate in options.rates:
            if any((c["data"], c["rate"]) == (data, rate) for c in done):
                continue
            done.append(cell(data, rate, options, profile, console))
            if options.json:
                Path(options.json).write_text(json.dumps(done, indent=1) + "\n")
        if options.pictures:
            Path(options.pictures).mkdir(parents=True, exist_ok=True)
            Path(options.pictures, f"{data}.svg").write_text(picture([c for c in done if c["data"] == data]))
    for kind in ("errors", "recalls_l2", "recalls_ip"):
        results = [c["verdicts"][kind]["result"] for c in done if c["verdicts"].get(kind)]
        if results:
            counted = ", ".join(f"{results.count(r)} {r}" for r in ("won", "level", "lost"))
            console.print(
                f"{'distortion' if kind == 'errors' else kind.replace('recalls_', 'recall@10 by ')}: {counted} of {len(results)} cells"
            )


if __name__ == "__main__":
    main()
