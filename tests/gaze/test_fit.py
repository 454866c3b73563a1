"""An eyeball fitted to landmarks, and the line of sight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import InputError, Session
from onepass.gaze import Box, Eye, Face, FoundFace, Gaze, GazeEstimator, fit_gaze, geometry, line_of_sight
from onepass.gaze.fit import EyeballProblem

from .test_result import make_eye

optimize = pytest.importorskip("scipy.optimize", reason="needs SciPy: pip install '.[gaze]'")

GAZES = st.builds(Gaze, st.floats(-0.5, 0.5), st.floats(-0.7, 0.7))
IRIS_ANGLE = np.radians(29.4)


def ideal_eye(gaze: Gaze, *, roll_rad: float = 0.0, radius_px: float = 20.0, **changes: Any) -> Eye:
    """Return a left eye whose landmarks are those of a ball that looks along a gaze, as the fit models it."""
    axis = gaze.vector
    right = np.array([np.cos(gaze.yaw_rad), 0, -np.sin(gaze.yaw_rad)])
    down = np.array([np.sin(gaze.yaw_rad) * np.sin(gaze.pitch_rad), np.cos(gaze.pitch_rad),
                     np.cos(gaze.yaw_rad) * np.sin(gaze.pitch_rad)])  # fmt: skip
    turns = np.pi + np.arange(8) * np.pi / 4 + roll_rad
    circle = np.cos(turns)[:, None] * right + np.sin(turns)[:, None] * down
    centre = np.array([100.0, 50])
    return make_eye(
        iris=centre + radius_px * (np.cos(IRIS_ANGLE) * axis + np.sin(IRIS_ANGLE) * circle)[:, :2],
        iris_centre=centre + radius_px * axis[:2],
        eyeball_centre=centre,
        eyeball_radius_px=radius_px,
        gaze=gaze,
        **changes,
    )


def mirrored(eye: Eye) -> Eye:
    """Return the eye in a mirror along x = 100."""
    flip = np.array([[-1.0, 0, 200], [0, 1, 0]])
    points = {
        name: geometry.apply(flip, getattr(eye, name)) for name in ("eyelid", "iris", "iris_centre", "eyeball_centre")
    }
    side = "right" if eye.side == "left" else "left"
    return replace(eye, side=side, gaze=Gaze(eye.gaze.pitch_rad, -eye.gaze.yaw_rad), **points)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(GAZES, st.floats(-0.3, 0.3))
def test_a_perfect_ball_is_found(gaze: Gaze, roll: float) -> None:
    """Landmarks of the model give its gaze, whatever the turn of the iris's points."""
    (fitted,) = fit_gaze([ideal_eye(gaze, roll_rad=roll)])
    assert fitted.gaze.degrees_to(gaze) < 0.3


def test_a_wrong_centre_is_corrected() -> None:
    """A ball's centre that is off spoils the closed form; the ring of the iris puts half of it right."""
    gaze = Gaze(0.1, 0.5)
    eye = ideal_eye(gaze)
    wrong = replace(eye, eyeball_centre=eye.eyeball_centre + np.array([2.5, 0]))
    pitch, yaw = geometry.gaze_angles(wrong.iris_centre, wrong.eyeball_centre, wrong.eyeball_radius_px)
    closed = Gaze(float(pitch), float(yaw)).degrees_to(gaze)
    (fitted,) = fit_gaze([wrong])
    assert closed > 7
    assert fitted.gaze.degrees_to(gaze) < 0.75 * closed


def test_points_that_are_not_trusted_count_less() -> None:
    """A ring seen wrongly draws the gaze along, but hardly where the network says that it did not see it."""
    gaze = Gaze(0.0, 0.2)
    eye = ideal_eye(gaze)
    squashed = eye.iris.mean(axis=0) + (eye.iris - eye.iris.mean(axis=0)) * (0.8, 1) + (2, 0)
    sure = replace(eye, iris=squashed, point_confidences=np.ones(17))
    unsure = replace(sure, point_confidences=np.repeat([1.0, 0.0, 1.0], [8, 8, 1]))
    off, near = (fitted.gaze.degrees_to(gaze) for fitted in fit_gaze([sure, unsure]))
    assert near < 0.5 * off


@settings(max_examples=40)
@given(GAZES)
def test_the_mirror_is_the_mirror(gaze: Gaze) -> None:
    """The right eye in a mirror is fitted as the left eye is."""
    random = np.random.default_rng(0)
    eye = ideal_eye(gaze)
    eye = replace(eye, iris=eye.iris + random.normal(size=(8, 2)))
    left, right = fit_gaze([eye, mirrored(eye)])
    assert Gaze(right.gaze.pitch_rad, -right.gaze.yaw_rad).degrees_to(left.gaze) < 0.2


