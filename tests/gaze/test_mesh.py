"""Faces, corners and head pose from BlazeFace and FaceMesh: stand-ins, and the networks where they are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError, OnnxGraph, Session, Signature, TensorSpec, UnsupportedModelError, load
from onepass.gaze import FaceFollower, FoundFace, GazeEstimator, GazeTracker, HeadPose, MeshFinder, geometry
from onepass.gaze.fetch.models import DETECTOR, MESH, path_of
from onepass.gaze.find.fetched import are_fetched
from onepass.gaze.head import head_from_corners, head_from_mesh
from onepass.graph.prelu import without_prelu
from onepass.runtime.fake import FakeBackend

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

Array = np.ndarray[Any, np.dtype[Any]]
GREY = np.zeros((240, 320), np.uint8)

# Asked before any test points the cache elsewhere.
FETCHED = {model.name: path_of(model) for model in (DETECTOR, MESH)} if are_fetched() else {}


def network(
    side_px: int, outputs: Mapping[str, tuple[int, ...]], answer: Callable[[Array], Mapping[str, Any]]
) -> Session:
    """Return a session of a network that takes RGB squares."""
    signature = Signature(
        inputs=(TensorSpec("picture", np.dtype("float32"), (1, side_px, side_px, 3)),),
        outputs=tuple(TensorSpec(name, np.dtype("float32"), shape) for name, shape in outputs.items()),
    )
    return Session(FakeBackend(signature, lambda feeds: answer(feeds["picture"])))


def detector(*faces: tuple[int, tuple[float, float]], seen: list[Array] | None = None) -> Session:
    """Return a BlazeFace that sees faces at these anchors, so wide and high, with level eyes."""

    def answer(picture: Array) -> Mapping[str, Any]:
        if seen is not None:
            seen.append(picture)
        boxes, scores = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -50, np.float32)
        for anchor, size in faces:
            boxes[0, anchor, 2:8] = [*size, -5, -4, 5, -4]
            scores[0, anchor] = 5
        return {"boxes": boxes, "scores": scores}

    return network(128, {"boxes": (1, 896, 16), "scores": (1, 896, 1)}, answer)


def flat_mesh() -> Array:
    """Return a mesh [468, 3] of an upright face that fills two thirds of a crop of 192 pixels, facing the camera."""
    mesh = np.zeros((468, 3), np.float32)
    mesh[:, :2] = 96 + 64 * np.random.default_rng(0).uniform(-1, 1, (468, 2))
    for index, (x, y) in {
        10: (96, 32), 152: (96, 160), 234: (32, 96), 454: (160, 96), 61: (76, 130), 291: (116, 130),
        33: (56, 76), 133: (84, 76), 362: (108, 76), 263: (136, 76),
    }.items():  # fmt: skip
        mesh[index, :2] = x, y
    return mesh


def mesh_network(presence: list[float] | None = None) -> Session:
    """Return a FaceMesh that sees the flat mesh in every crop, and a face as long as `presence` has positive logits."""
    logits = iter(presence or [])

    def answer(picture: Array) -> Mapping[str, Any]:
        logit = np.full((1, 1, 1, 1), next(logits, 20.0), np.float32)
        return {"points": flat_mesh().reshape(1, 1, 1, -1), "presence": logit}

    return network(192, {"points": (1, 1, 1, 1404), "presence": (1, 1, 1, 1)}, answer)


def test_a_face_is_where_the_networks_say() -> None:
    """Letterbox and crop are undone: the corners and the box of the mesh lie in the picture's pixels."""
    # The anchor is at (68, 68) of a square of 128, which is 320 picture pixels with 40 black ones above.
    anchor = 2 * (8 * 16 + 8)
    (face,) = MeshFinder(detector((anchor, (40, 40))), mesh_network())(GREY)
    # The crop is 1.5 boxes wide: 150 px of the picture are 192 of the mesh.
    middle, scale = np.array([170, 130]), 150 / 192
    assert face.right is not None
    np.testing.assert_allclose(face.right, middle + (np.array([[84, 76], [56, 76]]) - 96) * scale, atol=1e-4)
    assert face.box.centre == pytest.approx(middle, abs=1)
    assert face.box.width_px == pytest.approx(128 * scale, abs=2)
    assert face.head is not None
    assert (face.head.pitch_deg, face.head.yaw_deg, face.head.roll_deg) == pytest.approx((0, 0, 0), abs=1e-4)


