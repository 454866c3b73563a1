"""The stand-ins for TensorRT have the real names, and every rule of a pass can be broken, and is noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.fakes.cuda import FakeCuda
from tests.fakes.desk import ADD, RANGES, Desk, view_at
from tests.fakes.facts import TENSORRT, module_name, tensorrt_facts
from tests.fakes.rig import SIZE, Rig
from tests.fakes.tensorrt import fake_engine, make_tensorrt
from tests.zoo import BY_NAME, model

RUNTIMES = ("8.5.3", "10.16.1", "11.4.0", "lean-11.4.0", "rtx-1.7.1")


# ---- names ---------------------------------------------------------------------------------------------------------


def _public(names: Sequence[str]) -> set[str]:
    return {name for name in names if not (name.startswith("__") and name.endswith("__"))}


@pytest.mark.parametrize("api", TENSORRT)
def test_names_are_exactly_the_real_ones(api: str) -> None:
    """The module has what the real one has, each class the same attributes, each enumeration the same members."""
    trt, facts = make_tensorrt(api), tensorrt_facts(api)
    assert trt.__name__ == module_name(api)
    assert _public(dir(trt)) == _public(list(facts))
    assert len(facts) > 100
    for name, fact in facts.items():
        value: Any = getattr(trt, name, None)
        if isinstance(fact, list) and fact[:1] == ["enum"]:
            assert list(value.__members__) == fact[1:], name
        elif isinstance(fact, list):
            ours = {one for one in dir(value) if not one.startswith("_")} - set(dir(bytearray))
            assert ours == {one for one in fact if not one.startswith("_")} - set(dir(bytearray)), name


def test_what_is_not_imitated_says_so() -> None:
    """It is there for hasattr, and raises when it is used."""
    desk = Desk()
    network = desk.trt.Builder(desk.logger).create_network(0)
    assert hasattr(network, "add_convolution_nd")
    with pytest.raises(NotImplementedError, match=r"INetworkDefinition\.add_convolution_nd"):
        network.add_convolution_nd(None, 1, (3, 3), None)
    with pytest.raises(NotImplementedError, match=r"IBuilderConfig\.plugins_to_serialize"):
        desk.trt.Builder(desk.logger).create_builder_config().plugins_to_serialize = []


def test_what_a_version_lacks_cannot_be_set() -> None:
    """As on any class of pybind11's; a subclass written in Python takes attributes of its own."""
    desk = Desk("8.5.3")
    config = desk.trt.Builder(desk.logger).create_builder_config()
    config.avg_timing_iterations = 2
    with pytest.raises(AttributeError, match="builder_optimization_level"):
        config.builder_optimization_level = 5
    desk.logger.extra = 1


def test_bases_must_be_initialised_and_engines_cannot_be_made() -> None:
    """What pybind11 refuses is refused."""
    trt = make_tensorrt("10.16.1")

    class Forgetful(trt.IOutputAllocator):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match="__init__\\(\\) must be called"):
        Forgetful()
    with pytest.raises(TypeError, match="No constructor defined"):
        trt.ICudaEngine()


def test_calls_are_counted() -> None:
    """Methods and properties, by qualified name."""
    desk = Desk()
    context = desk.context()
    desk.trt.calls.clear()
    desk.place(context)
    context.infer_shapes()
    assert desk.trt.calls == {
        "IExecutionContext.set_tensor_address": 3,
        "IExecutionContext.set_input_shape": 2,
        "IExecutionContext.infer_shapes": 1,
    }


