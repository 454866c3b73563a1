"""Faces through a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import InputError, Session
from onepass.gaze import Box, Eye, Face, FaceFollower, FoundFace, GazeEstimator, GazeTracker, HeadPose
from onepass.gaze.eyes import grey_from_picture
from onepass.gaze.video._motion import move_between
from onepass.gaze.video._who import assign
from onepass.runtime.fake import FakeBackend

from .conftest import ELG_SIGNATURE, ideal_landmarks
from .test_result import make_eye

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

# Middles of the irises in scikit-image's astronaut, measured by hand on a fivefold enlargement.
IRISES = np.array([[203.5, 101.4], [246.8, 103.4]])
FRAME = np.random.default_rng(0).integers(0, 256, (240, 640), dtype=np.uint8)


def face_at(x: float, y: float = 80.0, width: float = 80.0) -> FoundFace:
    """Return a face whose middle is there."""
    box = Box(x - width / 2, y - width / 2, width, width)
    return FoundFace.from_eye_centres(box, right=(x - width / 4, y), left=(x + width / 4, y))


class World:
    """A finder and a network that see what a test lets them see, and count how often they are asked."""

    def __init__(self, *faces: FoundFace) -> None:
        self.faces: Sequence[FoundFace] = faces
        self.searches = 0
        self.peak = 1.0
        self.shift_px = 0.0
        self.squeeze = 1.0

    def squeezed(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the landmarks that the network sees, [18, 2]."""
        landmarks = (ideal_landmarks() - (60, 36)) * (self.squeeze, 1) + (60 + self.shift_px, 36)
        return landmarks.astype(np.float32)

    def __call__(self, grey: Any) -> list[FoundFace]:
        """Return the faces that are there."""
        self.searches += 1
        return list(self.faces)

    def tracker(self, **options: Any) -> GazeTracker:
        """Return a tracker over this world, which smooths nothing unless told to."""

        def compute(feeds: Any) -> Any:
            count = len(feeds["eye"])
            return {
                "heatmaps": np.full((count, 18, 36, 60), self.peak, np.float32),
                "landmarks": np.repeat(
                    ideal_landmarks()[None] + np.array([self.shift_px, 0], np.float32), count, axis=0
                ),
                "radius": np.full((count, 1), 34, np.float32),
            }

        self.backend = FakeBackend(ELG_SIGNATURE, compute)
        return GazeTracker(GazeEstimator(Session(self.backend), self), **{"smoothing": None, **options})


def run(tracker: GazeTracker, count: int, start: float = 0.0) -> list[list[Face]]:
    """Return the faces of so many frames at 30 a second."""
    return [tracker(FRAME, start + index / 30) for index in range(count)]


def test_faces_are_found_now_and_then() -> None:
    """The finder is asked in every n-th frame; the network looks three times at a new face and once at a known one."""
    world = World(face_at(100))
    frames = run(world.tracker(every=5), 11)
    assert world.searches == 3
    assert all(len(faces) == 1 for faces in frames)
    assert len(world.backend.calls) == 11 + 2


def test_faces_keep_their_numbers() -> None:
    """Two faces that move past the finder's order keep their numbers, and a third one gets the next."""
    world = World(face_at(100), face_at(300))
    tracker = world.tracker(every=1)
    (first,) = run(tracker, 1)
    assert [face.id for face in first] == [0, 1]
    world.faces = [face_at(330), face_at(130), face_at(500)]
    (second,) = run(tracker, 1, start=1)
    assert [face.id for face in second] == [0, 1, 2]
    assert [face.box.centre[0] for face in second] == pytest.approx([130, 330, 500])


