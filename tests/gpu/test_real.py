"""Real TensorRT on a real GPU: what the stand-ins promise is kept by the thing itself."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import onepass
from onepass import (
    EngineMismatchError,
    EngineVersionError,
    InputError,
    ModelFormatError,
    Plan,
    UnsupportedModelError,
)
from onepass.engine import sidecar_path
from tests.checker import assert_same, check
from tests.gpu.tools import alone, check_large_inputs, plan_for, plan_of, same_bits
from tests.runtime.gpu import options_for
from tests.runtime.three import THREE, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME, ZOO, Animal, model

pytestmark = pytest.mark.gpu

_SAMPLE = Path(os.environ.get("SAMPLE_ENGINES", "../shared/gpu/sample"))


@pytest.fixture(scope="module")
def three() -> Plan:
    """An engine with three heads, for batches from 1 to 64."""
    return plan_of(THREE.graph, batch=(1, 4, 64))


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_checker(animal: Animal) -> None:
    """Every promise on every model of the zoo that this TensorRT can build; the others say why it cannot."""
    try:
        plan = plan_for(animal.graph, options_for(animal))
    except (UnsupportedModelError, InputError) as error:
        pytest.skip(f"not for this TensorRT: {error}")
    check(lambda _: onepass.load(plan), animal)


def test_several_profiles() -> None:
    """Of several profiles the nearest runs a shape; each has a context of its own."""
    plan = plan_of(THREE.graph, shapes=[{"x": (1, 1, 8)}, {"x": (1, 32, 64)}])
    with onepass.load(plan) as session:
        for turn in range(6):
            for rows in (1, 40):
                assert_same(session(x=x_of(rows, turn)), THREE.reference({"x": x_of(rows, turn)}))
        assert sorted(each["profile"] for each in session.report()["passes"]) == [0, 1]


def test_data_dependent_outputs() -> None:
    """Outputs whose size the data decide come with their true shapes, call after call."""
    animal = BY_NAME["data-dependent shape"]
    with onepass.load(plan_for(animal.graph, options_for(animal))) as session:
        for seed in range(50):
            case = {"x": np.random.default_rng(seed).standard_normal((1 + seed % 4, 3)).astype(np.float32)}
            assert_same(session(case), animal.reference(case))


def test_branches_are_taken_by_the_data_of_the_call() -> None:
    """A branch goes with this call's data, not with that of the call before or of a recording."""
    animal = BY_NAME["a branch that reads the outer graph"]
    with onepass.load(plan_for(animal.graph, options_for(animal))) as session:
        for turn in range(20):
            case = animal.cases[(turn // 3) % 2]
            assert_same(session(case), animal.reference(case))
        assert session.report()["passes"][0]["eager_because"]


def test_files_that_do_not_load(three: Plan, tmp_path: Path) -> None:
    """A truncated engine, rubbish behind the right mark, another version, another sidecar: each its own error."""
    path = tmp_path / "three.engine"
    data = three.save(path).engine_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(EngineMismatchError, match="is not the engine that its sidecar describes"):
        onepass.load(path)
    sidecar_path(path).unlink()
    with pytest.raises(ModelFormatError, match=r"(?s)damaged, truncated.*TensorRT says"):
        onepass.load(path)
    path.write_bytes(data[:4] + bytes(2000))
    with pytest.raises((ModelFormatError, EngineVersionError), match="TensorRT says"):
        onepass.load(path)
    with pytest.raises(EngineVersionError, match="was built by"):
        onepass.load(replace(three, version="9.9.9"))
    path.write_bytes(data)
    with onepass.load(path) as session:
        assert session.signature.inputs[0].shape == (None, 4)


def test_a_shape_outside_the_profile(three: Plan) -> None:
    """What the engine was not built for is refused before TensorRT sees it."""
    with onepass.load(three) as session, pytest.raises(InputError, match=r"x \[1…64, 4\]"):
        session(x=x_of(65))


def test_half_precision_happens() -> None:
    """Asked for, half precision is used, outputs stay float32, and they are near those of float32."""
    rng = np.random.default_rng(0)
    weights = ", ".join(f"{value:.6f}" for value in rng.standard_normal(8 * 3 * 9) * 0.2)
    graph = model(
        f"(float[N, 3, 16, 16] x) => (float[N, 8, 16, 16] y, float[N, 8] m) <float[8, 3, 3, 3] w = {{{weights}}}> {{"
        " c = Conv <pads = [1, 1, 1, 1]> (x, w) \n y = Relu (c)"
        " \n m = ReduceMean <axes = [2, 3], keepdims = 0> (y) }"
    )
    x = rng.standard_normal((2, 3, 16, 16)).astype(np.float32)
    plan = plan_of(graph, batch=(1, 2, 4), precision="fp16")
    with onepass.load(plan) as session, onepass.load(graph) as reference:
        outputs, expected = session(x=x), reference(x=x)
    for name in expected:
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], expected[name], atol=2e-2)


# ---- calls that overlap ------------------------------------------------------------------------------------------


def test_large_inputs() -> None:
    """Inputs of several megabytes arrive whole, from one caller and from two."""
    plan = plan_of(THREE.graph, shapes=[{"x": ((1, 4), (1000, 4), (300_000, 4))}])
    with onepass.load(plan) as session:
        check_large_inputs(session)


@pytest.mark.skipif(not _SAMPLE.is_dir(), reason="no sample engines at SAMPLE_ENGINES or ../shared/gpu/sample")
@pytest.mark.parametrize("rows", [1, 2, 16, 64, 256])
def test_overlapping_calls_of_a_real_network(rows: int) -> None:
    """A network of many layers computes the same, to the bit, alone and beside another call."""
    (engine,) = _SAMPLE.glob("elg_random*.engine")
    rng = np.random.default_rng(rows)
    cases = [{"eye": rng.uniform(-1, 1, (rows, 1, 36, 60)).astype(np.float32)} for _ in range(4)]
    with onepass.load(engine) as session:
        expected = alone(session, cases)

        def work(number: int) -> None:
            for turn in range(50):
                which = (turn + number) % len(cases)
                assert same_bits(session(cases[which]), expected[which]), (number, turn)

        in_threads(2, work)


@pytest.mark.skipif(not _SAMPLE.is_dir(), reason="no sample engines at SAMPLE_ENGINES or ../shared/gpu/sample")
def test_an_engine_of_another_tool() -> None:
    """An engine that another tool built, without a sidecar, runs by the engine's own names, near its ONNX model."""
    (engine,) = _SAMPLE.glob("elg_random*.engine")
    x = np.random.default_rng(0).uniform(-1, 1, (16, 1, 36, 60)).astype(np.float32)
    with onepass.load(engine) as session, onepass.load(_SAMPLE / "elg_random.onnx") as reference:
        for rows in (1, 2, 16, 2):
            outputs, expected = session(eye=x[:rows]), reference(eye=x[:rows])
            assert sorted(outputs) == sorted(expected)
            for name in expected:
                assert outputs[name].shape == expected[name].shape
                np.testing.assert_allclose(
                    outputs[name], expected[name], atol=0.1 * max(1.0, float(np.abs(expected[name]).max()))
                )
