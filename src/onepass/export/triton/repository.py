"""Write a model to a model repository."""

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
    """The result of an export.

    Attributes:
        name: The model's name in Triton.
        version: The version number.
        backend: The Triton backend that runs the model.
        folders: The written folders, one per Triton model; the last one is `name`, which uses the others.
        max_batch: Maximum items per call; 0 if Triton does not batch requests.
        notes: Requirements for serving the model.
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
    """Write a model to a model repository of NVIDIA's Triton.

    Every input and output keeps the model's name, dtype and order. Triton has no scalars, so they become [1]; an input
    or output with only a batch dimension, [N], becomes [N, 1].

    Args:
        model: Path of an ONNX model or an engine, or a `ModelSpec` with options for opening it.
        repository: The repository's folder; created if missing.
        backend: The Triton backend: ``"tensorrt"`` (default for engines), ``"onnxruntime"`` (default for ONNX models),
            or ``"python"``, in which onepass runs the model.
        name: The model's name in Triton; by default the file's stem.
        max_batch: Maximum items that Triton batches from several requests; 0 for no batching. If the first dimension of
            all tensors, and only the first, is the batch dimension, the default is the maximum of the engine's
            profiles, or 8 for an ONNX model. An ONNX model is tried first: if an item's results depend on other items,
            requests are not batched.
        max_delay_ms: How long a request may wait for others, in milliseconds.
        max_queue: Maximum waiting requests; further ones are refused at once. 0 means no limit.
        instances: Number of model instances that run in parallel, per GPU if Triton's backend uses GPUs.
        force: Whether to replace a different configuration.

    Returns:
        The result. An existing model gets an additional version; earlier versions stay.

    Raises:
        ModelNotFoundError: The path does not exist.
        ModelFormatError: The model has another format and must be converted first.
        UnsupportedModelError: Triton, or this backend, cannot run the model; the message names the tensor.
        InputError: An option is invalid, or the repository has a different configuration under this name.
        EngineMismatchError: The sidecar describes another engine.
    """
    spec = model if isinstance(model, ModelSpec) else ModelSpec(model)
    path = Path(spec.path)
    kind = format_of(path)
    if kind not in RUNNABLE:
        raise ModelFormatError(f"{path} is {kind.value}; convert it to ONNX first: onepass.convert")
    plan = _plan_of(path) if kind is Format.ENGINE else None
    chosen = _backend_for(kind, path, backend)
    called = path.stem if name is None else name
    if not _NAME.fullmatch(called):
        raise InputError(
            f"invalid model name {called!r} for Triton: use 1 to 128 letters, digits, '.', '-' and '_', starting with "
            "a letter or digit: name=…"
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
            f"{path} has no sidecar ({path.name}.json) with the model's own names, dtypes and sizes; build the engine "
            "with onepass.build. (Triton itself can serve an engine without a configuration, under the engine's names.)"
        )
    return plan


def _backend_for(kind: Format, path: Path, wanted: TritonBackend | None) -> TritonBackend:
    if wanted not in (None, *get_args(TritonBackend)):
        raise InputError(f"backend: expected {', '.join(get_args(TritonBackend))}, got {wanted!r}")
    own: TritonBackend = "tensorrt" if kind is Format.ENGINE else "onnxruntime"
    if wanted not in (None, own, "python"):
        raise InputError(
            f"backend={wanted!r} cannot run {path}, which is {kind.value}; omit the option, and {own} runs it"
        )
    if kind is Format.ORT and wanted != "python":
        raise UnsupportedModelError(
            f"{path} is {kind.value}, which Triton's own backends cannot run; let onepass run it in Triton: "
            "backend='python'"
        )
    return wanted or own
