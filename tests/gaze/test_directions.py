"""Gaze and head pose, and the frames that they are counted in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import InputError
from onepass.gaze import Box, Face, Gaze, HeadPose

from .test_result import make_eye

POSES = st.builds(HeadPose, st.floats(-1.5, 1.5), st.floats(-3, 3), st.floats(-3, 3))
GAZES = st.builds(Gaze, st.floats(-1.5, 1.5), st.floats(-3, 3))


def test_gaze_in_degrees_and_as_vector() -> None:
    """Up is positive pitch and negative y; the picture's right is positive yaw and positive x."""
    gaze = Gaze(pitch_rad=np.pi / 6, yaw_rad=np.pi / 4)
    assert gaze.pitch_deg == pytest.approx(30)
    assert gaze.yaw_deg == pytest.approx(45)
    x, y, z = gaze.vector
    assert x > 0
    assert y == pytest.approx(-0.5)
    assert z == pytest.approx(x)


@settings(deadline=None, max_examples=60)
@given(GAZES)
def test_gaze_survives_its_vector(gaze: Gaze) -> None:
    """A gaze made from a gaze's vector is the same gaze."""
    back = Gaze.from_vector(gaze.vector)
    assert (back.pitch_rad, back.yaw_rad) == pytest.approx((gaze.pitch_rad, gaze.yaw_rad))


def test_the_angle_between_two_gazes() -> None:
    """Angles between directions are right from tiny to opposite."""
    ahead = Gaze(0.0, 0.0)
    assert ahead.degrees_to(Gaze(0.0, np.radians(1e-6))) == pytest.approx(1e-6)
    assert ahead.degrees_to(Gaze(0.0, np.radians(90))) == pytest.approx(90)
    assert ahead.degrees_to(Gaze(0.0, np.pi)) == pytest.approx(180)


@pytest.mark.parametrize(("pitch", "yaw"), [(2.0, 0.0), (0.0, 4.0), (np.nan, 0.0)], ids=["pitch", "yaw", "nan"])
def test_impossible_gazes_are_refused(pitch: float, yaw: float) -> None:
    """Angles outside their range, and NaN, are refused."""
    with pytest.raises(InputError, match="pitch in"):
        Gaze(pitch, yaw)


@pytest.mark.parametrize(
    ("pose", "axis", "expected"),
    [
        (HeadPose(0.3, 0, 0), 2, (0, -np.sin(0.3), np.cos(0.3))),
        (HeadPose(0, 0.3, 0), 2, (np.sin(0.3), 0, np.cos(0.3))),
        (HeadPose(0, 0, 0.3), 0, (np.cos(0.3), np.sin(0.3), 0)),
        (HeadPose(0, 0, 0.3), 2, (0, 0, 1)),
    ],
    ids=["up", "to the right", "clockwise", "roll keeps the face where it points"],
)
def test_what_the_angles_of_a_head_mean(pose: HeadPose, axis: int, expected: tuple[float, float, float]) -> None:
    """Pitch moves the face up, yaw to the picture's right, and roll turns the head clockwise in the picture."""
    np.testing.assert_allclose(pose.rotation[:, axis], expected, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(POSES)
def test_a_pose_survives_its_rotation(pose: HeadPose) -> None:
    """A pose made from a pose's rotation matrix, which is a proper one, is the same pose."""
    assert np.linalg.det(pose.rotation) == pytest.approx(1)
    back = HeadPose.from_rotation(pose.rotation)
    assert (back.pitch_rad, back.yaw_rad, back.roll_rad) == pytest.approx((pose.pitch_rad, pose.yaw_rad, pose.roll_rad))


@settings(deadline=None, max_examples=60)
@given(POSES, st.floats(0.1, 10), st.floats(-0.5, 0.5))
def test_a_pose_is_made_of_axes(pose: HeadPose, length: float, lean: float) -> None:
    """Two of a pose's axes give it back, of any length, and also where the one leans towards the other."""
    axes = pose.rotation
    back = HeadPose.from_axes(length * (axes[:, 0] + lean * axes[:, 2]), axes[:, 2] / length)
    assert np.abs(back.rotation - axes).max() < 1e-9


@settings(deadline=None, max_examples=60)
@given(POSES, GAZES)
def test_a_gaze_goes_to_the_head_and_back(pose: HeadPose, gaze: Gaze) -> None:
    """A gaze in the head's frame and back is the same; straight ahead in the head is where the face points."""
    assert pose.to_camera(pose.to_head(gaze)).degrees_to(gaze) < 1e-6
    assert pose.to_camera(Gaze(0.0, 0.0)).degrees_to(Gaze(pose.pitch_rad, pose.yaw_rad)) < 1e-6


@pytest.mark.parametrize(
    "matrix",
    [np.eye(2), 2 * np.eye(3), np.diag([1.0, 1, -1]), np.full((3, 3), np.nan)],
    ids=["2d", "2x", "flip", "nan"],
)
def test_what_is_no_rotation_is_refused(matrix: Any) -> None:
    """A matrix of another shape, with a scale, a mirroring or NaN is refused."""
    with pytest.raises(InputError, match="orthonormal"):
        HeadPose.from_rotation(matrix)


def test_impossible_poses_are_refused() -> None:
    """Angles outside their range, and NaN, are refused."""
    for angles in ((2.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, np.nan)):
        with pytest.raises(InputError, match="head pose"):
            HeadPose(*angles)


def test_a_face_knows_its_gaze_in_both_frames() -> None:
    """Who turns the head and keeps the eyes on the camera looks the other way in the head's frame."""
    box, pose = Box(0, 0, 9, 9), HeadPose(0.0, 0.4, 0.0)
    face = Face(box, (make_eye(),), head=pose, id=3)
    assert face.gaze_in_head is not None
    assert face.gaze_in_head.yaw_rad == pytest.approx(-0.4)
    assert Face(box, (make_eye(),)).gaze_in_head is None
    assert repr(pose) == "HeadPose(pitch_deg=0.0, yaw_deg=22.9, roll_deg=0.0)"
    assert (pose.pitch_deg, pose.roll_deg) == (0, 0)
