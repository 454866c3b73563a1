"""Decode picture files to RGB with OpenCV, or with Pillow for formats that OpenCV does not read, or reads wrongly.

The size in the header is checked before memory is allocated: Pillow refuses more than twice its ``MAX_IMAGE_PIXELS``.
OpenCV gets the same limit for formats that only it reads, unless it was imported earlier.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.media import by_pillow

_PURPOSE = "Reading pictures"
# Bit depths of sensors whose values are stored in 16 bits.
_SENSOR_BITS = (8, 10, 12, 14, 16)
# Brands of files with HEVC-coded pictures (ISO/IEC 23008-12).
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis"}
# Formats whose orientation OpenCV ignores: AVIF, and WebP before 4.11.
_ON_THEIR_SIDE = {"AVIF", "WEBP"}


def decode_picture(data: bytes, name: str, notes: list[str] | None = None) -> npt.NDArray[np.uint8]:
    """Decode the bytes of a picture file.

    Args:
        data: Content of the file.
        name: Name of the file, for messages.
        notes: Gets notes about assumptions: the bit depth of 16-bit values, or the range of floats.

    Returns:
        uint8 RGB [H, W, 3], upright.

    Raises:
        MediaError: The data is not a readable picture.
        MissingExtraError: OpenCV or Pillow is not installed, or, for a HEIC file, pillow-heif.
    """
    unreadable = (
        f"{name} is not a readable picture ({len(data)} bytes, starting with {data[:8]!r}). "
        "It may be damaged or in an unsupported format; save it as JPEG or PNG"
    )
    if is_heic(data):
        return by_pillow.rgb(by_pillow.opened_heic(data, name), unreadable)
    image = by_pillow.opened(io.BytesIO(data), name)  # refuses pictures that are too large by their header
    if image is not None and image.format in _ON_THEIR_SIDE:
        return by_pillow.rgb(image, unreadable)
    picture = _from_opencv(data, name)
    if picture is None and image is not None:
        return by_pillow.rgb(image, unreadable)
    if picture is None:
        raise MediaError(unreadable)
    return _eight_bits(picture, name, [] if notes is None else notes)


def is_heic(data: bytes) -> bool:
    """Whether these bytes start a HEIC file; only `pillow-heif` reads it fully, other readers see its first tile."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), len(data))]
    # The file's brands; the version of the first one follows it.
    brands = {box[start : start + 4] for start in range(0, len(box), 4) if start != 4}
    return data[4:8] == b"ftyp" and bool(brands & _HEIC_BRANDS)


def _from_opencv(data: bytes, name: str) -> npt.NDArray[Any] | None:
    """Return RGB [H, W, 3] with the file's own bit depth."""
    cv2 = optional("cv2", extra="gaze", purpose=_PURPOSE)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError) as error:
        if "PIXELS" in str(error):
            raise by_pillow.too_large(name) from error
        raise MediaError(f"cannot decode {name} as a picture: {error}") from error
    if picture is None:
        return None
    rgb: npt.NDArray[Any] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb


def _eight_bits(picture: npt.NDArray[Any], name: str, notes: list[str]) -> npt.NDArray[np.uint8]:
    """Scale a picture's values to 0 … 255."""
    if picture.dtype == np.uint8:
        return picture
    if picture.dtype == np.uint16:
        bits = next(each for each in _SENSOR_BITS if picture.max() < 1 << each)
        if bits < 16:
            notes.append(f"{name} has 16-bit values up to {picture.max()}, read as {bits}-bit values")
        return (picture >> (bits - 8)).astype(np.uint8)
    values = np.nan_to_num(picture.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        notes.append(f"{name} has {picture.dtype} values from {low:.4g} to {high:.4g}, scaled to 0 … 255")
    return np.rint((values - low) * (255 / max(high - low, np.finfo(float).tiny))).astype(np.uint8)
