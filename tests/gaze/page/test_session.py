"""One page that is open: what it is told of frames and files, what it records and learns."""

from __future__ import annotations

import csv
import re
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError, MediaError
from onepass.gaze import Face, Gaze, GazeEstimator, GazeTracker, calibrate, open_table
from onepass.gaze.page import PageOptions, PageSession
from onepass.gaze.page import recording as recording_module
from onepass.gaze.page.blinks import BlinkCounter
from onepass.gaze.page.camera import BrowserCamera
from onepass.gaze.page.commands import command_of
from onepass.gaze.page.dropped import picture_for_page, place_in
from onepass.gaze.page.learning import Learning
from onepass.gaze.page.recording import Recording
from onepass.gaze.screen.sample import Screen
from onepass.gaze.show.movements import MovementTable
from onepass.media import Frame, VideoSink, open_source, write_picture
from tests.gaze.test_calibration import Person, two_eyes

from .conftest import Told
from .people import Picture, jpeg, somebody

Open = Callable[..., PageSession]


def message_of(picture: Picture, number: int, seconds: float) -> bytes:
    """Return the message of a camera's frame."""
    return struct.pack("<dI", seconds, number) + jpeg(picture)


def write_clip(path: Path, count: int = 8) -> Path:
    """Write a video of somebody whose gaze goes from left to right."""
    with VideoSink(path, fps=25) as sink:
        for index in range(count):
            picture = somebody(-16 + 32 * index / count)
            sink.write(Frame(picture, index, index / 25, ""), picture)
    return path


