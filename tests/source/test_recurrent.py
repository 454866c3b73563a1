"""Recurrent networks with their state as inputs and outputs: the batch is not the first axis everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass.outputs import Array
from tests.source.networks import converted

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("in_this_process")]
_RNG = np.random.default_rng(0)


def _normal(*shape: int) -> Array:
    return _RNG.standard_normal(shape).astype(np.float32)


def test_lstm_of_pytorch(tmp_path: Path) -> None:
    """States are [layers, N, hidden]; the batch is dynamic on any axis, and can be fixed afterwards by its name."""
    pytest.importorskip("onnxscript", reason="PyTorch cannot export here (make test-convert has what it needs)")
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-convert has it)")

    class Network(torch.nn.Module):  # type: ignore[name-defined]
        """Two layers."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(4, 6, 2)

        def forward(self, x: Any, h: Any, c: Any) -> dict[str, Any]:
            """Take [T, N, 4] and the states, return the last layer's outputs and the new states."""
            y, (h, c) = self.lstm(x, (h, c))
            return {"y": y, "h_new": h, "c_new": c}

    torch.manual_seed(0)
    network, example = Network(), {"x": _normal(5, 3, 4), "h": _normal(2, 3, 6), "c": _normal(2, 3, 6)}
    dynamic = {name: {1: "N"} for name in example}
    done = onepass.convert(network, tmp_path / "m.onnx", example_inputs=example, dynamic=dynamic)
    assert [spec.shape for spec in done.signature.outputs] == [(5, "N", 6), (2, "N", 6), (2, "N", 6)]
    inputs = {"x": _normal(5, 7, 4), "h": _normal(2, 7, 6), "c": _normal(2, 7, 6)}
    with torch.no_grad():
        expected = network.eval()(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    with onepass.load(tmp_path / "m.onnx") as session:
        for name, array in session(inputs).items():
            np.testing.assert_allclose(array, expected[name], atol=1e-5)
    fixed = onepass.convert(tmp_path / "m.onnx", tmp_path / "two.onnx", batch=2)
    assert [spec.shape for spec in fixed.signature.inputs] == [(5, 2, 4), (2, 2, 6), (2, 2, 6)]


def test_lstm_of_keras(tmp_path: Path) -> None:
    """A model that takes its state and gives the new one runs on with what it gave."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (make test-convert has it)")
    keras = pytest.importorskip("keras", reason="Keras is not installed (make test-convert has it)")

    keras.utils.set_random_seed(0)
    x, h, c = keras.Input((5, 4), name="x"), keras.Input((6,), name="h"), keras.Input((6,), name="c")
    y, h_new, c_new = keras.layers.LSTM(6, return_sequences=True, return_state=True)(x, initial_state=[h, c])
    model = keras.Model([x, h, c], {"y": y, "state": {"h": h_new, "c": c_new}})
    model.save(tmp_path / "m.keras")
    done = converted(tmp_path / "m.keras", tmp_path / "m.onnx")
    assert done.signature.output_names == ("y", "state.h", "state.c")
    steps, zeros = _normal(3, 10, 4), np.zeros((3, 6), np.float32)
    with onepass.load(tmp_path / "m.onnx") as session:
        first = session(x=steps[:, :5], h=zeros, c=zeros)
        second = session(x=steps[:, 5:], h=first["state.h"], c=first["state.c"])
    halves = model([steps[:, :5], zeros, zeros])
    expected = model([steps[:, 5:], halves["state"]["h"].numpy(), halves["state"]["c"].numpy()])
    np.testing.assert_allclose(second["y"], expected["y"], atol=1e-5)
    np.testing.assert_allclose(second["state.c"], expected["state"]["c"], atol=1e-5)
