"""TensorSpec and Signature: names, dtypes, shapes."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError, OutputNameError, Signature, TensorSpec, UnsupportedModelError
from onepass.tensors import DTYPES, dtype_from_onnx, dtype_name, no_such_name, onnx_from_dtype, shape_text

dims = st.one_of(st.integers(0, 10), st.sampled_from(["N", "batch", "H"]), st.none())
shapes = st.one_of(st.none(), st.lists(dims, max_size=5).map(tuple))
specs = st.builds(TensorSpec, st.text(min_size=1, max_size=8), st.sampled_from(list(DTYPES.values())), shapes)


@given(specs)
def test_spec_survives_json(spec: TensorSpec) -> None:
    """A spec written as JSON and read back is the same spec."""
    import json

    assert TensorSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@given(st.lists(specs, max_size=4, unique_by=lambda s: s.name), st.lists(specs, max_size=4, unique_by=lambda s: s.name))
def test_signature_survives_json(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> None:
    """A signature written as JSON and read back is the same, order included."""
    signature = Signature(tuple(inputs), tuple(outputs))
    assert Signature.from_json(signature.to_json()) == signature


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_dtype_and_onnx_number_are_inverse(dtype: np.dtype[Any]) -> None:
    """Every dtype has an ONNX number that leads back to it."""
    assert dtype_from_onnx(onnx_from_dtype(dtype), tensor="x") == dtype


@pytest.mark.parametrize("scalar", [np.float32, np.bool_, np.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_dtypes_cover_numpy_and_ml_dtypes(scalar: Any) -> None:
    """NumPy's dtypes, bfloat16 and float8 are all there."""
    assert np.dtype(scalar).name in DTYPES


@pytest.mark.parametrize("kind", [8, "string"])
def test_strings_are_objects(kind: int | str) -> None:
    """A tensor of strings is an array of objects, which is called what it is."""
    dtype = dtype_from_onnx(kind, tensor="label")
    assert (dtype, onnx_from_dtype(dtype), dtype_name(dtype)) == (np.dtype(object), 8, "string")
    spec = TensorSpec("label", dtype, ("N",))
    assert str(spec) == "string [N]"
    assert TensorSpec.from_json(spec.to_json()) == spec


def test_left_out_survives_json() -> None:
    """Outputs that no call gives back are part of the signature, wherever it is sent."""
    signature = Signature((), (TensorSpec("y", np.dtype(np.float32), ()),), {"s": "sequence"})
    assert Signature.from_json(signature.to_json()) == signature


def test_four_bit_types_are_refused() -> None:
    """A type below eight bits is named in the error."""
    with pytest.raises(UnsupportedModelError, match=r"'w' has the ONNX element type 22"):
        dtype_from_onnx(22, tensor="w")


@pytest.mark.parametrize(
    ("shape", "text"),
    [((), "[]"), (("N", 1, 36, 60), "[N, 1, 36, 60]"), ((None, 2), "[?, 2]"), (None, "[...]")],
)
def test_shape_text(shape: Any, text: str) -> None:
    """Shapes are written as people read them."""
    assert shape_text(shape) == text


def test_spec_refuses_nonsense() -> None:
    """What is no size, and a dtype without an ONNX type, are refused when the spec is made."""
    nonsense: tuple[Any, ...] = ((-1, 2), (1.5,), (True,), ("",), "NCHW", ([],))
    for shape in nonsense:
        with pytest.raises(InputError, match=r"'x': invalid shape"):
            TensorSpec("x", np.dtype(np.float32), shape)
    with pytest.raises(InputError, match="dtype"):
        TensorSpec("x", np.dtype("datetime64[s]"), ())


def test_spec_takes_numpy_integers() -> None:
    """A size that comes from NumPy is a fixed size like any other."""
    size: Any = np.int64(3)
    spec = TensorSpec("x", np.dtype(np.float32), (size, "N"))
    assert spec.shape == (3, "N")
    assert type(spec.shape[0]) is int


def test_spec_is_static() -> None:
    """A spec is static when every size is a number."""
    assert TensorSpec("x", np.dtype(np.float32), (1, 2)).is_static
    assert not TensorSpec("x", np.dtype(np.float32), (1, "N")).is_static
    assert not TensorSpec("x", np.dtype(np.float32), None).is_static


def test_names_must_be_unique() -> None:
    """Two outputs of one name could not be told apart."""
    spec = TensorSpec("y", np.dtype(np.float32), ())
    with pytest.raises(ValueError, match=r"output names must be unique.*y"):
        Signature((), (spec, spec))


def test_ordered_outputs() -> None:
    """Names come back in the model's order, each once; an unknown one is an error that lists those there are."""
    signature = Signature((), tuple(TensorSpec(name, np.dtype(np.float32), ()) for name in "cab"))
    assert signature.ordered_outputs(["b", "c", "b"]) == ("c", "b")
    with pytest.raises(OutputNameError, match=r"no output 'd'. Its outputs are: c, a, b"):
        signature.ordered_outputs(["d"])


def test_no_such_name_is_brief() -> None:
    """Of very many names some are listed, with their number, and the likeliest is suggested."""
    text = no_such_name("output", "out_7", tuple(f"out{i}" for i in range(500)))
    assert "Did you mean 'out7'?" in text or "Did you mean" in text
    assert "(500 in all)" in text
    assert len(text) < 400


def test_signature_reads_well() -> None:
    """Printed, a signature shows a tensor a line."""
    signature = Signature(
        (TensorSpec("eye", np.dtype(np.float32), ("N", 1)),), (TensorSpec("id", np.dtype(np.int64), ()),)
    )
    assert str(signature) == "inputs:\n  eye: float32 [N, 1]\noutputs:\n  id: int64 []"
