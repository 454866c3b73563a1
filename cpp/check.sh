#!/usr/bin/env bash
# What takes long: clang-tidy, bugs planted for the tests to find, and the package made and tried by Conan.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/cpp

cmake -S cpp -B "$build/tidy" -G Ninja -DONEPASS_TESTS=ON -DONEPASS_TEST_VERSIONS=110100 -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
clang-tidy --quiet -p "$build/tidy" cpp/src/*.cpp cpp/src/tensorrt/*.cpp cpp/examples/{run,bench}.cpp

python3 cpp/tests/planted_bugs.py

export CONAN_HOME=$build/conan
conan profile detect --exist-ok
for shared in False True; do
  conan create cpp/packaging/conan -s compiler.cppstd=17 -o "&:shared=$shared" \
    -c tools.cmake.cmake_layout:test_folder="$build/conan-test"
done
