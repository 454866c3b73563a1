"""Which TensorRT is here, and what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onepass import MissingExtraError
from onepass.engine import find_flavor, find_flavors
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.runtime.gpu import BUILDERS


@pytest.mark.parametrize("api", [*BUILDERS, "lean-11.4.0", "dispatch-11.4.0"])
def test_flavor_reports_what_it_can(api: str) -> None:
    """A report is plain JSON and tells a builder from a runtime, and flags from strong types."""
    with installed(make_tensorrt(api)):
        (flavor,) = find_flavors()
        report = json.loads(json.dumps(flavor.report()))
    assert report["builds"] == (api in BUILDERS)
    assert report["strongly_typed"] == (api in ("11.4.0", "rtx-1.7.1"))
    assert report["precision_flags"] == {
        "8.5.3": ["fp16", "int8"], "10.0.1": ["fp16", "bf16", "int8", "fp8"],
        "10.16.1": ["fp16", "bf16", "int8", "fp8"],
    }.get(api, [])  # fmt: skip
    assert ("int64" in report["dtypes"]) == (api != "8.5.3")


def test_a_tensorrt_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is installed without its libraries is named, with the reason."""
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    import sys

    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(MissingExtraError, match=r"installed but does not import .*libnvinfer.so.10"):
        find_flavor("tensorrt")
