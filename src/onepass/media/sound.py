"""The sound of one video, put into another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from onepass._errors import MediaError
from onepass._optional import optional

_PURPOSE = "The sound of a video"
_TIMEOUT_SECONDS = 10.0  # for a video behind a URL


class Sound:
    """Takes the sound tracks of a video over into a container, step by step with the pictures.

    A track is copied packet by packet where the container can hold its codec; where it cannot, it is decoded and
    encoded with the container's own.
    """

    def __init__(self, location: str | os.PathLike[str], container: Any) -> None:
        """Open the video.

        Args:
            location: Where the sound is; a video without sound gives none.
            container: PyAV's output container.

        Raises:
            MediaError: The video cannot be opened.
        """
        self._av = optional("av", extra="gaze", purpose=_PURPOSE)
        self._container = container
        try:
            self._input = self._av.open(os.fspath(location), timeout=_TIMEOUT_SECONDS)
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"the sound of {location} cannot be read: {error}") from error
        self._start_seconds = (self._input.start_time or 0) / float(self._av.time_base)
        self._tracks: dict[int, _Copied | _Encoded] = {}
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None

    def declare(self) -> None:
        """Add a stream to the container for each track."""
        for stream in self._input.streams.audio:
            if stream.codec_context is None:  # a codec that this FFmpeg does not know
                continue
            copied = stream.codec_context.name in self._container.supported_codecs
            self._tracks[stream.index] = (_Copied if copied else _Encoded)(self._container, stream)
        if self._tracks:
            self._packets = self._read()

    def _read(self) -> Iterator[Any]:
        streams = [self._input.streams[index] for index in self._tracks]
        try:
            yield from self._input.demux(streams)
        except self._av.error.FFmpegError:
            return  # damaged or cut short: the reader of the pictures has told of it

    def mux_until(self, seconds: float) -> None:
        """Take over all sound up to a time of the pictures."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = None
            begins = packet.pts if packet.pts is not None else packet.dts
            if begins is None:  # the mark at the end
                continue
            if float(begins * packet.time_base) - self._start_seconds > seconds:
                self._waiting = packet
                return
            self._tracks[packet.stream.index].take(packet, self._start_seconds)

    def finish(self, seconds: float) -> None:
        """Take over the rest up to a time, and what the encoders hold back."""
        self.mux_until(seconds)
        for track in self._tracks.values():
            track.finish()

    def close(self) -> None:
        """Close the video that the sound is from."""
        self._input.close()


class _Copied:
    """A track whose packets go over as they are."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = container.add_stream_from_template(stream)

    def take(self, packet: Any, start_seconds: float) -> None:
        shift = round(start_seconds / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = self._stream
        self._container.mux(packet)

    def finish(self) -> None:
        """Packets are held back nowhere."""


class _Encoded:
    """A track that is encoded anew."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._damage = optional("av", extra="gaze", purpose=_PURPOSE).error.FFmpegError
        self._container = container
        context = stream.codec_context
        name = "libopus" if container.format.name == "webm" else container.default_audio_codec
        rate = 48_000 if name == "libopus" else context.sample_rate
        self._stream = container.add_stream(name, rate=rate, layout=context.layout.name)

    def take(self, packet: Any, start_seconds: float) -> None:
        try:
            frames = packet.decode()
        except self._damage:
            return  # one damaged packet is a click, no reason to lose the rest
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= round(start_seconds / frame.time_base)
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
