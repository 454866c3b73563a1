"""Builds against the stand-ins of TensorRT 8.5, 10 and 11: flags, constraints, profiles, the cache."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import (
    BuildError,
    BuildOptions,
    InputError,
    MissingExtraError,
    OnnxGraph,
    Plan,
    ShapeRange,
    UnsupportedModelError,
)
from onepass.builder._cache import cache_key, cached
from onepass.builder._config import configure
from onepass.builder._constraints import keep_layers_float32
from onepass.builder._layers import check_precision
from onepass.builder._profiles import profiles_from_options
from onepass.builder.options import parse_range, parse_shapes
from onepass.engine import (
    cache_entries,
    clear_cache,
    find_builder,
    find_flavor,
    find_flavors,
    plan_from_graph,
)
from onepass.engine.layers import Layer, layers_of_engine
from onepass.engine.log import get_logger
from onepass.tensors import Signature, TensorSpec
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.runtime.gpu import fake_gpu, options_for
from tests.zoo import BY_NAME, ZOO, Animal, model

_THREE = BY_NAME["three heads"].graph


# ---- the TensorRT that builds --------------------------------------------------------------------------------------


def test_no_tensorrt() -> None:
    """Without any TensorRT the message says what to install; a wrong name lists the right ones."""
    with installed():
        assert find_flavors() == ()
        with pytest.raises(MissingExtraError, match=r"pip install tensorrt .* pip install 'onepass\[rtx\]'"):
            onepass.build(_THREE, batch=2)
        with pytest.raises(MissingExtraError, match=r"'tensorrt_rtx' is not installed. Install it with"):
            find_flavor("tensorrt_rtx")
    with pytest.raises(InputError, match="no flavour of TensorRT called 'trt'"):
        find_flavor("trt")


@pytest.mark.parametrize("api", ["lean-11.4.0", "dispatch-11.4.0"])
def test_no_builder(api: str) -> None:
    """The runtimes that only run engines say so."""
    with installed(make_tensorrt(api)), pytest.raises(BuildError, match="runs engines and cannot build any"):
        find_builder()


def test_a_builder_behind_a_runtime() -> None:
    """Where only one of two can build, that one is taken."""
    with installed(make_tensorrt("lean-11.4.0"), make_tensorrt("rtx-1.7.1")):
        assert find_builder().name == "tensorrt_rtx"


# ---- the zoo, on every version -----------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["8.5.3", "10.0.1", "10.16.1", "11.4.0"])
@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_zoo(api: str, animal: Animal) -> None:
    """Every model builds on every version, in its order and with its dtypes, or is refused for a dtype."""
    refused = {"output uint64", "input uint64", "output float8e4m3fn", "output float8e5m2"}
    refused |= {"output uint32", "input uint32"} if api == "8.5.3" else set()
    with installed(make_tensorrt(api)):
        if animal.name in refused:
            with pytest.raises(UnsupportedModelError, match="cannot hold at an engine's edge"):
                plan_from_graph(animal.graph, options_for(animal, first_rank=True))
            return
        plan = plan_from_graph(animal.graph, options_for(animal, first_rank=True))
    assert [(s.name, s.dtype) for s in plan.signature.outputs] == [
        (s.name, s.dtype) for s in animal.graph.signature.outputs
    ]
    names = [edge.tensor for edge in (*plan.inputs, *plan.outputs)]
    assert len(set(names)) == len(names)


def test_carriers() -> None:
    """What a version lacks is carried in a type that holds every value of it."""
    with installed(make_tensorrt("8.5.3")):
        plan = plan_from_graph(BY_NAME["outputs that are inputs"].graph, BuildOptions(batch=2))
    assert [(edge.spec.name, edge.tensor, edge.carrier.name) for edge in (*plan.inputs, *plan.outputs)] == [
        ("x", "x", "float32"), ("id", "id", "int32"),
        ("x", "x__out", "float32"), ("y", "y", "float32"), ("id", "id__out", "int32"),
    ]  # fmt: skip
    assert plan.signature == BY_NAME["outputs that are inputs"].graph.signature


def test_names_never_collide() -> None:
    """An output that is an input has its own values, even beside a tensor of the name that its copy would get."""
    graph = model("(float[N] x) => (float[N] x, float[N] y) { x__out = Neg (x) \n y = Neg (x__out) }")
    with fake_gpu("11.4.0"):
        plan = plan_from_graph(graph, BuildOptions(batch=2))
        with onepass.load(plan) as session:
            outputs = session(x=np.array([1, -2], np.float32))
            assert list(outputs) == ["x", "y"]
            assert outputs["x"].tolist() == outputs["y"].tolist() == [1, -2]
        del outputs
    assert len({edge.tensor for edge in (*plan.inputs, *plan.outputs)}) == 3


@pytest.mark.parametrize("text", [
    "(int16[N] x) => (int16[N] y) { y = Add (x, x) }", "(double[N] x) => (double[N] y) { y = Neg (x) }",
    "(double[N] x) => (float16[N] y) { y = Cast <to = 10> (x) }",
    "(int64[N] x) => (double[N] y) { y = Cast <to = 11> (x) }",
])  # fmt: skip
def test_casts_that_would_not_be_exact(text: str) -> None:
    """A model that computes in a type TensorRT lacks, or would be rounded twice, is refused."""
    with installed(make_tensorrt("11.4.0")), pytest.raises(UnsupportedModelError, match=r"put 'x|put 'y"):
        plan_from_graph(model(text), BuildOptions(batch=2))


def test_unknown_rank_needs_a_shape() -> None:
    """An input without a rank gets that of the shape it is built for; without a shape it is refused."""
    graph = BY_NAME["unknown rank"].graph
    with installed(make_tensorrt("11.4.0")):
        assert plan_from_graph(graph, BuildOptions(shapes={"x": (2, 3)})).inputs[0].spec.shape == (None, None)
        with pytest.raises(InputError, match="does not say the rank of input 'x'"):
            plan_from_graph(graph, BuildOptions(batch=2))


def test_values_that_shape() -> None:
    """An input whose values shape others needs a range of them where TensorRT asks for it."""
    with installed(make_tensorrt("8.5.3")):
        graph = model("(float[2] x, int64[2] to) => (float[A, B] y) { y = Expand (x, to) }")
        plan = plan_from_graph(graph, BuildOptions(values={"to": ((1, 2), (4, 2), (8, 2))}))
    assert plan.profiles[0].values["to"] == ShapeRange((1, 2), (4, 2), (8, 2))


# ---- configuration -----------------------------------------------------------------------------------------------


def _configured(api: str, **options: Any) -> tuple[Any, Any]:
    trt = make_tensorrt(api)
    with installed(trt):
        flavor = find_flavor()
        return trt, configure(flavor, trt.Builder(get_logger(flavor)), BuildOptions(**options))


def test_flags_of_8_5() -> None:
    """Half precision is a flag, and obeying is another; TF32 is off unless asked for; the rest is as told."""
    trt, config = _configured(
        "8.5.3", precision=("fp16", "int8"), workspace_bytes=3000 << 20, refit=True,
        tactic_sources=["cublas", "CUBLAS_LT", "EDGE_MASK_CONVOLUTIONS"],
    )  # fmt: skip
    flags = {name for name in trt.BuilderFlag.__members__ if config.get_flag(getattr(trt.BuilderFlag, name))}
    assert flags == {"FP16", "INT8", "REFIT", "OBEY_PRECISION_CONSTRAINTS"}
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 3000 << 20
    sources = {
        name
        for name in trt.TacticSource.__members__
        if config.get_tactic_sources() >> int(getattr(trt.TacticSource, name)) & 1
    }
    assert sources == {"CUBLAS", "CUBLAS_LT", "EDGE_MASK_CONVOLUTIONS"}
    trt, config = _configured("8.5.3", tf32=True)
    assert config.get_flag(trt.BuilderFlag.TF32)


def test_flags_of_10() -> None:
    """What came with version 10 is set there."""
    trt, config = _configured(
        "10.16.1", precision="bf16", strip=True, version_compatible=True, optimization_level=5,
        hardware_compatible="same_compute_capability",
    )  # fmt: skip
    flags = {name for name in trt.BuilderFlag.__members__ if config.get_flag(getattr(trt.BuilderFlag, name))}
    assert flags == {"BF16", "STRIP_PLAN", "VERSION_COMPATIBLE", "OBEY_PRECISION_CONSTRAINTS"}
    assert config.builder_optimization_level == 5
    assert config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY


@pytest.mark.parametrize(("api", "options", "message"), [
    ("8.5.3", {"precision": "bf16"}, "has no option bf16; TensorRT 9 and later"),
    ("8.5.3", {"optimization_level": 3}, "has no option optimization_level; TensorRT 8.6"),
    ("8.5.3", {"strip": True}, "has no option strip; TensorRT 10 and later"),
    ("8.5.3", {"hardware_compatible": "ampere_plus"}, "has no option hardware_compatible"),
    ("10.0.1", {"hardware_compatible": "same_compute_capability"}, "10.9 and later"),
    ("11.4.0", {"tactic_sources": ["CUDNN"]}, "has no CUDNN; it has"),
    ("11.4.0", {"target_sm": "8.9"}, "has no option target_sm; TensorRT-RTX has it"),
])  # fmt: skip
def test_options_that_a_version_lacks(api: str, options: dict[str, Any], message: str) -> None:
    """They are refused, and who has them is said."""
    with installed(make_tensorrt(api)), pytest.raises(InputError, match=message):
        plan_from_graph(_THREE, BuildOptions(batch=2, **options))


def test_timing_cache(tmp_path: Path) -> None:
    """Measurements are written, and read again; a foreign file is refused and left as it is."""
    file = tmp_path / "timing.cache"
    with installed(make_tensorrt("8.5.3")):
        plan_from_graph(_THREE, BuildOptions(batch=2, timing_cache=file))
        first = file.read_bytes()
        plan_from_graph(_THREE, BuildOptions(batch=2, timing_cache=file))
        assert first
    file.write_bytes(b"something else")
    with installed(make_tensorrt("8.5.3")), pytest.raises(BuildError, match=r"timing\.cache is no timing cache"):
        plan_from_graph(_THREE, BuildOptions(batch=2, timing_cache=file))
    assert file.read_bytes() == b"something else"


# ---- layers that stay float32 ------------------------------------------------------------------------------------


class _Layer:
    """One layer of a network as version 8.5 or 10 shows it."""

    def __init__(self, name: str, reads: str, makes: str, *, kind: str = "ELEMENTWISE", dtype: str = "FLOAT") -> None:
        self.name, self.type = name, SimpleNamespace(name=kind)
        self.metadata = ""
        self._in, self._out = (
            SimpleNamespace(name=reads),
            SimpleNamespace(name=makes, dtype=SimpleNamespace(name=dtype)),
        )
        self.num_inputs = self.num_outputs = 1
        self.precision: Any = None
        self.output_type: Any = None

    def get_input(self, index: int) -> Any:
        return self._in

    def get_output(self, index: int) -> Any:
        return self._out

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.output_type = dtype


def test_layers_held_in_float32() -> None:
    """Layers of kept nodes are held by name, number or metadata; so are nameless ones between; the others are not."""
    trt = make_tensorrt("8.5.3")
    layers = [
        _Layer("conv_1", "x", "a"), _Layer("conv_10", "a", "b"), _Layer("(Unnamed Layer* 2) [Shuffle]", "b", "c"),
        _Layer("soft", "c", "d"), _Layer("soft_7", "d", "e"), _Layer("other", "e", "f"), _Layer("cast", "f", "g"),
        _Layer("index", "e", "h", dtype="INT32"),
    ]  # fmt: skip
    layers[5].metadata, layers[6].type.name = "[ONNX Layer: sum]", "CAST"
    network = SimpleNamespace(num_layers=len(layers), get_layer=lambda index: layers[index])
    with installed(trt):
        nodes = {"conv_1", "conv_10", "soft", "sum", "cast", "index"}
        assert keep_layers_float32(find_flavor(), network, nodes, {"soft", "sum", "cast", "index"}) == 4
    assert [layer.precision is not None for layer in layers] == [False, False, True, True, True, True, False, False]
    assert all(layer.precision == layer.output_type for layer in layers)


def test_precision_is_read_back() -> None:
    """The inspector's words become types; a precision that no layer has is an error."""
    text = json.dumps({"Layers": [
        {"Name": "a", "LayerType": "Conv", "Inputs": [{"Format/Datatype": "Row major linear FP32"}],
         "Outputs": [{"Format/Datatype": "Two wide channel vectorized row major FP16 format"}]},
        {"Name": "b", "LayerType": "Relu", "Inputs": [], "Outputs": [{"Format/Datatype": "Row major Int8 format"}]},
        "c",
    ]})  # fmt: skip
    inspector = SimpleNamespace(get_engine_information=lambda form: text)
    with installed(make_tensorrt("8.5.3")):
        flavor = find_flavor()
        layers = layers_of_engine(flavor, SimpleNamespace(create_engine_inspector=lambda: inspector))
        assert layers == [Layer("a", "Conv", ("fp16", "fp32")), Layer("b", "Relu", ("int8",)), Layer("c", "", ())]
        with pytest.raises(BuildError, match=r"fp16 was asked for, but .* built no layer in it \(3 in fp32\)"):
            check_precision(flavor, "fp16", {"fp32": 3})
        check_precision(flavor, "fp16", {"fp16": 1, "fp32": 3})


