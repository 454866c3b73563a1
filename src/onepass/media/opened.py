"""A video file, stream or pipe opened with PyAV: decoded frames, and the metadata of its header."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from onepass._optional import optional
from onepass.media.colours import rgb
from onepass.media.endings import asf_seconds, program_stream_is_cut
from onepass.media.orientation import turned
from onepass.media.pictures import Picture

_DEFAULT_FPS = 30.0


class Opened:
    """The first video stream of a container; album covers are ignored.

    Attributes:
        container: PyAV's container.
        stream: Its video stream; None if it has none.
        fps: Frames per second according to the file; None if unknown.
        frame_seconds: Usual duration of a frame.
        broken: The error that ended reading early; None if there was none.
        damaged: Number of packets that could not be decoded.
    """

    def __init__(
        self,
        file: Any,
        *,
        container: str | None = None,
        timeout_seconds: float | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        """Open the container.

        Args:
            file: A path, a URL, or an object with `read`.
            container: FFmpeg's name of the container format; None to detect it from content and name.
            timeout_seconds: Maximum wait for data.
            options: FFmpeg options for opening.

        Raises:
            FFmpegError, OSError, ValueError: PyAV cannot open the file.
            MissingExtraError: PyAV is not installed.
        """
        self._av = optional("av", extra="gaze", purpose="Reading videos")
        self.container = self._av.open(file, format=container, timeout=timeout_seconds, options=options or {})
        album = self._av.stream.Disposition.attached_pic
        self.stream: Any = next((each for each in self.container.streams.video if not each.disposition & album), None)
        self.broken: Exception | None = None
        self.damaged = 0
        self._cut = False
        if self.stream is None:
            self.container.close()
            return
        rate = self.stream.average_rate or self.stream.guessed_rate
        self.fps = float(rate) if rate else None
        self.frame_seconds = 1 / (self.fps or _DEFAULT_FPS)
        self._path = Path(file) if isinstance(file, str) else None
        self._is_avi = self.container.format.name == "avi"
        start = None if self._is_avi else self.container.start_time
        self._begins = None if start is None else start / float(self._av.time_base)

    def frames(self) -> Iterator[tuple[Any, float | None, float | None]]:
        """Yield decoded frames until the end, skipping damaged parts.

        Each comes with its presentation and decoding times, in seconds since the start of the file, or None.
        """
        for frame in self._decoded():
            shown, decoding = (None if each is None else float(each * self._unit(frame)) for each in _times(frame))
            if self._is_avi:
                # AVI has decoding times only; the presentation times that FFmpeg derives from them are wrong.
                shown = None
                self._begins = decoding if self._begins is None else self._begins
            start = self._begins or 0.0
            yield frame, None if shown is None else shown - start, None if decoding is None else decoding - start

    def _decoded(self) -> Iterator[Any]:
        errors = self._av.error
        packets = self.container.demux(self.stream)
        ended = False
        while not ended:
            try:
                packet = next(packets, None)
            except IndexError:  # PyAV raises it at the end if streams appeared during reading
                packet = None
            except errors.FFmpegError as error:
                packet, self.broken = None, error
            ended = packet is None
            if packet is not None and packet.size:
                self._cut = packet.is_corrupt
            try:
                # None as the packet flushes the decoder.
                frames = self.stream.decode(packet)
            except errors.EOFError:  # flushed already
                frames = []
            except errors.FFmpegError:
                self.damaged += 1
                frames = []
            for frame in frames:
                self._cut = self._cut or (ended and frame.is_corrupt)
                yield frame

    def _unit(self, frame: Any) -> Fraction:
        """Return a frame's time base in seconds; the last frames of a decoder have none of their own."""
        unit: Fraction = frame.time_base or self.stream.time_base
        return unit

    def seconds_of(self, frame: Any) -> float:
        """Return a frame's duration; 0 if unknown."""
        return float((frame.duration or 0) * self._unit(frame))

    def upright(self, frame: Any) -> Picture:
        """Return a frame as uint8 RGB [H, W, 3], upright and with square pixels."""
        aspect = self.stream.sample_aspect_ratio
        width = round(frame.width * aspect) if aspect else frame.width
        picture: Picture = rgb(frame, width)
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return picture if matrix is None else turned(picture, struct.unpack_from("=2i4x2i", matrix))

    def promised_seconds(self) -> float:
        """Return the duration according to the header; 0 if unknown."""
        if self._is_avi:  # FFmpeg's duration is that of the existing data
            return float(self.stream.frames * self.frame_seconds)
        if self.stream.duration is not None:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration is None and self.container.format.name == "asf" and self._path is not None:
            return asf_seconds(self._path)
        return (self.container.duration or 0) / float(self._av.time_base)

    def is_picture(self) -> bool:
        """Whether the file is a single picture, by FFmpeg's format name, such as ``jpeg_pipe``."""
        name: str = self.container.format.name
        return name.endswith("_pipe") or name == "image2"

    def is_cut(self) -> bool:
        """Whether the file is truncated; valid once all frames are read."""
        if self._cut or self._path is None:
            return self._cut
        return self.container.format.name == "mpeg" and program_stream_is_cut(self._path)

    def close(self) -> None:
        """Close the file or the connection."""
        self.container.close()


def _times(frame: Any) -> tuple[int | None, int | None]:
    return frame.pts, frame.dts
