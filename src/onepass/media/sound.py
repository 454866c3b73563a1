"""Transfer the sound of one video to another."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import Any

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.media.sound_tracks import TIMEOUT_SECONDS, WAYS, Track, works

_PURPOSE = "The sound of a video"
# Errors after which pictures cannot be written, either.
_NO_PLACE = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, errno.EPIPE, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Sound:
    """Transfer a video's sound tracks to a container, in step with the pictures.

    A track is copied if the container supports its codec, and otherwise re-encoded with the container's usual codec; a
    trial before the first picture shows what works. A track for which nothing works is omitted and noted. Problems with
    sound never end the pictures.
    """

    def __init__(
        self, location: str | os.PathLike[str], container: Any, notes: list[str], joints: Sequence[float] = ()
    ) -> None:
        """Open the video.

        Args:
            location: The video with the sound; it may have none.
            container: PyAV's output container.
            notes: Gets notes about omitted sound.
            joints: The pictures' time shift at each joint of recordings so far; at a joint, sound waits for the
                pictures.

        Raises:
            MediaError: The video cannot be opened.
        """
        self._notes = notes
        self._av = optional("av", extra="gaze", purpose=_PURPOSE)
        self._container = container
        self._location = os.fspath(location)
        try:
            self._input = self._av.open(self._location, timeout=TIMEOUT_SECONDS)
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"cannot read the sound of {location}: {error}") from error
        self._start_seconds = (self._input.start_time or 0) / float(self._av.time_base)
        self._tracks: dict[int, Track] = {}
        self._packets: Iterator[Any] = iter(())
        self._joints: Sequence[float] | None = joints
        self._waiting: Any = None  # a packet that is not due yet; `_begins` is its start, if known
        self._begins: float | None = None

    def declare(self) -> None:
        """Add a stream to the container for each track that can be transferred."""
        for number, stream in enumerate(self._input.streams.audio, 1):
            if stream.codec_context is None:  # a codec that this FFmpeg does not support
                self._leave_out(f"sound track {number} of {self._location}")
                continue
            for way in WAYS:
                done = works(way, self._location, stream.index, self._container)
                if done:
                    self._tracks[stream.index] = way(self._container, stream)
                if done is not False:
                    break
            else:
                self._leave_out(f"sound track {number} of {self._location} ({stream.codec_context.name})")
        if self._tracks:
            self._packets = self._read()

    def _leave_out(self, track: str) -> None:
        self._notes.append(f"omitted {track}: {self._container.format.name} does not support it")

    def _read(self) -> Iterator[Any]:
        streams = [self._input.streams[index] for index in self._tracks]
        try:
            yield from (packet for packet in self._input.demux(streams) if packet.size)  # the last one is empty
        except (self._av.error.FFmpegError, IndexError):
            return  # damaged or truncated: the reader of the pictures reports it

    def mux_until(self, seconds: float) -> None:
        """Transfer all sound up to a time of the pictures."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            track = self._tracks[packet.stream.index]
            self._waiting = packet
            if self._begins is None:
                self._begins = track.place(packet, self._start_seconds, self._joints)
            if self._begins is None or self._begins > seconds:
                return
            self._waiting = self._begins = None
            try:
                track.take(packet)
            except (self._av.error.FFmpegError, ValueError) as error:
                self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Continue without sound after a write error, and note it.

        Raises:
            Exception: The error, if pictures cannot be written, either.
        """
        if not self._tracks or getattr(error, "errno", None) in _NO_PLACE:
            raise error
        reason = getattr(error, "strerror", None) or error
        self._notes.append(f"the sound of {self._location} ends early: {reason}")
        self._tracks, self._packets, self._waiting = {}, iter(()), None
        self._begins = None

    def finish(self, seconds: float) -> None:
        """Transfer the rest up to a time, and flush the encoders."""
        self._joints = None  # there are no more pictures
        self.mux_until(seconds)
        for track in list(self._tracks.values()):
            try:
                track.finish()
            except (self._av.error.FFmpegError, ValueError) as error:
                self.give_up(error)
                return

    def close(self) -> None:
        """Close the video with the sound."""
        self._input.close()