def test_networks_get_what_they_take() -> None:
    """The picture lies in the middle of a black square, in -1 to 1, in three equal colours."""
    seen: list[Array] = []
    MeshFinder(detector(seen=seen), mesh_network())(np.full((240, 320), 255, np.uint8))
    (square,) = seen[0]
    assert square.shape == (128, 128, 3)
    assert (square[:15] == -1).all()
    assert (square[17:110] == 1).all()
    np.testing.assert_array_equal(square[:, :, 0], square[:, :, 2])


def test_what_is_no_face_is_left_out() -> None:
    """Without a mesh there is no face, two detections of one place are one, and the largest comes first."""
    two = detector((0, (20, 20)), (2 * (15 * 16 + 15), (30, 30)))
    assert MeshFinder(two, mesh_network([-3.0] * 16))(GREY) == []
    faces = MeshFinder(two, mesh_network())(GREY)
    assert len(faces) == 2
    assert faces[0].box.area_px > faces[1].box.area_px
    assert len(MeshFinder(two, mesh_network(), max_faces=1)(GREY)) == 1
    same = detector((0, (20, 20)), (1, (20, 20)))
    assert len(MeshFinder(same, mesh_network())(GREY)) == 1
    assert MeshFinder(detector(), mesh_network())(GREY) == []


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param([4.0, 30.0, 31.0], id="the mesh of an upright head is doubtful"),
        pytest.param([-9.0] * 4 + [30.0], id="only in the picture turned over is there a head"),
    ],
)
def test_a_head_that_stands_upside_down(logits: list[float]) -> None:
    """A mesh that fits better turned over has the subject's right eye on the right of the picture, and rolls."""
    (face,) = MeshFinder(detector((2 * (8 * 16 + 8), (40, 40))), mesh_network(logits))(GREY)
    assert face.right is not None
    assert face.left is not None
    assert face.right.mean(axis=0)[0] > face.left.mean(axis=0)[0]
    assert face.head is not None
    assert abs(face.head.roll_deg) == pytest.approx(180, abs=1e-3)
    assert (face.head.pitch_deg, face.head.yaw_deg) == pytest.approx((0, 0), abs=1e-3)


def test_a_sure_mesh_is_looked_at_once() -> None:
    """An upright face costs one look of the mesh, one that is in doubt four."""
    for logits, looks in (([20.0], 1), ([5.0, 4.0, 3.0, 2.0], 4), ([3.0, 4.0, 5.0, 4.0], 4)):
        mesh = mesh_network(logits)
        counted = _Counted(mesh)
        MeshFinder(detector((2 * (8 * 16 + 8), (40, 40))), counted)(GREY)  # type: ignore[arg-type]
        assert counted.calls == looks


def hesitant_mesh() -> Session:
    """Return a FaceMesh that goes by a bright and a dim spot for eyes, and turns only half as far as they do.

    So does the real one where a face lies askew in its square, of which it is sure up to 50 degrees.
    """

    def answer(picture: Array) -> Mapping[str, Any]:
        grey = picture[0, :, :, 0]
        bright, dim = (np.argwhere(mask).mean(axis=0) for mask in (grey > 0.8, (grey > 0.3) & (grey < 0.6)))
        down, across = dim - bright
        tilt_deg = np.degrees(np.arctan2(down, across))
        turn = cv2.getRotationMatrix2D((96, 96), -tilt_deg / 2, 1)
        mesh = flat_mesh()
        mesh[:, :2] = geometry.apply(turn, mesh[:, :2].astype(np.float64))
        logit = np.full((1, 1, 1, 1), 20.0 if abs(tilt_deg) < 50 else 2.0, np.float32)
        return {"points": mesh.reshape(1, 1, 1, -1), "presence": logit}

    return network(192, {"points": (1, 1, 1, 1404), "presence": (1, 1, 1, 1)}, answer)


