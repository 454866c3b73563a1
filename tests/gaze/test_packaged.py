"""The packaged networks on a real face: scikit-image's astronaut, who looks into the camera."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from onepass.gaze import (
    PACKAGED_MODELS,
    Box,
    Eye,
    Face,
    FoundFace,
    Gaze,
    GazeEstimator,
    draw_analysis,
    geometry,
)

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Points = np.ndarray[Any, np.dtype[np.float64]]

# Measured by hand on a fivefold enlargement: nasal corner, temporal corner, iris centre.
RIGHT = np.array([[210.6, 102.6], [193.0, 100.6], [203.5, 101.4]])
LEFT = np.array([[238.0, 103.0], [257.8, 102.6], [246.8, 103.4]])
FOUND = FoundFace(Box(177, 66, 95, 95), RIGHT[:2], LEFT[:2])


@pytest.fixture(scope="module", params=sorted(PACKAGED_MODELS))
def estimator(request: pytest.FixtureRequest) -> Iterator[GazeEstimator]:
    """An estimator with the packaged weights and the default finder."""
    with GazeEstimator.from_default(request.param) as opened:
        yield opened


def sure(estimator: GazeEstimator, found: FoundFace) -> GazeEstimator:
    """Return an estimator that is told where the face is, so that what differs is not the finder's doing."""
    return GazeEstimator(estimator.session, lambda grey: [found])


def moved(found: FoundFace, transform: Points, *, swap: bool = False) -> FoundFace:
    """Return a found face whose picture was moved by a transform; `swap` if that mirrored it."""
    right, left = (geometry.apply(transform, corners) for corners in (found.right, found.left) if corners is not None)
    return FoundFace(found.box, left, right) if swap else FoundFace(found.box, right, left)


def points(eye: Eye) -> Points:
    """Return all points of an eye, [18, 2]."""
    return np.concatenate([eye.eyelid, eye.iris, [eye.iris_centre, eye.eyeball_centre]])


def both(face: Face) -> tuple[Eye, Eye]:
    """Return the right and the left eye."""
    right, left = face.eyes
    return right, left


def test_both_eyes_are_where_they_are(estimator: GazeEstimator, astronaut: Picture) -> None:
    """Iris centres lie within a tenth of the corner distance of the true ones, corners within a fifth."""
    (face,) = estimator(astronaut)
    assert [eye.side for eye in face.eyes] == ["right", "left"]
    for eye, (nasal, temporal, iris) in zip(face.eyes, (RIGHT, LEFT), strict=True):
        size = np.linalg.norm(temporal - nasal)
        assert np.linalg.norm(eye.iris.mean(axis=0) - iris) < 0.1 * size
        assert np.linalg.norm(eye.nasal_corner - nasal) < 0.2 * size
        assert np.linalg.norm(eye.temporal_corner - temporal) < 0.2 * size


def test_the_eyes_are_plausible(estimator: GazeEstimator, astronaut: Picture) -> None:
    """Lids are open and hold the iris centre; iris and eyeball have the sizes that irises and eyeballs have."""
    (face,) = estimator(astronaut)
    for eye in face.eyes:
        size = eye.corner_distance_px
        assert 0.12 < eye.openness < 0.4
        assert eye.eyelid[2, 1] < eye.iris_centre[1] < eye.eyelid[6, 1]
        widths = np.linalg.norm(eye.iris[:4] - eye.iris[4:], axis=1)
        assert 0.3 < widths.mean() / size < 0.6
        assert 0.3 < eye.eyeball_radius_px / size < 0.6
        assert eye.confidence > 0.3


def test_she_looks_into_the_camera(estimator: GazeEstimator, astronaut: Picture) -> None:
    """The common gaze of both eyes is within ten degrees of the camera."""
    (face,) = estimator(astronaut)
    assert face.gaze.degrees_to(Gaze(0.0, 0.0)) < 10


def test_a_mirrored_picture_gives_the_mirrored_face(estimator: GazeEstimator, astronaut: Picture) -> None:
    """Each eye becomes the other one, point by point, with yaw negated and all else the same."""
    flip = np.array([[-1.0, 0, 512], [0, 1, 0]])
    (face,) = sure(estimator, FOUND)(astronaut)
    (mirrored,) = sure(estimator, moved(FOUND, flip, swap=True))(np.ascontiguousarray(astronaut[:, ::-1]))
    for eye, image in zip(both(face), reversed(both(mirrored)), strict=True):
        np.testing.assert_allclose(points(image), geometry.apply(flip, points(eye)), atol=0.3)
        assert image.eyeball_radius_px == pytest.approx(eye.eyeball_radius_px, abs=0.3)
        assert image.gaze.degrees_to(Gaze(eye.gaze.pitch_rad, -eye.gaze.yaw_rad)) < 2
        assert image.confidence == pytest.approx(eye.confidence, abs=0.03)


