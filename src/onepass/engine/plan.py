"""Plan: an engine plus what the engine file lacks: the model's names, order and dtypes, and its provenance.

The engine stays TensorRT's own file, so that other tools can read it; the rest is beside it in ``<engine>.json``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import EngineMismatchError, InputError, ModelNotFoundError
from onepass.artifacts import sha256_of
from onepass.engine._pair import write_pair
from onepass.engine.plugins import Plugin
from onepass.engine.shapes import Profile
from onepass.engine.sidecar import (
    MAJOR,
    MINOR,
    MINOR_KEY,
    REMEDY,
    VERSION_KEY,
    read_json,
    sidecar_files,
    unknown_keys,
)
from onepass.tensors import DTYPES, Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class Edge:
    """One input or output of the model, and the engine's tensor that carries it.

    Attributes:
        spec: Name, dtype and shape in the model.
        tensor: Name of the tensor in the engine. It differs from the model's name where TensorRT cannot keep the name,
            as for an output that is also an input.
        carrier: Dtype in the engine. It differs from the model's dtype where TensorRT does not support the dtype (int64
            before version 10): inputs are cast to the carrier, outputs are cast to ``spec.dtype``.
    """

    spec: TensorSpec
    tensor: str
    carrier: np.dtype[Any]

    @property
    def is_cast(self) -> bool:
        """Whether values are cast between model and engine."""
        return self.carrier != self.spec.dtype

    def to_json(self) -> dict[str, Any]:
        """Return the edge as plain JSON values; `from_json` reads it back."""
        return {**self.spec.to_json(), "tensor": self.tensor, "carrier": self.carrier.name}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Edge:
        """Read what `to_json` wrote."""
        return cls(TensorSpec.from_json(data), data["tensor"], DTYPES[data["carrier"]])


@dataclass(frozen=True)
class Plan:
    """A built engine and its sidecar.

    Attributes:
        engine: The serialised engine, or the path of its file.
        engine_sha256: SHA-256 of the engine, 64 hexadecimal digits.
        inputs: The model's inputs, in the model's order.
        outputs: The model's outputs, in the model's order.
        profiles: Optimisation profiles (shape ranges) of the engine; at least one, each with every input.
        flavor: Python module of the TensorRT that built the engine (``"tensorrt"``, ``"tensorrt_rtx"`` …).
        version: Version of that TensorRT.
        gpu: Name of the GPU that the engine was built on; None if there was no GPU.
        compute_capability: Compute capability that the engine is bound to (``"9.0"``); None if it runs on any GPU.
        onnx_sha256: SHA-256 of the ONNX model that the engine was built from, including external weights.
        options: Build options, as plain JSON values.
        build_seconds: Duration of the build.
        layer_types: Number of layers that compute in ``"fp32"``, ``"fp16"`` …; empty if unknown.
        control_flow: Whether the engine has branches or loops; a recorded pass would always take the same branch.
        plugins: Plugins that the engine needs; they must be registered where it runs.
        weight_sizes: Number of elements of each refittable weight: by layer, then by role.
        extra: Sidecar fields from later versions of onepass, kept when the plan is saved.
    """

    engine: bytes | Path = field(repr=False)
    engine_sha256: str = field(repr=False)
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]
    profiles: tuple[Profile, ...]
    flavor: str
    version: str
    gpu: str | None = None
    compute_capability: str | None = None
    onnx_sha256: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    build_seconds: float | None = None
    layer_types: Mapping[str, int] = field(default_factory=dict)
    control_flow: bool = False
    plugins: tuple[Plugin, ...] = ()
    weight_sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def signature(self) -> Signature:
        """The model's inputs and outputs, in the model's order."""
        return Signature(tuple(edge.spec for edge in self.inputs), tuple(edge.spec for edge in self.outputs))

    def engine_bytes(self) -> bytes:
        """Return the serialised engine, checked against its digest; it is read from its file if necessary.

        Raises:
            ModelNotFoundError: The file no longer exists.
            EngineMismatchError: The file is not the engine that the sidecar describes.
        """
        data = self.engine if isinstance(self.engine, bytes) else _read(self.engine)
        if sha256(data).hexdigest() != self.engine_sha256:
            where = "the engine" if isinstance(self.engine, bytes) else str(self.engine)
            raise EngineMismatchError(
                f"{where} is not the engine that its sidecar describes: expected SHA-256 "
                f"{self.engine_sha256[:12]}…, got {sha256(data).hexdigest()[:12]}…. The engine was damaged, or "
                "replaced by another tool: build it again, or delete the sidecar to load the engine as it is"
            )
        return data

    def save(self, path: str | os.PathLike[str]) -> Plan:
        """Write the engine to `path` and the sidecar to ``<path>.json``.

        The two files always match: a former engine and its sidecar stay usable until the new files are complete. Pipes
        and devices get the engine only.

        Returns:
            The plan with `path` as its engine, if `path` is a file.
        """
        path = Path(path)
        data = self.engine_bytes()
        try:
            beside = write_pair(path, data, self.to_json())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            room = f"{error.strerror}; the engine needs {len(data)} bytes"
            raise OSError(f"{room}: {path}") from error
        return replace(self, engine=path.absolute()) if beside else self

    def refit(self, model: Any, *, plugins: Any = ()) -> Plan:
        """Return the engine with the weights of another model with the same layers; needs a GPU, but no build.

        Args:
            model: Path of an ONNX file, its bytes, or an `OnnxGraph`.
            plugins: Libraries with the plugins that the engine needs.

        Raises:
            InputError: The engine was not built with ``refit=True`` or ``strip=True``, or the model does not fit.
            EngineError: The engine does not run here.
            BackendError: TensorRT rejects the weights.
        """
        from onepass.engine import refit  # noqa: PLC0415 - imports the builder and ONNX

        return refit(self, model, plugins=plugins)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the engine as plain JSON values: the content of the sidecar."""
        return {
            VERSION_KEY: MAJOR,
            MINOR_KEY: MINOR,
            "inputs": [edge.to_json() for edge in self.inputs],
            "outputs": [edge.to_json() for edge in self.outputs],
            "profiles": [profile.to_json() for profile in self.profiles],
            "flavor": self.flavor,
            "version": self.version,
            "gpu": self.gpu,
            "compute_capability": self.compute_capability,
            "onnx_sha256": self.onnx_sha256,
            "options": dict(self.options),
            "build_seconds": self.build_seconds,
            "layer_types": dict(self.layer_types),
            "control_flow": self.control_flow,
            "plugins": [plugin.to_json() for plugin in self.plugins],
            "weight_sizes": {layer: dict(roles) for layer, roles in self.weight_sizes.items()},
            "engine_sha256": self.engine_sha256,
            **self.extra,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], engine: bytes | Path) -> Plan:
        """Read the result of `to_json` or of `onepass.engine.sidecar.read_json`."""
        rest = (
            "engine_sha256", "flavor", "version", "gpu", "compute_capability", "onnx_sha256", "options",
            "build_seconds", "layer_types", "control_flow", "weight_sizes",
        )  # fmt: skip
        return cls(
            engine=engine,
            inputs=tuple(Edge.from_json(edge) for edge in data["inputs"]),
            outputs=tuple(Edge.from_json(edge) for edge in data["outputs"]),
            profiles=tuple(Profile.from_json(profile) for profile in data["profiles"]),
            plugins=tuple(Plugin.from_json(plugin) for plugin in data["plugins"]),
            extra=unknown_keys(data),
            **{name: data[name] for name in rest},
        )


def read_sidecar(engine: str | os.PathLike[str]) -> Plan | None:
    """Return the plan of an engine file from its sidecar, or None without a sidecar (other tools write none).

    The engine itself is not read, unless two files may be its sidecar, as after an interrupted write: then the engine's
    digest decides. `Plan.engine_bytes` reads and checks the engine.

    Raises:
        ModelNotFoundError: No engine exists at the path.
        EngineMismatchError: The sidecar is damaged, or was written by a later version of onepass.
    """
    path = Path(engine).absolute()
    if not path.is_file():
        raise ModelNotFoundError(f"no engine file at {path}")
    files = sidecar_files(path)
    if len(files) < 2:
        return _plan_in(files[0], path) if files else None
    digest = sha256_of(path)
    for file in files:
        with suppress(EngineMismatchError):
            plan = _plan_in(file, path)
            if plan.engine_sha256 == digest:
                return plan
    return _plan_in(files[0], path)


def _plan_in(file: Path, engine: Path) -> Plan:
    data = read_json(file)
    try:
        return Plan.from_json(data, engine)
    except InputError as error:
        raise EngineMismatchError(f"{file} contradicts itself: {error}; {REMEDY}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelNotFoundError(f"no engine file at {path}") from None