# ---- engines that are refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", RUNTIMES)
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: b"not an engine at all, " * 3, "Magic tag does not match"),
        (lambda data: b"", "Magic tag does not match"),
        (lambda data: data[: len(data) // 2], "Not enough data"),
        (lambda data: data[:8] + b"\1\0\0\0" + data[12:], "Version tag does not match"),
    ],
)
def test_spoilt_engines(api: str, spoil: Callable[[bytes], bytes], said: str) -> None:
    """There is no engine, and the log says why."""
    desk = Desk(api)
    # A lean runtime reads other versions too, if they are built for that.
    compatible = api.startswith("lean") and "Version" not in said
    assert desk.load(spoil(desk.engine_bytes(version_compatible=compatible))) is None
    assert said in desk.lines[0]
    assert desk.lines[1].endswith("(Engine deserialization failed.)")
    assert all(line.startswith("ERROR ") for line in desk.lines)


def test_wording_of_a_wrong_version() -> None:
    """8.5 says it in the words that its users report."""
    desk = Desk("8.5.3")
    assert desk.load(fake_engine("10.0.1", ADD)) is None
    assert (
        "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: 232"
        in (desk.lines[0])
    )


def test_an_engine_for_another_gpu() -> None:
    """It is refused, unless it was built to be portable; TensorRT-RTX refuses GPUs that it does not list."""
    desk = Desk("10.16.1")
    assert desk.load(desk.engine_bytes(compute="8.6")) is None
    assert "expecting compute 9.0 got compute 8.6, please rebuild" in desk.lines[0]
    portable = desk.engine_bytes(compute="8.6", extra={"hardware_compatibility_level": "AMPERE_PLUS"})
    assert desk.load(portable) is not None
    rtx = Desk("rtx-1.7.1")
    rtx.cuda.capability = (9, 0)
    assert rtx.load(rtx.engine_bytes()) is None
    assert "SM 9.0 is not supported" in rtx.lines[0]


def test_version_compatible_engines() -> None:
    """Lean runtimes load no others; one that carries a lean runtime needs leave to run its code."""
    lean = Desk("lean-11.4.0")
    assert lean.load(lean.engine_bytes()) is not None
    assert lean.load(lean.engine_bytes(version_compatible=False)) is None
    full = Desk("11.4.0")
    data = fake_engine("10.16.1", ADD, version_compatible=True, has_lean_runtime=True)
    runtime = full.trt.Runtime(full.logger)
    assert runtime.deserialize_cuda_engine(data) is None
    runtime.engine_host_code_allowed = True
    assert runtime.deserialize_cuda_engine(data) is not None


def test_without_a_gpu() -> None:
    """TensorRT makes neither builder nor runtime; pybind11 makes a TypeError of it. TensorRT-RTX builds."""
    for options in ({"devices": 0}, {"driver_missing": True}):
        cuda = FakeCuda(**options)
        trt = make_tensorrt("10.16.1", cuda)
        for kind in (trt.Builder, trt.Runtime):
            with pytest.raises(TypeError, match="factory function returned nullptr"):
                kind(trt.Logger(trt.Logger.INTERNAL_ERROR))
        rtx = make_tensorrt("rtx-1.7.1", cuda)
        rtx.Builder(rtx.Logger())


def test_a_second_logger_is_complained_of() -> None:
    """The first one hears of it."""
    desk = Desk()
    desk.trt.Runtime(desk.logger)
    desk.trt.Runtime(desk.trt.Logger())
    assert "differs from one already provided" in desk.lines[0]


# ---- what an engine says of itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("api", "member"), [("8.5.3", "INT32"), ("10.0.1", "INT64")])
def test_int64_at_the_edge(api: str, member: str) -> None:
    """Before TensorRT 10 it is int32 there."""
    desk = Desk(api)
    engine = desk.load(desk.engine_bytes(BY_NAME["output int64"].graph.to_bytes(), None))
    assert engine.get_tensor_dtype("y").name == member


def test_outputs_that_are_inputs_rename_the_input() -> None:
    """The parser does that; the output keeps the name."""
    desk = Desk()
    engine = desk.load(desk.engine_bytes(BY_NAME["outputs that are inputs"].graph.to_bytes(), None))
    names = {engine.get_tensor_name(i): engine.get_tensor_mode(engine.get_tensor_name(i)).name for i in range(5)}
    assert names == {"__x": "INPUT", "__id": "INPUT", "id": "OUTPUT", "x": "OUTPUT", "y": "OUTPUT"}


