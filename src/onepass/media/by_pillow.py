"""Pictures read with Pillow: kinds that OpenCV does not know, or reads on their side, and several in a file."""

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
    """Turn whatever Pillow raises of a damaged file, which is any error there is, into one of ours; no warnings.

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
    """Return Pillow's image of a file, not decoded yet; None where it knows none.

    Raises:
        MediaError: It claims to be too large.
        MissingExtraError: Pillow is not installed.
    """
    image = optional("PIL.Image", extra="gaze", purpose=_PURPOSE)
    # TGA has nothing that says what it is: a video may look like one.
    formats = ["TGA"] if Path(name).suffix.lower() == ".tga" else _FORMATS
    try:
        with damage_said(f"{name} is no picture that Pillow knows"):
            return image.open(file, formats=formats)
    except MediaError as error:
        if isinstance(error.__cause__, image.DecompressionBombError):
            raise too_large(name) from error.__cause__
        return None


def opened_heic(data: bytes, name: str) -> Any:
    """Return Pillow's image of a HEIC picture, upright.

    Raises:
        MediaError: It is damaged.
        MissingExtraError: `pillow-heif` is not installed.
    """
    heif = optional("pillow_heif", extra="heif", purpose=f"Reading {name}, a HEIC picture,")
    with damage_said(f"{name} cannot be decoded as a HEIC picture: it is damaged, or cut short"):
        return heif.open_heif(io.BytesIO(data)).to_pillow()


def count(image: Any) -> int:
    """Return how many pictures an image has, as far as that can be read."""
    try:
        with damage_said("its pictures cannot be counted"):
            return int(getattr(image, "n_frames", 1))
    except MediaError:
        return 1


def rgb(image: Any, message: str) -> npt.NDArray[np.uint8]:
    """Decode an image, upright, to uint8 RGB [H, W, 3].

    Raises:
        MediaError: It is damaged; with this message.
    """
    upright = optional("PIL.ImageOps", extra="gaze", purpose=_PURPOSE).exif_transpose
    with damage_said(message):
        return np.array(upright(image).convert("RGB"))


def too_large(name: str) -> MediaError:
    """Return the error of a picture whose header claims too much."""
    return MediaError(
        f"{name} says that it has more pixels than a picture may have, which is {MAX_PIXELS} unless "
        "OPENCV_IO_MAX_IMAGE_PIXELS and PIL.Image.MAX_IMAGE_PIXELS say otherwise. Make it smaller"
    )
