"""Sessions of a calibration: on which screen they are, and how one that was broken off goes on."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError, MediaError, MissingExtraError, Session
from onepass.cli import gaze_calibrate
from onepass.gaze import Box, Calibration, FoundFace, GazeEstimator, Recording, Screen, calibrate, record
from onepass.gaze.screen.connected import connected_screens, screen_from_text
from onepass.gaze.screen.unfinished import Setup, load_unfinished, save_unfinished, unfinished_path
from onepass.media import Frame
from tests.cli.shell import Shell

from .test_calibration import Camera, Person

SCREEN = Screen(480, 270)
SETUP = Setup("camera:0", SCREEN, 9, "elg.onnx 0123", "closed", "mesh")


# ---- screens -------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Two screens side by side, as mss lists them after the desktop that they share, and a third above them."""
    mss = pytest.importorskip("mss")
    monitors: list[dict[str, Any]] = [
        {"left": -1920, "top": -1080, "width": 4480, "height": 2520},
        {"left": 0, "top": 0, "width": 2560, "height": 1440, "is_primary": True, "output": "DP-1", "name": "DELL"},
        {"left": -1920, "top": 0, "width": 1920, "height": 1080, "name": "Beamer"},
        {"left": 0, "top": -1080, "width": 1920, "height": 1080},
    ]
    monkeypatch.setattr(mss, "MSS", lambda: nullcontext(SimpleNamespace(monitors=monitors)))
    return monitors


@pytest.mark.parametrize(
    ("text", "screen"),
    [
        ("1920x1080", Screen(1920, 1080)),
        ("1920X1080", Screen(1920, 1080)),
        ("2560,-40,1920x1080", Screen(1920, 1080, place_px=(2560, -40))),
        ("1", Screen(2560, 1440, place_px=(0, 0), name="DP-1")),
        ("DP-1", Screen(2560, 1440, place_px=(0, 0), name="DP-1")),
        ("Beamer", Screen(1920, 1080, place_px=(-1920, 0), name="Beamer")),
        ("3", Screen(1920, 1080, place_px=(0, -1080))),
    ],
)
@pytest.mark.usefixtures("desk")
def test_a_screen_is_meant_by_size_place_number_or_name(text: str, screen: Screen) -> None:
    """Each way of saying it gives the screen with its size, and its place on the desktop where that is known."""
    assert screen_from_text(text) == screen


@pytest.mark.parametrize("text", ["0", "4", "dp", "HDMI-1", "", "1920", "1920x", "-1x5", "1,2x3", "١x٢"])
@pytest.mark.usefixtures("desk")
def test_screens_that_are_not_there_are_refused(text: str) -> None:
    """The message lists what is connected, with numbers, names, places and sizes."""
    with pytest.raises(InputError, match=r"1: DP-1, 0,0,2560x1440; 2: Beamer, -1920,0,1920x1080; 3: no name, 0,-1080"):
        screen_from_text(text)


def test_two_screens_of_one_name_need_a_number(desk: list[dict[str, Any]]) -> None:
    """A name that two screens have is refused, and their numbers are said."""
    desk[1] = {**desk[1], "output": "Beamer"}
    with pytest.raises(InputError, match=r"several screens are named 'Beamer'.*1: Beamer"):
        screen_from_text("Beamer")
    assert screen_from_text("1").width_px == 2560


def test_without_a_display_the_size_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system, asked for real, shows no screens, the error says so; a screen's size needs no asking."""
    mss = pytest.importorskip("mss")

    def refuse() -> None:
        raise mss.ScreenShotError("cannot connect")

    monkeypatch.setattr(mss, "MSS", refuse)
    with pytest.raises(MediaError, match=r"cannot list the connected screens \(cannot connect\); specify .* 1920x1080"):
        connected_screens()
    assert screen_from_text("640x480") == Screen(640, 480)
    with pytest.raises(InputError, match="width_px"):
        screen_from_text("0x480")


def test_without_mss_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number needs mss, and the message says what to install, and what does without."""
    monkeypatch.setitem(__import__("sys").modules, "mss", None)
    with pytest.raises(MissingExtraError, match=r"instead of its size \(1920x1080\).*pip install .*mss>="):
        screen_from_text("2")
    assert screen_from_text("0,0,640x480").place_px == (0, 0)


@pytest.mark.parametrize("place", [(float("nan"), 0), (0, float("inf"))])
def test_places_are_finite(place: tuple[Any, Any]) -> None:
    """A screen that lies nowhere is none."""
    with pytest.raises(InputError, match="place_px"):
        Screen(640, 480, place_px=place)


def test_a_calibration_keeps_its_screen(tmp_path: Path) -> None:
    """Name and place on the desktop are in the file, and points are the screen's own wherever it is."""
    screen = Screen(1920, 1080, place_px=(2560, -40), name="DP-2")
    samples, targets = Person().session(5)
    calibrate(samples, targets, screen).save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json").screen == screen
    np.testing.assert_array_equal(screen.points(5), Screen(1920, 1080).points(5))
    # Files of before know neither.
    content = json.loads((tmp_path / "c.json").read_text())
    del content["screen"]["place_px"], content["screen"]["name"]
    (tmp_path / "c.json").write_text(json.dumps(content))
    assert Calibration.load(tmp_path / "c.json").screen == Screen(1920, 1080)


