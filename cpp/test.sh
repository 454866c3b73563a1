#!/usr/bin/env bash
# Builds the C++ library with its tests, and runs them: alone, then held against the Python library.
# CMake, Ninja and doctest come from the system, or the first two from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/cpp
python=${PYTHON:-python3}

c++ --version >/dev/null 2>&1 || { echo "no C++ compiler here: cpp/ is not tested"; exit 0; }
command -v cmake >/dev/null || "$python" -m pip --disable-pip-version-check -q install cmake ninja

cmake -S cpp -B "$build/plain" $(command -v ninja >/dev/null && echo "-G Ninja") -DCMAKE_BUILD_TYPE=Release -DONEPASS_WARNINGS=ON
cmake --build "$build/plain"
ONEPASS_CPP_RUN=$build/plain/onepass-run "$python" -m pytest -q tests/cpp
