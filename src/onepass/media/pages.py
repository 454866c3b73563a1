"""Files with several pictures (animated WebP, PNG and AVIF, multi-page TIFF), and detection of picture files."""

from __future__ import annotations

import enum
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import MediaError
from onepass._optional import optional
from onepass.media import by_pillow
from onepass.media.decoding import is_heic
from onepass.media.frames import Frame, Source
from onepass.media.times import Timeline

_HEAD_BYTES = 1 << 10
_ANIMATED = {"WEBP", "PNG", "AVIF"}
_USUAL_SECONDS = 0.1  # the duration that browsers assume for pictures without one
# The end of one JPEG and the start of the next; some cameras put zeros between them.
_JOINED_JPEGS = re.compile(rb"\xff\xd9\x00*\xff\xd8\xff")


class Kind(enum.Enum):
    """The content of a file: one picture, pages, an animation, concatenated JPEGs, or something else, say a video."""

    PICTURE = enum.auto()
    PAGES = enum.auto()
    ANIMATION = enum.auto()
    JPEGS = enum.auto()
    NO_PICTURE = enum.auto()


def kind_of(path: Path) -> Kind:
    """Return the kind of a file according to its content; an animated GIF counts as a video.

    Raises:
        MediaError: The file cannot be read.
        MissingExtraError: OpenCV or Pillow is not installed.
    """
    cv2 = optional("cv2", extra="gaze", purpose="Reading pictures")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise MediaError(f"cannot read {path}: {error.strerror or error}") from error
    if is_heic(head):
        return Kind.PICTURE
    image = by_pillow.opened(path, path.name)
    if image is None:
        return Kind.PICTURE if cv2.haveImageReader(os.fspath(path)) else Kind.NO_PICTURE
    with image:
        many = by_pillow.count(image) > 1
        if many and image.format in _ANIMATED:
            return Kind.ANIMATION
        if many and image.format == "TIFF":
            return Kind.PAGES
        if image.format == "JPEG" and _are_joined(path):
            return Kind.JPEGS
        return Kind.NO_PICTURE if many and image.format == "GIF" else Kind.PICTURE


def _are_joined(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _JOINED_JPEGS.search(data) is not None


class PagesSource(Source):
    """All pictures of a file: pages without times, or one run of an animation with its own times."""

    def __init__(self, path: str | os.PathLike[str], *, animated: bool) -> None:
        """Open the file.

        Args:
            path: A file that Pillow can read.
            animated: Whether the pictures form a sequence.

        Raises:
            MediaError: The file cannot be read.
        """
        super().__init__(os.fspath(path))
        self._path = Path(path)
        self._image: Any = by_pillow.opened(self._path, self.name)
        if self._image is None:
            raise MediaError(f"{self.name} contains no readable pictures")
        self.sequence = animated
        self.frame_count = by_pillow.count(self._image)

    def __iter__(self) -> Iterator[Frame]:
        timeline, lasts = Timeline(_USUAL_SECONDS), 0.0
        for index in range(self.frame_count or 0):
            try:
                with by_pillow.damage_said(f"{self.name} contains no readable picture"):
                    self._image.seek(index)
                    self._image.load()
                    picture = np.array(self._image.convert("RGB"))
            except MediaError:
                if index == 0:
                    raise
                self.notes.append(f"{self.name} is damaged: only {index} of {self.frame_count} pictures could be read")
                return
            lasts = float(self._image.info.get("duration") or 0) / 1000
            seconds = timeline.place(None, lasts) if self.sequence else None
            name = f"{index:06}.jpg" if self.sequence else f"{self._path.stem}-{index + 1:04}{self._path.suffix}"
            yield Frame(picture, index, seconds, name)

    def close(self) -> None:
        """Close the file."""
        self._image.close()
