"""One contender of one question: prepares, says so, then runs once for every line it reads and prints figures as JSON."""

from __future__ import annotations

import importlib
import json
import sys
import traceback

from common import timed


def main() -> None:
    question, contender, threads, quick = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "quick"
    module = importlib.import_module(f"questions.{question}")
    dataset, _, name = contender.partition("/")
    chosen = next(c for c in module.contenders() if c.name == name)
    try:
        data = module.load(dataset, quick)
        run = chosen.prepare(data, threads)
    except Exception as e:
        traceback.print_exc(file=sys.stderr)
        print(json.dumps({"cannot": f"{type(e).__name__}: {e}"}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        cpu, wall, result = timed(run)
        print(json.dumps({"cpu": cpu, "wall": wall, **chosen.judge(data, result)}), flush=True)


if __name__ == "__main__":
    main()