class Witness:
    """An estimator that sees a left and a right eye where they truly are, and remembers where it was told to look."""

    def __init__(self) -> None:
        self.middle = np.array([100.0, 80.0])
        self.width = 18.0
        self.looks: list[FoundFace] = []

    def move(self, x_px: float, y_px: float) -> None:
        """Move the face."""
        self.middle = self.middle + np.array([x_px, y_px])

    def place(self, side: str) -> np.ndarray[Any, Any]:
        """Return the corners of an eye, [2, 2]: the eyes are 40 px apart where they are 18 px wide."""
        sign = 1 if side == "left" else -1
        return self.middle + sign * self.width * np.array([[20 / 18 - 0.5, 0], [20 / 18 + 0.5, 0]])

    def finder(self, grey: Any) -> list[FoundFace]:
        """Find the face where it is."""
        return [FoundFace(Box(60, 40, 80, 80), self.place("right"), self.place("left"))]

    def look(self, grey: Any, found: Sequence[FoundFace], *, passes: int | None) -> Any:
        """Return the face as it is."""
        self.looks += found
        eyes = tuple(self.eye(side) for side in ("right", "left"))
        return SimpleNamespace(faces=tuple(Face(face.box, eyes) for face in found))

    def eye(self, side: Any) -> Eye:
        """Return an eye as it is."""
        nasal, temporal = self.place(side)
        lid = np.linspace(nasal, temporal, 5)
        lid = np.concatenate([lid, lid[3:0:-1]]) + np.array([[0, y] for y in (0, -3, -4, -3, 0, 3, 4, 3)])
        return make_eye(side=side, eyelid=lid)

    def on_screen(self, face: Face, shape: tuple[int, ...]) -> Face:
        """Return the face."""
        return face

    def tracker(self) -> GazeTracker:
        """Return a tracker that looks for faces once."""
        return GazeTracker(self, every=1000, smoothing=None)  # type: ignore[arg-type]

    def off_px(self) -> float:
        """Return how far from the left eye the last look was."""
        told = self.looks[-1].left
        return float(
            np.linalg.norm((self.place("left") if told is None else told).mean(0) - self.place("left").mean(0))
        )


def skin(x_px: float = 0.0, y_px: float = 0.0) -> np.ndarray[Any, Any]:
    """Return a picture of something with a texture, moved so far."""
    rough = np.random.default_rng(0).uniform(40, 200, (40, 64)).astype(np.float32)
    return shifted(np.asarray(cv2.resize(rough, (640, 400), interpolation=cv2.INTER_CUBIC)), x_px, y_px)


