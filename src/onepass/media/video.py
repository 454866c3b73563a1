"""Videos and network streams, read with PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.media.frames import Frame, Source
from onepass.media.pictures import Picture
from onepass.media.times import BestEffort, Timeline

_PURPOSE = "Reading videos"
# Network streams: seconds to wait for the connection, and for each piece after it.
_TIMEOUT_SECONDS = 10.0
# A video is called cut short when this much of what its header promises is missing: rounding is less.
_MISSING_SECONDS = 0.5
_DEFAULT_FPS = 30.0


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
        self._frame_seconds = 1 / (self.fps or _DEFAULT_FPS)
        self._only_decoding = self._container.format.name == "avi"  # it says when frames are decoded, not when shown
        start = None if self._only_decoding else self._container.start_time
        self._begins = None if start is None else start / float(self._av.time_base)
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
        timeline, best = Timeline(self._frame_seconds), BestEffort()
        for decoded in self._decoded():
            raw = best.choose(*self._times(decoded))
            seconds = timeline.place(raw, float((decoded.duration or 0) * self._unit(decoded)))
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

    def _unit(self, decoded: Any) -> Fraction:
        """Return what a frame counts its times in, in seconds; the last ones out of a decoder do not say."""
        unit: Fraction = decoded.time_base or self._stream.time_base
        return unit

    def _times(self, decoded: Any) -> tuple[float | None, float | None]:
        """Return when a frame is to be shown and when decoded, in seconds since the file began."""
        shown, decoding = (
            None if each is None else float(each * self._unit(decoded)) for each in (decoded.pts, decoded.dts)
        )
        if self._only_decoding:  # what FFmpeg takes for the time of showing is none
            shown = None
            self._begins = decoding if self._begins is None else self._begins
        start = self._begins or 0.0
        return None if shown is None else shown - start, None if decoding is None else decoding - start

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
        if seconds + self._frame_seconds < promised - _MISSING_SECONDS:
            self.notes.append(
                f"{self.name} ends early: {seconds:.1f} s of {promised:.1f} s ({frames} frames) could be read; "
                "the file is cut short or damaged"
            )

    def close(self) -> None:
        """Close the file or the connection."""
        self._container.close()