# ---- shapes ------------------------------------------------------------------------------------------------------

_NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(tuple)


@given(
    low=_NUMBERS,
    more=st.lists(st.integers(0, 9), min_size=8, max_size=8),
    name=st.from_regex(r"[a-z][a-z:0/ü ]{0,8}", fullmatch=True),
)
def test_shapes_as_written(low: tuple[int, ...], more: list[int], name: str) -> None:
    """What a range prints is what the parser reads, under any name."""
    best = tuple(a + b for a, b in zip(low, more[:4], strict=False))
    high = tuple(a + b for a, b in zip(best, more[4:], strict=False))
    name = name.strip()
    wanted = ShapeRange(low, best, high)
    assert parse_range(str(wanted)) == wanted
    assert parse_shapes(f"{name}={wanted}") == {name: wanted}
    assert all(wanted.contains(shape) for shape in (low, best, high))
    assert not wanted.contains((*low, 1))
    assert ShapeRange.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_shapes_of_trtexec() -> None:
    """Several inputs, trtexec's colon, and a name that has one."""
    assert parse_shapes("a:2x3,b=1:2:4") == {"a": parse_range("2x3"), "b": parse_range("1:2:4")}
    assert list(parse_shapes("x:0=1x2:2x2:3x2")) == ["x:0"]
    for wrong in ("eye", "eye=1:2", "eye=ax2", "a=1,a=2", "eye=3:2:1"):
        with pytest.raises(InputError):
            parse_shapes(wrong)


