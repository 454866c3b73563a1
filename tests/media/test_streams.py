"""Streams and files behind URLs, and what comes through pipes."""

from __future__ import annotations

import http.server
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, MediaError
from onepass.media import Frame, PictureSource, VideoSource, open_sink, open_source, read_picture, video, write_picture

from .clips import flat_pictures, write_clip

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
av = pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty frames in two seconds, with sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", flat_pictures(20))


# ---- streams -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(clip: Path) -> Iterator[str]:
    """The clip over HTTP, as a file, and as a transport stream that does not say how long it will be."""
    live = write_clip(clip.parent / "live.ts", flat_pictures(20), codec="mpeg2video", sound="mp2", fps=25).read_bytes()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(clip.parent))

        def do_GET(self) -> None:
            if self.path != "/live":
                return super().do_GET()
            calls.append(self.path)
            if len(calls) > 2:
                return self.send_error(503)
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            self.wfile.write(live)
            return None

        def log_message(self, *arguments: Any) -> None:
            pass

    calls: list[str] = []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_video_by_its_url(server: str) -> None:
    """A file behind a URL is read like one on the disk."""
    with open_source(f"{server}/clip.mp4") as source:
        assert len(list(source)) == 20
    assert not source.live


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_picture_by_its_url(suffix: str, server: str, clip: Path, tmp_path: Path) -> None:
    """A picture behind a URL is one, and can be written into a picture."""
    write_picture(clip.parent / f"face{suffix}", flat_pictures(3)[2])
    with open_source(f"{server}/face{suffix}") as source, open_sink(tmp_path / "a.png", source) as sink:
        (frame,) = source
        sink.write(frame, frame.picture)
    assert (source.sequence, source.live, source.frame_count, frame.seconds) == (False, False, 1, None)
    assert np.abs(read_picture(tmp_path / "a.png").astype(int) - flat_pictures(3)[2]).mean() < 8


def test_a_live_stream(server: str) -> None:
    """A stream that is said to be live is; when it breaks off, every frame before has been given."""
    frames: list[Frame] = []
    with open_source(f"{server}/live", live=True) as source:
        assert (source.live, source.sequence, source.frame_count) == (True, True, None)
        with pytest.raises(MediaError, match="/live was interrupted after 20 frames: Input/output error"):
            frames.extend(source)
    assert len(frames) == 20
    assert frames[0].seconds == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("name", "codec"), [("rec.ts", "libx264"), ("rec.webm", "libvpx")])
