#!/usr/bin/env bash
# Builds the native core with its NEON kernels for aarch64 and runs native/test: here on an aarch64 machine, elsewhere
# with a cross compiler under qemu's user mode. Says what is missing where it cannot.
set -euo pipefail

options=()
emulator=()
if [ "$(uname -m)" != aarch64 ] && [ "$(uname -m)" != arm64 ]; then
  cross=${CROSS:-aarch64-linux-gnu-g++}
  qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
  if ! command -v "$cross" >/dev/null || [ -z "$qemu" ]; then
    echo "make aarch64 needs $cross and qemu-aarch64 (on Debian: apt-get install g++-aarch64-linux-gnu qemu-user)" >&2
    exit 1
  fi
  options=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER="$cross")
  emulator=("$qemu")
fi

cmake -S . -B build/aarch64 -G Ninja --log-level=WARNING -DCODEWORD_PYTHON=OFF -DCODEWORD_NATIVE_TEST=ON ${options[@]+"${options[@]}"}
cmake --build build/aarch64
${emulator[@]+"${emulator[@]}"} build/aarch64/native/test/codeword_test
