"""Read pictures with Pillow: formats that OpenCV does not read or does not orient, and files with several pictures."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import MediaError
from onepass._optional import MAX_PIXELS, optional

_PURPOSE = "Reading pictures"
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "ICO", "AVIF"]


@contextmanager
def damage_said(message: str) -> Iterator[None]:
    """Convert Pillow's exceptions for damaged files, which can be of any type, and suppress its warnings.

    Raises:
        MediaError: With this message.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise MediaError(message) from error


def opened(file: Any, name: str) -> Any:
    """Return Pillow's image for a file, not decoded yet; None if Pillow does not know the format.

    Raises:
        MediaError: The picture is too large according to its header.
        MissingExtraError: Pillow is not installed.
    """
    image = optional("PIL.Image", extra="gaze", purpose=_PURPOSE)
    # TGA has no signature, so a video may look like one.
    formats = ["TGA"] if Path(name).suffix.lower() == ".tga" else _FORMATS
    try:
        with damage_said(f"{name} is not a picture that Pillow can read"):
            return image.open(file, formats=formats)
    except MediaError as error:
        if isinstance(error.__cause__, image.DecompressionBombError):
            raise too_large(name) from error.__cause__
        return None


def opened_heic(data: bytes, name: str) -> Any:
    """Return Pillow's image for a HEIC picture, upright.

    Raises:
        MediaError: The picture is damaged.
        MissingExtraError: `pillow-heif` is not installed.
    """
    heif = optional("pillow_heif", extra="heif", purpose=f"Reading {name}, a HEIC picture,")
    with damage_said(f"cannot decode the HEIC picture {name}; it is damaged or truncated"):
        return heif.open_heif(io.BytesIO(data)).to_pillow()


def count(image: Any) -> int:
    """Return the number of pictures in an image; 1 if it cannot be read."""
    try:
        with damage_said("cannot count the pictures"):
            return int(getattr(image, "n_frames", 1))
    except MediaError:
        return 1


def rgb(image: Any, message: str) -> npt.NDArray[np.uint8]:
    """Decode an image, upright, to uint8 RGB [H, W, 3].

    Raises:
        MediaError: The image is damaged; with this message.
    """
    upright = optional("PIL.ImageOps", extra="gaze", purpose=_PURPOSE).exif_transpose
    with damage_said(message):
        return np.array(upright(image).convert("RGB"))


def too_large(name: str) -> MediaError:
    """Return the error for a picture that is too large according to its header."""
    return MediaError(
        f"{name} has too many pixels according to its header; the limit is {MAX_PIXELS} unless "
        "OPENCV_IO_MAX_IMAGE_PIXELS and PIL.Image.MAX_IMAGE_PIXELS set another one. Scale the picture down"
    )