def test_mirroring_holds_from_end_to_end(estimator: GazeEstimator, astronaut: Picture) -> None:
    """With the finder's own faces, which differ a little in the mirror, the result is mirrored all the same."""
    (face,), (mirrored,) = estimator(astronaut), estimator(np.ascontiguousarray(astronaut[:, ::-1]))
    for eye, image in zip(both(face), reversed(both(mirrored)), strict=True):
        np.testing.assert_allclose(image.iris_centre, (512 - eye.iris_centre[0], eye.iris_centre[1]), atol=1.5)
        assert image.gaze.degrees_to(Gaze(eye.gaze.pitch_rad, -eye.gaze.yaw_rad)) < 10


@pytest.mark.parametrize("roll_deg", [15, -40])
def test_a_tilted_picture_gives_the_tilted_face(roll_deg: int, estimator: GazeEstimator, astronaut: Picture) -> None:
    """Points turn with the picture, and the gaze vector turns about the camera's axis."""
    roll = np.radians(roll_deg)
    linear = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    turn = np.column_stack([linear, (225, 110) - linear @ (225, 110)])
    tilted = cv2.warpAffine(astronaut, geometry.centred_at_zero(turn), (512, 512), flags=cv2.INTER_CUBIC)
    (face,) = sure(estimator, FOUND)(astronaut)
    (turned,) = sure(estimator, moved(FOUND, turn))(tilted)
    for eye, image in zip(both(face), both(turned), strict=True):
        # The eye is 20 pixels wide; what of it shows least, a corner, moves by a tenth of that.
        off = np.linalg.norm(points(image) - geometry.apply(turn, points(eye)), axis=1)
        assert off.max() < 2.1
        assert np.median(off) < 0.6
    x, y, z = face.gaze.vector
    assert turned.gaze.degrees_to(Gaze.from_vector(np.array([*(linear @ (x, y)), z]))) < 5


def test_the_finder_copes_with_a_tilt(estimator: GazeEstimator, astronaut: Picture) -> None:
    """A head tilted by 15 degrees is found, and its crops are level with its eyes."""
    matrix = cv2.getRotationMatrix2D((225, 110), 15, 1)
    tilted = cv2.warpAffine(astronaut, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    result = estimator.analyse(tilted)
    (face,) = result.faces
    for eye, true in zip(face.eyes, (RIGHT, LEFT), strict=True):
        expected = geometry.apply(matrix, true[2])
        assert np.linalg.norm(eye.iris.mean(axis=0) - expected) < 2.5
    assert face.gaze.degrees_to(Gaze(0.0, 0.0)) < 12


def test_size_does_not_matter(estimator: GazeEstimator, astronaut: Picture) -> None:
    """The picture three times as large gives points three times as far and the same gaze."""
    large = cv2.resize(astronaut, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)
    (face,) = sure(estimator, FOUND)(astronaut)
    (larger,) = sure(estimator, moved(FOUND, np.array([[3.0, 0, 0], [0, 3, 0]])))(large)
    for eye, image in zip(face.eyes, larger.eyes, strict=True):
        np.testing.assert_allclose(points(image) / 3, points(eye), atol=0.8)
    assert larger.gaze.degrees_to(face.gaze) < 4


def test_grey_is_enough(estimator: GazeEstimator, astronaut: Picture) -> None:
    """The picture in grey gives exactly what the picture in RGB gives."""
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    for eye, same in zip(estimator(astronaut)[0].eyes, estimator(grey)[0].eyes, strict=True):
        np.testing.assert_array_equal(points(eye), points(same))


def test_two_faces_side_by_side(estimator: GazeEstimator, astronaut: Picture) -> None:
    """Two faces are two results with the same eyes, a picture's width apart, from one batch of four."""
    result = estimator.analyse(np.hstack([astronaut, astronaut]))
    assert len(result.faces) == 2
    assert result.outputs is not None
    assert result.outputs["landmarks"].shape == (4, 18, 2)
    beside = np.array([[1.0, 0, 512], [0, 1, 0]])
    first, second = sorted(result.faces, key=lambda face: face.box.left_px)
    for eye, twin in zip(first.eyes, second.eyes, strict=True):
        np.testing.assert_allclose(points(twin), geometry.apply(beside, points(eye)), atol=1.5)


def test_no_face_is_an_empty_list(estimator: GazeEstimator) -> None:
    """Pictures without a face give no faces and no error."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert estimator(noise) == []
    assert estimator(np.zeros((5, 5, 3), np.uint8)) == []


def test_a_repeated_call_gives_the_same(estimator: GazeEstimator, astronaut: Picture) -> None:
    """The same picture gives the same numbers, and an earlier result is not touched by a later call."""
    before = estimator.analyse(astronaut)
    if before.outputs is None:
        pytest.fail("no face was found")
    kept = before.outputs["heatmaps"].copy()
    again = estimator.analyse(astronaut)
    estimator(np.ascontiguousarray(astronaut[:, ::-1]))
    np.testing.assert_array_equal(before.outputs["heatmaps"], kept)
    np.testing.assert_array_equal(points(before.faces[0].eyes[0]), points(again.faces[0].eyes[0]))


def test_the_picture_can_be_drawn(estimator: GazeEstimator, astronaut: Picture) -> None:
    """The analysis of a real face draws, panel and all."""
    drawn = draw_analysis(astronaut, estimator.analyse(astronaut))
    assert drawn.shape[0] == 512
    assert drawn.shape[1] > 1000
