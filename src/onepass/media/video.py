"""Read videos and network streams with PyAV."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass._printable import counted
from onepass.media.frames import Frame, Source
from onepass.media.opened import Opened
from onepass.media.pipes import Pipe
from onepass.media.times import BestEffort, Timeline

# Network streams: seconds to wait for the connection, and then for each piece of data.
_TIMEOUT_SECONDS = 10.0
# A video counts as truncated if it is shorter than its header says by more than this; rounding errors are smaller.
_MISSING_SECONDS = 0.5
# Delay between attempts to reconnect to an interrupted stream.
_AGAIN_SECONDS = 1.0
# Protocols that are always live, and live formats over HTTP: endless playlists, and cameras.
_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp"}
_LIVE_FORMATS = {"hls", "mpjpeg"}


def is_url(location: str) -> bool:
    """Whether this is a URL rather than a path."""
    return "://" in location


class VideoSource(Source):
    """The frames of a video file, a pipe, or a stream by URL, upright and with increasing times.

    All codecs of PyAV's FFmpeg are supported. Frames are rotated and mirrored according to the file's display matrix,
    and stretched if pixels are not square. A damaged or truncated file yields its readable part, and `notes` says so.
    Endless streams are live, depending on the protocol: RTSP, RTMP, RTP, SRT, UDP; endless HLS; and the JPEGs that
    cameras send over HTTP. A file behind a URL is not live, whether its length is known or not; it may also be a
    picture: one frame without a time, and `sequence` is False.

    Attributes:
        joints: The time shift in seconds at each place where recordings were joined and time jumped back; the list
            grows while frames are read.
    """

    sequence = True

    def __init__(
        self,
        location: str | os.PathLike[str] | Pipe,
        *,
        live: bool | None = None,
        container: str | None = None,
        reconnect_seconds: float = 0.0,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the video and read its header.

        Args:
            location: A path, a URL, or an open pipe.
            live: Whether to drop late frames; None to decide by the kind of stream.
            container: FFmpeg's name of the container format, if the file's name would mislead FFmpeg.
            reconnect_seconds: How long to try to reconnect to an interrupted live stream, or to continue an interrupted
                file behind a URL; 0 disables it. Frames after a reconnection have the next number as `connection`, and
                a live stream's times include the interruption.
            timeout_seconds: Maximum wait for a stream's data.
            clock: The clock that measures interruptions, in seconds.

        Raises:
            InputError: `reconnect_seconds` is negative or not finite.
            MediaError: The file does not exist or is not a video, or the stream does not respond.
            MissingExtraError: PyAV is not installed.
        """
        super().__init__(location.name if isinstance(location, Pipe) else os.fspath(location))
        if not 0 <= reconnect_seconds < float("inf"):
            raise InputError(f"reconnect_seconds must be a number ≥ 0, got {reconnect_seconds}")
        self._av = optional("av", extra="gaze", purpose="Reading videos")
        self._is_url = is_url(self.name)
        self._pipe = location if isinstance(location, Pipe) else None
        self._reconnect_seconds, self._timeout_seconds, self._clock = reconnect_seconds, timeout_seconds, clock
        self._stopped = threading.Event()
        self.joints: list[float] = []
        if self._pipe is None and not self._is_url and not Path(self.name).is_file():
            raise MediaError(f"file {self.name!r} not found (in {Path.cwd()}); check the path")
        self._container = container
        self._opened = self._open()
        self.live = self._is_live() if live is None else live
        # Frame threading delays frames, which matters only for live streams.
        self._opened.stream.thread_type = "SLICE" if self.live else "AUTO"
        self.fps = self._opened.fps
        self.frame_count = self._opened.stream.frames or None
        if self._pipe is None and self._opened.is_picture():
            self.sequence, self.fps, self.frame_count = False, None, 1

    @property
    def container(self) -> str:
        """FFmpeg's name of the container format."""
        name: str = self._opened.container.format.name
        return name

    @property
    def can_be_opened_again(self) -> bool:
        """Whether another reader can open it as well, for the sound; pipes and live streams cannot be reopened."""
        return self._pipe is None and not (self._is_url and self.live)

    def _is_live(self) -> bool:
        endless = self._is_url and self._opened.container.duration is None
        carries = urlsplit(self.name).scheme.lower() in _LIVE_SCHEMES
        return endless and (carries or self._opened.container.format.name in _LIVE_FORMATS)

    def _open(self) -> Opened:
        try:
            if self._pipe is not None:
                opened = Opened(self._pipe.file())
            elif self._is_url:
                opened = Opened(self.name, timeout_seconds=self._timeout_seconds, options=self._url_options())
            else:
                opened = Opened(self.name, container=self._container)
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(self._no_video(error)) from error
        if opened.stream is None:
            raise MediaError(
                f"{self.name} contains no video, only sound, data or an album cover; expected a video or a picture"
            )
        return opened

    def _url_options(self) -> dict[str, str]:
        """Let FFmpeg itself reconnect and request the rest of a file, which it can over HTTP."""
        if not self._reconnect_seconds or urlsplit(self.name).scheme.lower() not in {"http", "https"}:
            return {}
        return {"reconnect": "1", "reconnect_delay_max": str(max(1, round(self._reconnect_seconds)))}

    def _no_video(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or error
        if self._is_url:
            return f"cannot open {self.name}: {reason}. Check the address, and that the server is running"
        if self._pipe is not None:
            return f"cannot read {self.name} as a picture or a video: {reason}"
        size = Path(self.name).stat().st_size
        return (
            f"{self.name} ({size} bytes) is neither a readable picture nor a readable video: {reason}. "
            "It may be damaged, or a copy or download was interrupted"
        )

    def __iter__(self) -> Iterator[Frame]:
        count, seconds, connection = 0, 0.0, 0
        timeline = Timeline(self._opened.frame_seconds, self.joints)
        while True:
            best = BestEffort()
            for decoded, shown, decoding in self._opened.frames():
                seconds = timeline.place(best.choose(shown, decoding), self._opened.seconds_of(decoded))
                when = seconds if self.sequence else None
                yield Frame(self._opened.upright(decoded), count, when, f"{count:06}.jpg", connection)
                count += 1
            broke_off = self._clock()
            if not self._opens_again(count):
                break
            connection += 1
            timeline.go_on_at(seconds + self._clock() - broke_off)
        self._note_damage(count, seconds)
        if count == 0:
            raise MediaError(f"{self.name} contains no frame that can be decoded; the file is damaged or truncated")

    def _opens_again(self, frames: int) -> bool:
        """Reconnect to an interrupted live stream; return False if it has ended or should not be reopened.

        Raises:
            MediaError: The stream no longer responds.
        """
        error = self._opened.broken
        reason = getattr(error, "strerror", None) or error or "it ended"
        said = f"{self.name} was interrupted after {counted(frames, 'frame')}: {reason}"
        if not (self._is_url and self.live and self._reconnect_seconds):
            if error is not None and self._is_url:
                raise MediaError(said) from error
            return False
        start = self._clock()
        while not self._stopped.wait(_AGAIN_SECONDS):
            self._opened.close()
            try:
                self._opened = self._open()
            except MediaError as failed:
                if self._clock() - start > self._reconnect_seconds:
                    raise MediaError(f"{said}; it did not respond for {self._reconnect_seconds:g} s") from failed
            else:
                self._opened.stream.thread_type = "SLICE"
                self.notes.append(f"{said}; reconnected after {self._clock() - start:.0f} s")
                return True
        return False

    def stop(self) -> None:
        """Stop trying to reconnect."""
        self._stopped.set()

    def _note_damage(self, frames: int, seconds: float) -> None:
        """Note damaged parts, and whether a file ends earlier than its header says."""
        opened = self._opened
        if opened.damaged:
            self.notes.append(f"skipped {opened.damaged} damaged part(s) of {self.name}")
        if opened.broken is not None:
            reason = getattr(opened.broken, "strerror", None) or opened.broken
            self.notes.append(f"reading {self.name} stopped before its end: {reason}")
        if self.live or not frames:
            return
        promised = opened.promised_seconds()
        ends = seconds + opened.frame_seconds
        if ends < promised - _MISSING_SECONDS:
            self.notes.append(
                f"{self.name} ends early: only {seconds:.1f} s of {promised:.1f} s ({frames} frames) could be read; "
                "the file is truncated or damaged"
            )
        elif opened.broken is None and opened.is_cut():
            self.notes.append(
                f"{self.name} ends in the middle of a frame, after {ends:.1f} s ({frames} frames); the file is "
                "truncated or damaged"
            )

    def close(self) -> None:
        """Close the file or the connection."""
        self._opened.close()
        if self._pipe is not None:
            self._pipe.close()