def test_a_file_that_does_not_know_its_length(name: str, codec: str, server: str, clip: Path) -> None:
    """A file behind a URL is no live stream, also where nothing says how long it is: no frame is left out."""
    options = {"live": "1"} if name.endswith("webm") else {}
    with av.open(str(clip.parent / name), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for picture in flat_pictures(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with open_source(f"{server}/{name}") as source:
        assert not source.live
        assert len(list(source)) == 12


@pytest.mark.parametrize(
    ("url", "container", "live"),
    [
        ("rtsp://camera/1", "rtsp", True),
        ("SRT://camera:9", "mpegts", True),
        ("http://camera/video.cgi", "mpjpeg", True),
        ("https://tv/live.m3u8", "hls", True),
        ("https://disk/clip.ts", "mpegts", False),
    ],
)
def test_what_is_live_by_itself(url: str, container: str, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What carries a stream says whether it is live, where it has no end; the user has the last word."""

    class Stands:
        """Stands in for what PyAV opens."""

        def __init__(self, *_: Any, **__: Any) -> None:
            self.stream: Any = type("Stream", (), {"frames": 0, "thread_type": ""})()
            self.container: Any = type("Container", (), {"duration": None, "format": None})()
            self.container.format = type("Format", (), {"name": container})()
            self.fps = None

        def is_picture(self) -> bool:
            return False

    monkeypatch.setattr(video, "Opened", Stands)
    assert VideoSource(url).live == live
    assert VideoSource(url, live=not live).live != live


def test_a_stream_that_breaks_off_is_opened_again(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames go on with the number of the connection, their times tell of the gap, and in the end it is given up."""
    monkeypatch.setattr(video, "_AGAIN_SECONDS", 0.01)
    now = iter(range(0, 1000, 3))
    frames: list[Frame] = []
    source = VideoSource(f"{server}/live", live=True, reconnect_seconds=10, clock=lambda: next(now))
    with (
        source,
        pytest.raises(MediaError, match=r"/live was interrupted after 40 frames.*; it did not respond for 10 s"),
    ):
        frames.extend(source)
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.connection for frame in frames] == [0] * 20 + [1] * 20
    steps = np.diff([frame.seconds or 0.0 for frame in frames])
    assert steps[19] > 3
    assert np.delete(steps, 19) == pytest.approx(np.full(38, 0.04), abs=1e-3)
    assert source.notes == [f"{server}/live was interrupted after 20 frames: Input/output error; reconnected after 3 s"]


def test_waiting_for_a_stream_can_be_ended(server: str) -> None:
    """Whoever has enough does not wait until the time for trying again is over."""
    with VideoSource(f"{server}/live", live=True, reconnect_seconds=1000) as source:
        source.stop()
        assert len(list(source)) == 20


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_for_how_long_to_try_again(seconds: float) -> None:
    """A time that cannot be meant is refused at once."""
    with pytest.raises(InputError, match="reconnect_seconds"):
        VideoSource("rtsp://nowhere", reconnect_seconds=seconds)


def test_a_stream_that_is_not_there_is_named(server: str) -> None:
    """An address without an answer says so, with the reason."""
    with pytest.raises(MediaError, match=r"cannot open .*missing\.mp4: .*Not Found"):
        open_source(f"{server}/missing.mp4")
    with pytest.raises(MediaError, match=r"cannot open rtsp://127.*: Connection refused"):
        open_source("rtsp://127.0.0.1:9/live")


# ---- pipes ---------------------------------------------------------------------------------------------------------


def through_pipe(data: bytes, path: Path) -> threading.Thread:
    """Make a named pipe, and write into it from another thread."""
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@needs_fifos
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "mpeg2video")]
)
def test_a_video_through_a_pipe(name: str, codec: str, tmp_path: Path) -> None:
    """Every frame is read; the sound, which would take a second reading, is left out, and that is said."""
    sound = "mp2" if name.endswith("ts") else "aac"
    data = write_clip(tmp_path / name, flat_pictures(20), codec=codec, sound=sound).read_bytes()
    thread = through_pipe(data, tmp_path / "pipe")
    with open_source(tmp_path / "pipe") as source, open_sink(tmp_path / "out.mp4", source) as sink:
        assert isinstance(source, VideoSource)
        assert not source.live
        for frame in source:
            sink.write(frame, frame.picture)
    thread.join()
    assert len(list(VideoSource(tmp_path / "out.mp4"))) == 20
    assert source.notes == [f"{tmp_path / 'pipe'} can be read only once, so its sound, if any, is omitted"]


@needs_fifos
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_a_picture_through_a_pipe(suffix: str, tmp_path: Path) -> None:
    """A picture is one, and no video of one frame."""
    write_picture(tmp_path / f"a{suffix}", flat_pictures(3)[2])
    thread = through_pipe((tmp_path / f"a{suffix}").read_bytes(), tmp_path / "pipe")
    with open_source(tmp_path / "pipe") as source:
        assert isinstance(source, PictureSource)
        (frame,) = source
    thread.join()
    assert np.abs(frame.picture.astype(int) - flat_pictures(3)[2]).mean() < 8


def test_pictures_through_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JPEGs one after the other are a video, however many pieces they come in."""
    data = b""
    for picture in flat_pictures(7):
        data += cv2.imencode(".jpg", picture)[1].tobytes()
    out, into = os.pipe()

    def write() -> None:
        with os.fdopen(into, "wb", buffering=0) as pipe:
            for start in range(0, len(data), 100):
                pipe.write(data[start : start + 100])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(out, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with open_source("-") as source:
            assert source.name == "stdin"
            assert len(list(source)) == 7
    thread.join()


@needs_fifos
@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\xff\xd8\xff\xe0 no more"], ids=["empty", "page", "cut"])
def test_what_is_no_picture_through_a_pipe(data: bytes, tmp_path: Path) -> None:
    """A pipe that brings nothing, or something else, is named."""
    thread = through_pipe(data, tmp_path / "pipe")
    with pytest.raises(MediaError, match=r"pipe (as a picture or a video|is not a readable picture)"):
        list(open_source(tmp_path / "pipe"))
    thread.join()
