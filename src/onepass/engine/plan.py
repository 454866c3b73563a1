"""Plan: an engine with what it does not say itself: the model's names, order and dtypes, and where it comes from.

The engine stays TensorRT's own file, so that other tools read it; the rest lies beside it in ``<engine>.json``.
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
        spec: Name, dtype and shape as the model has them.
        tensor: The tensor's name in the engine. It differs from the model's where TensorRT cannot keep that: an
            output that is an input.
        carrier: The dtype in the engine. It differs from the model's where TensorRT cannot hold that (int64 before
            version 10): values go over by an ordinary cast, to the carrier on the way in, to ``spec.dtype`` on the way
            out.
    """

    spec: TensorSpec
    tensor: str
    carrier: np.dtype[Any]

    @property
    def is_cast(self) -> bool:
        """Whether values change their dtype on the way."""
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
        engine: The serialised engine, or the file it lies in.
        engine_sha256: SHA-256 of the engine, 64 hexadecimal digits.
        inputs: The model's inputs, in its order.
        outputs: The model's outputs, in its order.
        profiles: The ranges of shapes that it was built for; at least one, with every input in it.
        flavor: The Python module of the TensorRT that built it (``"tensorrt"``, ``"tensorrt_rtx"`` …).
        version: That TensorRT's version.
        gpu: Name of the GPU it was built on; None where there was none.
        compute_capability: Of that GPU (``"9.0"``), or of the GPU it was built for; None where any will do.
        onnx_sha256: Digest of the ONNX model it was built from, external weights included.
        options: The options of the build, as plain JSON values.
        build_seconds: How long the build took.
        layer_types: How many layers work in ``"fp32"``, ``"fp16"`` …; empty where that cannot be read.
        control_flow: Whether it has branches or loops, whose course a recorded pass would repeat whatever the data.
        plugins: What it takes from plugins, which have to be registered where it runs.
        weight_sizes: How many numbers each weight has that can be replaced: by layer, then by its role there.
        extra: What a later version of onepass wrote into the sidecar besides, kept for when it is saved again.
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
        """The model's inputs and outputs, in its order."""
        return Signature(tuple(edge.spec for edge in self.inputs), tuple(edge.spec for edge in self.outputs))

    def engine_bytes(self) -> bytes:
        """Return the serialised engine, read from its file if need be, and checked against its digest.

        Raises:
            ModelNotFoundError: The file is gone.
            EngineMismatchError: It is not the engine that the sidecar belongs to.
        """
        data = self.engine if isinstance(self.engine, bytes) else _read(self.engine)
        if sha256(data).hexdigest() != self.engine_sha256:
            where = "the engine" if isinstance(self.engine, bytes) else str(self.engine)
            raise EngineMismatchError(
                f"{where} is not the engine that its sidecar describes: the SHA-256 is "
                f"{sha256(data).hexdigest()[:12]}…, recorded is {self.engine_sha256[:12]}…. It was damaged, or "
                "replaced by another tool: build it again, or delete the sidecar to load it as it is"
            )
        return data

    def save(self, path: str | os.PathLike[str]) -> Plan:
        """Write the engine to `path` and the sidecar to ``<path>.json``.

        The two belong together at every moment: a former engine and its sidecar can be used until the new ones are
        whole. Into a pipe or a device goes the engine alone.

        Returns:
            The plan with `path` for its engine, if that is a file.
        """
        path = Path(path)
        data = self.engine_bytes()
        try:
            beside = write_pair(path, data, self.to_json())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            room = f"{error.strerror}; the engine takes {len(data)} bytes"
            raise OSError(f"{room}: {path}") from error
        return replace(self, engine=path.absolute()) if beside else self

    def refit(self, model: Any, *, plugins: Any = ()) -> Plan:
        """Return the engine with the weights of another model of the same layers; it takes a GPU, and builds nothing.

        Args:
            model: Path of an ONNX file, its bytes, or an `OnnxGraph`.
            plugins: Libraries whose plugins the engine takes.

        Raises:
            InputError: It was not built with ``refit=True`` or ``strip=True``, or the model does not fit.
            EngineError: It does not run here.
            BackendError: TensorRT refuses the weights.
        """
        from onepass.engine import refit  # noqa: PLC0415 - it brings the builder and ONNX

        return refit(self, model, plugins=plugins)

    def to_json(self) -> dict[str, Any]:
        """Return all but the engine as plain JSON values: the content of the sidecar."""
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
        """Read what `to_json` returned, or `onepass.engine.sidecar.read_json`."""
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
    """Return the plan of an engine file by its sidecar; None if it has none (other tools write none).

    The engine itself is not read, unless more than one file may be its sidecar, as when its writer was stopped halfway:
    its digest decides then. `Plan.engine_bytes` reads and checks it.

    Raises:
        ModelNotFoundError: There is no engine at the path.
        EngineMismatchError: The sidecar is damaged, or written by a later version of onepass.
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