def test_shapes_and_profiles() -> None:
    """Dynamic sizes are -1; ranges are those of inputs only; a tensor that does not exist has no rank."""
    desk = Desk()
    engine = desk.load(desk.engine_bytes())
    assert tuple(engine.get_tensor_shape("z")) == (-1,)
    assert [tuple(shape) for shape in engine.get_tensor_profile_shape("x", 0)] == [(1,), (4,), (8,)]
    assert not desk.lines
    with pytest.raises(ValueError, match=r"__len__\(\) should return >= 0"):
        len(engine.get_tensor_profile_shape("z", 0)[0])
    assert engine.get_tensor_mode("nothing").name == "NONE"
    assert len(desk.lines) == 2


def test_lean_has_no_tensor_format() -> None:
    """The method is bound, the type that it returns is not."""
    desk = Desk("lean-11.4.0")
    with pytest.raises(TypeError, match="Unregistered type"):
        desk.load(desk.engine_bytes()).get_tensor_format("x")


# ---- a pass --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", RUNTIMES)
def test_a_pass_is_computed_when_it_is_waited_for(api: str) -> None:
    """And not before, from what lies at the addresses then."""
    desk = Desk(api)
    context = desk.context()
    views = desk.place(context)
    assert desk.enqueue(context)
    views["x"][:], views["y"][:] = [1, 2], [10, 20]
    assert list(views["z"]) != [11, 22]
    desk.wait()
    assert list(views["z"]) == [11, 22]
    assert not desk.cuda.faults


@pytest.mark.parametrize("shape", [(0,), (9,), (2, 1), ()])
def test_shapes_outside_the_profile(shape: tuple[int, ...]) -> None:
    """They are refused, and the log says what the profile has."""
    desk = Desk()
    assert not desk.context().set_input_shape("x", shape)
    assert "[1] to [8]" in desk.lines[0]


def test_a_shape_is_a_tuple_or_a_list() -> None:
    """Anything else is a TypeError, as pybind11 has it."""
    context = Desk().context()
    with pytest.raises(TypeError, match="incompatible function arguments"):
        context.set_input_shape("x", np.array([2]))
    with pytest.raises(TypeError):
        context.execute_async_v3(Rig().stream())


def test_addresses() -> None:
    """They are aligned to 256 bytes, of tensors that exist, and set before a pass."""
    desk = Desk()
    context = desk.context()
    desk.place(context)
    assert not context.set_tensor_address("x", desk.pinned() + 4)
    assert not context.set_tensor_address("nothing", desk.pinned())
    assert "misaligned" in desk.lines[0]
    for name, kind in (("x", "input"), ("z", "output")):
        desk.place(context)
        assert context.set_tensor_address(name, 0)
        assert not desk.enqueue(context)
        assert f"Address is not set for {kind} tensor {name}" in desk.lines[-1]


def test_shapes_must_be_set() -> None:
    """infer_shapes names what is missing, and without it there is no pass."""
    desk = Desk()
    context = desk.context()
    assert context.infer_shapes() == ["x", "y"]
    assert tuple(context.get_tensor_shape("z")) == (-1,)
    assert not desk.enqueue(context)
    desk.place(context, 3)
    assert context.infer_shapes() == []
    assert tuple(context.get_tensor_shape("z")) == (3,)


def test_memory_that_is_no_gpus() -> None:
    """Ordinary memory of the host is an illegal access at the time of the pass."""
    desk = Desk()
    context = desk.context()
    desk.place(context)
    ordinary = np.zeros(1024, np.uint8)
    assert context.set_tensor_address("x", ordinary.ctypes.data + -ordinary.ctypes.data % 256)
    assert desk.enqueue(context)
    assert desk.status("cuStreamSynchronize", desk.main) == "CUDA_ERROR_ILLEGAL_ADDRESS"
    assert "lies in no GPU's memory" in desk.cuda.faults[0]


