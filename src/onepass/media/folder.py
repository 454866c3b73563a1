"""Pictures and folders of pictures as sources and sinks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from onepass._errors import MediaError
from onepass.artifacts import free_name
from onepass.drafts import check_target
from onepass.media.decoding import decode_picture
from onepass.media.frames import Frame, Sink, Source
from onepass.media.pages import Kind, kind_of
from onepass.media.pictures import PICTURE_SUFFIXES, Picture, read_picture, write_picture

_MAX_NAME_BYTES = 255


class PictureSource(Source):
    """One picture file, as `read_picture` reads it."""

    frame_count = 1

    def __init__(self, path: str | os.PathLike[str], data: bytes | None = None) -> None:
        """Set the picture.

        Args:
            path: The file, or a name for messages.
            data: The content, if it was read already.
        """
        super().__init__(os.fspath(path))
        self._path, self._data = Path(path), data

    def __iter__(self) -> Iterator[Frame]:
        if self._data is None:
            picture = read_picture(self._path, self.notes)
        else:
            picture = decode_picture(self._data, self.name, self.notes)
        yield Frame(picture, 0, None, self._path.name)


class FolderSource(Source):
    """The pictures of a folder, sorted by name with numbers by value. Other files are skipped and noted."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """List the folder; subfolders and hidden files are ignored.

        Raises:
            MediaError: The folder does not exist, or contains no picture.
        """
        super().__init__(os.fspath(path))
        folder = Path(path)
        if not folder.is_dir():
            raise MediaError(f"folder {str(folder)!r} not found (in {Path.cwd()}); check the path")
        files = [each for each in folder.iterdir() if each.is_file() and not each.name.startswith(".")]
        self._paths: list[Path] = []
        for each in sorted(files, key=_natural):
            try:
                kind = kind_of(each)
            except MediaError as error:
                self.notes.append(f"skipped: {error}")
                continue
            if kind in {Kind.NO_PICTURE, Kind.JPEGS}:
                self.notes.append(f"skipped: {each} is not a picture")
                continue
            self._paths.append(each)
            if kind is not Kind.PICTURE:
                self.notes.append(f"{each} has several pictures: only the first is used; open the file itself for all")
        if not self._paths:
            raise MediaError(
                f"{folder} contains no picture, only {len(files)} other file(s); expected JPEG, PNG, WebP or similar"
            )
        self.frame_count = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        read = 0
        for index, path in enumerate(self._paths):
            try:
                picture = read_picture(path, self.notes)
            except MediaError as error:
                self.notes.append(f"skipped: {error}")
            else:
                read += 1
                yield Frame(picture, index, None, path.name)
        if not read:
            raise MediaError(f"none of the {len(self._paths)} picture(s) in {self.name} can be read")


def fitting_name(stem: str, ending: str) -> str:
    """Return stem and ending as a file name; the stem is shortened to the maximum length of a file name."""
    room = _MAX_NAME_BYTES - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that compares digits as numbers: 2 before 10."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


class PictureSink(Sink):
    """One picture file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Set the file.

        Raises:
            MediaError: The file cannot be written: it is a folder or read-only, or its folder is missing.
        """
        super().__init__()
        self._path = Path(path)
        try:
            check_target(self._path)
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror or error}") from error

    def write(self, frame: Frame, picture: Picture) -> None:
        """Write the file; a second picture is refused, because it would overwrite the first."""
        if frame.index > 0:
            raise MediaError(f"{self._path} can hold only one picture; use a folder or a video for more")
        write_picture(self._path, picture)

    def close(self) -> None:
        """Do nothing: the file is complete."""


class FolderSink(Sink):
    """A folder with one picture per frame, named after the frame, with unique names."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Create the folder.

        Raises:
            MediaError: The folder cannot be created.
        """
        super().__init__()
        self._folder = Path(path)
        self._taken: set[str] = set()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"cannot create the folder {self._folder}: {error.strerror or error}") from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise MediaError(f"the folder {self._folder} is read-only; make it writable, or choose another folder")

    def write(self, frame: Frame, picture: Picture) -> None:
        """Write one file; read-only formats become PNG."""
        known = Path(frame.name).suffix.lower() in PICTURE_SUFFIXES
        path = Path(frame.name if known else fitting_name(frame.name, ".png"))
        write_picture(self._folder / free_name(path.stem, path.suffix, self._taken), picture)

    def close(self) -> None:
        """Do nothing: all files are complete."""
