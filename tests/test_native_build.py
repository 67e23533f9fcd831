"""The built extension: nothing compiled for a newer CPU leaks out of its unit, nothing heavy is linked, the stub is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codeword import _native

ROOT = Path(__file__).parents[1]
STUB = ROOT / "src" / "codeword" / "_native.pyi"

# What a compiler may call on its own account; sanitizers add theirs.
COMPILER_CALLS = re.compile(r"_?(memcpy|memmove|memset|memcmp|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan)_\w+)$")


def output(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def need(*tools: str) -> None:
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed (it comes with binutils)")


def built_objects() -> list[Path]:
    """The newest object file of each instruction set among the cached builds of this interpreter."""
    cache = os.environ.get("SKBUILD_BUILD_DIR")
    places = [Path(cache)] if cache else sorted(ROOT.glob("build/cp*"), key=lambda p: p.stat().st_mtime)
    newest: dict[str, Path] = {}
    for place in places:
        for path in place.glob("CMakeFiles/codeword_*.dir/native/kernels/variant.cpp.o"):
            newest[path.parents[2].name] = path
    return list(newest.values())


@pytest.fixture(scope="module")
def kernel_objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Object files of all kernels: from the build that is there, or else compiled now."""
    need("nm")
    objects = built_objects()
    if not objects:
        need("cmake", "c++")
        build = tmp_path_factory.mktemp("build")
        output("cmake", "-S", ROOT, "-B", build, "-DCODEWORD_PYTHON=OFF")
        output("cmake", "--build", build, "--target", "codeword_core")
        objects = sorted(build.glob("CMakeFiles/codeword_*.dir/native/kernels/variant.cpp.o"))
    assert len(objects) >= len(_native.available_isas())
    return objects


def symbols(path: Path) -> list[tuple[str, str]]:
    """(type letter of nm, name) of the external symbols of an object file."""
    rows = (line.split() for line in output("nm", "--extern-only", path).splitlines())
    return [(row[-2], row[-1]) for row in rows if len(row) >= 2]


def test_kernel_objects_define_their_table_and_nothing_else(kernel_objects: list[Path]) -> None:
    for path in kernel_objects:
        defined = [(kind, name) for kind, name in symbols(path) if kind not in "Uw"]
        assert len(defined) == 1, f"{path} exports {defined}"
        assert defined[0][0] in "RDS"
        assert "kKernels" in defined[0][1]


def test_kernel_objects_need_nothing_but_the_compiler_s_own_calls(kernel_objects: list[Path]) -> None:
    for path in kernel_objects:
        needed = [name for kind, name in symbols(path) if kind in "Uw"]
        foreign = [name for name in needed if not COMPILER_CALLS.match(name)]
        assert foreign == [], f"{path} calls {foreign}"


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF")
def test_extension_links_no_openmp_and_no_blas() -> None:
    need("readelf")
    dynamic = output("readelf", "--dynamic", "--wide", _native.__file__)
    libraries = set(re.findall(r"\(NEEDED\).*\[(\w+)", dynamic))
    assert libraries <= {"libc", "libm", "libstdc", "libgcc_s", "libpthread", "ld", "libasan", "libubsan"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF")
def test_extension_exports_its_init_function_only() -> None:
    need("nm")
    rows = (line.split() for line in output("nm", "--dynamic", "--defined-only", _native.__file__).splitlines())
    assert {row[2] for row in rows if row[1] in "TDBR"} == {"PyInit__native"}


def test_stub_is_up_to_date(tmp_path: Path) -> None:
    pytest.importorskip("nanobind")
    if not STUB.exists():
        pytest.skip("the tests run beside an installed package: there is no _native.pyi to compare with")
    fresh = tmp_path / "_native.pyi"
    output(sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "codeword._native", "-o", fresh)
    assert STUB.read_text() == fresh.read_text(), "run `make stub`"
