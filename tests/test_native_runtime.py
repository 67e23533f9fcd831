"""Choice of the instruction set and the thread pool: forced by environment, safe after fork and from many threads."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from codeword import _native, reference

BITS = np.full(16, 11, dtype=np.uint8)


def big_indices() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**11, (40_000, 16), dtype=np.uint32)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_newest_isa_is_the_default() -> None:
    done = run_python("from codeword import _native as n; print(n.isa())", CODEWORD_ISA="")
    assert done.stdout.strip() == _native.available_isas()[-1]


@pytest.mark.parametrize("name", _native.available_isas())
def test_environment_forces_an_isa(name: str) -> None:
    done = run_python("from codeword import _native as n; print(n.isa())", CODEWORD_ISA=name)
    assert done.stdout.strip() == name


def test_unknown_isa_in_the_environment_is_an_import_error() -> None:
    done = run_python("import codeword._native", CODEWORD_ISA="mmx")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: CODEWORD_ISA: unknown ISA 'mmx'; this machine has: ")
    assert last.endswith(", ".join(_native.available_isas()))


def test_set_isa_refuses_unknown_names() -> None:
    before = _native.isa()
    with pytest.raises(ValueError, match="unknown ISA 'mmx'; this machine has: "):
        _native.set_isa("mmx")
    assert _native.isa() == before


def test_every_kernel_has_a_twin() -> None:
    assert [name for name in _native.kernel_names() if not hasattr(reference, name)] == []


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "99999999999999999999"])
def test_bad_thread_count_in_the_environment_is_an_import_error(value: str) -> None:
    done = run_python("import codeword._native", CODEWORD_THREADS=value)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: CODEWORD_THREADS must be a number from 1 to 1024, got ")


def test_environment_sets_threads() -> None:
    code = "from codeword import _native as n; print(n.threads())"
    assert run_python(code, CODEWORD_THREADS="3").stdout.strip() == "3"
    assert run_python(code, CODEWORD_THREADS="").stdout.strip() == str(_native.available_cpus())


def test_set_threads_is_checked(keep_threads: None) -> None:
    _native.set_threads(7)
    assert _native.threads() == 7
    for bad in (0, -3, 1025):
        with pytest.raises(ValueError, match=f"from 1 to 1024, got {bad}"):
            _native.set_threads(bad)
    assert _native.threads() == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_default_threads_follow_the_affinity_mask() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nfrom codeword import _native as n; print(n.threads())"
    )
    assert run_python(code, CODEWORD_THREADS="").stdout.strip() == "1"


FORK = """
import os, numpy as np
from codeword import _native as n
n.set_threads(4)
indices = np.arange(640_000, dtype=np.uint32).reshape(-1, 16)
bits = np.full(16, 20, dtype=np.uint8)
before = n.pack_bits(indices, bits)
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        same = all((n.pack_bits(indices, bits) == before).all() for _ in range(3))
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if (n.pack_bits(indices, bits) == before).all() else 1)
        os._exit(0 if same and os.waitpid(grandchild, 0)[1] == 0 else 1)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
assert (n.pack_bits(indices, bits) == before).all()
print("ok")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_pool_works_in_a_child_after_fork() -> None:
    done = run_python(FORK)
    assert done.stdout.strip() == "ok", done.stderr


def test_many_python_threads_may_call_at_once(keep_threads: None) -> None:
    _native.set_threads(3)
    indices = big_indices()
    expected = _native.pack_bits(indices, BITS)
    with ThreadPoolExecutor(8) as executor:
        for codes in executor.map(lambda _: _native.pack_bits(indices, BITS), range(64)):
            np.testing.assert_array_equal(codes, expected)


def test_isa_may_change_between_calls_of_other_threads(keep_threads: None) -> None:
    indices = big_indices()
    expected = _native.pack_bits(indices, BITS)
    before = _native.isa()
    with ThreadPoolExecutor(4) as executor:
        results = [executor.submit(_native.pack_bits, indices, BITS) for _ in range(32)]
        for name in _native.available_isas() * 8:
            _native.set_isa(name)
        _native.set_isa(before)
        for result in results:
            np.testing.assert_array_equal(result.result(), expected)
