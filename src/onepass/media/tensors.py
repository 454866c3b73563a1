"""Convert pictures to network inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from onepass._errors import InputError
from onepass._optional import optional
from onepass.media.pictures import check_picture
from onepass.outputs import Array
from onepass.tensors import Dim, TensorSpec


def tensor_from_picture(picture: Array, spec: TensorSpec, *, value_range: tuple[float, float] = (0.0, 1.0)) -> Array:
    """Convert a picture to the size, layout and dtype of an input.

    Args:
        picture: uint8, RGB [H, W, 3] or grey [H, W].
        spec: The input: rank 4, 3 or 2, with 1 or 3 channels first or last (``[N, 3, H, W]``, ``[N, H, W, 1]``,
            ``[3, H, W]``, ``[H, W]`` …). The picture is resized if the input has a fixed height and width.
        value_range: The values of 0 and 255 in a floating-point input. A uint8 input gets the picture's own values.

    Returns:
        A C-contiguous array; a leading batch dimension is 1.

    Raises:
        InputError: The input does not look like a picture input, or the array is not a picture.
        MissingExtraError: OpenCV is not installed.
    """
    picture = check_picture(picture)
    layout = _layout(spec)
    values = _resized(picture, layout)
    if spec.dtype != np.uint8:
        black, white = value_range
        values = (values * np.float32((white - black) / 255) + np.float32(black)).astype(spec.dtype)
    if layout.channels_first:
        values = values.transpose(2, 0, 1)
    if layout.rank == 2:
        values = values[..., 0]
    return np.ascontiguousarray(values[None] if layout.rank == 4 else values)


class _Layout(NamedTuple):
    """The picture layout of an input; dynamic height and width are None."""

    rank: int
    height: int | None
    width: int | None
    channels: int
    channels_first: bool


def _layout(spec: TensorSpec) -> _Layout:
    shape = spec.shape or ()
    numeric = spec.dtype == np.uint8 or spec.dtype.kind == "f" or spec.dtype.name == "bfloat16"
    if numeric and len(shape) == 2:
        return _Layout(2, _size(shape[0]), _size(shape[1]), 1, channels_first=False)
    if numeric and len(shape) in (3, 4):
        first, second, third = shape[-3:]
        if isinstance(first, int) and first in (1, 3):
            return _Layout(len(shape), _size(second), _size(third), first, channels_first=True)
        if isinstance(third, int) and third in (1, 3):
            return _Layout(len(shape), _size(first), _size(second), third, channels_first=False)
    raise InputError(
        f"input {spec.name!r} ({spec}) does not look like a picture (1 or 3 channels, first or last, uint8 or floating "
        "point); use a .npy or .npz file"
    )


def _size(dim: Dim) -> int | None:
    return dim if isinstance(dim, int) else None


def _resized(picture: Array, layout: _Layout) -> Array:
    """Return uint8 [height, width, channels]."""
    cv2 = optional("cv2", extra="gaze", purpose="Resizing pictures")
    height, width = picture.shape[:2]
    target = (layout.width or width, layout.height or height)
    if target != (width, height):
        interpolation = cv2.INTER_AREA if target[0] < width else cv2.INTER_LINEAR
        picture = cv2.resize(picture, target, interpolation=interpolation)
    if picture.ndim == 3 and layout.channels == 1:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], layout.channels, axis=2)
    return picture