def write_transport_stream(path: Path) -> Path:
    """Write a video of the kind that lists name."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25, width=320, height=240, pix_fmt="yuv420p")
        for yaw in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(somebody(yaw), format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_frame_gives_what_the_tracker_gives(estimator: GazeEstimator, open_session: Open, told: Told) -> None:
    """The faces that the page is told are those that a tracker finds in the same frames, number by number."""
    session = open_session(estimator)
    session.do({"type": "camera"})
    assert told.next()["type"] == "started"
    tracker = GazeTracker(estimator)
    for number, yaw in enumerate((0, 5, 12)):
        message = message_of(somebody(yaw), number, number / 30)
        session.take_frame(message)
        result = told.next("result")
        [frame] = camera_frames([message])
        [face] = tracker(frame.picture, frame.seconds or 0.0)
        assert (result["index"], result["seconds"]) == (number, number / 30)
        assert (result["width"], result["height"]) == (320, 240)
        [said] = result["faces"]
        assert {key: said[key] for key in face.to_json()} == face.to_json()
        assert said["blinks"] == 0
        assert said["movement"] in (None, "fixation", "saccade")


def camera_frames(messages: list[bytes]) -> list[Frame]:
    """Return the frames of messages, each taken before the next comes."""
    camera = BrowserCamera()
    frames = []
    iterator = iter(camera)
    for message in messages:
        camera.put(message)
        frames.append(next(iterator))
    camera.stop()
    assert list(iterator) == []
    return frames


def test_the_newest_frame_is_the_next() -> None:
    """Frames that come while nobody has time give way to the newest; a stopped camera ends."""
    camera = BrowserCamera()
    for number in range(100):
        camera.put(message_of(np.zeros((2, 2, 3), np.uint8), number, number / 30))
    frame = next(iter(camera))
    assert (frame.index, frame.seconds, frame.name) == (99, 99 / 30, "000099.jpg")
    threading.Timer(0.05, camera.stop).start()
    assert list(camera) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "got 0"),
        (bytes(12), "got 12"),
        (bytes(9 << 20), "at most"),
        (b"\0" * 12 + b"GIF", "not a readable picture"),
    ],
)
def test_messages_that_are_no_frames(message: bytes, said: str) -> None:
    """What is no frame is refused with what came and what was expected."""
    with pytest.raises((InputError, MediaError), match=said):
        camera_frames([message])


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -5.0, 1e308])
def test_times_that_are_none(seconds: float) -> None:
    """A frame has a time, and none before that of the last."""
    camera = BrowserCamera()
    camera.put(message_of(np.zeros((2, 2, 3), np.uint8), 0, seconds))
    with pytest.raises(InputError, match="time"):
        next(iter(camera))


def test_a_bad_frame_ends_the_camera_only(estimator: GazeEstimator, open_session: Open, told: Told) -> None:
    """A frame that cannot be read is told; the camera can be started again."""
    session = open_session(estimator)
    session.take_frame(message_of(somebody(), 0, 0.0))  # before there is a camera: it was on its way when one ended
    session.do({"type": "camera"})
    session.take_frame(bytes(12) + b"no picture")
    ended = told.next("ended")
    assert "frame 0 of the camera is not a readable picture" in ended["text"]
    session.do({"type": "camera"})
    session.take_frame(message_of(somebody(), 0, 0.0))
    assert len(told.next("result")["faces"]) == 1


def test_a_dropped_video_gives_the_table_of_onepass_gaze(
    estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path
) -> None:
    """Every frame is looked at and shown with its picture; tables are those of the library, byte by byte."""
    clip = write_clip(tmp_path / "clip.mp4")
    session = open_session(estimator)
    session.place_for("clip.mp4").write_bytes(clip.read_bytes())
    session.do({"type": "file"})
    assert told.next("recording")
    assert told.next() == {"type": "opened", "frames": 8, "sequence": True, "picture": None}
    for index in range(8):
        result = told.next("result")
        assert result["index"] == index
        assert result["recorded"]["frames"] == index + 1
        assert result["picture"].startswith(b"\xff\xd8")
        session.do({"type": "shown"})
    recorded = told.next("recorded")
    assert told.next() == {"type": "ended", "frames": 8, "notes": [], "text": None, "picture": None}
    assert (recorded["frames"], recorded["blinks"]) == (8, 0)
    with (
        open_source(clip) as source,
        open_table(tmp_path / "gaze.csv") as table,
        MovementTable(tmp_path / "movements.csv") as movements,
    ):
        for each in GazeTracker(estimator).stream(source):
            table.write(each)
            movements.write(each)
    for name in ("gaze.csv", "movements.csv"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert recorded["files"] == [f"0/{name}" for name in recording_module.table_names()]


def test_a_video_waits_for_its_page(estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path) -> None:
    """Results go out only as far as the page has shown them, and a video can be stopped while it waits."""
    session = open_session(estimator)
    write_clip(session.place_for("clip.mp4"))
    session.do({"type": "file"})
    assert [told.next("result")["index"] for _ in range(2)] == [0, 1]
    threading.Event().wait(0.2)
    assert told.messages.empty()
    session.do({"type": "shown"})
    assert told.next("result")["index"] == 2
    session.do({"type": "stop"})
    assert told.next()["type"] == "stopped"
    session.close()
    assert told.next("recorded")["frames"] == 3


def test_a_dropped_picture_is_looked_at_by_itself(
    estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path
) -> None:
    """A picture has no time and no numbers of faces; its row bears its own name."""
    session = open_session(estimator)
    write_picture(session.place_for("Anna's.png"), somebody(size=(1600, 1200)))
    session.do({"type": "file"})
    result = told.next("result")
    assert (result["seconds"], result["width"]) == (None, 1600)
    assert [face["id"] for face in result["faces"]] == [None]
    assert told.next("recorded")["frames"] == 1
    [row, *_] = csv.DictReader((tmp_path / "0" / "gaze.csv").read_text().splitlines())
    assert row["name"] == "Anna's.png"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"just text", "^a.m3u8 .* is neither a readable picture nor a readable video"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{clip}\n#EXT-X-ENDLIST\n",
            "^a.m3u8 is a list of other files .hls.",
        ),
        (
            b"ffconcat version 1.0\nfile {clip}\n",
            "^a.m3u8 .*(neither a readable picture nor a readable video|drop the video itself)",
        ),
        (b"", "^a.m3u8 .* is neither a readable picture nor a readable video"),
    ],
)
def test_files_that_are_no_media(
    content: bytes, said: str, estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path
) -> None:
    """What is no picture or video is said to be none, and a list of other files is not followed."""
    session = open_session(estimator)
    clip = write_transport_stream(tmp_path / "secret.ts")
    session.place_for("a.m3u8").write_bytes(content.replace(b"{clip}", str(clip).encode()))
    session.do({"type": "file"})
    message, _ = told.messages.get(timeout=20)
    assert (message["type"], message["of"]) == ("problem", "file")
    assert re.search(said, message["text"]), message


def test_nothing_was_dropped(estimator: GazeEstimator, open_session: Open, told: Told) -> None:
    """A file that never came is a sentence."""
    open_session(estimator).do({"type": "file"})
    assert "no file received" in told.messages.get(timeout=20)[0]["text"]


@given(name=st.text(max_size=300))
def test_names_of_files_stay_in_their_folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a file is called, it lies in the session's folder, or its name is refused."""
    folder = tmp_path_factory.getbasetemp() / "names"
    folder.mkdir(exist_ok=True)
    try:
        place = place_in(folder, name)
    except InputError:
        return
    assert place.parent == folder / "dropped"
    place.write_bytes(b"x")
    assert [file.read_bytes() for file in place.parent.iterdir()] == [b"x"]


