"""Pictures, folders, videos, cameras and streams as sources of frames."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, MediaError
from onepass.media import (
    CameraSource,
    FolderSource,
    Frame,
    PictureSource,
    VideoSource,
    open_source,
    write_picture,
)

from .clips import flat_pictures, write_clip

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
av = pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty frames in two seconds, with sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", flat_pictures(20))


def brightness(frame: Frame) -> float:
    """Return the mean of the right half, which has no red corner."""
    return float(frame.picture[:, frame.picture.shape[1] // 2 :].mean())


def red_corner(picture: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Return in which corner the red is: row and column, each 0 or -1."""
    (corner,) = [(y, x) for y in (0, -1) for x in (0, -1) if int(picture[y, x, 0]) - int(picture[y, x, 1]) > 100]
    return corner


# ---- frames --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "seconds"), [(-1, 0.0), (0, float("nan")), (0, float("inf"))])
def test_frames_are_checked(index: int, seconds: float) -> None:
    """A frame counts from 0 and has a finite time, or none."""
    with pytest.raises(InputError, match="a frame's"):
        Frame(np.zeros((2, 2, 3), np.uint8), index, seconds, "a")
    assert repr(Frame(np.zeros((2, 3, 3), np.uint8), 4, None, "a.png")) == (
        "Frame([2, 3, 3], index=4, seconds=None, name='a.png')"
    )


# ---- pictures and folders ------------------------------------------------------------------------------------------


def test_a_picture_is_one_frame(tmp_path: Path) -> None:
    """A picture file gives one frame without a time, under its own name."""
    write_picture(tmp_path / "face.png", flat_pictures(1)[0])
    with open_source(tmp_path / "face.png") as source:
        assert isinstance(source, PictureSource)
        (frame,) = source
    assert (frame.index, frame.seconds, frame.name, source.frame_count) == (0, None, "face.png", 1)
    assert not source.live
    assert not source.sequence
    np.testing.assert_array_equal(frame.picture, flat_pictures(1)[0])


def test_a_folder_gives_its_pictures_in_order(tmp_path: Path) -> None:
    """Pictures come by name with numbers by value; what is no picture, or a damaged one, is skipped and named."""
    for name, picture in zip(("b10.png", "b9.jpg", "a.png"), flat_pictures(3), strict=True):
        write_picture(tmp_path / name, picture)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden").write_text("hello")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "more").mkdir()
    source = open_source(tmp_path)
    assert isinstance(source, FolderSource)
    frames = list(source)
    assert [frame.name for frame in frames] == ["a.png", "b9.jpg", "b10.png"]
    assert source.frame_count == 4
    assert len(source.notes) == 2
    assert any("notes.txt is not a picture" in note for note in source.notes)
    assert any("cut.png is not a readable picture" in note for note in source.notes)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """A folder in which there is nothing to see says how much else there is; one that is missing is named."""
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(MediaError, match=r"contains no picture, only 1 other"):
        FolderSource(tmp_path)
    with pytest.raises(MediaError, match=r"folder .* not found"):
        FolderSource(tmp_path / "missing")
    write_picture(tmp_path / "a.png", flat_pictures(1)[0])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    with pytest.raises(MediaError, match=r"none of the 1 picture\(s\)"):
        list(FolderSource(tmp_path))


def test_huge_pictures_are_read(tmp_path: Path) -> None:
    """Fifty megapixels are a picture like any other."""
    cv2.imwrite(str(tmp_path / "huge.jpg"), np.full((6000, 8400), 128, np.uint8))
    (frame,) = open_source(tmp_path / "huge.jpg")
    assert frame.picture.shape == (6000, 8400, 3)


# ---- videos --------------------------------------------------------------------------------------------------------


def test_a_video_gives_every_frame(clip: Path) -> None:
    """A video gives all frames in order, with their times, and knows its rate and length."""
    with open_source(clip) as source:
        assert isinstance(source, VideoSource)
        frames = list(source)
    assert (source.fps, source.frame_count, source.sequence, source.live, source.notes) == (10, 20, True, False, [])
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx([index / 10 for index in range(20)])
    for frame, picture in zip(frames, flat_pictures(20), strict=True):
        assert brightness(frame) == pytest.approx(picture[-1, -1, 0], abs=4)
        assert red_corner(frame.picture) == (0, 0)