def shifted(picture: np.ndarray[Any, Any], x_px: float, y_px: float) -> np.ndarray[Any, Any]:
    """Return a picture [H, W] as uint8 RGB, moved."""
    moved = cv2.warpAffine(picture, np.array([[1.0, 0, x_px], [0, 1, y_px]]), picture.shape[::-1], borderMode=2)
    return np.repeat(moved.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def test_crops_move_with_the_face() -> None:
    """A face that moves, turns back and stands still is looked at where it is, not where it was, once a frame."""
    witness = Witness()
    tracker = witness.tracker()
    tracker(skin(), 0.0)
    moves = [(3, 1)] * 5 + [(-4, 0)] * 5 + [(0, 0)] * 3
    for index, ((x, y), step) in enumerate(zip(np.cumsum(moves, axis=0), moves, strict=True), 1):
        witness.move(*step)
        (face,) = tracker(skin(x, y), index / 30)
        assert witness.off_px() < 0.1
    assert len(witness.looks) < len(moves) + 4
    assert face.box.centre == pytest.approx(np.array([100, 80]) + np.sum(moves, axis=0), abs=0.1)


@given(st.floats(-15, 15), st.floats(-12, 12), st.floats(-40, 500), st.floats(-30, 250))
def test_a_move_is_seen_in_the_picture(x_px: float, y_px: float, left_px: float, top_px: float) -> None:
    """What lies in a box, also one that reaches out of the picture, is found to have moved as it did."""
    before, now = (grey_from_picture(picture) for picture in (skin(), skin(x_px, y_px)))
    move = move_between(before, now, Box(left_px, top_px, 150, 140))
    assert move is not None
    assert move.shift == pytest.approx([x_px, y_px], abs=0.2)


def test_pictures_that_do_not_say_leave_a_face_where_it_was() -> None:
    """Plain pictures, other pictures and boxes of a few pixels show no move."""
    texture, plain = grey_from_picture(skin()), np.full((400, 640), 90, np.uint8)
    other = np.random.default_rng(1).integers(0, 255, texture.shape).astype(np.uint8)
    box = Box(100, 100, 200, 200)
    assert move_between(plain, plain, box) is None
    assert move_between(texture, other, box) is None
    assert move_between(texture, texture, Box(100, 100, 10, 200)) is None
    assert move_between(texture, texture, Box(-300, 100, 200, 200)) is None


def test_a_grey_buffer_may_be_used_again() -> None:
    """A caller that puts each grey frame where the last one was does not hide that a face moves."""
    witness = Witness()
    tracker = witness.tracker()
    buffer = grey_from_picture(skin())
    tracker(buffer, 0.0)
    witness.move(5, 0)
    buffer[...] = grey_from_picture(skin(5))
    tracker(buffer, 0.1)
    assert len(witness.looks) <= 4
    assert witness.off_px() < 0.1


def test_a_jump_is_looked_at_twice() -> None:
    """Where the face is not where it was expected, the network looks again in the same frame."""
    witness = Witness()
    tracker = witness.tracker()
    tracker(FRAME, 0.0)
    tracker(FRAME, 0.1)
    assert len(witness.looks) == 4
    witness.move(2, 0)
    tracker(FRAME, 0.2)
    assert len(witness.looks) == 6
    assert witness.off_px() < 1e-9


def test_crops_grow_with_the_face() -> None:
    """Eyes that move apart by a tenth make the next crops and the box a tenth larger."""
    witness = Witness()
    tracker = witness.tracker()
    tracker(FRAME, 0.0)
    witness.width *= 1.1
    tracker(FRAME, 0.1)
    (face,) = tracker(FRAME, 0.2)
    told = witness.looks[-1].left
    assert face.box.width_px == pytest.approx(88)
    assert told is not None
    assert np.linalg.norm(told[1] - told[0]) == pytest.approx(19.8)


def test_crops_do_not_collapse() -> None:
    """A network that always sees the corners closer together than the crop has them does not shrink it to nothing."""
    world = World(face_at(100))
    tracker = world.tracker(every=1000)
    world.squeeze = 0.8
    eye = run(tracker, 90)[-1][0].eyes[0]
    assert eye.corner_distance_px > 0.8 * 0.29 * 40


def test_a_finder_that_misses_a_face_does_not_lose_it_at_once() -> None:
    """A face that the network sees clearly stays while the finder misses it for a moment, and ends within a second."""
    world = World(face_at(100))
    tracker = world.tracker(every=2)
    run(tracker, 1)
    world.faces = []
    assert [face.id for faces in run(tracker, 24, start=1 / 30) for face in faces] == [0] * 24
    assert [faces for faces in run(tracker, 10, start=1) if faces] == []


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.sampled_from([1.0, 5.0, 24.0, 30.0, 60.0]))
def test_what_the_finder_no_longer_finds_ends_within_a_second(every: int, fps: float) -> None:
    """Whatever the frame rate, nobody is followed a second after the finder saw somebody for the last time."""
    world = World(face_at(100))
    tracker = world.tracker(every=every)
    assert len(tracker(FRAME, 0.0)) == 1
    world.faces = []
    times = np.arange(1, round(2 * fps) + 1) / fps
    shown = [bool(tracker(FRAME, seconds)) for seconds in times]
    assert not any(shown[index] for index in np.flatnonzero(times >= 1 + 1e-9))


def test_a_face_that_goes_is_lost_and_known_again() -> None:
    """A face that neither the network nor the finder sees is gone at once, and keeps its number for a second."""
    world = World(face_at(100))
    tracker = world.tracker(every=20)
    run(tracker, 1)
    world.peak, world.faces = 0.0, []
    assert [len(faces) for faces in run(tracker, 4, start=1 / 30)] == [1, 0, 0, 0]
    world.peak, world.faces = 1.0, [face_at(100)]
    later = run(tracker, 6, start=5 / 30)
    assert [face.id for face in later[-1]] == [0]


def test_while_nobody_is_followed_faces_are_searched_for_by_time() -> None:
    """Every tenth of a second, or in every frame that is longer; a face is not missed for long in slow videos."""
    for fps, searches in ((30.0, 10), (60.0, 10), (5.0, 5), (1.0, 1)):
        world = World()
        tracker = world.tracker(every=10)
        for index in range(round(fps)):
            tracker(FRAME, index / fps)
        assert world.searches == pytest.approx(searches, abs=1), fps


def test_faces_are_searched_for_by_time() -> None:
    """At less than 30 frames a second faces are searched for in more of the frames, as often as by the clock."""
    for fps, searches in ((30.0, 9), (10.0, 8), (3.0, 9), (1.0, 3)):
        world = World(face_at(100))
        tracker = world.tracker(every=10)
        for index in range(round(3 * fps)):
            tracker(FRAME, index / fps)
        assert world.searches == pytest.approx(searches, abs=1), fps


