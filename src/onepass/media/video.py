"""Videos and network streams, read with PyAV."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass.media.frames import Frame, Source
from onepass.media.opened import Opened
from onepass.media.pipes import Pipe
from onepass.media.times import BestEffort, Timeline

# Network streams: seconds to wait for the connection, and for each piece after it.
_TIMEOUT_SECONDS = 10.0
# A video is called cut short when this much of what its header promises is missing: rounding is less.
_MISSING_SECONDS = 0.5
# A stream that broke off is tried again after so long, and again.
_AGAIN_SECONDS = 1.0
# What only ever carries what is happening now, and which formats over HTTP do: playlists that have no end, and cameras.
_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp"}
_LIVE_FORMATS = {"hls", "mpjpeg"}


def is_url(location: str) -> bool:
    """Whether this is the address of a stream rather than a path."""
    return "://" in location


class VideoSource(Source):
    """The frames of a video file, of a pipe, or of a stream by its URL, upright and with times that rise.

    Every codec that PyAV's FFmpeg knows is read. Frames are turned and mirrored as the file's display matrix says, and
    stretched where its pixels are not square. A file that is damaged or cut short gives what can be read of it, and
    `notes` says so. Streams without an end are live by what carries them: RTSP, RTMP, RTP, SRT, UDP; HLS without an
    end, and the JPEGs that cameras send over HTTP. A file behind a URL is not, whether it knows its length or not. It
    may be a picture, too: one frame without a time, and no `sequence`.

    Attributes:
        joints: For each place where recordings were joined and time jumped back, by how many seconds what follows was
            moved; it grows while frames are read.
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
        """Open the video and read what it says of itself.

        Args:
            location: A path, a URL, or an open pipe.
            live: Whether frames that come late are better left out; None for what the stream itself calls for.
            container: FFmpeg's name of how a file is made, where its own name would mislead it.
            reconnect_seconds: For how long to try to open a live stream again that broke off, or to read on from a
                file behind a URL; 0 for not at all. The frames after that have the next number as their `connection`,
                and a live stream's times say how long it was away.
            timeout_seconds: How long a stream may be silent.
            clock: What tells how long a stream was away, in seconds.

        Raises:
            InputError: `reconnect_seconds` is negative or not finite.
            MediaError: There is none, it is no video, or the stream does not answer.
            MissingExtraError: PyAV is not installed.
        """
        super().__init__(location.name if isinstance(location, Pipe) else os.fspath(location))
        if not 0 <= reconnect_seconds < float("inf"):
            raise InputError(f"reconnect_seconds must be a number of at least 0, got {reconnect_seconds}")
        self._av = optional("av", extra="gaze", purpose="Reading videos")
        self._is_url = is_url(self.name)
        self._pipe = location if isinstance(location, Pipe) else None
        self._reconnect_seconds, self._timeout_seconds, self._clock = reconnect_seconds, timeout_seconds, clock
        self._stopped = threading.Event()
        self.joints: list[float] = []
        if self._pipe is None and not self._is_url and not Path(self.name).is_file():
            raise MediaError(f"there is no file {self.name!r} (in {Path.cwd()}); check the path")
        self._container = container
        self._opened = self._open()
        self.live = self._is_live() if live is None else live
        # Threads over frames hold some of them back, which is no matter in a file.
        self._opened.stream.thread_type = "SLICE" if self.live else "AUTO"
        self.fps = self._opened.fps
        self.frame_count = self._opened.stream.frames or None
        if self._pipe is None and self._opened.is_picture():
            self.sequence, self.fps, self.frame_count = False, None, 1

    @property
    def container(self) -> str:
        """FFmpeg's name of how the file or stream is made."""
        name: str = self._opened.container.format.name
        return name

    @property
    def can_be_opened_again(self) -> bool:
        """Whether another reader may open it for itself, to take its sound; not so pipes and live streams."""
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
                f"{self.name} holds no video, only sound or data, or the picture of an album; give a video or a picture"
            )
        return opened

    def _url_options(self) -> dict[str, str]:
        """Let FFmpeg itself ask for the rest of a file when the line breaks off, where it can: over HTTP."""
        if not self._reconnect_seconds or urlsplit(self.name).scheme.lower() not in {"http", "https"}:
            return {}
        return {"reconnect": "1", "reconnect_delay_max": str(max(1, round(self._reconnect_seconds)))}

    def _no_video(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or error
        if self._is_url:
            return f"{self.name} cannot be opened: {reason}. Is the address right, and the other side there?"
        if self._pipe is not None:
            return f"{self.name} cannot be read as a picture or a video: {reason}"
        size = Path(self.name).stat().st_size
        return (
            f"{self.name} ({size} bytes) is neither a picture nor a video that can be read: {reason}. "
            "It may be damaged, or not copied or downloaded to its end"
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
            raise MediaError(f"{self.name} holds no frame that can be decoded; the file is damaged, or cut short")

    def _opens_again(self, frames: int) -> bool:
        """Open a live stream again that broke off. False: it has ended, or need not be.

        Raises:
            MediaError: It does not answer any more.
        """
        error = self._opened.broken
        reason = getattr(error, "strerror", None) or error or "it ended"
        said = f"{self.name} broke off after {frames} frames: {reason}"
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
                    raise MediaError(f"{said}; it did not answer for {self._reconnect_seconds:g} s") from failed
            else:
                self._opened.stream.thread_type = "SLICE"
                self.notes.append(f"{said}; opened again after {self._clock() - start:.0f} s")
                return True
        return False

    def stop(self) -> None:
        """Try no more to open a stream again that broke off."""
        self._stopped.set()

    def _note_damage(self, frames: int, seconds: float) -> None:
        """Note what could not be read, and where a file ends before its header says it would."""
        opened = self._opened
        if opened.damaged:
            self.notes.append(f"{opened.damaged} part(s) of {self.name} are damaged and were passed over")
        if opened.broken is not None:
            reason = getattr(opened.broken, "strerror", None) or opened.broken
            self.notes.append(f"{self.name} cannot be read to its end: {reason}")
        if self.live or not frames:
            return
        promised = opened.promised_seconds()
        ends = seconds + opened.frame_seconds
        if ends < promised - _MISSING_SECONDS:
            self.notes.append(
                f"{self.name} ends early: {seconds:.1f} s of {promised:.1f} s ({frames} frames) could be read; "
                "the file is cut short or damaged"
            )
        elif opened.broken is None and opened.is_cut():
            self.notes.append(
                f"{self.name} ends in the middle of a frame, after {ends:.1f} s ({frames} frames); the file is cut "
                "short or damaged"
            )

    def close(self) -> None:
        """Close the file or the connection."""
        self._opened.close()
        if self._pipe is not None:
            self._pipe.close()
