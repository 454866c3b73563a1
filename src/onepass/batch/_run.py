"""Run a batch job, from the start or from where it was interrupted, to its manifest."""

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
"""Where a batch job runs: on this machine, or on a Ray cluster."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a batch job.

    Attributes:
        done: Inputs done, including earlier runs.
        total: All inputs.
        errors: Inputs done that have an error.
        earlier: Inputs done in earlier runs.
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
    """Run every row of a folder or a table through a model, and write every output, by name, as Parquet.

    If a row cannot be read, or the model rejects it, the row gets an error instead of outputs; other rows are not
    affected. Worker processes do the job in parts, one file each. A part's file is complete or absent. If a worker is
    killed, another one redoes its part; a row that ended two workers gets an error. An interrupted job, whatever the
    cause, continues with ``resume=True``.

    Args:
        model: The model, or a `ModelSpec` with options for opening it.
        inputs: A folder of pictures or arrays, a pattern, or a list of files; a Parquet file or a folder of Parquet
            files; a ``.npz`` or ``.npy`` with rows along the first axis; a ``.jsonl`` with one object per line. A row
            has a value for each model input, by name, without the batch dimension.
        out: Folder for the files; created if missing.
        outputs: Names of the outputs to keep; by default all.
        batch: Maximum rows per pass. A model with a fixed batch size uses that size.
        preprocess: A function, or its name as ``module:function``, that makes a row's inputs. It gets a picture (uint8
            RGB [H, W, 3]), the arrays of a file, or a table's row, and returns an array or a mapping.
        columns: Maps inputs to table columns whose names differ from the input's.
        key: The table column with the rows' keys; by default rows are numbered.
        value_range: The values of black and white when pictures go to a floating-point input.
        gaze: Read the faces in pictures and videos with an eye network ("default", "small" or your own). Each row is
            then a file, and the columns are those of a gaze table.
        rows_a_part: Rows per file; by default 256 to 8192, which gives at most 128 files for up to a million rows.
        workers: Number of worker processes, each with its own model; by default 1, or as many as the Ray cluster has
            room for.
        engine: "local", or "ray" for a Ray cluster whose machines see inputs and `out` under the same paths.
        address: Address of the Ray cluster; by default a local cluster is started.
        resume: Continue the job in `out`, or start it if there is none yet.
        on_error: What a failed row does: record its error in the files ("row"), or stop the job ("stop").
        patience_s: A worker silent for this many seconds is killed, and its part redone.
        progress: Called repeatedly with the progress, from any thread.

    Returns:
        The manifest: the files, and the numbers of rows and errors.

    Raises:
        InputError: An argument is invalid; or `out` contains other files or, with `resume`, a different job.
        OnepassError: The model cannot be opened, or a row fails and `on_error` is "stop".
        OSError: A file cannot be written; finished parts stay, and `resume` continues the job.
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
            if not records:  # nothing to resume, so another job may use the folder
                _folder.tidy(folder)
        return _folder.finish(folder, noted, [records[part.file] for part in parts])


def _on_ray(*work: Any, address: str | None) -> Iterator[PartRecord]:
    from onepass.batch._ray import do_on_ray  # noqa: PLC0415 - Ray is optional

    return do_on_ray(*work, address=address)


def _check(engine: str, on_error: str, counts: Mapping[str, Any], patience_s: float) -> None:
    for name, value, known in (("engine", engine, get_args(Engine)), ("on_error", on_error, ("row", "stop"))):
        if value not in known:
            raise InputError(f"{name}: expected {' or '.join(known)}, got {value!r}")
    for name, number in counts.items():
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise InputError(f"{name} must be a whole number ≥ 1, got {number!r}")
    if not patience_s > 0:
        raise InputError(f"patience_s must be a number of seconds > 0, got {patience_s!r}")


class _Counter:
    """Add up the workers' counts, and report the progress."""

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