def test_one_context_on_two_streams_is_a_race() -> None:
    """They share the memory that the context computes in."""
    desk = Desk()
    context = desk.context()
    desk.place(context)
    other = desk.stream()
    assert desk.enqueue(context)
    desk.place(context)
    assert context.execute_async_v3(int(other))
    desk.do("cuStreamSynchronize", other)
    assert desk.cuda.faults == ["race: an execution context is used by two streams, and neither waits for the other"]


def test_a_context_that_is_gone() -> None:
    """Its work must have been waited for."""
    desk = Desk()
    context = desk.context()
    desk.place(context)
    assert desk.enqueue(context)
    del context
    assert desk.status("cuStreamSynchronize", desk.main) == "CUDA_ERROR_ILLEGAL_ADDRESS"
    assert "context was destroyed" in desk.cuda.faults[0]


@pytest.mark.parametrize(("api", "shared"), [("8.5.3", False), ("10.0.1", True), ("11.4.0", True)])
def test_a_profile_for_each_context(api: str, shared: bool) -> None:
    """8.5 gives a profile to one context at a time; later ones share it."""
    desk = Desk(api)
    engine = desk.load(desk.engine_bytes(profiles=(RANGES, RANGES)))
    first, second = engine.create_execution_context(), engine.create_execution_context()
    assert first.active_optimization_profile == 0
    assert second.active_optimization_profile == (0 if shared else -1)
    if not shared:
        assert not desk.enqueue(second)
        assert "mOptimizationProfile >= 0" in desk.lines[-1]
        assert not second.set_optimization_profile_async(0, int(desk.main))
        assert "Profile 0 has been chosen by another IExecutionContext" in desk.lines[-1]
        assert second.set_optimization_profile_async(1, int(desk.main))
        del first
        assert second.set_optimization_profile_async(0, int(desk.main))
    desk.place(second)
    assert desk.enqueue(second)


def test_memory_that_the_user_manages() -> None:
    """Without it there is no pass, and it must be large enough."""
    desk = Desk("11.4.0")
    strategy = desk.trt.ExecutionContextAllocationStrategy.USER_MANAGED
    engine = desk.load(desk.engine_bytes(device_memory=SIZE))
    context = engine.create_execution_context(strategy)
    views = desk.place(context)
    assert not desk.enqueue(context)
    context.set_device_memory(desk.device(), SIZE - 1)
    assert "too few" in desk.lines[-1]
    context.set_device_memory(desk.device(), SIZE)
    views["x"][:] = views["y"][:] = 1
    assert desk.enqueue(context)
    desk.wait()
    assert list(views["z"]) == [2, 2]


# ---- capture -------------------------------------------------------------------------------------------------------


def _captured(desk: Desk, context: Any) -> Any:
    """Return a graph of one pass, or None if it could not be captured."""
    desk.begin(desk.main)
    good = desk.enqueue(context)
    status, graph = desk.driver.cuStreamEndCapture(desk.main)
    assert good is (status == 0)
    return desk.do("cuGraphInstantiate", graph, 0) if good else None


def test_a_graph_computes_new_inputs() -> None:
    """Each launch computes with what is there, and TensorRT is not called."""
    desk = Desk()
    context = desk.context()
    views = desk.place(context)
    assert desk.enqueue(context)
    desk.wait()
    run = _captured(desk, context)
    desk.trt.calls.clear()
    for value in (1, 2):
        views["x"][:] = views["y"][:] = value
        desk.do("cuGraphLaunch", run, desk.main)
        desk.wait()
        assert list(views["z"]) == [2 * value] * 2
    assert not desk.trt.calls
    assert not desk.cuda.faults


