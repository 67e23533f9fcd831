#!/usr/bin/env bash
# native/test under ThreadSanitizer: races in the pool and in what it runs.
set -euo pipefail

build=build/tsan
cmake -S . -B $build -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCODEWORD_SANITIZE=thread \
  -DCODEWORD_PYTHON=OFF -DCODEWORD_NATIVE_TEST=ON
cmake --build $build
$build/native/test/codeword_test
