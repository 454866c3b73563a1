"""Standard input and named pipes, which can be read only once."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, BinaryIO

from onepass._errors import MediaError
from onepass.drafts import is_special

STDIN = "-"
_CHUNK_BYTES = 1 << 16
# Signatures of picture formats, and their offsets.
_JPEG = b"\xff\xd8\xff"
_PICTURES = (
    (0, b"\x89PNG"), (0, b"GIF8"), (0, b"BM"), (0, b"II*\x00"), (0, b"MM\x00*"), (8, b"WEBP"),
    (8, b"avif"), (8, b"heic"), (8, b"heix"), (8, b"mif1"),
)  # fmt: skip


def is_pipe(location: str) -> bool:
    """Whether this is standard input, or the path of a pipe or a device."""
    return location == STDIN or is_special(location)


class Pipe:
    """A pipe that can look ahead at its first bytes.

    Attributes:
        name: Name for messages.
    """

    def __init__(self, location: str) -> None:
        """Open the pipe; this waits for a writer.

        Raises:
            MediaError: The pipe cannot be opened, or is a terminal.
        """
        self.name = "stdin" if location in {STDIN, "/dev/stdin"} else location
        self._head = bytearray()
        self._spooled: IO[bytes] | None = None
        try:
            file: BinaryIO = sys.stdin.buffer if location == STDIN else Path(location).open("rb")  # noqa: SIM115
        except OSError as error:
            raise MediaError(f"cannot read {location}: {error.strerror or error}") from error
        if file.isatty():
            raise MediaError(f"{self.name} is a terminal; send a picture or a video through a pipe")
        self._file = file

    def picture(self) -> bytes | None:
        """Return the whole content if it is a picture; return None, without losing data, if it is a video.

        Concatenated JPEGs count as a video.
        """
        self._fill(16)
        if self._head.startswith(_JPEG):
            searched = 0
            while self._head.find(b"\xff\xd9" + _JPEG, searched) < 0:
                searched = max(0, len(self._head) - len(_JPEG) - 1)
                if not self._fill(len(self._head) + 1):
                    return bytes(self._head)
            return None
        if not any(self._head[place:].startswith(mark) for place, mark in _PICTURES):
            return None
        while self._fill(len(self._head) + 1):
            pass
        return bytes(self._head)

    def file(self) -> Any:
        """Return a file object for PyAV: this pipe, or a temporary file if the video's index comes last."""
        if not self._index_comes_last():
            return self
        spooled = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        while data := self.read(_CHUNK_BYTES):
            spooled.write(data)
        spooled.seek(0)
        self._spooled = spooled
        return spooled

    def _index_comes_last(self) -> bool:
        """Whether this is an MP4 or MOV, made of boxes with size and name, whose frames precede its index."""
        place = 0
        while self._fill(place + 8):
            size, name = int.from_bytes(self._head[place : place + 4], "big"), self._head[place + 4 : place + 8]
            if name == b"mdat" or (place == 0 and name != b"ftyp"):
                return place > 0
            if name == b"moov" or size < 8:
                return False
            place += size
        return False

    def _fill(self, size: int) -> bool:
        """Read until the head has this size; return False at the end of the data."""
        while len(self._head) < size:
            data = os.read(self._file.fileno(), _CHUNK_BYTES)
            if not data:
                return False
            self._head += data
        return True

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes as soon as some are available; none at the end."""
        if self._head:
            data = bytes(self._head[:size])
            del self._head[:size]
            return data
        return os.read(self._file.fileno(), size)

    def close(self) -> None:
        """Close the pipe, so that its writer notices."""
        if self._spooled is not None:
            self._spooled.close()
        if self._file is not sys.stdin.buffer:
            self._file.close()
