"""Refit: an engine takes the weights of another model of the same layers; on stand-ins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import EngineError, InputError, ModelNotFoundError, OnnxGraph, Plan
from onepass.engine import BuildOptions, read_sidecar, refit, sidecar_path
from tests.runtime.gpu import BUILDERS, fake_gpu, plan_of
from tests.zoo import model

_STRIPS = [api for api in BUILDERS if api != "8.5.3"]
_X = np.random.default_rng(1).standard_normal((2, 3, 6, 6)).astype(np.float32)


def _network(seed: int, *, channels: int = 4, outputs: str = "float[N, 5] y, float[N, C, 6, 6] c") -> OnnxGraph:
    """Return a convolution with its bias, BatchNorm, a dense layer and a factor, with weights by a seed."""
    graph = model(
        f"(float[N, 3, 6, 6] x) => ({outputs}) {{"
        " h = Conv <pads = [1, 1, 1, 1]> (x, kernel, bias)"
        "\n n = BatchNormalization (h, gamma, beta, mean, variance) \n c = Relu (n)"
        "\n p = ReduceMean <axes = [2, 3], keepdims = 0> (c) \n d = MatMul (p, dense) \n y = Mul (d, factor) }",
        check=False,
    )
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (channels, 3, 3, 3), "dense": (channels, 5), "factor": (1,)}
    shapes |= dict.fromkeys(("bias", "gamma", "beta", "mean", "variance"), (channels,))
    for name, shape in shapes.items():
        values = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        graph.proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    graph.check()
    return graph


def _expected(graph: OnnxGraph) -> dict[str, Any]:
    with onepass.load(graph) as session:
        return dict(session(x=_X))


def _outputs(engine: Path | Plan, **options: Any) -> dict[str, Any]:
    with onepass.load(engine, **options) as session:
        return {name: array.copy() for name, array in session(x=_X).items()}


def _assert_near(found: dict[str, Any], expected: dict[str, Any], *, atol: float = 1e-4) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=atol)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("api", BUILDERS)
def test_outputs_follow_the_new_weights(api: str, precision: str) -> None:
    """Once refitted, an engine computes what the new model does, and takes others again; the old plan stays."""
    first, second = _network(1), _network(2)
    atol = 1e-4 if precision == "fp32" else 2e-2
    with fake_gpu(api):
        plan = plan_of(first, batch=(1, 2, 4), refit=True, precision=precision)
        other = plan.refit(second)
        _assert_near(_outputs(other), _expected(second), atol=atol)
        _assert_near(_outputs(plan), _expected(first), atol=atol)
        _assert_near(_outputs(other.refit(first)), _expected(first), atol=atol)
        assert (plan.onnx_sha256, plan.engine_sha256) != (other.onnx_sha256, other.engine_sha256)
        assert other.signature == plan.signature


@pytest.mark.parametrize("api", BUILDERS)
def test_weights_at_loading(api: str, tmp_path: Path) -> None:
    """`weights=` gives the session the weights of another file; the engine's own file stays as it is."""
    _network(1).save(tmp_path / "a.onnx")
    _network(2).save(tmp_path / "b.onnx")
    with fake_gpu(api):
        onepass.build(tmp_path / "a.onnx", tmp_path / "a.engine", batch=2, refit=True)
        before = (tmp_path / "a.engine").read_bytes()
        _assert_near(_outputs(tmp_path / "a.engine", weights=tmp_path / "b.onnx"), _expected(_network(2)))
        spec = onepass.ModelSpec(tmp_path / "a.engine", weights=tmp_path / "b.onnx")
        assert onepass.ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
        with onepass.load(spec) as session:
            assert session.signature.output_names == ("y", "c")
        assert (tmp_path / "a.engine").read_bytes() == before


@pytest.mark.parametrize("api", _STRIPS)
def test_stripped(api: str, tmp_path: Path) -> None:
    """An engine without weights does not run, says what to give, and takes the weights that it was built from."""
    _network(1).save(tmp_path / "a.onnx")
    with fake_gpu(api):
        onepass.build(tmp_path / "a.onnx", tmp_path / "a.engine", batch=2, strip=True)
        with pytest.raises(EngineError, match=r"a.engine was built without its weights .*weights='model.onnx'"):
            onepass.load(tmp_path / "a.engine")
        _assert_near(_outputs(tmp_path / "a.engine", weights=tmp_path / "a.onnx"), _expected(_network(1)))
        plan = refit(tmp_path / "a.engine", tmp_path / "a.onnx", tmp_path / "full.engine")
        assert "strip" not in plan.options
        _assert_near(_outputs(tmp_path / "full.engine"), _expected(_network(1)))
        _network(2).save(tmp_path / "b.onnx")
        with pytest.raises(
            InputError, match=r"accepts only the weights of the model that it was built from: .*refit=True"
        ):
            refit(tmp_path / "a.engine", tmp_path / "b.onnx")


