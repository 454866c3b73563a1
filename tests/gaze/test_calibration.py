"""Points on a screen: learned from people who are made up, recorded from a camera that is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import InputError, MediaError, Session
from onepass.cli import gaze_calibrate
from onepass.gaze import (
    Box,
    Calibration,
    CascadeFinder,
    Face,
    FoundFace,
    Gaze,
    GazeEstimator,
    GazeSample,
    GazeTracker,
    HeadPose,
    Recording,
    Screen,
    calibrate,
    record,
)
from onepass.gaze.screen.course import Course
from onepass.gaze.screen.recording import point_picture
from onepass.media import Frame
from tests.cli.shell import Shell

from .test_result import make_eye

SCREEN = Screen(1920, 1080, width_mm=520.0, distance_mm=600.0)
MM_PER_PX = 520 / 1920


class Person:
    """Sits before a screen with a camera on top, and looks at points, as an imperfect estimator sees it."""

    def __init__(self, *, noise_deg: float = 0.0, head: bool = False, moves_mm: float = 0.0, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.noise_deg, self.head, self.moves_mm = noise_deg, head, moves_mm

    def look_at(self, target: np.ndarray[Any, Any]) -> GazeSample:
        """Return what is seen of a person who looks at a point."""
        eyes_mm = self.random.normal(0, self.moves_mm, 2) if self.moves_mm else np.zeros(2)
        across = (target[0] - 960) * MM_PER_PX
        down = target[1] * MM_PER_PX
        # A camera's picture is not mirrored: who looks to the right of the screen looks to the picture's left.
        slopes = np.array([-(across - eyes_mm[0]) / 600, (down - eyes_mm[1]) / 600])
        turned = 0.3 * slopes if self.head else np.zeros(2)
        # It underestimates, has an offset of kappa, and trembles.
        angles = 0.8 * np.arctan(slopes - turned) + np.arctan(turned) + (0.05, 0.02)
        angles = angles + np.radians(self.noise_deg) * self.random.normal(size=2)
        pose = HeadPose(float(-np.arctan(turned[1])), float(np.arctan(turned[0])), 0.0) if self.head else None
        place = (320 - eyes_mm[0], 240 + eyes_mm[1])
        return GazeSample(Gaze(float(-angles[1]), float(angles[0])), pose, place, 63.0)

    def session(self, count: int = 9, each: int = 20) -> tuple[list[GazeSample], np.ndarray[Any, Any]]:
        """Return samples and targets of a whole session."""
        targets = np.repeat(SCREEN.points(count), each, axis=0)
        return [self.look_at(target) for target in targets], targets


def point_of(calibration: Calibration, face: Face | GazeSample) -> list[float]:
    """Return the point that a calibration gives, which has to give one."""
    point = calibration(face)
    if point is None:
        pytest.fail("the calibration says nothing")
    return [float(number) for number in point]


@pytest.mark.parametrize("count", [5, 9, 13])
def test_a_steady_person_is_learned(count: int) -> None:
    """Without noise the calibration is off by little, at points in between too."""
    person = Person()
    calibration = calibrate(*person.session(count), SCREEN)
    assert calibration.points == count
    assert calibration.error.pixels < 25
    for target in ([500.0, 300], [1500, 800]):
        found = calibration(person.look_at(np.array(target)))
        assert found is not None
        assert np.linalg.norm(found - target) < 25


def test_the_error_is_that_of_new_points() -> None:
    """What is reported from points left out is about what a new session shows, in pixels and in degrees."""
    person = Person(noise_deg=1.0, seed=1)
    calibration = calibrate(*person.session(), SCREEN)
    samples, targets = Person(noise_deg=1.0, seed=2).session()
    found = np.array([calibration(sample) for sample in samples])
    seen = float(np.linalg.norm(found - targets, axis=1).mean())
    assert calibration.error.pixels == pytest.approx(seen, rel=0.35)
    assert calibration.error.degrees == pytest.approx(np.degrees(np.arctan(calibration.error.pixels * MM_PER_PX / 600)))
    assert len(calibration.error.pixels_by_point) == 9


def test_a_head_that_turns_is_learned_too() -> None:
    """Where the head takes over a part of the way, knowing its pose makes the calibration better."""
    samples, targets = Person(head=True, noise_deg=0.3).session()
    with_head = calibrate(samples, targets, SCREEN)
    without = calibrate([replace(sample, head=None) for sample in samples], targets, SCREEN)
    assert with_head.uses_head
    assert not without.uses_head
    assert with_head.error.pixels <= 1.1 * without.error.pixels
    assert with_head(replace(samples[0], head=None)) is None
    assert with_head(replace(samples[0], eyes_px=None)) is None


@given(st.floats(0.2, 4.0))
def test_the_size_of_the_pictures_does_not_matter(factor: float) -> None:
    """A camera that gives larger or smaller pictures than for the calibration leads to the same points."""
    person = Person(moves_mm=20.0)
    samples, targets = person.session(5, each=6)
    calibration = calibrate([replace(s, picture_size_px=(6400, 4800)) for s in samples], targets, SCREEN)
    size = round(6400 * factor), round(4800 * factor)
    factor = size[0] / 6400
    for sample in samples[::7]:
        x, y = sample.eyes_px or (0, 0)
        other = replace(
            sample, eyes_px=(factor * x, factor * y), eye_distance_px=factor * 63, picture_size_px=size
        )  # fmt: skip
        np.testing.assert_allclose(point_of(calibration, other), point_of(calibration, sample), atol=1e-6)


def test_pictures_of_another_shape_are_refused(tmp_path: Path) -> None:
    """Where a camera shows another part of what is there, it takes another calibration; saved ones know that too."""
    samples, targets = Person(moves_mm=20.0).session(5, each=6)
    made = calibrate([replace(sample, picture_size_px=(640, 480)) for sample in samples], targets, SCREEN)
    made.save(tmp_path / "c.json")
    calibration = Calibration.load(tmp_path / "c.json")
    assert calibration.picture_size_px == (640, 480)
    face = two_eyes()
    assert calibration(face, picture_size_px=(1280, 960)) is not None
    with pytest.raises(InputError, match="640 x 480, but this one is 1280 x 720"):
        calibration(face, picture_size_px=(1280, 720))


@pytest.mark.parametrize("other", [(1280, 720), (1280, 960)], ids=["shape", "size"])
def test_a_sample_without_a_size_hides_nothing(other: tuple[int, int]) -> None:
    """Where samples are of pictures of two sizes, one that does not say of which is refused, wherever it stands."""
    samples, targets = Person(moves_mm=20.0).session(5, each=6)
    mixed = [replace(s, picture_size_px=(640, 480) if index % 2 else other) for index, s in enumerate(samples)]
    for index in (0, 7):
        unsure = [*mixed]
        unsure[index] = replace(unsure[index], picture_size_px=None)
        with pytest.raises(InputError, match=r"640 x 480.*1 of them have no picture_size_px"):
            calibrate(unsure, targets, SCREEN)


def test_the_size_that_is_known_is_that_of_all() -> None:
    """Where all samples that say it are of one size, the calibration belongs to pictures of that size."""
    samples, targets = Person(moves_mm=20.0).session(5, each=6)
    sized = [replace(sample, picture_size_px=(640, 480)) for sample in samples]
    calibration = calibrate([samples[0], *sized[1:]], targets, SCREEN)
    assert calibration.picture_size_px == (640, 480)
    np.testing.assert_allclose(calibration.weights, calibrate(sized, targets, SCREEN).weights)
    with pytest.raises(InputError, match="1280 x 720"):
        calibration(two_eyes(), picture_size_px=(1280, 720))


def test_a_head_that_keeps_still_does_no_harm() -> None:
    """Trembling of features that never really changed is not taken for a reason."""
    person = Person(noise_deg=0.5, moves_mm=0.5, seed=3)
    samples, targets = person.session()
    placed = calibrate(samples, targets, SCREEN).error.pixels
    bare = calibrate([replace(s, eyes_px=None) for s in samples], targets, SCREEN).error.pixels
    assert placed < 1.25 * bare


def test_glances_elsewhere_are_left_out() -> None:
    """A few samples of another place change nothing."""
    samples, targets = Person(noise_deg=0.3).session()
    clean = calibrate(samples, targets, SCREEN)
    for index in range(0, len(samples), 20):
        samples[index] = replace(samples[index], gaze=Gaze(-1.0, 1.0))
    glancing = calibrate(samples, targets, SCREEN)
    assert glancing.samples <= len(samples) - 9
    assert glancing.error.pixels < 1.3 * clean.error.pixels


@settings(max_examples=8)
@given(st.integers(0, 2**31), st.sampled_from([5, 9]))
def test_the_order_of_samples_does_not_matter(seed: int, count: int) -> None:
    """Shuffled samples give the same calibration."""
    samples, targets = Person(noise_deg=0.5).session(count, each=6)
    order = np.random.default_rng(seed).permutation(len(samples))
    one = calibrate(samples, targets, SCREEN)
    other = calibrate([samples[index] for index in order], targets[order], SCREEN)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-6, atol=1e-3)
    assert sorted(other.error.pixels_by_point) == pytest.approx(sorted(one.error.pixels_by_point))


def test_errors_come_in_the_order_of_the_points() -> None:
    """The point that was missed on purpose is the one whose error is large."""
    samples, targets = Person().session(9)
    samples[40:60] = [replace(sample, gaze=Gaze(0.0, 0.0)) for sample in samples[40:60]]
    assert int(np.argmax(calibrate(samples, targets, SCREEN).error.pixels_by_point)) == 2


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    """What is saved and loaded says the same of the same face."""
    person = Person(head=True, noise_deg=0.5)
    calibration = calibrate(*person.session(), SCREEN)
    calibration.save(tmp_path / "c.json")
    back = Calibration.load(tmp_path / "c.json")
    sample = person.look_at(np.array([700.0, 300]))
    assert point_of(back, sample) == pytest.approx(point_of(calibration, sample))
    assert back.error == calibration.error
    assert back.screen == SCREEN
    assert repr(back) == repr(calibration)
    assert "degrees" in repr(back)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(format=9), "format is 9"),
        (lambda content: content.pop("weights"), "weights"),
        (lambda content: content.update(weights=[[1, 2]]), r"weights are \[1, 2\]"),
        (lambda content: content["screen"].update(width_px=0), "width_px"),
        (lambda content: content["screen"].update(width_px=10**400), "width_px"),
        (lambda content: content.update(picture_size_px=[0, 0]), r"picture_size_px is \[0, 0\]"),
        (lambda content: content.update(picture_size_px=[640]), r"picture_size_px is \[640\]"),
        (lambda content: content.update(picture_size_px=[]), r"picture_size_px is \[\]"),
    ],
    ids=["format", "missing", "shape", "screen", "beyond numbers", "no pictures", "one size", "no size"],
)
def test_damaged_files_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    """A file of another version, or with something wrong in it, is refused by name."""
    path = tmp_path / "c.json"
    calibrate(*Person().session(5), SCREEN).save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"c\.json.*{message}"):
        Calibration.load(path)
    with pytest.raises(InputError, match=r"none\.json"):
        Calibration.load(tmp_path / "none.json")


def test_too_little_is_refused() -> None:
    """Two points, points in a line, no samples, or targets of another number are refused."""
    samples, targets = Person().session(9)
    for few in (slice(0, 40), slice(0, 0)):
        with pytest.raises(InputError, match="at least 3 points"):
            calibrate(samples[few], targets[few], SCREEN)
    line = np.flatnonzero(targets[:, 1] == 540)
    with pytest.raises(InputError, match="not on one line"):
        calibrate([samples[index] for index in line], targets[line], SCREEN)
    with pytest.raises(InputError, match=r"got \[179, 2\]"):
        calibrate(samples, targets[1:], SCREEN)


def test_screens_are_checked() -> None:
    """A screen has a size; without millimetres there are no degrees; patterns have 5, 9 or 13 points."""
    with pytest.raises(InputError, match="height_px"):
        Screen(1920, 0)
    assert Screen(1920, 1080).degrees(50) is None
    assert SCREEN.degrees(600 / MM_PER_PX) == pytest.approx(45)
    for count in (5, 9, 13):
        points = SCREEN.points(count)
        assert len(np.unique(points, axis=0)) == count
        assert points[0].tolist() == [960, 540]
        assert (points > 0).all()
    with pytest.raises(InputError, match="5, 9 or 13"):
        SCREEN.points(7)


def two_eyes(gaze: Gaze | None = None, **changes: Any) -> Face:
    """Return a face with both eyes, 40 px wide, 60 px apart."""
    left = make_eye(gaze=gaze or Gaze(0.0, 0.0), **changes)
    right = replace(left, side="right", eyelid=np.array(left.eyelid) - (60, 0))
    return Face(Box(20, 10, 100, 100), (right, left), head=HeadPose(0.0, 0.1, 0.0))


def test_a_sample_of_a_face() -> None:
    """It has gaze, head and place of the eyes; there is none of a blink or of one eye."""
    face = two_eyes(Gaze(0.1, 0.2))
    sample = GazeSample.from_face(face)
    assert sample is not None
    assert sample.gaze.pitch_rad == pytest.approx(0.1)
    assert sample.head == face.head
    assert sample.eyes_px == (70, 50)
    assert sample.eye_distance_px == 60
    assert GazeSample.from_face(two_eyes(blink=True)) is None
    assert GazeSample.from_face(Face(face.box, face.eyes[1:])) is None


def test_an_estimator_says_where_on_the_screen(session: Session) -> None:
    """With a calibration every face has its point, frame by frame too; without, none."""
    pytest.importorskip("cv2")
    found = FoundFace.from_eye_centres(Box(50, 50, 80, 80), right=(70, 80), left=(110, 84))
    samples, targets = Person().session(5)
    calibration = calibrate([replace(sample, eyes_px=None) for sample in samples], targets, SCREEN)
    estimator = GazeEstimator(session, lambda grey: [found], calibration=calibration)
    picture = np.zeros((200, 200), np.uint8)
    (face,), (tracked,) = estimator(picture), GazeTracker(estimator)(picture, 0.0)
    assert face.screen_px is not None
    assert tracked.screen_px is not None
    assert face.screen_px.tolist() == pytest.approx(point_of(calibration, face))
    assert tracked.screen_px.tolist() == pytest.approx(face.screen_px.tolist())
    (bare,) = GazeEstimator(session, lambda grey: [found])(picture)
    assert bare.screen_px is None


def test_a_calibration_with_heads_needs_a_finder_that_sees_them(session: Session) -> None:
    """Cascades see no heads: the error says what to take instead; a finder of one's own may see them."""
    pytest.importorskip("cv2")
    samples, targets = Person().session(5)
    calibration = calibrate([replace(sample, head=HeadPose(0.0, 0.1, 0.0)) for sample in samples], targets, SCREEN)
    with pytest.raises(InputError, match=r"CascadeFinder does not provide.*'mesh'.*calibrate again"):
        GazeEstimator(session, CascadeFinder(), calibration=calibration)
    GazeEstimator(session, lambda grey: [], calibration=calibration)

    class Blind:
        """A finder of one's own that says it sees no heads."""

        sees_heads = False

        def __call__(self, grey: Any, /) -> list[FoundFace]:
            return []

    with pytest.raises(InputError, match="Blind does not provide"):
        GazeEstimator(session, Blind(), calibration=calibration)