def test_uneven_frame_times_are_true(tmp_path: Path) -> None:
    """Frames of a video without a fixed rate keep the times at which they were taken."""
    times = [0.0, 0.04, 0.3, 0.31, 0.9]
    path = write_clip(tmp_path / "uneven.mkv", flat_pictures(5), times=times, sound=None)
    assert [frame.seconds for frame in VideoSource(path)] == pytest.approx(times, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [("a.avi", "mpeg4", "mp3"), ("a.mov", "mjpeg", "pcm_s16le"), ("a.webm", "libvpx-vp9", "libopus"),
     ("a.mkv", "ffv1", "flac"), ("a.ts", "mpeg2video", "mp2"), ("a.gif", "gif", None)],
)  # fmt: skip
def test_odd_codecs(name: str, codec: str, sound: str | None, tmp_path: Path) -> None:
    """Whatever FFmpeg decodes is a video, an animated GIF as well."""
    if codec in ("mjpeg", "gif"):
        path = tmp_path / name
        options = {"pix_fmt": "yuvj420p" if codec == "mjpeg" else "rgb8"}
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width, stream.pix_fmt = 48, 64, options["pix_fmt"]
            for picture in flat_pictures(6):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    else:
        path = write_clip(tmp_path / name, flat_pictures(6), fps=25, codec=codec, sound=sound)
    with open_source(path) as source:
        frames = list(source)
    assert isinstance(source, VideoSource)
    assert len(frames) == 6
    assert brightness(frames[5]) == pytest.approx(flat_pictures(6)[5][-1, -1, 0], abs=25)


@pytest.mark.parametrize(("rotation_deg", "corner"), [(90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))])
def test_videos_stand_upright(rotation_deg: int, corner: tuple[int, int], tmp_path: Path) -> None:
    """A telephone's note of how it was held is applied, as OpenCV applies it."""
    path = write_clip(tmp_path / "phone.mp4", flat_pictures(3), rotation_deg=rotation_deg)
    frame = next(iter(VideoSource(path)))
    there, theirs = cv2.VideoCapture(str(path)).read()
    assert there
    assert frame.picture.shape == theirs.shape
    assert red_corner(frame.picture) == red_corner(theirs[:, :, ::-1]) == corner


