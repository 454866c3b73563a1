"""Model repositories that onepass writes, served by the real Triton and asked by NVIDIA's client."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("tritonclient.grpc", reason="NVIDIA's client is not here: pip install tritonclient")

import tritonclient.grpc.aio as grpc_aio
import tritonclient.http.aio as http_aio
from google.protobuf import text_format
from tritonclient import grpc, http
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from examples import open_inference as client
from onepass import OnnxGraph, load
from onepass.export import to_triton
from tests.export.engines import CAST, engine
from tests.triton.server import Addresses, RefusedError, real_triton, why_not
from tests.triton.twin import make_twin
from tests.zoo import BY_NAME, Animal, model

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

_TYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float", "double",
)  # fmt: skip
_ALL_TYPES = model(
    f"({', '.join(f'{kind}[N, 2] in_{kind}' for kind in _TYPES)}) =>"
    f" ({', '.join(f'{kind}[N, 2] out_{kind}' for kind in reversed(_TYPES))})"
    f" {{ {' '.join(f'out_{kind} = Identity (in_{kind})' for kind in _TYPES)} }}"
)
_ANIMALS = {
    "three": "three heads", "scalars": "scalar input and output", "zero": "an output of size zero",
    "found": "data-dependent shape", "names": "names that are no identifiers", "inputs": "outputs that are inputs",
}  # fmt: skip


class Served(NamedTuple):
    """The real Triton with all models of the tests."""

    addresses: Addresses
    repository: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Models that onepass runs, and twins of engines, in one repository."""
    work = tmp_path_factory.mktemp("triton")
    for name, animal in _ANIMALS.items():
        BY_NAME[animal].graph.save(work / f"{name}.onnx")
        delay = 20 if name == "three" else 0
        to_triton(work / f"{name}.onnx", work / "models", backend="python", max_delay_ms=delay)
    _ALL_TYPES.save(work / "types.onnx")
    to_triton(work / "types.onnx", work / "models", backend="python", max_batch=2)
    for name, graph, api in (("cast", CAST, "8.5.3"), ("plain", BY_NAME["three heads"].graph, "10.16.1")):
        engine(graph, work / f"{name}.engine", api=api, batch=(1, 2, 4))
        make_twin(to_triton(work / f"{name}.engine", work / "models").folders[0], graph)
    with real_triton(work / "models") as addresses:
        yield Served(addresses, work / "models")


def _kinds(addresses: Addresses) -> list[tuple[Any, str]]:
    return [(http, addresses.http), (grpc, addresses.grpc)]


@pytest.mark.parametrize(("name", "animal"), _ANIMALS.items())
def test_a_model_that_onepass_runs(served: Served, name: str, animal: str) -> None:
    """Every output is there by name and in order, by HTTP and gRPC, and equal to what the model computes."""
    whole: Animal = BY_NAME[animal]
    takes, gives = client.describe(name, served.addresses.http)
    assert list(takes) == [spec.name for spec in whole.graph.signature.inputs]
    assert gives == list(whole.graph.signature.output_names)
    for case in whole.cases:
        inputs = {each: np.asarray(case[each]).reshape(_shape(shape, case[each])) for each, (_, shape) in takes.items()}
        for kind, address in _kinds(served.addresses):
            outputs = client.ask(kind, address, name, inputs)
            assert list(outputs) == gives
            for each, expected in whole.reference(case).items():
                array = outputs[each].reshape(np.shape(expected))
                # Of nothing, NVIDIA's client loses the dtype.
                assert array.dtype == np.asarray(expected).dtype or not array.size
                np.testing.assert_allclose(array, expected, rtol=1e-6, err_msg=each)


def _shape(declared: list[int], array: Any) -> tuple[int, ...]:
    """Return an array's shape as Triton has it: with no scalars, and [N, 1] in place of [N] in a batch."""
    return np.shape(array) if len(declared) == np.ndim(array) else (*np.shape(array), 1)


def _extremes(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if dtype.kind == "b":
        return np.array([[False, True]])
    limits: Any = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return np.array([[limits.min, limits.max]], dtype)


def test_every_type(served: Served) -> None:
    """Each type goes through Triton and back as it is, its extremes too."""
    inputs = {spec.name: _extremes(spec.dtype) for spec in _ALL_TYPES.signature.inputs}
    for kind, address in _kinds(served.addresses):
        outputs = client.ask(kind, address, "types", inputs)
        for name, array in inputs.items():
            np.testing.assert_array_equal(outputs[name.replace("in_", "out_")], array, strict=True)


def test_some_outputs_and_many_calls_at_once(served: Served, rng: np.random.Generator) -> None:
    """Calls at the same time are put together, and each gets its own items of the outputs that it asked for."""
    x = [rng.standard_normal((1 + index % 3, 4)).astype(np.float32) for index in range(24)]
    several = [{"x": each} for each in x]
    for kind, address in ((http_aio, served.addresses.http), (grpc_aio, served.addresses.grpc)):
        for names in (None, ["monkey"], ["ant", "zebra"]):
            answers = asyncio.run(client.ask_several(kind, address, "three", several, names))
            for each, outputs in zip(x, answers, strict=True):
                assert set(outputs) == set(names or ("zebra", "ant", "monkey"))
                for name, expected in BY_NAME["three heads"].reference({"x": each}).items():
                    if name in outputs:
                        array = outputs[name].reshape(expected.shape)
                        np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6)
    with urllib.request.urlopen(f"http://{served.addresses.http}/v2/models/three/stats") as answer:
        [stats] = json.load(answer)["model_stats"]
    assert stats["execution_count"] < stats["inference_count"]


