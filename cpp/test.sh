#!/usr/bin/env bash
# Builds the C++ library with its tests, and runs them: on stand-ins of six TensorRTs under sanitizers, then held against
# the Python library on ONNX Runtime. CMake, Ninja and doctest come from the system, or the first two from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/cpp
python=${PYTHON:-python3}

c++ --version >/dev/null 2>&1 || { echo "no C++ compiler here: cpp/ is not tested"; exit 0; }
command -v cmake >/dev/null || "$python" -m pip --disable-pip-version-check -q install cmake ninja
"$python" -m pip --disable-pip-version-check -q install --constraint constraints.txt clang-format
find cpp -name build -prune -o \( -name '*.cpp' -o -name '*.hpp' -o -name '*.h' \) -print0 | xargs -0 clang-format --dry-run -Werror
generator=$(command -v ninja >/dev/null && echo Ninja || echo "Unix Makefiles")

# build NAME FLAGS OPTIONS...
build() {
  local folder=$build/$1 flags=$2
  cmake -S cpp -B "$folder" -G "$generator" -DONEPASS_WARNINGS=ON -DCMAKE_CXX_FLAGS="$flags" "${@:3}" >/dev/null
  cmake --build "$folder" --parallel
}

# sanitized NAME SANITIZERS OPTIONS...: the tests under sanitizers, where this compiler has them.
sanitized() {
  if ! echo 'int main() {}' | c++ -fsanitize="$2" -x c++ -o /dev/null - 2>/dev/null; then
    echo "this compiler has no -fsanitize=$2: not tested with it"
    return
  fi
  build "$1" "-g1 -O0 -fsanitize=$2 -fno-sanitize-recover=all" -DONEPASS_TESTS=ON -DONEPASS_EXAMPLES=OFF "${@:3}"
  ctest --test-dir "$build/$1" --output-on-failure
}

if echo '#include <doctest/doctest.h>' | c++ -x c++ -fsyntax-only - 2>/dev/null; then
  sanitized address address,undefined
  sanitized thread thread "-DONEPASS_TEST_VERSIONS=80503;110100"  # a profile with one context, and with several
else
  echo "no doctest here (Debian: doctest-dev): the tests on stand-ins are not run"
fi

build plain "" -DCMAKE_BUILD_TYPE=Release
cmake --install "$build/plain" --prefix "$build/installed" >/dev/null
for source in "-DCMAKE_PREFIX_PATH=$build/installed" "-DONEPASS_SOURCE=$PWD"; do  # as a package, and as a part of a project
  rm -rf "$build/consumer"
  cmake -S cpp/tests/package -B "$build/consumer" -G "$generator" "$source" >/dev/null
  cmake --build "$build/consumer"
  "$build/consumer/consumer"
done
image=$build/plain/onepass-image
[ -x "$image" ] || { echo "no OpenCV here (Debian: libopencv-dev): examples/image is not tested"; image=; }
ONEPASS_CPP_RUN=$build/plain/onepass-run ONEPASS_CPP_IMAGE=$image "$python" -m pytest -q tests/cpp
