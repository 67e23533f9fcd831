"""Power cuts, failing calls and kills of a process that saves an index, many more of each than the tests try.

python bench/crash.py [--kills 200] [--cuts 20] [--seed 0]

Prints how many disks were opened, calls failed and processes killed; stops at the first that does not hold what was acknowledged, or the
next state.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import crash


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cuts", type=int, default=20, help="disks per call of the writer")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    for kind in crash.KINDS:
        dice = random.Random(options.seed)
        with tempfile.TemporaryDirectory(dir=memory) as name:
            folder = Path(name)
            (folder / "left").mkdir()
            library = crash.recorder(folder)
            if library is not None:
                disk = crash.record(library, folder / "written", kind)
                chances = (0.0, 1.0, *(dice.random() for _ in range(options.cuts - 2)))
                opened = crash.power_cuts(disk, crash.states(kind), folder / "left", dice, chances)
                print(f"{kind}: {len(disk.log)} calls, {opened} disks after power cuts opened as they should", flush=True)
                print(f"{kind}: calls that failed: {crash.failures(library, folder / 'failing', kind)}", flush=True)
            seen = crash.kills(folder, kind, options.kills, dice)
            print(f"{kind}: {options.kills} processes killed, after {sorted(seen)} acknowledged states", flush=True)


if __name__ == "__main__":
    main()
