"""The fake engine: a file with a mark, a version and a length as TensorRT's has, then JSON, then the ONNX model."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MAGIC = b"ptrt"
RTX_MAGIC = b"rtx\0"
_HEAD = struct.Struct("<4sIIIQ")  # mark, 0, serialisation version, length of the JSON, length of everything

SERIALIZATION_VERSIONS = {"8.5.3": 232, "10.0.1": 237, "10.16.1": 243, "11.4.0": 250, "rtx-1.7.1": 12}
"""What files of each version begin with; that of 8.5.3 is the real one."""

Triple = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Minimum, optimum and maximum of a shape, or of the values of a shape tensor."""


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of an engine.

    Attributes:
        name: In the engine.
        source: In the ONNX model; they differ where TensorRT renames.
        is_input: Whether it is an input.
        dtype: Name of the member of DataType.
        shape: -1 where dynamic.
        on_host: Whether its memory must be the host's.
    """

    name: str
    source: str
    is_input: bool
    dtype: str
    shape: tuple[int, ...]
    on_host: bool = False


@dataclass(frozen=True)
class EngineFile:
    """All that is in a fake engine.

    Attributes:
        built_by: Which TensorRT built it, out of `facts.TENSORRT`.
        tensors: Inputs and outputs, in the engine's order.
        profiles: For each optimisation profile, input name -> shapes (of host inputs: values).
        onnx: The model that it computes.
        name: Name of the network.
        layers: What the inspector tells of each layer.
        verbosity: Name of the member of ProfilingVerbosity that it was built with.
        compute: Compute capability that it was built for, such as ``"9.0"``.
        device_memory: Bytes of device memory that a context needs.
        streamable: Bytes of weights that can be streamed; 0 where it was not built for that.
        capturable: Whether a CUDA graph can hold it.
        version_compatible: Whether other versions, lean and dispatch runtimes may load it.
        has_lean_runtime: Whether it carries code of its own, which a runtime must be allowed to run.
        refittable: Whether its weights can be changed.
        was_stripped: Whether it was built without its weights.
        stripped: Whether it lacks them now.
        layouts: What the engine says of how its tensors lie in memory, where that is not as usual.
    """

    built_by: str
    tensors: tuple[TensorInfo, ...]
    profiles: tuple[Mapping[str, Triple], ...]
    onnx: bytes
    name: str = "Unnamed Network 0"
    layers: tuple[Mapping[str, Any], ...] = ()
    verbosity: str = "LAYER_NAMES_ONLY"
    compute: str = "9.0"
    device_memory: int = 1 << 16
    streamable: int = 0
    capturable: bool = True
    version_compatible: bool = False
    has_lean_runtime: bool = False
    refittable: bool = False
    was_stripped: bool = False
    stripped: bool = False
    layouts: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the file."""
        fields = {key: value for key, value in asdict(self).items() if key != "onnx"}
        text = json.dumps(fields).encode()
        magic = RTX_MAGIC if self.built_by.startswith("rtx") else MAGIC
        total = _HEAD.size + len(text) + len(self.onnx)
        return _HEAD.pack(magic, 0, SERIALIZATION_VERSIONS[self.built_by], len(text), total) + text + self.onnx

    @classmethod
    def from_bytes(cls, data: bytes) -> EngineFile:
        """Read a file that `check_head` has passed."""
        *_, length, _ = _HEAD.unpack_from(data)
        fields = json.loads(data[_HEAD.size : _HEAD.size + length])
        fields["tensors"] = tuple(TensorInfo(**{**one, "shape": tuple(one["shape"])}) for one in fields["tensors"])
        fields["profiles"] = tuple(
            {name: _triple(triple) for name, triple in profile.items()} for profile in fields["profiles"]
        )
        fields["layers"] = tuple(fields["layers"])
        return cls(onnx=data[_HEAD.size + length :], **fields)


def _triple(shapes: Sequence[Sequence[int]]) -> Triple:
    low, best, high = (tuple(shape) for shape in shapes)
    return low, best, high


@dataclass(frozen=True)
class Head:
    """The first bytes of a file, whatever it is."""

    magic: bytes
    version: int
    length: int


def read_head(data: bytes) -> Head | None:
    """Return the head of a file, or None if it is too short for one."""
    if len(data) < _HEAD.size:
        return None
    magic, _, version, _, total = _HEAD.unpack_from(data)
    return Head(magic, version, total)