class Camera:
    """Frames at 10 a second in which a person looks at what is shown."""

    def __init__(self, screen: Screen, count: int = 400) -> None:
        self.screen, self.count = screen, count
        self.shown: list[np.ndarray[Any, Any]] = []
        self.stop_after = 10**9

    def frames(self) -> Iterator[Frame]:
        """Yield black pictures."""
        for index in range(self.count):
            yield Frame(np.zeros((4, 4, 3), np.uint8), index, index / 10, "")

    def show(self, picture: np.ndarray[Any, Any]) -> bool:
        """Remember what is shown."""
        self.shown.append(picture)
        return len(self.shown) < self.stop_after

    def track(self, picture: np.ndarray[Any, Any], seconds: float) -> list[Face]:
        """Return somebody in the background, and the person, who looks at the dot."""
        rows, columns = np.nonzero((self.shown[-1] == 255).all(axis=2))
        x, y = columns.mean() / self.screen.width_px - 0.5, rows.mean() / self.screen.height_px
        small = Face(Box(0, 0, 5, 5), (make_eye(),))
        return [small, two_eyes(Gaze(-0.4 * y, -0.6 * x))]


@pytest.mark.parametrize("count", [5, 9, 13])
def test_a_session_is_recorded(count: int) -> None:
    """The points are shown one after the other, samples belong to the point on show, and it can be calibrated."""
    screen = Screen(480, 270)
    camera = Camera(screen)
    recording = record(camera.frames(), camera.track, screen, camera.show, points=count)
    assert len(np.unique(recording.targets_px, axis=0)) == count
    assert np.bincount(np.unique(recording.targets_px, axis=0, return_inverse=True)[1].ravel()).min() >= 8
    assert camera.shown[0].shape == (270, 480, 3)
    assert calibrate(recording.samples, recording.targets_px, screen).error.pixels < 15


