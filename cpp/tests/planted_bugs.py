"""Plant one bug after another in a copy of the library, and expect that its tests find each: `make check-cpp`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FLAGS = "-g1 -O0 -fsanitize=address,undefined -fno-sanitize-recover=all"
OLD, NEW = "80503", "110100"  # TensorRTs: a profile has one context, or several


class Bug(NamedTuple):
    """What is wrong, in which file of src/, by which change, and with which TensorRT it shows."""

    what: str
    file: str
    whole: str
    broken: str
    version: str = NEW


PASS, ON_GPU, LANE = "tensorrt/pass.cpp", "tensorrt/pass_on_gpu.cpp", "tensorrt/lane.cpp"
BUGS = [
    Bug(
        "a size told by an earlier call is taken for this one's",
        PASS,
        "each.second.forget();",
        "static_cast<void>(each);",
    ),
    Bug("a pass is recorded before TensorRT has finished setting up", PASS, "warm_ = false;  //", "warm_ = true;  //"),
    Bug("branches and loops are recorded", PASS, "else if (engine_.control_flow)", "else if (false)"),
    Bug(
        "results lie in memory that the next call overwrites",
        PASS,
        "[](void*) {}), false};",
        "[](void*) {}), true};",
    ),
    Bug(
        "a recording outlives the context that it was made with",
        PASS,
        "    recordings_.clear();\n    return std::move",
        "    return std::move",
        OLD,
    ),
    Bug("ordinary memory is taken for page-locked", PASS, "lies_there) && lent_.has(base, in_.bytes)", "lies_there)"),
    Bug(
        "a call does not wait for the caller's stream",
        ON_GPU,
        "if (theirs) let_follow(stream_,",
        "if (false) let_follow(stream_,",
    ),
    Bug(
        "the caller's stream does not wait for the call",
        ON_GPU,
        "(static_cast<cudaStream_t>(*theirs), stream_, event);",
        "(stream_, stream_, event);",
    ),
    Bug("an array of another size is written to on the GPU", ON_GPU, "place && request.targets[i])", "place && false)"),
    Bug(
        "inputs are filled in while an earlier call still reads them",
        LANE,
        "on_gpu)) settle();",
        "on_gpu)) behind_ = false;",
    ),
    Bug("contexts are shared where they cannot be", LANE, "    if (!shares)\n", "    if (shares)\n", OLD),
    Bug("more contexts than profiles allow", "tensorrt/gpu.cpp", "most_ = shares ?", "most_ = true ?", OLD),
    Bug("memory of results goes with the session", "tensorrt/slots.hpp", "pool = shared_from_this()", "pool = this"),
    Bug(
        "a call runs on another GPU than its memory lies on",
        "tensorrt/backend.cpp",
        "home ? home : owner.least_busy()",
        "owner.least_busy()",
    ),
    Bug("a sidecar's digest counts itself", "sidecar.cpp", 'content.object.erase("sidecar_sha256");', ""),
    Bug("of equal profiles the last is taken", "profiles.cpp", "if (found < nearest)", "if (found <= nearest)"),
    Bug(
        "what a branch takes from around it is left out",
        "part.cpp",
        "add_uses(inner.content, uses);",
        "static_cast<void>(inner);",
    ),
    Bug("halves are cut off, not rounded", "cast.cpp", "std::nearbyint(", "std::trunc("),
]


def main(folder: Path) -> int:
    """Return how many bugs were not found."""
    copy, build = folder / "copy", folder / "build"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "cpp", copy / "cpp")
    for name in ("src/onepass/_version.py", "src/onepass/engine/sidecar.schema.json"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    shutil.copytree(ROOT / "tests/engine/sidecars", copy / "tests/engine/sidecars")
    options = ["-DONEPASS_TESTS=ON", "-DONEPASS_EXAMPLES=OFF", f"-DONEPASS_TEST_VERSIONS={OLD};{NEW}"]
    command = ["cmake", "-S", str(copy / "cpp"), "-B", str(build), *options, f"-DCMAKE_CXX_FLAGS={FLAGS}"]
    if shutil.which("ninja"):
        command += ["-G", "Ninja"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for version in (OLD, NEW):
        if (found := outcome(build, version)) != "passes":
            print(f"without a bug, TensorRT {version}: {found}")
            return len(BUGS)
    missed = 0
    for bug in BUGS:
        file = copy / "cpp" / "src" / bug.file
        whole = file.read_text()
        found = "is not in the source any more"
        if bug.whole in whole:
            file.write_text(whole.replace(bug.whole, bug.broken, 1))
            found = outcome(build, bug.version)
            file.write_text(whole)
        missed += found != "is found"
        print(f"{found}: {bug.what}", flush=True)
    print(f"{len(BUGS) - missed} of {len(BUGS)} bugs are found")
    return missed


def outcome(build: Path, version: str) -> str:
    """Build the tests for one TensorRT and run them."""
    made = subprocess.run(
        ["cmake", "--build", str(build), "--target", f"test-{version}"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        return f"does not build\n{made.stdout[-2000:]}"
    tests = build / "tests"
    environment = {**os.environ, "STANDIN_LIBRARY": str(tests / f"libstandin-{version}.so")}
    try:
        done = subprocess.run(
            [str(tests / f"test-{version}")], capture_output=True, check=False, timeout=120, env=environment
        )
    except subprocess.TimeoutExpired:
        return "is found"  # by who waits for the tests
    return "passes" if done.returncode == 0 else "is found"


if __name__ == "__main__":
    sys.exit(main(ROOT / "build/cpp/planted") > 0)