def test_what_is_wrong_is_told(served: Served) -> None:
    """What a model cannot take is the caller's fault, told in a sentence."""
    x = np.zeros((1, 3), np.float32)
    with pytest.raises(
        InferenceServerException, match="'id' has values from 0 to 4294967296; the engine computes it as int32"
    ):
        client.ask(grpc, served.addresses.grpc, "cast", {"x": x, "id": np.array([[0, 1 << 32, 3]])})
    with pytest.raises(InferenceServerException, match="unexpected shape for input 'x'"):
        client.ask(http, served.addresses.http, "three", {"x": x})


def test_engines_with_other_names_and_dtypes(served: Served) -> None:
    """An ensemble has the model's names and dtypes, whichever outputs are asked for."""
    with load(CAST.to_bytes()) as session:
        for count in (1, 3):
            x = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
            inputs = {"x": x, "id": np.array([[5, -6, 7]] * count)}
            expected = session(inputs)
            for names in (None, ["best"], ["more", "x2"]):
                for kind, address in _kinds(served.addresses):
                    outputs = client.ask(kind, address, "cast", inputs, names)
                    assert set(outputs) == set(names or expected)
                    for name, array in outputs.items():
                        np.testing.assert_array_equal(array.reshape(expected[name].shape), expected[name], strict=True)
    assert client.describe("cast", served.addresses.http)[1] == list(session.signature.output_names)


def test_a_plain_engine(served: Served) -> None:
    """What is declared of an engine holds in Triton: sizes, order, the batch, and what it is warmed up with."""
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    outputs = client.ask(grpc, served.addresses.grpc, "plain", {"x": x})
    assert list(outputs) == ["zebra", "ant", "monkey"]
    np.testing.assert_array_equal(outputs["ant"], x.sum(1, keepdims=True))
    with pytest.raises(InferenceServerException, match="batch-size must be <= 4"):
        client.ask(grpc, served.addresses.grpc, "plain", {"x": np.zeros((5, 4), np.float32)})


def test_the_client_as_it_stands(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """The example asks in every way, and prints every output."""
    client.main("three", served.addresses.http, served.addresses.grpc)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "HTTP: zebra=float32[1, 4], ant=float32[1, 1], monkey=float32[1, 4]"
    assert [line.split(":")[0] for line in lines[1:]] == ["gRPC", "HTTP, asyncio", "gRPC, asyncio", "HTTP, one output"]


def _odd(folder: Path) -> Iterator[Path]:
    sizes = [{"x": ((low, 3, 4), (high, 3, 8), (high, 3, 16))} for low, high in ((1, 2), (3, 8))]
    engine(model("(float[N, 3, W] x) => (float[N, 3, W] y) { y = Neg (x) }"), folder / "sizes.engine", shapes=sizes)
    text = "(float[2] x, int64[2] to) => (float[A, B] y) { y = Expand (x, to) }"
    engine(model(text), folder / "values.engine", values={"to": ((1, 2), (3, 2), (4, 2))})
    graph: OnnxGraph = BY_NAME["names that are no identifiers"].graph
    graph.save(folder / "onnx.onnx")
    for file in ("sizes.engine", "values.engine", "onnx.onnx"):
        yield to_triton(folder / file, folder / "models", max_queue=3).folders[-1]


def test_configurations_as_nvidias_client_reads_them(served: Served, tmp_path: Path) -> None:
    """Every configuration is what its message type allows; no field is unknown, no word of an enum is wrong."""
    folders = [each for each in served.repository.iterdir() if each.is_dir()]
    for folder in (*_odd(tmp_path), *folders):
        text = (folder / "config.pbtxt").read_text("utf-8")
        parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
        assert len({each.name for each in parsed.input}) == len(parsed.input) > 0
        assert len({each.name for each in parsed.output}) == len(parsed.output) > 0


def test_engines_and_onnx_models_as_triton_reads_them(tmp_path: Path) -> None:
    """Of what it has no backend for, Triton says only that; all else in the configurations is as it wants it."""
    folders = list(_odd(tmp_path))
    with pytest.raises(RefusedError) as refused, real_triton(tmp_path / "models"):
        pass
    said = str(refused.value)
    assert "Poll failed" not in said
    missing = "unable to find backend library for backend"
    for folder in folders:
        backend = "onnxruntime" if folder.name == "onnx" else "tensorrt"
        assert f"failed to load '{folder.name}' version 1: Invalid argument: {missing} '{backend}'" in said