def test_a_course_knows_how_far_it_is() -> None:
    """A course says which point is next and for how long it has been on show; nothing is taken while it is searched."""
    course = Course(Screen(480, 270), 5)
    assert (course.count, course.number, course.is_done, course.share(7.0)) == (5, 0, False, 0.0)
    assert course.target.tolist() == [240, 135]
    for index in range(10):
        course.take(index / 10, [two_eyes()], (640, 480))
    assert course.samples == ()
    assert course.share(1.1) == pytest.approx(0.5)
    for index in range(10, 24):
        course.take(index / 10, [two_eyes()], (640, 480))
    assert course.number == 1
    assert course.targets_px.tolist() == [[240, 135]] * len(course.samples)
    assert course.target.tolist() == [48, 27]
    for index in range(24, 200):
        course.take(index / 10, [two_eyes()], (640, 480))
    assert course.is_done
    assert len({tuple(point) for point in course.targets_px.tolist()}) == 5


def test_sessions_that_fail_say_so() -> None:
    """A session that is stopped, sees no face or runs out of frames ends with its reason."""
    screen = Screen(480, 270)
    camera = Camera(screen)
    camera.stop_after = 30
    with pytest.raises(InputError, match="stopped"):
        record(camera.frames(), camera.track, screen, camera.show)
    with pytest.raises(InputError, match="both eyes"):
        record(Camera(screen).frames(), lambda picture, seconds: [], screen, lambda picture: True)
    short = Camera(screen, count=30)
    with pytest.raises(MediaError, match="ended"):
        record(short.frames(), short.track, screen, short.show)


