"""Real TensorRT-RTX, which parses and builds without a GPU: the zoo, the eye networks, every option, the errors."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

import onepass
from onepass import BuildError, BuildOptions, InputError, ModelFormatError, OnnxGraph, Plan, UnsupportedModelError
from onepass.builder._edges import prepare
from onepass.builder._gpu import current_gpu
from onepass.builder._network import parse
from onepass.builder._profiles import profiles_from_options
from onepass.builder._progress import Watch, run_stoppable
from onepass.builder._weights import weights_of
from onepass.engine import Flavor, Step, find_flavor, plan_from_graph
from onepass.engine.log import get_logger
from onepass.engine.plugins import Plugin, registered
from onepass.formats import Format, format_of
from onepass.gaze import PACKAGED_MODELS
from tests.runtime.gpu import options_for
from tests.zoo import BY_NAME, ZOO, Animal, model

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install '.[rtx]'")

_DATA = Path(onepass.__file__).parent / "gaze" / "data"
# What it cannot do, and what the user is told.
_CANNOT = {
    "output uint64": (UnsupportedModelError, r"output 'y' is uint64, which tensorrt_rtx .* does not support"),
    "input uint64": (UnsupportedModelError, r"input 'x' is uint64, which tensorrt_rtx .* does not support"),
    "output float8e4m3fn": (UnsupportedModelError, r"output 'y' is float8_e4m3fn, .* Cast it in the model"),
    "output float8e5m2": (UnsupportedModelError, r"output 'y' is float8_e5m2, .* Cast it in the model"),
    "class labels beside numbers": (
        UnsupportedModelError,
        r"output 'label' is a string tensor, which GPUs do not support",
    ),
    **dict.fromkeys(
        ("strings", "strings [M]", "strings [A, B]"),
        (UnsupportedModelError, r"input 's' is a string tensor, which GPUs do not support"),
    ),
    "data-dependent shape": (BuildError, r"node NonZero_where \(NonZero\): "),
}


@pytest.fixture(scope="module")
def rtx() -> Flavor:
    """TensorRT-RTX."""
    return find_flavor("tensorrt_rtx")


@pytest.fixture(scope="module")
def elg() -> OnnxGraph:
    """The small eye network: input eye [N, 1, 36, 60]."""
    return OnnxGraph.load(_DATA / PACKAGED_MODELS["small"])


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_zoo(rtx: Flavor, animal: Animal, capfd: pytest.CaptureFixture[str]) -> None:
    """Every model builds with its names, order and dtypes, or is refused in a sentence; nothing is printed."""
    if animal.name in _CANNOT:
        kind, message = _CANNOT[animal.name]
        with pytest.raises(kind, match=message):
            plan_from_graph(animal.graph, options_for(animal, first_rank=True), flavor=rtx)
    else:
        plan = plan_from_graph(animal.graph, options_for(animal, first_rank=True), flavor=rtx)
        assert plan.signature.output_names == animal.graph.signature.output_names
        assert [s.dtype for s in plan.signature.outputs] == [s.dtype for s in animal.graph.signature.outputs]
        assert [s.dtype for s in plan.signature.inputs] == [s.dtype for s in animal.graph.signature.inputs]
        assert format_of(bytes(plan.engine_bytes())) is Format.ENGINE
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("animal", [a for a in ZOO if a.name not in _CANNOT], ids=lambda animal: animal.name)
def test_names_in_the_engine(rtx: Flavor, animal: Animal) -> None:
    """The network's tensors have the names that the plan says, each once, and the dtypes."""
    profiles = profiles_from_options(animal.graph.signature, options_for(animal, first_rank=True))
    graph = animal.graph.select(animal.graph.signature.output_names)  # each once
    prepared = prepare(graph, rtx, profiles[0])
    builder = rtx.module.Builder(get_logger(rtx))
    network, parser, named = parse(rtx, builder, prepared)
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    tensors += [network.get_output(i) for i in range(network.num_outputs)]
    names = [edge.tensor for edge in (*named.inputs, *named.outputs)]
    assert [tensor.name for tensor in tensors] == names
    assert len(set(names)) == len(names)
    del parser


