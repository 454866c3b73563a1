"""Plugins of real TensorRT on a real GPU: the four outputs of a YOLO export's tail."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import onepass
from examples import detector
from onepass import Outputs, Plan
from onepass.engine import find_builder, read_sidecar
from onepass.engine.plugins import Plugin, load_plugins, registered

pytestmark = pytest.mark.gpu

_TACTICS = os.environ.get("TACTIC_SOURCES", "").split() or None


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tail as an engine for batches from 1 to 4."""
    load_plugins(find_builder())
    if Plugin("EfficientNMS_TRT") not in registered(find_builder()):
        pytest.skip(f"{find_builder()} has no EfficientNMS_TRT")
    path = tmp_path_factory.mktemp("detector") / "detector.engine"
    onepass.build(
        detector.plugin(), path, batch=(1, 1, 4), sizes={"B": (1, 6, 100)}, tactic_sources=_TACTICS, plugins=_own()
    )
    return path


def _own() -> list[Path]:
    """TensorRT's own library of plugins, where it lies beside the module."""
    found = Path(str(import_module(find_builder().name).__file__)).parent.glob("libnvinfer_plugin.so*")
    return sorted(found)[:1]


def _assert_as_onnx_has_it(outputs: Outputs, row: int, expected: Outputs) -> None:
    count = int(outputs["num_dets"][row, 0])
    assert count == len(expected["det_scores"])
    for name in ("det_boxes", "det_scores", "det_classes"):
        np.testing.assert_allclose(outputs[name][row, :count], expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_four_outputs_by_name(engine: Path, seed: int) -> None:
    """They are what ONNX's own operator leaves on ONNX Runtime, the best first, in the model's order."""
    feeds = detector.boxes(seed)
    with onepass.load(engine) as session, onepass.load(detector.plain()) as plain:
        for _ in range(3):  # the third is a recorded pass
            outputs = session(feeds)
        assert tuple(outputs) == detector.OUTPUTS
        _assert_as_onnx_has_it(outputs, 0, plain(feeds))


def test_a_batch(engine: Path) -> None:
    """Each picture of a batch has its own."""
    each = [detector.boxes(seed) for seed in range(4)]
    feeds = {name: np.concatenate([one[name] for one in each]) for name in ("boxes", "logits")}
    with onepass.load(engine, plugins=_own()) as session, onepass.load(detector.plain()) as plain:
        outputs = session(feeds)
        for row, one in enumerate(each):
            _assert_as_onnx_has_it(outputs, row, plain(one))


def test_what_the_sidecar_says(engine: Path) -> None:
    """Which plugin the engine takes, and which libraries were named."""
    plan = read_sidecar(engine)
    assert isinstance(plan, Plan)
    assert plan.plugins == (Plugin("EfficientNMS_TRT"),)
    assert plan.options.get("plugins", []) == [str(path) for path in _own()]
