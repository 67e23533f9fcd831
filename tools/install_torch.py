"""Install a CPU build of PyTorch, and nothing at all if pip would bring a CUDA build.

Usage: ``python tools/install_torch.py torch==2.13.0``. pip is first asked what it would install; a package named
``nvidia-*`` in its answer ends the program with a hint.
"""

from __future__ import annotations

import json
import subprocess
import sys

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]


def planned_packages(requirement: str) -> list[str]:
    """Names of what ``pip install requirement`` would download."""
    command = [*PIP, "--dry-run", "--report", "-", requirement]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [entry["metadata"]["name"] for entry in report["install"]]


def main() -> None:
    """Check the plan, then install."""
    requirement = sys.argv[1]
    names = planned_packages(requirement)
    cuda = sorted(name for name in names if name.startswith(("nvidia-", "cuda-", "triton")))
    if cuda:
        sys.exit(
            f"{requirement} would bring {', '.join(cuda)}: point PIP_EXTRA_INDEX_URL at "
            "https://download.pytorch.org/whl/cpu, or PIP_FIND_LINKS at a folder with a CPU wheel"
        )
    if names:
        subprocess.run([*PIP, requirement], check=True)


if __name__ == "__main__":
    main()