def test_a_loop_does_not_rename_an_input(rtx: Flavor) -> None:
    """The parser gives an input the name that it has inside a loop; in the engine it has its own again."""
    plan = plan_from_graph(BY_NAME["a loop that shadows an output"].graph, BuildOptions(), flavor=rtx)
    assert [edge.tensor for edge in plan.inputs] == ["n", "go", "x"]


@pytest.mark.parametrize("options", [
    {"batch": 2}, {"batch": (1, 8, 64)}, {"batch": 2, "precision": "fp16"}, {"batch": (1, 8, 64), "precision": "fp16"},
    {"batch": 2, "precision": "bf16"}, {"batch": 2, "precision": "fp16", "reduced_io": True},
    {"shapes": [{"eye": (1, 1, 1)}, {"eye": (2, 8, 16)}]}, {"sizes": {"N": (1, 2, 4)}},
    {"batch": 2, "workspace_bytes": 64 << 20}, {"batch": 2, "optimization_level": 0}, {"batch": 2, "tf32": True},
 {"batch": 2, "target_sm": ["8.9", "sm120"]},
    {"batch": 2, "tactic_sources": ["edge_mask_convolutions"]}, {"batch": 2, "outputs": ["radius", "heatmaps"]},
], ids=str)  # fmt: skip
def test_eye_network(rtx: Flavor, elg: OnnxGraph, options: dict[str, object]) -> None:
    """The network builds with each option, and the plan says what came of it."""
    chosen = BuildOptions(**options)  # type: ignore[arg-type]
    plan = plan_from_graph(elg, chosen, flavor=rtx)
    assert plan.signature.output_names == (chosen.outputs or ("heatmaps", "landmarks", "radius"))
    assert len(plan.profiles) == max(len(chosen.shapes), 1)
    kind = chosen.reduced_type
    assert kind is None or plan.layer_types[kind] > plan.layer_types["fp32"]
    assert plan.layer_types.keys() == {"fp32", kind} - {None}
    wanted = np.dtype(np.float16 if chosen.reduced_io else np.float32)
    assert {spec.dtype for spec in (*plan.signature.inputs, *plan.signature.outputs)} == {wanted}
    assert plan.compute_capability == (",".join(chosen.target_sm) or None)


@pytest.mark.parametrize("option", ["strip", "refit"])
def test_weights_left_out(rtx: Flavor, option: str) -> None:
    """Weights can be left out, or replaceable (of networks with convolutions only where there is a GPU)."""
    options = BuildOptions(batch=2, **{option: True})  # type: ignore[arg-type]
    assert plan_from_graph(BY_NAME["two inputs, one batch"].graph, options, flavor=rtx).options[option] is True


def test_weights_in_a_network(rtx: Flavor, elg: OnnxGraph) -> None:
    """The layers of the parsed network have every number of the weights, where refitting asks for it."""
    prepared = prepare(elg, rtx, profiles_from_options(elg.signature, BuildOptions(batch=2))[0])
    builder = rtx.module.Builder(get_logger(rtx))
    network, parser, _ = parse(rtx, builder, prepared)
    found = dict(weights_of(rtx, network))
    kernels = [values for place, values in found.items() if place.role == "KERNEL"]
    convolutions = [node for node in elg.proto.graph.node if node.op_type == "Conv"]
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in elg.proto.graph.initializer}
    assert len(kernels) == len(convolutions)
    for node, values in zip(convolutions, kernels, strict=True):
        np.testing.assert_array_equal(values.reshape(weights[node.input[1]].shape), weights[node.input[1]])
    assert {place.role for place in found} >= {"KERNEL", "BIAS", "CONSTANT"}
    del parser


