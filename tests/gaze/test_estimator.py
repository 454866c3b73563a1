"""The way from a picture to faces, with a stand-in for the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, Outputs, Session, Signature, UnsupportedModelError
from onepass.gaze import Box, FoundFace, GazeEstimator, estimator, geometry
from onepass.runtime.fake import FakeBackend

from .conftest import CROP_PX, elg_backend, ideal_landmarks

pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

PICTURE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
FIRST = FoundFace.from_eye_centres(Box(50, 50, 80, 80), right=(70, 80), left=(110, 84))
SECOND = FoundFace(Box(200, 50, 80, 80), None, np.array([[240.0, 80], [260, 80]]))


def find(*faces: FoundFace) -> Any:
    """Return a finder that always finds these faces."""
    return lambda grey: list(faces)


def test_all_eyes_go_in_one_pass(session: Session, backend: FakeBackend) -> None:
    """Three eyes of two faces are one batch in each pass, and come back to their faces."""
    faces = GazeEstimator(session, find(FIRST, SECOND))(PICTURE)
    assert [shapes["eye"] for shapes, _ in backend.calls] == [(3, 1, 72, 120)] * 2
    assert [[eye.side for eye in face.eyes] for face in faces] == [["right", "left"], ["left"]]
    assert [face.box for face in faces] == [FIRST.box, SECOND.box]
    np.testing.assert_allclose(faces[0].eyes[1].iris_centre, (110, 84), atol=1e-3)
    np.testing.assert_allclose(faces[1].eyes[0].iris_centre, (250, 80), atol=1e-3)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_the_number_of_passes(passes: int, session: Session, backend: FakeBackend) -> None:
    """The network looks as often as asked, and one pass is its share of the time."""
    result = GazeEstimator(session, find(FIRST), passes=passes).analyse(PICTURE)
    assert len(backend.calls) == result.passes == passes
    assert result.pass_seconds == pytest.approx(result.seconds_by_stage["network"] / passes)


def test_the_second_pass_looks_where_the_first_one_found_the_corners() -> None:
    """Corners that the first pass finds elsewhere become the corners of the second crop."""
    shifted = ideal_landmarks()
    shifted[:, 0] += 8
    session = Session(elg_backend(lambda call: shifted if call == 0 else ideal_landmarks()))
    result = GazeEstimator(session, find(SECOND)).analyse(PICTURE)
    expected = geometry.eye_transform((242, 80), (262, 80), CROP_PX, mirror=False)
    np.testing.assert_allclose(result.crops.transforms[0], expected, atol=1e-4)
    np.testing.assert_allclose(result.faces[0].eyes[0].nasal_corner, (242, 80), atol=1e-3)


def test_wild_answers_do_not_move_a_crop() -> None:
    """Corners that jump by more than a corner distance allows are not followed: there was no eye to see."""
    wild = ideal_landmarks()
    wild[4] = (0, 0)
    session = Session(elg_backend(lambda call: wild if call == 0 else ideal_landmarks()))
    result = GazeEstimator(session, find(SECOND)).analyse(PICTURE)
    expected = geometry.eye_transform((240, 80), (260, 80), CROP_PX, mirror=False)
    np.testing.assert_allclose(result.crops.transforms[0], expected, atol=1e-9)


def test_an_analysis_has_it_all(session: Session) -> None:
    """Every output of the last pass, the crops it saw and the time of each stage come with the faces."""
    result = GazeEstimator(session, find(FIRST)).analyse(PICTURE)
    assert list(result.outputs or ()) == ["heatmaps", "landmarks", "radius"]
    assert result.crops.images.shape == (2, 72, 120)
    assert result.crops.sides == ("right", "left")
    assert list(result.seconds_by_stage) == ["grey", "faces", "crops", "network", "decode"]
    assert all(seconds > 0 for seconds in result.seconds_by_stage.values())
    assert result.seconds == pytest.approx(sum(result.seconds_by_stage.values()))


def test_no_face_is_an_empty_list(session: Session, backend: FakeBackend) -> None:
    """Without a face nothing goes through the network, and the result is empty."""
    empty = GazeEstimator(session, find())
    assert empty(PICTURE) == []
    result = empty.analyse(PICTURE)
    assert result.outputs is None
    assert (result.passes, result.pass_seconds) == (0, 0)
    assert len(result.crops) == 0
    assert backend.calls == []


def test_many_pictures_share_their_passes(session: Session, backend: FakeBackend) -> None:
    """The eyes of all pictures are one batch in each pass, and each picture gets what it would get alone."""
    pictures = [PICTURE, PICTURE[:200, :150], np.zeros((10, 10, 3), np.uint8), PICTURE[::-1]]
    by_size: dict[tuple[int, ...], list[FoundFace]] = {(240, 320): [FIRST, SECOND], (200, 150): [FIRST], (10, 10): []}
    together = GazeEstimator(session, lambda grey: by_size[grey.shape])
    results = together.analyse_many(pictures)
    assert [shapes["eye"][0] for shapes, _ in backend.calls] == [8, 8]
    for picture, result in zip(pictures, results, strict=True):
        alone = together.analyse(picture)
        assert [face.box for face in result.faces] == [face.box for face in alone.faces]
        np.testing.assert_array_equal(result.crops.images, alone.crops.images)
        np.testing.assert_array_equal(result.crops.transforms, alone.crops.transforms)
        assert result.passes == alone.passes
        assert (result.outputs is None) == (alone.outputs is None)
        for name, array in (alone.outputs or Outputs({})).items():
            np.testing.assert_array_equal((result.outputs or Outputs({}))[name], array)
        for mine, other in zip(result.faces, alone.faces, strict=True):
            np.testing.assert_array_equal(mine.eyes[0].eyelid, other.eyes[0].eyelid)
    assert together.analyse_many([]) == []


def test_known_faces_need_no_finder(session: Session, backend: FakeBackend) -> None:
    """With the faces given, the finder is not asked, and the network looks as often as the call says."""

    def fail(grey: Any) -> Any:
        raise AssertionError("the finder was asked")

    mine = GazeEstimator(session, fail)
    (face,) = mine.look(PICTURE, [SECOND], passes=1).faces
    assert face.box == SECOND.box
    assert len(backend.calls) == 1
    assert mine.look(PICTURE, [SECOND]).passes == 2
    assert mine.look(PICTURE, []).faces == ()
    with pytest.raises(InputError, match="passes"):
        mine.look(PICTURE, [SECOND], passes=0)


def test_grey_pictures_are_pictures(session: Session) -> None:
    """A grey picture gives the crops of the same picture in RGB."""
    grey = PICTURE[:, :, 0]
    look = GazeEstimator(session, find(FIRST)).analyse
    same = look(np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(look(grey).crops.images, same.crops.images)


def test_a_bad_picture_says_so(session: Session) -> None:
    """An array that is no picture is refused before anything is done with it."""
    with pytest.raises(InputError, match=r"got float64 \[4, 4\]"):
        GazeEstimator(session, find(FIRST))(np.zeros((4, 4)))  # type: ignore[arg-type]


def test_bad_parts_are_refused(session: Session) -> None:
    """No passes, or a network that is not an ELG, are refused when the estimator is made."""
    with pytest.raises(InputError, match="passes"):
        GazeEstimator(session, find(), passes=0)
    with pytest.raises(UnsupportedModelError, match="not an ELG"):
        GazeEstimator(Session(FakeBackend(Signature((), ()))), find())


def test_a_given_session_stays_open(session: Session) -> None:
    """Who opened a session closes it."""
    with GazeEstimator(session, find()) as mine:
        assert mine.session is session
    assert not session.closed


def test_an_opened_session_is_closed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimator closes the model that it opened, once; and at once if the model is not an ELG network."""
    monkeypatch.setattr(estimator, "open_model", lambda model, **how: session)
    with GazeEstimator.from_default(finder=find()) as mine:
        assert not session.closed
    mine.close()
    assert session.closed
    other = Session(FakeBackend(Signature((), ())))
    monkeypatch.setattr(estimator, "open_model", lambda model, **how: other)
    with pytest.raises(UnsupportedModelError):
        GazeEstimator.from_default(finder=find())
    assert other.closed


def test_a_finder_by_name_is_closed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimator closes the finder that it opened by its name, whatever its class; one that is given stays open."""

    class Closable:
        sees_heads = True
        closed = False

        def __call__(self, grey: Any) -> list[FoundFace]:
            return [FIRST]

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(estimator, "open_model", lambda model, **how: session)
    named, given = Closable(), Closable()
    monkeypatch.setattr(estimator, "open_finder", lambda name, **options: named)
    with GazeEstimator.from_default(finder="mesh") as mine:
        assert len(mine(PICTURE)) == 1
        assert not named.closed
    assert named.closed
    with GazeEstimator.from_default(finder=given):
        pass
    assert not given.closed


def test_from_default_takes_a_path(tmp_path: Path) -> None:
    """A path is opened as a model file, and what is no model is refused by name."""
    path = tmp_path / "notes.onnx"
    path.write_text("this is no network")
    with pytest.raises(Exception, match=r"notes\.onnx"):
        GazeEstimator.from_default(path, finder=find())
