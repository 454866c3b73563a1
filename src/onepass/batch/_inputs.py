"""What a batch is given, as rows in an order that is the same in every run, and in parts, each of which is one file."""

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
# Of a part that nobody has said the size of: so many parts, within these limits.
_PARTS, _FEWEST_ROWS, _MOST_ROWS = 128, 256, 8192


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that follow one another; what comes of them is one file.

    Attributes:
        number: Its number, from 0.
        first: Number of its first row among all.
        folder: Where files lie.
        files: Files that are a row each, below the folder; these names are the rows' keys.
        slices: Or rows of tables: the file, the first row of it and the one behind the last.
    """

    number: int
    first: int
    folder: str = ""
    files: tuple[str, ...] = ()
    slices: tuple[tuple[str, int, int], ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.files) + sum(stop - start for _, start, stop in self.slices)

    @property
    def file(self) -> str:
        """Name of the file that comes of it."""
        return f"part-{self.number:05}.parquet"

    def to_json(self) -> dict[str, Any]:
        """Return the part as plain JSON values; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        """Read what `to_json` wrote."""
        slices = tuple((str(path), int(start), int(stop)) for path, start, stop in data["slices"])
        return cls(**{**data, "files": tuple(data["files"]), "slices": slices})


@dataclass(frozen=True, slots=True)
class Inputs:
    """All rows.

    Attributes:
        folder: Where files that are a row each lie.
        files: Their names below it, in order.
        tables: Or files with many rows, in order.
        counts: How many rows each of these has.
        columns: Their columns; None where only their rows tell.
        passed_over: How many files of a folder are left alone, since their endings are of nothing that can be read.
    """

    folder: str
    files: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    columns: tuple[str, ...] | None = None
    passed_over: int = 0

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.files) + sum(self.counts)

    def rows_a_part(self, *, gaze: bool = False) -> int:
        """Return how many rows a part has where nobody says so; of videos one."""
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
        """Return what tells these inputs from others, and from what they were before a change."""
        paths = self.tables or tuple(os.path.join(self.folder, name) for name in self.files)  # noqa: PTH118 - a million
        stamps = [_stamp(path) for path in paths]
        return {"rows": self.rows, "files": len(paths), "digest": short_digest([self.files or paths, stamps])}


def _stamp(path: str) -> tuple[int, int] | None:
    """Return what tells one state of a file from another; None where there is none, which its row will say."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def find_inputs(inputs: Any, *, gaze: bool = False) -> Inputs:
    """Find what a batch is given.

    Args:
        inputs: A folder, a pattern with ``*`` in it, a file, or a list of files. A folder is looked through with the
            folders in it; a file that is hidden, or whose ending is of no picture and no array, is left alone. Files
            that a pattern or a list names are rows whatever their ending. A Parquet file, a folder of such, a single
            ``.npz`` or ``.npy`` or a ``.jsonl`` has many rows.
        gaze: Whether videos are looked for too, and arrays are not.

    Raises:
        InputError: There is nothing, or files with many rows beside others.
    """
    words = path_tuple(inputs, what="inputs")
    if not words:
        raise InputError("inputs names nothing; give a folder, a pattern, or files")
    if len(words) == 1 and not _is_wild(words[0]):
        path = Path(words[0])
        if path.is_dir():
            return _in_folder(path, gaze=gaze)
        if not path.exists():
            raise InputError(f"there is no file or folder {words[0]!r} (in {Path.cwd()}); check the path")
        if path.suffix.lower() in TABLE_SUFFIXES and not gaze:
            return _tables([path])
        return Inputs(str(path.absolute().parent), (path.name,))
    names = [name for word in words for name in (_matched(word) if _is_wild(word) else [word])]
    tables = [name for name in names if Path(name).suffix.lower() in (".parquet", ".jsonl")]
    if tables and not gaze:
        if len(tables) < len(names):
            raise InputError(f"{tables[0]} has many rows, and {_other(names, tables)} is one; give them to two batches")
        return _tables([Path(name) for name in names])
    missing = next((name for name in names if not Path(name).is_file()), None)
    if missing is not None:
        raise InputError(f"there is no file {missing!r} (in {Path.cwd()}); check the path")
    return Inputs(str(Path.cwd()), tuple(names))


def _other(names: Sequence[str], tables: Sequence[str]) -> str:
    return next(name for name in names if name not in tables)


def _is_wild(word: str) -> bool:
    return bool(_WILD & set(word)) and not Path(word).exists()


def _matched(pattern: str) -> list[str]:
    found = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207 - as typed
    if not found:
        raise InputError(f"no file fits {pattern!r} (in {Path.cwd()}); check the pattern")
    return found


def _in_folder(folder: Path, *, gaze: bool) -> Inputs:
    names = sorted(_below(folder))
    suffixes = {name: os.path.splitext(name)[1].lower() for name in names}  # noqa: PTH122 - there may be a million
    tables = [] if gaze else [name for name in names if suffixes[name] == ".parquet"]
    files = tuple(name for name in names if suffixes[name] in _WANTED[gaze])
    if tables and files:
        raise InputError(f"{folder} holds {tables[0]}, which has many rows, and {files[0]}, which is one; choose one")
    if tables:
        return _tables([folder / name for name in tables])
    if not names:
        raise InputError(f"{folder} has no files; those whose names begin with '.' or '_' are passed over")
    if not files:
        kinds = "pictures and videos" if gaze else "pictures, arrays and Parquet files"
        raise InputError(
            f"{folder} holds nothing to read among its {len(names)} file(s); {kinds} are known by their "
            "endings, such as .jpg, and a pattern takes files with any"
        )
    return Inputs(str(folder.absolute()), files, passed_over=len(names) - len(files))


def _below(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, parts of names with ``/`` between, without hidden ones.

    Links to folders are followed, and each folder is entered once, however many links lead to it.
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
                f"{table.path} has the columns {', '.join(table.columns or ())}, and {tables[0].path} has "
                f"{', '.join(columns or ())}; files of one data set have the same columns"
            )
    if not sum(counts):
        raise InputError(f"{paths[0]} has no rows")
    return Inputs("", tables=found, counts=counts, columns=columns)
