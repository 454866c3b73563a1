"""The inputs of a batch job: rows in an order that is the same in every run, split into parts of one file each."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass.artifacts import path_tuple
from onepass.batch._job import short_digest
from onepass.batch._tables import TABLE_SUFFIXES, open_table
from onepass.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES

_PICTURES = (*PICTURE_SUFFIXES, ".avif", ".gif", ".heic", ".heif", ".tga")
_VIDEOS = (*VIDEO_SUFFIXES, ".avi", ".flv", ".m4v", ".mpeg", ".mpg", ".mts", ".ts", ".wmv")
_WANTED = {False: {*_PICTURES, ".npy", ".npz"}, True: {*_PICTURES, *_VIDEOS}}
_WILD = frozenset("*?[")
# The default part size: this many parts, within these limits.
_PARTS, _FEWEST_ROWS, _MOST_ROWS = 128, 256, 8192


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows whose results go to one file.

    Attributes:
        number: The part's number, from 0.
        first: The number of its first row among all rows.
        folder: The folder of `files`.
        files: Files of one row each, relative to the folder; their names are the rows' keys.
        slices: Alternatively rows of tables: file, first row, and end (exclusive).
    """

    number: int
    first: int
    folder: str = ""
    files: tuple[str, ...] = ()
    slices: tuple[tuple[str, int, int], ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.files) + sum(stop - start for _, start, stop in self.slices)

    @property
    def file(self) -> str:
        """Name of its output file."""
        return f"part-{self.number:05}.parquet"

    def to_json(self) -> dict[str, Any]:
        """Return the part as plain JSON values, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        """Return the part that `to_json` wrote."""
        slices = tuple((str(path), int(start), int(stop)) for path, start, stop in data["slices"])
        return cls(**{**data, "files": tuple(data["files"]), "slices": slices})


@dataclass(frozen=True, slots=True)
class Inputs:
    """All input rows.

    Attributes:
        folder: The folder of `files`.
        files: Files of one row each, relative to the folder, in order.
        tables: Alternatively files with many rows, in order.
        counts: Number of rows of each table.
        columns: The tables' columns; None if only the rows name them.
        passed_over: Number of ignored files in the folder, whose suffixes are not supported.
    """

    folder: str
    files: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    columns: tuple[str, ...] | None = None
    passed_over: int = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.files) + sum(self.counts)

    def rows_a_part(self, *, gaze: bool = False) -> int:
        """Return the default number of rows per part; 1 for videos."""
        if gaze and any(name.lower().endswith(_VIDEOS) for name in self.files):
            return 1
        return min(_MOST_ROWS, max(_FEWEST_ROWS, -(-self.rows // _PARTS)))

    def parts(self, size: int) -> Iterator[Part]:
        """Yield parts of `size` rows; the last may have fewer."""
        if self.files:
            for number, first in enumerate(range(0, len(self.files), size)):
                yield Part(number, first, self.folder, files=self.files[first : first + size])
            return
        number, first = 0, 0
        waiting: list[tuple[str, int, int]] = []
        for path, count in zip(self.tables, self.counts, strict=True):
            at = 0
            while at < count:
                room = size - sum(stop - start for _, start, stop in waiting)
                waiting.append((path, at, min(count, at + room)))
                at = waiting[-1][2]
                if at - waiting[-1][1] == room:
                    yield Part(number, first, slices=tuple(waiting))
                    number, first, waiting = number + 1, first + size, []
        if waiting:
            yield Part(number, first, slices=tuple(waiting))

    def identity(self) -> dict[str, Any]:
        """Return a value that differs for other inputs, and after the inputs change."""
        paths = self.tables or tuple(os.path.join(self.folder, name) for name in self.files)  # noqa: PTH118 - a million
        stamps = [_stamp(path) for path in paths]
        return {"rows": self.rows, "files": len(paths), "digest": short_digest([self.files or paths, stamps])}


def _stamp(path: str) -> tuple[int, int] | None:
    """Return a file's size and time of change; None if the file is missing, which its row will report."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def find_inputs(inputs: Any, *, gaze: bool = False) -> Inputs:
    """Find the rows of a batch job.

    Args:
        inputs: A folder, a pattern with ``*``, a file, or a list of files. Folders are searched recursively; hidden
            files, and files with suffixes of neither pictures nor arrays, are ignored. Files from a pattern or a list
            are rows whatever their suffix. A Parquet file, a folder of Parquet files, a single ``.npz`` or ``.npy``,
            or a ``.jsonl`` has many rows.
        gaze: Whether to look for videos as well, and to ignore arrays.

    Raises:
        InputError: There are no inputs, or tables are mixed with files of one row.
    """
    words = path_tuple(inputs, what="inputs")
    if not words:
        raise InputError("no inputs given; pass a folder, a pattern, or files")
    if len(words) == 1 and not _is_wild(words[0]):
        path = Path(words[0])
        if path.is_dir():
            return _in_folder(path, gaze=gaze)
        if not path.exists():
            raise InputError(f"file or folder {words[0]!r} not found (in {Path.cwd()}); check the path")
        if path.suffix.lower() in TABLE_SUFFIXES and not gaze:
            return _tables([path])
        return Inputs(str(path.absolute().parent), (path.name,))
    names = [name for word in words for name in (_matched(word) if _is_wild(word) else [word])]
    tables = [name for name in names if Path(name).suffix.lower() in (".parquet", ".jsonl")]
    if tables and not gaze:
        if len(tables) < len(names):
            raise InputError(
                f"cannot mix tables, such as {tables[0]}, with files of one row, such as {_other(names, tables)}; "
                "run two batches"
            )
        return _tables([Path(name) for name in names])
    missing = next((name for name in names if not Path(name).is_file()), None)
    if missing is not None:
        raise InputError(f"file {missing!r} not found (in {Path.cwd()}); check the path")
    return Inputs(str(Path.cwd()), tuple(names))