def test_default_eye_network(rtx: Flavor) -> None:
    """The default network builds in float16 and keeps its tails in float32."""
    graph = OnnxGraph.load(_DATA / PACKAGED_MODELS["default"])
    plan = plan_from_graph(graph, BuildOptions(batch=2, precision="fp16"), flavor=rtx)
    assert plan.layer_types["fp16"] > 100
    assert plan.layer_types["fp32"] > 10


def test_all_tensors_as_outputs(rtx: Flavor) -> None:
    """Inner tensors become outputs, behind the model's own."""
    graph = model("(float[N] x) => (float[N] y) { h = Abs (x) \n y = Neg (h) }")
    plan = plan_from_graph(graph, BuildOptions(batch=2, mark_all_outputs=True), flavor=rtx)
    assert plan.signature.output_names == ("y", "h")
    plan = plan_from_graph(graph, BuildOptions(batch=2, outputs=["h"]), flavor=rtx)
    assert plan.signature.output_names == ("h",)


def test_external_weights(rtx: Flavor, tmp_path: Path) -> None:
    """Weights that lie beside the model are found, in float32 and when they are reduced."""
    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    graph = model("(float[N, 64] x, float[64, 64] w) => (float[N, 64] y) { h = MatMul (x, w) \n y = MatMul (h, w) }")
    graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    del graph.proto.graph.input[1]
    onnx.save(graph.proto, str(tmp_path / "m.onnx"), save_as_external_data=True, size_threshold=0, location="w.bin")
    for precision in ("fp32", "fp16"):
        plan = onepass.build(tmp_path / "m.onnx", batch=2, precision=precision, flavor="tensorrt_rtx")
        assert plan.signature.output_names == ("y",)


# ---- errors ------------------------------------------------------------------------------------------------------


def test_every_problem_of_the_parser_is_told(rtx: Flavor) -> None:
    """Operators that the parser lacks are all named, not the first alone; its log is in the exception."""
    graph = model("(float[N, 4] x) => (int64[2, K] a, float[N, 4] b) { a = NonZero (x) \n b = Bernoulli (x) }")
    with pytest.raises(BuildError) as caught:
        plan_from_graph(graph, BuildOptions(batch=2), flavor=rtx)
    assert "NonZero" in str(caught.value)
    assert "Bernoulli" in str(caught.value)
    assert "(opset 17)" in str(caught.value)
    assert "[ERROR]" in caught.value.log


@pytest.mark.skipif(current_gpu() is not None, reason="needs a machine without a GPU, where such a build fails")
def test_a_failed_build_has_the_log(rtx: Flavor, elg: OnnxGraph) -> None:
    """What TensorRT says when a build fails is in the message, and all of its log in the exception."""
    with pytest.raises(BuildError, match=r"failed to build the engine:\n\[ERROR\] IBuilder") as caught:
        plan_from_graph(elg, BuildOptions(batch=2, refit=True), flavor=rtx)
    assert "[ERROR] IBuilder::buildSerializedNetwork" in caught.value.log


@pytest.mark.parametrize(("options", "message"), [
    ({"timing_cache": Path("x")}, r"does not support timing_cache; supported by TensorRT \(not TensorRT-RTX"),
    ({"hardware_compatible": "ampere_plus"}, "does not support hardware_compatible; supported by TensorRT 8.6"),
    ({"version_compatible": True}, "does not support version_compatible; supported by TensorRT 8.6"),
    ({"tactic_sources": ["CUBLAS"]}, "does not support CUBLAS; supported: EDGE_MASK_CONVOLUTIONS"),
    ({"target_sm": "9.0"}, "does not support SM90; supported: SM75"),
    ({"precision": "int8"}, "requires QuantizeLinear and DequantizeLinear nodes"),
    ({"precision": "fp16", "keep_float32": ["radios"]}, "no node or tensor 'radios'. Did you mean 'radius'"),
    ({"shapes": {"eyes": 2}}, "no input 'eyes'. Did you mean 'eye'"),
])  # fmt: skip
def test_refused_options(elg: OnnxGraph, options: dict[str, object], message: str) -> None:
    """An option that this TensorRT, or this model, does not have is an error that says who has it."""
    with pytest.raises((InputError, UnsupportedModelError), match=message):
        onepass.build(elg, **{"batch": 2, "flavor": "tensorrt_rtx", **options})  # type: ignore[arg-type]


