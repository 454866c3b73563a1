"""Geometry of crops, angles and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onepass import InputError
from onepass.gaze import geometry

CALM = settings(deadline=None, max_examples=60)
SIZE_PX = (120, 72)

coordinate = st.floats(-2000, 2000)
point = st.tuples(coordinate, coordinate)
points = arrays(np.float64, (5, 2), elements=coordinate)
turn_rad = st.floats(-np.pi, np.pi)
pitch_rad = st.floats(-1.5, 1.5)
yaw_rad = st.floats(-1.5, 1.5)
# Where an iris may lie on its ball, in radii.
on_ball = st.tuples(st.floats(0, 0.99), turn_rad).map(lambda p: p[0] * np.array([np.cos(p[1]), np.sin(p[1])]))


def rotation(angle: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the turn [2, 2] of the picture by an angle, from x towards y."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def eye_of(nasal: Any, temporal: Any, *, mirror: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the crop transform of two corners that are far enough apart to be an eye."""
    assume(np.linalg.norm(np.subtract(nasal, temporal)) > 1)
    return geometry.eye_transform(nasal, temporal, SIZE_PX, mirror=mirror)


@CALM
@given(point, point, st.booleans())
def test_corners_land_level_with_the_nasal_one_left(nasal: Any, temporal: Any, mirror: bool) -> None:
    """The corners lie level in the crop, a scaled corner distance apart, around its centre, nasal first."""
    crop = geometry.apply(eye_of(nasal, temporal, mirror=mirror), [nasal, temporal])
    np.testing.assert_allclose(crop, [[60 - 40, 36], [60 + 40, 36]], atol=1e-6)


@CALM
@given(point, point, points, st.booleans())
def test_the_way_back_undoes_the_crop(nasal: Any, temporal: Any, marks: Any, mirror: bool) -> None:
    """Points taken to a crop and back are where they were."""
    transform = eye_of(nasal, temporal, mirror=mirror)
    back = geometry.apply(geometry.invert(transform), geometry.apply(transform, marks))
    np.testing.assert_allclose(back, marks, atol=1e-6)


@CALM
@given(point, point, st.booleans())
def test_mirroring_shows_in_the_handedness_alone(nasal: Any, temporal: Any, mirror: bool) -> None:
    """A mirrored crop turns the other way round and is as large as one that is not."""
    transform = eye_of(nasal, temporal, mirror=mirror)
    determinant = np.linalg.det(transform[:, :2])
    assert (determinant < 0) == mirror
    assert geometry.scale_of(transform) == pytest.approx(80 / np.linalg.norm(np.subtract(nasal, temporal)))


def test_upright_eyes_stay_upright() -> None:
    """What is above an eye in the picture is above it in the crop, for both eyes of an upright face."""
    right = geometry.eye_transform((200, 100), (180, 100), SIZE_PX, mirror=True)
    left = geometry.eye_transform((240, 100), (260, 100), SIZE_PX, mirror=False)
    assert geometry.apply(right, (190, 95))[1] < 36
    assert geometry.apply(left, (250, 95))[1] < 36


def test_a_mirrored_eye_gives_the_same_crop() -> None:
    """The right eye of a face and the left eye of its mirror picture have the same crop coordinates."""
    marks = np.array([[188.0, 97.0], [195.0, 104.0]])
    flip = np.array([[-1.0, 0, 512], [0, 1, 0]])
    right = geometry.eye_transform((200, 101), (180, 99), SIZE_PX, mirror=True)
    nasal, temporal = geometry.apply(flip, [(200, 101), (180, 99)])
    left = geometry.eye_transform(nasal, temporal, SIZE_PX, mirror=False)
    np.testing.assert_allclose(geometry.apply(left, geometry.apply(flip, marks)), geometry.apply(right, marks))


@pytest.mark.parametrize("temporal", [(3.0, 4.0), (np.nan, 1.0), (np.inf, 1.0)], ids=["same", "nan", "infinite"])
def test_corners_without_direction_are_refused(temporal: tuple[float, float]) -> None:
    """Two corners in one place, or nowhere, are no eye."""
    with pytest.raises(InputError, match="two different finite corners"):
        geometry.eye_transform((3.0, 4.0), temporal, SIZE_PX, mirror=False)


