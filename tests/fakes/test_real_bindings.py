"""The names in ``api/`` are those of the real bindings, read off them again; ``make check-bindings`` fetches them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.fakes.dump_api import dump_bindings
from tests.fakes.facts import TENSORRT, tensorrt_facts

FOLDER = os.environ.get("ONEPASS_TENSORRT_BINDINGS", "")


def test_names_are_those_of_the_real_bindings() -> None:
    """Each wheel in the folder imports over empty libraries, and has exactly the names that its JSON has."""
    if not FOLDER:
        pytest.skip("ONEPASS_TENSORRT_BINDINGS names no folder with wheels of TensorRT's bindings")
    if not (shutil.which("gcc") and shutil.which("readelf")):
        pytest.skip("gcc and readelf make the empty libraries, and are not here")
    wheels = sorted(Path(FOLDER).glob("tensorrt_*bindings-*.whl"))
    assert wheels, f"no wheels in {FOLDER}"
    for wheel in wheels:
        version, names = dump_bindings(wheel)
        (api,) = [api for api in TENSORRT if version.startswith(f"{api}.")]
        facts = tensorrt_facts(api)
        for found, wanted in ((names, facts), (facts, names)):
            for name, fact in found.items():
                if not name.startswith("__"):  # of Python's own, which depend on how it was imported
                    assert wanted.get(name) == fact, f"{wheel.name}: {name}"