@pytest.mark.parametrize("target", [(240, 135), (1, 1), (479, 269)])
def test_the_point_is_where_it_is_said_to_be(target: tuple[int, int]) -> None:
    """The dot lies at the target, also at the edge, and the ring closes in on it."""
    early, late = (point_picture(Screen(480, 270), target, share) for share in (0.0, 1.0))
    rows, columns = np.nonzero((late == 255).all(axis=2))
    assert abs(columns + 0.5 - target[0]).max() < 1.5
    assert abs(rows + 0.5 - target[1]).max() < 1.5
    assert (early != late).any()


def test_a_recording_survives_its_table(tmp_path: Path) -> None:
    """Samples written and read are the same, with and without head and place."""
    samples, targets = Person(head=True, noise_deg=1).session(5, each=2)
    samples[0] = replace(samples[0], head=None, eyes_px=None, eye_distance_px=None)
    Recording(tuple(samples), targets).save(tmp_path / "s.csv")
    back = Recording.load(tmp_path / "s.csv")
    np.testing.assert_allclose(back.targets_px, targets)
    assert back.samples[0].head is None
    assert back.samples[0].eyes_px is None
    for sample, same in zip(samples[1:], back.samples[1:], strict=True):
        assert same.gaze.degrees_to(sample.gaze) < 1e-6
        assert same.eyes_px == pytest.approx(sample.eyes_px)
        assert same.head is not None


