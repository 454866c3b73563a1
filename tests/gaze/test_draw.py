"""Drawing faces and panels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onepass import InputError, Outputs, Session
from onepass.gaze import Box, Face, FoundFace, Gaze, GazeEstimator, draw_analysis, draw_faces, draw_panel
from onepass.gaze.show.draw import EYELID_COLOUR, GAZE_COLOUR, Canvas

from .test_result import make_eye

pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

GROUND = np.full((120, 200, 3), 128, np.uint8)
PAIR = FoundFace.from_eye_centres(Box(50, 20, 90, 90), right=(70, 60), left=(110, 60))


def make_face(**changes: Any) -> Face:
    """Return a face with one left eye around (100, 50)."""
    return Face(Box(60, 10, 80, 80), (make_eye(**changes),))


def near(picture: np.ndarray[Any, Any], colour: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Return where a picture has nearly that colour, as points [N, 2] (x, y)."""
    close = np.abs(picture.astype(int) - colour).max(axis=2) < 40
    return np.argwhere(close)[:, ::-1] + 0.5


def test_the_picture_stays_as_it_was() -> None:
    """Drawing gives a new RGB picture of the same size and leaves the given one alone."""
    given = GROUND.copy()
    drawn = draw_faces(given, [make_face()])
    np.testing.assert_array_equal(given, GROUND)
    assert drawn.shape == GROUND.shape
    assert drawn.dtype == np.uint8
    assert (drawn != GROUND).any()
    np.testing.assert_array_equal(draw_faces(given, []), given)


def test_grey_pictures_become_rgb() -> None:
    """A grey picture is drawn on in colour, and looks as the same picture in RGB does."""
    np.testing.assert_array_equal(draw_faces(GROUND[:, :, 0], [make_face()]), draw_faces(GROUND, [make_face()]))


def test_the_eyelid_is_where_the_eye_is() -> None:
    """The lid's colour is found along the lid margin and nowhere else."""
    places = near(draw_faces(GROUND, [make_face()]), EYELID_COLOUR)
    assert len(places) > 30
    assert places.min(axis=0) == pytest.approx((80, 40), abs=2)
    assert places.max(axis=0) == pytest.approx((120, 60), abs=2)


@pytest.mark.parametrize(
    ("gaze", "axis", "sign"),
    [(Gaze(0.5, 0.0), 1, -1), (Gaze(-0.5, 0.0), 1, 1), (Gaze(0.0, 0.5), 0, 1), (Gaze(0.0, -0.5), 0, -1)],
    ids=["up", "down", "right", "left"],
)
def test_the_arrow_points_where_the_eye_looks(gaze: Gaze, axis: int, sign: int) -> None:
    """The arrow leaves the iris centre in the direction of the gaze."""
    places = near(draw_faces(GROUND, [make_face(gaze=gaze)]), GAZE_COLOUR) - (100, 50)
    assert sign * places[:, axis].sum() > 0
    assert abs(places[:, axis]).max() > 20
    assert abs(places[:, 1 - axis]).max() < 8


def test_who_looks_into_the_camera_has_no_arrow() -> None:
    """A gaze straight ahead is a dot in the iris."""
    places = near(draw_faces(GROUND, [make_face()]), GAZE_COLOUR) - (100, 50)
    assert len(places) > 0
    assert np.abs(places).max() < 4


def test_faces_beyond_the_edge_are_no_error() -> None:
    """An eye half outside the picture, or wholly, is drawn as far as it can be seen."""
    half = draw_faces(GROUND[:, :100], [make_face()])
    np.testing.assert_array_equal(half[:, :90], draw_faces(GROUND, [make_face()])[:, :90])
    away = make_face(eyelid=np.array(make_eye().eyelid) + 5000, iris_centre=(5000, 5000), iris=np.full((8, 2), 5000.0))
    np.testing.assert_array_equal(draw_faces(GROUND[:10, :50], [away]), GROUND[:10, :50])


def test_lines_lie_between_pixels() -> None:
    """A line one pixel wide along a pixel's middle covers it; moved by half a pixel it covers two by half."""
    canvas = Canvas(np.zeros((20, 20), np.uint8))
    canvas.line(np.array([[5.0, 10.5], [15.0, 10.5]]), (255, 255, 255), 1.0)
    column = canvas.rgb[:, 10, 0].astype(int)
    assert column[10] > 230
    assert column[[9, 11]].max() < 90
    canvas = Canvas(np.zeros((20, 20), np.uint8))
    canvas.line(np.array([[5.0, 10.0], [15.0, 10.0]]), (255, 255, 255), 1.0)
    column = canvas.rgb[:, 10, 0].astype(int)
    assert column[9] == pytest.approx(column[10], abs=30)
    assert 90 < column[9] < 190


