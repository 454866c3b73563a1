"""Cutting eyes out of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onepass import InputError
from onepass.gaze import EyeCrops, geometry
from onepass.gaze.eyes import cut_eyes, grey_from_picture
from onepass.media import check_picture

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

SIZE_PX = (60, 36)


def spot_picture(size: tuple[int, int], spot: tuple[float, float], radius_px: float) -> np.ndarray[Any, Any]:
    """Return a dark picture with one soft bright spot, uint8."""
    x, y = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    distance = np.hypot(x[None, :] - spot[0], y[:, None] - spot[1])
    return np.asarray(np.round(200 * np.exp(-((distance / radius_px) ** 2))), np.uint8)


def centroid(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where the brightness of an image lies on average, [2], pixel centres at x.5."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([np.average(x, weights=image), np.average(y, weights=image)])


@pytest.mark.parametrize("distance_px", [12.0, 40.0, 200.0, 1000.0], ids="{:.0f}px".format)
@pytest.mark.parametrize("roll_deg", [0.0, 20.0, -135.0])
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_pixels_are_where_the_transform_says(distance_px: float, roll_deg: float, side: Any) -> None:
    """A spot of the picture is found in the crop where the transform puts it, to a tenth of a crop pixel."""
    roll = np.radians(roll_deg)
    along = np.array([np.cos(roll), np.sin(roll)]) * (-1 if side == "right" else 1)
    centre = np.array([1000.3, 900.7])
    corners = np.stack([centre - along * distance_px / 2, centre + along * distance_px / 2])
    spot = centre + np.array([0.1, 0.05]) * distance_px
    grey = spot_picture((2000, 1800), (spot[0], spot[1]), 0.08 * distance_px)
    crops = cut_eyes(grey, corners[None], [side], SIZE_PX)
    expected = geometry.apply(crops.transforms[0], spot)
    np.testing.assert_allclose(centroid(crops.images[0]), expected, atol=0.1)


def test_right_eyes_are_mirrored() -> None:
    """The right eye of a picture and the left eye of its mirror picture are the same crop, upper lid above."""
    grey = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (80, 100), dtype=np.uint8), None, 3)
    grey[:30] //= 4
    right = cut_eyes(grey, np.array([[[60.0, 41], [30, 39]]]), ["right"], SIZE_PX).images[0].astype(int)
    left = cut_eyes(grey[:, ::-1], np.array([[[40.0, 41], [70, 39]]]), ["left"], SIZE_PX).images[0].astype(int)
    assert np.abs(right - left).max() <= 2
    assert right[:4].mean() < 0.5 * right[-4:].mean()


def test_shrinking_takes_means() -> None:
    """A fine checkerboard shrinks to its mean grey, not to a pattern of the pixels that were hit."""
    grey = (np.indices((720, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    crops = cut_eyes(grey, np.array([[[300.0, 360], [900, 360]]]), ["left"], SIZE_PX)
    assert np.abs(crops.images.astype(int) - 128).max() <= 3


@pytest.mark.parametrize(
    "centre", [(2.0, 3.0), (98.0, 79.0), (-500.0, 40.0), (50.0, 5000.0)], ids=["corner", "end", "left-of-it", "below"]
)
def test_beyond_the_edge_the_outermost_pixels_repeat(centre: tuple[float, float]) -> None:
    """An eye at the edge of a picture, or outside it, gives a crop of the pixels there are."""
    grey = np.full((80, 100), 77, np.uint8)
    corners = np.array([[np.subtract(centre, (10, 0)), np.add(centre, (10, 0))]])
    assert (cut_eyes(grey, corners, ["left"], SIZE_PX).images == 77).all()


def test_the_batch_is_what_the_network_takes() -> None:
    """The batch is float32 [N, 1, H, W] from -1 to 1, equalised, so brightness and contrast do not matter."""
    image = np.random.default_rng(0).integers(60, 90, (36, 60), dtype=np.uint8)
    crops = EyeCrops(np.stack([image, image * 2 + 10]), np.zeros((2, 2, 3)), ("right", "left"))
    batch = crops.batch()
    assert batch.dtype == np.float32
    assert batch.shape == (2, 1, 36, 60)
    assert batch.min() == -1
    assert batch.max() == 1
    np.testing.assert_array_equal(batch[0], batch[1])
    np.testing.assert_array_equal(batch[0, 0], cv2.equalizeHist(image) / np.float32(127.5) - 1)


def test_no_eyes_are_an_empty_batch() -> None:
    """A picture without eyes has crops of length zero, in the right shape."""
    crops = cut_eyes(np.zeros((9, 9), np.uint8), np.empty((0, 2, 2)), [], SIZE_PX)
    assert len(crops) == 0
    assert crops.batch().shape == (0, 1, 36, 60)
    assert repr(crops) == "EyeCrops(images=uint8[0, 36, 60], sides=())"


@pytest.mark.parametrize(
    ("images", "transforms", "message"),
    [
        (np.zeros((1, 36, 60), np.uint8), np.zeros((2, 2, 3)), r"uint8 \[2, H, W\]"),
        (np.zeros((2, 36, 60), np.float32), np.zeros((2, 2, 3)), r"uint8 \[2, H, W\]"),
        (np.zeros((2, 36, 60), np.uint8), np.zeros((2, 3, 3)), r"\[2, 2, 3\]"),
    ],
    ids=["count", "dtype", "transforms"],
)
def test_crops_are_checked(images: Any, transforms: Any, message: str) -> None:
    """Images and transforms have to belong to the same eyes."""
    with pytest.raises(InputError, match=message):
        EyeCrops(images, transforms, ("right", "left"))


def test_grey_of_colours() -> None:
    """Grey pictures stay as they are, RGB gets its luma with red first, also from a mirrored view."""
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(grey_from_picture(grey), grey)
    red = np.zeros((1, 2, 3), np.uint8)
    red[0, 0, 0] = 255
    np.testing.assert_array_equal(grey_from_picture(red), [[76, 0]])
    np.testing.assert_array_equal(grey_from_picture(red[:, ::-1]), [[0, 76]])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ([[1, 2]], "got list"),
        (np.zeros((4, 4), np.float32), r"got float32 \[4, 4\].*convert them to uint8"),
        (np.zeros((4, 4, 4), np.uint8), r"got uint8 \[4, 4, 4\]"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"got uint8 \[1, 4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
    ],
    ids=["list", "float", "four-channels", "batch", "empty"],
)
def test_what_is_no_picture_is_refused(picture: Any, message: str) -> None:
    """The error says what came and what is expected."""
    with pytest.raises(InputError, match=message):
        check_picture(picture)