# ---- sessions ------------------------------------------------------------------------------------------------------


def broken_off(pictures: int) -> Recording:
    """Return what was kept of a session that was stopped after so many pictures."""
    camera, kept = Camera(SCREEN), [Recording.empty()]
    camera.stop_after = pictures
    with pytest.raises(InputError, match="stopped"):
        record(camera.frames(), camera.track, SCREEN, camera.show, keep=kept.append)
    return kept[-1]


@pytest.mark.parametrize("pictures", [1, 60, 195])
def test_a_session_goes_on_where_it_broke_off(pictures: int) -> None:
    """Whenever it is stopped: points that were finished are kept and not shown again, the others are."""
    before = broken_off(pictures)
    done = len(np.unique(before.targets_px, axis=0))
    camera = Camera(SCREEN)
    after = record(camera.frames(), camera.track, SCREEN, camera.show, done=before)
    assert after.samples[: len(before.samples)] == before.samples
    assert len(np.unique(after.targets_px, axis=0)) == 9
    dots = {tuple(np.argwhere((shown == 255).all(axis=2)).mean(axis=0).round()) for shown in camera.shown}
    assert len(dots) == 9 - done


def test_a_session_that_is_whole_shows_nothing_more() -> None:
    """Where all points were recorded, no frame is read and nothing is shown."""
    camera = Camera(SCREEN)
    whole = record(camera.frames(), camera.track, SCREEN, camera.show)
    assert record(iter(()), camera.track, SCREEN, lambda _: pytest.fail("shown"), done=whole) is whole


def test_a_camera_that_shows_something_else_is_refused_at_once() -> None:
    """Pictures of another shape than before belong to no session that was begun, and that is said before its end."""
    before = broken_off(100)
    frames = (Frame(np.zeros((9, 16, 3), np.uint8), index, index / 10, "") for index in range(400))
    camera = Camera(SCREEN)
    with pytest.raises(InputError, match="pictures of 4 x 4, but this one is 16 x 9"):
        record(frames, camera.track, SCREEN, camera.show, done=before)
    assert len(camera.shown) == 1


@given(st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_what_is_kept_survives_its_file(head: bool, place: bool, seed: int) -> None:
    """Numbers come back as they were, so that points are known again."""
    samples, targets = Person(head=head, noise_deg=1, seed=seed).session(5, each=2)
    samples = [sample if place else replace(sample, eyes_px=None, eye_distance_px=None) for sample in samples]
    recording = Recording(tuple(samples[:6]), targets[:6])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.unfinished.json")
        save_unfinished(path, SETUP, recording)
        back = load_unfinished(path, SETUP)
    np.testing.assert_array_equal(back.targets_px, recording.targets_px)
    assert [sample.eyes_px for sample in back.samples] == [sample.eyes_px for sample in recording.samples]
    np.testing.assert_allclose(np.array(back.rows, float), np.array(recording.rows, float), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "camera:1"}, "source='camera:0', not 'camera:1'"),
        ({"screen": Screen(640, 480)}, "screen='480x270', not '640x480'"),
        ({"screen": Screen(480, 270, place_px=(5, 0))}, "screen='480x270', not '5,0,480x270'"),
        ({"points": 5}, "points=9, not 5"),
        ({"model": "elg.onnx 4567"}, "model='elg.onnx 0123', not 'elg.onnx 4567'"),
        ({"gaze": "fit"}, "gaze='closed', not 'fit'"),
        ({"finder": "cascades", "points": 5}, "points=9, not 5; finder='mesh', not 'cascades'"),
    ],
    ids=["source", "size", "place", "points", "model", "gaze", "two"],
)
def test_another_session_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """What differs from the session that was begun is told, with both values."""
    save_unfinished(tmp_path / "s.json", SETUP, Recording.empty())
    with pytest.raises(InputError) as caught:
        load_unfinished(tmp_path / "s.json", replace(SETUP, **change))
    assert f"was recorded with {said}. Use the same set-up, or start a new session" in str(caught.value)


def test_a_screen_that_was_measured_meanwhile_is_the_same(tmp_path: Path) -> None:
    """How wide and how far away it is may be told later."""
    save_unfinished(tmp_path / "s.json", SETUP, Recording.empty())
    measured = replace(SETUP, screen=replace(SCREEN, width_mm=520.0, distance_mm=600.0))
    assert load_unfinished(tmp_path / "s.json", measured).samples == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no session to resume"),
        ("{", "is not a session of format 1"),
        ('{"format": 2}', "its format is 2"),
        ('{"format": 1, "setup": {}}', "screen"),
        ("[]", "is not a session"),
    ],
    ids=["none", "half", "newer", "empty", "list"],
)
def test_damaged_sessions_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    """A file that is not there or not whole is refused by name, with what to do."""
    if text is not None:
        (tmp_path / "s.json").write_text(text)
    with pytest.raises(InputError, match=rf"{message}.*start a new session"):
        load_unfinished(tmp_path / "s.json", SETUP)


