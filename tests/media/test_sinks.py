"""Pictures, folders, videos and windows to write to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, MediaError
from onepass.media import (
    FolderSink,
    Frame,
    PictureSink,
    VideoSink,
    VideoSource,
    Window,
    open_sink,
    open_source,
    read_picture,
    write_picture,
)

from .clips import flat_pictures, sound_packets, sound_seconds, write_clip

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
av = pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")


def copy(source_path: Path, target: Path) -> list[Frame]:
    """Send a video through a source and a sink, and return what can be read of the result."""
    with open_source(source_path) as source, open_sink(target, source) as sink:
        for frame in source:
            sink.write(frame, frame.picture)
    return list(VideoSource(target))


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
def test_a_video_keeps_its_frames(name: str, tmp_path: Path) -> None:
    """Every frame comes out at its own time, in every container, and no other file is left behind."""
    times = [0.0, 0.04, 0.3, 0.5, 0.9]
    clip = write_clip(tmp_path / "clip.mkv", flat_pictures(5), times=times, sound=None)
    frames = copy(clip, tmp_path / name)
    assert [frame.seconds for frame in frames] == pytest.approx(times, abs=2e-3)
    for frame, picture in zip(frames, flat_pictures(5), strict=True):
        assert np.abs(frame.picture.astype(int) - picture).mean() < 8
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mkv", name}


@pytest.mark.parametrize(
    ("source", "sound", "target"),
    [("a.mp4", "aac", "b.mp4"), ("a.mp4", "aac", "b.mkv"), ("a.avi", "mp3", "b.mp4"), ("a.webm", "libopus", "b.mkv")],
)
def test_sound_is_copied(source: str, sound: str, target: str, tmp_path: Path) -> None:
    """Where the container can hold the sound, its packets are the same bytes."""
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(Path(source).suffix, "libx264")
    clip = write_clip(tmp_path / source, flat_pictures(20), codec=codec, sound=sound)
    copy(clip, tmp_path / target)
    assert sound_packets(tmp_path / target) == sound_packets(clip)


@pytest.mark.parametrize("sound", ["aac", "ac3"])
def test_sound_that_the_container_cannot_hold_is_encoded_anew(sound: str, tmp_path: Path) -> None:
    """WebM, which knows neither, gets Opus of the same length."""
    clip = write_clip(tmp_path / "a.mkv", flat_pictures(20), sound=sound)
    copy(clip, tmp_path / "b.webm")
    with av.open(str(tmp_path / "b.webm")) as container:
        assert container.streams.audio[0].codec_context.name == "opus"
    assert sound_seconds(tmp_path / "b.webm") == pytest.approx(2.0, abs=0.1)


def test_sound_ends_with_the_pictures(tmp_path: Path) -> None:
    """Of a video that was broken off, there is no more sound than there are pictures."""
    clip = write_clip(tmp_path / "a.mp4", flat_pictures(40))
    with open_source(clip) as source, open_sink(tmp_path / "b.mp4", source) as sink:
        for frame in source:
            sink.write(frame, frame.picture)
            if frame.index == 9:
                break
    assert sound_seconds(tmp_path / "b.mp4") == pytest.approx(1.0, abs=0.1)


def test_odd_sizes_are_filled_up(tmp_path: Path) -> None:
    """The last row and column are repeated where the encoder wants an even number; later frames are fitted."""
    pictures = [np.full((47, 63, 3), 90, np.uint8), np.full((20, 30, 3), 90, np.uint8)]
    with VideoSink(tmp_path / "odd.mp4", fps=5) as sink:
        for index, picture in enumerate(pictures):
            sink.write(Frame(picture, index, None, "a"), picture)
    frames = list(VideoSource(tmp_path / "odd.mp4"))
    assert [frame.picture.shape for frame in frames] == [(48, 64, 3)] * 2
    assert [frame.seconds for frame in frames] == [0.0, pytest.approx(0.2)]
    assert abs(int(frames[0].picture[-1, -1, 0]) - 90) < 6


def test_pictures_of_other_shapes_are_not_stretched(tmp_path: Path) -> None:
    """A tall and a small picture after a wide one stand in the middle, as large as they fit, with black beside them."""
    wide, tall, small = (
        np.full((height, width, 3), 200, np.uint8) for height, width in ((60, 120), (120, 60), (6, 12))
    )
    with VideoSink(tmp_path / "a.mp4", fps=5) as sink:
        for index, picture in enumerate((wide, tall, small)):
            sink.write(Frame(picture, index, None, "a"), picture)
    shown = [frame.picture[:, :, 0] > 100 for frame in VideoSource(tmp_path / "a.mp4")]
    assert [picture.shape for picture in shown] == [(60, 120)] * 3
    assert shown[0].all()
    assert shown[2].all()
    columns = np.flatnonzero(shown[1].all(axis=0))
    assert (columns.min(), columns.max()) == (pytest.approx(45, abs=2), pytest.approx(74, abs=2))
    assert not shown[1][:, [0, 30, 90, 119]].any()


def test_grey_pictures_are_written(tmp_path: Path) -> None:
    """A grey picture is a frame like any other, and what is no picture is refused."""
    grey = np.full((48, 64), 120, np.uint8)
    with VideoSink(tmp_path / "a.mp4") as sink:
        sink.write(Frame(grey, 0, None, "a"), grey)
        with pytest.raises(InputError, match="RGB"):
            sink.write(Frame(grey, 1, None, "a"), grey.astype(np.float32))
    (frame,) = VideoSource(tmp_path / "a.mp4")
    assert np.abs(frame.picture.astype(int) - 120).max() < 8


GREEN = (32, 160, 64)  # which BT.601 and BT.709 tell apart by ten


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize(("size", "code"), [((480, 640), 6), ((720, 960), 1), ((600, 1280), 1)])
def test_colours_are_those_that_were_written(size: tuple[int, int], code: int, suffix: str, tmp_path: Path) -> None:
    """HD is BT.709 and says so, what is smaller BT.601; read again, the colours are the same."""
    picture = np.full((*size, 3), GREEN, np.uint8)
    path = tmp_path / f"a{suffix}"
    with VideoSink(path) as sink:
        sink.write(Frame(picture, 0, None, "a"), picture)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (code, code, code)
        assert context.color_range == 1
    (frame,) = VideoSource(path)
    assert np.abs(frame.picture.astype(int) - GREEN).max() <= 4


@pytest.mark.parametrize(("matrix", "tag"), [("ITU709", None), ("ITU709", 1), ("ITU601", 6)])
def test_hd_without_a_word_on_its_colours(matrix: str, tag: int | None, tmp_path: Path) -> None:
    """HD that is not tagged is read as players read it; a tag counts, whatever the size."""
    picture = av.VideoFrame.from_ndarray(np.full((720, 1280, 3), GREEN, np.uint8), format="rgb24")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        yuv = picture.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range="MPEG")
        yuv.colorspace = 2 if tag is None else tag
        container.mux(stream.encode(yuv))
        container.mux(stream.encode())
    (frame,) = VideoSource(tmp_path / "a.mkv")
    assert np.abs(frame.picture.astype(int) - GREEN).max() <= 4


def test_frames_of_one_time_follow_each_other(tmp_path: Path) -> None:
    """Two frames that claim the same time are both kept."""
    picture = flat_pictures(1)[0]
    with VideoSink(tmp_path / "a.mp4") as sink:
        for index in range(3):
            sink.write(Frame(picture, index, 1.0, "a"), picture)
    assert len(list(VideoSource(tmp_path / "a.mp4"))) == 3


def test_an_error_keeps_what_was_written(tmp_path: Path) -> None:
    """A video whose making failed, or was interrupted, can be played up to there."""
    picture = flat_pictures(1)[0]
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "a.mp4", fps=10) as sink:  # noqa: PT012
        for index in range(7):
            sink.write(Frame(picture, index, None, "a"), picture)
        raise KeyboardInterrupt
    assert len(list(VideoSource(tmp_path / "a.mp4"))) == 7


def test_sound_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A video whose sound is to be kept and that is none is refused at once, and nothing is left behind."""
    (tmp_path / "page.mp4").write_text("<html>404</html>")
    with pytest.raises(MediaError, match=r"cannot read the sound of .*page\.mp4"):
        VideoSink(tmp_path / "a.mp4", sound_of=tmp_path / "page.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["page.mp4"]


def test_no_frame_no_video(tmp_path: Path) -> None:
    """A video without a frame is not left behind, and does not take the place of another."""
    (tmp_path / "a.mp4").write_bytes(b"as it was")
    with VideoSink(tmp_path / "a.mp4") as sink:
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"as it was"


_KILLED = """
import os, sys
import numpy as np
from onepass.media import Frame, VideoSink
sink = VideoSink(sys.argv[1], fps=10)
picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
for index in range(60):
    sink.write(Frame(picture, index, None, "a"), np.roll(picture, index, 1))
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's way to kill")
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_killed_process_leaves_a_video(suffix: str, tmp_path: Path) -> None:
    """After a kill the video that stood there still does, and the hidden one holds all but the last seconds."""
    (tmp_path / f"a{suffix}").write_bytes(b"as it was")
    subprocess.run([sys.executable, "-c", _KILLED, tmp_path / f"a{suffix}"], check=False, timeout=60)
    assert (tmp_path / f"a{suffix}").read_bytes() == b"as it was"
    (hidden,) = tmp_path.glob(f".a.*{suffix}")
    assert len(list(VideoSource(hidden))) >= 25


_FILL = """
import resource, signal, sys
import numpy as np
from onepass import InputError, MediaError
from onepass.media import Frame, VideoSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
rng = np.random.default_rng(0)
try:
    with VideoSink(sys.argv[1], fps=10) as sink:
        for index in range(400):
            picture = rng.integers(0, 256, (240, 320, 3), np.uint8)
            sink.write(Frame(picture, index, None, "a"), picture)
except MediaError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
@pytest.mark.parametrize("name", ["full.mp4", "full.mkv"])
def test_a_full_disk_keeps_what_was_written(name: str, tmp_path: Path) -> None:
    """When no more can be written the error says so, and what there is can be played."""
    result = subprocess.run(
        [sys.executable, "-c", _FILL, tmp_path / name], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"cannot write {tmp_path / name}: File too large" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(list(VideoSource(tmp_path / name))) >= 1


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Unknown endings, missing folders, the source itself, and one picture for many frames are refused."""
    write_picture(tmp_path / "a.png", flat_pictures(1)[0])
    write_picture(tmp_path / "b.png", flat_pictures(1)[0])
    with open_source(tmp_path) as folder:
        for target, message in {
            "x.txt": r"unknown suffix; use one of \.jpg",
            "x.png": r"can hold only one picture",
            "nowhere/x.mp4": r"cannot write .*: No such file",
            ".": r"is the source itself",
            "a.png/out": r"cannot create the folder",
        }.items():
            with pytest.raises(MediaError, match=message):
                open_sink(tmp_path / target, folder)
    with pytest.raises(MediaError, match="unknown video format"):
        VideoSink(tmp_path / "a.txt")


def test_a_picture_goes_into_a_file(tmp_path: Path) -> None:
    """One picture is written under the name that was asked for; a second one is refused."""
    picture = flat_pictures(1)[0]
    write_picture(tmp_path / "a.png", picture)
    with open_source(tmp_path / "a.png") as source, open_sink(tmp_path / "b.png", source) as sink:
        assert isinstance(sink, PictureSink)
        sink.write(Frame(picture, 0, None, "a.png"), picture)
        with pytest.raises(MediaError, match="only one picture"):
            sink.write(Frame(picture, 1, None, "a.png"), picture)
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png"), picture)


def test_a_picture_is_never_written_over_itself(tmp_path: Path) -> None:
    """A picture's own folder is refused, where it would take the picture's place; a folder beside it is not."""
    write_picture(tmp_path / "a.png", flat_pictures(1)[0])
    source = open_source(tmp_path / "a.png")
    with pytest.raises(MediaError, match=r"would overwrite the source a\.png"):
        open_sink(tmp_path, source)
    assert isinstance(open_sink(tmp_path / "out", source), FolderSink)


def test_pictures_go_into_a_folder(tmp_path: Path) -> None:
    """A folder is made, and each picture written under its name; what can only be read becomes PNG."""
    picture = flat_pictures(1)[0]
    with FolderSink(tmp_path / "out" / "deep") as sink:
        for index, name in enumerate(("a.jpg", "b.PNG", "c.heic")):
            sink.write(Frame(picture, index, None, name), picture)
    assert sorted(path.name for path in (tmp_path / "out" / "deep").iterdir()) == ["a.jpg", "b.PNG", "c.heic.png"]


def test_pictures_of_one_name_are_all_written(tmp_path: Path) -> None:
    """Names that are one, to this system or another, or become one, get a number; a second run has the same names."""
    picture = flat_pictures(1)[0]
    for _ in range(2):
        with FolderSink(tmp_path) as sink:
            for index, name in enumerate(("c.heic", "c.heic.png", "a.png", "A.PNG", "a.png", "a~2.png")):
                sink.write(Frame(picture, index, None, name), picture)
    names = ["A~2.PNG", "a.png", "a~2~2.png", "a~3.png", "c.heic.png", "c.heic~2.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


# ---- windows -------------------------------------------------------------------------------------------------------


class Screen:
    """Stands in for OpenCV's windows: what is shown, and which keys are pressed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, keys: list[int]) -> None:
        self.shown: list[np.ndarray[Any, Any]] = []
        self.calls: list[str] = []
        self.visible = 1.0
        monkeypatch.setenv("DISPLAY", ":99")
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: self.calls.append("open"))
        monkeypatch.setattr(cv2, "imshow", lambda _, picture: self.shown.append(picture))
        monkeypatch.setattr(cv2, "waitKey", lambda _: keys.pop(0))
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "setWindowProperty", lambda *_: self.calls.append("fullscreen"))
        monkeypatch.setattr(cv2, "moveWindow", lambda _, x, y: self.calls.append(f"to {x}, {y}"))
        monkeypatch.setattr(cv2, "destroyAllWindows", lambda: self.calls.append("close"))


