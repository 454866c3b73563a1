"""Eye crops: cut eyes out of a picture as the network was trained to see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Side
from onepass.media import Picture

_PURPOSE = "Cutting eyes out of pictures"
# Maximum movement of a corner between passes, relative to the corner distance. A larger movement means that the crop
# showed no eye, and a crop placed by this result would be worse than the previous one.
_MAX_MOVE = 0.4


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EyeCrops:
    """The crops of N eyes, level and with the nasal corner on the left.

    Attributes:
        images: uint8 [N, H, W], grey.
        transforms: float64 [N, 2, 3], picture pixels to crop pixels.
        sides: The subject's side of each eye.
    """

    images: Grey
    transforms: FloatArray
    sides: tuple[Side, ...]

    def __post_init__(self) -> None:
        count = len(self.sides)
        if self.images.dtype != np.uint8 or self.images.ndim != 3 or len(self.images) != count:
            raise InputError(
                f"crops of {count} eyes must be uint8 [{count}, H, W], "
                f"got {self.images.dtype} {list(self.images.shape)}"
            )
        if self.transforms.shape != (count, 2, 3):
            raise InputError(f"transforms must be [{count}, 2, 3], got {list(self.transforms.shape)}")

    def __repr__(self) -> str:
        return f"EyeCrops(images=uint8{list(self.images.shape)}, sides={self.sides})"

    def __len__(self) -> int:
        return len(self.sides)

    def __getitem__(self, part: slice) -> EyeCrops:
        return EyeCrops(self.images[part], self.transforms[part], self.sides[part])

    @classmethod
    def joined(cls, parts: Sequence[EyeCrops], size_px: tuple[int, int]) -> EyeCrops:
        """Return the crops of several pictures, all of one width and height, as one."""
        width, height = size_px
        return cls(
            np.concatenate([np.empty((0, height, width), np.uint8), *(part.images for part in parts)]),
            np.concatenate([np.empty((0, 2, 3)), *(part.transforms for part in parts)]),
            tuple(side for part in parts for side in part.sides),
        )

    def batch(self) -> npt.NDArray[np.float32]:
        """Return the network's input: float32 [N, 1, H, W] from -1 to 1, each crop with an equalised histogram."""
        cv2 = optional("cv2", extra="gaze", purpose=_PURPOSE)
        equalised = np.empty(self.images.shape, np.float32)
        for index, image in enumerate(self.images):
            equalised[index] = cv2.equalizeHist(image)
        scaled: npt.NDArray[np.float32] = equalised / np.float32(127.5) - np.float32(1)
        return scaled[:, None]


def grey_from_picture(picture: Picture) -> Grey:
    """Return a picture as grey uint8 [H, W]; RGB is converted to luma (ITU-R BT.601)."""
    if picture.ndim == 2:
        return np.ascontiguousarray(picture)
    cv2 = optional("cv2", extra="gaze", purpose=_PURPOSE)
    grey: Grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return grey


def cut_eyes(grey: Grey, corners: FloatArray, sides: Sequence[Side], size_px: tuple[int, int]) -> EyeCrops:
    """Crop N eyes from a picture.

    Args:
        grey: uint8 [H, W].
        corners: float64 [N, 2, 2] in picture pixels: nasal and temporal corner of each eye.
        sides: The subject's side of each eye; right eyes are mirrored.
        size_px: Width and height of a crop.
    """
    width, height = size_px
    images = np.empty((len(sides), height, width), np.uint8)
    transforms = np.empty((len(sides), 2, 3))
    for index, (side, (nasal, temporal)) in enumerate(zip(sides, corners, strict=True)):
        transforms[index] = geometry.eye_transform(nasal, temporal, size_px, mirror=side == "right")
        images[index] = cut(grey, transforms[index], size_px)
    return EyeCrops(images, transforms, tuple(sides))


def cut(grey: Grey, transform: FloatArray, size_px: tuple[int, int]) -> Grey:
    """Warp one crop from a picture; edge pixels are repeated outside the picture.

    Args:
        grey: uint8 [H, W].
        transform: [2, 3], a similarity transform from picture pixels to crop pixels.
        size_px: Width and height of the crop.
    """
    cv2 = optional("cv2", extra="gaze", purpose=_PURPOSE)
    part, transform = _around(grey, transform, size_px)
    # Bilinear sampling skips pixels when shrinking by more than 2: average whole pixels first.
    shrink = int(1 / geometry.scale_of(transform))
    if shrink >= 2:
        size = [max(1, round(side / shrink)) for side in part.shape[::-1]]
        scale = np.array([part.shape[1] / size[0], part.shape[0] / size[1]])
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        transform = geometry.compose(transform, np.column_stack([np.diag(scale), np.zeros(2)]))
    matrix = geometry.centred_at_zero(transform)
    crop: Grey = cv2.warpAffine(part, matrix, size_px, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return crop


def _around(grey: Grey, transform: FloatArray, size_px: tuple[int, int]) -> tuple[Grey, FloatArray]:
    """Return the part of a picture that a crop covers, and the transform from this part.

    The cost of a crop then depends on the eye, not on the picture; it also avoids OpenCV's limit of 32767 pixels per
    side.
    """
    margin = 2 + 2 / geometry.scale_of(transform)
    low, high = [], []
    for (a, b, start), limit in zip(geometry.invert(transform).tolist(), grey.shape[::-1], strict=True):
        across, down = a * size_px[0], b * size_px[1]
        first, last = start + min(across, 0) + min(down, 0), start + max(across, 0) + max(down, 0)
        low.append(int(min(max(math.floor(first - margin), 0), limit - 1)))
        high.append(int(min(max(math.ceil(last + margin), low[-1] + 1), limit)))
    (left, top), ((a, b, x), (c, d, y)) = low, transform.tolist()
    shifted = np.array([[a, b, x + a * left + b * top], [c, d, y + c * left + d * top]])
    return grey[top : high[1], left : high[0]], shifted


def corners_agree(before: FloatArray, after: FloatArray) -> bool:
    """Whether an eye's corners [2, 2] are close enough to those of the previous pass to place the next crop."""
    # Plain Python numbers are faster for so few.
    pairs, (nasal, temporal) = zip(before.tolist(), after.tolist(), strict=True), before.tolist()
    return max(math.dist(mine, other) for mine, other in pairs) <= _MAX_MOVE * math.dist(nasal, temporal)