def test_the_first_pass_cannot_be_captured() -> None:
    """Nor the first one after the shapes changed."""
    desk = Desk()
    context = desk.context()
    desk.place(context)
    assert _captured(desk, context) is None
    assert desk.enqueue(context)
    assert _captured(desk, context) is not None
    desk.place(context, 3)
    assert _captured(desk, context) is None


@pytest.mark.parametrize("fields", [{"capturable": False}, {"streamable": 4096}])
def test_engines_that_cannot_be_captured(fields: dict[str, Any]) -> None:
    """Conditions on the device, and streamed weights; run directly, they work."""
    desk = Desk()
    engine = desk.load(desk.engine_bytes(**fields))
    if "streamable" in fields:
        engine.weight_streaming_budget_v2 = 1024
        assert engine.weight_streaming_budget_v2 == 1024
    context = engine.create_execution_context()
    desk.place(context)
    assert desk.enqueue(context)
    desk.wait()
    assert _captured(desk, context) is None


def test_a_graph_is_void_once_its_context_is_set_up_anew() -> None:
    """What it was captured with no longer holds."""
    desk = Desk()
    context = desk.context()
    desk.place(context)
    assert desk.enqueue(context)
    run = _captured(desk, context)
    desk.place(context, 3)
    desk.do("cuGraphLaunch", run, desk.main)
    desk.wait()
    assert "set up anew since it was captured" in desk.cuda.faults[0]


# ---- sizes and values that only a pass decides ---------------------------------------------------------------------


def _allocator(desk: Desk, *, full: bool = False) -> Any:
    class Allocator(desk.trt.IOutputAllocator):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            desk.trt.IOutputAllocator.__init__(self)
            self.calls: list[Any] = []

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
            self.calls.append((tensor_name, size))
            return 0 if full else int(desk.do("cuMemHostAlloc", size, 0))

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.calls.append((tensor_name, tuple(shape)))

    return Allocator()


def test_outputs_of_unknown_size() -> None:
    """Their allocator is asked at the pass, told the shape, and such a pass cannot be captured."""
    desk = Desk()
    context = desk.load(desk.engine_bytes(BY_NAME["data-dependent shape"].graph.to_bytes(), None))
    context = context.create_execution_context()
    source = desk.pinned()
    view_at(source, 6)[:] = [1, -1, 2, -1, -1, 3]
    for name, address in (("x", source), ("y", desk.pinned())):
        assert context.set_tensor_address(name, address)
    assert context.set_input_shape("x", (2, 3))
    assert tuple(context.get_tensor_shape("where")) == (2, -1)
    assert not desk.enqueue(context)
    allocator = _allocator(desk)
    assert context.set_output_allocator("where", allocator)
    assert desk.enqueue(context)
    assert allocator.calls == [("where", 48), ("where", (2, 3))]
    desk.wait()
    assert list(view_at(context.get_tensor_address("where"), 6, np.int64)) == [0, 0, 1, 0, 2, 2]
    assert _captured(desk, context) is None
    assert context.set_output_allocator("where", _allocator(desk, full=True))
    assert not desk.enqueue(context)
    assert "OutOfMemory" in desk.lines[-1]


def test_values_that_shape_other_tensors_lie_on_the_host() -> None:
    """They are read when the pass is queued, and must not lie on the GPU."""
    desk = Desk()
    data = model("(float[N] x, int64[2] to) => (float[A, B] y) { y = Expand (x, to) }").to_bytes()
    engine = desk.load(desk.engine_bytes(data, None))
    assert engine.get_tensor_location("to").name == "HOST"
    assert engine.is_shape_inference_io("to")
    context = engine.create_execution_context()
    assert not context.set_tensor_address("to", desk.device())
    assert "was given device memory" in desk.cuda.faults[0]
    to = np.array([2, 3], np.int64)
    assert context.set_tensor_address("to", to.ctypes.data)
    assert context.set_input_shape("x", (3,))
    assert tuple(context.get_tensor_shape("y")) == (2, 3)