_EYE = Signature(
    (TensorSpec("eye", np.dtype(np.float32), ("N", 1, 36, 60)), TensorSpec("k", np.dtype(np.float32), (3,))), ()
)


@pytest.mark.parametrize("options", [
    {"batch": (1, 8, 64)}, {"sizes": {"N": (1, 8, 64)}}, {"shapes": {"eye": (1, 8, 64)}},
    {"shapes": {"eye": ShapeRange((1,), (8,), (64,))}},
    {"shapes": {"eye": ((1, 1, 36, 60), (8, 1, 36, 60), (64, 1, 36, 60))}},
], ids=str)  # fmt: skip
def test_ways_to_say_a_shape(options: dict[str, Any]) -> None:
    """Batch, dimension, short and long form mean the same; a fixed input needs none."""
    (profile,) = profiles_from_options(_EYE, BuildOptions(**options))
    assert profile.shapes["eye"] == ShapeRange((1, 1, 36, 60), (8, 1, 36, 60), (64, 1, 36, 60))
    assert profile.shapes["k"] == ShapeRange((3,), (3,), (3,))


@pytest.mark.parametrize(("options", "message"), [
    ({}, r"input 'eye' has dynamic sizes .* batch=\(1, 8, 64\), or shapes=\{'eye': \(\(1, 1, 36, 60\), \(8,"),
    ({"batch": (3, 2, 1)}, "least <= best <= greatest"),
    ({"sizes": {"M": 1}}, "no dynamic dimension 'M'"), ({"shapes": {"eye": (2, 1, 36, 61)}}, "does not fit"),
    ({"batch": ((1, 2), (1, 2), (1, 2))}, "more than one dimension"), ({"batch": (1, 2)}, "is no range"),
])  # fmt: skip
def test_wrong_shapes(options: dict[str, Any], message: str) -> None:
    """A shape that the model cannot have is refused by name."""
    with pytest.raises(InputError, match=message):
        profiles_from_options(_EYE, BuildOptions(**options))


