"""The browser's camera as a source: frames come as messages, and the newest one counts."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from onepass._errors import InputError
from onepass.media import Frame, Source
from onepass.media.channel import Channel
from onepass.media.decoding import decode_picture

HEADER = struct.Struct("<dI")
"""What a frame's message begins with: its time in seconds since the camera was started, and its number from 0."""

_MAX_SECONDS = 30 * 86_400.0

MAX_FRAME_BYTES = 8 << 20
"""How large the message of a frame may be."""


class BrowserCamera(Source):
    """Frames that a browser sends, each the picture file (JPEG) after a `HEADER`.

    Frames may come from any thread. One that nobody had time for gives way to the next.
    """

    live = True
    sequence = True

    def __init__(self) -> None:
        """Begin with no frame."""
        super().__init__("the camera")
        self._waiting: Channel[bytes] = Channel(1, newest=True)

    def put(self, message: bytes) -> None:
        """Give the next frame.

        Raises:
            InputError: The message is no frame.
        """
        if not HEADER.size < len(message) <= MAX_FRAME_BYTES:
            raise InputError(
                f"a frame is {HEADER.size} bytes of time and number and then a picture, {MAX_FRAME_BYTES} bytes in all "
                f"at most; got {len(message)}"
            )
        self._waiting.put(message)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame, and wait for the next; end when the source is stopped.

        Raises:
            MediaError: What came holds no picture.
            InputError: A frame has no time, or one before that of the last.
        """
        before = -1.0
        while taken := self._waiting.take():
            seconds, index = HEADER.unpack_from(taken[0])
            if not before <= seconds <= _MAX_SECONDS:
                raise InputError(
                    f"frames must come in the order of their times, and within {_MAX_SECONDS:.0f} seconds; "
                    f"got {seconds} seconds after {before}"
                )
            before = seconds
            name = f"{index:06}.jpg"
            yield Frame(decode_picture(taken[0][HEADER.size :], f"frame {index} of the camera"), index, seconds, name)

    def stop(self) -> None:
        """Let the iteration end, whether a frame waits or not."""
        self._waiting.stop()
