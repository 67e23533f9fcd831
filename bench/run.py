"""Ask named questions of us and of the peers, side by side and interleaved; print medians and ratios. See README.md beside this."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import BLAS_PROFILES, environment
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
Figures = dict[str, float]


class Child:
    """A contender in its own process."""

    def __init__(self, question: str, contender: str, threads: int, quick: bool, profile: str) -> None:
        self.name = contender
        command = [sys.executable, str(HERE / "child.py"), question, contender, str(threads), "quick" if quick else "full"]
        self.process = subprocess.Popen(
            command, cwd=HERE, env=environment(threads, profile), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self.rounds: list[Figures] = []
        self.cannot = self._read().get("cannot")

    def run(self) -> None:
        """One round."""
        if self.cannot is None:
            assert self.process.stdin is not None
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            answer = self._read()
            self.cannot = answer.get("cannot")
            if self.cannot is None:
                self.rounds.append(answer)

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line.startswith("{"):
            return json.loads(line)
        assert self.process.stderr is not None
        last = (self.process.stderr.read().strip().splitlines() or ["it died without a word"])[-1]
        return {"cannot": last}

    def median(self, key: str) -> float:
        return statistics.median(r[key] for r in self.rounds)


def main() -> None:
    questions = sorted(p.stem for p in (HERE / "questions").glob("*.py") if not p.stem.startswith("_"))
    options = arguments(questions)
    console = Console(width=150 if not sys.stdout.isatty() else None)
    if options.list:
        for question in questions:
            module = importlib.import_module(f"questions.{question}")
            console.print(
                f"{question:14} {module.TITLE}: {', '.join(c.name for c in module.contenders())} on {', '.join(module.DATA)}"
            )
        return
    profile = best_profile(options.threads)
    console.print(
        f"{platform.processor() or platform.machine()}, {options.threads} thread(s), BLAS profile {profile or 'as shipped'!r}"
    )
    results = {q: ask(q.replace("-", "_"), options, profile, console) for q in options.questions or questions}
    if options.json:
        Path(options.json).write_text(
            json.dumps({"threads": options.threads, "blas": profile, "results": results}, indent=1) + "\n"
        )


def arguments(questions: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="*", help=f"some of: {', '.join(questions)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows and three rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=0, help="rounds (default 5; 3 if quick)")
    parser.add_argument("--only", default="", help="only contenders whose name holds this (ours always)")
    parser.add_argument("--json", default="", help="also write all figures here")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    return options


def best_profile(threads: int) -> str:
    """The OpenBLAS kernel choice under which faiss's assignment (its bundled BLAS) runs fastest here."""
    code = f"""
import time
import faiss
import numpy as np
faiss.omp_set_num_threads({threads})
X = np.random.default_rng(0).standard_normal((6000, 256), dtype="f4")
index = faiss.IndexFlatL2(256)
index.add(X[:1024])
best = 9.0
for _ in range(4):
    start = time.process_time()
    index.search(X, 1)
    best = min(best, time.process_time() - start)
print(best)
"""
    seconds = {}
    for profile in BLAS_PROFILES:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(threads, profile), capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            seconds[profile] = float(done.stdout)
    return min(seconds, key=lambda p: seconds[p]) if seconds else ""


def ask(question: str, options: argparse.Namespace, profile: str, console: Console) -> dict[str, Any]:
    """Run one question on each of its data sets and print a table for each."""
    module = importlib.import_module(f"questions.{question}")
    answers = {}
    for dataset in module.DATA:
        wanted = [c for c in module.contenders() if c.ours or options.only in c.name]
        children = [Child(question, f"{dataset}/{c.name}", options.threads, options.quick, c.profile or profile) for c in wanted]
        for _ in range(options.rounds):
            for child in children:
                child.run()
        for child in children:
            child.close()
        ours = next((x for c, x in zip(wanted, children, strict=True) if c.ours and x.rounds), None)
        show(module, dataset, children, ours, console)
        answers[dataset] = {c.name.partition("/")[2]: c.rounds or c.cannot for c in children}
    return answers


def show(module: Any, dataset: str, children: list[Child], ours: Child | None, console: Console) -> None:
    extra = [k for k in next((c.rounds[0] for c in children if c.rounds), {}) if k not in ("cpu", "wall")]
    table = Table(title=f"{module.TITLE} - {dataset}", title_justify="left")
    for column in ("contender", "CPU s", "wall s", *extra, "CPU, theirs / ours", "wall, theirs / ours"):
        table.add_column(column, justify="left" if column == "contender" else "right")
    for child in children:
        name = child.name.partition("/")[2]
        if not child.rounds:
            table.add_row(name, f"cannot run here: {child.cannot}")
            continue
        figures = [f"{child.median(k):.4g}" for k in ("cpu", "wall", *extra)]
        table.add_row(name, *figures, *(ratio(child, ours, k) for k in ("cpu", "wall")))
    console.print(table)


def ratio(child: Child, ours: Child | None, key: str) -> str:
    """Median of the rounds' ratios, with the smallest and largest."""
    if ours is None or child is ours:
        return ""
    ratios = [theirs[key] / mine[key] for theirs, mine in zip(child.rounds, ours.rounds, strict=False)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
