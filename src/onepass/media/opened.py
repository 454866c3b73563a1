"""One opening of a video file, a stream or a pipe with PyAV: its frames as they are decoded, and what it promises."""

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
    """The first video stream of what PyAV opens; pictures of albums do not count.

    Attributes:
        container: PyAV's container.
        stream: Its video stream; None if it has none.
        fps: Frames a second as the file tells it; None where it does not.
        frame_seconds: How long a frame usually lasts.
        broken: Why it could not be read to its end; None until then.
        damaged: How many packets could not be decoded.
    """

    def __init__(
        self,
        file: Any,
        *,
        container: str | None = None,
        timeout_seconds: float | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        """Open it.

        Args:
            file: A path, a URL, or an object with `read`.
            container: FFmpeg's name of how it is made; None for what its content and name say.
            timeout_seconds: How long it may be silent.
            options: FFmpeg's, for how to open it.

        Raises:
            FFmpegError, OSError, ValueError: PyAV cannot open it.
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
        """Yield decoded frames until the end, passing over damaged parts.

        With each come its times of showing and of decoding, in seconds since the file began, where it has them.
        """
        for frame in self._decoded():
            shown, decoding = (None if each is None else float(each * self._unit(frame)) for each in _times(frame))
            if self._is_avi:
                # It says when frames are decoded. What FFmpeg makes of that is no time of showing.
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
            except IndexError:  # at the end PyAV stumbles over streams that appeared on the way
                packet = None
            except errors.FFmpegError as error:
                packet, self.broken = None, error
            ended = packet is None
            if packet is not None and packet.size:
                self._cut = packet.is_corrupt
            try:
                # Nothing as a packet: what the decoder still holds back.
                frames = self.stream.decode(packet)
            except errors.EOFError:  # it has said so already
                frames = []
            except errors.FFmpegError:
                self.damaged += 1
                frames = []
            for frame in frames:
                self._cut = self._cut or (ended and frame.is_corrupt)
                yield frame

    def _unit(self, frame: Any) -> Fraction:
        """Return what a frame counts its times in, in seconds; the last ones out of a decoder do not say."""
        unit: Fraction = frame.time_base or self.stream.time_base
        return unit

    def seconds_of(self, frame: Any) -> float:
        """Return how long a frame lasts; 0 where it does not say so."""
        return float((frame.duration or 0) * self._unit(frame))

    def upright(self, frame: Any) -> Picture:
        """Return uint8 RGB [H, W, 3] as a frame is meant to be seen."""
        aspect = self.stream.sample_aspect_ratio
        width = round(frame.width * aspect) if aspect else frame.width
        picture: Picture = rgb(frame, width)
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return picture if matrix is None else turned(picture, struct.unpack_from("=2i4x2i", matrix))

    def promised_seconds(self) -> float:
        """Return how long it is by what its header says; 0 where that says nothing."""
        if self._is_avi:  # FFmpeg goes by what is there
            return float(self.stream.frames * self.frame_seconds)
        if self.stream.duration is not None:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration is None and self.container.format.name == "asf" and self._path is not None:
            return asf_seconds(self._path)
        return (self.container.duration or 0) / float(self._av.time_base)

    def is_picture(self) -> bool:
        """Whether it is one picture, which FFmpeg knows by its content: ``jpeg_pipe``, or by its name."""
        name: str = self.container.format.name
        return name.endswith("_pipe") or name == "image2"

    def is_cut(self) -> bool:
        """Whether the file ends in the middle of something, once all frames have come."""
        if self._cut or self._path is None:
            return self._cut
        return self.container.format.name == "mpeg" and program_stream_is_cut(self._path)

    def close(self) -> None:
        """Close the file or the connection."""
        self.container.close()


def _times(frame: Any) -> tuple[int | None, int | None]:
    return frame.pts, frame.dts