def test_a_face_that_is_hard_to_see_stays() -> None:
    """While the finder sees a face, as in a blink, it stays though the network is not sure of its eyes."""
    world = World(face_at(100))
    tracker = world.tracker(every=1000)
    run(tracker, 1)
    world.peak = 0.0
    assert [[face.id for face in faces] for faces in run(tracker, 12, start=1 / 30)] == [[0]] * 12
    assert world.searches == 12


def test_a_face_that_comes_back_late_is_new() -> None:
    """After a second nobody remembers."""
    world = World(face_at(100))
    tracker = world.tracker(every=1)
    run(tracker, 1)
    world.peak, world.faces = 0.0, []
    run(tracker, 60, start=1)
    world.peak, world.faces = 1.0, [face_at(110)]
    ((back,),) = run(tracker, 1, start=9)
    assert back.id == 1


def test_an_eye_that_goes_astray_is_brought_back() -> None:
    """Where the finder sees an eye far from the one that is followed, the finder is right."""
    world = World(face_at(100))
    tracker = world.tracker(every=2)
    run(tracker, 2)
    world.faces = [face_at(125)]
    ((face,),) = run(tracker, 1, start=1)
    assert face.left is not None
    assert face.left.iris_centre[0] == pytest.approx(145, abs=0.01)


def test_a_face_outside_the_picture_is_gone() -> None:
    """Eyes that leave the picture are not followed."""
    world = World(face_at(632))
    tracker = world.tracker(every=100)
    ((face,),) = run(tracker, 1)
    assert len(face.eyes) == 2
    ((face,),) = run(tracker, 1, start=1)
    assert [eye.side for eye in face.eyes] == ["right"]


def test_max_faces_keeps_the_largest() -> None:
    """Of new faces the largest are followed, and a known face is not given up for a larger one."""
    world = World(face_at(100), face_at(300, width=120))
    tracker = world.tracker(every=1, max_faces=1)
    ((face,),) = run(tracker, 1)
    assert face.box.width_px == 120
    world.faces = [face_at(300, width=120), face_at(500, width=150)]
    ((face,),) = run(tracker, 1, start=1)
    assert face.box.centre[0] == pytest.approx(300)


def test_two_tracks_of_one_face_become_one() -> None:
    """A face that is found twice is shown once, under the older number."""
    world = World(face_at(100))
    tracker = world.tracker(every=1)
    run(tracker, 1)
    world.faces = [face_at(100), face_at(101, width=45)]
    frames = run(tracker, 3, start=1)
    assert [face.id for face in frames[-1]] == [0]


def test_a_finder_that_follows_is_asked_to() -> None:
    """Between searches a follower says how the head is turned; where it loses a face, the network goes on."""

    class Follower(World):
        def follow(self, grey: Any, faces: Sequence[FoundFace]) -> list[FoundFace | None]:
            seen = [FoundFace(f.box, f.right, f.left, HeadPose(0.0, 0.1 * world.backend_calls(), 0.0)) for f in faces]
            return [None if self.peak < 0.9 else face for face in seen]

        def backend_calls(self) -> int:
            return len(self.backend.calls)

    world = Follower(face_at(100))
    assert isinstance(world, FaceFollower)
    tracker = world.tracker(every=100, follow_every=1)
    heads = [faces[0].head for faces in run(tracker, 3)]
    assert heads[0] is None or heads[0].yaw_rad != pytest.approx(0.3)
    assert [head.yaw_rad for head in heads[1:] if head is not None] == pytest.approx([0.3, 0.4])
    world.peak = 0.8
    (face,) = tracker(FRAME, 0.2)
    assert face.head is None


def test_a_finder_that_follows_is_asked_now_and_then() -> None:
    """In every n-th frame since the last search, with the mesh where the face is by then."""
    offsets: list[float] = []

    class Follower(World):
        def follow(self, grey: Any, faces: Sequence[FoundFace]) -> list[FoundFace | None]:
            for face in faces:
                assert face.mesh is not None
                offsets.append(float(face.mesh[0, 0] - face.box.centre[0]))
            return list(faces)

    world = Follower(replace(face_at(100), right=None, mesh=np.full((468, 3), 100.0)))
    tracker = world.tracker(every=8, follow_every=3)
    frames = run(tracker, 1)
    world.shift_px = 4.0  # the eye moves to the right
    frames += run(tracker, 6, start=1 / 30)
    assert frames[6][0].box.centre[0] > frames[0][0].box.centre[0] + 1
    assert offsets == pytest.approx([0, 0], abs=1e-6)