def test_eyes_do_not_mind_each_other() -> None:
    """Many eyes are fitted as each alone, and everything but the gaze stays."""
    random = np.random.default_rng(1)
    eyes = [ideal_eye(Gaze(*random.uniform(-0.5, 0.5, 2))) for _ in range(11)]
    eyes = [replace(eye, iris=eye.iris + random.normal(size=(8, 2))) for eye in eyes]
    together = fit_gaze(eyes)
    for eye, fitted in zip(eyes, together, strict=True):
        (alone,) = fit_gaze([eye])
        assert fitted.gaze.degrees_to(alone.gaze) < 0.3
        np.testing.assert_array_equal(fitted.iris, eye.iris)
    assert fit_gaze([]) == []


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_derivatives_are_right(side: str) -> None:
    """Each derivative agrees with differences, away from the start too."""
    random = np.random.default_rng(2)
    eye = ideal_eye(Gaze(0.2, -0.3), roll_rad=0.1)
    problem = EyeballProblem([eye if side == "left" else mirrored(eye)])
    for row in range(22):
        point = problem.start[0] + random.normal(0, 0.1, 7)
        error = optimize.check_grad(
            lambda p, row=row: problem.residuals(p[None])[0, row],
            lambda p, row=row: problem.jacobian(p[None])[0, row],
            point,
        )
        assert error < 1e-3


def test_a_hopeless_eye_gets_some_gaze() -> None:
    """Landmarks that fit no ball end in a direction all the same."""
    random = np.random.default_rng(3)
    for _ in range(5):
        eye = make_eye(iris=random.uniform(0, 200, (8, 2)), iris_centre=(500, 50), eyeball_centre=(0, 0))
        (fitted,) = fit_gaze([eye])
        assert np.isfinite(fitted.gaze.vector).all()


@given(GAZES, st.floats(-10, 10))
def test_the_line_of_sight_can_be_undone(gaze: Gaze, kappa_deg: float) -> None:
    """Turning inwards and as far outwards is no turn, and no turn is longer than kappa."""
    eye = make_eye(gaze=gaze)
    turned = line_of_sight(eye, kappa_deg)
    assert turned.degrees_to(gaze) <= abs(kappa_deg) + 1e-6
    assert line_of_sight(replace(eye, gaze=turned), -kappa_deg).degrees_to(gaze) < 1e-6


def test_lines_of_sight_converge() -> None:
    """Eyes whose axes point outwards by kappa look straight ahead; a tilted head does not change that."""
    for roll in (0.0, 0.4):
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        for side, sign in (("left", 1), ("right", -1)):
            lid = np.array(make_eye().eyelid) - (100, 50)
            lid[:, 0] *= sign
            outwards = Gaze(0.0, sign * np.radians(5)).vector
            gaze = Gaze.from_vector(np.array([*(turn @ outwards[:2]), outwards[2]]))
            assert line_of_sight(make_eye(side=side, eyelid=lid @ turn.T, gaze=gaze)).degrees_to(Gaze(0, 0)) < 1e-6
    shut = make_eye(eyelid=np.full((8, 2), 3.0))
    assert line_of_sight(shut) == shut.gaze


def test_the_estimator_does_as_it_is_told(session: Session) -> None:
    """Fit and kappa change the gaze and nothing else; what there is not is refused."""
    pytest.importorskip("cv2")
    found = FoundFace.from_eye_centres(Box(50, 50, 80, 80), right=(70, 80), left=(110, 84))

    def look(**options: Any) -> Face:
        (face,) = GazeEstimator(session, lambda grey: [found], **options)(np.zeros((200, 200), np.uint8))
        return face

    plain, fitted, turned = look(), look(gaze="fit"), look(kappa_deg=5.0)
    for eye, same, other in zip(plain.eyes, fitted.eyes, turned.eyes, strict=True):
        np.testing.assert_array_equal(eye.iris, same.iris)
        assert eye.gaze.degrees_to(same.gaze) < 1
        assert eye.gaze.degrees_to(other.gaze) == pytest.approx(5)
    with pytest.raises(InputError, match="'fit'"):
        look(gaze="guess")
    with pytest.raises(InputError, match="kappa_deg"):
        look(kappa_deg=90.0)
