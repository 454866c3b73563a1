"""Builds against the stand-ins of TensorRT 8.5, 10 and 11: flags, carriers, profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import (
    BuildError,
    BuildOptions,
    InputError,
    MissingExtraError,
    OnepassWarning,
    ShapeRange,
    UnsupportedModelError,
)
from onepass.builder._config import configure
from onepass.builder._edges import prepare
from onepass.builder._profiles import profiles_from_options
from onepass.engine import (
    find_builder,
    find_flavor,
    find_flavors,
    plan_from_graph,
)
from onepass.engine.log import get_logger
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.runtime.gpu import fake_gpu, options_for
from tests.zoo import BY_NAME, ZOO, Animal, model, sequence_model

_THREE = BY_NAME["three heads"].graph


# ---- the TensorRT that builds --------------------------------------------------------------------------------------


def test_no_tensorrt() -> None:
    """Without any TensorRT the message says what to install; a wrong name lists the right ones."""
    with installed():
        assert find_flavors() == ()
        with pytest.raises(MissingExtraError, match=r"pip install tensorrt-cu.* pip install tensorrt-rtx-cu"):
            onepass.build(_THREE, batch=2)
        with pytest.raises(MissingExtraError, match=r"'tensorrt_rtx' is not installed. Install it with"):
            find_flavor("tensorrt_rtx")
    with pytest.raises(InputError, match="unknown TensorRT flavour 'trt'"):
        find_flavor("trt")


@pytest.mark.parametrize("api", ["lean-11.4.0", "dispatch-11.4.0"])
def test_no_builder(api: str) -> None:
    """The runtimes that only run engines say so."""
    with (
        installed(make_tensorrt(api)),
        pytest.raises(BuildError, match=r"runs engines but cannot build them. Install .* pip install tensorrt-cu"),
    ):
        find_builder()


def test_a_builder_behind_a_runtime() -> None:
    """Where only one of two can build, that one is taken."""
    with installed(make_tensorrt("lean-11.4.0"), make_tensorrt("rtx-1.7.1")):
        assert find_builder().name == "tensorrt_rtx"


# ---- the zoo, on every version -----------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["8.5.3", "10.0.1", "10.16.1", "11.4.0"])
@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_zoo(api: str, animal: Animal) -> None:
    """Every model builds on every version, in its order and with its dtypes, or is refused for a dtype by name."""
    refused = {"output uint64", "input uint64", "output float8e4m3fn", "output float8e5m2"}
    refused |= {"output uint32", "input uint32"} if api == "8.5.3" else set()
    refused |= {"class labels beside numbers", "strings", "strings [M]", "strings [A, B]"}
    with installed(make_tensorrt(api)):
        if animal.name in refused:
            with pytest.raises(
                UnsupportedModelError, match=r"does not support for inputs and outputs|is a string tensor"
            ):
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
        with pytest.raises(InputError, match="input 'x' has unknown rank"):
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
    ("8.5.3", {"precision": "bf16"}, "does not support bf16; supported by TensorRT 9 and later"),
    ("8.5.3", {"optimization_level": 3}, "does not support optimization_level; supported by TensorRT 8.6"),
    ("8.5.3", {"strip": True}, "does not support strip; supported by TensorRT 10 and later"),
    ("8.5.3", {"hardware_compatible": "ampere_plus"}, "does not support hardware_compatible"),
    ("10.0.1", {"hardware_compatible": "same_compute_capability"}, "10.9 and later"),
    ("11.4.0", {"tactic_sources": ["CUDNN"]}, "does not support CUDNN; supported:"),
    ("11.4.0", {"target_sm": "8.9"}, "does not support target_sm; supported by TensorRT-RTX"),
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
    with (
        installed(make_tensorrt("8.5.3")),
        pytest.raises(BuildError, match=r"cannot use the timing cache .*timing\.cache"),
    ):
        plan_from_graph(_THREE, BuildOptions(batch=2, timing_cache=file))
    assert file.read_bytes() == b"something else"


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
    with installed(make_tensorrt("11.4.0")), pytest.raises(InputError, match="the folder does not exist"):
        onepass.build(_THREE, tmp_path / "no" / "a.engine", batch=2)


def test_models_of_every_form(tmp_path: Path) -> None:
    """A path, bytes and a graph give the same engine; anything else is refused."""
    _THREE.save(tmp_path / "m.onnx")
    with installed(make_tensorrt("11.4.0")):
        plans = [onepass.build(m, batch=2) for m in (tmp_path / "m.onnx", _THREE.to_bytes(), _THREE)]
        assert len({p.engine_bytes() for p in plans}) == 1
        with pytest.raises(InputError, match="model: expected a path"):
            onepass.build(3, batch=2)  # type: ignore[arg-type]


def test_false_names_are_taken_away() -> None:
    """TensorRT takes sizes of one name to be equal, so ``?`` is no name when the model comes to it."""
    animal = BY_NAME["unknown sizes of one false name"]
    profile = profiles_from_options(animal.graph.signature, options_for(animal))[0]
    with installed(make_tensorrt("10.0.1")):
        prepared = prepare(animal.graph, find_builder(), profile)
    values = (*prepared.graph.proto.graph.input, *prepared.graph.proto.graph.output)
    assert not [dim.dim_param for value in values for dim in value.type.tensor_type.shape.dim if dim.dim_param]


def test_what_is_no_dense_tensor_is_left_out() -> None:
    """A sequence beside tensors is left out of the engine with a warning; what was chosen is built in silence."""
    with installed(make_tensorrt("10.0.1")):
        with pytest.warns(OnepassWarning, match=r"left out s \(sequence\)"):
            plan = plan_from_graph(sequence_model(), BuildOptions(batch=2))
        assert plan.signature.output_names == ("y", "z")
        assert plan_from_graph(sequence_model(), BuildOptions(batch=2, outputs=["z"])).signature.output_names == ("z",)
        with pytest.raises(UnsupportedModelError, match="'s' is a sequence"):
            plan_from_graph(sequence_model(), BuildOptions(batch=2, outputs=["s"]))
