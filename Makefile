# Every target sets up what it needs in .venv: Python 3.10+, a C++20 compiler and make are enough to start with.
#   make demo [DATA=vectors.npy]   fit, encode and search real vectors, print a table, write a report
#   make test                      the base package and its tests;  make test ARGS="-k bits" passes pytest options on
#   make test-all                  with every extra (PyTorch as a CPU build)
#   make lint | format             check | fix the layout of the code; types
#   make stub                      regenerate src/codeword/_native.pyi after a change of the bindings
#   make asan                      native tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make tsan                      the thread pool under ThreadSanitizer
#   make aarch64                   cross-compile the NEON kernels and check them under an emulator
#   make clean                     remove .venv and everything built

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
ARGS ?=
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(8, os.cpu_count() or 1))')

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BUILD_TOOLS := "pip>=23" scikit-build-core nanobind cmake ninja
NATIVE := $(shell find native cmake CMakeLists.txt -type f)
CPP := $(filter %.cpp %.h,$(NATIVE))

# The programs of the virtual environment come first: CMake and Ninja need not be installed.
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo test test-all lint format stub asan tsan aarch64 clean
.DELETE_ON_ERROR:

# $(call timed,<commands>): runs them, then says how long the target took; the exit status is theirs.
timed = @start=$$(date +%s); ( set -e; $(1) ); status=$$?; echo "make $@: $$(( $$(date +%s) - start )) s"; exit $$status

demo: $(VENV)/base.stamp $(VENV)/demo.stamp
	$(call timed,codeword demo $(DATA) $(ARGS))

# Tests share the cores among processes; a BLAS with threads of its own then only spins.
test test-all: export OPENBLAS_NUM_THREADS = 1

test: $(VENV)/base.stamp $(VENV)/test.stamp
	$(call timed,python -m pytest -n $(JOBS) $(ARGS))

test-all: $(VENV)/base.stamp $(VENV)/all.stamp
	$(call timed,python -m pytest -n $(JOBS) $(ARGS))

lint: $(VENV)/base.stamp $(VENV)/lint.stamp
	$(call timed,ruff check; ruff format --check; clang-format --dry-run -Werror $(CPP); mypy)

format: $(VENV)/lint.stamp
	$(call timed,ruff check --fix; ruff format; clang-format -i $(CPP))

stub: $(VENV)/base.stamp
	$(call timed,python -m nanobind.stubgen -q -m codeword._native -o src/codeword/_native.pyi)

asan: $(VENV)/base.stamp $(VENV)/test.stamp
	$(call timed,bash tools/asan.sh $(ARGS))

tsan: $(VENV)/tools.stamp
	$(call timed,bash tools/tsan.sh)

aarch64: $(VENV)/tools.stamp
	$(call timed,bash tools/aarch64.sh)

clean:
	rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "codeword needs Python 3.10 or newer, set PYTHON=")'
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/tools.stamp: | $(BIN)/python
	@$(PIP) install $(BUILD_TOOLS)
	@touch $@

# The editable package; rebuilt when native code changes, from the objects kept in build/.
$(VENV)/base.stamp: pyproject.toml $(NATIVE) | $(VENV)/tools.stamp
	@echo "building codeword"
	@$(PIP) install --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp $(VENV)/lint.stamp $(VENV)/demo.stamp: $(VENV)/%.stamp: pyproject.toml | $(VENV)/base.stamp
	@echo "installing the extra $*"
	@$(PIP) install --no-build-isolation --editable '.[$*]'
	@touch $@

# PyTorch comes first and by itself, so that no other package can ask for a build with CUDA.
$(VENV)/all.stamp: pyproject.toml tools/install_torch.py | $(VENV)/base.stamp
	@echo "installing $(TORCH) and all extras"
	@python tools/install_torch.py '$(TORCH)'
	@$(PIP) install --no-build-isolation --editable '.[test,all,bench]'
	@touch $@
