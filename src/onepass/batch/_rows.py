"""Run rows through a model: prepare each row, batch several in one pass, and return outputs or an error per row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from onepass._array_files import read_array, read_arrays
from onepass._errors import BackendError, InputError, MediaError, MissingExtraError, OnepassError
from onepass.batch._axis import Axis
from onepass.batch._columns import column, fields_of, free_name, pyarrow, text
from onepass.batch._job import Job, named_function
from onepass.media.decoding import decode_picture
from onepass.media.pictures import read_picture
from onepass.media.tensors import tensor_from_picture
from onepass.outputs import Array, Outputs
from onepass.runtime import Session
from onepass.tensors import STRING, TensorSpec

T = TypeVar("T")
Feeds = Mapping[str, Array]


class Item(NamedTuple):
    """An input row.

    Attributes:
        key: The row's name.
        value: The path of a file, or values by table column, or the error that prevented reading.
    """

    key: str
    value: str | Mapping[str, Any] | InputError


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a row: outputs, or an error message."""

    key: str
    outputs: Mapping[str, Array] | None = None
    error: str | None = None


class Rows:
    """Run rows through a session.

    Attributes:
        axis: How rows are stacked into passes.
        schema: The Arrow schema of the results: key, error, outputs.
    """

    def __init__(self, session: Session, job: Job) -> None:
        self._session, self._job = session, job
        self.axis = Axis.of(session.signature, job.outputs, job.batch)
        self._names = tuple(self.axis.outputs)
        self._own = None if job.preprocess is None else named_function(job.preprocess)
        pa = pyarrow()
        self.key = free_name("key", self._names)
        self.error = free_name("error", self._names)
        ours = [pa.field(self.key, pa.string(), nullable=False), pa.field(self.error, pa.string())]
        self.schema = pa.schema([*ours, *fields_of(self.axis.outputs)])

    def done(self, items: Iterable[Item], *, threads: int, passes: int) -> Iterator[list[Done]]:
        """Yield results in order, a few at a time; some rows are prepared while others are in the model.

        Args:
            items: The rows.
            threads: How many rows are prepared concurrently.
            passes: How many passes run concurrently.
        """
        size = self.axis.rows
        with ThreadPoolExecutor(threads, thread_name_prefix="onepass-ready") as pool:
            ready = ahead((pool.submit(self._ready, item) for item in items), 2 * max(size, threads))
            chunks = iter(lambda: list(islice(ready, size)), [])
            begun = (self._begun(chunk) for chunk in chunks)
            yield from in_order(begun, passes, self._ended)

    def one(self, item: Item) -> Done:
        """Return the result of one row."""
        return self._ended(self._begun([self._ready(item)]))[0]

    def table(self, done: Sequence[Done]) -> Any:
        """Return results as an Arrow table with the schema."""
        pa = pyarrow()
        errors = [None if row.error is None else text(row.error) for row in done]
        columns = [pa.array([text(row.key) for row in done], pa.string()), pa.array(errors, pa.string())]
        for name, spec in self.axis.outputs.items():
            columns.append(column(spec, [None if row.outputs is None else row.outputs[name] for row in done]))
        return pa.Table.from_arrays(columns, schema=self.schema)

    # ---- one row by itself

    def _ready(self, item: Item) -> tuple[str, Feeds | str]:
        """Return a row's key, and its inputs or its error; only a missing extra, common to all rows, ends the job."""
        try:
            value = _valid("", item.value)
            feeds = self._feeds(value) if self._own is None else self._owned(value)
            return item.key, self.axis.checked(feeds)
        except MissingExtraError:
            raise
        except OnepassError as error:
            return item.key, str(error)
        except Exception as error:  # noqa: BLE001 - an error of a library about this row
            return item.key, f"{type(error).__name__}: {error}"

    def _owned(self, value: Any) -> Mapping[str, Any]:
        """Return the result of the user's function for a row; its exceptions become the row's error."""
        given = self._item(value)
        try:
            made = self._own(given)  # type: ignore[misc]
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise InputError(f"{self._job.preprocess} raised {type(error).__name__}: {error}") from error
        if made is None:
            raise InputError(
                f"{self._job.preprocess} returned None; expected an array, or a mapping from input to array"
            )
        return made if isinstance(made, Mapping) else {self._only(): made}

    def _item(self, value: Any) -> Any:
        """Return the argument of the user's function: a picture, arrays by name, or a table's row."""
        if not isinstance(value, str):
            return {name: _valid(name, each) for name, each in value.items()}
        suffix = Path(value).suffix.lower()
        if suffix == ".npz":
            return read_arrays(value)
        return read_array(value) if suffix == ".npy" else read_picture(value)

    def _feeds(self, value: str | Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(value, str):
            if Path(value).suffix.lower() == ".npz":
                return read_arrays(value)
            name = self._only()
            return {name: self._of_file(value, self._spec(name))}
        if "" in value:  # a single array, or an invalid line
            return {self._only(): _valid("", value[""])}
        return {name: self._of_value(name, value) for name in self.axis.inputs}

    def _of_value(self, name: str, row: Mapping[str, Any]) -> Any:
        source = self._source(name, row)
        value, spec = _valid(source, row[source]), self._spec(name)
        if isinstance(value, bytes):
            return self._picture(decode_picture(value, f"the bytes in {source!r}"), spec)
        if isinstance(value, str) and spec.dtype != STRING:
            return self._of_named_file(value, source, spec)
        return value if isinstance(value, np.ndarray) else _plain(value, spec)

    def _of_named_file(self, path: str, source: str, spec: TensorSpec) -> Array:
        try:
            return self._of_file(path, spec)
        except (InputError, MediaError) as error:
            raise InputError(f"column {source!r}, the file for input {spec.name!r} ({spec}): {error}") from error

    def check_columns(self, columns: Collection[str]) -> None:
        """Refuse a table without a column for each input: all its rows would fail.

        Raises:
            InputError: A column is missing.
        """
        if self._own is None and "" not in columns:
            for name in self.axis.inputs:
                self._source(name, columns)

    def _source(self, name: str, columns: Collection[str]) -> str:
        """Return an input's column: the one configured, the one with its name, or the only one."""
        source = self._job.columns.get(name, name)
        if source not in columns and name not in self._job.columns and len(self.axis.inputs) == 1:
            others = [each for each in columns if each != self._job.key]
            source = others[0] if len(others) == 1 else source
        if source not in columns:
            raise InputError(f"no column {source!r} for input {name!r}; the table has {', '.join(columns)}")
        return source

    def _of_file(self, path: str, spec: TensorSpec) -> Array:
        if Path(path).suffix.lower() == ".npy":
            return read_array(path)
        return self._picture(read_picture(path), spec)

    def _picture(self, picture: Array, spec: TensorSpec) -> Array:
        return tensor_from_picture(picture, spec, value_range=self._job.value_range)

    def _spec(self, name: str) -> TensorSpec:
        """Return the spec of a pass's input, which determines a picture's layout."""
        return next(spec for spec in self._session.signature.inputs if spec.name == name)

    def _only(self) -> str:
        if len(self.axis.inputs) != 1:
            raise InputError(f"the model has several inputs ({', '.join(self.axis.inputs)}); a row must name them")
        return next(iter(self.axis.inputs))

    # ---- some rows in one pass

    def _begun(self, chunk: Sequence[tuple[str, Feeds | str]]) -> _Chunk:
        """Submit passes: one for each set of shapes, because only equal shapes can be stacked."""
        groups: dict[Any, list[int]] = {}
        for index, (_, feeds) in enumerate(chunk):
            if not isinstance(feeds, str):
                groups.setdefault(tuple(array.shape for array in feeds.values()), []).append(index)
        passes = []
        for members in groups.values():
            feeds = self.axis.feeds([chunk[index][1] for index in members])  # type: ignore[misc]
            passes.append((members, self._submitted(feeds)))
        return _Chunk(chunk, passes)

    def _submitted(self, feeds: Feeds) -> Future[Outputs]:
        try:
            return self._session.submit(feeds, outputs=self._names)
        except InputError as error:  # more rows than an engine takes, say
            failed: Future[Outputs] = Future()
            failed.set_exception(error)
            return failed

    def _ended(self, chunk: _Chunk) -> list[Done]:
        """Wait for passes. If one fails, run its rows one by one, so that only the failing row gets an error."""
        done = [Done(key, error=feeds if isinstance(feeds, str) else None) for key, feeds in chunk.rows]
        for members, future in chunk.passes:
            try:
                found = self.axis.rows_of(future.result(), len(members))
            except (BackendError, InputError) as error:
                for index in members:
                    key, feeds = chunk.rows[index]
                    done[index] = Done(key, error=str(error)) if len(members) == 1 else self._alone(key, feeds)
                continue
            for index, outputs in zip(members, found, strict=True):
                done[index] = Done(chunk.rows[index][0], outputs)
        return done

    def _alone(self, key: str, feeds: Any) -> Done:
        try:
            found = self._session(self.axis.feeds([feeds]), outputs=self._names)
            return Done(key, self.axis.rows_of(found, 1)[0])
        except (BackendError, InputError) as error:
            return Done(key, error=str(error))


class _Chunk(NamedTuple):
    """Rows in running passes."""

    rows: Sequence[tuple[str, Any]]
    passes: list[tuple[list[int], Future[Outputs]]]


def _valid(name: str, value: Any) -> Any:
    if value is None:
        raise InputError(f"column {name!r} is empty in this row")
    if isinstance(value, InputError):
        raise InputError(f"column {name!r}: {value}" if name else str(value))
    return value


def _plain(value: Any, spec: TensorSpec) -> Array:
    """Convert JSON values, which have no dtype, to the input's dtype; only floats may be rounded."""
    try:
        array = np.array(value)
    except ValueError as error:
        raise InputError(f"input {spec.name!r}: nested lists must have equal lengths") from error
    if array.dtype.kind == "U":
        return np.array(value, object)  # NumPy's string dtype drops trailing null characters
    kind = "float" if array.dtype.kind == "f" else "bool" if array.dtype.kind == "b" else "int"
    fits = {"float": "fV", "int": "iufVc", "bool": "b"}[kind]
    if array.dtype.kind not in "fiub" or spec.dtype.kind not in fits:
        raise InputError(f"input {spec.name!r}: expected {spec}, got {array.dtype.name} {list(array.shape)}")
    with np.errstate(over="ignore"):
        cast = array.astype(spec.dtype)
    exact = spec.dtype.kind not in "iu" or np.array_equal(cast, array)
    if not exact or not np.isfinite(cast.astype(np.complex128)).all():
        raise InputError(f"input {spec.name!r}: {spec.dtype} cannot hold values from {array.min()} to {array.max()}")
    return cast


def ahead(futures: Iterable[Future[T]], count: int) -> Iterator[T]:
    """Yield results in order, with up to `count` pending."""
    return in_order(futures, count, lambda future: future.result())


def in_order(begun: Iterable[T], count: int, end: Callable[[T], Any]) -> Iterator[Any]:
    """Yield `end(x)` for each started x, in order; up to `count` are started before the first is awaited."""
    waiting: deque[T] = deque()
    for each in begun:
        waiting.append(each)
        if len(waiting) > count:
            yield end(waiting.popleft())
    while waiting:
        yield end(waiting.popleft())
