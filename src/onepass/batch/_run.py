"""A batch from its beginning, or from where it was interrupted, to its manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeAlias, get_args

from onepass import __version__
from onepass._errors import InputError
from onepass.batch import _folder
from onepass.batch._columns import pyarrow
from onepass.batch._inputs import find_inputs
from onepass.batch._job import Job, function_name
from onepass.batch._local import do_locally
from onepass.batch._part import finished
from onepass.batch._worker import Terms
from onepass.batch.manifest import Manifest, PartRecord
from onepass.gaze.model import model_spec
from onepass.runtime import ModelSpec
from onepass.tensors import name_tuple, no_such_name

Engine: TypeAlias = Literal["local", "ray"]
"""Where a batch is done: on this machine, or on those of a Ray cluster."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is.

    Attributes:
        done: How many inputs are done, those of earlier runs included.
        total: How many there are.
        errors: How many of those done have an error.
        earlier: How many of those done are of earlier runs.
    """

    done: int
    total: int
    errors: int
    earlier: int


def run(
    model: str | os.PathLike[str] | ModelSpec,
    inputs: Any,
    out: str | os.PathLike[str],
    *,
    outputs: str | Sequence[str] | None = None,
    batch: int = 32,
    preprocess: str | Callable[..., Any] | None = None,
    columns: Mapping[str, str] | None = None,
    key: str | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    gaze: bool = False,
    rows_a_part: int | None = None,
    workers: int | None = None,
    engine: Engine = "local",
    address: str | None = None,
    resume: bool = False,
    on_error: Literal["row", "stop"] = "row",
    patience_s: float = 600.0,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Take every row of a folder or a table through a model, and write every output, by name, as Parquet.

    A row that cannot be read, or that the model refuses, has its error in place of outputs, and its neighbours are as
    they would be without it. Work is done in processes of their own, in parts, each of which is a file. A part is there
    whole or not at all, and is done again by another process when one is killed; a row over which two have ended is a
    row with an error. What is interrupted, by whatever, goes on with ``resume=True``.

    Args:
        model: The model, or a `ModelSpec` that says how to open it.
        inputs: A folder of pictures or arrays, a pattern, a list of files; a Parquet file or a folder of such; a
            ``.npz`` or ``.npy`` with a row each along the first axis; a ``.jsonl`` with an object a line. A row has a
            value for each input of the model, by its name, without the batch's axis.
        out: Folder for the files; it is made.
        outputs: Names of the outputs to keep; all by default.
        batch: The most rows of one pass. A model with a fixed batch takes that.
        preprocess: A function, or its name as ``module:function``, which makes the inputs of a row: it is given a
            picture (uint8 RGB [H, W, 3]), the arrays of a file, or a table's row, and returns an array or a mapping.
        columns: The column of a table that an input takes, where that has another name.
        key: The column of a table that names its rows; they are numbered by default.
        value_range: What black and white of pictures become in a floating-point input.
        gaze: Read the faces of pictures and videos with an eye network ("default", "small" or one of your own). A row
            is a file then, and the columns are those of a gaze table.
        rows_a_part: Rows of one file; by default 256 to 8192, so that there are 128 files at most up to a million rows.
        workers: How many processes, each with a model of its own: 1 by default, and on a Ray cluster as many as it has
            room for.
        engine: "local", or "ray" for the machines of a Ray cluster, which see inputs and `out` under the same paths.
        address: Of the Ray cluster; by default one is started here.
        resume: Go on with what is in `out`, or begin where there is nothing yet.
        on_error: Whether a row that fails has its error in the files ("row"), or ends the batch ("stop").
        patience_s: A process that says nothing for so long is ended, and its part done again.
        progress: Called again and again with how far it is, from any thread.

    Returns:
        The manifest: which files there are, how many rows and errors.

    Raises:
        InputError: An argument is wrong; or `out` holds something else, or, with `resume`, another job.
        OnepassError: The model cannot be opened, or a row fails and `on_error` is "stop".
        OSError: A file cannot be written; what is finished stays, and `resume` goes on.
        MissingExtraError: PyArrow, or Ray, is not installed.
    """
    pyarrow()
    spec = model if isinstance(model, ModelSpec) else ModelSpec(model)
    if gaze:
        spec = model_spec(spec)
    wanted = None if outputs is None else name_tuple(outputs)
    _check(engine, on_error, {"workers": workers, "rows_a_part": rows_a_part}, patience_s)
    job = Job(spec, wanted, batch, function_name(preprocess), dict(columns or {}), key, value_range, gaze)
    found = find_inputs(inputs, gaze=gaze)
    if key is not None and found.columns is not None and key not in found.columns:
        raise InputError(no_such_name("column", key, found.columns, owner=str(found.tables[0])))
    folder = Path(out)
    with _folder.held(folder):
        noted = {
            **job.identity(), "inputs": found.identity(), "onepass": __version__,
            "rows_a_part": rows_a_part or found.rows_a_part(gaze=gaze),
        }  # fmt: skip
        noted, manifest = _folder.begin(folder, noted, resume=resume)
        if manifest is not None:
            manifest.verify()
            return manifest
        parts = list(found.parts(noted["rows_a_part"]))
        records = {part.file: record for part in parts if (record := finished(folder, part)) is not None}
        count = _Counter(found.rows, records.values(), progress)
        left = [part for part in parts if part.file not in records]
        terms = Terms(workers or 0, patience_s, on_error == "stop")
        do = partial(_on_ray, address=address) if engine == "ray" else do_locally
        try:
            for record in do(job, folder, left, count, terms) if left else ():
                records[record.file] = record
        finally:
            if not records:  # nothing is there to go on with, and another job may begin
                _folder.tidy(folder)
        return _folder.finish(folder, noted, [records[part.file] for part in parts])


def _on_ray(*work: Any, address: str | None) -> Iterator[PartRecord]:
    from onepass.batch._ray import do_on_ray  # noqa: PLC0415 - Ray is there for who asks for it

    return do_on_ray(*work, address=address)


def _check(engine: str, on_error: str, counts: Mapping[str, Any], patience_s: float) -> None:
    for name, value, known in (("engine", engine, get_args(Engine)), ("on_error", on_error, ("row", "stop"))):
        if value not in known:
            raise InputError(f"{name} is {value!r}; expected {' or '.join(known)}")
    for name, number in counts.items():
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise InputError(f"{name} is a whole number from 1 up, got {number!r}")
    if not patience_s > 0:
        raise InputError(f"patience_s is a number of seconds above 0, got {patience_s!r}")


class _Counter:
    """Adds up what processes tell, and passes it on."""

    def __init__(self, total: int, earlier: Any, progress: Callable[[Progress], None] | None) -> None:
        records: list[PartRecord] = list(earlier)
        self._done = self._earlier = sum(record.inputs for record in records)
        self._errors = sum(record.errors for record in records)
        self._total, self._progress, self._lock = total, progress, Lock()
        self(0, 0)

    def __call__(self, rows: int, errors: int) -> None:
        with self._lock:
            self._done, self._errors = self._done + rows, self._errors + errors
            if self._progress is not None:
                self._progress(Progress(self._done, self._total, self._errors, self._earlier))
