"""Read and write picture files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass.artifacts import replacing
from onepass.media.decoding import decode_picture

Picture: TypeAlias = npt.NDArray[np.uint8]
"""A picture: uint8 RGB [H, W, 3], or grey [H, W]."""

MAX_FILE_BYTES = 1 << 30
"""How large the file of a picture may be unless one says otherwise."""

PICTURE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Endings that `write_picture` knows; `read_picture` goes by what is in the file."""


def read_picture(
    path: str | os.PathLike[str], notes: list[str] | None = None, *, max_bytes: int = MAX_FILE_BYTES
) -> npt.NDArray[np.uint8]:
    """Read a picture file.

    What it is, is decided by its content: JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, ICO and whatever else this OpenCV
    reads, and HEIC with the extra ``heif``; TGA by its name. The result stands upright (EXIF orientation is applied),
    grey is spread over three channels, 16 bits (or 10, 12, 14 in 16) and floats are scaled to 8, and transparency is
    dropped. Of several pictures in a file it is the first.

    Args:
        path: The file.
        notes: Where to say what had to be assumed of the range of its values.
        max_bytes: How large the file may be. What it holds may have 178,956,970 pixels, by its header; see
            `onepass.media.decoding`.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        MediaError: There is no file, or it holds no picture that can be read.
        MissingExtraError: OpenCV is not installed, or it is a HEIC and `pillow-heif` is not.
    """
    optional("cv2", extra="gaze", purpose="Reading pictures")
    return decode_picture(_read_bytes(Path(path), max_bytes), os.fspath(path), notes)


def write_picture(path: str | os.PathLike[str], picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture file, in the format that its ending names.

    The file is complete or not there: it is written beside the target and then takes its place.

    Args:
        path: Where to; one of `PICTURE_SUFFIXES` at the end.
        picture: uint8, RGB [H, W, 3] or grey [H, W].

    Raises:
        InputError: The array is no picture.
        MediaError: The ending is unknown, or the file cannot be written.
        MissingExtraError: OpenCV is not installed.
    """
    target = Path(path)
    if target.suffix.lower() not in PICTURE_SUFFIXES:
        raise MediaError(
            f"cannot tell a picture format from the name {str(target)!r}; use one of {', '.join(PICTURE_SUFFIXES)}"
        )
    picture = check_picture(picture)
    cv2 = optional("cv2", extra="gaze", purpose="Writing pictures")
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    try:
        done, data = cv2.imencode(target.suffix.lower(), bgr)
    except cv2.error as error:
        raise MediaError(f"{target} cannot be encoded, a picture of {list(picture.shape)}: {error}") from error
    if not done:
        raise MediaError(f"{target} cannot be encoded, a picture of {list(picture.shape)}; try PNG")
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(data.tobytes())
    except OSError as error:
        raise MediaError(f"{target} cannot be written: {error.strerror or error}") from error


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return what is in a file, or say what is there instead."""
    if not path.exists():
        raise MediaError(f"there is no file {str(path)!r} (in {Path.cwd()}); check the path")
    if path.is_dir():
        raise MediaError(f"{path} is a folder; give the path of one picture in it")
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)  # of a device there is no end
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > max_bytes:
        ours = max_bytes == MAX_FILE_BYTES
        why = "the most that the file of a picture may have" if ours else f"which max_bytes={max_bytes} does not let in"
        raise MediaError(f"{path} has more than {max_bytes} bytes, {why}")
    if not data:
        raise MediaError(f"{path} is empty (0 bytes); the picture was probably not copied or downloaded to its end")
    return data


def check_picture(picture: object) -> Picture:
    """Return the picture if it is one.

    Raises:
        InputError: It is not a uint8 array [H, W, 3] or [H, W], or it is empty.
    """
    expected = "a picture must be a uint8 array, RGB [H, W, 3] or grey [H, W]"
    if not isinstance(picture, np.ndarray):
        raise InputError(f"{expected}; got {type(picture).__name__}. Read a file with onepass.media.read_picture")
    is_picture = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    if picture.dtype == np.uint8 and is_picture and picture.size:
        return picture
    came = f"{picture.dtype} {list(picture.shape)}"
    if picture.dtype != np.uint8:
        raise InputError(f"{expected}; got {came}. Scale the values to 0 to 255 and convert them to uint8")
    raise InputError(f"{expected}{' with at least one pixel' if is_picture else ''}; got {came}")