def test_large_pictures_are_shown_smaller() -> None:
    """What the page is shown has at most 1280 pixels at a side, and its shape."""
    small = picture_for_page(np.zeros((100, 4000, 3), np.uint8))
    frame = camera_frames([bytes(12) + small])[0]
    assert frame.picture.shape == (32, 1280, 3)


def test_one_eye(estimator: GazeEstimator, open_session: Open, told: Told) -> None:
    """One eye of each face is told when only that is wanted, from the beginning or from now on."""
    session = open_session(estimator, PageOptions(eye="left"))
    session.do({"type": "camera"})
    for number, eye in enumerate(["left", None, "right"]):
        session.do({"type": "eye", "eye": eye})
        session.take_frame(message_of(somebody(), number, number / 30))
        sides = [each["side"] for each in told.next("result")["faces"][0]["eyes"]]
        assert sides == ([eye] if eye else ["right", "left"])


def test_recording(estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path) -> None:
    """What comes between start and stop is in the table, as the page was told it; the next recording has its own."""
    session = open_session(estimator)
    session.do({"type": "camera"})
    results = []
    for number in range(6):
        if number == 2:
            session.do({"type": "record", "on": True})
        if number == 5:
            session.do({"type": "record", "on": False})
        session.take_frame(message_of(somebody(3 * number), number, number / 30))
        results.append(told.next("result"))
    assert [result["recorded"] is not None for result in results] == [False] * 2 + [True] * 3 + [False]
    rows = list(csv.DictReader((tmp_path / "0" / "gaze.csv").read_text().splitlines()))
    assert [int(row["frame"]) for row in rows] == [2, 2, 3, 3, 4, 4]
    for row, yaw in zip(rows[::2], [results[at]["faces"][0]["gaze"]["yaw_deg"] for at in (2, 3, 4)], strict=True):
        assert float(row["gaze_yaw_deg"]) == pytest.approx(yaw, abs=1e-4)
    session.do({"type": "record", "on": True})
    session.do({"type": "record", "on": True})
    assert told.next("recorded")["files"][0] == "1/gaze.csv"
    session.close()
    assert told.next("recorded")["files"][0] == "2/gaze.csv"