@pytest.mark.parametrize("tilt_deg", range(-170, 181, 35))
def test_a_face_that_lies_askew_is_looked_at_again(tilt_deg: int) -> None:
    """However far a head is tilted, the eyes lie as they do in the picture, not as the first look has them."""
    grey = np.zeros((240, 320), np.uint8)
    middle, way = np.array([170, 130]), 25 * np.array([np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))])
    for sign, shade in ((-1, 255), (1, 115)):
        cv2.circle(grey, np.rint(middle + sign * way).astype(int).tolist(), 8, shade, -1)
    (face,) = MeshFinder(detector((2 * (8 * 16 + 8), (40, 40))), hesitant_mesh())(grey)
    assert face.head is not None
    assert abs((face.head.roll_deg - tilt_deg + 180) % 360 - 180) < 6


class _Counted:
    """A session whose calls are counted."""

    def __init__(self, session: Session) -> None:
        self._session, self.signature, self.calls = session, session.signature, 0

    def __call__(self, feeds: Mapping[str, Any]) -> Any:
        """Count, and call the session."""
        self.calls += 1
        return self._session(feeds)


def test_a_mesh_leads_to_the_next() -> None:
    """A face is followed by its mesh alone; one without a mesh, or that is gone, is not."""
    finder = MeshFinder(detector((272, (40, 40))), mesh_network([20.0, 20.0, -9.0]))
    assert isinstance(finder, FaceFollower)
    (face,) = finder(GREY)
    bare = FoundFace(face.box, face.right, face.left)
    followed = finder.follow(GREY, [face, bare, face])
    assert followed[1:] == [None, None]
    assert followed[0] is not None
    assert followed[0].box.centre == pytest.approx(face.box.centre, abs=3)


def test_large_pictures_are_searched_in_parts() -> None:
    """A face that is seen in one part of a large picture lies where that part is, and is found once."""
    seen: list[Array] = []
    faces = MeshFinder(detector((272, (40, 40)), seen=seen), mesh_network())(np.zeros((700, 1225), np.uint8))
    assert len(seen) == 3
    # The anchor is at (68, 68) of 128, in the whole and in each of two squares of 700 pixels, the second at 525.
    squares = 68 / 128 * 700 + np.array([[0, 0], [525, 0]])
    whole = (68 / 128 * 1225, 68 / 128 * 1225 - (1225 - 700) / 2)
    found = sorted(face.box.centre.round(-1).tolist() for face in faces)
    assert found == sorted(np.round([*squares.tolist(), whole], -1).tolist())


def test_other_networks_are_refused() -> None:
    """Networks with other inputs or outputs, wrong numbers and no pictures are refused, saying what is expected."""
    with pytest.raises(UnsupportedModelError, match="'boxes' of 14336 values"):
        MeshFinder(mesh_network(), mesh_network())
    with pytest.raises(UnsupportedModelError, match="'points' of 1404 values"):
        MeshFinder(detector(), detector())
    flat = Session(FakeBackend(Signature((TensorSpec("x", np.dtype("float32"), (1, 3)),), ())))
    with pytest.raises(UnsupportedModelError, match="S, S, 3"):
        MeshFinder(flat, mesh_network())
    with pytest.raises(InputError, match="max_faces"):
        MeshFinder(detector(), mesh_network(), max_faces=0)
    with pytest.raises(InputError, match="grey picture"):
        MeshFinder(detector(), mesh_network())(np.zeros((0, 3), np.uint8))


def test_closing_closes_both() -> None:
    """Both sessions are closed with the finder."""
    sessions = detector(), mesh_network()
    MeshFinder(*sessions).close()
    assert all(session.closed for session in sessions)


@given(st.builds(HeadPose, st.floats(-1.2, 1.2), st.floats(-1.4, 1.4), st.floats(-3, 3)))
def test_a_turned_mesh_is_a_turned_head(pose: HeadPose) -> None:
    """The pose of a mesh that was turned is that turn."""
    mirror = np.diag([1.0, 1, -1])  # a mesh counts depth away from the camera
    turned = (flat_mesh().astype(np.float64) - 96) @ (mirror @ pose.rotation @ mirror).T
    found = head_from_mesh(turned)
    np.testing.assert_allclose(found.rotation, pose.rotation, atol=1e-5)


@pytest.mark.parametrize("mesh", [np.zeros((468, 3)), np.arange(468.0)[:, None] * [1, 2, 0], np.full((468, 3), np.nan)])
def test_a_mesh_without_extent_is_no_head(mesh: Array) -> None:
    """Points in one place or on one line, or none at all, face nowhere."""
    with pytest.raises(InputError, match="defines no direction"):
        head_from_mesh(mesh)


