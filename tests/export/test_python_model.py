"""onepass inside Triton's Python backend, with a stand-in for what Triton offers there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from onepass import OnnxGraph, TensorSpec
from onepass.export import to_triton
from onepass.export.triton.edges import TYPE_OF
from tests.fakes.triton_python import Request, TritonError, TritonModelException
from tests.zoo import BY_NAME, model

_THREE = BY_NAME["three heads"].graph
_NAMES = ("zebra", "ant", "monkey")


def _declared(specs: Iterable[TensorSpec]) -> list[dict[str, str]]:
    return [{"name": spec.name, "data_type": f"TYPE_{TYPE_OF[spec.dtype]}"} for spec in specs]


def _opened(module: ModuleType, graph: OnnxGraph, folder: Path, **settings: Any) -> Any:
    graph.save(folder / "m.onnx")
    exported = to_triton(folder / "m.onnx", folder / "repository", backend="python", **settings)
    parameters = {"onepass": {"string_value": '{"path": "model.onnx"}'}}
    assert json.dumps(parameters["onepass"]["string_value"]) in (exported.folders[0] / "config.pbtxt").read_text(
        "utf-8"
    )
    config = {
        "max_batch_size": exported.max_batch,
        "parameters": parameters,
        "input": _declared(graph.signature.inputs),
        "output": _declared(graph.signature.outputs),
    }
    opened = module.TritonPythonModel()
    opened.initialize(
        {
            "model_config": json.dumps(config),
            "model_repository": str(exported.folders[0]),
            "model_version": str(exported.version),
        }
    )
    return opened


def test_requests_are_put_together_and_taken_apart(
    inside: tuple[ModuleType, ModuleType], old: bool, tmp_path: Path
) -> None:
    """Requests that want the same outputs run in one pass, and each gets its own items, in the model's order."""
    served = _opened(inside[1], _THREE, tmp_path)
    passes = []
    session = served._session

    def watched(feeds: Any, *, outputs: Any) -> Any:
        passes.append((feeds["x"].shape, outputs))
        return session(feeds, outputs=outputs)

    served._session = watched
    rng = np.random.default_rng(0)
    wanted = [_NAMES, ("monkey",), ("monkey", "zebra", "ant"), ("monkey",)]
    arrays = [rng.standard_normal((size, 4)).astype(np.float32) for size in (1, 2, 3, 1)]
    answers = served.execute([Request(names, x=x) for names, x in zip(wanted, arrays, strict=True)])
    assert passes == [((4, 4), _NAMES), ((3, 4), ("monkey",))]
    for answer, names, x in zip(answers, wanted, arrays, strict=True):
        assert list(answer.arrays) == [name for name in _NAMES if name in names]
        for name, array in answer.arrays.items():
            np.testing.assert_allclose(array, BY_NAME["three heads"].reference({"x": x})[name], rtol=1e-6)
    served._session = session
    served.finalize()
    assert session.closed


def test_an_error_is_told_to_whom_it_concerns(inside: tuple[ModuleType, ModuleType], old: bool, tmp_path: Path) -> None:
    """Where one request of several is wrong, the others are answered, and it gets the library's sentence."""
    graph = model("""
        (float[N, 3] x, int64[N, 1] i) => (float[N, 1] y) { y = GatherElements <axis = 1> (x, i) }""")
    served = _opened(inside[1], graph, tmp_path, max_batch=4)
    x = np.arange(3, dtype=np.float32)[None]
    good, bad = np.array([[2]]), np.array([[7]])
    first, second, third = served.execute([Request(["y"], x=x, i=i) for i in (good, bad, good)])
    assert first.arrays["y"] == third.arrays["y"] == 2
    assert second.error.code == TritonError.INTERNAL
    [wrong] = served.execute([Request(["y"], x=x.astype(np.float64), i=good)])
    assert wrong.error.code == TritonError.INVALID_ARG
    assert "input 'x'" in wrong.error.message
    served.finalize()


def test_scalars(inside: tuple[ModuleType, ModuleType], old: bool, tmp_path: Path) -> None:
    """A scalar is [1] in Triton, and a scalar for the model."""
    animal = BY_NAME["scalar input and output"]
    served = _opened(inside[1], animal.graph, tmp_path)
    [case] = animal.cases
    [answer] = served.execute([Request(["total", "scaled"], s=case["s"].reshape(1), x=case["x"])])
    expected = animal.reference(case)
    np.testing.assert_allclose(answer.arrays["total"], [expected["total"]], rtol=1e-6)
    np.testing.assert_array_equal(answer.arrays["scaled"], expected["scaled"])
    served.finalize()


