#!/usr/bin/env bash
# Native code under AddressSanitizer and UndefinedBehaviorSanitizer: one build of native/test and of the native module, for
# an environment that shares the packages of the one this is called from; first native/test runs, then the module's tests.
# Arguments go to pytest; without any, tests/test_kernels_*.py and tests/test_native_runtime.py run.
set -euo pipefail

build=build/asan
python - "$build/venv" <<'PYTHON'
import site, sys, venv
venv.create(sys.argv[1])
paths = site.getsitepackages()
inner, = __import__("pathlib").Path(sys.argv[1]).glob("lib/python*/site-packages")
(inner / "outer.pth").write_text("\n".join(paths) + "\n")
PYTHON
python -m pip --python $build/venv/bin/python install --quiet --no-build-isolation --no-deps --force-reinstall . \
  -C build-dir=$build/module -C cmake.build-type=RelWithDebInfo -C cmake.define.CODEWORD_SANITIZE=ON -C install.strip=false \
  -C cmake.define.CODEWORD_NATIVE_TEST=ON
$build/module/native/test/codeword_test

[ $# -gt 0 ] || set -- tests/test_kernels_*.py tests/test_native_runtime.py
compiler=${CXX:-c++}
LD_PRELOAD="$($compiler -print-file-name=libasan.so) $($compiler -print-file-name=libstdc++.so)" \
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
  $build/venv/bin/python -m pytest "$@"