def test_nothing_to_reduce(rtx: Flavor) -> None:
    """Reduced precision that would change nothing is an error, not a float32 engine without a word."""
    with pytest.raises(UnsupportedModelError, match="has no effect on this model"):
        plan_from_graph(BY_NAME["three heads"].graph, BuildOptions(batch=2, precision="fp16"), flavor=rtx)


@pytest.mark.parametrize(("text", "sentence"), [
    (("(float[1, 6, 4] b, float[1, 2, 6] s) => (int64[K, 3] kept) <int64 m = {9}, float o = {0.5}> "
     "{ kept = NonMaxSuppression (b, s, m, o) }"),
     r"has no kernel for node NonMaxSuppression_kept \(NonMaxSuppression\)"),
    ("(float[2, 4] x) => (int64[2, K] y) { y = NonZero (x) }",
     r"has no NonZero, which node NonZero_y \(NonZero\) needs; full TensorRT has it"),
    (("(float[2, 4] x, bool c) => (int64[2, K] y) {"
     " y = If (c) <then_branch = t () => (int64[2, K] a) { a = NonZero (x) },"
     " else_branch = e () => (int64[2, L] d) { h = Neg (x) \n d = NonZero (h) }> }"),
     r"has no NonZero, which node of a \(NonZero\) needs"),
    (("(float[2, 4] x, bool c) => (float y) { y = If (c) <then_branch = t () => (float[2, 4] a) { a = Relu (x) },"
     " else_branch = e () => (float[8] d) <int64[1] s = {8}> { d = Reshape (x, s) }> }"),
     r"requires the same rank in both branches; the ranks of node If_y \(If\) differ"),
    ("(float[1, 1, 8, 8] x, float[4] ratio) => (float[1, 1, H, W] y) { y = Resize <mode = \"nearest\"> (x, , ratio) }",
     r"Input 'ratio' determines shapes, for which tensorrt_rtx .* supports only integers.* let the model take sizes"),
], ids=["NMS", "NonZero", "NonZero in a branch", "ranks of branches", "scales"])  # fmt: skip
def test_what_it_cannot_build(rtx: Flavor, text: str, sentence: str) -> None:
    """The message ends in a sentence with flavour and node, or input, whatever TensorRT's own words are."""
    graph = OnnxGraph(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> g {text}'))
    with pytest.raises(BuildError, match=sentence) as caught:
        plan_from_graph(graph, BuildOptions(), flavor=rtx)
    assert str(caught.value).splitlines()[-1].startswith(("tensorrt_rtx", "Input 'ratio'"))


def test_a_plugin_that_is_not_there(rtx: Flavor) -> None:
    """An operator of nobody's is named with its plugin; TensorRT's own words of it are left out."""
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17, "TRT" : 1]> g (float[2, 4] x) => (float[2, 4] y)'
        ' { h = Relu (x) \n y = TRT.EfficientNMS_TRT <plugin_version = "1"> (h) }'
    )
    assert Plugin("ROIAlign_TRT", "2") in registered(rtx)
    with pytest.raises(
        BuildError, match=r"\(EfficientNMS_TRT\) needs the plugin EfficientNMS_TRT, version 1"
    ) as caught:
        plan_from_graph(OnnxGraph(proto), BuildOptions(), flavor=rtx)
    assert "Plugin not found" not in str(caught.value)


# ---- progress ----------------------------------------------------------------------------------------------------