@pytest.mark.parametrize("row", [[1, 2, 3], [1, 2, None, 4, *[None] * 8], [1, 2, "x", 4, *[None] * 8]])
def test_rows_that_are_none_are_refused(row: list[Any], tmp_path: Path) -> None:
    """A row that is too short, has a hole or holds text is told."""
    save_unfinished(tmp_path / "s.json", SETUP, Recording.empty())
    content = json.loads((tmp_path / "s.json").read_text())
    content["rows"] = [row]
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not a session of format 1"):
        load_unfinished(tmp_path / "s.json", SETUP)


# ---- the command ---------------------------------------------------------------------------------------------------


class Desk:
    """Stands in for camera and window: how many pictures until Escape, and where the window was opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
        pytest.importorskip("cv2")
        self.pictures_left = 10**9
        self.windows: list[dict[str, Any]] = []
        found = FoundFace.from_eye_centres(Box(50, 50, 80, 80), right=(70, 80), left=(110, 84))
        self.finder = Seeing(found)
        monkeypatch.setattr(gaze_calibrate, "open_source", lambda source: nullcontext(self._frames()))
        monkeypatch.setattr(gaze_calibrate, "Window", self._window)
        monkeypatch.setattr(
            GazeEstimator, "from_default", lambda *model, **options: GazeEstimator(session, self.finder)
        )

    def _frames(self) -> Iterator[Frame]:
        for index in range(400):
            yield Frame(np.zeros((200, 200, 3), np.uint8), index, index / 10, "")

    def _window(self, title: str, **options: Any) -> Any:
        self.windows.append(options)
        return nullcontext(SimpleNamespace(show=self._show))

    def _show(self, picture: np.ndarray[Any, Any]) -> bool:
        self.pictures_left -= 1
        return self.pictures_left > 0


class Seeing:
    """A finder that always sees the same face."""

    name = "always"

    def __init__(self, found: FoundFace) -> None:
        self.found = found

    def __call__(self, grey: Any, /) -> list[FoundFace]:
        """Return it."""
        return [self.found]


def test_a_session_is_broken_off_and_goes_on(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape keeps the points that were looked at and says how to go on; --resume shows the rest, and tidies up."""
    desk, shell, out = Desk(monkeypatch, session), Shell(capsys), tmp_path / "c.json"
    given = ["gaze", "calibrate", "camera:0", "-o", out, "--screen", "2560,0,480x270", "--points", 5]
    assert "no session to resume" in shell.fails(*given, "--resume")
    desk.pictures_left = 60
    said = shell.fails(*given)
    kept = unfinished_path(out)
    assert f"2 of 5 points saved in {kept}; --resume continues with the others" in said
    assert "stopped before its last point" in said
    assert not out.exists()
    other = shell.fails(*given[:-4], "--screen", "480x270", "--points", 9, "--finder", "cascades", "--resume")
    assert "--screen 2560,0,480x270, not '480x270'; --points 5, not 9. Use the same set-up" in other
    assert "without --resume" in other
    desk.pictures_left = 10**9
    status, said, notes = shell.run(*given, "--resume")
    assert (status, notes) == (0, f"continuing {kept}: 3 of 5 points remaining\n")
    assert "5 points" in said
    assert Calibration.load(out).screen.place_px == (2560, 0)
    assert {window["at_px"] for window in desk.windows} == {(2560, 0)}
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_ctrl_c_keeps_points_too(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However a session ends early, what was recorded is there; and where nothing was, nothing is promised."""
    desk, shell = Desk(monkeypatch, session), Shell(capsys)
    given = ["gaze", "calibrate", "camera:0", "-o", tmp_path / "c.json", "--screen", "480x270"]

    def interrupt(picture: np.ndarray[Any, Any]) -> bool:
        desk.pictures_left -= 1
        if desk.pictures_left < 0:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(desk, "_show", interrupt)
    desk.pictures_left = 10
    assert "kept" not in shell.run(*given)[2]
    assert list(tmp_path.iterdir()) == []
    desk.pictures_left = 30
    assert "1 of 9 points saved" in shell.run(*given)[2]
    assert {window["at_px"] for window in desk.windows} == {None}
    # A session that is begun anew takes the place of the old one with its first point.
    desk.pictures_left = 80
    assert "3 of 9 points saved" in shell.run(*given)[2]


def test_a_whole_session_needs_no_camera(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where only writing failed, --resume makes the calibration without showing anything again."""
    desk, shell, out = Desk(monkeypatch, session), Shell(capsys), tmp_path / "c.json"
    given = ["gaze", "calibrate", "camera:0", "-o", out, "--screen", "480x270", "--points", 5]
    with monkeypatch.context() as full:
        full.setattr(Calibration, "save", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        assert shell.run(*given)[0] != 0
    assert unfinished_path(out).exists()
    before = len(desk.windows)
    assert shell.run(*given, "--resume")[0] == 0
    assert len(desk.windows) == before
    assert Calibration.load(out).points == 5
