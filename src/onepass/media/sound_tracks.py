"""Transfer sound tracks between files, copied or re-encoded, and test in advance whether it works."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from onepass._optional import optional
from onepass.media.times import Timeline

_PURPOSE = "The sound of a video"
# Encoders by container; all others use AAC.
_ENCODERS = {"webm": "libopus"}
_USUAL_LAYOUTS = dict(enumerate(("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1"), 1))
_USUAL_SECONDS = 0.02
TIMEOUT_SECONDS = 10.0  # for a video behind a URL
# Size of the trial before the first frame: about a second of sound.
_TRIAL_PACKETS = 50


class Track(ABC):
    """A sound track that is written to a container, with times of a `Timeline`."""

    def __init__(self, stream: Any) -> None:
        self._timeline = Timeline(_USUAL_SECONDS)
        self._stream = stream

    def place(self, packet: Any, start_seconds: float, joints: Sequence[float] | None) -> float | None:
        """Set a packet's times relative to the start of the pictures, and return its start in seconds.

        Args:
            packet: A non-empty PyAV packet.
            start_seconds: Start of the file in its own times.
            joints: The pictures' time shift at each joint so far; None to use the sound's times alone.

        Returns:
            The start; None at a joint that the pictures have not reached yet.
        """
        unit = packet.time_base
        raw = packet.pts if packet.pts is not None else packet.dts
        given = None if raw is None else float(raw * unit) - start_seconds
        lasts = float((packet.duration or 0) * unit)
        moved = None
        if joints is not None and self._timeline.is_joint(given, lasts):
            joint = len(self._timeline.joints)
            if joint >= len(joints):
                return None
            moved = joints[joint]
        seconds = self._timeline.place(given, lasts, moved=moved)
        packet.pts = packet.dts = round(seconds / unit)
        return seconds

    @abstractmethod
    def take(self, packet: Any) -> None:
        """Write a packet to the container."""

    @abstractmethod
    def finish(self) -> None:
        """Write buffered data to the container."""


Way = Callable[[Any, Any], Track]
"""Takes PyAV's output container and the input stream, adds an output stream, and returns the track."""


class Copied(Track):
    """A track whose packets are copied; broadcast AAC loses its per-packet headers."""

    def __init__(self, container: Any, source: Any) -> None:
        super().__init__(container.add_stream_from_template(source))
        self._container = container
        av = optional("av", extra="gaze", purpose=_PURPOSE)
        self._damage = av.error.FFmpegError
        framed = source.codec_context.name == "aac" and not source.codec_context.extradata
        self._filter = av.bitstream.BitStreamFilterContext("aac_adtstoasc", source) if framed else None

    def take(self, packet: Any) -> None:
        """Copy the packet to the container."""
        unit = packet.time_base
        for each in self._bare(packet):
            each.stream, each.time_base = self._stream, unit
            self._container.mux(each)

    def _bare(self, packet: Any) -> list[Any]:
        if self._filter is None:
            return [packet]
        try:
            bare: list[Any] = self._filter.filter(packet)
        except self._damage:
            return []  # a damaged packet is just a click; keep the rest
        return bare

    def finish(self) -> None:
        """Do nothing: no packets are buffered."""


class Encoded(Track):
    """A track that is decoded and re-encoded with the container's usual codec."""

    def __init__(self, container: Any, source: Any, *, layout: str | None = None) -> None:
        self._av = optional("av", extra="gaze", purpose=_PURPOSE)
        context = source.codec_context
        encoder = _ENCODERS.get(container.format.name, "aac")
        rates = self._av.Codec(encoder, "w").audio_rates or [context.sample_rate]
        rate = min((each for each in rates if each >= context.sample_rate), default=max(rates))
        super().__init__(container.add_stream(encoder, rate=rate, layout=layout or context.layout.name))
        self._container = container
        self._resampler: Any = None
        self._kind: tuple[str, str, int] | None = None
        self._ends = float("-inf")  # the end of the last frame, in seconds

    def take(self, packet: Any) -> None:
        """Decode the packet, re-encode it, and write it to the container."""
        try:
            frames = packet.decode()
        except self._av.error.FFmpegError:
            return  # as above
        for frame in frames:
            if self._follows(frame):
                self._encode(frame)

    def _follows(self, frame: Any) -> bool:
        """Place a frame after the previous one; return False if most of it overlaps, as at a joint of recordings."""
        lasts = frame.samples / frame.sample_rate
        if frame.pts is not None:
            begins = float(frame.pts * frame.time_base)
            if begins < self._ends - lasts / 2:
                return False
            if begins < self._ends:
                frame.pts = round(self._ends / frame.time_base)
            self._ends = float(frame.pts * frame.time_base)
        self._ends += lasts
        return True

    def _encode(self, frame: Any) -> None:
        """Encode a frame of any rate and channels, which can change at joints of recordings."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            self._flush()
            context = self._stream.codec_context
            self._resampler = self._av.AudioResampler(context.format, context.layout, context.sample_rate)
            self._kind = kind
        for each in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(each))

    def _flush(self) -> None:
        for each in self._resampler.resample(None) if self._resampler is not None else ():
            if each is not None:
                self._container.mux(self._stream.encode(each))

    def finish(self) -> None:
        """Flush resampler and encoder to the container."""
        self._flush()
        self._container.mux(self._stream.encode())


def _as_usual(container: Any, source: Any) -> Track:
    """Encode with the usual layout for this number of channels: 5.1 for 5.1(side)."""
    return Encoded(container, source, layout=_USUAL_LAYOUTS.get(source.codec_context.channels, "stereo"))


def _as_stereo(container: Any, source: Any) -> Track:
    return Encoded(container, source, layout="stereo")


WAYS: tuple[Way, ...] = (Copied, Encoded, _as_usual, _as_stereo)
"""The ways, the best first."""


def works(way: Way, location: str, index: int, container: Any) -> bool | None:
    """Try the first second of a track in a container in memory that is like the real one, and play it.

    None where there is no sound in the track at all.

    Args:
        way: How to take the track over.
        location: The video that the sound is from.
        index: The track's stream in it.
        container: PyAV's output container that the sound is meant for.
    """
    av = optional("av", extra="gaze", purpose=_PURPOSE)
    written = io.BytesIO()
    try:
        with av.open(location, timeout=TIMEOUT_SECONDS) as source:
            stream = source.streams[index]
            with av.open(
                written, "w", format=container.format.name, container_options=container.container_options
            ) as trial:
                track = way(trial, stream)
                packets = [packet for packet in islice(source.demux(stream), _TRIAL_PACKETS) if packet.size]
                if not packets:
                    return None
                for packet in packets:
                    track.place(packet, 0.0, None)
                    track.take(packet)
                track.finish()
        written.seek(0)
        with av.open(written) as played:
            return next(played.decode(audio=0), None) is not None
    except (av.error.FFmpegError, ValueError, IndexError):
        return False