def test_a_recording_ends_by_itself(
    estimator: GazeEstimator, open_session: Open, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as long as it may be, a recording is finished, and frames go on."""
    monkeypatch.setattr(recording_module, "MAX_SECONDS", 1.0)
    session = open_session(estimator)
    session.do({"type": "camera"})
    session.do({"type": "record", "on": True})
    for number, seconds in enumerate((0.0, 0.9, 1.0, 1.1)):
        session.take_frame(message_of(somebody(), number, seconds))
        result = told.next("result")
    assert result["recorded"] is None


def test_a_full_disk_ends_the_recording_only(
    estimator: GazeEstimator, open_session: Open, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a table cannot be written, the page is told, and what was written can be had; frames go on."""
    session = open_session(estimator)
    session.do({"type": "camera"})
    session.do({"type": "record", "on": True})

    def full(*_: Any) -> None:
        raise MediaError("gaze.csv cannot be written: No space left on device")

    monkeypatch.setattr(Recording, "write", full)
    session.take_frame(message_of(somebody(), 0, 0.0))
    told.next("result")
    problem = told.messages.get(timeout=20)[0]
    assert (problem["type"], problem["of"]) == ("problem", "record")
    assert "No space left" in problem["text"]
    assert told.next("recorded")["frames"] == 0
    session.take_frame(message_of(somebody(), 1, 0.1))
    assert told.next("result")["recorded"] is None


def test_a_disk_that_is_full_at_the_end(
    estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a recording cannot be begun, or finished, the page is told, and is ready for another."""
    session = open_session(estimator)
    (tmp_path / "0").mkdir()
    session.do({"type": "record", "on": True})
    assert "cannot record on the server" in told.messages.get(timeout=20)[0]["text"]
    (tmp_path / "0").rmdir()
    close = Recording.close

    def fails(recording: Recording) -> Any:
        close(recording)
        raise MediaError("gaze.csv cannot be finished")

    for ending, said in ((fails, "problem"), (close, "recorded")):
        session.do({"type": "record", "on": True})
        assert told.next("recording")
        monkeypatch.setattr(Recording, "close", ending)
        session.do({"type": "record", "on": False})
        assert told.messages.get(timeout=20)[0]["type"] == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = ("camera", "shown", "stop", "eye", "record", "calibrate", "calibration", "file", "nothing")
NAMES = ("on", "eye", "points", "width", "height", "width_mm", "distance_mm", "calibration")


@given(command=st.fixed_dictionaries({"type": st.sampled_from(KINDS) | JSON}, optional=dict.fromkeys(NAMES, JSON)))
def test_no_command_breaks_a_session(command: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a page asks for is done or told to be a problem, in a sentence."""

    def finder(_: Any) -> list[Any]:
        return []

    told = Told()
    estimator: Any = type("Blind", (), {"finder": staticmethod(finder), "stream": lambda *_: iter(())})()
    session = PageSession(estimator, PageOptions(), tmp_path_factory.mktemp("session"), told)
    session.do(command)
    session.close()
    while not told.messages.empty():
        message, _ = told.messages.get()
        if message["type"] == "problem":
            assert message["text"]


@pytest.mark.parametrize(("text", "said"), [("{", "JSON"), ("[]", "object"), (" " * (2 << 20), "at most")])
def test_messages_that_are_no_commands(text: str, said: str) -> None:
    """A message is a JSON object of a bounded length."""
    with pytest.raises(InputError, match=said):
        command_of(text)


def steps_of(learning: Learning, person: Person, screen: Screen) -> list[dict[str, Any]]:
    """Let somebody look at each point of a course; return where the course was after each frame."""
    steps: list[dict[str, Any]] = []
    target = np.array([screen.width_px / 2, screen.height_px / 2])
    for index in range(2000):
        face = face_of(person, target)
        frame = Frame(np.zeros((480, 640, 3), np.uint8), index, index / 30, "")
        step = learning.take(frame, [face])
        if step is None:
            break
        steps.append(step)
        target = np.array(step["target"])
    return steps


def face_of(person: Person, target: Any) -> Face:
    """Return the face of somebody who looks at a point."""
    sample = person.look_at(np.asarray(target))
    return two_eyes(Gaze(sample.gaze.pitch_rad, sample.gaze.yaw_rad))


@pytest.mark.parametrize("points", [5, 9, 13])
def test_a_course_teaches_the_screen(points: int) -> None:
    """The points come one after the other; afterwards faces look at points on the screen, near where they do."""
    screen = Screen(1920, 1080)
    learning = Learning(lambda _: [])
    learning.begin({"points": points, "width": 1920, "height": 1080})
    steps = steps_of(learning, Person(), screen)
    assert [step["number"] for step in steps] == sorted(step["number"] for step in steps)
    assert len({tuple(step["target"]) for step in steps}) == points
    assert [step["done"] for step in steps] == [False] * (len(steps) - 1) + [True]
    assert learning.calibration is not None
    assert learning.calibration.points == points
    assert learning.calibration.error.pixels < 60
    [face] = learning.on_screen([face_of(Person(), (700, 400))], (640, 480))
    assert face.screen_px is not None
    assert np.linalg.norm(face.screen_px - (700, 400)) < 60


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400, "1e10", "true", '"9"', "null"])
def test_numbers_that_are_none(number: str) -> None:
    """A screen's size is a number that a screen can have, whatever JSON lets through."""
    command = command_of(f'{{"points": 9, "width": {number}, "height": 100}}')
    with pytest.raises(InputError):
        Learning(lambda _: []).begin(command)


def test_points_that_are_nowhere() -> None:
    """A calibration whose numbers lead to no point says nothing."""
    learned = calibrate(*Person().session(), Screen(1920, 1080))
    far = replace(learned, weights=np.full_like(learned.weights, 1e308))
    [face] = Learning(lambda _: [], far).on_screen([face_of(Person(), (100, 100))], (640, 480))
    assert face.screen_px is None