def test_an_ambiguous_shape() -> None:
    """Three numbers for an input of rank three may mean two things: it is asked which."""
    signature = Signature((TensorSpec("x", np.dtype(np.float32), ("N", 8, 64)),), ())
    with pytest.raises(InputError, match="may be one shape, or least, best and greatest"):
        profiles_from_options(signature, BuildOptions(shapes={"x": (1, 8, 64)}))


@pytest.mark.parametrize("options", [
    {"precision": "fp4"}, {"precision": ("fp16", "bf16")}, {"workspace_bytes": 0}, {"optimization_level": 6},
    {"hardware_compatible": "all"}, {"reduced_io": True}, {"keep_float32": ["x"]}, {"outputs": []},
    {"target_sm": "new"},
], ids=str)  # fmt: skip
def test_wrong_options(options: dict[str, Any]) -> None:
    """Options are checked when they are made."""
    with pytest.raises(InputError):
        BuildOptions(**options)


# ---- what is built, and where to --------------------------------------------------------------------------------


def test_no_such_folder(tmp_path: Path) -> None:
    """Where the engine cannot be written is said before it is built."""
    with installed(make_tensorrt("11.4.0")), pytest.raises(InputError, match="there is no such folder"):
        onepass.build(_THREE, tmp_path / "no" / "a.engine", batch=2)


