"""The browser's camera as a source: frames arrive as messages, and the newest one counts."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from onepass._errors import InputError
from onepass.media import Frame, Source
from onepass.media.channel import Channel
from onepass.media.decoding import decode_picture

HEADER = struct.Struct("<dI")
"""The header of a frame message: time in seconds since the camera was started, and frame number from 0."""

_MAX_SECONDS = 30 * 86_400.0

MAX_FRAME_BYTES = 8 << 20
"""Maximum size of a frame message."""


class BrowserCamera(Source):
    """Frames from a browser, each a `HEADER` followed by a picture file (JPEG).

    Frames may arrive from any thread. A new frame replaces an unprocessed one.
    """

    live = True
    sequence = True

    def __init__(self) -> None:
        """Start without a frame."""
        super().__init__("the camera")
        self._waiting: Channel[bytes] = Channel(1, newest=True)

    def put(self, message: bytes) -> None:
        """Add the next frame.

        Raises:
            InputError: The message is not a frame.
        """
        if not HEADER.size < len(message) <= MAX_FRAME_BYTES:
            raise InputError(
                f"a frame message must have {HEADER.size} bytes of time and number and then a picture, at most "
                f"{MAX_FRAME_BYTES} bytes in all; got {len(message)}"
            )
        self._waiting.put(message)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame, and wait for the next, until the source is stopped.

        Raises:
            MediaError: A frame contains no readable picture.
            InputError: A frame's time is invalid, or earlier than the previous one.
        """
        before = -1.0
        while taken := self._waiting.take():
            seconds, index = HEADER.unpack_from(taken[0])
            if not before <= seconds <= _MAX_SECONDS:
                raise InputError(
                    f"frame times must increase and stay below {_MAX_SECONDS:.0f} seconds; got {seconds} seconds after "
                    f"{before}"
                )
            before = seconds
            name = f"{index:06}.jpg"
            yield Frame(decode_picture(taken[0][HEADER.size :], f"frame {index} of the camera"), index, seconds, name)

    def stop(self) -> None:
        """End the iteration, whether a frame is waiting or not."""
        self._waiting.stop()
