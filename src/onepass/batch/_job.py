"""A batch job as one value, sent to worker processes as JSON and recorded in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass.artifacts import path_tuple, sha256_of
from onepass.formats import Format, format_of
from onepass.runtime import ModelSpec

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Job:
    """What a batch job does to every row.

    Attributes:
        model: The model, and options for opening it.
        outputs: Names of the outputs to keep; None keeps all.
        batch: Maximum rows per pass.
        preprocess: The function that makes a row's inputs, as ``module:function``; None for the default.
        columns: Maps inputs to table columns.
        key: The table column with the rows' keys; None numbers the rows.
        value_range: The values of black and white when pictures go to a floating-point input.
        gaze: Whether to read faces in pictures and videos.
    """

    model: ModelSpec
    outputs: tuple[str, ...] | None = None
    batch: int = 32
    preprocess: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    gaze: bool = False

    def __post_init__(self) -> None:
        batch: Any = self.batch
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise InputError(f"batch, the maximum rows per pass, must be a whole number ≥ 1; got {batch!r}")
        if self.gaze and (self.outputs or self.preprocess or self.columns):
            raise InputError("gaze=True cannot be combined with outputs=, preprocess= or columns=")

    def to_json(self) -> dict[str, Any]:
        """Return the job as plain JSON values, for `from_json`."""
        data = {**asdict(replace(self, model=ModelSpec("-"))), "model": self.model.to_json()}
        outputs = None if self.outputs is None else list(self.outputs)
        return {**data, "outputs": outputs, "columns": dict(self.columns), "value_range": list(self.value_range)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        """Return the job that `to_json` wrote."""
        outputs = None if data["outputs"] is None else tuple(data["outputs"])
        low, high = data["value_range"]
        spec = ModelSpec.from_json(data["model"])
        return cls(**{**data, "model": spec, "outputs": outputs, "value_range": (low, high)})

    def identity(self) -> dict[str, Any]:
        """Return everything that determines the results: the model's content, and all options except for speed."""
        spec = self.model
        decisive = {name: value for name, value in self.to_json().items() if name not in ("model", "batch")}
        files = [*_model_files(str(spec.path)), *([spec.weights] if spec.weights else [])]
        libraries = () if spec.plugins is None else path_tuple(spec.plugins, what="plugins")
        return {
            "model": Path(spec.path).name,
            "model_sha256": _digest_of([sha256_of(file) for file in (*files, *libraries)]),
            "backend": spec.backend,
            "providers": spec.to_json().get("providers"),
            "optimize": spec.optimize,
            **decisive,
        }


def _model_files(path: str) -> list[Path]:
    """Return a model's file and its weight files."""
    if format_of(path) is not Format.ONNX:
        return [Path(path)]
    from onepass.graph import OnnxGraph  # noqa: PLC0415 - it imports onnx, which an engine does not need

    graph = OnnxGraph.load(path)
    return [Path(path), *((graph.folder or Path()) / name for name in graph.weight_files)]


def _digest_of(digests: list[str]) -> str:
    """Return one digest unchanged, or combine several."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def short_digest(value: Any) -> str:
    """Return a short digest of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def function_name(function: Any) -> str | None:
    """Return a function's name as ``module:function``, for import by other processes.

    Raises:
        InputError: Other processes cannot import the function.
    """
    if function is None:
        return None
    if not isinstance(function, str):
        module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if module in (None, "__main__") or "<" in name:
            raise InputError(
                f"preprocess: worker processes cannot import {function!r}; put the function into its own module, and "
                "pass the function or its name as 'module:function'"
            )
        function = f"{module}:{name}"
    named_function(function)
    return str(function)


def named_function(name: str) -> Any:
    """Import and return the function ``module:function``.

    Raises:
        InputError: The function does not exist.
    """
    module, _, path = name.partition(":")
    if not module or not path:
        raise InputError(f"preprocess={name!r}: expected module:function")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"preprocess={name!r}: {error}; expected an importable module:function") from error
    if not callable(found):
        raise InputError(f"preprocess={name!r} is not a function; expected module:function")
    return found