def test_tables_of_others_will_do(tmp_path: Path) -> None:
    """Four columns are needed, blinks and rows without a face are left out; what is wrong is told with its line."""
    path = tmp_path / "t.csv"
    path.write_text(
        "eye_blink,target_x_px,target_y_px,gaze_pitch_deg,gaze_yaw_deg\n"
        "false,100,200,5,-3\ntrue,100,200,-40,0\nfalse,100,200,,\nfalse,,,5,-3\n"
    )
    recording = Recording.load(path)
    assert len(recording.samples) == 1
    assert recording.samples[0].gaze.pitch_deg == pytest.approx(5)
    path.write_text("target_x_px,target_y_px,gaze_pitch_deg,gaze_yaw_deg\n1,2,3,4\n1,2,3,left\n")
    with pytest.raises(InputError, match="line 3"):
        Recording.load(path)
    path.write_text("target_x_px,target_y_px\n")
    with pytest.raises(InputError, match="gaze_pitch_deg, gaze_yaw_deg"):
        Recording.load(path)
    path.write_text("target_x_px;target_y_px;gaze_pitch_deg;gaze_yaw_deg\n1;2;3;4\n")
    with pytest.raises(InputError, match=r"its first line is 'target_x_px;target_y_px.*comma-separated"):
        Recording.load(path)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="not a CSV table"):
        Recording.load(path)
    with pytest.raises(InputError, match=r"none\.csv"):
        Recording.load(tmp_path / "none.csv")
    with pytest.raises(InputError, match="0 samples need targets"):
        Recording((), np.zeros((2, 2)))


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """Spreadsheets write a byte-order mark before UTF-8; the first column keeps its name all the same."""
    path = tmp_path / "t.csv"
    path.write_text("target_x_px,target_y_px,gaze_pitch_deg,gaze_yaw_deg\n1,2,3,4\n", encoding="utf-8-sig")
    assert Recording.load(path).targets_px.tolist() == [[1, 2]]