@pytest.mark.parametrize("api", _STRIPS)
def test_stripped_and_refittable(api: str) -> None:
    """Built with both options, it takes other weights, too."""
    with fake_gpu(api):
        plan = plan_of(_network(1), batch=2, strip=True, refit=True)
        _assert_near(_outputs(plan.refit(_network(2))), _expected(_network(2)))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (_network(2, channels=6), r"kernel of .*: expected 108 elements, got 162\n"),
        (_network(2, outputs="float[N, 5] y"), r"does not fit .*: expected the outputs y .*, c .*, got y "),
        (model("(float[N, 3, 6, 6] x) => (float[N, 5] y, float[N, C, 6, 6] c) <int64[2] s = {0, 5}> {"
               " c = Relu (x) \n p = ReduceMean <axes = [2, 3]> (c) \n y = Reshape (p, s) }"),
         r"kernel of .*Conv_h.*: not found in the model\n"),
    ],
    ids=["sizes", "outputs", "layers"],
)  # fmt: skip
@pytest.mark.parametrize("api", ["8.5.3", "11.4.0"])
def test_weights_that_do_not_fit(api: str, other: OnnxGraph, message: str) -> None:
    """What does not fit is named, and the engine stays as it was."""
    with fake_gpu(api):
        plan = plan_of(_network(1), batch=2, refit=True)
        with pytest.raises(InputError, match=message):
            plan.refit(other)
        _assert_near(_outputs(plan), _expected(_network(1)))


def test_engines_that_take_none(tmp_path: Path) -> None:
    """One that was not built for it, one without a sidecar, none at all: each its own error."""
    _network(1).save(tmp_path / "a.onnx")
    with fake_gpu("10.16.1"):
        onepass.build(tmp_path / "a.onnx", tmp_path / "a.engine", batch=2)
        for call in (
            lambda: refit(tmp_path / "a.engine", tmp_path / "a.onnx"),
            lambda: onepass.load(tmp_path / "a.engine", weights=tmp_path / "a.onnx"),
        ):
            with pytest.raises(InputError, match=r"is not refittable; build it with onepass\.build\(refit"):
                call()
        sidecar_path(tmp_path / "a.engine").unlink()
        with pytest.raises(InputError, match="has no sidecar, which holds the build options"):
            refit(tmp_path / "a.engine", tmp_path / "a.onnx")
        with pytest.raises(InputError, match="weights= requires an engine with a sidecar"):
            onepass.load(tmp_path / "a.engine", weights=tmp_path / "a.onnx")
        with pytest.raises(ModelNotFoundError, match="no engine file at"):
            refit(tmp_path / "b.engine", tmp_path / "a.onnx")
    with pytest.raises(InputError, match="weights= is not supported for an ONNX model"):
        onepass.load(tmp_path / "a.onnx", weights="b.onnx")


def test_an_engine_that_is_replaced(tmp_path: Path) -> None:
    """A refitted engine in a file is whole: sidecar and engine belong together."""
    _network(1).save(tmp_path / "a.onnx")
    _network(2).save(tmp_path / "b.onnx")
    with fake_gpu("11.4.0"):
        onepass.build(tmp_path / "a.onnx", tmp_path / "a.engine", batch=2, refit=True)
        refit(tmp_path / "a.engine", tmp_path / "b.onnx", tmp_path / "a.engine")
        plan = read_sidecar(tmp_path / "a.engine")
        assert plan is not None
        plan.engine_bytes()
        _assert_near(_outputs(tmp_path / "a.engine"), _expected(_network(2)))


_ranges = st.integers(1, 64).map(lambda size: (1, size, 64))


@given(st.builds(
    BuildOptions, batch=_ranges, sizes=st.dictionaries(st.sampled_from("NM"), _ranges),
    shapes=st.lists(st.dictionaries(st.sampled_from("xy"), _ranges), max_size=2),
    precision=st.sampled_from(["fp16", "fp32"]), values=st.dictionaries(st.just("n"), st.just((1, 2, 8))),
    timing_cache=st.none() | st.just(Path("t.cache")), outputs=st.none() | st.just(["a", "b"]),
    target_sm=st.just(()) | st.just(["8.9"]), plugins=st.just(()) | st.just("a.so"),
))  # fmt: skip
def test_options_come_back_from_a_sidecar(options: BuildOptions) -> None:
    """What a sidecar says of a build asks for the same again."""
    data = json.loads(json.dumps(options.to_json()))
    assert BuildOptions.from_json(data).to_json() == data


def test_options_of_a_later_version() -> None:
    """An option that is not known here is an error, since the graph could not be prepared in the same way."""
    with pytest.raises(InputError, match="unknown build option tuned_for"):
        BuildOptions.from_json({"tuned_for": 3})


def test_runtimes_refit_nothing() -> None:
    """The lean runtime has no parser, and says so."""
    with fake_gpu("11.4.0"):
        plan = plan_of(_network(1), batch=2, refit=True, version_compatible=True)
    with fake_gpu("lean-11.4.0"), pytest.raises(InputError, match="needs the parser of the full package"):
        onepass.load(plan, flavor="tensorrt_lean", weights="a.onnx")