def test_lines_stay_within() -> None:
    """Nothing is drawn outside the polygon that bounds a line."""
    canvas = Canvas(np.zeros((20, 20), np.uint8))
    window = np.array([[0, 0], [10, 0], [10, 20], [0, 20]], np.float64)
    canvas.line(np.array([[2.0, 10.5], [18.0, 10.5]]), (255, 255, 255), 1.0, within=window)
    assert canvas.rgb[10, 5, 0] > 230
    assert (canvas.rgb[:, 12:] == 0).all()


@pytest.mark.parametrize("height_px", [64, 301, 480])
def test_a_panel_has_the_height_asked_for(height_px: int, session: Session) -> None:
    """The panel is RGB, as high as asked, and shows something."""
    analysis = GazeEstimator(session, lambda grey: [PAIR]).analyse(GROUND)
    panel = draw_panel(GROUND, analysis, height_px=height_px)
    assert panel.dtype == np.uint8
    assert panel.shape[0] == height_px
    assert panel.shape[2] == 3
    assert len(near(panel, EYELID_COLOUR)) > 20


def test_the_panel_shows_eyes_as_they_lie_in_the_picture(session: Session) -> None:
    """The right eye, mirrored for the network, is turned back: what is left of it in the picture is left of it here."""
    picture = GROUND.copy()
    picture[:, :70] = (0, 0, 200)
    analysis = GazeEstimator(session, lambda grey: [FoundFace(Box(50, 20, 40, 40), PAIR.right, None)]).analyse(picture)
    panel = draw_panel(picture, analysis, height_px=300)
    row = panel[40].astype(int)
    blue = row[:, 2] - row[:, 0] > 100
    assert blue[: len(blue) // 2 - 20].mean() > 0.9
    assert blue[len(blue) // 2 + 20 :].mean() < 0.1


def test_heatmaps_lie_as_the_eyes_do(session: Session) -> None:
    """A map that peaks on the temporal side is shown there: left for the right eye, right for the left eye."""
    analysis = GazeEstimator(session, lambda grey: [PAIR]).analyse(GROUND)
    maps = np.zeros((2, 18, 36, 60), np.float32)
    maps[:, 4, 16:20, 50:54] = 1
    outputs = Outputs({**(analysis.outputs or {}), "heatmaps": maps})
    panel = draw_panel(GROUND, replace(analysis, outputs=outputs), height_px=300)
    heat = near(panel[170:], EYELID_COLOUR)[:, 0] / panel.shape[1]
    right, left = heat[heat < 0.5], heat[heat > 0.5]
    assert right.mean() == pytest.approx(1 / 16, abs=0.03)
    assert left.mean() == pytest.approx(15 / 16, abs=0.03)


def test_an_analysis_is_the_picture_and_its_panel(session: Session) -> None:
    """The panel stands to the right of the picture; without a face there is none."""
    picture = np.full((300, 200, 3), 128, np.uint8)
    analysis = GazeEstimator(session, lambda grey: [PAIR]).analyse(picture)
    drawn = draw_analysis(picture, analysis)
    assert drawn.shape[0] == 300
    np.testing.assert_array_equal(drawn[:, :200], draw_faces(picture, analysis.faces))
    np.testing.assert_array_equal(drawn[:, 200:], draw_panel(picture, analysis, height_px=300))
    nobody = GazeEstimator(session, lambda grey: []).analyse(picture)
    np.testing.assert_array_equal(draw_analysis(picture, nobody), picture)


@pytest.mark.parametrize(("height_px", "expected_px"), [(60, 240), (1200, 1200)], ids=["low", "high"])
def test_picture_and_panel_share_a_height(height_px: int, expected_px: int, session: Session) -> None:
    """A low picture stands on the ground beside a panel that can be read, a high one beside one that is not huge."""
    picture = np.full((height_px, 200, 3), 128, np.uint8)
    pair = FoundFace.from_eye_centres(Box(50, 0, 90, 40), right=(70, 20), left=(110, 20))
    drawn = draw_analysis(picture, GazeEstimator(session, lambda grey: [pair]).analyse(picture))
    assert drawn.shape[0] == expected_px
    assert 200 + 300 < drawn.shape[1] < 200 + 2000
    middle = drawn[(expected_px - height_px) // 2 :, :200][:height_px]
    assert (middle == 128).all(axis=2).mean() > 0.5


def test_panels_are_checked(session: Session) -> None:
    """A face that is not there, or no room for a panel, is refused."""
    analysis = GazeEstimator(session, lambda grey: [PAIR]).analyse(GROUND)
    with pytest.raises(InputError, match="no face 1"):
        draw_panel(GROUND, analysis, face=1)
    with pytest.raises(InputError, match="at least 64"):
        draw_panel(GROUND, analysis, height_px=20)