def test_models_of_every_form(tmp_path: Path) -> None:
    """A path, bytes and a graph give the same engine; anything else is refused."""
    _THREE.save(tmp_path / "m.onnx")
    with installed(make_tensorrt("11.4.0")):
        plans = [onepass.build(m, batch=2) for m in (tmp_path / "m.onnx", _THREE.to_bytes(), _THREE)]
        assert len({p.engine_bytes() for p in plans}) == 1
        with pytest.raises(InputError, match="a model is a path"):
            onepass.build(3, batch=2)  # type: ignore[arg-type]


# ---- the cache ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


def test_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same build comes from the cache, a damaged entry is built again, and clearing frees all."""
    with installed(make_tensorrt("11.4.0")):
        first = onepass.build(_THREE, tmp_path / "a.engine", batch=2, cache=True)
        second = onepass.build(_THREE, batch=2, cache=True)
        assert first.build_seconds == second.build_seconds
        assert (tmp_path / "a.engine").read_bytes() == second.engine_bytes()
        (entry,) = cache_entries()
        (cache / entry.key / "model.engine").write_bytes(b"damaged")
        assert cache_entries() == []
        assert onepass.build(_THREE, batch=2, cache=True).engine_bytes() == first.engine_bytes()
    (cache / "keep.txt").write_text("not ours")
    assert clear_cache() > 0
    assert [file.name for file in cache.iterdir()] == ["keep.txt"]


def test_cache_key() -> None:
    """Model, options, TensorRT: each makes another key; how measurements are kept does not."""
    with installed(make_tensorrt("10.16.1"), make_tensorrt("rtx-1.7.1")):
        one, two = find_flavors()
    options = BuildOptions(batch=2)
    keys = [cache_key("a", options, one), cache_key("b", options, one), cache_key("a", BuildOptions(batch=3), one),
            cache_key("a", options, two)]  # fmt: skip
    assert len(set(keys)) == 4
    assert cache_key("a", BuildOptions(batch=2, timing_cache=Path("t")), one) == keys[0]


def test_external_weights_are_part_of_the_key(tmp_path: Path) -> None:
    """Other weights beside the same model file give another digest."""
    import onnx

    from onepass.builder._graph import digest_of

    digests = set()
    for index, value in enumerate((1.0, 2.0)):
        folder = tmp_path / str(index)
        folder.mkdir()
        graph = BY_NAME["an output that is a weight"].graph
        proto = onnx.ModelProto()
        proto.CopyFrom(graph.proto)
        proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.full(2, value, np.float32), "w"))
        onnx.save(proto, str(folder / "m.onnx"), save_as_external_data=True, size_threshold=0, location="w")
        digests.add(digest_of(OnnxGraph.load(folder / "m.onnx")))
    assert len(digests) == 2


def _wait_and_build(folder: Path, marks: Path, go: Any) -> None:
    def build() -> Plan:
        (marks / str(os.getpid())).touch()
        threading.Event().wait(0.3)
        with installed(make_tensorrt("11.4.0")):
            return plan_from_graph(_THREE, BuildOptions(batch=2))

    go.wait()
    cached("k" * 64, build, folder)


def test_two_builders_at_once(tmp_path: Path) -> None:
    """Of several processes that want the same engine, one builds it."""
    context = multiprocessing.get_context("spawn")
    marks, go = tmp_path / "marks", context.Event()
    marks.mkdir()
    workers = [context.Process(target=_wait_and_build, args=(tmp_path / "c", marks, go)) for _ in range(2)]
    for worker in workers:
        worker.start()
    go.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(list(marks.iterdir())) == 1
    assert len(cache_entries(tmp_path / "c")) == 1
