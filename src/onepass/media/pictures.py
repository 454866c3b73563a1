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
"""Default maximum size of a picture file."""

PICTURE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Suffixes that `write_picture` supports; `read_picture` detects the format from the content."""


def read_picture(
    path: str | os.PathLike[str], notes: list[str] | None = None, *, max_bytes: int = MAX_FILE_BYTES
) -> npt.NDArray[np.uint8]:
    """Read a picture file.

    The content determines the format: JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, ICO, all other formats that this OpenCV
    reads, and HEIC with the extra ``heif``; only TGA is detected by name. The result is upright (EXIF orientation is
    applied), grey is repeated over three channels, 16-bit values (or 10, 12, 14 bits in 16) and floats are scaled to
    8 bits, and transparency is dropped. If a file has several pictures, the first one is returned.

    Args:
        path: The file.
        notes: Gets notes about assumptions on the range of values.
        max_bytes: Maximum file size. The picture may have at most 178,956,970 pixels according to its header; see
            `onepass.media.decoding`.

    Returns:
        uint8 RGB [H, W, 3].

    Raises:
        MediaError: The file does not exist or is not a readable picture.
        MissingExtraError: OpenCV is not installed, or, for a HEIC file, `pillow-heif`.
    """
    optional("cv2", extra="gaze", purpose="Reading pictures")
    return decode_picture(_read_bytes(Path(path), max_bytes), os.fspath(path), notes)


def write_picture(path: str | os.PathLike[str], picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture file in the format of its suffix.

    The file is written atomically: under a temporary name first, then renamed.

    Args:
        path: Where to; one of `PICTURE_SUFFIXES` at the end.
        picture: uint8, RGB [H, W, 3] or grey [H, W].

    Raises:
        InputError: The array is not a picture.
        MediaError: The suffix is unknown, or the file cannot be written.
        MissingExtraError: OpenCV is not installed.
    """
    target = Path(path)
    if target.suffix.lower() not in PICTURE_SUFFIXES:
        raise MediaError(
            f"unknown picture format {str(target)!r}; use a name that ends in {', '.join(PICTURE_SUFFIXES)}"
        )
    picture = check_picture(picture)
    cv2 = optional("cv2", extra="gaze", purpose="Writing pictures")
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    try:
        done, data = cv2.imencode(target.suffix.lower(), bgr)
    except cv2.error as error:
        raise MediaError(f"cannot encode {target}, a picture of shape {list(picture.shape)}: {error}") from error
    if not done:
        raise MediaError(f"cannot encode {target}, a picture of shape {list(picture.shape)}; try PNG")
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(data.tobytes())
    except OSError as error:
        raise MediaError(f"cannot write {target}: {error.strerror or error}") from error


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return a file's content, or raise an error that says what was found instead."""
    if not path.exists():
        raise MediaError(f"file {str(path)!r} not found (in {Path.cwd()}); check the path")
    if path.is_dir():
        raise MediaError(f"{path} is a folder; expected the path of a picture")
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)  # devices have no end
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > max_bytes:
        ours = max_bytes == MAX_FILE_BYTES
        why = "the maximum size of a picture file" if ours else f"the limit set by max_bytes={max_bytes}"
        raise MediaError(f"{path} has more than {max_bytes} bytes, {why}")
    if not data:
        raise MediaError(f"{path} is empty (0 bytes); a copy or download was probably interrupted")
    return data


def check_picture(picture: object) -> Picture:
    """Return the argument if it is a valid picture.

    Raises:
        InputError: The argument is not a uint8 array [H, W, 3] or [H, W], or it is empty.
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