def test_the_corners_alone_tell_roll_and_yaw() -> None:
    """Level eyes of one width look ahead; tilted clockwise, they roll; the narrower eye is where the head turns to."""
    right, left = np.array([[40.0, 50], [20, 50]]), np.array([[60.0, 50], [80, 50]])
    ahead = head_from_corners(right, left)
    assert (ahead.pitch_deg, ahead.yaw_deg, ahead.roll_deg) == (0, 0, 0)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    assert head_from_corners(right @ turn.T, left @ turn.T).roll_rad == pytest.approx(0.3)
    narrow = np.array([[60.0, 50], [75, 50]])
    assert head_from_corners(right, narrow).yaw_deg > 10


@pytest.fixture(scope="module")
def finder() -> Iterator[MeshFinder]:
    """The real networks."""
    if not FETCHED:
        pytest.skip("BlazeFace and FaceMesh are not here: onepass gaze models fetch")
    mesh = without_prelu(OnnxGraph.load(FETCHED[MESH.name]))
    opened = MeshFinder(load(FETCHED[DETECTOR.name]), load(mesh))
    yield opened
    opened.close()


ASTRONAUT_EYES = np.array([[203.5, 101.4], [246.8, 103.4]])


@pytest.mark.parametrize("zoom", [0.4, 1.0, 4.0])
def test_the_real_networks_find_the_astronaut(zoom: float, finder: MeshFinder, astronaut: Array) -> None:
    """One face at any size, its eyes within a tenth of their distance, facing the camera."""
    matrix = np.array([[zoom, 0, 256 - zoom * 225], [0, zoom, 256 - zoom * 115]])
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    (face,) = finder(cv2.warpAffine(grey, matrix, (512, 512), flags=flags, borderMode=cv2.BORDER_REPLICATE))
    assert face.right is not None
    assert face.left is not None
    centres = np.stack([face.right.mean(axis=0), face.left.mean(axis=0)])
    assert np.abs(centres - geometry.apply(matrix, ASTRONAUT_EYES)).max() < 4 * zoom
    assert face.head is not None
    assert abs(face.head.yaw_deg) < 8
    assert abs(face.head.roll_deg - 3) < 5


@pytest.mark.parametrize("tilt_deg", [-160, -105, -40, 30, 90, 115, 120, 135, 165])
def test_the_real_networks_see_a_tilt(tilt_deg: int, finder: MeshFinder, astronaut: Array) -> None:
    """A picture turned clockwise is a head rolled as far."""
    grey = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    matrix = cv2.getRotationMatrix2D((225, 110), -tilt_deg, 1)
    (face,) = finder(cv2.warpAffine(grey, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE))
    assert face.head is not None
    assert face.head.roll_deg == pytest.approx(3 + tilt_deg, abs=5)


def test_the_real_networks_see_a_crowd(finder: MeshFinder, astronaut: Array) -> None:
    """Twelve small faces in a large picture are all found, once."""
    faces = finder(np.tile(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY), (3, 4)))
    assert len(faces) == 12
    places = {tuple(np.round((face.box.centre - (224, 122)) / 512).tolist()) for face in faces}
    assert len(places) == 12


def test_the_real_networks_see_no_faces_elsewhere(finder: MeshFinder) -> None:
    """Coffee, coins and print have no faces."""
    data = pytest.importorskip("skimage.data")
    for picture in (cv2.cvtColor(data.coffee(), cv2.COLOR_RGB2GRAY), data.coins(), data.page()):
        assert finder(picture) == []


def test_the_real_networks_follow_her(finder: MeshFinder, astronaut: Array) -> None:
    """Through a pan, the head stays known in every frame though faces are looked for in the first one only."""
    with GazeEstimator.from_default("small", finder=finder) as estimator:
        tracker = GazeTracker(estimator, every=100)
        for index in range(12):
            frame = np.roll(astronaut, 3 * index, axis=1)
            (face,) = tracker(frame, index / 30)
            assert face.id == 0
            assert face.gaze_in_head is not None
            assert face.box.centre[0] == pytest.approx(222 + 3 * index, abs=12)