Matrix = tuple[float, float, float, float]
Way = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
MATRICES: dict[str, tuple[Matrix, Way]] = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "a quarter clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "half a turn": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "a quarter counterclockwise": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transposed and turned": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
    "askew": ((0.17, 0.98, -0.98, 0.17), lambda p: np.rot90(p, -1)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_mirrored_videos_are_seen_as_they_are_meant(name: str, clip: Path, tmp_path: Path) -> None:
    """Whatever a file's display matrix does, turn or mirror, is done, as a telephone's selfies need it."""
    (a, b, c, d), right = MATRICES[name]
    data = bytearray(clip.read_bytes())
    place = data.index(b"tkhd") + 44
    entries = [round(65536 * value) for value in (a, b, 0, c, d, 0, 0, 0)]
    data[place : place + 36] = struct.pack(">9i", *entries, 1 << 30)
    (tmp_path / "phone.mp4").write_bytes(data)
    plain, seen = (next(iter(VideoSource(path))).picture for path in (clip, tmp_path / "phone.mp4"))
    np.testing.assert_array_equal(seen, right(plain))


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    """A picture that is stored narrow comes as wide as it is meant to be shown."""
    path = tmp_path / "narrow.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        container.mux(stream.encode(av.VideoFrame.from_ndarray(flat_pictures(1)[0], format="rgb24")))
        container.mux(stream.encode())
    assert next(iter(VideoSource(path))).picture.shape == (48, 128, 3)


def test_a_video_cut_short_gives_what_is_left(tmp_path: Path) -> None:
    """Frames before the cut are read, and the notes say how much is missing."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(40)]
    whole = write_clip(tmp_path / "whole.mkv", noise, codec="mpeg4", sound=None)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoSource(cut) as source:
        frames = list(source)
    assert 5 < len(frames) < 35
    (note,) = [note for note in source.notes if "ends early" in note]
    assert f"of 4.0 s ({len(frames)} frames)" in note


HALVES = [
    ("a.avi", "mpeg4", "mp3"),
    ("b.avi", "libx264", None),
    ("a.wmv", "wmv2", "wmav2"),
    ("a.mpg", "mpeg1video", "mp2"),
    ("a.vob", "mpeg2video", "ac3"),
    ("a.flv", "flv1", None),
]


@pytest.mark.parametrize(("name", "codec", "sound"), HALVES)
def test_half_a_video_is_told(name: str, codec: str, sound: str | None, tmp_path: Path) -> None:
    """A whole file has nothing to say; of one that ends in the middle, the notes do."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(50)]
    path = write_clip(tmp_path / name, noise, codec=codec, sound=sound, fps=25)
    with VideoSource(path) as source:
        assert len(list(source)) == 50
    assert source.notes == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    with VideoSource(path) as source:
        frames = list(source)
    assert 10 < len(frames) < 45
    assert any("ends early" in note or "ends in the middle of a frame" in note for note in source.notes)


def test_the_picture_of_an_album_is_no_video(tmp_path: Path) -> None:
    """Music with a cover is told to be no video; a cover beside a video is not taken for it."""
    for name, video in {"song.m4a": False, "clip.mp4": True}.items():
        with av.open(str(tmp_path / name), "w", format="mp4") as container:
            cover: Any = container.add_stream("mjpeg", rate=1)
            cover.height, cover.width, cover.pix_fmt = 48, 64, "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            stream: Any = container.add_stream("libx264" if video else "aac", rate=10 if video else 48_000)
            if video:
                stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
                pictures = [av.VideoFrame.from_ndarray(p, format="rgb24") for p in flat_pictures(5, (96, 128))]
            else:
                pictures = [av.AudioFrame.from_ndarray(np.zeros((2, 48_000), np.float32), "fltp", "stereo")]
                pictures[0].sample_rate = 48_000
            container.mux(cover.encode(av.VideoFrame.from_ndarray(flat_pictures(1)[0], format="rgb24")))
            for picture in pictures:
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    with pytest.raises(MediaError, match=r"song\.m4a contains no video, only sound, data or an album cover"):
        open_source(tmp_path / "song.m4a")
    assert [frame.picture.shape for frame in open_source(tmp_path / "clip.mp4")] == [(96, 128, 3)] * 5


def test_damaged_parts_are_passed_over(tmp_path: Path) -> None:
    """A hole in the middle costs the frames in it, not those behind it."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(40)]
    path = write_clip(tmp_path / "hole.mp4", noise, codec="mpeg4", sound=None)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    with VideoSource(path) as source:
        frames = list(source)
    assert len(frames) >= 30
    assert any("damaged part(s) of" in note for note in source.notes)


def test_what_is_no_video_is_named(tmp_path: Path, clip: Path) -> None:
    """A missing file, one of another kind, one without its index and one with sound only are told apart."""
    (tmp_path / "page.mp4").write_text("<html>404</html>")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "half.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        stream: Any = container.add_stream("aac", rate=48_000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        tone.sample_rate = 48_000
        container.mux(stream.encode(tone))
        container.mux(stream.encode())
    for name, message in {
        "missing.mp4": r"file or folder .*missing.* not found .*a camera such as camera:0",
        "page.mp4": r"page\.mp4 \(16 bytes\) is neither a readable picture nor a readable video",
        "empty.mp4": r"empty\.mp4 \(0 bytes\) is neither",
        "half.mp4": r"half\.mp4 .* is neither .*a copy or download was interrupted",
        "song.m4a": r"song\.m4a contains no video, only sound",
    }.items():
        with pytest.raises(MediaError, match=message):
            open_source(tmp_path / name)
    with pytest.raises(MediaError, match=r"file .* not found"):
        VideoSource(tmp_path / "missing.mp4")


# ---- cameras -------------------------------------------------------------------------------------------------------


class Capture:
    """Stands in for OpenCV's capture of a camera that gives some frames and is then unplugged."""

    # ruff: noqa: D102, N802 - the methods are OpenCV's and Python's

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.settings: dict[int, float] = {}
        self.released = False

    def isOpened(self) -> bool:
        return True

    def set(self, name: int, value: float) -> None:
        self.settings[name] = value

    def get(self, name: int) -> float:
        return self.settings.get(name, -1.0 if name == cv2.CAP_PROP_FRAME_COUNT else 0.0)

    def read(self) -> tuple[bool, Any]:
        self.frames -= 1
        return (True, np.full((4, 6, 3), (0, 0, 255), np.uint8)) if self.frames >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_a_camera_gives_frames_until_it_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are RGB and timed from the first; when they end, the error says after how many."""
    capture = Capture(3)
    monkeypatch.setattr(cv2, "VideoCapture", lambda device: capture)
    ticks = iter([100.0, 100.5, 102.0])
    frames: list[Frame] = []
    with CameraSource(1, fps=15, clock=lambda: next(ticks)) as source:
        assert (source.name, source.fps, source.live, source.sequence) == ("camera:1", 15, True, True)
        with pytest.raises(MediaError, match=r"camera:1 stopped after 3 frames; check that it is connected"):
            frames.extend(source)
    assert [(frame.index, frame.seconds) for frame in frames] == [(0, 0.0), (1, 0.5), (2, 2.0)]
    assert frames[0].picture[0, 0].tolist() == [255, 0, 0]
    assert capture.released


def test_a_camera_that_never_gives_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed camera, which opens but shows nothing, is named; so is one whose driver fails."""
    monkeypatch.setattr(cv2, "VideoCapture", lambda device: Capture(0))
    with pytest.raises(MediaError, match="camera:0 delivered no frame"):
        list(CameraSource())

    class Failing(Capture):
        def read(self) -> tuple[bool, Any]:
            raise cv2.error("ioctl")

    monkeypatch.setattr(cv2, "VideoCapture", lambda device: Failing(1))
    with pytest.raises(MediaError, match="failed after 0 frames: ioctl"):
        list(CameraSource())


def test_a_missing_camera_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """A camera that is not there says what to look at, without OpenCV's own noise."""
    with pytest.raises(MediaError, match=r"cannot open camera:97. Check that it is connected"):
        open_source("camera:97")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("device", "fps"), [(-1, None), (0, 0.0), (0, float("nan"))])
def test_cameras_that_cannot_be_meant(device: int, fps: float | None) -> None:
    """A negative number, or no rate at all, is refused before a camera is touched."""
    with pytest.raises(InputError):
        CameraSource(device, fps=fps)


def test_a_file_plays_the_camera(clip: Path) -> None:
    """A video given as a camera is live, and ends without an error."""
    with open_source(f"camera:{clip}") as source:
        assert isinstance(source, CameraSource)
        assert len(list(source)) == 20
    assert source.live
