"""From the bytes of a picture file to RGB: OpenCV, and Pillow where that reads more, or reads it right.

The size that a header claims is looked at before memory is taken for it: Pillow refuses twice its
``MAX_IMAGE_PIXELS``. OpenCV is given the same number for what only it reads, unless it was imported before.
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
# How many bits sensors have whose values are kept in 16.
_SENSOR_BITS = (8, 10, 12, 14, 16)
# Brands of the files that hold pictures as HEVC codes them (ISO/IEC 23008-12).
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis"}
# What OpenCV leaves on its side: AVIF, and before 4.11 WebP.
_ON_THEIR_SIDE = {"AVIF", "WEBP"}


def decode_picture(data: bytes, name: str, notes: list[str] | None = None) -> npt.NDArray[np.uint8]:
    """Decode the bytes of a picture file.

    Args:
        data: What is in the file.
        name: What to call it in messages.
        notes: Where to say what had to be assumed: that values in 16 bits have fewer, or what range floats have.

    Returns:
        uint8 RGB [H, W, 3], upright.

    Raises:
        MediaError: It is no picture that can be read.
        MissingExtraError: OpenCV or Pillow is not installed, or it is a HEIC and pillow-heif is not.
    """
    unreadable = (
        f"{name} holds no picture that can be read: {len(data)} bytes that begin with {data[:8]!r}. "
        "It may be damaged or of another format; save it as JPEG or PNG"
    )
    if is_heic(data):
        return by_pillow.rgb(by_pillow.opened_heic(data, name), unreadable)
    image = by_pillow.opened(io.BytesIO(data), name)  # which refuses what claims to be too large
    if image is not None and image.format in _ON_THEIR_SIDE:
        return by_pillow.rgb(image, unreadable)
    picture = _from_opencv(data, name)
    if picture is None and image is not None:
        return by_pillow.rgb(image, unreadable)
    if picture is None:
        raise MediaError(unreadable)
    return _eight_bits(picture, name, [] if notes is None else notes)


def is_heic(data: bytes) -> bool:
    """Whether these bytes begin a HEIC picture; only `pillow-heif` reads it, all other readers see its first tile."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), len(data))]
    # What kinds of file it is; the first one's version follows it.
    brands = {box[start : start + 4] for start in range(0, len(box), 4) if start != 4}
    return data[4:8] == b"ftyp" and bool(brands & _HEIC_BRANDS)


def _from_opencv(data: bytes, name: str) -> npt.NDArray[Any] | None:
    """Return RGB [H, W, 3] of the file's own depth."""
    cv2 = optional("cv2", extra="gaze", purpose=_PURPOSE)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError) as error:
        if "PIXELS" in str(error):
            raise by_pillow.too_large(name) from error
        raise MediaError(f"{name} cannot be decoded as a picture: {error}") from error
    if picture is None:
        return None
    rgb: npt.NDArray[Any] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb


def _eight_bits(picture: npt.NDArray[Any], name: str, notes: list[str]) -> npt.NDArray[np.uint8]:
    """Return a picture with values from 0 to 255."""
    if picture.dtype == np.uint8:
        return picture
    if picture.dtype == np.uint16:
        bits = next(each for each in _SENSOR_BITS if picture.max() < 1 << each)
        if bits < 16:
            notes.append(f"{name} has values up to {picture.max()} in 16 bits: taken for {bits} bits")
        return (picture >> (bits - 8)).astype(np.uint8)
    values = np.nan_to_num(picture.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    else:
        notes.append(f"{name} has {picture.dtype} values from {low:.4g} to {high:.4g}: stretched to 0 to 255")
    return np.rint((values - low) * (255 / max(high - low, np.finfo(float).tiny))).astype(np.uint8)
