"""Write a model into a model repository."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from onepass._errors import InputError, ModelFormatError, UnsupportedModelError
from onepass.engine import Plan, read_sidecar
from onepass.export.triton.by_onepass import python_models
from onepass.export.triton.config import Served, Settings, check_number
from onepass.export.triton.engine import engine_models
from onepass.export.triton.onnx_runtime import onnx_models
from onepass.export.triton.placing import place_models
from onepass.formats import RUNNABLE, Format, format_of
from onepass.runtime.spec import ModelSpec

TritonBackend: TypeAlias = Literal["tensorrt", "onnxruntime", "python"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        name: The model's name in Triton.
        version: The number of this version.
        backend: Which of Triton's backends runs it.
        folders: What was written: a folder for each model; the last is that of `name`, which calls the others.
        max_batch: How many items a call may have; 0 where Triton puts no requests together.
        notes: What to know before it is served.
    """

    name: str
    version: int
    backend: TritonBackend
    folders: tuple[Path, ...]
    max_batch: int
    notes: tuple[str, ...]


def to_triton(
    model: str | os.PathLike[str] | ModelSpec,
    repository: str | os.PathLike[str],
    *,
    backend: TritonBackend | None = None,
    name: str | None = None,
    max_batch: int | None = None,
    max_delay_ms: float = 0,
    max_queue: int = 256,
    instances: int = 1,
    force: bool = False,
) -> Exported:
    """Write a model into a model repository of NVIDIA's Triton.

    Every input and output is there under the model's own name and dtype, in its own order. Triton knows no scalars:
    they are [1] there; and an input or output that has nothing but a batch, [N], is [N, 1].

    Args:
        model: Path of an ONNX model or an engine, or a `ModelSpec`, which says how to open it too.
        repository: The folder of the repository; it is made where it is missing.
        backend: Which of Triton's backends runs the model: ``"tensorrt"`` for engines and ``"onnxruntime"`` for ONNX
            models, which are what is taken by default, or ``"python"``, where onepass runs it.
        name: What Triton calls it; by default what the file is called.
        max_batch: Items that Triton may put together from requests, 0 for none. By default as many as the profiles of
            an engine hold, and 8 for an ONNX model, if first dimensions, and these alone, count items. Of an ONNX model
            this is tried: nothing is put together where an item's results depend on the others.
        max_delay_ms: How long a request may wait for others, in milliseconds.
        max_queue: Requests that may wait; more are refused at once. 0 is no limit.
        instances: How many of the model compute side by side; on each GPU, where Triton's backend runs it on GPUs.
        force: Whether to replace a configuration that differs.

    Returns:
        What was written. A model that is there already gets another version; those before stay.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: It is a model of another kind, which has to be converted first.
        UnsupportedModelError: Triton, or this backend of it, cannot run it; the message names the tensor.
        InputError: An option does not fit; or the repository has another configuration under this name.
        EngineMismatchError: The engine is not the one that its sidecar describes.
    """
    spec = model if isinstance(model, ModelSpec) else ModelSpec(model)
    path = Path(spec.path)
    kind = format_of(path)
    if kind not in RUNNABLE:
        raise ModelFormatError(f"{path} is {kind.value}; make it an ONNX model first: onepass.convert")
    plan = _plan_of(path) if kind is Format.ENGINE else None
    chosen = _backend_for(kind, path, backend)
    called = path.stem if name is None else name
    if not _NAME.fullmatch(called):
        raise InputError(
            f"{called!r} is no name for a model in Triton; give one of up to 128 letters, digits, '.', '-', '_': name=…"
        )
    settings = Settings(max_delay_ms, max_queue, instances)
    if max_batch is not None:
        check_number("max_batch", max_batch)
    served = _served(chosen, called, spec, kind, plan, settings, max_batch)
    folder = Path(repository)
    version = place_models(folder, served.models, force=force)
    notes = served.notes if served.batch.most else (f"no batches: {served.batch.why_none}", *served.notes)
    return Exported(
        called, version, chosen, tuple(folder / each.name for each in served.models), served.batch.most, notes
    )


def _served(
    backend: TritonBackend,
    name: str,
    spec: ModelSpec,
    kind: Format,
    plan: Plan | None,
    settings: Settings,
    max_batch: int | None,
) -> Served:
    if backend == "python":
        return python_models(name, spec, kind, plan, settings, max_batch)
    if plan is not None:
        return engine_models(name, plan, spec, settings, max_batch)
    return onnx_models(name, spec, settings, max_batch)


def _plan_of(path: Path) -> Plan:
    plan = read_sidecar(path)
    if plan is None:
        raise UnsupportedModelError(
            f"{path} has no sidecar ({path.name}.json), which says the model's own names, dtypes and sizes; build the "
            "engine with onepass.build. (Triton also serves an engine without a configuration, under the names it has.)"
        )
    return plan


def _backend_for(kind: Format, path: Path, wanted: TritonBackend | None) -> TritonBackend:
    if wanted not in (None, *get_args(TritonBackend)):
        raise InputError(f"backend is {wanted!r}; expected {', '.join(get_args(TritonBackend))}")
    own: TritonBackend = "tensorrt" if kind is Format.ENGINE else "onnxruntime"
    if wanted not in (None, own, "python"):
        raise InputError(f"backend={wanted!r} does not run {path}, which is {kind.value}; leave it out: {own} runs it")
    if kind is Format.ORT and wanted != "python":
        raise UnsupportedModelError(
            f"{path} is {kind.value}, which Triton's own backends do not run; let onepass run it in Triton: "
            "backend='python'"
        )
    return wanted or own
