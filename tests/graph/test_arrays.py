"""Weights as arrays, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onepass.graph.arrays import array_of, tensor_of
from onepass.tensors import DTYPES


@pytest.mark.parametrize("name", DTYPES)
def test_there_and_back(name: str) -> None:
    """An array of any dtype becomes a sound tensor of its type, and comes back as it was."""
    array = np.ones((2, 3)).astype(DTYPES[name])
    tensor = tensor_of(array, "w")
    onnx.checker.check_tensor(tensor)
    assert array_of(tensor).dtype == array.dtype
    np.testing.assert_array_equal(array_of(tensor), array)


def test_a_type_is_its_own_whatever_onnx_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where onnx hands out wider numbers, as its older versions do, they are brought back to the type of the model."""
    tensor = tensor_of(np.ones(3).astype(DTYPES["bfloat16"]), "w")
    monkeypatch.setattr(numpy_helper, "to_array", lambda _: np.ones(3, np.float32))
    assert array_of(tensor).dtype == DTYPES["bfloat16"]


def test_texts() -> None:
    """Texts have no dtype of ours; they come as onnx has them."""
    tensor = onnx.TensorProto(name="words", data_type=onnx.TensorProto.STRING, dims=[2], string_data=[b"a", b"b"])
    assert list(array_of(tensor)) in (["a", "b"], [b"a", b"b"])


def test_numbers_in_a_file(tmp_path: Path) -> None:
    """What lies in a file beside the model is read from there, and the tensor still points to it."""
    (tmp_path / "weights").write_bytes(np.arange(3, dtype="<f4").tobytes())
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[3], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights")
    np.testing.assert_array_equal(array_of(tensor, tmp_path), [0, 1, 2])
    assert tensor.data_location == onnx.TensorProto.EXTERNAL
