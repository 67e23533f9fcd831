"""Importing: light, alone, beside other native libraries, across fork."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import codeword as cw

USE = """
import numpy as np
X = np.random.default_rng(0).normal(size=(3000, 16)).astype("f4")
import codeword as cw
cw.set_threads(2)
pq = cw.ProductQuantizer(4, bits=6, max_iter=3).fit(X)
print(pq.encode(X).sum())
"""


def run(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_but_numpy_and_the_standard_library() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules); import codeword; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    assert set(run(code).split()) <= {"codeword", *sys.stdlib_module_names}


def test_every_public_name_can_be_imported() -> None:
    for name in cw.__all__:
        assert getattr(cw, name) is not None
    assert set(cw.__all__) <= set(dir(cw))
    with pytest.raises(AttributeError, match="no_such_name"):
        cw.no_such_name  # noqa: B018


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("other", ["torch", "faiss", "sklearn.cluster"])
def test_import_beside_another_native_library_works_in_either_order(other: str, order: str) -> None:
    if importlib.util.find_spec(other.partition(".")[0]) is None:
        pytest.skip(f"{other} is not installed (make test-all installs torch; the bench extra the others)")
    code = f"import {other}\n{USE}" if order == "after" else f"{USE}\nimport {other}\nprint(pq.encode(X).sum())"
    assert run(code).split()[-1] == run(USE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_after_use_works_in_parent_and_child() -> None:
    code = USE + (
        "\nimport os, sys\npid = os.fork()\nsame = pq.clone().fit(X) == pq and bool((pq.encode(X) == pq.encode(X)).all())\n"
        "if pid == 0: os._exit(0 if same else 1)\n_, status = os.waitpid(pid, 0)\nprint(os.waitstatus_to_exitcode(status), same)"
    )
    assert run(code).splitlines()[-1] == "0 True"


def test_the_isa_can_be_forced_and_gives_the_same_codes() -> None:
    from codeword.runtime import available_isas

    assert {run(USE, CODEWORD_ISA=isa) for isa in available_isas()} == {run(USE)}
    assert np.array_equal(run("import codeword as cw; print(cw.isa())", CODEWORD_ISA=available_isas()[0]), available_isas()[0])


def test_the_native_module_is_small() -> None:
    from codeword import _native

    assert os.path.getsize(_native.__file__) < 3 << 20  # type: ignore[arg-type]