def test_a_window_shows_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are shown in their colours; q, Escape and the close button end it."""
    screen = Screen(monkeypatch, [-1, ord("x"), ord("q"), 27, -1])
    with Window("a", fullscreen=True) as window:
        picture = flat_pictures(1)[0]
        assert window.show(picture)
        assert window.show(picture)
        assert not window.show(picture)
        assert not window.show(picture)
        screen.visible = 0
        assert not window.show(picture)
    assert screen.shown[0][0, 0].tolist() == [0, 0, 255]
    assert screen.calls == ["open", "fullscreen", "close"]


def test_a_window_may_be_on_another_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is moved there before it takes the whole screen, which is then that one."""
    screen = Screen(monkeypatch, [])
    with Window("a", fullscreen=True, at_px=(-1920, 40)):
        pass
    assert screen.calls == ["open", "to -1920, 40", "fullscreen", "close"]


@pytest.mark.parametrize("mirror", [False, True])
def test_a_window_may_be_a_mirror(mirror: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was on the left is then on the right; the picture itself stays as it is."""
    screen = Screen(monkeypatch, [-1])
    picture = flat_pictures(1)[0]
    with Window("a", mirror=mirror) as window:
        window.show(picture)
    np.testing.assert_array_equal(screen.shown[0][:, :: -1 if mirror else 1, ::-1], flat_pictures(1)[0])
    np.testing.assert_array_equal(picture, flat_pictures(1)[0])


def test_a_window_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that stands still is shown until a key is pressed, or it need not be shown any more."""
    keys = [-1, -1, ord(" "), -1, -1]
    Screen(monkeypatch, keys)
    with Window("a") as window:
        assert window.show(flat_pictures(1)[0], hold=lambda: True)
        assert keys == [-1, -1]
        assert window.show(flat_pictures(1)[0], hold=lambda: len(keys) > 0)
    assert keys == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux names its display in the environment")
def test_no_display_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no display, the error says so instead of letting Qt end the program."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(MediaError, match="no display found"):
        Window("a")


def test_an_opencv_without_windows_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The headless OpenCV, which the extra installs, names the one that has windows."""
    monkeypatch.setenv("DISPLAY", ":99")

    def refuse(*arguments: Any) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(MediaError, match=r"pip install 'opencv-python>=4\.8,<5'"):
        Window("a")