def _other(names: Sequence[str], tables: Sequence[str]) -> str:
    return next(name for name in names if name not in tables)


def _is_wild(word: str) -> bool:
    return bool(_WILD & set(word)) and not Path(word).exists()


def _matched(pattern: str) -> list[str]:
    found = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207 - as typed
    if not found:
        raise InputError(f"no file matches {pattern!r} (in {Path.cwd()}); check the pattern")
    return found


def _in_folder(folder: Path, *, gaze: bool) -> Inputs:
    names = sorted(_below(folder))
    suffixes = {name: os.path.splitext(name)[1].lower() for name in names}  # noqa: PTH122 - there may be a million
    tables = [] if gaze else [name for name in names if suffixes[name] == ".parquet"]
    files = tuple(name for name in names if suffixes[name] in _WANTED[gaze])
    if tables and files:
        raise InputError(
            f"{folder} mixes tables, such as {tables[0]}, with files of one row, such as {files[0]}; select one kind "
            "with a pattern"
        )
    if tables:
        return _tables([folder / name for name in tables])
    if not names:
        raise InputError(f"{folder} has no files; files whose names start with '.' or '_' are ignored")
    if not files:
        kinds = "pictures and videos" if gaze else "pictures, arrays and Parquet files"
        raise InputError(
            f"none of the {len(names)} file(s) in {folder} can be read; {kinds} are recognized by their suffixes, such "
            "as .jpg. A pattern accepts files with any suffix"
        )
    return Inputs(str(folder.absolute()), files, passed_over=len(names) - len(files))


def _below(folder: Path) -> Iterator[str]:
    """Yield the relative names of all files below a folder, separated by ``/``, without hidden files.

    Links to folders are followed; each folder is entered once, however many links lead to it.
    """
    entered = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders[:] = []
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        inner = Path(place).relative_to(folder).as_posix()
        yield from (name if inner == "." else f"{inner}/{name}" for name in files if not name.startswith((".", "_")))


def _tables(paths: Sequence[Path]) -> Inputs:
    found = tuple(str(path.absolute()) for path in paths)
    tables = [open_table(path) for path in found]
    counts, columns = tuple(table.count() for table in tables), tables[0].columns
    for table in tables:
        if table.columns != columns:
            raise InputError(
                f"{table.path} has the columns {', '.join(table.columns or ())}, but {tables[0].path} has "
                f"{', '.join(columns or ())}; all files of a data set must have the same columns"
            )
    if not sum(counts):
        raise InputError(f"{paths[0]} has no rows")
    return Inputs("", tables=found, counts=counts, columns=columns)