def test_progress(rtx: Flavor, elg: OnnxGraph) -> None:
    """A build tells how far it is, from another thread, and never goes back much or beyond the end."""
    steps: list[Step] = []
    threads = set()

    def follow(step: Step) -> None:
        steps.append(step)
        threads.add(threading.current_thread())

    plan_from_graph(elg, BuildOptions(batch=2), flavor=rtx, progress=follow)
    assert len(steps) > 10
    assert all(0 <= step.fraction <= 1 for step in steps)
    assert any(len(step.phases) > 1 for step in steps)
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_build_that_is_stopped_leaves_nothing(tmp_path: Path, elg: OnnxGraph, error: type[BaseException]) -> None:
    """What the progress raises ends the build and comes out of it; no file is there, and the next build works."""

    def stop(step: Step) -> None:
        raise error

    with pytest.raises(error):
        onepass.build(elg, tmp_path / "elg.engine", batch=2, flavor="tensorrt_rtx", progress=stop)
    assert list(tmp_path.iterdir()) == []
    assert isinstance(onepass.build(elg, batch=2, flavor="tensorrt_rtx"), Plan)


def _interrupt_main() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_ctrl_c(rtx: Flavor, elg: OnnxGraph) -> None:
    """A Ctrl-C in the waiting thread stops the build itself before it comes out."""
    asked = threading.Event()

    def interrupt(_: Step) -> None:
        if not asked.is_set():
            asked.set()
            _interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        plan_from_graph(elg, BuildOptions(batch=2), flavor=rtx, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name == "onepass-build"]


def test_ctrl_c_is_waited_for() -> None:
    """Work that stops when it is told has ended when the Ctrl-C comes out, however long it takes to stop."""
    watch, ended = Watch(None), []

    def work() -> None:
        _interrupt_main()
        while watch.step("", 0):
            time.sleep(0.001)
        time.sleep(0.1)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(work, watch, stops=True)
    assert ended == [True]


_IMPATIENT = """
import os, signal, sys, onepass
from onepass.builder import _build
stoppable = _build.run_stoppable
_build.run_stoppable = lambda work, watch, *, stops: stoppable(work, watch, stops=False)
struck = []
def strike(step):
    if not struck:
        struck.append(os.kill(os.getpid(), signal.SIGINT))
try:
    onepass.build(sys.argv[1], batch=2, flavor="tensorrt_rtx", progress=strike)
except KeyboardInterrupt:
    print("left")
"""


def test_a_build_that_was_left_does_not_abort_the_process() -> None:
    """A process may end while TensorRT still builds what nobody waits for any more."""
    command = [sys.executable, "-c", _IMPATIENT, str(_DATA / PACKAGED_MODELS["small"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


_CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "onnx"
_CRASHES = {
    "node-without-outputs": ModelFormatError, "loop-without-outputs": ModelFormatError,
    "function-calls-itself-by-name": ModelFormatError, "function-calls-itself-in-a-circle": ModelFormatError,
    "loop-with-300-inputs": ModelFormatError, "topk-of-floats": BuildError, "constantofshape-of-floats": BuildError,
}  # fmt: skip


@pytest.mark.parametrize("name", _CRASHES)
def test_what_ends_the_parser_is_an_error(rtx: Flavor, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Models that end the process in TensorRT's parser are refused before, or parsed in a process of its own."""
    proto = onnx.ModelProto.FromString((_CORPUS / f"{name}.onnx").read_bytes())
    graph = OnnxGraph(proto)  # as a program may hand it in
    kind = _CRASHES[name]
    message = (
        "is not a valid ONNX model" if kind is ModelFormatError else r"its parser crashed with SIGSEGV .* ONNX reports"
    )
    with pytest.raises(kind, match=message):
        plan_from_graph(graph, BuildOptions(batch=1), flavor=rtx)
    assert capfd.readouterr() == ("", "")
