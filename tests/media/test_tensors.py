"""A picture in the form that an input wants."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError, TensorSpec
from onepass.media.tensors import tensor_from_picture

pytest.importorskip("cv2")
F32 = np.dtype(np.float32)


def _picture(height: int = 6, width: int = 8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@given(
    st.sampled_from(["NCHW", "NHWC", "CHW", "HWC", "HW"]),
    st.sampled_from([1, 3]),
    st.sampled_from([(6, 8), (3, 4), (12, 16), ("H", "W")]),
    st.sampled_from([np.uint8, np.float32, np.float16, ml_dtypes.bfloat16]),
)
def test_every_layout(layout: str, channels: int, size: tuple[Any, Any], dtype: Any) -> None:
    """Batch, channels, height and width come where the input has them, in its dtype, contiguous."""
    sizes = {"N": "N", "C": channels, "H": size[0], "W": size[1]}
    spec = TensorSpec("x", np.dtype(dtype), tuple(sizes[letter] for letter in layout))
    array = tensor_from_picture(_picture(), spec)
    real = {"N": 1, "C": channels, "H": 6 if size[0] == "H" else size[0], "W": 8 if size[1] == "W" else size[1]}
    assert array.shape == tuple(real[letter] for letter in layout)
    assert array.dtype == dtype
    assert array.flags.c_contiguous


def test_values_and_order_of_channels() -> None:
    """Bytes stay bytes; in floating point black and white become what is asked for; red comes first."""
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[..., 0] = 255
    first = tensor_from_picture(picture, TensorSpec("x", F32, ("N", 3, 2, 2)), value_range=(-1, 1))
    np.testing.assert_array_equal(first[0, :, 0, 0], [1, -1, -1])
    last = tensor_from_picture(picture, TensorSpec("x", np.dtype(np.uint8), (2, 2, 3)))
    np.testing.assert_array_equal(last, picture)
    grey = tensor_from_picture(picture, TensorSpec("x", np.dtype(np.uint8), (2, 2)))
    np.testing.assert_array_equal(grey, np.full((2, 2), 76))


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_pictures(channels: int) -> None:
    """A grey picture is one, for one channel or for three."""
    grey = _picture()[..., 0]
    array = tensor_from_picture(grey, TensorSpec("x", np.dtype(np.uint8), (channels, 6, 8)))
    np.testing.assert_array_equal(array, np.stack([grey] * channels))


def test_arrays_that_are_no_picture() -> None:
    """What is no picture is refused as such."""
    with pytest.raises(InputError, match="a picture must be a uint8 array"):
        tensor_from_picture(np.zeros((2, 2, 4), np.uint8), TensorSpec("x", F32, (3, 2, 2)))


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("x", F32, ("N",)),
        TensorSpec("x", F32, ("N", 4, 8, 8)),
        TensorSpec("x", np.dtype(np.int64), (3, 8, 8)),
        TensorSpec("x", np.dtype(np.complex64), (8, 8)),
        TensorSpec("x", F32, None),
    ],
    ids=["rank", "channels", "integers", "complex", "unknown"],
)
def test_inputs_that_are_no_picture(spec: TensorSpec) -> None:
    """An input that does not look like a picture is told so, with what to give instead."""
    with pytest.raises(InputError, match=r"'x' .*does not look like a picture.*\.npy or \.npz"):
        tensor_from_picture(_picture(), spec)