@given(beside=st.sampled_from([(-0.5, 540), (960, -1), (1920.5, 540), (960, 4000)]), index=st.integers(0, 89))
def test_a_point_beside_the_screen_is_refused(beside: tuple[float, float], index: int) -> None:
    """A table of another screen makes no calibration of this one; points on its very edge do."""
    samples, targets = Person().session(9, each=10)
    targets[index] = (1920, 1080)
    assert calibrate(samples, targets, SCREEN).points == 10
    targets[index] = beside
    with pytest.raises(InputError, match="is outside the screen of 1920 x 1080 pixels, as are 1 of 90 points"):
        calibrate(samples, targets, SCREEN)


def test_a_session_from_the_command_line(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A camera's session shows every point, keeps its samples if asked to, and makes a calibration."""
    pytest.importorskip("cv2")
    found = FoundFace.from_eye_centres(Box(50, 50, 80, 80), right=(70, 80), left=(110, 84))
    shown: list[tuple[int, ...]] = []
    frames = (Frame(np.zeros((200, 200, 3), np.uint8), index, index / 10, "") for index in range(200))

    def show(picture: np.ndarray[Any, Any]) -> bool:
        shown.append(picture.shape)
        return True

    monkeypatch.setattr(gaze_calibrate, "open_source", lambda source: nullcontext(frames))
    monkeypatch.setattr(gaze_calibrate, "Window", lambda title, **options: nullcontext(SimpleNamespace(show=show)))
    estimator = GazeEstimator(session, lambda grey: [found])
    monkeypatch.setattr(GazeEstimator, "from_default", lambda *model, **options: estimator)
    out, table = tmp_path / "c.json", tmp_path / "s.csv"
    given = ["camera:0", "-o", str(out), "--screen", "480x270", "--points", "5", "--samples", str(table)]
    assert "5 points" in Shell(capsys)("gaze", "calibrate", *given)
    assert set(shown) == {(270, 480, 3)}
    assert Calibration.load(out).points == 5
    assert len(Recording.load(table).samples) == Calibration.load(out).samples
    assert Calibration.load(out).picture_size_px == (200, 200)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table becomes a calibration and a report; wrong sizes are told."""
    samples, targets = Person(noise_deg=0.5).session()
    Recording(tuple(samples), targets).save(tmp_path / "s.csv")
    out = tmp_path / "c.json"
    shell = Shell(capsys)
    given = ["gaze", "calibrate", tmp_path / "s.csv", "-o", out, "--screen", "1920x1080"]
    said = shell(*given, "--screen-width-mm", 520, "--distance-mm", 600)
    assert "9 points" in said
    assert "degrees" in said
    assert Calibration.load(out).points == 9
    assert "degrees" not in shell(*given)
    assert "--points is for a camera session" in shell.fails(*given, "--points", 9)
    assert "--model is for a camera session" in shell.fails(*given, "--engine", "small")
    assert "1920x1080" in shell.run(*given[:-1], "large")[2]
    assert "--resume is for a camera session" in shell.fails(*given, "--resume")
    assert "none.csv" in shell.fails("gaze", "calibrate", tmp_path / "none.csv", "--screen", "1920x1080")
    nowhere = tmp_path / "nowhere" / "c.json"
    assert "not found" in shell.fails("gaze", "calibrate", "camera:0", "-o", nowhere, "--screen", "1920x1080")
    assert "is a folder" in shell.fails("gaze", "calibrate", "camera:0", "-o", tmp_path, "--screen", "1920x1080")
    assert "is outside the screen" in shell.fails(*given[:-1], "1280x720")