def test_files_one_upon_the_other(estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path) -> None:
    """A file that comes while another is opened takes its place, and no place of the server's disk is told."""
    clip = write_clip(tmp_path / "clip.mp4", 2).read_bytes()
    session = open_session(estimator)
    session.place_for("a.mp4").write_bytes(clip)
    opening = threading.Thread(target=session.do, args=[{"type": "file"}])
    opening.start()
    place = session.place_for("b.mp4")
    opening.join()
    place.write_bytes(clip)
    session.do({"type": "file"})
    session.do({"type": "shown"})
    session.do({"type": "shown"})
    seen = [told.messages.get(timeout=20)[0] for _ in range(told.messages.qsize())]
    while not any(message["type"] == "ended" for message in seen):
        seen.append(told.messages.get(timeout=20)[0])
    for message in seen:
        assert str(tmp_path) not in str(message.get("text"))
        assert str(Path.cwd()) not in str(message.get("text"))


def test_a_course_without_eyes_is_left() -> None:
    """Where nobody is seen for a while the course ends with a sentence, and what was learned before stays."""
    learning = Learning(lambda _: [])
    learning.begin({"points": 5, "width": 100, "height": 100})
    first, last = (Frame(np.zeros((4, 4, 3), np.uint8), index, index / 30, "") for index in (0, 600))
    assert learning.take(first, []) is not None
    with pytest.raises(InputError, match="both eyes in view"):
        learning.take(last, [])
    assert learning.take(last, []) is None


def test_calibrations_go_to_the_page_and_back(
    estimator: GazeEstimator, open_session: Open, told: Told, tmp_path: Path
) -> None:
    """A calibration is taken as told, refused for one eye, and forgotten where the pictures have another shape."""
    learned = calibrate(*Person().session(), Screen(1920, 1080))
    session = open_session(estimator)
    session.do({"type": "calibration", "calibration": learned.to_json()})
    assert told.next("calibration")["calibration"] == learned.to_json()
    session.do({"type": "eye", "eye": "left"})
    assert "both eyes" in told.messages.get()[0]["text"]
    session.do({"type": "calibration", "calibration": {"format": 1}})
    assert "not a calibration of format 1" in told.messages.get()[0]["text"]
    square = learned.to_json() | {"picture_size_px": [100, 100]}
    session.do({"type": "calibration", "calibration": square})
    assert told.next("calibration")["calibration"]["picture_size_px"] == (100, 100)
    session.do({"type": "camera"})
    session.take_frame(message_of(somebody(), 0, 0.0))
    assert told.next("result")["faces"][0]["screen_px"] is None
    assert told.next("calibration")["calibration"] is None
    assert "calibrate again" in told.messages.get()[0]["text"]
    session.do({"type": "eye", "eye": "left"})
    session.do({"type": "calibrate", "on": True, "points": 5, "width": 10, "height": 10})
    assert "both eyes" in told.messages.get()[0]["text"]


@given(st.lists(st.sets(st.tuples(st.integers(0, 3), st.booleans())), max_size=30))
def test_blinks_are_counted_once(frames: list[set[tuple[int, bool]]]) -> None:
    """A blink counts when the eyes shut, not while they are shut, whoever comes and goes."""
    counter = BlinkCounter()
    shut: dict[int, bool] = {}
    counts: dict[int, int] = {}
    for frame in frames:
        faces = [two_eyes_of(number, blink=blink) for number, blink in dict(frame).items()]
        started = counter.take(faces)
        expected = [number for number, blink in dict(frame).items() if blink and not shut.get(number, False)]
        assert list(started) == expected
        for number, blink in dict(frame).items():
            shut[number] = blink
            counts[number] = counts.get(number, 0) + (number in expected)
        assert [counter.of(face) for face in faces] == [counts[number] for number in dict(frame)]


def two_eyes_of(number: int, *, blink: bool) -> Face:
    """Return a face with a number, whose eyes are shut or not."""
    return replace(two_eyes(blink=blink), id=number)


def test_blinks_of_a_crowd_take_no_memory() -> None:
    """What is known of faces that are long gone is let go."""
    counter = BlinkCounter()
    for number in range(1000):
        counter.take([two_eyes_of(number, blink=True)])
    assert counter.of(two_eyes_of(0, blink=True)) == 0
    assert counter.of(two_eyes_of(999, blink=True)) == 1
    assert len(counter._counts) == len(counter._shut) == 64
