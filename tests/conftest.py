"""What every test gets: a header with versions, the `gpu` mark, and an environment nobody else set."""

import os
import platform
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("onepass", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("onepass")

# A program that a script starts in the background ignores Ctrl-C, and one under nohup the end of its terminal; so would
# every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_report_header() -> str:
    """Show the versions that a failure may depend on."""
    found = [f"python {platform.python_version()}"]
    for package in ("numpy", "onnx", "onnxruntime", "ml_dtypes", "opencv-python-headless", "torch"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    return ", ".join(found)


def _gpu_is_here() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests where there is no GPU, unless one is demanded."""
    if os.environ.get("ONEPASS_REQUIRE_GPU") == "1" or _gpu_is_here():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here (ONEPASS_REQUIRE_GPU=1 makes this a failure)"))


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Let nothing wait until it is on the disk: tests outlive no loss of power. What is no open file still fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ONEPASS_") and name != "ONEPASS_REQUIRE_GPU":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Every thread that a test starts, by what it calls too, has ended with it."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)