@CALM
@given(point, point, points)
def test_compose_does_the_inner_one_first(nasal: Any, temporal: Any, marks: Any) -> None:
    """A composed transform moves points as its two parts do one after the other."""
    inner = eye_of(nasal, temporal, mirror=True)
    outer = np.array([[0.0, -2.0, 5.0], [2.0, 0.0, -3.0]])
    both = geometry.apply(outer, geometry.apply(inner, marks))
    np.testing.assert_allclose(geometry.apply(geometry.compose(outer, inner), marks), both, rtol=1e-9, atol=1e-6)


def test_a_flat_transform_has_no_way_back() -> None:
    """A transform that puts the plane on a line is refused, not inverted into infinities."""
    with pytest.raises(InputError, match="cannot be inverted"):
        geometry.invert(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))


def test_opencv_counts_centres_from_zero() -> None:
    """Doubling a picture takes the first pixel's centre, 0.5 here and 0 there, to 1 here and 0.5 there."""
    doubled = geometry.centred_at_zero(np.array([[2.0, 0, 0], [0, 2, 0]]))
    np.testing.assert_allclose(geometry.apply(doubled, (0, 0)), (0.5, 0.5))


@CALM
@given(pitch_rad, yaw_rad)
def test_angles_survive_the_vector(pitch: float, yaw: float) -> None:
    """Angles taken to a unit vector and back are the same angles."""
    vector = geometry.vector_from_angles(pitch, yaw)
    assert np.linalg.norm(vector) == pytest.approx(1)
    back = geometry.angles_from_vector(3 * vector)
    np.testing.assert_allclose(back, (pitch, yaw), atol=1e-9)


@pytest.mark.parametrize(
    ("iris", "pitch_deg", "yaw_deg"),
    [((0, 0), 0, 0), ((0, -6), 30, 0), ((0, 6), -30, 0), ((6, 0), 0, 30), ((-6, 0), 0, -30)],
    ids=["camera", "up", "down", "picture-right", "picture-left"],
)
def test_the_signs_of_gaze(iris: tuple[int, int], pitch_deg: float, yaw_deg: float) -> None:
    """An iris above the ball's centre looks up, one to the picture's right has positive yaw."""
    pitch, yaw = geometry.gaze_angles(np.array(iris) + 50, (50, 50), 12)
    np.testing.assert_allclose(np.degrees((pitch, yaw)), (pitch_deg, yaw_deg), atol=1e-9)


@CALM
@given(on_ball)
def test_gaze_is_gazemls_closed_form(offset: Any) -> None:
    """On the ball the angles are GazeML's, but for the sign of yaw."""
    pitch, yaw = geometry.gaze_angles(offset * 12 + 7, (7, 7), 12)
    theta = -np.arcsin(offset[1])
    phi = np.arcsin(np.clip(offset[0] / -np.cos(theta), -1, 1))
    np.testing.assert_allclose((pitch, yaw), (theta, -phi), atol=1e-7)


@CALM
@given(on_ball, st.floats(0.1, 100), point)
def test_gaze_depends_on_neither_size_nor_place(offset: Any, scale: float, place: Any) -> None:
    """A face that is larger, or elsewhere in the picture, looks in the same direction."""
    here = geometry.gaze_angles(offset, (0, 0), 1)
    there = geometry.gaze_angles(offset * scale + place, place, scale)
    np.testing.assert_allclose(there, here, atol=1e-6)


@CALM
@given(on_ball.map(lambda offset: 1.5 * offset), turn_rad)
def test_gaze_turns_with_the_picture(offset: Any, angle: float) -> None:
    """Turning the picture turns the gaze vector about the camera's axis, beyond the rim as well."""
    straight = geometry.vector_from_angles(*geometry.gaze_angles(offset, (0, 0), 1))
    turned = geometry.vector_from_angles(*geometry.gaze_angles(rotation(angle) @ offset, (0, 0), 1))
    np.testing.assert_allclose(turned[:2], rotation(angle) @ straight[:2], atol=1e-7)
    assert turned[2] == pytest.approx(straight[2], abs=1e-7)