def test_texts(inside: tuple[ModuleType, ModuleType], old: bool, tmp_path: Path) -> None:
    """Texts are bytes in UTF-8 in Triton; where it cannot hand them over, the model does not open, and says so."""
    animal = BY_NAME["strings [M]"]
    if old:
        with pytest.raises(TritonModelException, match=r"cannot pass strings \(s, t\).*24\.11"):
            _opened(inside[1], animal.graph, tmp_path)
        return
    served = _opened(inside[1], animal.graph, tmp_path)
    case = animal.cases[0]
    sent = np.array([text.encode() for text in case["s"]], object)
    [answer] = served.execute([Request(["t", "y"], s=sent, x=case["x"])])
    assert [text.decode() for text in answer.arrays["t"]] == list(case["s"])
    [wrong] = served.execute([Request(["t"], s=np.array([b"\xff"], object), x=case["x"])])
    assert wrong.error.code == TritonError.INVALID_ARG
    assert "input 's' has bytes that are not valid UTF-8" in wrong.error.message
    served.finalize()


def test_an_empty_output(inside: tuple[ModuleType, ModuleType], old: bool, tmp_path: Path) -> None:
    """An output of size zero goes out in its shape."""
    served = _opened(inside[1], BY_NAME["an output of size zero"].graph, tmp_path)
    [answer] = served.execute([Request(["nothing", "y"], x=np.ones((2, 4), np.float32))])
    assert answer.arrays["nothing"].shape == (2, 0)
    served.finalize()


@pytest.mark.parametrize(("text", "said"), [
    ("(float[N, 4] x) => (float[N, 4] monkey, float[N, 4] zebra) { zebra = Neg (x) \n monkey = Abs (x) }",
     r"has the outputs monkey FP32, zebra FP32, but config\.pbtxt declares zebra FP32, ant FP32, monkey FP32; export"),
    ("(double[N, 4] x) => (double[N, 4] y) { y = Neg (x) }",
     r"has the inputs x FP64, but config\.pbtxt declares x FP32; export the model again"),
])  # fmt: skip
def test_another_model_than_the_configuration_says(
    text: str, said: str, inside: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    """A version whose inputs or outputs are not those of the configuration does not open."""
    (tmp_path / "1").mkdir()
    model(text).save(tmp_path / "1" / "model.onnx")
    config = {
        "max_batch_size": 0,
        "parameters": {"onepass": {"string_value": '{"path": "model.onnx"}'}},
        "input": _declared(_THREE.signature.inputs),
        "output": _declared(_THREE.signature.outputs),
    }
    arguments = {"model_config": json.dumps(config), "model_repository": str(tmp_path), "model_version": "1"}
    with pytest.raises(TritonModelException, match=said):
        inside[1].TritonPythonModel().initialize(arguments)


def test_casts(inside: tuple[ModuleType, ModuleType], old: bool) -> None:
    """Each input is cast to the type of the output in its place; a number that does not fit is an error."""
    config = {
        "input": [{"name": "a", "data_type": "TYPE_INT64"}, {"name": "b", "data_type": "TYPE_FP32"}],
        "output": [{"name": "a_32", "data_type": "TYPE_INT32"}, {"name": "b", "data_type": "TYPE_UINT8"}],
    }
    casts = inside[0].TritonPythonModel()
    casts.initialize({"model_config": json.dumps(config)})
    b = np.array([1.0, 2.5], np.float32)
    good, bad = casts.execute([Request([], a=np.array([1, -(1 << 31)]), b=b), Request([], a=np.array([1 << 31]), b=b)])
    assert [(name, array.dtype, array.tolist()) for name, array in good.arrays.items()] == [
        ("a_32", np.int32, [1, -(1 << 31)]), ("b", np.uint8, [1, 2]),
    ]  # fmt: skip
    assert (bad.arrays, bad.error.code) == ({}, TritonError.INVALID_ARG)
    assert "'a' has values from 2147483648 to 2147483648; the engine computes it as int32" in bad.error.message
