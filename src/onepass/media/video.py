"""Videos and network streams, read with PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.media.frames import Frame, Source
from onepass.media.pictures import Picture

_PURPOSE = "Reading videos"
# Network streams: seconds to wait for the connection, and for each piece after it.
_TIMEOUT_SECONDS = 10.0
# A video is called cut short when this much of what its header promises is missing: rounding is less.
_MISSING_SECONDS = 0.5


def is_url(location: str) -> bool:
    """Whether this is the address of a stream rather than a path."""
    return "://" in location


class VideoSource(Source):
    """The frames of a video file, or of a stream by its URL (``rtsp://``, ``http://`` …), upright and with true times.

    Every codec that PyAV's FFmpeg knows is read. Frames are turned as the file's rotation says, and stretched where
    its pixels are not square. A file that is damaged or cut short gives what can be read of it, and `notes` says so.
    A URL whose length is not known is live.
    """

    sequence = True

    def __init__(self, location: str | os.PathLike[str], *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        """Open the video and read what it says of itself.

        Args:
            location: A path or a URL.
            timeout_seconds: How long a stream may be silent.

        Raises:
            MediaError: There is none, it is no video, or the stream does not answer.
            MissingExtraError: PyAV is not installed.
        """
        super().__init__(os.fspath(location))
        self._av = optional("av", extra="gaze", purpose=_PURPOSE)
        self._is_url = is_url(self.name)
        if not self._is_url and not Path(self.name).is_file():
            raise MediaError(f"there is no file {self.name!r} (in {Path.cwd()}); check the path")
        try:
            self._container = self._av.open(self.name, timeout=timeout_seconds if self._is_url else None)
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(self._no_video(error)) from error
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise MediaError(f"{self.name} holds no video, only sound or data; give a video or a picture")
        self._stream = streams[0]
        self.live = self._is_url and self._container.duration is None
        # Threads over frames hold some of them back, which is no matter in a file.
        self._stream.thread_type = "SLICE" if self.live else "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else None
        self.frame_count = self._stream.frames or None

    def _no_video(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or error
        if self._is_url:
            return f"{self.name} cannot be opened: {reason}. Is the address right, and the other side there?"
        size = Path(self.name).stat().st_size
        return (
            f"{self.name} ({size} bytes) is neither a picture nor a video that can be read: {reason}. "
            "It may be damaged, or not copied or downloaded to its end"
        )

    def __iter__(self) -> Iterator[Frame]:
        count, seconds = 0, 0.0
        for decoded in self._decoded():
            # Joined or damaged videos can go back in time; nobody who reads them should have to think of that.
            seconds = max(seconds, self._seconds(decoded, count))
            yield Frame(self._upright(decoded), count, seconds, f"{count:06}.jpg")
            count += 1
        if count == 0:
            raise MediaError(f"{self.name} holds no frame that can be decoded; the file is damaged, or cut short")
        self._note_missing(count, seconds)

    def _decoded(self) -> Iterator[Any]:
        """Yield decoded frames, passing over packets that are damaged, until the file ends or cannot be read on."""
        errors = self._av.error
        damaged = 0
        broken: Exception | None = None
        packets = self._container.demux(self._stream)
        ended = False
        while not ended:
            try:
                packet = next(packets, None)
            except errors.FFmpegError as error:
                packet, broken = None, error
            ended = packet is None
            try:
                # Nothing as a packet: what the decoder still holds back.
                frames = self._stream.decode(packet)
            except errors.EOFError:  # it has said so already
                frames = []
            except errors.FFmpegError:
                damaged += 1
                frames = []
            yield from frames
        if damaged:
            self.notes.append(f"{damaged} part(s) of {self.name} are damaged and were passed over")
        if broken is not None:
            reason = getattr(broken, "strerror", None) or broken
            if self._is_url:
                raise MediaError(f"{self.name} broke off: {reason}") from broken
            self.notes.append(f"{self.name} cannot be read to its end: {reason}")

    def _seconds(self, decoded: Any, index: int) -> float:
        """Return a frame's own time; frames without one follow at the usual distance."""
        if decoded.time is None:
            return index / (self.fps or 30.0)
        return float(decoded.time) - (self._container.start_time or 0) / float(self._av.time_base)

    def _upright(self, decoded: Any) -> Picture:
        """Return uint8 RGB [H, W, 3] as it is meant to be seen."""
        aspect = self._stream.sample_aspect_ratio
        width = round(decoded.width * aspect) if aspect else decoded.width
        picture = decoded.to_ndarray(format="rgb24", width=width)
        return np.ascontiguousarray(np.rot90(picture, round(decoded.rotation / 90)))

    def _note_missing(self, frames: int, seconds: float) -> None:
        """Note where a file ends before its header says it would."""
        if self.live:
            return
        duration = self._stream.duration
        if duration is not None:
            promised = float(duration * self._stream.time_base)
        else:
            promised = (self._container.duration or 0) / float(self._av.time_base)
        if seconds + 1 / (self.fps or 30.0) < promised - _MISSING_SECONDS:
            self.notes.append(
                f"{self.name} ends early: {seconds:.1f} s of {promised:.1f} s ({frames} frames) could be read; "
                "the file is cut short or damaged"
            )

    def close(self) -> None:
        """Close the file or the connection."""
        self._container.close()
