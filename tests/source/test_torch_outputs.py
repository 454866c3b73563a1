"""What a PyTorch network may return beside plain tensors, and which of it becomes outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import InputError, OutputNameError, UnsupportedModelError

pytest.importorskip("torch", reason="PyTorch is not installed (make test-convert has it)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (make test-convert has it)")
import torch

pytestmark = pytest.mark.filterwarnings("ignore")  # quantisation is deprecated in PyTorch, but networks have it
X = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)


class _Layer:
    """A layer of a cache as transformers has it."""

    def __init__(self, keys: Any, values: Any) -> None:
        self.keys, self.values, self.is_initialized = keys, values, True


class _Cache:
    """A cache of several layers: no container of Python's."""

    def __init__(self, *layers: _Layer) -> None:
        self.layers, self.offloading = list(layers), False


class _BothCaches:
    """That of a network which encodes and decodes."""

    def __init__(self, own: _Cache, cross: _Cache) -> None:
        self.self_attention_cache, self.cross_attention_cache = own, cross
        self.is_updated: dict[int, bool] = {}


class _Mixed(torch.nn.Module):
    """A tensor beside all that is none, or that ONNX has not."""

    def forward(self, x: Any) -> dict[str, Any]:
        return {
            "logits": x * 2, "count": 3, "words": ["a", "b"], "spectrum": torch.fft.rfft(x), "sparse": x.to_sparse(),
            "whole": torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), "x": x + 1,
        }  # fmt: skip


def test_caches_are_outputs(tmp_path: Path) -> None:
    """Each layer's keys and values have the cache's name, the layer's number, and what they are."""

    class Net(torch.nn.Module):
        def forward(self, x: Any) -> dict[str, Any]:
            cache = _Cache(_Layer(x * 2, x * 3), _Layer(x * 4, x * 5))
            return {"y": x + 1, "cache": cache, "both": _BothCaches(_Cache(_Layer(x * 6, x * 7)), _Cache())}

    done = onepass.convert(Net(), tmp_path / "m.onnx", example_inputs=X)
    assert done.signature.output_names == (
        "y", "cache.0.key", "cache.0.value", "cache.1.key", "cache.1.value",
        "both.self_attention.0.key", "both.self_attention.0.value",
    )  # fmt: skip
    with onepass.load(tmp_path / "m.onnx") as session:
        np.testing.assert_allclose(session(x=X)["cache.1.value"], X * 5, rtol=1e-6)


def test_what_was_chosen_converts(tmp_path: Path) -> None:
    """Of what a network returns beside the chosen outputs, nothing has to be a tensor; their order is the caller's."""
    done = onepass.convert(_Mixed(), tmp_path / "m.onnx", example_inputs=X, outputs=["x_out", "logits"])
    assert done.signature.output_names == ("x_out", "logits")
    with onepass.load(tmp_path / "m.onnx") as session:
        np.testing.assert_allclose(session(x=X)["logits"], X * 2, rtol=1e-6)
        np.testing.assert_allclose(session(x=X)["x_out"], X + 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (None, r"output 'count' of the given _Mixed: expected a tensor, got int; choose outputs=\[…\] without it"),
        (["words.0"], r"output 'words\.0' .*: expected a tensor, got str"),
        (["spectrum"], r"output 'spectrum' is complex64, .*return torch\.view_as_real"),
        (["sparse"], r"output 'sparse': expected a dense tensor of .*; got float32, torch\.sparse_coo"),
        (["whole"], r"output 'whole' is qint8, .*use dequantize\(\)"),
    ],
)
def test_what_is_no_output(tmp_path: Path, chosen: list[str] | None, words: str) -> None:
    """Each kind says what it is and what to return instead."""
    with pytest.raises(UnsupportedModelError, match=words):
        onepass.convert(_Mixed(), tmp_path / "m.onnx", example_inputs=X, outputs=chosen)


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt name is told with those that there are."""

    class Net(torch.nn.Module):
        def forward(self, x: Any) -> dict[str, Any]:
            return {"logits": x * 2, "boxes": x}

    with pytest.raises(OutputNameError, match=r"no output 'logit'\. Did you mean 'logits'"):
        onepass.convert(Net(), tmp_path / "m.onnx", example_inputs=X, outputs=["logit"])
    with pytest.raises(InputError, match=r"select and order outputs, use outputs=\['boxes', 'logits'\]"):
        onepass.convert(Net(), tmp_path / "m.onnx", example_inputs=X, output_names=["boxes", "logits"])


def test_complex_inputs(tmp_path: Path) -> None:
    """A complex input is refused with the way to take it."""

    class Net(torch.nn.Module):
        def forward(self, c: Any) -> Any:
            return c.abs()

    with pytest.raises(UnsupportedModelError, match=r"input 'c' is complex64, .*start with torch\.view_as_complex"):
        onepass.convert(Net(), tmp_path / "m.onnx", example_inputs=X.astype(np.complex64))


def test_quantised_layers(tmp_path: Path) -> None:
    """Layers that PyTorch quantised are named, and what to convert instead is said."""
    quantisation = torch.ao.quantization
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    dynamic = quantisation.quantize_dynamic(network, {torch.nn.Linear}, dtype=torch.qint8)
    with pytest.raises(UnsupportedModelError, match=r"quantised layers \(.*Linear.*\)\. Convert the"):
        onepass.convert(dynamic, tmp_path / "m.onnx", example_inputs=X)
    traced = torch.jit.trace(dynamic, torch.from_numpy(X))
    with pytest.raises(UnsupportedModelError, match=r"uses quantized::linear_dynamic, .*before quantisation"):
        onepass.convert(traced, tmp_path / "m.onnx", example_inputs=X)

    class Rounded(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize()

    with pytest.raises(UnsupportedModelError, match=r"uses aten\.quantize_per_tensor\.default, .*before quant"):
        onepass.convert(Rounded(), tmp_path / "m.onnx", example_inputs=X)