def test_a_complete_scene_is_not_searched() -> None:
    """While as many faces as are wanted are followed by the finder, it is not asked for others, until one is lost."""

    class Follower(World):
        loses = False

        def follow(self, grey: Any, faces: Sequence[FoundFace]) -> list[FoundFace | None]:
            return [None if self.loses else face for face in faces]

    world = Follower(face_at(100))
    tracker = world.tracker(every=2, follow_every=1, max_faces=1)
    run(tracker, 8)
    assert world.searches == 1
    world.loses = True
    (face,) = run(tracker, 2, start=1)[-1]
    assert (face.id, world.searches) == (0, 2)
    more = Follower(face_at(100))
    run(more.tracker(every=2, max_faces=2), 8)
    assert more.searches == 4


def test_a_finder_of_tilts_is_asked_for_one_after_the_other() -> None:
    """While nobody is followed each search looks for the usual tilts and one other; then for that of the face alone."""

    class Tilted(World):
        tilts_deg = (0.0, 25.0, -25.0, 90.0, -90.0, 180.0)
        hidden_deg = 180.0

        def __init__(self) -> None:
            super().__init__()
            self.asked: list[float] = []

        def find_tilted(self, grey: Any, tilt_deg: float) -> list[FoundFace]:
            self.asked.append(tilt_deg)
            if tilt_deg != self.hidden_deg:
                return []
            return [FoundFace.from_eye_centres(Box(60, 40, 80, 80), right=(120, 80), left=(80, 80))]

    world = Tilted()
    tracker = world.tracker(every=3)
    frames = run(tracker, 12)
    asked = world.asked
    assert asked[:3] == [0, 25, -25]
    assert asked[3] in (90, -90, 180)
    assert asked.count(180) >= 1
    ((face,),) = frames[-1:]
    assert face.left is not None
    assert face.right is not None
    assert face.left.iris_centre[0] < face.right.iris_centre[0]
    first = asked.index(180) + 1
    assert [round(abs(tilt)) for tilt in asked[first:]] == [0, 180] * ((len(asked) - first) // 2)


def test_another_size_is_another_scene() -> None:
    """Faces of a frame of another size are new ones, and are looked for at once."""
    world = World(face_at(100))
    tracker = world.tracker(every=100)
    run(tracker, 2)
    (face,) = tracker(FRAME[:200], 1.0)
    assert face.id == 1
    assert world.searches == 2


def test_reset_forgets_it_all() -> None:
    """After a reset numbers and times start anew."""
    world = World(face_at(100))
    tracker = world.tracker()
    run(tracker, 3, start=5)
    tracker.reset()
    ((face,),) = run(tracker, 1)
    assert face.id == 0


def test_wrong_use_is_refused() -> None:
    """Times that go back or are no numbers, no pictures and numbers below 1 are refused."""
    tracker = World(face_at(100)).tracker()
    run(tracker, 1, start=1)
    for seconds in (0.5, float("nan")):
        with pytest.raises(InputError, match="in order of time"):
            tracker(FRAME, seconds)
    with pytest.raises(InputError, match="uint8"):
        tracker(np.zeros((4, 4)), 2.0)  # type: ignore[arg-type]
    for options in ({"every": 0}, {"max_faces": 0}):
        with pytest.raises(InputError, match="at least 1"):
            World().tracker(**options)


BOXES = st.lists(
    st.builds(Box, st.floats(0, 500), st.floats(0, 500), st.floats(20, 200), st.floats(20, 200)), max_size=6
)


@settings(deadline=None, max_examples=60)
@given(BOXES, BOXES)
def test_a_box_is_assigned_once(known: list[Box], found: list[Box]) -> None:
    """No box has two partners, and a box that stays where it was, alone, is its own."""
    pairs = assign(known, found)
    assert len({mine for mine, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
    for box in known[:1]:
        assert assign([box], [box]) == [(0, 0)]


@pytest.fixture
def scene(astronaut: np.ndarray[Any, Any]) -> Callable[[int], tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """A camera that pans and zooms over the astronaut: the n-th frame and the way there from her picture."""

    def frame(index: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        zoom = 1.3 + 0.3 * np.sin(index / 12)
        shift = np.array([160 + 40 * np.sin(index / 7), 120 + 20 * np.cos(index / 9)]) - zoom * np.array([225, 102])
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        picture = cv2.warpAffine(astronaut, matrix, (320, 240), borderMode=cv2.BORDER_REPLICATE)
        return picture, matrix

    return frame


def test_a_moving_face_is_followed(scene: Callable[[int], Any]) -> None:
    """With real parts, cascades every twentieth frame and the small network, eyes stay where they are on the way."""
    with GazeEstimator.from_default("small") as estimator:
        tracker = GazeTracker(estimator, every=20, smoothing=None)
        for index in range(45):
            picture, matrix = scene(index)
            (face,) = tracker(picture, index / 30)
            assert face.id == 0
            true = IRISES @ matrix[:, :2].T + matrix[:, 2]
            for eye, expected in zip(face.eyes, true, strict=True):
                assert np.linalg.norm(eye.iris.mean(axis=0) - expected) < 0.12 * eye.corner_distance_px


def with_lids(portrait: np.ndarray[Any, Any], shut: float) -> np.ndarray[Any, Any]:
    """Return the portrait, three times as large, with skin drawn over both eyes from above; 1 covers them."""
    picture = portrait.copy()
    for x, y in (3 * (IRISES - (130, 40))).astype(int):
        top, bottom = y - 12, int(y - 12 + 22 * shut)
        if shut:
            skin = picture[y - 30 : y - 14, x - 36 : x + 36].mean(axis=0, keepdims=True)
            picture[top:bottom, x - 36 : x + 36] = skin.astype(np.uint8)
            picture[bottom : bottom + 2, x - 28 : x + 28] = 60  # lashes
    blurred: np.ndarray[Any, Any] = cv2.GaussianBlur(picture, (3, 3), 0)
    return blurred


@pytest.mark.parametrize("network", ["default", "small"])
def test_a_blink_of_a_real_face(network: str, astronaut: np.ndarray[Any, Any]) -> None:
    """With real networks, eyes over which lids are drawn blink, and keep the gaze that they had before."""
    portrait = cv2.resize(astronaut[40:200, 130:320], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    corners = 3 * (np.array([[[210.6, 102.6], [193.0, 100.6]], [[238.0, 103.0], [257.8, 102.6]]]) - (130, 40))
    found = FoundFace(Box(120, 90, 320, 320), *corners)
    with GazeEstimator.from_default(network, finder=lambda grey: [found]) as estimator:
        tracker = GazeTracker(estimator)
        lids = [0.0] * 8 + [0.4, 0.8, 1, 1, 1, 0.8, 0.4] + [0.0] * 4
        faces = [tracker(with_lids(portrait, shut), index / 30)[0] for index, shut in enumerate(lids)]
    assert {face.id for face in faces} == {0}
    for before, shut, after in zip(faces[7].eyes, faces[11].eyes, faces[-1].eyes, strict=True):
        assert (before.blink, shut.blink, after.blink) == (False, True, False)
        assert shut.gaze.degrees_to(before.gaze) < 1.5
        assert after.gaze.degrees_to(before.gaze) < 6


@pytest.mark.parametrize("network", ["default", "small"])
def test_a_followed_face_looks_where_a_single_picture_says(network: str, astronaut: np.ndarray[Any, Any]) -> None:
    """Crops that follow a face do not drift: its gaze is the same at first, at rest, while it sways, and after that."""
    portrait = cv2.resize(astronaut[40:200, 130:320], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    corners = 3 * (np.array([[[210.6, 102.6], [193.0, 100.6]], [[238.0, 103.0], [257.8, 102.6]]]) - (130, 40))
    found = FoundFace(Box(120, 90, 320, 320), *corners)
    places = [0.0] * 10 + [40 * np.sin(index / 10) for index in range(60)] + [40 * np.sin(6)] * 10
    with GazeEstimator.from_default(network, finder=lambda grey: [found], passes=3) as estimator:
        (alone,) = estimator(portrait)
        tracker = GazeTracker(estimator, every=100, smoothing=None)
        faces = []
        for index, place in enumerate(places):
            move = np.array([[1, 0, place], [0, 1, 0]])
            frame = cv2.warpAffine(portrait, move, (570, 480), borderMode=cv2.BORDER_REPLICATE)
            faces += tracker(frame, index / 30)
    assert faces[0].gaze.degrees_to(alone.gaze) < 0.5
    assert faces[9].gaze.degrees_to(alone.gaze) < 0.5
    # The small network answers each crop a little differently; how much depends on the processor's instructions, too.
    limit_deg = {"default": 2, "small": 2.5}[network]
    assert max(face.gaze.degrees_to(alone.gaze) for face in faces) < limit_deg
