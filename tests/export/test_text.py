"""Configurations, as NVIDIA's own message type reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from google.protobuf import text_format
from hypothesis import given
from tritonclient.grpc import model_config_pb2

from onepass import OnnxGraph, Signature, TensorSpec
from onepass.export import to_triton
from onepass.export.triton.config import Settings, cpu, model_config
from onepass.export.triton.edges import TYPE_OF, Batch, declared, example_shapes
from onepass.export.triton.text import entries, text_of
from tests.export.engines import CAST, engine
from tests.zoo import BY_NAME, model

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def _edges(draw: st.DrawFn) -> list[TensorSpec]:
    names = draw(st.lists(_TEXTS, min_size=1, max_size=4, unique=True))
    dims = st.lists(st.one_of(st.none(), st.just("W"), st.integers(0, 1 << 40)), max_size=4)
    return [TensorSpec(name, draw(st.sampled_from(list(TYPE_OF))), ("N", *draw(dims))) for name in names]


def _parsed(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@given(_edges(), _edges(), st.integers(1, 1 << 20), st.floats(0, 1e6), st.integers(0, 1 << 20), _TEXTS)
def test_what_is_written_is_what_is_read(
    inputs: list[TensorSpec], outputs: list[TensorSpec], most: int, delay: float, queue: int, note: str
) -> None:
    """Whatever names, types and sizes there are, they are the same for whoever parses the configuration, in order."""
    batch = Batch(most)
    config = model_config(
        {"backend": "python"},
        batch=batch,
        inputs=[declared("input", spec, batch=batch) for spec in inputs],
        outputs=[declared("output", spec, batch=batch) for spec in outputs],
        settings=Settings(delay, queue, 1),
        instance_group=cpu(1),
        shapes=example_shapes(Signature(tuple(inputs), tuple(outputs)), batch),
        parameters=entries({note: {"string_value": note}}),
    )
    parsed = _parsed(text_of(config))
    for specs, edges in ((inputs, parsed.input), (outputs, parsed.output)):
        for spec, edge in zip(specs, edges, strict=True):
            assert edge.name == spec.name
            assert model_config_pb2.DataType.Name(edge.data_type) == f"TYPE_{TYPE_OF[spec.dtype]}"
            sizes = [dim if isinstance(dim, int) and dim else -1 for dim in (spec.shape or ())[1:]]
            assert list(edge.dims) == sizes or (not sizes and list(edge.dims) == [1] and edge.HasField("reshape"))
    assert parsed.max_batch_size == most
    assert parsed.dynamic_batching.max_queue_delay_microseconds == round(delay * 1000)
    assert parsed.dynamic_batching.default_queue_policy.max_queue_size == queue
    assert parsed.parameters[note].string_value == note
    fixed = all(isinstance(dim, int) and dim for spec in inputs for dim in (spec.shape or ())[1:])
    assert [each.batch_size for each in parsed.model_warmup] == (sorted({1, most}) if fixed else [])


@pytest.mark.parametrize(("graph", "api", "options"), [
    (BY_NAME["three heads"].graph, "10.16.1", {"batch": (1, 4, 6)}),
    (CAST, "8.5.3", {"batch": (1, 2, 4)}),
    (model("(float[N, 3, W] x) => (float[N, 3, W] y) { y = Neg (x) }"), "10.16.1",
     {"shapes": [{"x": ((low, 3, 4), (high, 3, 8), (high, 3, 16))} for low, high in ((1, 2), (3, 8))]}),
    (model("(float[2] x, int64[2] to) => (float[A, B] y) { y = Expand (x, to) }"), "10.16.1",
     {"values": {"to": ((1, 2), (3, 2), (4, 2))}}),
])  # fmt: skip
def test_configurations_of_engines(graph: OnnxGraph, api: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Every field and word that is written for an engine, and around it, is one of Triton's."""
    engine(graph, tmp_path / "m.engine", api=api, **options)
    folders = to_triton(tmp_path / "m.engine", tmp_path / "models").folders
    parsed = [_parsed((folder / "config.pbtxt").read_text("utf-8")) for folder in folders]
    assert parsed[0].platform == "tensorrt_plan"
    assert [each.name for each in parsed[-1].output] == list(graph.signature.output_names)


@pytest.mark.parametrize("animal", ["names that are no identifiers", "strings [M]", "a batch that is not first"])
@pytest.mark.parametrize("backend", ["onnxruntime", "python"])
def test_configurations_of_onnx_models(animal: str, backend: Any, tmp_path: Path) -> None:
    """A model's names, whatever they are, are those of the configuration, for either backend."""
    graph = BY_NAME[animal].graph
    graph.save(tmp_path / "m.onnx")
    exported = to_triton(tmp_path / "m.onnx", tmp_path / "models", backend=backend)
    parsed = _parsed((exported.folders[0] / "config.pbtxt").read_text("utf-8"))
    assert [each.name for each in parsed.input] == [spec.name for spec in graph.signature.inputs]
    assert [each.name for each in parsed.output] == list(graph.signature.output_names)
