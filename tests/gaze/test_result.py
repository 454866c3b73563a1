"""The values that come back."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from onepass import InputError
from onepass.gaze import Box, Eye, Face, Gaze


def make_eye(**changes: Any) -> Eye:
    """Return an eye 40 px wide whose lids are a diamond 20 px high, with some values changed."""
    lid = [[80, 50], [90, 45], [100, 40], [110, 45], [120, 50], [110, 55], [100, 60], [90, 55]]
    values: dict[str, Any] = {
        "side": "left",
        "eyelid": lid,
        "iris": np.full((8, 2), 50.0),
        "iris_centre": (100, 50),
        "eyeball_centre": (100, 50),
        "eyeball_radius_px": 17.0,
        "gaze": Gaze(0.0, 0.0),
        "confidence": 0.8,
    }
    return Eye(**{**values, **changes})


def test_an_eye_knows_its_measures() -> None:
    """Corners, corner distance, aperture and openness follow from the eyelid."""
    eye = make_eye()
    assert eye.nasal_corner.tolist() == [80, 50]
    assert eye.temporal_corner.tolist() == [120, 50]
    assert eye.corner_distance_px == 40
    assert eye.aperture_px == pytest.approx(400 / 40)
    assert eye.openness == pytest.approx(0.25)


def test_a_shut_eye_is_not_open() -> None:
    """Lids that lie on each other enclose nothing, and an eye without width is not a division by zero."""
    lid = np.array(make_eye().eyelid)
    lid[:, 1] = 50
    assert make_eye(eyelid=lid).openness == 0
    assert make_eye(eyelid=np.full((8, 2), 3.0)).openness == 0


def test_an_eye_keeps_its_points() -> None:
    """The arrays are copies of what came in, and cannot be written to."""
    lid = np.array(make_eye().eyelid)
    eye = make_eye(eyelid=lid)
    lid[:] = 0
    assert eye.eyelid[0].tolist() == [80, 50]
    with pytest.raises(ValueError, match="read-only"):
        eye.eyelid[0] = 1
    with pytest.raises(FrozenInstanceError):
        eye.confidence = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": "top"}, "'left' or 'right'"),
        ({"eyelid": np.zeros((7, 2))}, r"eyelid must have shape \[8, 2\], got \[7, 2\]"),
        ({"iris_centre": (1.0, np.nan)}, "iris_centre must be finite"),
        ({"eyeball_radius_px": 0.0}, "eyeball_radius_px"),
        ({"eyeball_radius_px": np.nan}, "eyeball_radius_px"),
        ({"confidence": 1.5}, "confidence"),
    ],
    ids=["side", "shape", "nan-point", "no-radius", "nan-radius", "confidence"],
)
def test_impossible_eyes_are_refused(changes: dict[str, Any], message: str) -> None:
    """An eye is checked when it is made, and the message says what is wrong with it."""
    with pytest.raises(InputError, match=message):
        make_eye(**changes)


def test_a_face_has_each_eye_once_and_in_order() -> None:
    """The right eye comes first, either may be missing, and none twice."""
    left, right = make_eye(side="left"), make_eye(side="right")
    box = Box(0, 0, 10, 10)
    face = Face(box, (right, left))
    assert face.left is left
    assert face.right is right
    assert Face(box, (left,)).right is None
    for eyes in ((left, right), (left, left), ()):
        with pytest.raises(InputError, match="right eye"):
            Face(box, eyes)


def test_the_gaze_of_a_face_is_common_to_its_eyes() -> None:
    """Eyes that squint symmetrically look straight on together; an eye that is not trusted counts less."""
    right = make_eye(side="right", gaze=Gaze(0.0, -0.2))
    left = make_eye(gaze=Gaze(0.0, 0.2))
    assert Face(Box(0, 0, 9, 9), (right, left)).gaze.yaw_rad == pytest.approx(0)
    assert Face(Box(0, 0, 9, 9), (replace(right, confidence=0.1), left)).gaze.yaw_rad > 0.1
    blind = tuple(replace(eye, confidence=0.0) for eye in (right, left))
    assert Face(Box(0, 0, 9, 9), blind).gaze.yaw_rad == pytest.approx(0)


def test_a_face_tells_its_head_from_its_corners() -> None:
    """Two eyes tell roll and a rough yaw; one eye tells nothing."""
    left = make_eye()
    right = make_eye(side="right", eyelid=np.array(left.eyelid) * (-1, 1) + (160, 0))
    head = Face(Box(0, 0, 9, 9), (right, left)).head_from_corners
    assert head is not None
    assert (head.yaw_deg, head.roll_deg) == pytest.approx((0, 0))
    assert Face(Box(0, 0, 9, 9), (left,)).head_from_corners is None


def test_a_box_knows_its_edges() -> None:
    """Right edge, bottom edge, centre and area follow from corner and size."""
    box = Box(10, 20, 30, 40)
    assert (box.right_px, box.bottom_px, box.area_px) == (40, 60, 1200)
    assert box.centre.tolist() == [25, 40]


@pytest.mark.parametrize("numbers", [(0, 0, 0, 5), (0, 0, 5, -1), (np.nan, 0, 5, 5)], ids=["flat", "negative", "nan"])
def test_impossible_boxes_are_refused(numbers: tuple[float, float, float, float]) -> None:
    """A box without area, or without a place, is refused."""
    with pytest.raises(InputError, match="box"):
        Box(*numbers)


def test_reprs_are_short() -> None:
    """A face prints its measures, not its arrays."""
    text = repr(Face(Box(0, 0, 9, 9), (make_eye(),)))
    assert "openness=0.25" in text
    assert "array" not in text
    assert "pitch_deg=0.0" in text
