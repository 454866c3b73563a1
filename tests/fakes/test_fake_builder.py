"""The stand-ins for TensorRT build engines, and refuse what TensorRT refuses, each version in its own way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest

from tests.fakes._core import dtype_of
from tests.fakes._plan import EngineFile
from tests.fakes.desk import ADD, RANGES, Bench
from tests.fakes.tensorrt import fake_engine
from tests.zoo import BY_NAME, model

BUILDERS = ("8.5.3", "10.0.1", "10.16.1", "11.4.0", "rtx-1.7.1")


@pytest.mark.parametrize("api", BUILDERS)
def test_a_built_engine_runs(api: str) -> None:
    """What was asked for is kept for assertions."""
    desk = Bench(api)
    good, network, _ = desk.parse(ADD)
    assert good
    network.get_input(0).name = "first"
    config = desk.config({"first": RANGES["x"], "y": RANGES["y"]})
    config.set_memory_pool_limit(desk.trt.MemoryPoolType.WORKSPACE, 1 << 20)
    engine = desk.load(bytes(desk.builder.build_serialized_network(network, config)))
    assert [engine.get_tensor_name(i) for i in range(3)] == ["first", "y", "z"]
    (build,) = desk.trt.builds
    assert build["memory"] == {"WORKSPACE": 1 << 20}
    assert build["flags"] == ["TF32"]


def test_a_build_needs_profiles() -> None:
    """For every dynamic input."""
    desk = Bench()
    _, network, _ = desk.parse(ADD)
    assert desk.builder.build_serialized_network(network, desk.builder.create_builder_config()) is None
    assert "no optimization profile has been defined" in desk.lines[-1]
    assert desk.builder.build_serialized_network(network, desk.config({"x": RANGES["x"]})) is None
    assert "no range for it" in desk.lines[-1]
    with pytest.raises(ValueError, match="inconsistent"):
        desk.builder.create_optimization_profile().set_shape("x", (4,), (2,), (8,))


@pytest.mark.parametrize(("api", "count"), [("8.5.3", 1), ("10.16.1", 2)])
def test_parser_errors(api: str, count: int) -> None:
    """8.5 stops at the first, and knows only the node's number; later ones tell all, with names."""
    desk = Bench(api)
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17, "own" : 1]> g (float[N] x) => (float[N] z)'
        " { y = own.Odd (x) \n u = own.Even (y) \n z = Neg (u) }"
    )
    good, _, parser = desk.parse(proto.SerializeToString())
    assert not good
    assert parser.num_errors == count
    assert "Plugin not found" in parser.get_error(0).desc()
    assert parser.get_error(0).node() == 0
    assert hasattr(parser.get_error(0), "node_operator") is (count == 2)
    if count == 2:
        assert [parser.get_error(index).node_operator() for index in range(2)] == ["Odd", "Even"]


@pytest.mark.parametrize("data", [b"\xff\xfe rubbish", BY_NAME["output double"].graph.to_bytes()])
def test_models_that_the_parser_refuses(data: bytes) -> None:
    """What is no ONNX, and types that no engine has."""
    good, _, parser = Bench().parse(data)
    assert not good
    assert parser.num_errors == 1


@pytest.mark.parametrize(("api", "half"), [("8.5.3", "Row major linear FP16 format"), ("10.16.1", "Half")])
def test_half_precision_shows_in_the_inspector(api: str, half: str) -> None:
    """Layers that gain from it take it, if they are not told otherwise; only a detailed engine tells.

    Where shapes are dynamic, TensorRT 8 tells no types until it knows of a context that has some.
    """
    desk = Bench(api)
    data = model("(float[N, 2] x) => (float[N, 2] a, float[N, 2] b) <float[2, 2] w = {1, 2, 3, 4}>"
                 " { a = MatMul (x, w) \n b = MatMul (a, w) }").to_bytes()  # fmt: skip
    _, network, _ = desk.parse(data)
    network.get_layer(1).precision = desk.trt.DataType.FLOAT
    config = desk.config({"x": ((1, 2), (2, 2), (4, 2))})
    config.set_flag(desk.trt.BuilderFlag.FP16)
    config.profiling_verbosity = desk.trt.ProfilingVerbosity.DETAILED
    engine = desk.load(bytes(desk.builder.build_serialized_network(network, config)))
    inspector = engine.create_engine_inspector()

    def halves() -> list[bool]:
        text = inspector.get_engine_information(desk.trt.LayerInformationFormat.JSON)
        return [layer["Outputs"][0]["Format/Datatype"] == half for layer in json.loads(text)["Layers"]]

    assert halves() == [api != "8.5.3", False]
    inspector.execution_context = engine.create_execution_context()
    assert halves() == [True, False]


def test_progress_can_stop_a_build() -> None:
    """By returning False, or by raising, which does not come through."""
    for answer in (True, False, KeyboardInterrupt()):
        desk = Bench()
        seen: list[str] = []

        class Monitor(desk.trt.IProgressMonitor):  # type: ignore[misc,name-defined]
            def __init__(self, module: Any, seen: list[str], answer: Any) -> None:
                module.IProgressMonitor.__init__(self)
                self.seen, self.answer = seen, answer

            def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
                self.seen.append(phase_name)

            def step_complete(self, phase_name: str, step: int) -> bool:
                if isinstance(self.answer, BaseException):
                    raise self.answer
                return bool(self.answer)

            def phase_finish(self, phase_name: str) -> None:
                pass

        _, network, _ = desk.parse(ADD)
        config = desk.config()
        config.progress_monitor = Monitor(desk.trt, seen, answer)
        built = desk.builder.build_serialized_network(network, config)
        assert (built is not None) is (answer is True)
        assert seen == ["Building Engine", "Tactic Optimization"]


def test_timing_caches_belong_to_a_version() -> None:
    """One of another version is refused."""
    desk, other = Bench(), Bench("10.0.1")
    desk.parse(ADD)
    other.parse(ADD)
    config = desk.config()
    cache = config.create_timing_cache(b"")
    assert config.set_timing_cache(cache, False)
    foreign = other.config()
    assert not foreign.set_timing_cache(foreign.create_timing_cache(bytes(cache.serialize())), False)


def test_engine_files_survive_the_way_through_bytes() -> None:
    """All fields come back."""
    data = fake_engine("10.16.1", ADD, [RANGES], streamable=7, name="net")
    file = EngineFile.from_bytes(data)
    assert file.to_bytes() == data
    assert (file.streamable, file.name, file.profiles[0]["x"]) == (7, "net", ((1,), (4,), (8,)))
    assert {one.name: dtype_of(one.dtype) for one in file.tensors} == dict.fromkeys("xyz", np.dtype(np.float32))