@CALM
@given(on_ball, turn_rad, st.booleans())
def test_gaze_in_the_picture_is_the_crops_unmirrored_and_unrolled(offset: Any, roll: float, mirror: bool) -> None:
    """Angles from picture points are those of the crop with yaw negated if mirrored, turned by the crop's roll."""
    along = rotation(roll) @ np.array([-1.0 if mirror else 1.0, 0.0])
    transform = geometry.eye_transform(50 - 10 * along, 50 + 10 * along, SIZE_PX, mirror=mirror)
    iris, ball = geometry.apply(transform, np.stack([50 + 8 * offset, np.full(2, 50.0)]))
    pitch, yaw = geometry.gaze_angles(iris, ball, 8 * geometry.scale_of(transform))
    in_crop = geometry.vector_from_angles(pitch, -yaw if mirror else yaw)
    in_picture = geometry.vector_from_angles(*geometry.gaze_angles(50 + 8 * offset, (50, 50), 8))
    np.testing.assert_allclose(in_picture[:2], rotation(roll) @ in_crop[:2], atol=1e-6)


def test_an_iris_beyond_the_rim_looks_sideways() -> None:
    """A point outside the ball is clamped to its rim: finite, and in the direction in which it lies."""
    pitch, yaw = geometry.gaze_angles((30, -30), (0, 0), 10)
    np.testing.assert_allclose(geometry.vector_from_angles(pitch, yaw), (np.sqrt(0.5), -np.sqrt(0.5), 0), atol=1e-7)


def test_gaze_takes_many_eyes_at_once() -> None:
    """Leading axes are kept."""
    pitch, yaw = geometry.gaze_angles(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), np.ones((3, 2)))
    assert pitch.shape == yaw.shape == (3, 2)


def test_mean_direction_weighs() -> None:
    """The mean of two directions lies between them, nearer to the heavier one, and has unit length."""
    vectors = np.array([[0.6, 0, 0.8], [-0.6, 0, 0.8]])
    np.testing.assert_allclose(geometry.mean_direction(vectors, [1, 1]), (0, 0, 1), atol=1e-12)
    heavier = geometry.mean_direction(vectors, [3, 1])
    assert heavier[0] > 0
    assert np.linalg.norm(heavier) == pytest.approx(1)


def test_directions_that_cancel_have_no_mean() -> None:
    """Opposite directions are refused, not divided by zero."""
    with pytest.raises(InputError, match="cancel"):
        geometry.mean_direction([[1, 0, 0], [-1, 0, 0]], [1, 1])


@CALM
@given(arrays(np.float64, (8, 2), elements=st.floats(-100, 100)), turn_rad, st.floats(0.1, 10), st.booleans())
def test_area_follows_scale_alone(polygon: Any, angle: float, scale: float, mirror: bool) -> None:
    """Turning and mirroring keep an area, scaling squares into it."""
    flip = np.diag([-1.0 if mirror else 1.0, 1.0])
    moved = polygon @ (scale * rotation(angle) @ flip).T + 5
    assert geometry.polygon_area(moved) == pytest.approx(scale**2 * geometry.polygon_area(polygon), abs=1e-5)


def test_area_of_a_rectangle() -> None:
    """A rectangle of 3 by 4 has an area of 12, whichever way round it is listed."""
    rectangle = np.array([[0, 0], [3, 0], [3, 4], [0, 4]])
    assert geometry.polygon_area(rectangle) == geometry.polygon_area(rectangle[::-1]) == 12


@CALM
@given(points, st.booleans())
def test_a_smooth_curve_goes_through_its_points(marks: Any, closed: bool) -> None:
    """Every point is on the curve, and the curve is finite even where points coincide."""
    curve = geometry.smooth_curve(marks, closed=closed, steps=4)
    assert len(curve) == (20 if closed else 17)
    np.testing.assert_allclose(curve[::4], marks, atol=1e-6)
    assert np.isfinite(curve).all()


def test_a_closed_curve_through_a_circle_is_round() -> None:
    """Eight points of a circle give a curve within one percent of it: the iris is not drawn as an octagon."""
    turn = np.arange(8) * np.pi / 4
    curve = geometry.smooth_curve(10 * np.stack([np.cos(turn), np.sin(turn)], axis=1), closed=True)
    np.testing.assert_allclose(np.linalg.norm(curve, axis=1), 10, atol=0.1)
